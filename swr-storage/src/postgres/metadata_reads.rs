//! The questions about people, keys, organisations, grants and shares, and the one before every decision.

use tokio_postgres::Row;

use swr_core::control::credential::{AccessKey, HeldKey, KeyHolder, KeyId, TemporaryKey, TokenKey};
use swr_core::control::grant::{GrantLevel, GrantScope, Granted};
use swr_core::control::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use swr_core::control::organisation::{ListedOrganisation, Organisation};
use swr_core::control::share::{ListedShare, Share};
use swr_core::control::standing::{OrganisationStanding, RepositoryStanding, Standing, UserStanding};
use swr_core::ports::{Overview, Page, Viewer};
use swr_core::{OrganisationName, RepositoryName};

use super::columns::Sql;
use super::connections::{Failure, Session};
use super::manifest_commit::only;
use super::manifest_reads::{first, listed, optional};

/// Each table by one of its keys.
const STANDING: &str = "
    SELECT rights.version,
        users.account, users.role,
        organisations.id, organisations.account, organisation_grants.level,
        repositories.id, repositories.public, repository_grants.level,
        shares.account IS NOT NULL, shares.deadline
    FROM rights
    LEFT JOIN users ON users.id = $1
    LEFT JOIN organisations ON organisations.name = $2
    LEFT JOIN organisation_grants
        ON organisation_grants.organisation = organisations.id AND organisation_grants.holder = users.id
    LEFT JOIN repositories ON repositories.name = $3 AND repositories.listed
    LEFT JOIN repository_grants
        ON repository_grants.repository = repositories.id AND repository_grants.holder = users.id
    LEFT JOIN shares ON shares.repository = repositories.id AND shares.account = users.account";

pub(super) async fn standing(
    session: &Session,
    user: Option<&UserId>,
    organisation: Option<&OrganisationName>,
    repository: Option<&RepositoryName>,
) -> Result<Standing, Failure> {
    let (user, organisation, repository) = (user.map(Sql), organisation.map(Sql), repository.map(Sql));
    let row = only(session.query(STANDING, &[&user, &organisation, &repository]).await?)?;
    let Sql(rights) = row.try_get(0)?;
    let user = match optional(&row, 1)? {
        Some(account) => Some(UserStanding { account, role: row.try_get::<_, Sql<_>>(2)?.0 }),
        None => None,
    };
    let organisation = match optional(&row, 3)? {
        Some(id) => {
            let Sql(account) = row.try_get(4)?;
            Some(OrganisationStanding { id, account, grant: optional(&row, 5)? })
        }
        None => None,
    };
    let repository = match optional(&row, 6)? {
        Some(id) => {
            let Sql(visibility) = row.try_get(7)?;
            let share = if row.try_get(9)? { Some(row.try_get::<_, Sql<_>>(10)?.0) } else { None };
            Some(RepositoryStanding { id, visibility, grant: optional(&row, 8)?, share })
        }
        None => None,
    };
    Ok(Standing { rights, user, organisation, repository })
}

// People.

const ACCOUNT: &str = "SELECT id, name, project, agency, created FROM accounts WHERE id = $1";

const ACCOUNT_NAMED: &str = "SELECT id, name, project, agency, created FROM accounts WHERE name = $1";

const ACCOUNTS: &str = "
    SELECT id, name, project, agency, created FROM accounts WHERE name > $1 ORDER BY name LIMIT $2";

/// The columns from `at` on.
pub(super) fn to_account(row: &Row, at: usize) -> Result<Account, Failure> {
    let (Sql(id), Sql(name)) = (row.try_get(at)?, row.try_get(at + 1)?);
    let (Sql(project), Sql(created)) = (row.try_get(at + 2)?, row.try_get(at + 4)?);
    Ok(Account { id, name, project, agency: row.try_get(at + 3)?, created })
}

pub(super) async fn account(session: &Session, id: &AccountId) -> Result<Option<Account>, Failure> {
    session.query_opt(ACCOUNT, &[&Sql(id)]).await?.map(|row| to_account(&row, 0)).transpose()
}

pub(super) async fn account_named(session: &Session, name: &AccountName) -> Result<Option<Account>, Failure> {
    session.query_opt(ACCOUNT_NAMED, &[&Sql(name)]).await?.map(|row| to_account(&row, 0)).transpose()
}

pub(super) async fn accounts(session: &Session, page: &Page<AccountName>) -> Result<Vec<Account>, Failure> {
    let after = page.after.as_ref().map_or("", AccountName::as_str);
    let rows = session.query(ACCOUNTS, &[&Sql(after), &Sql(page.limit)]).await?;
    rows.iter().map(|row| to_account(row, 0)).collect()
}

const USER: &str = "SELECT id, account, name, role, password, created FROM users WHERE id = $1";

const USER_NAMED: &str = "
    SELECT id, account, name, role, password, created FROM users WHERE account = $1 AND name = $2";

const USERS: &str = "
    SELECT id, account, name, role, password, created FROM users
    WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3";

/// The columns from `at` on.
pub(super) fn to_user(row: &Row, at: usize) -> Result<User, Failure> {
    let (Sql(id), Sql(account), Sql(name)) = (row.try_get(at)?, row.try_get(at + 1)?, row.try_get(at + 2)?);
    let (Sql(role), Sql(created)) = (row.try_get(at + 3)?, row.try_get(at + 5)?);
    Ok(User { id, account, name, role, password: optional(row, at + 4)?, created })
}

pub(super) async fn user(session: &Session, id: &UserId) -> Result<Option<User>, Failure> {
    session.query_opt(USER, &[&Sql(id)]).await?.map(|row| to_user(&row, 0)).transpose()
}

pub(super) async fn user_named(
    session: &Session,
    account: &AccountId,
    name: &UserName,
) -> Result<Option<User>, Failure> {
    session.query_opt(USER_NAMED, &[&Sql(account), &Sql(name)]).await?.map(|row| to_user(&row, 0)).transpose()
}

pub(super) async fn users(
    session: &Session,
    account: &AccountId,
    page: &Page<UserName>,
) -> Result<Vec<User>, Failure> {
    let after = page.after.as_ref().map_or("", UserName::as_str);
    let rows = session.query(USERS, &[&Sql(account), &Sql(after), &Sql(page.limit)]).await?;
    rows.iter().map(|row| to_user(row, 0)).collect()
}

// Keys.

/// No id is both an access key's and a temporary key's.
const KEY_HOLDER: &str = "
    SELECT access_keys.description, access_keys.secret, access_keys.created, NULL::text, NULL::bigint,
        users.id, users.account, users.name, users.role, users.password, users.created,
        accounts.id, accounts.name, accounts.project, accounts.agency, accounts.created
    FROM access_keys
    JOIN users ON users.id = access_keys.holder
    JOIN accounts ON accounts.id = users.account
    WHERE access_keys.id = $1
    UNION ALL
    SELECT NULL, temporary_keys.secret, NULL, temporary_keys.issued_with, temporary_keys.expires,
        users.id, users.account, users.name, users.role, users.password, users.created,
        accounts.id, accounts.name, accounts.project, accounts.agency, accounts.created
    FROM temporary_keys
    JOIN users ON users.id = temporary_keys.holder
    JOIN accounts ON accounts.id = users.account
    WHERE temporary_keys.id = $1";

pub(super) async fn key_holder(session: &Session, key: &KeyId) -> Result<Option<KeyHolder>, Failure> {
    let Some(row) = session.query_opt(KEY_HOLDER, &[&Sql(key)]).await? else { return Ok(None) };
    let (user, account) = (to_user(&row, 5)?, to_account(&row, 11)?);
    let id = key.clone();
    let key = match optional(&row, 4)? {
        Some(expires) => HeldKey::Temporary(TemporaryKey {
            id,
            user: user.id.clone(),
            issued_with: optional(&row, 3)?,
            secret: secret(&row, 1)?,
            expires,
        }),
        None => HeldKey::Access(AccessKey {
            id,
            user: user.id.clone(),
            description: row.try_get::<_, Sql<_>>(0)?.0,
            secret: optional(&row, 1)?,
            created: row.try_get::<_, Sql<_>>(2)?.0,
        }),
    };
    Ok(Some(KeyHolder { key, user, account }))
}

/// The hash of a temporary key's secret.
fn secret(row: &Row, column: usize) -> Result<[u8; 32], Failure> {
    let hash: &[u8] = row.try_get(column)?;
    hash.try_into().map_err(|_| Failure::Damaged(super::columns::Damaged("hash")))
}

const ACCESS_KEYS: &str = "
    SELECT id, holder, description, secret, created FROM access_keys
    WHERE holder = $1 ORDER BY created, id";

const ALL_ACCESS_KEYS: &str = "
    SELECT id, holder, description, secret, created FROM access_keys WHERE id > $1 ORDER BY id LIMIT $2";

fn to_access_key(row: &Row) -> Result<AccessKey, Failure> {
    let (Sql(id), Sql(user), Sql(description)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let Sql(created) = row.try_get(4)?;
    Ok(AccessKey { id, user, description, secret: optional(row, 3)?, created })
}

pub(super) async fn access_keys(session: &Session, user: &UserId) -> Result<Vec<AccessKey>, Failure> {
    session.query(ACCESS_KEYS, &[&Sql(user)]).await?.iter().map(to_access_key).collect()
}

pub(super) async fn all_access_keys(
    session: &Session,
    page: &Page<KeyId>,
) -> Result<Vec<AccessKey>, Failure> {
    let after = page.after.as_ref().map_or("", KeyId::as_str);
    let rows = session.query(ALL_ACCESS_KEYS, &[&Sql(after), &Sql(page.limit)]).await?;
    rows.iter().map(to_access_key).collect()
}

const TOKEN_KEY: &str = "SELECT id, secret, created FROM token_keys WHERE id = $1";

/// There are a handful.
const TOKEN_KEYS: &str = "SELECT id, secret, created FROM token_keys ORDER BY created, id";

fn to_token_key(row: &Row) -> Result<TokenKey, Failure> {
    let (Sql(id), Sql(created)) = (row.try_get(0)?, row.try_get(2)?);
    Ok(TokenKey { id, secret: optional(row, 1)?, created })
}

pub(super) async fn token_key(session: &Session, id: &KeyId) -> Result<Option<TokenKey>, Failure> {
    session.query_opt(TOKEN_KEY, &[&Sql(id)]).await?.as_ref().map(to_token_key).transpose()
}

pub(super) async fn token_keys(session: &Session) -> Result<Vec<TokenKey>, Failure> {
    session.query(TOKEN_KEYS, &[]).await?.iter().map(to_token_key).collect()
}

// Organisations.

const ORGANISATION: &str = "
    SELECT id, name, account, creator, creator_name, created FROM organisations WHERE name = $1";

fn to_organisation(row: &Row) -> Result<Organisation, Failure> {
    let (Sql(id), Sql(name), Sql(account)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Sql(creator), Sql(creator_name), Sql(created)) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(Organisation { id, name, account, creator, creator_name, created })
}

pub(super) async fn organisation(
    session: &Session,
    name: &OrganisationName,
) -> Result<Option<Organisation>, Failure> {
    session.query_opt(ORGANISATION, &[&Sql(name)]).await?.as_ref().map(to_organisation).transpose()
}

/// Of the viewer's account. What is in an organisation begins with its name and `/`; the character after `/` is `0`.
const ORGANISATIONS: &str = "
    SELECT organisations.id, organisations.name, organisations.account, organisations.creator,
        organisations.creator_name, organisations.created, organisation_grants.level,
        (SELECT count(*) FROM repositories
            WHERE listed AND repositories.name > organisations.name || '/'
                AND repositories.name < organisations.name || '0')
    FROM organisations
    LEFT JOIN organisation_grants
        ON organisation_grants.organisation = organisations.id AND organisation_grants.holder = $2
    WHERE organisations.account = $1 AND (
        $3::boolean OR organisation_grants.level IS NOT NULL
        OR ($4::boolean AND organisations.name IN (
            SELECT repositories.organisation
            FROM repository_grants
            JOIN repositories ON repositories.id = repository_grants.repository
            WHERE repository_grants.holder = $2 AND repositories.listed)))
    ORDER BY organisations.name";

pub(super) async fn organisations(
    session: &Session,
    viewer: &Viewer,
    partly: bool,
) -> Result<Vec<ListedOrganisation>, Failure> {
    let Viewer { user, account, administers } = viewer;
    let rows = session.query(ORGANISATIONS, &[&Sql(account), &Sql(user), administers, &partly]).await?;
    let organisations = rows.iter().map(|row| {
        let level = if *administers { Some(GrantLevel::Manage) } else { optional(row, 6)? };
        let Sql(repositories) = row.try_get(7)?;
        Ok(ListedOrganisation { organisation: to_organisation(row)?, level, repositories })
    });
    organisations.collect()
}

const ORGANISATIONS_BY: &str = "SELECT count(*) FROM organisations WHERE creator = $1";

pub(super) async fn organisations_by(session: &Session, user: &UserId) -> Result<u64, Failure> {
    Ok(first(session.query_opt(ORGANISATIONS_BY, &[&Sql(user)]).await?)?.unwrap_or(0))
}

const REPOSITORIES_IN: &str = "
    SELECT count(*) FROM repositories
    WHERE listed AND name > $1::text || '/' AND name < $1::text || '0'";

pub(super) async fn repositories_in(session: &Session, name: &OrganisationName) -> Result<u64, Failure> {
    Ok(first(session.query_opt(REPOSITORIES_IN, &[&Sql(name)]).await?)?.unwrap_or(0))
}

const OVERVIEW: &str = "
    SELECT (SELECT count(*) FROM organisations WHERE account = $1),
        count(*), COALESCE(sum(versions), 0)::bigint,
        LEAST(COALESCE(sum(bytes), 0), 9223372036854775807)::bigint,
        LEAST(COALESCE(sum(pulls), 0), 9223372036854775807)::bigint
    FROM (
        SELECT repositories.pulls AS pulls,
            (SELECT count(*) FROM tags WHERE tags.repository = repositories.id) AS versions,
            (SELECT sum(blobs.size) FROM links JOIN blobs ON blobs.digest = links.digest
                WHERE links.repository = repositories.id) AS bytes
        FROM organisations
        JOIN repositories
            ON repositories.name > organisations.name || '/' AND repositories.name < organisations.name || '0'
        WHERE organisations.account = $1 AND repositories.listed) AS held";

pub(super) async fn overview(session: &Session, account: &AccountId) -> Result<Overview, Failure> {
    let row = only(session.query(OVERVIEW, &[&Sql(account)]).await?)?;
    let (Sql(organisations), Sql(repositories), Sql(versions)) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Sql(bytes), Sql(pulls)) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Overview { organisations, repositories, versions, bytes, pulls })
}

// Grants and shares.

const GRANTS_IN_ORGANISATION: &str = "
    SELECT users.id, users.name, organisation_grants.level
    FROM organisation_grants JOIN users ON users.id = organisation_grants.holder
    WHERE organisation_grants.organisation = $1
    ORDER BY users.name, users.id";

const GRANTS_ON_REPOSITORY: &str = "
    SELECT users.id, users.name, repository_grants.level
    FROM repository_grants JOIN users ON users.id = repository_grants.holder
    WHERE repository_grants.repository = $1
    ORDER BY users.name, users.id";

pub(super) async fn grants(session: &Session, scope: &GrantScope) -> Result<Option<Vec<Granted>>, Failure> {
    let (statement, id) = match scope {
        GrantScope::Organisation(name) => {
            let found = organisation(session, name).await?;
            (GRANTS_IN_ORGANISATION, found.map(|organisation| organisation.id.0))
        }
        GrantScope::Repository(name) => (GRANTS_ON_REPOSITORY, listed(session, name).await?.map(|id| id.0)),
    };
    let Some(id) = id else { return Ok(None) };
    let rows = session.query(statement, &[&id]).await?;
    let grants = rows.iter().map(|row| {
        let (Sql(user), Sql(user_name), Sql(level)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Granted { user, user_name, level })
    });
    grants.collect::<Result<_, Failure>>().map(Some)
}

/// There are a few hundred at most.
const SHARES: &str = "
    SELECT accounts.id, accounts.name, shares.deadline, shares.description, shares.creator,
        shares.creator_name, shares.created, shares.updated
    FROM shares JOIN accounts ON accounts.id = shares.account
    WHERE shares.repository = $1 AND accounts.name > $2
    ORDER BY accounts.name LIMIT $3";

fn to_share(row: &Row, repository: &RepositoryName) -> Result<ListedShare, Failure> {
    let (Sql(account), Sql(account_name), Sql(deadline)) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Sql(description), Sql(creator), Sql(creator_name)) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    let (Sql(created), Sql(updated)) = (row.try_get(6)?, row.try_get(7)?);
    let repository = repository.clone();
    let share = Share { repository, account, deadline, description, creator, creator_name, created, updated };
    Ok(ListedShare { share, account_name })
}

pub(super) async fn shares(
    session: &Session,
    repository: &RepositoryName,
    page: &Page<AccountName>,
) -> Result<Option<Vec<ListedShare>>, Failure> {
    let Some(id) = listed(session, repository).await? else { return Ok(None) };
    let after = page.after.as_ref().map_or("", AccountName::as_str);
    let rows = session.query(SHARES, &[&Sql(id), &Sql(after), &Sql(page.limit)]).await?;
    rows.iter().map(|row| to_share(row, repository)).collect::<Result<_, _>>().map(Some)
}

const SHARE: &str = "
    SELECT accounts.id, accounts.name, shares.deadline, shares.description, shares.creator,
        shares.creator_name, shares.created, shares.updated
    FROM repositories
    JOIN shares ON shares.repository = repositories.id
    JOIN accounts ON accounts.id = shares.account
    WHERE repositories.name = $1 AND repositories.listed AND shares.account = $2";

pub(super) async fn share(
    session: &Session,
    repository: &RepositoryName,
    account: &AccountId,
) -> Result<Option<ListedShare>, Failure> {
    let row = session.query_opt(SHARE, &[&Sql(repository), &Sql(account)]).await?;
    row.map(|row| to_share(&row, repository)).transpose()
}
