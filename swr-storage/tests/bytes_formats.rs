//! Bytes of an earlier format are read where they are, and uploads of that time gone on with.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use swr_core::caller::{Caller, Identity};
use swr_core::commit::{BlobLocation, StoredBlob};
use swr_core::digest::Algorithm;
use swr_core::ports::{BlobStore, UploadStore};
use swr_core::testing::minute;
use swr_core::upload::{Upload, UploadId};

fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn id(digit: &str) -> UploadId {
    UploadId::parse(&digit.repeat(32)).unwrap()
}

/// The folder of the fixture `name`, and every file in it by its path there.
fn fixture(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push((path.strip_prefix(&root).unwrap().to_owned(), fs::read(&path).unwrap())),
            }
        }
    }
    files
}

/// What was brought whole, in one append, and forgotten.
fn whole(location: &str) -> StoredBlob {
    let digest = Algorithm::Sha256.digest(&content(1000));
    StoredBlob { digest, size: 1000, location: BlobLocation::new(location) }
}

/// What was brought in two, and finished by an upload that is known still.
fn pieces(location: &str) -> StoredBlob {
    let digest = Algorithm::Sha512.digest(&content(2000));
    StoredBlob { digest, size: 2000, location: BlobLocation::new(location) }
}

async fn expect_content(store: &impl BlobStore, stored: &StoredBlob) {
    assert_eq!(store.stat(&stored.location).await.unwrap().unwrap().size, stored.size);
    let body = store.read(&stored.location, 0..stored.size).await.unwrap().unwrap();
    assert!(body.collect(usize::MAX).await.unwrap() == content(stored.size as usize), "{stored:?}");
}

/// Brings what the upload lacks of so many bytes, and finishes it.
async fn bring_rest(store: &impl UploadStore, id: &UploadId, offset: usize, length: usize) -> StoredBlob {
    let rest = content(length).slice(offset..);
    assert_eq!(store.append(id, offset as u64, rest.into(), minute(9)).await.unwrap(), length as u64);
    let stored = store.finish(id, &Algorithm::Sha256.digest(&content(length))).await.unwrap();
    store.forget(id).await.unwrap();
    stored
}

/// What was stored is read; and an upload of 1500 bytes, in two appends, is known as it was, and goes on.
async fn expect_going_on(store: &(impl BlobStore + UploadStore), whole: StoredBlob, pieces: StoredBlob) {
    for stored in [&whole, &pieces] {
        expect_content(store, stored).await;
    }
    assert_eq!(store.finish(&id("b"), &pieces.digest).await.unwrap(), pieces);
    store.forget(&id("b")).await.unwrap();

    let under_way = Upload {
        id: id("c"),
        repository: "math/a".parse().unwrap(),
        owner: Caller::User(Identity::new("ada")),
        algorithm: Algorithm::Sha256,
        begun: minute(1),
        offset: 1500,
    };
    assert_eq!(store.find(&under_way.id).await.unwrap().as_ref(), Some(&under_way));
    let idle: Vec<_> = store.idle_since(minute(3)).try_collect().await.unwrap();
    assert!(!idle.contains(&under_way), "{idle:?}");
    let idle: Vec<_> = store.idle_since(minute(4)).try_collect().await.unwrap();
    assert!(idle.contains(&under_way), "{idle:?}");
    let grown = bring_rest(store, &under_way.id, 1500, 3000).await;
    expect_content(store, &grown).await;

    let listed: Vec<_> = store.list().map_ok(|listed| listed.location).try_collect().await.unwrap();
    let mut expected = [whole, pieces, grown].map(|stored| stored.location).to_vec();
    let mut found = listed;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    for location in expected {
        store.delete(&location).await.unwrap();
        assert_eq!(store.stat(&location).await.unwrap(), None);
    }
}

#[cfg(all(feature = "filesystem", unix))]
mod files {
    use swr_storage::FilesystemBlobs;
    use swr_storage::filesystem::FilesystemReader;

    use super::*;

    #[tokio::test]
    async fn a_folder_of_format_1_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in fixture("filesystem_formats/1") {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let place = |algorithm: &str, name: &str| format!("{algorithm}/{}/{name}", &name[..2]);
        let whole = {
            let hash = Algorithm::Sha256.digest(&content(1000)).hex();
            whole(&place("sha256", &format!("{hash}.{}", id("a"))))
        };
        let pieces = {
            let hash = Algorithm::Sha512.digest(&content(2000)).hex();
            pieces(&place("sha512", &format!("{hash}.{}", id("b"))))
        };
        let reader = FilesystemReader::open(folder.path()).unwrap();
        for stored in [&whole, &pieces] {
            expect_content(&reader, stored).await;
        }
        let options = FilesystemBlobs::options().low_water_bytes(0).low_water_inodes(0);
        expect_going_on(&options.open(folder.path()).unwrap(), whole, pieces).await;
    }
}

#[cfg(feature = "bucket")]
mod bucket {
    use std::error::Error as _;
    use std::sync::Arc;

    use futures_util::future::join_all;
    use object_store::memory::InMemory;
    use object_store::multipart::MultipartStore as _;
    use object_store::path::Path;
    use object_store::{ObjectStore, PutOptions, PutPayload};
    use swr_core::ports::{AbandonError, AppendError, FinishError, StoreError, StoreErrorKind};
    use swr_storage::BucketBlobs;
    use swr_storage::upload_sessions::{MemorySessions, UploadSession, UploadSessions};

    use super::*;

    /// A bucket, and what is remembered of its uploads.
    #[derive(Default)]
    struct Place {
        bucket: Arc<InMemory>,
        sessions: Arc<MemorySessions>,
    }

    impl Place {
        /// As they were left in format 1, when it had no name yet.
        async fn of_format_1() -> Self {
            let place = Self::default();
            for (path, bytes) in fixture("bucket_formats/1/objects") {
                place.put(path.to_str().unwrap(), bytes).await;
            }
            // Parts that were on their way, of the upload that the session of `d` names.
            let parts = Path::from(format!("blobs/dd/{}/5", id("d")));
            let parts = place.bucket.create_multipart(&parts).await.unwrap();
            for (path, record) in fixture("bucket_formats/1/sessions") {
                let (id, last) = path.to_str().unwrap().split_once('.').unwrap();
                let id = UploadId::parse(id).unwrap();
                let record = String::from_utf8(record).unwrap();
                let record = record.replace(r#""multipart":"13""#, &format!(r#""multipart":"{parts}""#));
                for version in 1..=last.parse().unwrap() {
                    let (id, record) = (id.clone(), record.clone());
                    let session = UploadSession { id, version, touched: minute(3), record };
                    assert!(place.sessions.save(&session).await.unwrap());
                }
            }
            place
        }

        fn open(&self) -> BucketBlobs {
            BucketBlobs::open(Arc::clone(&self.bucket), Arc::clone(&self.sessions) as _)
        }

        async fn put(&self, key: &str, bytes: Vec<u8>) {
            let key = Path::from(key);
            let put = self.bucket.put_opts(&key, PutPayload::from(bytes), PutOptions::default());
            put.await.unwrap();
        }

        async fn keys(&self) -> Vec<String> {
            let listed = self.bucket.list(None).map_ok(|meta| meta.location.to_string());
            let mut keys: Vec<_> = listed.try_collect().await.unwrap();
            keys.sort();
            keys
        }
    }

    /// Another one.
    fn upload(digit: &str) -> Upload {
        Upload {
            id: id(digit),
            repository: "math/a".parse().unwrap(),
            owner: Caller::Anonymous,
            algorithm: Algorithm::Sha256,
            begun: minute(5),
            offset: 0,
        }
    }

    #[tokio::test]
    async fn a_bucket_of_format_1_is_gone_on_with() {
        let place = Place::of_format_1().await;
        let store = place.open();
        let whole = whole(&format!("{}/2-1000", id("a")));
        let pieces = pieces(&format!("{}/8:2-700,5-1300", id("b")));
        expect_going_on(&store, whole, pieces).await;

        // One whose process ended in the middle of an append.
        let cut_off = store.find(&id("d")).await.unwrap().unwrap();
        assert_eq!(cut_off.offset, 500);
        let stored = bring_rest(&store, &id("d"), 500, 1500).await;
        expect_content(&store, &stored).await;
        store.delete(&stored.location).await.unwrap();
        assert_eq!(place.keys().await, [] as [String; 0]);
    }

    #[tokio::test]
    async fn a_format_is_named_before_anything_comes_and_read_by_whoever_opens_the_bucket_next() {
        for place in [Place::default(), Place::of_format_1().await] {
            let before = place.keys().await;
            place.open().probe().await.unwrap();
            assert_eq!(place.keys().await, before, "who only looks changes nothing");
            let stores: Vec<_> = (0..4).map(|_| place.open()).collect();
            join_all(stores.iter().zip(["1", "2", "3", "4"]).map(|(store, digit)| async move {
                store.begin(&upload(digit)).await.unwrap();
            }))
            .await;
            let mut expected = before;
            expected.push("format/1".into());
            assert_eq!(place.keys().await, expected);
            let stored = bring_rest(&place.open(), &id("1"), 0, 100).await;
            expect_content(&place.open(), &stored).await;
        }
    }

    /// What is asked of a store that is open there gets this answer, whatever it is.
    async fn refusals(store: &BucketBlobs) -> Vec<StoreError> {
        let location = BlobLocation::new(format!("{}/2-1000", id("a")));
        let digest = Algorithm::Sha256.digest(b"");
        let body = content(10).into();
        vec![
            store.probe().await.unwrap_err(),
            store.begin(&upload("1")).await.unwrap_err(),
            match store.append(&id("c"), 1500, body, minute(9)).await {
                Err(AppendError::Store(error)) => error,
                other => panic!("{other:?}"),
            },
            match store.finish(&id("c"), &digest).await {
                Err(FinishError::Store(error)) => error,
                other => panic!("{other:?}"),
            },
            match store.abandon(&id("c")).await {
                Err(AbandonError::Store(error)) => error,
                other => panic!("{other:?}"),
            },
            store.forget(&id("c")).await.unwrap_err(),
            store.stat(&location).await.unwrap_err(),
            store.read(&location, 0..10).await.map(drop).unwrap_err(),
            store.direct_url(&location).await.unwrap_err(),
            store.delete(&location).await.unwrap_err(),
            store.list().try_collect::<Vec<_>>().await.unwrap_err(),
        ]
    }

    #[tokio::test]
    async fn a_later_format_is_refused_whatever_is_asked_and_left_as_it_is() {
        for (key, said) in [
            ("format/2", "format 2"),
            ("format/18446744073709551615", "format 18446744073709551615"),
            ("format/0", "format/0"),
            ("format/01", "format/01"),
            ("format/one", "format/one"),
            ("format/18446744073709551616", "format/18446744073709551616"),
            ("format/1/1", "does not say"),
        ] {
            let place = Place::of_format_1().await;
            place.put("format/1", Vec::new()).await;
            place.put(key, Vec::new()).await;
            let before = place.keys().await;
            for refusal in refusals(&place.open()).await {
                assert_eq!(refusal.kind(), StoreErrorKind::Other);
                assert!(refusal.source().unwrap().to_string().contains(said), "{refusal:?}");
            }
            assert_eq!(place.keys().await, before);
            assert_eq!(place.sessions.find(&id("1")).await.unwrap(), None);
            assert_eq!(place.sessions.find(&id("c")).await.unwrap().unwrap().version, 7);
        }
    }

    /// A store that has been open since before is not ready any more, and does nothing from then on.
    #[tokio::test]
    async fn a_later_format_that_is_named_meanwhile_is_seen_by_the_next_probe() {
        let place = Place::default();
        let store = place.open();
        store.begin(&upload("1")).await.unwrap();
        store.probe().await.unwrap();
        place.put("format/2", Vec::new()).await;
        assert_eq!(store.probe().await.unwrap_err().kind(), StoreErrorKind::Other);
        let before = place.keys().await;
        assert_eq!(store.begin(&upload("2")).await.unwrap_err().kind(), StoreErrorKind::Other);
        assert_eq!(store.forget(&id("1")).await.unwrap_err().kind(), StoreErrorKind::Other);
        assert_eq!(place.keys().await, before);
    }
}
