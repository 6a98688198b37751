//! What nobody needs: released, discarded, deleted, forgotten. Each step finds its work by an index that holds nothing
//! else, so that its cost follows the garbage and not the store.
//!
//! Work is looked for without a lock, and looked at once more under the locks of a few things at a time: no push waits
//! for more than that.

use std::num::NonZeroU32;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use swr_core::RepositoryName;
use swr_core::caller::{Actor, Channel, Origin, Task};
use swr_core::commit::{BlobLocation, Change, RepositoryId, StoredBlob};
use swr_core::digest::Digest;
use swr_core::ports::{BlobRecord, ContentState, Fence, KeptManifest, Page, Released, Unused};

use super::columns::Sql;
use super::connections::{Failure, Locks, Pool, Session, WriteError, all};
use super::event_log::NewEntries;
use super::manifest_commit::{Changing, Recorded, remove_manifest_rows};
use super::manifest_reads::column;
use crate::page_weight::PageWeight;

/// How many things are locked at a time.
const AT_ONCE: usize = 64;

// The longest unused go first, and are told in the order of their names.

const UNUSED_MANIFESTS: &str = "
    SELECT name, digest FROM (
        SELECT repositories.name, manifests.digest
        FROM manifests JOIN repositories ON repositories.id = manifests.repository
        WHERE manifests.unused_since < $1 AND repositories.name IS NOT NULL
        ORDER BY manifests.unused_since LIMIT $2) AS unused
    ORDER BY name, digest";

const STILL_UNUSED: &str = "
    SELECT manifests.digest
    FROM repositories JOIN manifests ON manifests.repository = repositories.id
    WHERE repositories.name = $1 AND manifests.digest = ANY ($2::bytea[]) AND manifests.unused_since < $3
    ORDER BY manifests.digest";

const UNNAMED_LINKS: &str = "
    SELECT name, digest FROM (
        SELECT repositories.name, links.digest
        FROM links JOIN repositories ON repositories.id = links.repository
        WHERE NOT links.named AND links.renewed < $1 AND repositories.name IS NOT NULL
        ORDER BY links.renewed LIMIT $2) AS unnamed
    ORDER BY name, digest";

const STILL_UNNAMED: &str = "
    SELECT links.digest
    FROM repositories JOIN links ON links.repository = repositories.id
    WHERE repositories.name = $1 AND links.digest = ANY ($2::bytea[]) AND NOT links.named AND links.renewed < $3
    ORDER BY links.digest";

const VACANT_REPOSITORIES: &str =
    "SELECT name FROM repositories WHERE vacant AND made < $1 ORDER BY made LIMIT $2";

const DROP_VACANT: &str = "DELETE FROM repositories WHERE name = ANY ($1::text[]) AND vacant AND made < $2";

pub(super) async fn release_unused(
    pool: &Pool,
    unused: &Unused,
    fence: &Fence,
    limit: NonZeroU32,
) -> Result<Released, WriteError> {
    // Also where there is nothing to do.
    pool.begin_fenced(&Locks::none(pool), fence).await?;
    let limit = i64::from(limit.get());
    let mut released = Released::default();
    empty_removed(pool, fence, &mut released, limit).await?;

    if let Some(before) = unused.manifests_before {
        let room = limit - released.manifests.cast_signed();
        let found = pool.session().await?.query(UNUSED_MANIFESTS, &[&Sql(before), &room]).await?;
        for (name, digests) in by_repository(&found)? {
            let locks = Locks::beside_others(pool).repository(&name);
            let kind = Kind { still: STILL_UNUSED, before, removal: Change::RemoveManifest };
            released.manifests += release(pool, fence, &locks, &kind, (&name, &digests), unused.at).await?;
        }
    }
    let room = limit - released.links.cast_signed();
    let found = pool.session().await?.query(UNNAMED_LINKS, &[&Sql(unused.links_before), &room]).await?;
    for (name, digests) in by_repository(&found)? {
        let locks = digests.iter().fold(Locks::beside_others(pool).repository(&name), Locks::digest);
        let kind = Kind { still: STILL_UNNAMED, before: unused.links_before, removal: Change::UnlinkBlob };
        released.links += release(pool, fence, &locks, &kind, (&name, &digests), unused.at).await?;
    }

    let room = limit - released.repositories.cast_signed();
    let vacant =
        pool.session().await?.query(VACANT_REPOSITORIES, &[&Sql(unused.links_before), &room]).await?;
    let vacant: Vec<RepositoryName> = column(vacant)?;
    for names in vacant.chunks(AT_ONCE) {
        let locks = names.iter().fold(Locks::beside_others(pool), Locks::repository);
        let transaction = pool.begin_fenced(&locks, fence).await?;
        released.repositories +=
            transaction.execute(DROP_VACANT, &[&all(names), &Sql(unused.links_before)]).await?;
        transaction.end(&NewEntries::default()).await?;
    }
    Ok(released)
}

/// A few at a time, of one repository.
fn by_repository(rows: &[Row]) -> Result<Vec<(RepositoryName, Vec<Digest>)>, Failure> {
    let mut of_each: Vec<(RepositoryName, Vec<Digest>)> = Vec::new();
    for row in rows {
        let (Sql(name), Sql(digest)) = (row.try_get(0)?, row.try_get(1)?);
        match of_each.last_mut() {
            Some((last, digests)) if *last == name && digests.len() < AT_ONCE => digests.push(digest),
            _ => of_each.push((name, vec![digest])),
        }
    }
    Ok(of_each)
}

/// What goes, and how it is seen that it still may.
struct Kind {
    still: &'static str,
    before: DateTime<Utc>,
    removal: fn(Digest) -> Change,
}

async fn release(
    pool: &Pool,
    fence: &Fence,
    locks: &Locks,
    Kind { still, before, removal }: &Kind,
    (name, digests): (&RepositoryName, &[Digest]),
    at: DateTime<Utc>,
) -> Result<u64, WriteError> {
    let transaction = pool.begin_fenced(locks, fence).await?;
    let still = transaction.query(still, &[&Sql(name), &all(digests), &Sql(*before)]).await?;
    let digests: Vec<Digest> = column(still)?;
    let actor = Actor::Caretaker(Task::Collection);
    let origin = Origin { channel: Channel::System, ..Origin::default() };
    let recorded = Recorded::of(&transaction, &actor, &origin).await?;
    let mut changing = Changing::begin(&transaction, name, &recorded, at).await?;
    for digest in &digests {
        changing.apply(&removal(*digest)).await?;
    }
    let mut entries = NewEntries::default();
    recorded.add(&mut entries, &changing.end().await?)?;
    transaction.end(&entries).await?;
    Ok(digests.len() as u64)
}

const REMOVED_REPOSITORIES: &str = "SELECT id FROM repositories WHERE name IS NULL ORDER BY id LIMIT $1";

const MANIFESTS_IN: &str = "SELECT id FROM manifests WHERE repository = $1 ORDER BY digest LIMIT $2";

const LINKS_IN: &str = "SELECT digest FROM links WHERE repository = $1 ORDER BY digest LIMIT $2";

const UNLINK_ALL: &str = "DELETE FROM links WHERE repository = $1 AND digest = ANY ($2::bytea[])";

const RECORDS_ARE_UNLINKED: &str = "
    UPDATE blobs SET unlinked = TRUE
    WHERE digest = ANY ($1::bytea[]) AND NOT EXISTS (SELECT 1 FROM links WHERE links.digest = blobs.digest)";

const FORGET_EMPTY: &str = "
    DELETE FROM repositories
    WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = $1)
        AND NOT EXISTS (SELECT 1 FROM links WHERE repository = $1)";

/// Takes apart what hangs on ids that no name leads to: nobody else changes it.
async fn empty_removed(
    pool: &Pool,
    fence: &Fence,
    released: &mut Released,
    limit: i64,
) -> Result<(), WriteError> {
    let removed: Vec<RepositoryId> =
        column(pool.session().await?.query(REMOVED_REPOSITORIES, &[&limit]).await?)?;
    for id in removed {
        let room = limit - released.manifests.cast_signed();
        let transaction = pool.begin_fenced(&Locks::beside_others(pool), fence).await?;
        let manifests = transaction.query(MANIFESTS_IN, &[&Sql(id), &room]).await?;
        for row in &manifests {
            remove_manifest_rows(&transaction, row.try_get(0)?).await?;
        }
        transaction.end(&NewEntries::default()).await?;
        released.manifests += manifests.len() as u64;

        let room = limit - released.links.cast_signed();
        let links: Vec<Digest> = column(pool.session().await?.query(LINKS_IN, &[&Sql(id), &room]).await?)?;
        for digests in links.chunks(AT_ONCE) {
            let locks = digests.iter().fold(Locks::beside_others(pool), Locks::digest);
            let transaction = pool.begin_fenced(&locks, fence).await?;
            released.links += transaction.execute(UNLINK_ALL, &[&Sql(id), &all(digests)]).await?;
            transaction.execute(RECORDS_ARE_UNLINKED, &[&all(digests)]).await?;
            transaction.end(&NewEntries::default()).await?;
        }

        let transaction = pool.begin_fenced(&Locks::beside_others(pool), fence).await?;
        released.repositories += transaction.execute(FORGET_EMPTY, &[&Sql(id)]).await?;
        transaction.end(&NewEntries::default()).await?;
    }
    Ok(())
}

const UNLINKED: &str = "SELECT digest FROM blobs WHERE unlinked AND made < $1 ORDER BY made LIMIT $2";

/// Asks for links after the digests have been locked.
const DISCARD: &str = "
    WITH dropped AS (
        DELETE FROM blobs
        WHERE digest = ANY ($1::bytea[]) AND unlinked AND made < $2
            AND NOT EXISTS (SELECT 1 FROM links WHERE links.digest = blobs.digest)
        RETURNING location),
    listed AS (
        INSERT INTO garbage (location, listed_at) SELECT DISTINCT location, $3::bigint FROM dropped
        ON CONFLICT (location) DO UPDATE SET listed_at = $3, spent_at = NULL)
    SELECT count(*) FROM dropped";

pub(super) async fn discard_unlinked(
    pool: &Pool,
    before: DateTime<Utc>,
    at: DateTime<Utc>,
    fence: &Fence,
    limit: NonZeroU32,
) -> Result<u64, WriteError> {
    pool.begin_fenced(&Locks::none(pool), fence).await?;
    let unlinked = pool.session().await?.query(UNLINKED, &[&Sql(before), &Sql(limit)]).await?;
    let unlinked: Vec<Digest> = column(unlinked)?;
    let mut discarded = 0;
    for digests in unlinked.chunks(AT_ONCE) {
        let locks = digests.iter().fold(Locks::beside_others(pool), Locks::digest);
        let transaction = pool.begin_fenced(&locks, fence).await?;
        let count = transaction.query(DISCARD, &[&all(digests), &Sql(before), &Sql(at)]).await?;
        discarded += column::<u64>(count)?.into_iter().sum::<u64>();
        transaction.end(&NewEntries::default()).await?;
    }
    Ok(discarded)
}

const LIST: &str = "
    INSERT INTO garbage (location, listed_at) VALUES ($1, $2)
    ON CONFLICT (location) DO UPDATE SET listed_at = $2, spent_at = NULL";

/// Lists what was a record's location.
pub(super) async fn list_garbage(
    session: &Session,
    location: &BlobLocation,
    at: DateTime<Utc>,
) -> Result<(), Failure> {
    session.execute(LIST, &[&Sql(location), &Sql(at)]).await.map(drop)
}

const RECORD_AT: &str = "SELECT 1 FROM blobs WHERE digest = $1 AND location = $2";

const LIST_STRAY: &str =
    "INSERT INTO garbage (location, listed_at) VALUES ($1, $2) ON CONFLICT (location) DO NOTHING";

pub(super) async fn discard_stray(
    pool: &Pool,
    StoredBlob { digest, location, .. }: &StoredBlob,
    at: DateTime<Utc>,
    fence: &Fence,
) -> Result<bool, WriteError> {
    let transaction = pool.begin_fenced(&Locks::beside_others(pool).digest(digest), fence).await?;
    if transaction.exists(RECORD_AT, &[&Sql(digest), &Sql(location)]).await? {
        return Ok(false);
    }
    transaction.execute(LIST_STRAY, &[&Sql(location), &Sql(at)]).await?;
    transaction.end(&NewEntries::default()).await?;
    Ok(true)
}

const GARBAGE: &str = "
    SELECT location FROM garbage
    WHERE spent_at IS NULL AND location > $1 AND listed_at < $2 ORDER BY location LIMIT $3";

pub(super) async fn garbage(
    session: &Session,
    listed_before: DateTime<Utc>,
    page: &Page<BlobLocation>,
) -> Result<Vec<BlobLocation>, Failure> {
    let after = page.after.as_ref().map_or("", BlobLocation::as_str);
    column(session.query(GARBAGE, &[&Sql(after), &Sql(listed_before), &Sql(page.limit)]).await?)
}

const FORGET: &str = "UPDATE garbage SET spent_at = $2 WHERE location = ANY($1) AND spent_at IS NULL";

pub(super) async fn forget_garbage(
    session: &Session,
    locations: &[BlobLocation],
    at: DateTime<Utc>,
) -> Result<(), Failure> {
    let locations: Vec<_> = locations.iter().map(Sql).collect();
    session.execute(FORGET, &[&locations, &Sql(at)]).await.map(drop)
}

const TRIM_SPENT: &str = "
    DELETE FROM garbage WHERE location IN (
        SELECT location FROM garbage WHERE spent_at < $1 ORDER BY spent_at LIMIT $2)";

pub(super) async fn trim_spent(
    session: &Session,
    spent_before: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<u64, Failure> {
    session.execute(TRIM_SPENT, &[&Sql(spent_before), &Sql(limit)]).await
}

/// Every digest comes after no bytes at all.
const RECORDS: &str = "
    SELECT digest, size, location, quarantined FROM blobs
    WHERE digest > coalesce($1::bytea, '') ORDER BY digest LIMIT $2";

pub(super) async fn records(session: &Session, page: &Page<Digest>) -> Result<Vec<BlobRecord>, Failure> {
    let rows = session.query(RECORDS, &[&page.after.as_ref().map(Sql), &Sql(page.limit)]).await?;
    let records = rows.iter().map(|row| {
        let (Sql(digest), Sql(size), Sql(location)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(BlobRecord { stored: StoredBlob { digest, size, location }, quarantined: row.try_get(3)? })
    });
    records.collect()
}

const SPENT: &str = "SELECT spent_at IS NOT NULL FROM garbage WHERE location = $1";

pub(super) async fn content_state(
    session: &Session,
    digest: &Digest,
    location: &BlobLocation,
) -> Result<ContentState, Failure> {
    if session.exists(RECORD_AT, &[&Sql(digest), &Sql(location)]).await? {
        return Ok(ContentState::Recorded);
    }
    let spent = session.query_opt(SPENT, &[&Sql(location)]).await?.map(|row| row.try_get(0)).transpose()?;
    Ok(match spent {
        None => ContentState::Unknown,
        Some(false) => ContentState::Listed,
        Some(true) => ContentState::Spent,
    })
}

macro_rules! kept_manifests {
    ($columns:literal, $with:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM manifests JOIN repositories ON repositories.id = manifests.repository ",
            $with,
            " WHERE (manifests.repository, manifests.digest) > ($1, coalesce($2::bytea, ''))
                AND repositories.name IS NOT NULL
            ORDER BY manifests.repository, manifests.digest LIMIT $3"
        )
    };
}

const KEPT_SIZES: &str = kept_manifests!("manifests.size", "");

const KEPT_MANIFESTS: &str = kept_manifests!(
    "manifests.repository, repositories.name, manifests.digest, manifest_contents.bytes",
    "JOIN manifest_contents ON manifest_contents.manifest = manifests.id"
);

/// As of one instant: how many there is room for is asked before any of them comes.
pub(super) async fn kept_manifests(
    session: &Session,
    page: &Page<(RepositoryId, Digest)>,
) -> Result<Vec<KeptManifest>, Failure> {
    let (repository, digest) = match &page.after {
        Some((repository, digest)) => (*repository, Some(Sql(digest))),
        None => (RepositoryId(i64::MIN), None),
    };
    let sizes: Vec<u64> =
        column(session.query(KEPT_SIZES, &[&Sql(repository), &digest, &Sql(page.limit)]).await?)?;
    let mut weight = PageWeight::of_manifests();
    let fitting =
        sizes.into_iter().take_while(|size| weight.takes_bytes(usize::try_from(*size).unwrap_or(usize::MAX)));
    let fitting = fitting.count() as i64;
    let rows = session.query(KEPT_MANIFESTS, &[&Sql(repository), &digest, &fitting]).await?;
    let kept = rows.iter().map(|row| {
        let (Sql(repository), Sql(name), Sql(digest)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(KeptManifest { repository, name, digest, bytes: Bytes::copy_from_slice(row.try_get(3)?) })
    });
    kept.collect()
}

const QUARANTINE: &str = "UPDATE blobs SET quarantined = TRUE WHERE digest = $1 AND location = $2";

/// Under the lock of the digest.
pub(super) async fn quarantine(
    session: &Session,
    digest: &Digest,
    location: &BlobLocation,
) -> Result<(), Failure> {
    session.execute(QUARANTINE, &[&Sql(digest), &Sql(location)]).await.map(drop)
}
