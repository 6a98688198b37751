//! What was asked of synchronisation.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};

use swr_core::RepositoryName;
use swr_core::control::change::Effect;
use swr_core::control::sync::{SyncJob, SyncRule, SyncTarget};
use swr_core::ports::Listing;

use super::columns::Sql;
use super::connections::{Failure, Params, Session, WriteError};
use super::manifest_reads::{first, listed};
use super::metadata_commit::Applying;
use super::repository_lists::offset_of;

const SYNCS: &str = "
    SELECT id, region, organisation, auto, overwrite, created, updated
    FROM syncs WHERE repository = $1 ORDER BY id";

pub(super) async fn syncs(
    session: &Session,
    repository: &RepositoryName,
) -> Result<Option<Vec<SyncRule>>, Failure> {
    let Some(of) = listed(session, repository).await? else { return Ok(None) };
    let rows = session.query(SYNCS, &[&Sql(of)]).await?;
    let syncs = rows.iter().map(|row| {
        let (Sql(region), Sql(organisation)) = (row.try_get(1)?, row.try_get(2)?);
        let (Sql(created), Sql(updated)) = (row.try_get(5)?, row.try_get(6)?);
        Ok(SyncRule {
            id: row.try_get(0)?,
            repository: repository.clone(),
            target: SyncTarget { region, organisation },
            auto: row.try_get(3)?,
            overwrite: row.try_get(4)?,
            created,
            updated,
        })
    });
    syncs.collect::<Result<_, Failure>>().map(Some)
}

const JOBS_COUNT: &str = "SELECT count(*) FROM sync_jobs WHERE repository = $1";

const JOBS: &str = "
    SELECT id, tag, region, organisation, overwrite, status, operator, operator_name, created, updated
    FROM sync_jobs WHERE repository = $1 ORDER BY id LIMIT $2 OFFSET $3";

const JOBS_BACKWARDS: &str = "
    SELECT id, tag, region, organisation, overwrite, status, operator, operator_name, created, updated
    FROM sync_jobs WHERE repository = $1 ORDER BY id DESC LIMIT $2 OFFSET $3";

pub(super) async fn sync_jobs(
    session: &Session,
    repository: &RepositoryName,
    descending: bool,
    offset: u64,
    limit: NonZeroU32,
) -> Result<Option<Listing<SyncJob>>, Failure> {
    let Some(of) = listed(session, repository).await? else { return Ok(None) };
    let total = first(session.query_opt(JOBS_COUNT, &[&Sql(of)]).await?)?.unwrap_or(0);
    let jobs = if descending { JOBS_BACKWARDS } else { JOBS };
    let rows = session.query(jobs, &[&Sql(of), &Sql(limit), &offset_of(offset)]).await?;
    let entries = rows.iter().map(|row| {
        let (Sql(tag), Sql(region), Sql(organisation)) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let (Sql(status), Sql(operator), Sql(operator_name)) =
            (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
        let (Sql(created), Sql(updated)) = (row.try_get(8)?, row.try_get(9)?);
        Ok(SyncJob {
            id: row.try_get(0)?,
            repository: repository.clone(),
            tag,
            target: SyncTarget { region, organisation },
            overwrite: row.try_get(4)?,
            status,
            operator,
            operator_name,
            created,
            updated,
        })
    });
    Ok(Some(Listing { entries: entries.collect::<Result<_, Failure>>()?, total }))
}

const TRIM_JOBS: &str = "
    DELETE FROM sync_jobs WHERE id IN (
        SELECT id FROM sync_jobs WHERE updated < $1 ORDER BY updated, id LIMIT $2)";

pub(super) async fn trim_jobs(
    session: &Session,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<u64, Failure> {
    session.execute(TRIM_JOBS, &[&Sql(before), &Sql(limit)]).await
}

// What must be true, and what changes.

pub(super) const SYNC: &str = "
    SELECT 1 FROM syncs WHERE repository = $1 AND region = $2 AND organisation = $3";

const PUT: &str = "
    INSERT INTO syncs AS before (repository, region, organisation, auto, overwrite, created, updated)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (repository, region, organisation) DO UPDATE SET auto = $4, overwrite = $5, updated = $7
    WHERE (before.auto, before.overwrite) IS DISTINCT FROM ($4, $5)";

const REMOVE: &str = "DELETE FROM syncs WHERE repository = $1 AND region = $2 AND organisation = $3";

const ADD_JOB: &str = "
    INSERT INTO sync_jobs (
        repository, tag, region, organisation, overwrite, status, operator, operator_name, created, updated)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

impl Applying<'_> {
    pub(super) async fn put_sync(&self, sync: &SyncRule) -> Result<Effect, WriteError> {
        let SyncRule { id: _, repository, target, auto, overwrite, created, updated } = sync;
        let Some(of) = self.listed(repository).await? else { return Ok(Effect::Nothing) };
        let (of, region, organisation) = (Sql(of), Sql(&*target.region), Sql(&*target.organisation));
        let row: Params<'_> = &[&of, &region, &organisation, auto, overwrite, &Sql(*created), &Sql(*updated)];
        self.put(SYNC, &[&of, &region, &organisation], PUT, row).await
    }

    pub(super) async fn remove_sync(
        &self,
        repository: &RepositoryName,
        SyncTarget { region, organisation }: &SyncTarget,
    ) -> Result<Effect, WriteError> {
        match self.listed(repository).await? {
            Some(of) => self.remove(REMOVE, &[&Sql(of), &Sql(&**region), &Sql(&**organisation)]).await,
            None => Ok(Effect::Nothing),
        }
    }

    pub(super) async fn add_sync_job(&self, job: &SyncJob) -> Result<Effect, WriteError> {
        let SyncJob { id: _, repository, tag, target, overwrite, status, .. } = job;
        let SyncJob { operator, operator_name, created, updated, .. } = job;
        let Some(of) = self.listed(repository).await? else { return Ok(Effect::Nothing) };
        let row: Params<'_> = &[
            &Sql(of),
            &Sql(tag),
            &Sql(&*target.region),
            &Sql(&*target.organisation),
            overwrite,
            &Sql(&**status),
            &Sql(operator),
            &Sql(operator_name),
            &Sql(*created),
            &Sql(*updated),
        ];
        self.run(ADD_JOB, row).await?;
        Ok(Effect::Created)
    }
}
