//! The questions: each one statement that goes by keys, whatever the store has grown to.

use std::num::NonZeroU32;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use swr_core::commit::{BlobLocation, RepositoryId, StoredBlob};
use swr_core::descriptor::Descriptor;
use swr_core::digest::Digest;
use swr_core::manifest::StoredManifest;
use swr_core::media_type::MediaType;
use swr_core::ports::{LinkedBlob, Page, PullCount, TagRecord, WithBytes};
use swr_core::reference::Reference;
use swr_core::{RepositoryName, Tag};

use super::columns::Sql;
use crate::page_weight::PageWeight;

const REPOSITORY: &str = "SELECT id FROM repositories WHERE name = ?1";

pub(super) fn repository(
    connection: &Connection,
    name: &RepositoryName,
) -> rusqlite::Result<Option<RepositoryId>> {
    let mut id = connection.prepare_cached(REPOSITORY)?;
    id.query_row([Sql(name)], |row| row.get(0)).optional().map(|id| id.map(|Sql(id)| id))
}

const LISTED: &str = "SELECT id FROM repositories WHERE name = ?1 AND listed = 1";

pub(super) fn listed(
    connection: &Connection,
    name: &RepositoryName,
) -> rusqlite::Result<Option<RepositoryId>> {
    let mut id = connection.prepare_cached(LISTED)?;
    id.query_row([Sql(name)], |row| row.get(0)).optional().map(|id| id.map(|Sql(id)| id))
}

pub(super) fn is_listed(connection: &Connection, name: &RepositoryName) -> rusqlite::Result<bool> {
    listed(connection, name).map(|id| id.is_some())
}

const FACTS_BY_TAG: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since
    FROM repositories
    JOIN tags ON tags.repository = repositories.id
    JOIN manifests ON manifests.id = tags.manifest
    WHERE repositories.name = ?1 AND tags.name = ?2";

const FACTS_BY_DIGEST: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since
    FROM repositories
    JOIN manifests ON manifests.repository = repositories.id
    WHERE repositories.name = ?1 AND manifests.digest = ?2";

const MANIFEST_BY_TAG: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since,
        manifest_contents.bytes
    FROM repositories
    JOIN tags ON tags.repository = repositories.id
    JOIN manifests ON manifests.id = tags.manifest
    JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE repositories.name = ?1 AND tags.name = ?2";

const MANIFEST_BY_DIGEST: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since,
        manifest_contents.bytes
    FROM repositories
    JOIN manifests ON manifests.repository = repositories.id
    JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE repositories.name = ?1 AND manifests.digest = ?2";

pub(super) fn resolve(
    connection: &Connection,
    repository: &RepositoryName,
    reference: &Reference,
    bytes: WithBytes,
) -> rusqlite::Result<Option<StoredManifest>> {
    let found = |row: &Row<'_>| {
        let bytes = match bytes {
            WithBytes::Yes => Some(Bytes::copy_from_slice(row.get_ref(4)?.as_blob()?)),
            WithBytes::No => None,
        };
        let Sql(digest) = row.get(0)?;
        let Sql(media_type) = row.get(1)?;
        let Sql(size) = row.get(2)?;
        let unused_since = row.get::<_, Option<_>>(3)?.map(|Sql(since)| since);
        Ok(StoredManifest { digest, media_type, size, bytes, unused_since })
    };
    match (reference, bytes) {
        (Reference::Tag(tag), WithBytes::No) => {
            connection.prepare_cached(FACTS_BY_TAG)?.query_row(params![Sql(repository), Sql(tag)], found)
        }
        (Reference::Tag(tag), WithBytes::Yes) => {
            connection.prepare_cached(MANIFEST_BY_TAG)?.query_row(params![Sql(repository), Sql(tag)], found)
        }
        (Reference::Digest(digest), WithBytes::No) => connection
            .prepare_cached(FACTS_BY_DIGEST)?
            .query_row(params![Sql(repository), Sql(digest)], found),
        (Reference::Digest(digest), WithBytes::Yes) => connection
            .prepare_cached(MANIFEST_BY_DIGEST)?
            .query_row(params![Sql(repository), Sql(digest)], found),
    }
    .optional()
}

const TAGS: &str = "
    SELECT tags.name, manifests.digest, tags.updated
    FROM tags JOIN manifests ON manifests.id = tags.manifest
    WHERE tags.repository = ?1 AND tags.name > ?2
    ORDER BY tags.name LIMIT ?3";

pub(super) fn tags(
    connection: &Connection,
    repository: &RepositoryName,
    page: &Page<Tag>,
) -> rusqlite::Result<Option<Vec<TagRecord>>> {
    let Some(id) = listed(connection, repository)? else { return Ok(None) };
    // Every tag comes after the empty text.
    let after = page.after.as_ref().map_or("", Tag::as_str);
    let mut tags = connection.prepare_cached(TAGS)?;
    let tags = tags.query_map(params![Sql(id), after, page.limit.get()], |row| {
        let (Sql(tag), Sql(digest), Sql(updated)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(TagRecord { tag, digest, updated })
    })?;
    tags.collect::<Result<_, _>>().map(Some)
}

const TAGS_OF: &str = "
    SELECT tags.name
    FROM repositories
    JOIN manifests ON manifests.repository = repositories.id
    JOIN tags ON tags.manifest = manifests.id
    WHERE repositories.name = ?1 AND manifests.digest = ?2
    ORDER BY tags.name LIMIT ?3";

pub(super) fn tags_of(
    connection: &Connection,
    repository: &RepositoryName,
    digest: &Digest,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<Tag>> {
    let mut tags = connection.prepare_cached(TAGS_OF)?;
    let tags = tags.query_map(params![Sql(repository), Sql(digest), limit.get()], |row| row.get(0))?;
    tags.map(|tag| tag.map(|Sql(tag)| tag)).collect()
}

const REFERRERS: &str = "
    SELECT manifests.media_type, manifests.digest, manifests.size, manifests.artifact_type,
        manifest_contents.annotations
    FROM manifests JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE manifests.repository = ?1 AND manifests.subject = ?2 AND manifests.digest > ?3
    ORDER BY manifests.digest LIMIT ?4";

const REFERRERS_OF_TYPE: &str = "
    SELECT manifests.media_type, manifests.digest, manifests.size, manifests.artifact_type,
        manifest_contents.annotations
    FROM manifests JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE manifests.repository = ?1 AND manifests.subject = ?2 AND manifests.artifact_type = ?5
        AND manifests.digest > ?3
    ORDER BY manifests.digest LIMIT ?4";

pub(super) fn referrers(
    connection: &Connection,
    repository: &RepositoryName,
    subject: &Digest,
    of_type: Option<&MediaType>,
    page: &Page<Digest>,
) -> rusqlite::Result<Vec<Descriptor>> {
    let Some(id) = self::repository(connection, repository)? else { return Ok(Vec::new()) };
    let mut referrers =
        connection.prepare_cached(if of_type.is_some() { REFERRERS_OF_TYPE } else { REFERRERS })?;
    referrers.raw_bind_parameter(1, Sql(id))?;
    referrers.raw_bind_parameter(2, Sql(subject))?;
    match &page.after {
        Some(after) => referrers.raw_bind_parameter(3, Sql(after))?,
        // Every digest comes after the empty blob.
        None => referrers.raw_bind_parameter(3, &[][..])?,
    }
    referrers.raw_bind_parameter(4, page.limit.get())?;
    if let Some(of_type) = of_type {
        referrers.raw_bind_parameter(5, Sql(of_type))?;
    }
    let mut rows = referrers.raw_query();
    let mut weight = PageWeight::default();
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let descriptor = descriptor(row)?;
        if !weight.takes(&descriptor) {
            break;
        }
        listed.push(descriptor);
    }
    Ok(listed)
}

fn descriptor(row: &Row<'_>) -> rusqlite::Result<Descriptor> {
    let (Sql(media_type), Sql(digest), Sql(size)) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let artifact_type = row.get::<_, Option<_>>(3)?.map(|Sql(of)| of);
    let annotations = from_json(row, 4)?;
    Ok(Descriptor { media_type, digest, size, artifact_type, annotations })
}

/// The value that a column has as JSON.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

const BLOB: &str = "
    SELECT blobs.size, blobs.location, links.renewed
    FROM repositories
    JOIN links ON links.repository = repositories.id
    JOIN blobs ON blobs.digest = links.digest
    WHERE repositories.name = ?1 AND links.digest = ?2 AND blobs.quarantined = 0";

pub(super) fn blob(
    connection: &Connection,
    repository: &RepositoryName,
    digest: &Digest,
) -> rusqlite::Result<Option<LinkedBlob>> {
    let mut blob = connection.prepare_cached(BLOB)?;
    blob.query_row(params![Sql(repository), Sql(digest)], |row| {
        let (Sql(size), Sql(location), Sql(renewed)) =
            (row.get(0)?, row.get::<_, Sql<BlobLocation>>(1)?, row.get(2)?);
        Ok(LinkedBlob { stored: StoredBlob { digest: *digest, size, location }, renewed })
    })
    .optional()
}

const MANIFESTS_NAMING: &str = "
    SELECT DISTINCT manifests.digest
    FROM repositories
    JOIN manifest_references ON manifest_references.repository = repositories.id
    JOIN manifests ON manifests.id = manifest_references.manifest
    WHERE repositories.name = ?1 AND manifest_references.digest = ?2
    ORDER BY manifests.digest LIMIT ?3";

pub(super) fn manifests_naming(
    connection: &Connection,
    repository: &RepositoryName,
    digest: &Digest,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<Digest>> {
    let mut naming = connection.prepare_cached(MANIFESTS_NAMING)?;
    let naming = naming.query_map(params![Sql(repository), Sql(digest), limit.get()], |row| row.get(0))?;
    naming.map(|digest| digest.map(|Sql(digest)| digest)).collect()
}

const REPOSITORIES: &str = "
    SELECT name FROM repositories INDEXED BY repositories_listed
    WHERE listed = 1 AND name > ?1 ORDER BY name LIMIT ?2";

pub(super) fn repositories(
    connection: &Connection,
    page: &Page<RepositoryName>,
) -> rusqlite::Result<Vec<RepositoryName>> {
    let after = page.after.as_ref().map_or("", RepositoryName::as_str);
    let mut names = connection.prepare_cached(REPOSITORIES)?;
    let names = names.query_map(params![after, page.limit.get()], |row| row.get(0))?;
    names.map(|name| name.map(|Sql(name)| name)).collect()
}

/// The character after `/` is `0`.
const HOLDERS: &str = "
    SELECT repositories.name
    FROM blobs
    JOIN links ON links.digest = blobs.digest
    JOIN repositories ON repositories.id = links.repository
    WHERE blobs.digest = ?1 AND blobs.quarantined = 0 AND repositories.name IS NOT NULL
    ORDER BY repositories.name = ?2 OR (repositories.name > ?2 || '/' AND repositories.name < ?2 || '0') DESC,
        repositories.name
    LIMIT ?3";

pub(super) fn holders(
    connection: &Connection,
    digest: &Digest,
    near: &RepositoryName,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<RepositoryName>> {
    let near = near.components().next().unwrap_or_default();
    let mut names = connection.prepare_cached(HOLDERS)?;
    let names = names.query_map(params![Sql(digest), near, limit.get()], |row| row.get(0))?;
    names.map(|name| name.map(|Sql(name)| name)).collect()
}

const PULLS_OF_TAG: &str = "
    SELECT tags.pulls, tags.pulled
    FROM repositories JOIN tags ON tags.repository = repositories.id
    WHERE repositories.name = ?1 AND tags.name = ?2 AND tags.pulled IS NOT NULL";

const PULLS_OF_MANIFEST: &str = "
    SELECT manifests.pulls, manifests.pulled
    FROM repositories JOIN manifests ON manifests.repository = repositories.id
    WHERE repositories.name = ?1 AND manifests.digest = ?2 AND manifests.pulled IS NOT NULL";

pub(super) fn pulls(
    connection: &Connection,
    repository: &RepositoryName,
    reference: &Reference,
) -> rusqlite::Result<Option<PullCount>> {
    let found = |row: &Row<'_>| {
        let (Sql(count), Sql(last)) = (row.get(0)?, row.get(1)?);
        Ok(PullCount { repository: repository.clone(), reference: reference.clone(), count, last })
    };
    match reference {
        Reference::Tag(tag) => {
            connection.prepare_cached(PULLS_OF_TAG)?.query_row(params![Sql(repository), Sql(tag)], found)
        }
        Reference::Digest(digest) => connection
            .prepare_cached(PULLS_OF_MANIFEST)?
            .query_row(params![Sql(repository), Sql(digest)], found),
    }
    .optional()
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    REPOSITORY,
    LISTED,
    FACTS_BY_TAG,
    FACTS_BY_DIGEST,
    MANIFEST_BY_TAG,
    MANIFEST_BY_DIGEST,
    TAGS,
    TAGS_OF,
    REFERRERS,
    REFERRERS_OF_TYPE,
    BLOB,
    REPOSITORIES,
    PULLS_OF_TAG,
    PULLS_OF_MANIFEST,
];

/// These sort all that holds or names one digest.
#[cfg(test)]
pub(super) const SORTED: &[&str] = &[MANIFESTS_NAMING, HOLDERS];
