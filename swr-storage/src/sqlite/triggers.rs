//! Triggers: asked for, made, enabled, removed.

use std::num::NonZeroU32;

use rusqlite::{Connection, OptionalExtension, Row, params};

use swr_core::control::change::{Effect, MetadataRequire};
use swr_core::control::credential::Sealed;
use swr_core::control::trigger::{Trigger, TriggerId, TriggerRule, TriggerTarget};
use swr_core::{RepositoryName, TriggerName};

use super::columns::Sql;
use super::connections::WriteError;
use super::deliveries;
use super::manifest_commit::to_json;
use super::manifest_reads::{from_json, listed};
use super::metadata_commit::Applying;

const TRIGGERS: &str = "
    SELECT id, name, enabled, condition, target, secret, creator, creator_name, created
    FROM triggers WHERE repository = ?1 ORDER BY name";

pub(super) fn triggers(
    connection: &Connection,
    repository: &RepositoryName,
) -> rusqlite::Result<Option<Vec<(TriggerId, Trigger)>>> {
    let Some(of) = listed(connection, repository)? else { return Ok(None) };
    let mut triggers = connection.prepare_cached(TRIGGERS)?;
    let triggers = triggers.query_map([Sql(of)], |row| to_trigger(row, repository.clone()))?;
    triggers.collect::<Result<_, _>>().map(Some)
}

fn to_trigger(row: &Row<'_>, repository: RepositoryName) -> rusqlite::Result<(TriggerId, Trigger)> {
    let (Sql(name), Sql(creator), Sql(creator_name)) = (row.get(1)?, row.get(6)?, row.get(7)?);
    let Sql(created) = row.get(8)?;
    let rule = TriggerRule { condition: from_json(row, 3)?, enabled: row.get(2)? };
    let mut target = from_json(row, 4)?;
    if let TriggerTarget::Webhook { secret, .. } = &mut target {
        *secret = row.get::<_, Option<_>>(5)?.map(|Sql(sealed)| sealed);
    }
    let trigger = Trigger { repository, name, rule, target, creator, creator_name, created };
    Ok((TriggerId(row.get(0)?), trigger))
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

fn with_repository(row: &Row<'_>) -> rusqlite::Result<(TriggerId, Trigger)> {
    let Sql(repository) = row.get(9)?;
    to_trigger(row, repository)
}

const TRIGGER: &str = with_repository!("WHERE triggers.id = ?1");

pub(super) fn trigger(connection: &Connection, id: TriggerId) -> rusqlite::Result<Trigger> {
    let mut trigger = connection.prepare_cached(TRIGGER)?;
    trigger.query_row([id.0], with_repository).map(|(_, trigger)| trigger)
}

const SEALED: &str =
    with_repository!("WHERE triggers.id > ?1 AND secret IS NOT NULL ORDER BY triggers.id LIMIT ?2");

pub(super) fn sealed(
    connection: &Connection,
    after: Option<TriggerId>,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<(TriggerId, Trigger)>> {
    let after = after.map_or(i64::MIN, |TriggerId(id)| id);
    connection.prepare_cached(SEALED)?.query_map((after, limit.get()), with_repository)?.collect()
}

const RESEAL: &str = "UPDATE triggers SET secret = ?3 WHERE id = ?1 AND secret = ?2";

pub(super) fn reseal(
    connection: &Connection,
    TriggerId(id): TriggerId,
    was: &Sealed,
    sealed: &Sealed,
) -> rusqlite::Result<bool> {
    let mut reseal = connection.prepare_cached(RESEAL)?;
    Ok(reseal.execute(params![id, Sql(was), Sql(sealed)])? > 0)
}

// What must be true, and what changes.

pub(super) const NAMED: &str = "SELECT 1 FROM triggers WHERE repository = ?1 AND name = ?2";

pub(super) const TRIGGERS_OF: &str = "SELECT count(*) FROM triggers WHERE repository = ?1";

const IS: &str = "
    SELECT 1 FROM triggers
    WHERE repository = ?1 AND name = ?2
        AND (enabled, condition, target, secret, creator, creator_name, created)
            IS (?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const CREATE: &str = "
    INSERT INTO triggers (
        repository, name, enabled, condition, target, secret, creator, creator_name, created,
        since, target_key)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)";

const ENABLE: &str = "
    UPDATE triggers SET enabled = ?3, since = ?4 WHERE repository = ?1 AND name = ?2 AND enabled <> ?3
    RETURNING id, target_key";

const FIND: &str = "SELECT id, target_key FROM triggers WHERE repository = ?1 AND name = ?2";

/// It goes with its deliveries, later.
const REMOVE: &str = "UPDATE triggers SET repository = NULL, enabled = 0, secret = NULL WHERE id = ?1";

impl Applying<'_> {
    pub(super) fn create_trigger(&self, trigger: &Trigger) -> Result<Effect, WriteError> {
        let Trigger { repository, name, rule, target, creator, creator_name, created } = trigger;
        let Some(of) = self.listed(repository)? else { return Ok(Effect::Nothing) };
        let secret = target.secret();
        let (condition, to) = (to_json(&rule.condition)?, to_json(target)?);
        let (creator, creator_name) = (Sql(creator), Sql(creator_name));
        let (secret, created) = (secret.map(Sql), Sql(*created));
        let enabled = rule.enabled;
        let row = params![Sql(of), Sql(name), enabled, condition, to, secret, creator, creator_name, created];
        let connection = self.writing.connection;
        if connection.prepare_cached(IS)?.exists(row)? {
            return Ok(Effect::Nothing);
        }
        if connection.prepare_cached(NAMED)?.exists(params![Sql(of), Sql(name)])? {
            let (repository, name) = (repository.clone(), name.clone());
            return Err(WriteError::UnmetMetadata(vec![MetadataRequire::TriggerFree { repository, name }]));
        }
        self.writing.claim_room()?;
        let key = target.key();
        let row: Vec<_> = row.iter().copied().chain([&key as &dyn rusqlite::ToSql]).collect();
        self.run(CREATE, &row)?;
        Ok(Effect::Created)
    }

    pub(super) fn enable_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
        enabled: bool,
    ) -> Result<Effect, WriteError> {
        let Some(of) = self.listed(repository)? else { return Ok(Effect::Nothing) };
        let connection = self.writing.connection;
        let mut enable = connection.prepare_cached(ENABLE)?;
        let changed = enable
            .query_row(params![Sql(of), Sql(name), enabled, Sql(self.at)], |row| {
                Ok((TriggerId(row.get(0)?), row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((id, target_key)) = changed else { return Ok(Effect::Nothing) };
        // What is stopped stops on a full disk as well.
        if enabled {
            self.writing.claim_room()?;
        }
        deliveries::enable(connection, id, enabled)?;
        deliveries::wake(connection, &target_key, self.at)?;
        Ok(Effect::Changed)
    }

    pub(super) fn remove_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
    ) -> Result<Effect, WriteError> {
        let Some(of) = self.listed(repository)? else { return Ok(Effect::Nothing) };
        let connection = self.writing.connection;
        let mut found = connection.prepare_cached(FIND)?;
        let found = found
            .query_row(params![Sql(of), Sql(name)], |row| {
                Ok((TriggerId(row.get(0)?), row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((id, target_key)) = found else { return Ok(Effect::Nothing) };
        deliveries::wake(connection, &target_key, self.at)?;
        self.remove(REMOVE, params![id.0])
    }
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[TRIGGERS, TRIGGER, SEALED, RESEAL, NAMED, TRIGGERS_OF, IS, CREATE, ENABLE, FIND, REMOVE];
