//! A place in a database of PostgreSQL for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use swr_storage::{PostgresOptions, PostgresStore};

/// A schema of its own, with nothing in it.
#[derive(Debug)]
pub struct Place {
    url: String,
}

impl Place {
    /// Of the database that `SWR_TEST_POSTGRES_URL` names, which is thrown away afterwards with all of them.
    pub async fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("SWR_TEST_POSTGRES_URL").expect("SWR_TEST_POSTGRES_URL names a database");
        let schema = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        let begin = if url.contains('?') { '&' } else { '?' };
        Self { url: format!("{url}{begin}options=-csearch_path%3D{schema}") }
    }

    /// The address of the schema.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A handle on it; there may be several.
    pub async fn open(&self) -> PostgresStore {
        PostgresStore::open_with(self.options()).await.unwrap()
    }

    /// Those of [`Self::open`].
    pub fn options(&self) -> PostgresOptions {
        let mut options = PostgresOptions::new(&self.url);
        options.connections_max = std::num::NonZeroUsize::new(4).unwrap();
        options
    }
}
