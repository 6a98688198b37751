//! What nobody needs: released, discarded, deleted, forgotten. Each step finds its work by an index that
//! holds nothing else, so that its cost follows the garbage and not the store.

use std::num::NonZeroU32;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use swr_core::RepositoryName;
use swr_core::caller::{Actor, Channel, Origin, Task};
use swr_core::commit::{BlobLocation, Change, RepositoryId, StoredBlob};
use swr_core::digest::Digest;
use swr_core::ports::{BlobRecord, ContentState, KeptManifest, Page, Released, Unused};

use super::columns::Sql;
use super::connections::{WriteError, Writing};
use super::manifest_commit::{Changing, RECORD_IS_UNLINKED, Recorded, UNLINK, remove_manifest_rows};
use crate::page_weight::PageWeight;

// The longest unused go first, and are told in the order of their names.

const UNUSED_MANIFESTS: &str = "
    SELECT name, digest FROM (
        SELECT repositories.name, manifests.digest
        FROM manifests INDEXED BY manifests_unused
        CROSS JOIN repositories ON repositories.id = manifests.repository
        WHERE manifests.unused_since < ?1 AND repositories.name IS NOT NULL
        ORDER BY manifests.unused_since LIMIT ?2)
    ORDER BY name, digest";

const UNNAMED_LINKS: &str = "
    SELECT name, digest FROM (
        SELECT repositories.name, links.digest
        FROM links INDEXED BY links_unnamed
        CROSS JOIN repositories ON repositories.id = links.repository
        WHERE links.named = 0 AND links.renewed < ?1 AND repositories.name IS NOT NULL
        ORDER BY links.renewed LIMIT ?2)
    ORDER BY name, digest";

const VACANT_REPOSITORIES: &str = "
    DELETE FROM repositories WHERE id IN (
        SELECT id FROM repositories INDEXED BY repositories_vacant
        WHERE vacant = 1 AND made < ?1 ORDER BY made LIMIT ?2)";

pub(super) fn release_unused(
    writing: &Writing<'_>,
    unused: &Unused,
    limit: NonZeroU32,
) -> Result<Released, WriteError> {
    let connection = writing.connection;
    let limit = u64::from(limit.get());
    let mut released = Released::default();
    empty_removed(connection, &mut released, limit)?;

    let actor = Actor::Caretaker(Task::Collection);
    let origin = Origin { channel: Channel::System, ..Origin::default() };
    let recorded = Recorded::new(&actor, &origin)?;
    let release = |found: Vec<(RepositoryName, Digest)>, removal: fn(Digest) -> Change| {
        for of_one in found.chunk_by(|(one, _), (next, _)| one == next) {
            let Some((name, _)) = of_one.first() else { continue };
            let mut changing = Changing::begin(writing, name, &recorded, unused.at)?;
            for (_, digest) in of_one {
                changing.apply(&removal(*digest))?;
            }
            changing.end()?;
        }
        Ok::<_, WriteError>(())
    };

    if let Some(before) = unused.manifests_before {
        let manifests = expired(connection, UNUSED_MANIFESTS, before, limit - released.manifests)?;
        released.manifests += manifests.len() as u64;
        release(manifests, Change::RemoveManifest)?;
    }
    let links = expired(connection, UNNAMED_LINKS, unused.links_before, limit - released.links)?;
    released.links += links.len() as u64;
    release(links, Change::UnlinkBlob)?;

    let mut vacant = connection.prepare_cached(VACANT_REPOSITORIES)?;
    let room = limit - released.repositories;
    released.repositories += vacant.execute(params![Sql(unused.links_before), Sql(room)])? as u64;
    Ok(released)
}

fn expired(
    connection: &Connection,
    statement: &str,
    before: DateTime<Utc>,
    limit: u64,
) -> rusqlite::Result<Vec<(RepositoryName, Digest)>> {
    let mut expired = connection.prepare_cached(statement)?;
    let expired = expired.query_map(params![Sql(before), Sql(limit)], |row| {
        Ok((row.get::<_, Sql<_>>(0)?.0, row.get::<_, Sql<_>>(1)?.0))
    })?;
    expired.collect()
}

const REMOVED_REPOSITORIES: &str = "
    SELECT id FROM repositories INDEXED BY repositories_removed WHERE name IS NULL ORDER BY id LIMIT ?1";

const MANIFESTS_IN: &str = "SELECT id FROM manifests WHERE repository = ?1 ORDER BY digest LIMIT ?2";

const LINKS_IN: &str = "SELECT digest FROM links WHERE repository = ?1 ORDER BY digest LIMIT ?2";

const FORGET_EMPTY: &str = "
    DELETE FROM repositories
    WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = ?1)
        AND NOT EXISTS (SELECT 1 FROM links WHERE repository = ?1)";

/// Takes apart what hangs on ids that no name leads to.
fn empty_removed(connection: &Connection, released: &mut Released, limit: u64) -> rusqlite::Result<()> {
    let mut removed = connection.prepare_cached(REMOVED_REPOSITORIES)?;
    let removed: Vec<Sql<RepositoryId>> =
        removed.query_map([Sql(limit)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for id in &removed {
        let mut manifests = connection.prepare_cached(MANIFESTS_IN)?;
        let manifests: Vec<i64> = manifests
            .query_map(params![id, Sql(limit - released.manifests)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for manifest in &manifests {
            remove_manifest_rows(connection, *manifest)?;
        }
        released.manifests += manifests.len() as u64;

        let mut links = connection.prepare_cached(LINKS_IN)?;
        let links: Vec<Sql<Digest>> = links
            .query_map(params![id, Sql(limit - released.links)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for Sql(digest) in &links {
            connection.prepare_cached(UNLINK)?.execute(params![id, Sql(digest)])?;
            connection.prepare_cached(RECORD_IS_UNLINKED)?.execute([Sql(digest)])?;
        }
        released.links += links.len() as u64;

        released.repositories += connection.prepare_cached(FORGET_EMPTY)?.execute([id])? as u64;
    }
    Ok(())
}

const UNLINKED: &str = "
    SELECT digest, location FROM blobs INDEXED BY blobs_unlinked
    WHERE unlinked = 1 AND made < ?1 ORDER BY made LIMIT ?2";

const DISCARD: &str = "DELETE FROM blobs WHERE digest = ?1";

/// One writer: nobody links between the question and the removal, and the table of links would refuse it.
pub(super) fn discard_unlinked(
    connection: &Connection,
    before: DateTime<Utc>,
    at: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let mut unlinked = connection.prepare_cached(UNLINKED)?;
    let unlinked: Vec<(Sql<Digest>, Sql<BlobLocation>)> = unlinked
        .query_map(params![Sql(before), limit.get()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (Sql(digest), Sql(location)) in &unlinked {
        connection.prepare_cached(DISCARD)?.execute([Sql(digest)])?;
        list_garbage(connection, location, at)?;
    }
    Ok(unlinked.len() as u64)
}

const LIST: &str = "
    INSERT INTO garbage (location, listed_at) VALUES (?1, ?2)
    ON CONFLICT (location) DO UPDATE SET listed_at = ?2, spent_at = NULL";

/// Lists what was a record's location.
pub(super) fn list_garbage(
    connection: &Connection,
    location: &BlobLocation,
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    connection.prepare_cached(LIST)?.execute(params![Sql(location), Sql(at)]).map(drop)
}

const RECORD_AT: &str = "SELECT 1 FROM blobs WHERE digest = ?1 AND location = ?2";

const LIST_STRAY: &str = "INSERT OR IGNORE INTO garbage (location, listed_at) VALUES (?1, ?2)";

pub(super) fn discard_stray(
    connection: &Connection,
    StoredBlob { digest, location, .. }: &StoredBlob,
    at: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    if connection.prepare_cached(RECORD_AT)?.exists(params![Sql(digest), Sql(location)])? {
        return Ok(false);
    }
    connection.prepare_cached(LIST_STRAY)?.execute(params![Sql(location), Sql(at)])?;
    Ok(true)
}

const GARBAGE: &str = "
    SELECT location FROM garbage INDEXED BY garbage_waiting
    WHERE spent_at IS NULL AND location > ?1 AND listed_at < ?2 ORDER BY location LIMIT ?3";

pub(super) fn garbage(
    connection: &Connection,
    listed_before: DateTime<Utc>,
    page: &Page<BlobLocation>,
) -> rusqlite::Result<Vec<BlobLocation>> {
    let mut garbage = connection.prepare_cached(GARBAGE)?;
    let after = page.after.as_ref().map_or("", BlobLocation::as_str);
    let garbage =
        garbage.query_map(params![after, Sql(listed_before), page.limit.get()], |row| row.get(0))?;
    garbage.map(|location| location.map(|Sql(location)| location)).collect()
}

const FORGET: &str = "UPDATE garbage SET spent_at = ?2 WHERE location = ?1 AND spent_at IS NULL";

pub(super) fn forget_garbage(
    connection: &Connection,
    locations: &[BlobLocation],
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    let mut forget = connection.prepare_cached(FORGET)?;
    locations.iter().try_for_each(|location| forget.execute(params![Sql(location), Sql(at)]).map(drop))
}

const TRIM_SPENT: &str = "
    DELETE FROM garbage WHERE location IN (
        SELECT location FROM garbage INDEXED BY garbage_spent
        WHERE spent_at < ?1 ORDER BY spent_at LIMIT ?2)";

pub(super) fn trim_spent(
    connection: &Connection,
    spent_before: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM_SPENT)?.execute(params![Sql(spent_before), limit.get()])?;
    Ok(trimmed as u64)
}

const RECORDS: &str = "
    SELECT digest, size, location, quarantined FROM blobs WHERE digest > ?1 ORDER BY digest LIMIT ?2";

pub(super) fn records(connection: &Connection, page: &Page<Digest>) -> rusqlite::Result<Vec<BlobRecord>> {
    let mut records = connection.prepare_cached(RECORDS)?;
    match &page.after {
        Some(after) => records.raw_bind_parameter(1, Sql(after))?,
        // Every digest comes after the empty blob.
        None => records.raw_bind_parameter(1, &[][..])?,
    }
    records.raw_bind_parameter(2, page.limit.get())?;
    let mut rows = records.raw_query();
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let (Sql(digest), Sql(size), Sql(location)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        listed.push(BlobRecord { stored: StoredBlob { digest, size, location }, quarantined: row.get(3)? });
    }
    Ok(listed)
}

const SPENT: &str = "SELECT spent_at IS NOT NULL FROM garbage WHERE location = ?1";

pub(super) fn content_state(
    connection: &Connection,
    digest: &Digest,
    location: &BlobLocation,
) -> rusqlite::Result<ContentState> {
    if connection.prepare_cached(RECORD_AT)?.exists(params![Sql(digest), Sql(location)])? {
        return Ok(ContentState::Recorded);
    }
    let spent = connection.prepare_cached(SPENT)?.query_row([Sql(location)], |row| row.get(0)).optional()?;
    Ok(match spent {
        None => ContentState::Unknown,
        Some(false) => ContentState::Listed,
        Some(true) => ContentState::Spent,
    })
}

const KEPT_MANIFESTS: &str = "
    SELECT manifests.repository, repositories.name, manifests.digest, manifest_contents.bytes
    FROM manifests
    CROSS JOIN repositories ON repositories.id = manifests.repository
    CROSS JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE (manifests.repository, manifests.digest) > (?1, ?2) AND repositories.name IS NOT NULL
    ORDER BY manifests.repository, manifests.digest LIMIT ?3";

pub(super) fn kept_manifests(
    connection: &Connection,
    page: &Page<(RepositoryId, Digest)>,
) -> rusqlite::Result<Vec<KeptManifest>> {
    let mut manifests = connection.prepare_cached(KEPT_MANIFESTS)?;
    match &page.after {
        Some((repository, digest)) => {
            manifests.raw_bind_parameter(1, Sql(*repository))?;
            manifests.raw_bind_parameter(2, Sql(digest))?;
        }
        None => {
            manifests.raw_bind_parameter(1, i64::MIN)?;
            manifests.raw_bind_parameter(2, &[][..])?;
        }
    }
    manifests.raw_bind_parameter(3, page.limit.get())?;
    let mut rows = manifests.raw_query();
    let mut weight = PageWeight::of_manifests();
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(3)?.as_blob()?;
        if !weight.takes_bytes(bytes.len()) {
            break;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let (Sql(repository), Sql(name), Sql(digest)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        kept.push(KeptManifest { repository, name, digest, bytes });
    }
    Ok(kept)
}

const QUARANTINE: &str = "UPDATE blobs SET quarantined = 1 WHERE digest = ?1 AND location = ?2";

pub(super) fn quarantine(
    connection: &Connection,
    digest: &Digest,
    location: &BlobLocation,
) -> rusqlite::Result<()> {
    connection.prepare_cached(QUARANTINE)?.execute(params![Sql(digest), Sql(location)]).map(drop)
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    VACANT_REPOSITORIES,
    REMOVED_REPOSITORIES,
    MANIFESTS_IN,
    LINKS_IN,
    FORGET_EMPTY,
    UNLINKED,
    DISCARD,
    LIST,
    RECORD_AT,
    LIST_STRAY,
    GARBAGE,
    FORGET,
    TRIM_SPENT,
    RECORDS,
    SPENT,
    KEPT_MANIFESTS,
    QUARANTINE,
];

/// These sort what they found, at most as much as was asked for.
#[cfg(test)]
pub(super) const SORTED: &[&str] = &[UNUSED_MANIFESTS, UNNAMED_LINKS];
