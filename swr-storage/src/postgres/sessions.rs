//! Sessions of people on pages.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};

use swr_core::control::session::{self, SessionHolder, SessionId, SessionProof};

use super::columns::Sql;
use super::connections::{Failure, Locks, Params, Pool, Session};
use super::manifest_reads::optional;
use super::metadata_reads::{to_account, to_user};

/// What whoever begins sessions, or ends several, locks: those that a user has are counted.
pub(super) fn locks(pool: &Pool) -> Locks {
    Locks::beside_others(pool).work("sessions")
}

const USER: &str = "SELECT 1 FROM users WHERE id = $1";

const KEY: &str = "SELECT 1 FROM access_keys WHERE id = $1 AND holder = $2";

const BEGIN: &str = "
    INSERT INTO sessions (id, holder, key, password, begun, used) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET holder = $2, key = $3, password = $4, begun = $5, used = $6";

/// Of the user's other sessions, those that were used before the $3 last ones.
const END_OTHERS: &str = "
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE holder = $1 AND id <> $2 ORDER BY used DESC, id DESC OFFSET $3)";

/// Whether it was begun: whether the user, and the key, are there.
pub(super) async fn begin(
    session: &Session,
    begun: &session::Session,
    most: NonZeroU32,
) -> Result<bool, Failure> {
    let session::Session { id, user, proof, begun, used } = begun;
    let (key, password) = match proof {
        SessionProof::Password(mark) => (None, Some(Sql(&**mark))),
        SessionProof::Key(key) => (Some(Sql(key)), None),
    };
    let has_proof = match &key {
        Some(key) => session.exists(KEY, &[key, &Sql(user)]).await?,
        None => session.exists(USER, &[&Sql(user)]).await?,
    };
    if !has_proof {
        return Ok(false);
    }
    let id = &id.0[..];
    let row: Params<'_> = &[&id, &Sql(user), &key, &password, &Sql(*begun), &Sql(*used)];
    session.execute(BEGIN, row).await?;
    let others = i64::from(most.get() - 1);
    session.execute(END_OTHERS, &[&Sql(user), &id, &others]).await?;
    Ok(true)
}

const SESSION: &str = "
    SELECT sessions.key, sessions.password, sessions.begun, sessions.used,
        users.id, users.account, users.name, users.role, users.password, users.created,
        accounts.id, accounts.name, accounts.project, accounts.agency, accounts.created
    FROM sessions
    JOIN users ON users.id = sessions.holder
    JOIN accounts ON accounts.id = users.account
    WHERE sessions.id = $1";

pub(super) async fn session(session: &Session, id: &SessionId) -> Result<Option<SessionHolder>, Failure> {
    let Some(row) = session.query_opt(SESSION, &[&&id.0[..]]).await? else { return Ok(None) };
    let (user, account) = (to_user(&row, 4)?, to_account(&row, 10)?);
    let proof = match optional(&row, 0)? {
        Some(key) => SessionProof::Key(key),
        None => SessionProof::Password(row.try_get::<_, Sql<_>>(1)?.0),
    };
    let (Sql(begun), Sql(used)) = (row.try_get(2)?, row.try_get(3)?);
    let session = session::Session { id: *id, user: user.id.clone(), proof, begun, used };
    Ok(Some(SessionHolder { session, user, account }))
}

const USE: &str = "UPDATE sessions SET used = $2 WHERE id = $1 AND used < $2";

pub(super) async fn note_use(session: &Session, id: &SessionId, at: DateTime<Utc>) -> Result<(), Failure> {
    session.execute(USE, &[&&id.0[..], &Sql(at)]).await.map(drop)
}

const END: &str = "DELETE FROM sessions WHERE id = $1";

pub(super) async fn end(session: &Session, id: &SessionId) -> Result<(), Failure> {
    session.execute(END, &[&&id.0[..]]).await.map(drop)
}

pub(super) const END_OF_USER: &str = "DELETE FROM sessions WHERE holder = $1";

pub(super) const END_OF_KEY: &str = "DELETE FROM sessions WHERE key = $1";

const TRIM_OLD: &str = "
    DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE begun < $1 ORDER BY begun LIMIT $2)";

const TRIM_IDLE: &str = "
    DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE used < $1 ORDER BY used LIMIT $2)";

pub(super) async fn trim(
    session: &Session,
    begun: DateTime<Utc>,
    used: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<u64, Failure> {
    let old = session.execute(TRIM_OLD, &[&Sql(begun), &Sql(limit)]).await?;
    Ok(old + session.execute(TRIM_IDLE, &[&Sql(used), &Sql(limit)]).await?)
}
