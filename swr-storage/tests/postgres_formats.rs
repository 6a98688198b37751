//! Tables of an earlier format are taken to the present one, with all they hold.
//!
//! A server is needed: `SWR_TEST_POSTGRES_URL` names a database in which the tests make schemas, one for each.
#![cfg(feature = "testing-postgres")]

mod postgres_place;
mod told;

use swr_core::ports::{ManifestStore, Unused};
use swr_core::testing::minute;
use swr_storage::PostgresStore;

use postgres_place::Place;
use told::{fence, many};

/// What [`tell`] leaves in each format. The first program that kept facts here had format 3: what came before is the
/// tables of the first steps, with what it left in them.
const FORMATS: [&str; 4] = [
    include_str!("postgres_formats/1.sql"),
    include_str!("postgres_formats/2.sql"),
    include_str!("postgres_formats/3.sql"),
    include_str!("postgres_formats/4.sql"),
];

/// What the format knows that the one before it did not.
async fn tell(store: &PostgresStore, format: usize) {
    match format {
        1 => told::tell(store).await,
        #[cfg(feature = "control")]
        2 => told::people::tell(store).await,
        #[cfg(feature = "control")]
        3 => told::running::tell(store).await,
        #[cfg(feature = "control")]
        4 => told::pages::tell(store).await,
        _ => {}
    }
}

/// Every answer about what a store of the format was told.
async fn answers(store: &PostgresStore, format: usize) -> Vec<String> {
    let mut answers = told::answers(store).await;
    for format in 2..=format {
        match format {
            #[cfg(feature = "control")]
            2 => answers.extend(told::people::answers(store).await),
            #[cfg(feature = "control")]
            3 => answers.extend(told::running::answers(store).await),
            #[cfg(feature = "control")]
            4 => answers.push(told::pages::answer(store).await),
            _ => {}
        }
    }
    answers
}

#[tokio::test]
async fn tables_of_an_earlier_format_are_as_if_they_had_always_been_of_this_one() {
    for (format, fixture) in (1..).zip(FORMATS) {
        let (place, present) = (Place::new().await, Place::new().await.open().await);
        for format in 1..=format {
            tell(&present, format).await;
        }
        let client = place.connect().await;
        client.batch_execute(fixture).await.unwrap();
        let migrated = place.open().await;
        let expected = answers(&present, format).await;
        assert_eq!(answers(&migrated, format).await, expected);
        let reached = client.query_one("SELECT format FROM swr_format", &[]).await.unwrap();
        assert_eq!(reached.get::<_, i32>(0), 4);

        // And so it goes on: for another process, with what there was not before, and through a collection.
        drop(migrated);
        let migrated = place.open().await;
        assert_eq!(answers(&migrated, format).await, expected);
        let (before, at) = (minute(500), minute(500));
        let unused = Unused { manifests_before: Some(before), links_before: before, at };
        for store in [&present, &migrated] {
            for format in format + 1..=FORMATS.len() {
                tell(store, format).await;
            }
            while !store.release_unused(&unused, &fence(), many()).await.unwrap().is_nothing() {}
            store.discard_unlinked(before, at, &fence(), many()).await.unwrap();
        }
        // Format 1 counted nothing for the people to come.
        let last = if format == 1 { 1 } else { FORMATS.len() };
        let expected = answers(&present, last).await;
        assert_eq!(answers(&migrated, last).await, expected);
        assert!(!expected.iter().any(|answer| answer.starts_with("math/hidden: Some")), "{expected:#?}");
    }
}
