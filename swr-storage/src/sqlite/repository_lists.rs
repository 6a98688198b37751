//! Repositories and versions as people see them: filtered, sorted, counted, and which of them can be read.
//!
//! A list is counted and sorted by what is narrow; the wide rest is looked up for the part that is shown.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use swr_core::RepositoryName;
use swr_core::commit::RepositoryId;
use swr_core::control::identity::{AccountId, Role, UserId};
use swr_core::control::organisation::organisation_of;
use swr_core::control::repository::{Attributes, RepositoryDetails, Version};
use swr_core::digest::Digest;
use swr_core::ports::{
    Candidates, Listing, Page, RepositoryList, RepositoryOrder, RepositoryQuery, VersionOrder, VersionQuery,
};

use super::columns::Sql;
use super::manifest_reads::{holders, listed};
use super::metadata_reads::standing;

// One repository.

const DETAILS: &str = "
    SELECT repositories.id, repositories.name, organisations.id, accounts.id, accounts.name,
        repositories.visibility, repositories.category, repositories.description,
        repositories.creator, repositories.creator_name, repositories.made, repositories.updated,
        (SELECT count(*) FROM tags WHERE tags.repository = repositories.id),
        repositories.pulls,
        (SELECT ifnull(sum(blobs.size), 0) FROM links CROSS JOIN blobs ON blobs.digest = links.digest
            WHERE links.repository = repositories.id)
    FROM repositories
    JOIN organisations ON organisations.name = repositories.organisation
    JOIN accounts ON accounts.id = organisations.account
    WHERE repositories.id = ?1";

fn details(connection: &Connection, id: RepositoryId) -> rusqlite::Result<Option<RepositoryDetails>> {
    let mut details = connection.prepare_cached(DETAILS)?;
    let details = details.query_row([Sql(id)], |row| {
        let (Sql(id), Sql(name), Sql(organisation)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (Sql(account), Sql(account_name)) = (row.get(3)?, row.get(4)?);
        let (Sql(visibility), Sql(category)) = (row.get(5)?, row.get(6)?);
        let attributes = Attributes { visibility, category, description: row.get(7)? };
        let creator = match (row.get(8)?, row.get(9)?) {
            (Some(Sql(id)), Some(Sql(name))) => Some((id, name)),
            _ => None,
        };
        let (Sql(created), Sql(updated)) = (row.get(10)?, row.get(11)?);
        let (Sql(versions), Sql(pulls), Sql(size)) = (row.get(12)?, row.get(13)?, row.get(14)?);
        Ok(RepositoryDetails {
            id,
            name,
            organisation,
            account,
            account_name,
            attributes,
            creator,
            created,
            updated,
            versions,
            pulls,
            size,
        })
    });
    details.optional()
}

pub(super) fn repository_details(
    connection: &Connection,
    name: &RepositoryName,
) -> rusqlite::Result<Option<RepositoryDetails>> {
    match listed(connection, name)? {
        Some(id) => details(connection, id),
        None => Ok(None),
    }
}

// Lists of repositories.

/// The ids of an account's repositories. What is in an organisation begins with its name and `/`; the character after
/// `/` is `0`.
const OF_ACCOUNT: &str = "
    SELECT repositories.id AS id
    FROM organisations
    CROSS JOIN repositories INDEXED BY repositories_listed
        ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
    WHERE organisations.account = ?1 AND repositories.listed = 1";

/// Those of them that are public or that a user was granted, and perhaps some of others.
const READABLE: &str = "
    SELECT repositories.id AS id
    FROM organisations
    CROSS JOIN repositories INDEXED BY repositories_public
        ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
    WHERE organisations.account = ?1 AND repositories.listed = 1 AND repositories.visibility = 1
    UNION
    SELECT repositories.id
    FROM organisation_grants
    CROSS JOIN organisations ON organisations.id = organisation_grants.organisation
    CROSS JOIN repositories INDEXED BY repositories_listed
        ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
    WHERE organisation_grants.user = ?2 AND organisations.account = ?1 AND repositories.listed = 1
    UNION
    SELECT repository FROM repository_grants WHERE user = ?2";

/// Those shared with an account that fit.
const SHARED_WITH: &str = "
    SELECT repository AS id FROM shares
    WHERE account = ?1 AND (?4 IS NULL OR (deadline IS NULL OR deadline > ?3) = ?4)";

/// Everything after `FROM`.
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
    CROSS JOIN repositories ON repositories.id = wanted.id
    CROSS JOIN organisations ON organisations.name = repositories.organisation
    CROSS JOIN accounts ON accounts.id = organisations.account
    WHERE repositories.listed = 1 AND organisations.account {owners} ?1 {shared}
        AND (?5 IS NULL OR instr(organisations.name, ?5) > 0)
        AND (?6 IS NULL OR instr(substr(repositories.name, length(organisations.name) + 2), ?6) > 0)
        AND (?7 IS NULL OR accounts.name = ?7)
        AND (?8 IS NULL OR repositories.category = ?8)
        AND (?9 IS NULL OR repositories.visibility = ?9)
        AND (?10 IS NULL OR repositories.id > ?10)"
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
        RepositoryOrder::Visibility => "repositories.visibility",
        RepositoryOrder::Account => "accounts.name",
    };
    let (wanted, direction) = (wanted(list, administers), direction(descending));
    format!(
        "SELECT repositories.id FROM {wanted}
    ORDER BY {key} {direction}, repositories.name {direction} LIMIT ?11 OFFSET ?12"
    )
}

const fn direction(descending: bool) -> &'static str {
    if descending { "DESC" } else { "ASC" }
}

pub(super) fn repository_list(
    connection: &Connection,
    query: &RepositoryQuery,
) -> rusqlite::Result<Listing<RepositoryDetails>> {
    let RepositoryQuery { viewer, now, list, organisation, name, account, category, visibility, .. } = query;
    let RepositoryQuery { after_id, order, descending, offset, limit, .. } = query;
    let valid = match list {
        RepositoryList::SharedWithUs { valid } => *valid,
        RepositoryList::Own | RepositoryList::SharedByUs => None,
    };
    let (account_id, user, now) = (Sql(&viewer.account), Sql(&viewer.user), Sql(*now));
    let (account, category, visibility) = (account.as_ref().map(Sql), category.map(Sql), visibility.map(Sql));
    let (limit, offset) = (limit.get(), offset_of(*offset));
    let params = params![
        account_id,
        user,
        now,
        valid,
        organisation,
        name,
        account,
        category,
        visibility,
        after_id,
        limit,
        offset
    ];
    let mut count = connection.prepare_cached(&count_of_repositories(*list, viewer.administers))?;
    let of_count = params.get(..count.parameter_count()).unwrap_or(params);
    let Sql(total) = count.query_row(of_count, |row| row.get(0))?;
    let statement = part_of_repositories(*list, viewer.administers, *order, *descending);
    let mut part = connection.prepare_cached(&statement)?;
    let part: Vec<Sql<RepositoryId>> = part.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut entries = Vec::with_capacity(part.len());
    for Sql(id) in part {
        entries.extend(details(connection, id)?);
    }
    Ok(Listing { entries, total })
}

/// No list is longer than an integer counts.
pub(super) fn offset_of(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

// Versions.

/// Every tag comes after the empty text, and before this one.
const AFTER_EVERY_TAG: &str = "\u{7f}";

/// Everything after `FROM`; `?2` is the one tag, or where the list begins.
const fn fitting(exactly: bool, descending: bool) -> &'static str {
    match (exactly, descending) {
        (true, _) => "tags WHERE repository = ?1 AND name = ?2 AND (?3 IS NULL OR instr(name, ?3) > 0)",
        (false, false) => "tags WHERE repository = ?1 AND name > ?2 AND (?3 IS NULL OR instr(name, ?3) > 0)",
        (false, true) => "tags WHERE repository = ?1 AND name < ?2 AND (?3 IS NULL OR instr(name, ?3) > 0)",
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
    ORDER BY {order} LIMIT ?4 OFFSET ?5"
    )
}

const MANIFEST: &str = "
    SELECT manifests.digest, manifests.media_type, manifest_contents.bytes
    FROM manifests JOIN manifest_contents ON manifest_contents.manifest = manifests.id
    WHERE manifests.id = ?1";

/// The sizes of what the manifest declares, and the manifests below it that are there, each digest once.
const DECLARED: &str = "
    WITH RECURSIVE declaring (manifest) AS (
        VALUES (?1)
        UNION
        SELECT manifests.id
        FROM declaring
        CROSS JOIN manifest_references ON manifest_references.manifest = declaring.manifest
        CROSS JOIN manifests
            ON manifests.repository = manifest_references.repository
            AND manifests.digest = manifest_references.digest
        WHERE manifest_references.kind = 0)
    SELECT max(manifest_references.size)
    FROM declaring CROSS JOIN manifest_references ON manifest_references.manifest = declaring.manifest
    GROUP BY manifest_references.digest";

pub(super) fn versions(
    connection: &Connection,
    repository: &RepositoryName,
    query: &VersionQuery,
) -> rusqlite::Result<Option<Listing<Version>>> {
    let VersionQuery { tag: part_of_tag, exactly, after, order, descending, offset, limit } = query;
    let Some(id) = listed(connection, repository)? else { return Ok(None) };
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
    let mut count = connection.prepare_cached(&count_of_versions(exactly.is_some(), *descending))?;
    let Sql(total) = count.query_row(params![Sql(id), beginning, part_of_tag], |row| row.get(0))?;
    let mut part = connection.prepare_cached(&part_of_versions(exactly.is_some(), *order, *descending))?;
    let part =
        part.query_map(params![Sql(id), beginning, part_of_tag, limit.get(), offset_of(*offset)], |row| {
            let (Sql(tag), Sql(created), Sql(updated), Sql(pulls)) =
                (row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?);
            let manifest: i64 = row.get(1)?;
            let size = declared(connection, manifest)?;
            connection.prepare_cached(MANIFEST)?.query_row([manifest], |row| {
                let (Sql(digest), Sql(media_type)) = (row.get(0)?, row.get(1)?);
                let manifest = Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?);
                Ok(Version { tag, digest, media_type, manifest, size, created, updated, pulls })
            })
        })?;
    Ok(Some(Listing { entries: part.collect::<Result<_, _>>()?, total }))
}

/// A manifest may declare what it likes: sums stop at the greatest integer.
pub(super) fn declared(connection: &Connection, manifest: i64) -> rusqlite::Result<u64> {
    let mut sizes = connection.prepare_cached(DECLARED)?;
    let mut sizes = sizes.query_map([manifest], |row| row.get(0))?;
    sizes.try_fold(0, |sum: u64, size| size.map(|Sql(size): Sql<u64>| sum.saturating_add(size)))
}

// What can be read.

/// Which repositories are candidates, on their way to a thread.
pub(super) enum Of {
    /// [`Candidates::All`]
    All(Page<RepositoryName>),
    /// [`Candidates::HoldersOf`]
    Holders { digest: Digest, near: RepositoryName, limit: NonZeroU32 },
}

impl From<Candidates<'_>> for Of {
    fn from(of: Candidates<'_>) -> Self {
        match of {
            Candidates::All(page) => Self::All(page.clone()),
            Candidates::HoldersOf { digest, near, limit } => {
                Self::Holders { digest: *digest, near: near.clone(), limit }
            }
        }
    }
}

pub(super) fn readable(
    connection: &Connection,
    user: Option<&UserId>,
    strangers: bool,
    of: &Of,
    now: DateTime<Utc>,
) -> rusqlite::Result<Vec<RepositoryName>> {
    match of {
        Of::All(page) => readable_page(connection, user, strangers, page, now),
        Of::Holders { digest, near, limit } => {
            let mut readable = Vec::new();
            for name in holders(connection, digest, near, *limit)? {
                let standing = standing(connection, user, organisation_of(&name).as_ref(), Some(&name))?;
                if standing.is_readable(strangers, now) {
                    readable.push(name);
                }
            }
            Ok(readable)
        }
    }
}

const VIEWER: &str = "SELECT account, role FROM users WHERE id = ?1";

const PUBLIC: &str = "
    SELECT name FROM repositories INDEXED BY repositories_public
    WHERE listed = 1 AND visibility = 1 AND name > ?1 ORDER BY name LIMIT ?2";

/// All of an account's, or those that the user was granted, whose repositories are not all before a name; in the
/// order of those.
const ORGANISATIONS: &str = "
    SELECT name FROM organisations
    WHERE account = ?1 AND name || '0' > ?2 AND (?3 OR EXISTS (
        SELECT 1 FROM organisation_grants
        WHERE organisation_grants.organisation = organisations.id AND organisation_grants.user = ?4))
    ORDER BY name || '/'";

const IN_ORGANISATION: &str = "
    SELECT name FROM repositories INDEXED BY repositories_listed
    WHERE listed = 1 AND name > max(?1 || '/', ?2) AND name < ?1 || '0' ORDER BY name LIMIT ?3";

const BY_GRANT: &str = "
    SELECT repositories.name
    FROM repository_grants
    CROSS JOIN repositories ON repositories.id = repository_grants.repository
    CROSS JOIN organisations ON organisations.name = repositories.organisation
    WHERE repository_grants.user = ?1 AND organisations.account = ?2
        AND repositories.listed = 1 AND repositories.name > ?3
    ORDER BY repositories.name LIMIT ?4";

const BY_SHARE: &str = "
    SELECT repositories.name
    FROM shares CROSS JOIN repositories ON repositories.id = shares.repository
    WHERE shares.account = ?1 AND (shares.deadline IS NULL OR shares.deadline > ?2)
        AND repositories.listed = 1 AND repositories.name > ?3
    ORDER BY repositories.name LIMIT ?4";

/// The page of each of the reasons for which something can be read, and of these together the first.
fn readable_page(
    connection: &Connection,
    user: Option<&UserId>,
    strangers: bool,
    page: &Page<RepositoryName>,
    now: DateTime<Utc>,
) -> rusqlite::Result<Vec<RepositoryName>> {
    let after = page.after.as_ref().map_or("", RepositoryName::as_str);
    let limit = page.limit.get();
    let viewer: Option<(Sql<AccountId>, Sql<Role>)> = match user {
        Some(user) => {
            let mut viewer = connection.prepare_cached(VIEWER)?;
            viewer.query_row([Sql(user)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?
        }
        None => None,
    };
    let mut names = BTreeSet::new();
    let mut add = |statement, params: &[&dyn ToSql]| {
        let mut found = connection.prepare_cached(statement)?;
        let found = found.query_map(params, |row| row.get(0))?;
        found
            .map(|name| name.map(|Sql(name)| names.insert(name)))
            .try_fold(0, |count: u32, name| name.map(|_| count + 1))
    };
    if strangers || viewer.is_some() {
        add(PUBLIC, params![after, limit])?;
    }
    if let Some((Sql(account), Sql(role))) = &viewer {
        let mut organisations = connection.prepare_cached(ORGANISATIONS)?;
        let mut organisations =
            organisations.query(params![Sql(account), after, role.administers(), user.map(Sql)])?;
        let mut room = limit;
        while room > 0
            && let Some(organisation) = organisations.next()?
        {
            let name: String = organisation.get(0)?;
            room -= add(IN_ORGANISATION, params![name, after, room])?;
        }
        add(BY_GRANT, params![user.map(Sql), Sql(account), after, limit])?;
        add(BY_SHARE, params![Sql(account), Sql(now), after, limit])?;
    }
    Ok(names.into_iter().take(limit as usize).collect())
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[DETAILS, MANIFEST, VIEWER, PUBLIC, IN_ORGANISATION];

/// These sort all that hangs on one account, user or manifest.
#[cfg(test)]
pub(super) const SORTED: &[&str] = &[DECLARED, ORGANISATIONS, BY_GRANT, BY_SHARE];

/// The statements that are put together.
#[cfg(test)]
pub(super) fn composed() -> (Vec<String>, Vec<String>) {
    use RepositoryList::{Own, SharedByUs, SharedWithUs};
    use RepositoryOrder::{Account, Identity, Name, Organisation, Updated, Versions, Visibility};
    let mut statements = Vec::new();
    let mut sorted = Vec::new();
    for administers in [true, false] {
        for list in [Own, SharedByUs, SharedWithUs { valid: None }] {
            sorted.push(count_of_repositories(list, administers));
            for order in [Identity, Name, Updated, Versions, Organisation, Visibility, Account] {
                sorted.push(part_of_repositories(list, administers, order, false));
                sorted.push(part_of_repositories(list, administers, order, true));
            }
        }
    }
    for exactly in [true, false] {
        for descending in [true, false] {
            statements.push(count_of_versions(exactly, descending));
            statements.push(part_of_versions(exactly, VersionOrder::Tag, descending));
            sorted.push(part_of_versions(exactly, VersionOrder::Updated, descending));
        }
    }
    (statements, sorted)
}
