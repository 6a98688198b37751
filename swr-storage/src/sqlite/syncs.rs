//! What was asked of synchronisation.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use swr_core::RepositoryName;
use swr_core::control::change::Effect;
use swr_core::control::sync::{SyncJob, SyncRule, SyncTarget};
use swr_core::ports::Listing;

use super::columns::Sql;
use super::connections::WriteError;
use super::manifest_reads::listed;
use super::metadata_commit::Applying;
use super::repository_lists::offset_of;

const SYNCS: &str = "
    SELECT id, region, organisation, auto, overwrite, created, updated
    FROM syncs INDEXED BY syncs_of_repository WHERE repository = ?1 ORDER BY id";

pub(super) fn syncs(
    connection: &Connection,
    repository: &RepositoryName,
) -> rusqlite::Result<Option<Vec<SyncRule>>> {
    let Some(of) = listed(connection, repository)? else { return Ok(None) };
    let mut syncs = connection.prepare_cached(SYNCS)?;
    let syncs = syncs.query_map([Sql(of)], |row| {
        let (Sql(created), Sql(updated)) = (row.get(5)?, row.get(6)?);
        Ok(SyncRule {
            id: row.get(0)?,
            repository: repository.clone(),
            target: SyncTarget { region: row.get(1)?, organisation: row.get(2)? },
            auto: row.get(3)?,
            overwrite: row.get(4)?,
            created,
            updated,
        })
    })?;
    syncs.collect::<Result<_, _>>().map(Some)
}

const JOBS_COUNT: &str = "SELECT count(*) FROM sync_jobs WHERE repository = ?1";

const JOBS: &str = "
    SELECT id, tag, region, organisation, overwrite, status, operator, operator_name, created, updated
    FROM sync_jobs WHERE repository = ?1 ORDER BY id LIMIT ?2 OFFSET ?3";

const JOBS_BACKWARDS: &str = "
    SELECT id, tag, region, organisation, overwrite, status, operator, operator_name, created, updated
    FROM sync_jobs WHERE repository = ?1 ORDER BY id DESC LIMIT ?2 OFFSET ?3";

pub(super) fn sync_jobs(
    connection: &Connection,
    repository: &RepositoryName,
    descending: bool,
    offset: u64,
    limit: NonZeroU32,
) -> rusqlite::Result<Option<Listing<SyncJob>>> {
    let Some(of) = listed(connection, repository)? else { return Ok(None) };
    let Sql(total) = connection.prepare_cached(JOBS_COUNT)?.query_row([Sql(of)], |row| row.get(0))?;
    let mut jobs = connection.prepare_cached(if descending { JOBS_BACKWARDS } else { JOBS })?;
    let jobs = jobs.query_map(params![Sql(of), limit.get(), offset_of(offset)], |row| {
        let (Sql(tag), Sql(operator), Sql(operator_name)) = (row.get(1)?, row.get(6)?, row.get(7)?);
        let (Sql(created), Sql(updated)) = (row.get(8)?, row.get(9)?);
        Ok(SyncJob {
            id: row.get(0)?,
            repository: repository.clone(),
            tag,
            target: SyncTarget { region: row.get(2)?, organisation: row.get(3)? },
            overwrite: row.get(4)?,
            status: row.get(5)?,
            operator,
            operator_name,
            created,
            updated,
        })
    })?;
    Ok(Some(Listing { entries: jobs.collect::<Result<_, _>>()?, total }))
}

const TRIM_JOBS: &str = "
    DELETE FROM sync_jobs WHERE id IN (
        SELECT id FROM sync_jobs INDEXED BY sync_jobs_by_time WHERE updated < ?1 ORDER BY updated, id LIMIT ?2)";

pub(super) fn trim_jobs(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM_JOBS)?.execute(params![Sql(before), limit.get()])?;
    Ok(trimmed as u64)
}

// What must be true, and what changes.

pub(super) const SYNC: &str = "
    SELECT 1 FROM syncs WHERE repository = ?1 AND region = ?2 AND organisation = ?3";

const PUT: &str = "
    INSERT INTO syncs (repository, region, organisation, auto, overwrite, created, updated)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (repository, region, organisation) DO UPDATE SET auto = ?4, overwrite = ?5, updated = ?7
    WHERE (auto, overwrite) IS NOT (?4, ?5)";

const REMOVE: &str = "DELETE FROM syncs WHERE repository = ?1 AND region = ?2 AND organisation = ?3";

const ADD_JOB: &str = "
    INSERT INTO sync_jobs (
        repository, tag, region, organisation, overwrite, status, operator, operator_name, created, updated)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

impl Applying<'_> {
    pub(super) fn put_sync(&self, sync: &SyncRule) -> Result<Effect, WriteError> {
        let SyncRule { id: _, repository, target, auto, overwrite, created, updated } = sync;
        let SyncTarget { region, organisation } = target;
        let Some(of) = self.listed(repository)? else { return Ok(Effect::Nothing) };
        let put = params![Sql(of), region, organisation, auto, overwrite, Sql(*created), Sql(*updated)];
        self.put(SYNC, params![Sql(of), region, organisation], PUT, put)
    }

    pub(super) fn remove_sync(
        &self,
        repository: &RepositoryName,
        SyncTarget { region, organisation }: &SyncTarget,
    ) -> Result<Effect, WriteError> {
        match self.listed(repository)? {
            Some(of) => self.remove(REMOVE, params![Sql(of), region, organisation]),
            None => Ok(Effect::Nothing),
        }
    }

    pub(super) fn add_sync_job(&self, job: &SyncJob) -> Result<Effect, WriteError> {
        let SyncJob { id: _, repository, tag, target, overwrite, status, .. } = job;
        let SyncJob { operator, operator_name, created, updated, .. } = job;
        let SyncTarget { region, organisation } = target;
        let Some(of) = self.listed(repository)? else { return Ok(Effect::Nothing) };
        self.writing.claim_room()?;
        let added = params![
            Sql(of),
            Sql(tag),
            region,
            organisation,
            overwrite,
            status,
            Sql(operator),
            Sql(operator_name),
            Sql(*created),
            Sql(*updated),
        ];
        self.run(ADD_JOB, added)?;
        Ok(Effect::Created)
    }
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[SYNCS, JOBS_COUNT, JOBS, JOBS_BACKWARDS, TRIM_JOBS, SYNC, PUT, REMOVE, ADD_JOB];
