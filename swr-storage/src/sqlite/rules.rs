//! Aging rules: what they are, what they go by, and what they have cleared.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use swr_core::commit::RepositoryId;
use swr_core::control::change::Effect;
use swr_core::control::rule::{
    AgingRule, Cleared, LastPulled, NeededBy, RepositoryRule, RuleId, VersionFacts,
};
use swr_core::digest::Digest;
use swr_core::ports::{AgingFacts, Listing, Page};
use swr_core::{RepositoryName, Tag};

use super::columns::Sql;
use super::connections::WriteError;
use super::manifest_commit::to_json;
use super::manifest_reads::{from_json, listed};
use super::metadata_commit::Applying;
use super::repository_lists::offset_of;

const RULE: &str = "SELECT id, due, rule FROM rules WHERE repository = ?1";

pub(super) fn rule(
    connection: &Connection,
    repository: &RepositoryName,
) -> rusqlite::Result<Option<RepositoryRule>> {
    let Some(id) = listed(connection, repository)? else { return Ok(None) };
    let mut rule = connection.prepare_cached(RULE)?;
    rule.query_row([Sql(id)], |row| to_rule(row, repository.clone())).optional()
}

fn to_rule(row: &Row<'_>, repository: RepositoryName) -> rusqlite::Result<RepositoryRule> {
    let Sql(due) = row.get(1)?;
    Ok(RepositoryRule { id: RuleId(row.get(0)?), repository, rule: from_json(row, 2)?, due })
}

/// A repository that has a rule has a name.
const DUE: &str = "
    SELECT rules.id, rules.due, rules.rule, repositories.name
    FROM rules INDEXED BY rules_by_due CROSS JOIN repositories ON repositories.id = rules.repository
    WHERE rules.due <= ?1 ORDER BY rules.due, rules.id LIMIT ?2";

pub(super) fn due_rules(
    connection: &Connection,
    now: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<RepositoryRule>> {
    let mut due = connection.prepare_cached(DUE)?;
    let due =
        due.query_map(params![Sql(now), limit.get()], |row| to_rule(row, row.get::<_, Sql<_>>(3)?.0))?;
    due.collect()
}

const RAN: &str = "UPDATE rules SET due = ?3 WHERE id = ?1 AND due = ?2";

pub(super) fn rule_ran(
    connection: &Connection,
    id: RuleId,
    ran: DateTime<Utc>,
    next: DateTime<Utc>,
) -> rusqlite::Result<()> {
    connection.prepare_cached(RAN)?.execute(params![id.0, Sql(ran), Sql(next)]).map(drop)
}

/// The later of the pulls by tag and by digest; null when there is neither.
const FACTS: &str = "
    SELECT tags.name, tags.updated, manifests.digest, manifests.subject,
        max(ifnull(tags.pulled, manifests.pulled), ifnull(manifests.pulled, tags.pulled))
    FROM tags CROSS JOIN manifests ON manifests.id = tags.manifest
    WHERE tags.repository = ?1 AND tags.name > ?2 ORDER BY tags.name LIMIT ?3";

pub(super) fn aging_facts(
    connection: &Connection,
    repository: &RepositoryName,
    page: &Page<Tag>,
) -> rusqlite::Result<Vec<AgingFacts>> {
    let Some(id) = listed(connection, repository)? else { return Ok(Vec::new()) };
    let after = page.after.as_ref().map_or("", Tag::as_str);
    let mut facts = connection.prepare_cached(FACTS)?;
    let facts = facts.query_map(params![Sql(id), after, page.limit.get()], |row| {
        let (Sql(tag), Sql(updated), Sql(digest)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let subject = row.get::<_, Option<Sql<_>>>(3)?.map(|Sql(subject)| subject);
        let pulled = row.get::<_, Option<Sql<_>>>(4)?;
        let version = VersionFacts {
            tag,
            updated: Some(updated),
            last_pulled: pulled.map_or(LastPulled::Never, |Sql(pulled)| LastPulled::At(pulled)),
            needed_by: needed_by(connection, id, &digest, subject.as_ref())?,
            fixed: false,
        };
        Ok(AgingFacts { version, digest, updated })
    })?;
    facts.collect()
}

/// The tags of its subject and of the indexes that name it; null for one that is there without a tag.
const NEEDED_BY: &str = "
    SELECT tags.name
    FROM manifests LEFT JOIN tags ON tags.manifest = manifests.id
    WHERE manifests.repository = ?1 AND manifests.digest = ?3
    UNION ALL
    SELECT tags.name
    FROM manifest_references LEFT JOIN tags ON tags.manifest = manifest_references.manifest
    WHERE manifest_references.repository = ?1 AND manifest_references.digest = ?2
        AND manifest_references.kind = 0";

fn needed_by(
    connection: &Connection,
    id: RepositoryId,
    digest: &Digest,
    subject: Option<&Digest>,
) -> rusqlite::Result<NeededBy> {
    let mut tags = connection.prepare_cached(NEEDED_BY)?;
    let tags = tags.query_map(params![Sql(id), Sql(digest), subject.map(Sql)], |row| row.get(0))?;
    let mut needing = BTreeSet::new();
    for tag in tags {
        match tag? {
            Some(Sql(tag)) => needing.insert(tag),
            None => return Ok(NeededBy::Untagged),
        };
    }
    Ok(match needing.is_empty() {
        true => NeededBy::Nothing,
        false => NeededBy::Versions(needing.into_iter().collect()),
    })
}

const CLEARED_COUNT: &str = "SELECT count(*) FROM cleared WHERE repository = ?1";

const CLEARED: &str = "
    SELECT seq, rule_id, rule, tag, at FROM cleared
    WHERE repository = ?1 ORDER BY seq DESC LIMIT ?2 OFFSET ?3";

pub(super) fn cleared(
    connection: &Connection,
    repository: &RepositoryName,
    offset: u64,
    limit: NonZeroU32,
) -> rusqlite::Result<Option<Listing<Cleared>>> {
    let Some(id) = listed(connection, repository)? else { return Ok(None) };
    let Sql(total) = connection.prepare_cached(CLEARED_COUNT)?.query_row([Sql(id)], |row| row.get(0))?;
    let mut entries = connection.prepare_cached(CLEARED)?;
    let entries = entries.query_map(params![Sql(id), limit.get(), offset_of(offset)], |row| {
        let (Sql(seq), Sql(tag), Sql(at)) = (row.get(0)?, row.get(3)?, row.get(4)?);
        Ok(Cleared { seq, id: RuleId(row.get(1)?), rule: from_json(row, 2)?, tag, at })
    })?;
    Ok(Some(Listing { entries: entries.collect::<Result<_, _>>()?, total }))
}

const TRIM_CLEARED: &str = "
    DELETE FROM cleared WHERE seq IN (
        SELECT seq FROM cleared INDEXED BY cleared_by_time WHERE at < ?1 ORDER BY at, seq LIMIT ?2)";

pub(super) fn trim_cleared(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM_CLEARED)?.execute(params![Sql(before), limit.get()])?;
    Ok(trimmed as u64)
}

// What must be true, and what changes.

pub(super) const RULE_OF: &str = "SELECT 1 FROM rules WHERE repository = ?1";

pub(super) const RULE_IS: &str = "SELECT 1 FROM rules WHERE repository = ?1 AND id = ?2";

const PUT: &str = "
    INSERT INTO rules (repository, due, rule) VALUES (?1, ?2, ?3)
    ON CONFLICT (repository) DO UPDATE SET due = ?2, rule = ?3 WHERE rule <> ?3";

const REMOVE: &str = "DELETE FROM rules WHERE repository = ?1";

impl Applying<'_> {
    pub(super) fn put_rule(
        &self,
        repository: &RepositoryName,
        rule: &AgingRule,
    ) -> Result<Effect, WriteError> {
        let Some(id) = self.listed(repository)? else { return Ok(Effect::Nothing) };
        let put = params![Sql(id), Sql(self.at), to_json(rule)?];
        self.put(RULE_OF, params![Sql(id)], PUT, put)
    }

    pub(super) fn remove_rule(&self, repository: &RepositoryName) -> Result<Effect, WriteError> {
        match self.listed(repository)? {
            Some(id) => self.remove(REMOVE, params![Sql(id)]),
            None => Ok(Effect::Nothing),
        }
    }
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[RULE, DUE, RAN, FACTS, NEEDED_BY, CLEARED_COUNT, CLEARED, TRIM_CLEARED, RULE_OF, RULE_IS, PUT, REMOVE];
