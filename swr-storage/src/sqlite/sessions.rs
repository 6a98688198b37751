//! Sessions of people on pages.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use swr_core::control::credential::KeyId;
use swr_core::control::session::{Session, SessionHolder, SessionId, SessionProof};

use super::columns::Sql;
use super::connections::{WriteError, Writing};
use super::metadata_reads::{to_account, to_user};

const USER: &str = "SELECT 1 FROM users WHERE id = ?1";

const KEY: &str = "SELECT 1 FROM access_keys WHERE id = ?1 AND user = ?2";

const BEGIN: &str = "
    INSERT INTO sessions (id, user, key, password, begun, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (id) DO UPDATE SET user = ?2, key = ?3, password = ?4, begun = ?5, used = ?6";

/// Of the user's other sessions, those that were used before the ?3 last ones.
const END_OTHERS: &str = "
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions INDEXED BY sessions_of_user
        WHERE user = ?1 AND id <> ?2 ORDER BY used DESC, id DESC LIMIT -1 OFFSET ?3)";

/// Whether it was begun: whether the user, and the key, are there.
pub(super) fn begin(writing: &Writing<'_>, session: &Session, most: NonZeroU32) -> Result<bool, WriteError> {
    let Session { id, user, proof, begun, used } = session;
    let connection = writing.connection;
    let (key, password) = match proof {
        SessionProof::Password(mark) => (None, Some(mark)),
        SessionProof::Key(key) => (Some(key), None),
    };
    let has_proof = match key {
        Some(key) => connection.prepare_cached(KEY)?.exists(params![Sql(key), Sql(user)])?,
        None => connection.prepare_cached(USER)?.exists([Sql(user)])?,
    };
    if !has_proof {
        return Ok(false);
    }
    writing.claim_room()?;
    let begin = params![id.0, Sql(user), key.map(Sql), password, Sql(*begun), Sql(*used)];
    connection.prepare_cached(BEGIN)?.execute(begin)?;
    connection.prepare_cached(END_OTHERS)?.execute(params![Sql(user), id.0, most.get() - 1])?;
    Ok(true)
}

const SESSION: &str = "
    SELECT sessions.key, sessions.password, sessions.begun, sessions.used,
        users.id, users.account, users.name, users.role, users.password, users.created,
        accounts.id, accounts.name, accounts.project, accounts.agency, accounts.created
    FROM sessions
    JOIN users ON users.id = sessions.user
    JOIN accounts ON accounts.id = users.account
    WHERE sessions.id = ?1";

pub(super) fn session(connection: &Connection, id: &SessionId) -> rusqlite::Result<Option<SessionHolder>> {
    let mut session = connection.prepare_cached(SESSION)?;
    let session = session.query_row([id.0], |row| {
        let (user, account) = (to_user(row, 4)?, to_account(row, 10)?);
        let proof = match row.get::<_, Option<Sql<KeyId>>>(0)? {
            Some(Sql(key)) => SessionProof::Key(key),
            None => SessionProof::Password(row.get::<_, String>(1)?.into()),
        };
        let (Sql(begun), Sql(used)) = (row.get(2)?, row.get(3)?);
        let session = Session { id: *id, user: user.id.clone(), proof, begun, used };
        Ok(SessionHolder { session, user, account })
    });
    session.optional()
}

const USE: &str = "UPDATE sessions SET used = ?2 WHERE id = ?1 AND used < ?2";

pub(super) fn note_use(connection: &Connection, id: &SessionId, at: DateTime<Utc>) -> rusqlite::Result<()> {
    connection.prepare_cached(USE)?.execute(params![id.0, Sql(at)]).map(drop)
}

const END: &str = "DELETE FROM sessions WHERE id = ?1";

pub(super) fn end(connection: &Connection, id: &SessionId) -> rusqlite::Result<()> {
    connection.prepare_cached(END)?.execute([id.0]).map(drop)
}

pub(super) const END_OF_USER: &str = "DELETE FROM sessions WHERE user = ?1";

pub(super) const END_OF_KEY: &str = "DELETE FROM sessions WHERE key = ?1";

const TRIM_OLD: &str = "
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions INDEXED BY sessions_by_begin WHERE begun < ?1 ORDER BY begun LIMIT ?2)";

const TRIM_IDLE: &str = "
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions INDEXED BY sessions_by_use WHERE used < ?1 ORDER BY used LIMIT ?2)";

pub(super) fn trim(
    connection: &Connection,
    begun: DateTime<Utc>,
    used: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let old = connection.prepare_cached(TRIM_OLD)?.execute(params![Sql(begun), limit.get()])?;
    let idle = connection.prepare_cached(TRIM_IDLE)?.execute(params![Sql(used), limit.get()])?;
    Ok((old + idle) as u64)
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[USER, KEY, BEGIN, END_OTHERS, SESSION, USE, END, END_OF_USER, END_OF_KEY, TRIM_OLD, TRIM_IDLE];
