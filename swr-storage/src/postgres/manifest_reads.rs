//! The questions: each one statement that goes by keys, whatever the store has grown to.

use std::num::NonZeroU32;

use bytes::Bytes;
use tokio_postgres::Row;

use swr_core::commit::{RepositoryId, StoredBlob};
use swr_core::descriptor::Descriptor;
use swr_core::digest::Digest;
use swr_core::manifest::StoredManifest;
use swr_core::media_type::MediaType;
use swr_core::ports::{LinkedBlob, Page, PullCount, TagRecord, WithBytes};
use swr_core::reference::Reference;
use swr_core::{RepositoryName, Tag};

use super::columns::{Damaged, Sql};
use super::connections::{Failure, Session};
use crate::page_weight::PageWeight;

const REPOSITORY: &str = "SELECT id FROM repositories WHERE name = $1";

pub(super) async fn repository(
    session: &Session,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>, Failure> {
    first(session.query_opt(REPOSITORY, &[&Sql(name)]).await?)
}

const LISTED: &str = "SELECT id FROM repositories WHERE name = $1 AND listed";

pub(super) async fn listed(
    session: &Session,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>, Failure> {
    first(session.query_opt(LISTED, &[&Sql(name)]).await?)
}

/// The value in the only column.
pub(super) fn first<T>(row: Option<Row>) -> Result<Option<T>, Failure>
where
    Sql<T>: for<'a> tokio_postgres::types::FromSql<'a>,
{
    match row {
        Some(row) => Ok(Some(row.try_get::<_, Sql<T>>(0)?.0)),
        None => Ok(None),
    }
}

/// The values in the only column.
pub(super) fn column<T>(rows: Vec<Row>) -> Result<Vec<T>, Failure>
where
    Sql<T>: for<'a> tokio_postgres::types::FromSql<'a>,
{
    rows.iter().map(|row| Ok(row.try_get::<_, Sql<T>>(0)?.0)).collect()
}

/// The value that a column has, where it is not null.
pub(super) fn optional<T>(row: &Row, column: usize) -> Result<Option<T>, Failure>
where
    Sql<T>: for<'a> tokio_postgres::types::FromSql<'a>,
{
    Ok(row.try_get::<_, Option<Sql<T>>>(column)?.map(|Sql(value)| value))
}

/// The value that a column has as JSON.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> Result<T, Failure> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| {
        tracing::error!(%error, "a column is damaged");
        Failure::Damaged(Damaged("JSON of its kind"))
    })
}

const FACTS_BY_TAG: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since
    FROM repositories
    JOIN tags ON tags.repository = repositories.id
    JOIN manifests ON manifests.id = tags.manifest
    WHERE repositories.name = $1 AND tags.name = $2";

const FACTS_BY_DIGEST: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since
    FROM repositories
    JOIN manifests ON manifests.repository = repositories.id
    WHERE repositories.name = $1 AND manifests.digest = $2";

const MANIFEST_BY_TAG: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since,
        manifest_contents.bytes
    FROM repositories
    JOIN tags ON tags.repository = repositories.id
    JOIN manifests ON manifests.id = tags.manifest
    JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE repositories.name = $1 AND tags.name = $2";

const MANIFEST_BY_DIGEST: &str = "
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.unused_since,
        manifest_contents.bytes
    FROM repositories
    JOIN manifests ON manifests.repository = repositories.id
    JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE repositories.name = $1 AND manifests.digest = $2";

pub(super) async fn resolve(
    session: &Session,
    repository: &RepositoryName,
    reference: &Reference,
    bytes: WithBytes,
) -> Result<Option<StoredManifest>, Failure> {
    let row = match (reference, bytes) {
        (Reference::Tag(tag), WithBytes::No) => {
            session.query_opt(FACTS_BY_TAG, &[&Sql(repository), &Sql(tag)]).await?
        }
        (Reference::Tag(tag), WithBytes::Yes) => {
            session.query_opt(MANIFEST_BY_TAG, &[&Sql(repository), &Sql(tag)]).await?
        }
        (Reference::Digest(digest), WithBytes::No) => {
            session.query_opt(FACTS_BY_DIGEST, &[&Sql(repository), &Sql(digest)]).await?
        }
        (Reference::Digest(digest), WithBytes::Yes) => {
            session.query_opt(MANIFEST_BY_DIGEST, &[&Sql(repository), &Sql(digest)]).await?
        }
    };
    let Some(row) = row else { return Ok(None) };
    let bytes = match bytes {
        WithBytes::Yes => Some(Bytes::copy_from_slice(row.try_get(4)?)),
        WithBytes::No => None,
    };
    let (Sql(digest), Sql(media_type), Sql(size)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Some(StoredManifest { digest, media_type, size, bytes, unused_since: optional(&row, 3)? }))
}

/// One row with nulls where the repository has no such tags.
const TAGS: &str = "
    SELECT tags.name, tags.digest, tags.updated
    FROM repositories LEFT JOIN LATERAL (
        SELECT tags.name, manifests.digest, tags.updated
        FROM tags JOIN manifests ON manifests.id = tags.manifest
        WHERE tags.repository = repositories.id AND tags.name > $2
        ORDER BY tags.name LIMIT $3) AS tags ON TRUE
    WHERE repositories.name = $1 AND repositories.listed
    ORDER BY tags.name";

pub(super) async fn tags(
    session: &Session,
    repository: &RepositoryName,
    page: &Page<Tag>,
) -> Result<Option<Vec<TagRecord>>, Failure> {
    // Every tag comes after the empty text.
    let after = page.after.as_ref().map_or("", Tag::as_str);
    let rows = session.query(TAGS, &[&Sql(repository), &Sql(after), &Sql(page.limit)]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut tags = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(tag) = optional(row, 0)? else { continue };
        let (Sql(digest), Sql(updated)) = (row.try_get(1)?, row.try_get(2)?);
        tags.push(TagRecord { tag, digest, updated });
    }
    Ok(Some(tags))
}

const TAGS_OF: &str = "
    SELECT tags.name
    FROM repositories
    JOIN manifests ON manifests.repository = repositories.id
    JOIN tags ON tags.manifest = manifests.id
    WHERE repositories.name = $1 AND manifests.digest = $2
    ORDER BY tags.name LIMIT $3";

pub(super) async fn tags_of(
    session: &Session,
    repository: &RepositoryName,
    digest: &Digest,
    limit: NonZeroU32,
) -> Result<Vec<Tag>, Failure> {
    column(session.query(TAGS_OF, &[&Sql(repository), &Sql(digest), &Sql(limit)]).await?)
}

const REFERRERS: &str = "
    SELECT manifests.media_type, manifests.digest, manifests.size, manifests.artifact_type,
        manifest_contents.annotations
    FROM repositories
    JOIN manifests ON manifests.repository = repositories.id
    JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE repositories.name = $1 AND manifests.subject = $2 AND manifests.digest > $3
        AND ($4::text IS NULL OR manifests.artifact_type = $4)
    ORDER BY manifests.digest LIMIT $5";

/// So many are fetched at a time, because of what they may weigh.
const REFERRERS_AT_ONCE: u32 = 256;

pub(super) async fn referrers(
    session: &Session,
    repository: &RepositoryName,
    subject: &Digest,
    of_type: Option<&MediaType>,
    page: &Page<Digest>,
) -> Result<Vec<Descriptor>, Failure> {
    let mut weight = PageWeight::default();
    let mut listed: Vec<Descriptor> = Vec::new();
    let of_type = of_type.map(Sql);
    loop {
        let room = page.limit.get().saturating_sub(u32::try_from(listed.len()).unwrap_or(u32::MAX));
        let Some(limit) = NonZeroU32::new(room.min(REFERRERS_AT_ONCE)) else { return Ok(listed) };
        let after = listed.last().map(|last| &last.digest).or(page.after.as_ref());
        let rows = match after {
            Some(after) => {
                let after = Sql(after);
                let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                    [&Sql(repository), &Sql(subject), &after, &of_type, &Sql(limit)];
                session.query(REFERRERS, &params).await?
            }
            None => {
                // Every digest comes after no bytes at all.
                let none: &[u8] = &[];
                let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                    [&Sql(repository), &Sql(subject), &none, &of_type, &Sql(limit)];
                session.query(REFERRERS, &params).await?
            }
        };
        for row in &rows {
            let descriptor = descriptor(row)?;
            if !weight.takes(&descriptor) {
                return Ok(listed);
            }
            listed.push(descriptor);
        }
        if rows.len() < limit.get() as usize {
            return Ok(listed);
        }
    }
}

fn descriptor(row: &Row) -> Result<Descriptor, Failure> {
    let (Sql(media_type), Sql(digest), Sql(size)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Descriptor {
        media_type,
        digest,
        size,
        artifact_type: optional(row, 3)?,
        annotations: from_json(row, 4)?,
    })
}

const BLOB: &str = "
    SELECT blobs.size, blobs.location, links.renewed
    FROM repositories
    JOIN links ON links.repository = repositories.id
    JOIN blobs ON blobs.digest = links.digest
    WHERE repositories.name = $1 AND links.digest = $2 AND NOT blobs.quarantined";

pub(super) async fn blob(
    session: &Session,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<LinkedBlob>, Failure> {
    let Some(row) = session.query_opt(BLOB, &[&Sql(repository), &Sql(digest)]).await? else {
        return Ok(None);
    };
    let (Sql(size), Sql(location), Sql(renewed)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Some(LinkedBlob { stored: StoredBlob { digest: *digest, size, location }, renewed }))
}

/// A manifest that names it as a child and as a blob is there once.
const MANIFESTS_NAMING: &str = "
    SELECT DISTINCT manifests.digest
    FROM repositories
    JOIN manifest_references ON manifest_references.repository = repositories.id
    JOIN manifests ON manifests.id = manifest_references.manifest
    WHERE repositories.name = $1 AND manifest_references.digest = $2
    ORDER BY manifests.digest LIMIT $3";

pub(super) async fn manifests_naming(
    session: &Session,
    repository: &RepositoryName,
    digest: &Digest,
    limit: NonZeroU32,
) -> Result<Vec<Digest>, Failure> {
    column(session.query(MANIFESTS_NAMING, &[&Sql(repository), &Sql(digest), &Sql(limit)]).await?)
}

const REPOSITORIES: &str = "
    SELECT name FROM repositories WHERE listed AND name > $1 ORDER BY name LIMIT $2";

pub(super) async fn repositories(
    session: &Session,
    page: &Page<RepositoryName>,
) -> Result<Vec<RepositoryName>, Failure> {
    let after = page.after.as_ref().map_or("", RepositoryName::as_str);
    column(session.query(REPOSITORIES, &[&Sql(after), &Sql(page.limit)]).await?)
}

/// The character after `/` is `0`.
const HOLDERS: &str = "
    SELECT repositories.name
    FROM blobs
    JOIN links ON links.digest = blobs.digest
    JOIN repositories ON repositories.id = links.repository
    WHERE blobs.digest = $1 AND NOT blobs.quarantined AND repositories.name IS NOT NULL
    ORDER BY repositories.name = $2
        OR (repositories.name > $2::text || '/' AND repositories.name < $2::text || '0') DESC,
        repositories.name
    LIMIT $3";

pub(super) async fn holders(
    session: &Session,
    digest: &Digest,
    near: &RepositoryName,
    limit: NonZeroU32,
) -> Result<Vec<RepositoryName>, Failure> {
    let near = near.components().next().unwrap_or_default();
    column(session.query(HOLDERS, &[&Sql(digest), &Sql(near), &Sql(limit)]).await?)
}

const PULLS_OF_TAG: &str = "
    SELECT tags.pulls, tags.pulled
    FROM repositories JOIN tags ON tags.repository = repositories.id
    WHERE repositories.name = $1 AND tags.name = $2 AND tags.pulled IS NOT NULL";

const PULLS_OF_MANIFEST: &str = "
    SELECT manifests.pulls, manifests.pulled
    FROM repositories JOIN manifests ON manifests.repository = repositories.id
    WHERE repositories.name = $1 AND manifests.digest = $2 AND manifests.pulled IS NOT NULL";

pub(super) async fn pulls(
    session: &Session,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<PullCount>, Failure> {
    let row = match reference {
        Reference::Tag(tag) => session.query_opt(PULLS_OF_TAG, &[&Sql(repository), &Sql(tag)]).await?,
        Reference::Digest(digest) => {
            session.query_opt(PULLS_OF_MANIFEST, &[&Sql(repository), &Sql(digest)]).await?
        }
    };
    let Some(row) = row else { return Ok(None) };
    let (Sql(count), Sql(last)) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Some(PullCount { repository: repository.clone(), reference: reference.clone(), count, last }))
}
