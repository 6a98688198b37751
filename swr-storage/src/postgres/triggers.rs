//! Triggers: asked for, made, enabled, removed.

use std::num::NonZeroU32;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use swr_core::control::change::{Effect, MetadataRequire};
use swr_core::control::credential::Sealed;
use swr_core::control::trigger::{Trigger, TriggerId, TriggerRule, TriggerTarget};
use swr_core::{RepositoryName, TriggerName};

use super::columns::Sql;
use super::connections::{Failure, Session, WriteError};
use super::deliveries;
use super::manifest_commit::only;
use super::manifest_reads::{from_json, listed, optional};
use super::metadata_commit::Applying;

const TRIGGERS: &str = "
    SELECT id, name, enabled, condition, target, secret, creator, creator_name, created
    FROM triggers WHERE repository = $1 ORDER BY name";

pub(super) async fn triggers(
    session: &Session,
    repository: &RepositoryName,
) -> Result<Option<Vec<(TriggerId, Trigger)>>, Failure> {
    let Some(of) = listed(session, repository).await? else { return Ok(None) };
    let rows = session.query(TRIGGERS, &[&Sql(of)]).await?;
    rows.iter().map(|row| to_trigger(row, repository.clone())).collect::<Result<_, _>>().map(Some)
}

fn to_trigger(row: &Row, repository: RepositoryName) -> Result<(TriggerId, Trigger), Failure> {
    let (Sql(id), Sql(name)) = (row.try_get(0)?, row.try_get(1)?);
    let (Sql(creator), Sql(creator_name), Sql(created)) = (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
    let rule = TriggerRule { condition: from_json(row, 3)?, enabled: row.try_get(2)? };
    let mut target = from_json(row, 4)?;
    if let TriggerTarget::Webhook { secret, .. } = &mut target {
        *secret = optional(row, 5)?;
    }
    Ok((id, Trigger { repository, name, rule, target, creator, creator_name, created }))
}

/// A repository that has a trigger has a name.
macro_rules! with_repository {
    ($which:literal) => {
        concat!(
            "SELECT triggers.id, triggers.name, enabled, condition, target, secret, triggers.creator,
                triggers.creator_name, created, repositories.name
            FROM triggers JOIN repositories ON repositories.id = triggers.repository ",
            $which
        )
    };
}

fn with_repository(row: &Row) -> Result<(TriggerId, Trigger), Failure> {
    let Sql(repository) = row.try_get(9)?;
    to_trigger(row, repository)
}

const TRIGGER: &str = with_repository!("WHERE triggers.id = $1");

pub(super) async fn trigger(session: &Session, id: TriggerId) -> Result<Trigger, Failure> {
    let row = only(session.query(TRIGGER, &[&Sql(id)]).await?)?;
    with_repository(&row).map(|(_, trigger)| trigger)
}

const SEALED: &str =
    with_repository!("WHERE triggers.id > $1 AND secret IS NOT NULL ORDER BY triggers.id LIMIT $2");

pub(super) async fn sealed(
    session: &Session,
    after: Option<TriggerId>,
    limit: NonZeroU32,
) -> Result<Vec<(TriggerId, Trigger)>, Failure> {
    let after = after.unwrap_or(TriggerId(i64::MIN));
    let rows = session.query(SEALED, &[&Sql(after), &Sql(limit)]).await?;
    rows.iter().map(with_repository).collect()
}

const RESEAL: &str = "UPDATE triggers SET secret = $3 WHERE id = $1 AND secret = $2";

pub(super) async fn reseal(
    session: &Session,
    id: TriggerId,
    was: &Sealed,
    sealed: &Sealed,
) -> Result<bool, Failure> {
    Ok(session.execute(RESEAL, &[&Sql(id), &Sql(was), &Sql(sealed)]).await? > 0)
}

// What must be true, and what changes.

pub(super) const NAMED: &str = "SELECT 1 FROM triggers WHERE repository = $1 AND name = $2";

pub(super) const TRIGGERS_OF: &str = "SELECT count(*) FROM triggers WHERE repository = $1";

const IS: &str = "
    SELECT 1 FROM triggers
    WHERE repository = $1 AND name = $2
        AND (enabled, condition, target, secret, creator, creator_name, created)
            IS NOT DISTINCT FROM ($3, $4, $5, $6, $7, $8, $9)";

const CREATE: &str = "
    INSERT INTO triggers (
        repository, name, enabled, condition, target, secret, creator, creator_name, created,
        since, target_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)";

const ENABLE: &str = "
    UPDATE triggers SET enabled = $3, since = $4 WHERE repository = $1 AND name = $2 AND enabled <> $3
    RETURNING id, target_key";

const FIND: &str = "SELECT id, target_key FROM triggers WHERE repository = $1 AND name = $2";

/// It goes with its deliveries, later.
const REMOVE: &str = "UPDATE triggers SET repository = NULL, enabled = FALSE, secret = NULL WHERE id = $1";

impl Applying<'_> {
    pub(super) async fn create_trigger(&self, trigger: &Trigger) -> Result<Effect, WriteError> {
        let Trigger { repository, name, rule, target, creator, creator_name, created } = trigger;
        let Some(of) = self.listed(repository).await? else { return Ok(Effect::Nothing) };
        let secret = target.secret().map(Sql);
        let (condition, to) = (serde_json::to_string(&rule.condition)?, serde_json::to_string(target)?);
        let (of, named, creator, creator_name) = (Sql(of), Sql(name), Sql(creator), Sql(creator_name));
        let created = Sql(*created);
        let row: [&(dyn ToSql + Sync); 9] =
            [&of, &named, &rule.enabled, &condition, &to, &secret, &creator, &creator_name, &created];
        if self.transaction.exists(IS, &row).await? {
            return Ok(Effect::Nothing);
        }
        if self.transaction.exists(NAMED, &[&of, &named]).await? {
            let (repository, name) = (repository.clone(), name.clone());
            return Err(WriteError::UnmetMetadata(vec![MetadataRequire::TriggerFree { repository, name }]));
        }
        let key = target.key();
        let key = Sql(key.as_str());
        let row: Vec<&(dyn ToSql + Sync)> = row.into_iter().chain([&key as _]).collect();
        self.run(CREATE, &row).await?;
        Ok(Effect::Created)
    }

    pub(super) async fn enable_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
        enabled: bool,
    ) -> Result<Effect, WriteError> {
        let Some(of) = self.listed(repository).await? else { return Ok(Effect::Nothing) };
        let changed =
            self.transaction.query_opt(ENABLE, &[&Sql(of), &Sql(name), &enabled, &Sql(self.at)]).await?;
        let Some(row) = changed else { return Ok(Effect::Nothing) };
        let (Sql(id), Sql(key)): (_, Sql<String>) = (row.try_get(0)?, row.try_get(1)?);
        deliveries::enable(self.transaction, id, enabled).await?;
        deliveries::wake(self.transaction, &key, self.at).await?;
        Ok(Effect::Changed)
    }

    pub(super) async fn remove_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
    ) -> Result<Effect, WriteError> {
        let Some(of) = self.listed(repository).await? else { return Ok(Effect::Nothing) };
        let Some(row) = self.transaction.query_opt(FIND, &[&Sql(of), &Sql(name)]).await? else {
            return Ok(Effect::Nothing);
        };
        let (Sql(id), Sql(key)): (Sql<TriggerId>, Sql<String>) = (row.try_get(0)?, row.try_get(1)?);
        deliveries::wake(self.transaction, &key, self.at).await?;
        self.remove(REMOVE, &[&Sql(id)]).await
    }
}
