//! Aging rules: what they are, what they go by, and what they have cleared.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use swr_core::commit::RepositoryId;
use swr_core::control::change::Effect;
use swr_core::control::rule::{
    AgingRule, Cleared, LastPulled, NeededBy, RepositoryRule, RuleId, VersionFacts,
};
use swr_core::digest::Digest;
use swr_core::ports::{AgingFacts, Listing, Page};
use swr_core::{RepositoryName, Tag};

use super::columns::Sql;
use super::connections::{Failure, Session, WriteError};
use super::manifest_reads::{first, from_json, listed, optional};
use super::metadata_commit::Applying;
use super::repository_lists::offset_of;

const RULE: &str = "SELECT id, due, rule FROM rules WHERE repository = $1";

pub(super) async fn rule(
    session: &Session,
    repository: &RepositoryName,
) -> Result<Option<RepositoryRule>, Failure> {
    let Some(id) = listed(session, repository).await? else { return Ok(None) };
    let row = session.query_opt(RULE, &[&Sql(id)]).await?;
    row.map(|row| to_rule(&row, repository.clone())).transpose()
}

fn to_rule(row: &Row, repository: RepositoryName) -> Result<RepositoryRule, Failure> {
    let (Sql(id), Sql(due)) = (row.try_get(0)?, row.try_get(1)?);
    Ok(RepositoryRule { id, repository, rule: from_json(row, 2)?, due })
}

/// A repository that has a rule has a name.
const DUE: &str = "
    SELECT rules.id, rules.due, rules.rule, repositories.name
    FROM rules JOIN repositories ON repositories.id = rules.repository
    WHERE rules.due <= $1 ORDER BY rules.due, rules.id LIMIT $2";

pub(super) async fn due_rules(
    session: &Session,
    now: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<Vec<RepositoryRule>, Failure> {
    let rows = session.query(DUE, &[&Sql(now), &Sql(limit)]).await?;
    rows.iter().map(|row| to_rule(row, row.try_get::<_, Sql<_>>(3)?.0)).collect()
}

const RAN: &str = "UPDATE rules SET due = $3 WHERE id = $1 AND due = $2";

pub(super) async fn rule_ran(
    session: &Session,
    id: RuleId,
    ran: DateTime<Utc>,
    next: DateTime<Utc>,
) -> Result<(), Failure> {
    session.execute(RAN, &[&Sql(id), &Sql(ran), &Sql(next)]).await.map(drop)
}

/// The later of the pulls by tag and by digest; null when there is neither.
const FACTS: &str = "
    SELECT tags.name, tags.updated, manifests.digest, manifests.subject,
        GREATEST(tags.pulled, manifests.pulled)
    FROM tags JOIN manifests ON manifests.id = tags.manifest
    WHERE tags.repository = $1 AND tags.name > $2 ORDER BY tags.name LIMIT $3";

pub(super) async fn aging_facts(
    session: &Session,
    repository: &RepositoryName,
    page: &Page<Tag>,
) -> Result<Vec<AgingFacts>, Failure> {
    let Some(id) = listed(session, repository).await? else { return Ok(Vec::new()) };
    let after = page.after.as_ref().map_or("", Tag::as_str);
    let mut facts = Vec::new();
    for row in session.query(FACTS, &[&Sql(id), &Sql(after), &Sql(page.limit)]).await? {
        let (Sql(tag), Sql(updated), Sql(digest)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let subject = optional(&row, 3)?;
        let version = VersionFacts {
            tag,
            updated: Some(updated),
            last_pulled: optional(&row, 4)?.map_or(LastPulled::Never, LastPulled::At),
            needed_by: needed_by(session, id, &digest, subject.as_ref()).await?,
            fixed: false,
        };
        facts.push(AgingFacts { version, digest, updated });
    }
    Ok(facts)
}

/// The tags of its subject and of the indexes that name it; null for one that is there without a tag.
const NEEDED_BY: &str = "
    SELECT tags.name
    FROM manifests LEFT JOIN tags ON tags.manifest = manifests.id
    WHERE manifests.repository = $1 AND manifests.digest = $3
    UNION ALL
    SELECT tags.name
    FROM manifest_references LEFT JOIN tags ON tags.manifest = manifest_references.manifest
    WHERE manifest_references.repository = $1 AND manifest_references.digest = $2
        AND manifest_references.kind = 0";

async fn needed_by(
    session: &Session,
    id: RepositoryId,
    digest: &Digest,
    subject: Option<&Digest>,
) -> Result<NeededBy, Failure> {
    let mut needing: BTreeSet<Tag> = BTreeSet::new();
    for row in session.query(NEEDED_BY, &[&Sql(id), &Sql(digest), &subject.map(Sql)]).await? {
        match optional(&row, 0)? {
            Some(tag) => needing.insert(tag),
            None => return Ok(NeededBy::Untagged),
        };
    }
    Ok(match needing.is_empty() {
        true => NeededBy::Nothing,
        false => NeededBy::Versions(needing.into_iter().collect()),
    })
}

const CLEARED_COUNT: &str = "SELECT count(*) FROM cleared WHERE repository = $1";

const CLEARED: &str = "
    SELECT seq, rule_id, rule, tag, at FROM cleared
    WHERE repository = $1 ORDER BY seq DESC LIMIT $2 OFFSET $3";

pub(super) async fn cleared(
    session: &Session,
    repository: &RepositoryName,
    offset: u64,
    limit: NonZeroU32,
) -> Result<Option<Listing<Cleared>>, Failure> {
    let Some(id) = listed(session, repository).await? else { return Ok(None) };
    let total = first(session.query_opt(CLEARED_COUNT, &[&Sql(id)]).await?)?.unwrap_or(0);
    let rows = session.query(CLEARED, &[&Sql(id), &Sql(limit), &offset_of(offset)]).await?;
    let entries = rows.iter().map(|row| {
        let (Sql(seq), Sql(id), Sql(tag), Sql(at)) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?, row.try_get(4)?);
        Ok(Cleared { seq, id, rule: from_json(row, 2)?, tag, at })
    });
    Ok(Some(Listing { entries: entries.collect::<Result<_, Failure>>()?, total }))
}

const TRIM_CLEARED: &str = "
    DELETE FROM cleared WHERE seq IN (SELECT seq FROM cleared WHERE at < $1 ORDER BY at, seq LIMIT $2)";

pub(super) async fn trim_cleared(
    session: &Session,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<u64, Failure> {
    session.execute(TRIM_CLEARED, &[&Sql(before), &Sql(limit)]).await
}

// What must be true, and what changes.

pub(super) const RULE_OF: &str = "SELECT 1 FROM rules WHERE repository = $1";

pub(super) const RULE_IS: &str = "SELECT 1 FROM rules WHERE repository = $1 AND id = $2";

const PUT: &str = "
    INSERT INTO rules AS before (repository, due, rule) VALUES ($1, $2, $3)
    ON CONFLICT (repository) DO UPDATE SET due = $2, rule = $3 WHERE before.rule <> $3";

const REMOVE: &str = "DELETE FROM rules WHERE repository = $1";

impl Applying<'_> {
    pub(super) async fn put_rule(
        &self,
        repository: &RepositoryName,
        rule: &AgingRule,
    ) -> Result<Effect, WriteError> {
        let Some(id) = self.listed(repository).await? else { return Ok(Effect::Nothing) };
        let rule = serde_json::to_string(rule)?;
        self.put(RULE_OF, &[&Sql(id)], PUT, &[&Sql(id), &Sql(self.at), &rule]).await
    }

    pub(super) async fn remove_rule(&self, repository: &RepositoryName) -> Result<Effect, WriteError> {
        match self.listed(repository).await? {
            Some(id) => self.remove(REMOVE, &[&Sql(id)]).await,
            None => Ok(Effect::Nothing),
        }
    }
}
