//! The facts of a registry as they are at one instant, in a database of SQLite: the other way of [`moving`](super::moving).

use std::path::Path;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use swr_core::ports::{StoreError, StoreErrorKind};

use super::columns::unescaped;
use super::connections::{Failure, Session};
use super::moving::{GIVEN, PATIENCE, TABLES, Table, table};
use super::{FORMAT_STEPS, PostgresOptions, PostgresStore, expect_whole, format, refused};
use crate::sqlite::Snapshot;

const SNAPSHOT: &str = "postgres.snapshot";

/// What a copy to the other side puts together from two tables is read as it is: content with what is known of it, and who
/// holds it.
const BLOBS: Table = table("blobs", "digest, size, location, made, quarantined, unlinked");
const LINKS: Table = table("links", "repository, digest, renewed, named");

/// Copies what is in the database of `options` to `to`, where nothing of importance is. The registry goes on meanwhile;
/// nothing is written there, and nobody waits. What [`TABLES`] leaves behind stays here as well. Blocks while it writes.
pub(crate) async fn snapshot(options: PostgresOptions, to: &Path) -> Result<Snapshot, StoreError> {
    let options = PostgresOptions { statement_timeout: options.statement_timeout.max(PATIENCE), ..options };
    let pool = PostgresStore::pool(options)?;
    let failed = |failure: Failure| failure.of(SNAPSHOT);
    let instant = pool.snapshot().await.map_err(failed)?;
    let format = format(&instant).await?;
    if format != FORMAT_STEPS.len() {
        return Err(refused(format!(
            "the tables have format {format}, and only {} is copied; open them once with this program",
            FORMAT_STEPS.len()
        )));
    }
    expect_whole(&instant).await?;
    let mut snapshot = Snapshot::make(to)?;
    let transaction = snapshot.connection().transaction().map_err(unwritten)?;
    for table in TABLES {
        let table = match table.to {
            "arriving" => &BLOBS,
            "arriving_links" => &LINKS,
            _ => table,
        };
        copy(&instant, table, &transaction).await?;
    }
    let number = async |question: &str| -> Result<i64, Failure> {
        let row = instant.query_opt(question, &[]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
    };
    // No id is given a second time, and no place in a log.
    let mut last = vec![
        ("events", number("SELECT events FROM log").await.map_err(failed)?),
        ("traces", number("SELECT traces FROM log").await.map_err(failed)?),
    ];
    for (table, column) in GIVEN.iter().filter(|(table, _)| *table != "manifests") {
        let sequence = format!("pg_get_serial_sequence('{table}', '{column}')::regclass");
        let given = format!("SELECT coalesce(pg_sequence_last_value({sequence}), 0)");
        last.push((table, number(&given).await.map_err(failed)?));
    }
    let rights = number("SELECT version FROM rights").await.map_err(failed)?;
    let written = || {
        transaction.execute("DELETE FROM sqlite_sequence", [])?;
        for (table, last) in last {
            transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", (table, last))?;
        }
        transaction.execute("UPDATE rights SET version = ?1", [rights])?;
        transaction.commit()
    };
    written().map_err(unwritten)?;
    Ok(snapshot)
}

async fn copy(from: &Session, table: &Table, to: &Connection) -> Result<(), StoreError> {
    let failed = |failure: Failure| failure.of(SNAPSHOT);
    let columns = table.columns.split(',').count();
    // The name of the table alone, without what is left behind on the way there.
    let name = table.from.split(' ').next().unwrap_or(table.from);
    let places = vec!["?"; columns].join(", ");
    let insert = format!("INSERT INTO {name} ({}) VALUES ({places})", table.of);
    let mut insert = to.prepare(&insert).map_err(unwritten)?;
    let question = format!("SELECT {} FROM {}", table.columns, table.to);
    let mut rows = pin!(from.rows(&question).await.map_err(failed)?);
    while let Some(row) = rows.try_next().await.map_err(|error| failed(error.into()))? {
        let values: Result<Vec<Value>, _> = (0..columns).map(|column| value(&row, column)).collect();
        let values = values.map_err(|error| failed(error.into()))?;
        insert.execute(params_from_iter(values)).map_err(unwritten)?;
    }
    Ok(())
}

fn unwritten(error: rusqlite::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Other, SNAPSHOT, error)
}

fn value(row: &Row, column: usize) -> Result<Value, tokio_postgres::Error> {
    let value: Option<Kept> = row.try_get(column)?;
    Ok(value.map_or(Value::Null, |Kept(value)| value))
}

/// A value of any column, as SQLite has it.
struct Kept(Value);

impl FromSql<'_> for Kept {
    fn from_sql(of: &Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(match *of {
            Type::BOOL => Value::Integer(bool::from_sql(of, raw)?.into()),
            Type::INT2 => Value::Integer(i16::from_sql(of, raw)?.into()),
            Type::INT4 => Value::Integer(i32::from_sql(of, raw)?.into()),
            Type::INT8 => Value::Integer(i64::from_sql(of, raw)?),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            _ => Value::Text(unescaped(<&str>::from_sql(of, raw)?).into_owned()),
        }))
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::BOOL | Type::INT2 | Type::INT4 | Type::INT8 | Type::BYTEA | Type::TEXT)
    }
}
