//! Repositories and versions as people see them: filtered, sorted, counted, and which of them can be read.
//!
//! A list is counted and sorted by what is narrow; the wide rest is looked up for the part that is shown.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use swr_core::commit::RepositoryId;
use swr_core::control::identity::{AccountId, Role, UserId};
use swr_core::control::organisation::organisation_of;
use swr_core::control::repository::{Attributes, RepositoryDetails, Version};
use swr_core::ports::{
    Candidates, Listing, Page, RepositoryList, RepositoryOrder, RepositoryQuery, VersionOrder, VersionQuery,
};
use swr_core::{OrganisationName, RepositoryName};

use super::columns::Sql;
use super::connections::{Failure, Params, Session};
use super::manifest_commit::only;
use super::manifest_reads::{column, first, holders, listed, optional};
use super::metadata_reads::standing;

// One repository.

const DETAILS: &str = "
    SELECT repositories.id, repositories.name, organisations.id, accounts.id, accounts.name,
        repositories.public, repositories.category, repositories.description,
        repositories.creator, repositories.creator_name, repositories.made, repositories.updated,
        (SELECT count(*) FROM tags WHERE tags.repository = repositories.id),
        repositories.pulls,
        (SELECT LEAST(COALESCE(sum(blobs.size), 0), 9223372036854775807)::bigint FROM links JOIN blobs ON blobs.digest = links.digest
            WHERE links.repository = repositories.id)
    FROM repositories
    JOIN organisations ON organisations.name = repositories.organisation
    JOIN accounts ON accounts.id = organisations.account
    WHERE repositories.id = $1";

async fn details(session: &Session, id: RepositoryId) -> Result<Option<RepositoryDetails>, Failure> {
    let Some(row) = session.query_opt(DETAILS, &[&Sql(id)]).await? else { return Ok(None) };
    let (Sql(id), Sql(name), Sql(organisation)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Sql(account), Sql(account_name)) = (row.try_get(3)?, row.try_get(4)?);
    let (Sql(visibility), Sql(category), Sql(description)) =
        (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
    let (Sql(created), Sql(updated)) = (row.try_get(10)?, row.try_get(11)?);
    let (Sql(versions), Sql(pulls), Sql(size)) = (row.try_get(12)?, row.try_get(13)?, row.try_get(14)?);
    Ok(Some(RepositoryDetails {
        id,
        name,
        organisation,
        account,
        account_name,
        attributes: Attributes { visibility, category, description },
        creator: optional(&row, 8)?.zip(optional(&row, 9)?),
        created,
        updated,
        versions,
        pulls,
        size,
    }))
}

pub(super) async fn repository_details(
    session: &Session,
    name: &RepositoryName,
) -> Result<Option<RepositoryDetails>, Failure> {
    match listed(session, name).await? {
        Some(id) => details(session, id).await,
        None => Ok(None),
    }
}

// Lists of repositories.

/// The ids of an account's repositories. What is in an organisation begins with its name and `/`; the character after
/// `/` is `0`.
const OF_ACCOUNT: &str = "
    SELECT repositories.id AS id
    FROM organisations
    JOIN repositories
        ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
    WHERE organisations.account = $1 AND repositories.listed";

/// Those of them that are public or that a user was granted, and perhaps some of others.
const READABLE: &str = "
    SELECT repositories.id AS id
    FROM organisations
    JOIN repositories
        ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
    WHERE organisations.account = $1 AND repositories.listed AND repositories.public
    UNION
    SELECT repositories.id
    FROM organisation_grants
    JOIN organisations ON organisations.id = organisation_grants.organisation
    JOIN repositories
        ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
    WHERE organisation_grants.holder = $2 AND organisations.account = $1 AND repositories.listed
    UNION
    SELECT repository FROM repository_grants WHERE holder = $2";

/// Those shared with an account that fit.
const SHARED_WITH: &str = "
    SELECT repository AS id FROM shares
    WHERE account = $1 AND ($4::boolean IS NULL OR (deadline IS NULL OR deadline > $3::bigint) = $4)";

/// Everything after `FROM`. Each statement is given every value, and says of what type it is.
fn wanted(list: RepositoryList, administers: bool) -> String {
    let (ids, owners, shared) = match (list, administers) {
        (RepositoryList::Own, true) => (OF_ACCOUNT, "=", ""),
        (RepositoryList::Own, false) => (READABLE, "=", ""),
        (RepositoryList::SharedByUs, true) => (OF_ACCOUNT, "=", SHARED),
        (RepositoryList::SharedByUs, false) => (READABLE, "=", SHARED),
        (RepositoryList::SharedWithUs { .. }, _) => (SHARED_WITH, "<>", ""),
    };
    format!(
        "({ids}) AS wanted
    JOIN repositories ON repositories.id = wanted.id
    JOIN organisations ON organisations.name = repositories.organisation
    JOIN accounts ON accounts.id = organisations.account
    WHERE repositories.listed AND organisations.account {owners} $1 {shared}
        AND ($2::text, $3::bigint, $4::boolean) IS NOT DISTINCT FROM ($2, $3, $4)
        AND ($5::text IS NULL OR strpos(organisations.name, $5) > 0)
        AND ($6::text IS NULL OR strpos(substr(repositories.name, length(organisations.name) + 2), $6) > 0)
        AND ($7::text IS NULL OR accounts.name = $7)
        AND ($8::text IS NULL OR repositories.category = $8)
        AND ($9::boolean IS NULL OR repositories.public = $9)
        AND ($10::bigint IS NULL OR repositories.id > $10)"
    )
}

const SHARED: &str = "AND EXISTS (SELECT 1 FROM shares WHERE shares.repository = repositories.id)";

fn count_of_repositories(list: RepositoryList, administers: bool) -> String {
    format!("SELECT count(*) FROM {}", wanted(list, administers))
}

fn part_of_repositories(
    list: RepositoryList,
    administers: bool,
    order: RepositoryOrder,
    descending: bool,
) -> String {
    let key = match order {
        RepositoryOrder::Identity => "repositories.id",
        RepositoryOrder::Name => "repositories.name",
        RepositoryOrder::Updated => "repositories.updated",
        RepositoryOrder::Versions => "(SELECT count(*) FROM tags WHERE tags.repository = repositories.id)",
        RepositoryOrder::Organisation => "organisations.name",
        RepositoryOrder::Visibility => "repositories.public",
        RepositoryOrder::Account => "accounts.name",
    };
    let (wanted, direction) = (wanted(list, administers), direction(descending));
    format!(
        "SELECT repositories.id FROM {wanted}
    ORDER BY {key} {direction}, repositories.name {direction} LIMIT $11 OFFSET $12"
    )
}

const fn direction(descending: bool) -> &'static str {
    if descending { "DESC" } else { "ASC" }
}

pub(super) async fn repository_list(
    session: &Session,
    query: &RepositoryQuery,
) -> Result<Listing<RepositoryDetails>, Failure> {
    let RepositoryQuery { viewer, now, list, organisation, name, account, category, visibility, .. } = query;
    let RepositoryQuery { after_id, order, descending, offset, limit, .. } = query;
    let valid = match list {
        RepositoryList::SharedWithUs { valid } => *valid,
        RepositoryList::Own | RepositoryList::SharedByUs => None,
    };
    let (account_id, user, now) = (Sql(&viewer.account), Sql(&viewer.user), Sql(*now));
    let (organisation, name) = (organisation.as_deref().map(Sql), name.as_deref().map(Sql));
    let (account, category, visibility) = (account.as_ref().map(Sql), category.map(Sql), visibility.map(Sql));
    let (limit, offset) = (Sql(*limit), offset_of(*offset));
    let of_count: [&(dyn ToSql + Sync); 10] =
        [&account_id, &user, &now, &valid, &organisation, &name, &account, &category, &visibility, after_id];
    let count = count_of_repositories(*list, viewer.administers);
    let total = first(session.query_opt(&count, &of_count).await?)?.unwrap_or(0);
    let statement = part_of_repositories(*list, viewer.administers, *order, *descending);
    let of_part: Vec<_> = of_count.into_iter().chain([&limit as &(dyn ToSql + Sync), &offset]).collect();
    let part: Vec<RepositoryId> = column(session.query(&statement, &of_part).await?)?;
    let entries = try_join_all(part.into_iter().map(|id| details(session, id))).await?;
    Ok(Listing { entries: entries.into_iter().flatten().collect(), total })
}

/// No list is longer than an integer counts.
pub(super) fn offset_of(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

// Versions.

/// Every tag comes after the empty text, and before this one.
const AFTER_EVERY_TAG: &str = "\u{7f}";

/// Everything after `FROM`; `$2` is the one tag, or where the list begins.
const fn fitting(exactly: bool, descending: bool) -> &'static str {
    match (exactly, descending) {
        (true, _) => {
            "tags WHERE repository = $1 AND name = $2 AND ($3::text IS NULL OR strpos(name, $3) > 0)"
        }
        (false, false) => {
            "tags WHERE repository = $1 AND name > $2 AND ($3::text IS NULL OR strpos(name, $3) > 0)"
        }
        (false, true) => {
            "tags WHERE repository = $1 AND name < $2 AND ($3::text IS NULL OR strpos(name, $3) > 0)"
        }
    }
}

fn count_of_versions(exactly: bool, descending: bool) -> String {
    format!("SELECT count(*) FROM {}", fitting(exactly, descending))
}

fn part_of_versions(exactly: bool, order: VersionOrder, descending: bool) -> String {
    let (fitting, direction) = (fitting(exactly, descending), direction(descending));
    let order = match order {
        VersionOrder::Tag => format!("name {direction}"),
        VersionOrder::Updated => format!("updated {direction}, name {direction}"),
    };
    format!(
        "SELECT name, manifest, created, updated, pulls FROM {fitting}
    ORDER BY {order} LIMIT $4 OFFSET $5"
    )
}

const MANIFEST: &str = "
    SELECT manifests.digest, manifests.media_type, manifest_contents.bytes
    FROM manifests JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE manifests.id = $1";

/// The sizes of what the manifest declares, and the manifests below it that are there, each digest once.
const DECLARED: &str = "
    WITH RECURSIVE declaring (manifest) AS (
        VALUES ($1::bigint)
        UNION
        SELECT manifests.id
        FROM declaring
        JOIN manifest_references ON manifest_references.manifest = declaring.manifest
        JOIN manifests
            ON manifests.repository = manifest_references.repository
            AND manifests.digest = manifest_references.digest
        WHERE manifest_references.kind = 0)
    SELECT max(manifest_references.size)
    FROM declaring JOIN manifest_references ON manifest_references.manifest = declaring.manifest
    GROUP BY manifest_references.digest";

pub(super) async fn versions(
    session: &Session,
    repository: &RepositoryName,
    query: &VersionQuery,
) -> Result<Option<Listing<Version>>, Failure> {
    let VersionQuery { tag: part_of_tag, exactly, after, order, descending, offset, limit } = query;
    let Some(id) = listed(session, repository).await? else { return Ok(None) };
    if let (Some(exactly), Some(after)) = (exactly, after)
        && (if *descending { exactly >= after } else { exactly <= after })
    {
        return Ok(Some(Listing { entries: Vec::new(), total: 0 }));
    }
    let beginning = match exactly.as_ref().or(after.as_ref()) {
        Some(tag) => tag.as_str(),
        None if *descending => AFTER_EVERY_TAG,
        None => "",
    };
    let (id, beginning, part_of_tag) = (Sql(id), Sql(beginning), part_of_tag.as_deref().map(Sql));
    let count = count_of_versions(exactly.is_some(), *descending);
    let total = first(session.query_opt(&count, &[&id, &beginning, &part_of_tag]).await?)?.unwrap_or(0);
    let part = part_of_versions(exactly.is_some(), *order, *descending);
    let values: Params<'_> = &[&id, &beginning, &part_of_tag, &Sql(*limit), &offset_of(*offset)];
    let rows = session.query(&part, values).await?;
    let entries = try_join_all(rows.iter().map(|row| version(session, row))).await?;
    Ok(Some(Listing { entries, total }))
}

async fn version(session: &Session, row: &Row) -> Result<Version, Failure> {
    let (Sql(tag), Sql(created), Sql(updated), Sql(pulls)) =
        (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    let manifest: i64 = row.try_get(1)?;
    let size = declared(session, manifest).await?;
    let row = only(session.query(MANIFEST, &[&manifest]).await?)?;
    let (Sql(digest), Sql(media_type)) = (row.try_get(0)?, row.try_get(1)?);
    let manifest = Bytes::copy_from_slice(row.try_get(2)?);
    Ok(Version { tag, digest, media_type, manifest, size, created, updated, pulls })
}

/// A manifest may declare what it likes: sums stop at the greatest integer.
pub(super) async fn declared(session: &Session, manifest: i64) -> Result<u64, Failure> {
    let sizes: Vec<u64> = column(session.query(DECLARED, &[&manifest]).await?)?;
    Ok(sizes.into_iter().fold(0, u64::saturating_add))
}

// What can be read.

pub(super) async fn readable(
    session: &Session,
    user: Option<&UserId>,
    strangers: bool,
    of: Candidates<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<RepositoryName>, Failure> {
    match of {
        Candidates::All(page) => readable_page(session, user, strangers, page, now).await,
        Candidates::HoldersOf { digest, near, limit } => {
            let mut readable = Vec::new();
            for name in holders(session, digest, near, limit).await? {
                let organisation = organisation_of(&name);
                let standing = standing(session, user, organisation.as_ref(), Some(&name)).await?;
                if standing.is_readable(strangers, now) {
                    readable.push(name);
                }
            }
            Ok(readable)
        }
    }
}

const VIEWER: &str = "SELECT account, role FROM users WHERE id = $1";

const PUBLIC: &str = "
    SELECT name FROM repositories
    WHERE listed AND public AND name > $1 ORDER BY name LIMIT $2";

/// All of an account's, or those that the user was granted, whose repositories are not all before a name; in the
/// order of those.
const ORGANISATIONS: &str = "
    SELECT name FROM organisations
    WHERE account = $1 AND name || '0' > $2 AND ($3::boolean OR EXISTS (
        SELECT 1 FROM organisation_grants
        WHERE organisation_grants.organisation = organisations.id AND organisation_grants.holder = $4))
    ORDER BY name || '/'";

const IN_ORGANISATION: &str = "
    SELECT name FROM repositories
    WHERE listed AND name > $1::text || '/' AND name > $2 AND name < $1::text || '0' ORDER BY name LIMIT $3";

const BY_GRANT: &str = "
    SELECT repositories.name
    FROM repository_grants
    JOIN repositories ON repositories.id = repository_grants.repository
    JOIN organisations ON organisations.name = repositories.organisation
    WHERE repository_grants.holder = $1 AND organisations.account = $2
        AND repositories.listed AND repositories.name > $3
    ORDER BY repositories.name LIMIT $4";

const BY_SHARE: &str = "
    SELECT repositories.name
    FROM shares JOIN repositories ON repositories.id = shares.repository
    WHERE shares.account = $1 AND (shares.deadline IS NULL OR shares.deadline > $2)
        AND repositories.listed AND repositories.name > $3
    ORDER BY repositories.name LIMIT $4";

/// The page of each of the reasons for which something can be read, and of these together the first.
async fn readable_page(
    session: &Session,
    user: Option<&UserId>,
    strangers: bool,
    page: &Page<RepositoryName>,
    now: DateTime<Utc>,
) -> Result<Vec<RepositoryName>, Failure> {
    let after = Sql(page.after.as_ref().map_or("", RepositoryName::as_str));
    let limit = i64::from(page.limit.get());
    let viewer: Option<(AccountId, Role)> = match user {
        Some(user) => match session.query_opt(VIEWER, &[&Sql(user)]).await? {
            Some(row) => Some((row.try_get::<_, Sql<_>>(0)?.0, row.try_get::<_, Sql<_>>(1)?.0)),
            None => None,
        },
        None => None,
    };
    let mut names: BTreeSet<RepositoryName> = BTreeSet::new();
    if strangers || viewer.is_some() {
        names.extend(column(session.query(PUBLIC, &[&after, &limit]).await?)?);
    }
    if let Some((account, role)) = &viewer {
        let user = user.map(Sql);
        let organisations: Params<'_> = &[&Sql(account), &after, &role.administers(), &user];
        let organisations: Vec<OrganisationName> =
            column(session.query(ORGANISATIONS, organisations).await?)?;
        let mut room = limit;
        for organisation in &organisations {
            if room <= 0 {
                break;
            }
            let found = session.query(IN_ORGANISATION, &[&Sql(organisation), &after, &room]).await?;
            room -= found.len() as i64;
            names.extend(column(found)?);
        }
        let by_grant = session.query(BY_GRANT, &[&user, &Sql(account), &after, &limit]).await?;
        names.extend(column(by_grant)?);
        let by_share = session.query(BY_SHARE, &[&Sql(account), &Sql(now), &after, &limit]).await?;
        names.extend(column(by_share)?);
    }
    Ok(names.into_iter().take(page.limit.get() as usize).collect())
}
