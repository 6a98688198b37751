//! A place in a database of PostgreSQL for one test.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    dead_code,
    reason = "each test file uses what it needs, and stops where it fails"
)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};

use swr_storage::{PostgresOptions, PostgresStore};
use tokio_postgres::{Client, NoTls};

/// A schema of its own, with nothing in it.
#[derive(Debug)]
pub(crate) struct Place {
    url: String,
}

impl Place {
    /// Of the database that `SWR_TEST_POSTGRES_URL` names, which is thrown away afterwards with all of them.
    pub(crate) async fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("SWR_TEST_POSTGRES_URL").expect("SWR_TEST_POSTGRES_URL names a database");
        let schema = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let client = connect(&url).await;
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        let begin = if url.contains('?') { '&' } else { '?' };
        Self { url: format!("{url}{begin}options=-csearch_path%3D{schema}") }
    }

    /// A handle on it, as another process would have one.
    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open_with(self.options()).await.unwrap()
    }

    /// Those of [`Self::open`].
    pub(crate) fn options(&self) -> PostgresOptions {
        let mut options = PostgresOptions::new(&self.url);
        options.connections_max = NonZeroUsize::new(4).unwrap();
        options
    }

    /// Those of somebody whom the server gives so many connections and no more; the tables are there by now.
    pub(crate) async fn options_with_connections(&self, connections: u32) -> PostgresOptions {
        let client = self.connect().await;
        let schema: String = client.query_one("SELECT current_schema()::text", &[]).await.unwrap().get(0);
        client
            .batch_execute(&format!(
                "CREATE ROLE {schema} LOGIN CONNECTION LIMIT {connections};
                 GRANT ALL ON SCHEMA {schema} TO {schema};
                 GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {schema}"
            ))
            .await
            .unwrap();
        let mut options = self.options();
        options.url.push_str(&format!("&user={schema}"));
        options
    }

    /// A connection past all stores.
    pub(crate) async fn connect(&self) -> Client {
        connect(&self.url).await
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
