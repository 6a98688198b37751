//! The store in PostgreSQL keeps the contracts, and what it says of itself.
//!
//! A server is needed: `SWR_TEST_POSTGRES_URL` names a database in which the tests make schemas, one for each.
#![cfg(feature = "testing-postgres")]
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod postgres_place;

use postgres_place::Place;

mod manifests {
    swr_core::manifest_store_suite!(place = { super::Place::new().await }, { place.open().await });
}

#[cfg(feature = "control")]
mod metadata {
    swr_core::metadata_store_suite!(place = { super::Place::new().await }, { place.open().await });
}

mod sessions {
    swr_storage::upload_sessions_suite!({ super::Place::new().await.open().await });
}
