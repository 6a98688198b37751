//! The questions about people, keys, organisations, grants and shares, and the one before every decision.

use rusqlite::{Connection, OptionalExtension, Row, params};

use swr_core::control::credential::{AccessKey, HeldKey, KeyHolder, KeyId, TemporaryKey, TokenKey};
use swr_core::control::grant::{GrantLevel, GrantScope, Granted};
use swr_core::control::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use swr_core::control::organisation::{ListedOrganisation, Organisation};
use swr_core::control::share::{ListedShare, Share};
use swr_core::control::standing::{OrganisationStanding, RepositoryStanding, Standing, UserStanding};
use swr_core::ports::{Overview, Page, Viewer};
use swr_core::{OrganisationName, RepositoryName};

use super::columns::Sql;
use super::manifest_reads::listed;

/// Each table by one of its keys.
const STANDING: &str = "
    SELECT rights.version,
        users.account, users.role,
        organisations.id, organisations.account, organisation_grants.level,
        repositories.id, repositories.visibility, repository_grants.level,
        shares.account IS NOT NULL, shares.deadline
    FROM rights
    LEFT JOIN users ON users.id = ?1
    LEFT JOIN organisations ON organisations.name = ?2
    LEFT JOIN organisation_grants
        ON organisation_grants.organisation = organisations.id AND organisation_grants.user = users.id
    LEFT JOIN repositories ON repositories.name = ?3 AND repositories.listed = 1
    LEFT JOIN repository_grants
        ON repository_grants.repository = repositories.id AND repository_grants.user = users.id
    LEFT JOIN shares ON shares.repository = repositories.id AND shares.account = users.account
    WHERE rights.one = 1";

pub(super) fn standing(
    connection: &Connection,
    user: Option<&UserId>,
    organisation: Option<&OrganisationName>,
    repository: Option<&RepositoryName>,
) -> rusqlite::Result<Standing> {
    let mut standing = connection.prepare_cached(STANDING)?;
    standing.query_row(params![user.map(Sql), organisation.map(Sql), repository.map(Sql)], |row| {
        let Sql(rights) = row.get(0)?;
        let user = match row.get(1)? {
            Some(Sql(account)) => {
                let Sql(role) = row.get(2)?;
                Some(UserStanding { account, role })
            }
            None => None,
        };
        let organisation = match row.get(3)? {
            Some(Sql(id)) => {
                let Sql(account) = row.get(4)?;
                Some(OrganisationStanding { id, account, grant: level(row, 5)? })
            }
            None => None,
        };
        let repository = match row.get(6)? {
            Some(Sql(id)) => {
                let Sql(visibility) = row.get(7)?;
                let share = if row.get(9)? { Some(row.get::<_, Sql<_>>(10)?.0) } else { None };
                Some(RepositoryStanding { id, visibility, grant: level(row, 8)?, share })
            }
            None => None,
        };
        Ok(Standing { rights, user, organisation, repository })
    })
}

fn level(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<GrantLevel>> {
    Ok(row.get::<_, Option<Sql<_>>>(column)?.map(|Sql(level)| level))
}

// People.

const ACCOUNT: &str = "SELECT id, name, project, agency, created FROM accounts WHERE id = ?1";

const ACCOUNT_NAMED: &str = "SELECT id, name, project, agency, created FROM accounts WHERE name = ?1";

const ACCOUNTS: &str = "
    SELECT id, name, project, agency, created FROM accounts WHERE name > ?1 ORDER BY name LIMIT ?2";

/// The columns from `at` on.
pub(super) fn to_account(row: &Row<'_>, at: usize) -> rusqlite::Result<Account> {
    let (Sql(id), Sql(name)) = (row.get(at)?, row.get(at + 1)?);
    let (Sql(project), Sql(created)) = (row.get(at + 2)?, row.get(at + 4)?);
    Ok(Account { id, name, project, agency: row.get(at + 3)?, created })
}

pub(super) fn account(connection: &Connection, id: &AccountId) -> rusqlite::Result<Option<Account>> {
    connection.prepare_cached(ACCOUNT)?.query_row([Sql(id)], |row| to_account(row, 0)).optional()
}

pub(super) fn account_named(
    connection: &Connection,
    name: &AccountName,
) -> rusqlite::Result<Option<Account>> {
    connection.prepare_cached(ACCOUNT_NAMED)?.query_row([Sql(name)], |row| to_account(row, 0)).optional()
}

pub(super) fn accounts(connection: &Connection, page: &Page<AccountName>) -> rusqlite::Result<Vec<Account>> {
    let after = page.after.as_ref().map_or("", AccountName::as_str);
    let mut accounts = connection.prepare_cached(ACCOUNTS)?;
    accounts.query_map(params![after, page.limit.get()], |row| to_account(row, 0))?.collect()
}

const USER: &str = "SELECT id, account, name, role, password, created FROM users WHERE id = ?1";

const USER_NAMED: &str = "
    SELECT id, account, name, role, password, created FROM users WHERE account = ?1 AND name = ?2";

const USERS: &str = "
    SELECT id, account, name, role, password, created FROM users
    WHERE account = ?1 AND name > ?2 ORDER BY name LIMIT ?3";

/// The columns from `at` on.
pub(super) fn to_user(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
    let (Sql(id), Sql(account), Sql(name)) = (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?);
    let (Sql(role), Sql(created)) = (row.get(at + 3)?, row.get(at + 5)?);
    let password = row.get::<_, Option<_>>(at + 4)?.map(|Sql(hash)| hash);
    Ok(User { id, account, name, role, password, created })
}

pub(super) fn user(connection: &Connection, id: &UserId) -> rusqlite::Result<Option<User>> {
    connection.prepare_cached(USER)?.query_row([Sql(id)], |row| to_user(row, 0)).optional()
}

pub(super) fn user_named(
    connection: &Connection,
    account: &AccountId,
    name: &UserName,
) -> rusqlite::Result<Option<User>> {
    let mut user = connection.prepare_cached(USER_NAMED)?;
    user.query_row(params![Sql(account), Sql(name)], |row| to_user(row, 0)).optional()
}

pub(super) fn users(
    connection: &Connection,
    account: &AccountId,
    page: &Page<UserName>,
) -> rusqlite::Result<Vec<User>> {
    let after = page.after.as_ref().map_or("", UserName::as_str);
    let mut users = connection.prepare_cached(USERS)?;
    users.query_map(params![Sql(account), after, page.limit.get()], |row| to_user(row, 0))?.collect()
}

// Keys.

/// No id is both an access key's and a temporary key's.
const KEY_HOLDER: &str = "
    SELECT access_keys.description, access_keys.secret, access_keys.created, NULL, NULL,
        users.id, users.account, users.name, users.role, users.password, users.created,
        accounts.id, accounts.name, accounts.project, accounts.agency, accounts.created
    FROM access_keys
    JOIN users ON users.id = access_keys.user
    JOIN accounts ON accounts.id = users.account
    WHERE access_keys.id = ?1
    UNION ALL
    SELECT NULL, temporary_keys.secret, NULL, temporary_keys.issued_with, temporary_keys.expires,
        users.id, users.account, users.name, users.role, users.password, users.created,
        accounts.id, accounts.name, accounts.project, accounts.agency, accounts.created
    FROM temporary_keys
    JOIN users ON users.id = temporary_keys.user
    JOIN accounts ON accounts.id = users.account
    WHERE temporary_keys.id = ?1";

pub(super) fn key_holder(connection: &Connection, key: &KeyId) -> rusqlite::Result<Option<KeyHolder>> {
    let mut holder = connection.prepare_cached(KEY_HOLDER)?;
    let holder = holder.query_row([Sql(key)], |row| {
        let (user, account) = (to_user(row, 5)?, to_account(row, 11)?);
        let id = key.clone();
        let key = match row.get(4)? {
            Some(Sql(expires)) => HeldKey::Temporary(TemporaryKey {
                id,
                user: user.id.clone(),
                issued_with: row.get::<_, Option<_>>(3)?.map(|Sql(with)| with),
                secret: row.get(1)?,
                expires,
            }),
            None => HeldKey::Access(AccessKey {
                id,
                user: user.id.clone(),
                description: row.get(0)?,
                secret: row.get::<_, Option<_>>(1)?.map(|Sql(sealed)| sealed),
                created: row.get::<_, Sql<_>>(2)?.0,
            }),
        };
        Ok(KeyHolder { key, user, account })
    });
    holder.optional()
}

const ACCESS_KEYS: &str = "
    SELECT id, user, description, secret, created FROM access_keys
    WHERE user = ?1 ORDER BY created, id";

const ALL_ACCESS_KEYS: &str = "
    SELECT id, user, description, secret, created FROM access_keys WHERE id > ?1 ORDER BY id LIMIT ?2";

fn to_access_key(row: &Row<'_>) -> rusqlite::Result<AccessKey> {
    let (Sql(id), Sql(user), Sql(created)) = (row.get(0)?, row.get(1)?, row.get(4)?);
    let secret = row.get::<_, Option<_>>(3)?.map(|Sql(sealed)| sealed);
    Ok(AccessKey { id, user, description: row.get(2)?, secret, created })
}

pub(super) fn access_keys(connection: &Connection, user: &UserId) -> rusqlite::Result<Vec<AccessKey>> {
    connection.prepare_cached(ACCESS_KEYS)?.query_map([Sql(user)], to_access_key)?.collect()
}

pub(super) fn all_access_keys(
    connection: &Connection,
    page: &Page<KeyId>,
) -> rusqlite::Result<Vec<AccessKey>> {
    let after = page.after.as_ref().map_or("", KeyId::as_str);
    let mut keys = connection.prepare_cached(ALL_ACCESS_KEYS)?;
    keys.query_map(params![after, page.limit.get()], to_access_key)?.collect()
}

const TOKEN_KEY: &str = "SELECT id, secret, created FROM token_keys WHERE id = ?1";

/// There are a handful.
const TOKEN_KEYS: &str = "SELECT id, secret, created FROM token_keys ORDER BY created, id";

fn to_token_key(row: &Row<'_>) -> rusqlite::Result<TokenKey> {
    let (Sql(id), Sql(created)) = (row.get(0)?, row.get(2)?);
    Ok(TokenKey { id, secret: row.get::<_, Option<_>>(1)?.map(|Sql(sealed)| sealed), created })
}

pub(super) fn token_key(connection: &Connection, id: &KeyId) -> rusqlite::Result<Option<TokenKey>> {
    connection.prepare_cached(TOKEN_KEY)?.query_row([Sql(id)], to_token_key).optional()
}

pub(super) fn token_keys(connection: &Connection) -> rusqlite::Result<Vec<TokenKey>> {
    connection.prepare_cached(TOKEN_KEYS)?.query_map([], to_token_key)?.collect()
}

// Organisations.

const ORGANISATION: &str = "
    SELECT id, name, account, creator, creator_name, created FROM organisations WHERE name = ?1";

fn to_organisation(row: &Row<'_>) -> rusqlite::Result<Organisation> {
    let (Sql(id), Sql(name), Sql(account)) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (Sql(creator), Sql(creator_name), Sql(created)) = (row.get(3)?, row.get(4)?, row.get(5)?);
    Ok(Organisation { id, name, account, creator, creator_name, created })
}

pub(super) fn organisation(
    connection: &Connection,
    name: &OrganisationName,
) -> rusqlite::Result<Option<Organisation>> {
    connection.prepare_cached(ORGANISATION)?.query_row([Sql(name)], to_organisation).optional()
}

/// Of the viewer's account. What is in an organisation begins with its name and `/`; the character after `/` is `0`.
const ORGANISATIONS: &str = "
    SELECT organisations.id, organisations.name, organisations.account, organisations.creator,
        organisations.creator_name, organisations.created, organisation_grants.level,
        (SELECT count(*) FROM repositories INDEXED BY repositories_listed
            WHERE listed = 1 AND name > organisations.name || '/' AND name < organisations.name || '0')
    FROM organisations
    LEFT JOIN organisation_grants
        ON organisation_grants.organisation = organisations.id AND organisation_grants.user = ?2
    WHERE organisations.account = ?1 AND (
        ?3 OR organisation_grants.level IS NOT NULL
        OR (?4 AND organisations.name IN (
            SELECT repositories.organisation
            FROM repository_grants
            CROSS JOIN repositories ON repositories.id = repository_grants.repository
            WHERE repository_grants.user = ?2 AND repositories.listed = 1)))
    ORDER BY organisations.name";

pub(super) fn organisations(
    connection: &Connection,
    viewer: &Viewer,
    partly: bool,
) -> rusqlite::Result<Vec<ListedOrganisation>> {
    let Viewer { user, account, administers } = viewer;
    let mut organisations = connection.prepare_cached(ORGANISATIONS)?;
    let organisations =
        organisations.query_map(params![Sql(account), Sql(user), administers, partly], |row| {
            let level = if *administers { Some(GrantLevel::Manage) } else { level(row, 6)? };
            let Sql(repositories) = row.get(7)?;
            Ok(ListedOrganisation { organisation: to_organisation(row)?, level, repositories })
        })?;
    organisations.collect()
}

const ORGANISATIONS_BY: &str = "SELECT count(*) FROM organisations WHERE creator = ?1";

pub(super) fn organisations_by(connection: &Connection, user: &UserId) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(ORGANISATIONS_BY)?
        .query_row([Sql(user)], |row| row.get(0))
        .map(|Sql(count)| count)
}

const REPOSITORIES_IN: &str = "
    SELECT count(*) FROM repositories INDEXED BY repositories_listed
    WHERE listed = 1 AND name > ?1 || '/' AND name < ?1 || '0'";

pub(super) fn repositories_in(connection: &Connection, name: &OrganisationName) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(REPOSITORIES_IN)?
        .query_row([Sql(name)], |row| row.get(0))
        .map(|Sql(count)| count)
}

const OVERVIEW: &str = "
    SELECT (SELECT count(*) FROM organisations WHERE account = ?1),
        count(*), ifnull(sum(versions), 0), ifnull(sum(bytes), 0), CAST(total(pulls) AS INTEGER)
    FROM (
        SELECT repositories.pulls AS pulls,
            (SELECT count(*) FROM tags WHERE tags.repository = repositories.id) AS versions,
            (SELECT sum(blobs.size) FROM links CROSS JOIN blobs ON blobs.digest = links.digest
                WHERE links.repository = repositories.id) AS bytes
        FROM organisations
        CROSS JOIN repositories INDEXED BY repositories_listed
            ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
        WHERE organisations.account = ?1 AND repositories.listed = 1)";

pub(super) fn overview(connection: &Connection, account: &AccountId) -> rusqlite::Result<Overview> {
    connection.prepare_cached(OVERVIEW)?.query_row([Sql(account)], |row| {
        let (Sql(organisations), Sql(repositories), Sql(versions)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (Sql(bytes), Sql(pulls)) = (row.get(3)?, row.get(4)?);
        Ok(Overview { organisations, repositories, versions, bytes, pulls })
    })
}

// Grants and shares.

const GRANTS_IN_ORGANISATION: &str = "
    SELECT users.id, users.name, organisation_grants.level
    FROM organisation_grants CROSS JOIN users ON users.id = organisation_grants.user
    WHERE organisation_grants.organisation = ?1
    ORDER BY users.name, users.id";

const GRANTS_ON_REPOSITORY: &str = "
    SELECT users.id, users.name, repository_grants.level
    FROM repository_grants CROSS JOIN users ON users.id = repository_grants.user
    WHERE repository_grants.repository = ?1
    ORDER BY users.name, users.id";

pub(super) fn grants(connection: &Connection, scope: &GrantScope) -> rusqlite::Result<Option<Vec<Granted>>> {
    let (statement, id) = match scope {
        GrantScope::Organisation(name) => {
            (GRANTS_IN_ORGANISATION, organisation(connection, name)?.map(|organisation| organisation.id.0))
        }
        GrantScope::Repository(name) => (GRANTS_ON_REPOSITORY, listed(connection, name)?.map(|id| id.0)),
    };
    let Some(id) = id else { return Ok(None) };
    let mut grants = connection.prepare_cached(statement)?;
    let grants = grants.query_map([id], |row| {
        let (Sql(user), Sql(user_name), Sql(level)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Granted { user, user_name, level })
    })?;
    grants.collect::<Result<_, _>>().map(Some)
}

/// There are a few hundred at most.
const SHARES: &str = "
    SELECT accounts.id, accounts.name, shares.deadline, shares.description, shares.creator,
        shares.creator_name, shares.created, shares.updated
    FROM shares CROSS JOIN accounts ON accounts.id = shares.account
    WHERE shares.repository = ?1 AND accounts.name > ?2
    ORDER BY accounts.name LIMIT ?3";

fn to_share(row: &Row<'_>, repository: &RepositoryName) -> rusqlite::Result<ListedShare> {
    let (Sql(account), Sql(account_name), Sql(deadline)) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (Sql(creator), Sql(creator_name)) = (row.get(4)?, row.get(5)?);
    let (Sql(created), Sql(updated)) = (row.get(6)?, row.get(7)?);
    let (repository, description) = (repository.clone(), row.get(3)?);
    let share = Share { repository, account, deadline, description, creator, creator_name, created, updated };
    Ok(ListedShare { share, account_name })
}

pub(super) fn shares(
    connection: &Connection,
    repository: &RepositoryName,
    page: &Page<AccountName>,
) -> rusqlite::Result<Option<Vec<ListedShare>>> {
    let Some(id) = listed(connection, repository)? else { return Ok(None) };
    let after = page.after.as_ref().map_or("", AccountName::as_str);
    let mut shares = connection.prepare_cached(SHARES)?;
    let shares =
        shares.query_map(params![Sql(id), after, page.limit.get()], |row| to_share(row, repository))?;
    shares.collect::<Result<_, _>>().map(Some)
}

const SHARE: &str = "
    SELECT accounts.id, accounts.name, shares.deadline, shares.description, shares.creator,
        shares.creator_name, shares.created, shares.updated
    FROM repositories
    JOIN shares ON shares.repository = repositories.id
    JOIN accounts ON accounts.id = shares.account
    WHERE repositories.name = ?1 AND repositories.listed = 1 AND shares.account = ?2";

pub(super) fn share(
    connection: &Connection,
    repository: &RepositoryName,
    account: &AccountId,
) -> rusqlite::Result<Option<ListedShare>> {
    let mut share = connection.prepare_cached(SHARE)?;
    share.query_row(params![Sql(repository), Sql(account)], |row| to_share(row, repository)).optional()
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    STANDING,
    ACCOUNT,
    ACCOUNT_NAMED,
    ACCOUNTS,
    USER,
    USER_NAMED,
    USERS,
    KEY_HOLDER,
    ACCESS_KEYS,
    ALL_ACCESS_KEYS,
    ORGANISATION,
    ORGANISATIONS,
    ORGANISATIONS_BY,
    REPOSITORIES_IN,
    OVERVIEW,
    SHARE,
];

/// These sort all that hangs on one thing.
#[cfg(test)]
pub(super) const SORTED: &[&str] = &[TOKEN_KEYS, GRANTS_IN_ORGANISATION, GRANTS_ON_REPOSITORY, SHARES];
