//! Every error and the specification's code for it.

use std::error::Error as _;

use swr_core::digest::{Digest, DigestError};
use swr_core::error::Need;
use swr_core::manifest::ManifestDefect;
use swr_core::media_type::MediaType;
use swr_core::ports::{Action, Refusal, StoreError, StoreErrorKind};
use swr_core::reference::Reference;
use swr_core::stream::BodyError;
use swr_core::testing::sample_images::SampleBlob;
use swr_core::{Error, RepositoryName, Tag};
use swr_policy::{NamingPolicy, SwrNaming};

use crate::scene::{repository, tag};

fn malformed() -> DigestError {
    Digest::parse("sha256:x").unwrap_err()
}

#[test]
fn every_error_has_its_code_and_a_sentence() {
    let digest = SampleBlob::new("x").digest;
    let reference: Reference = tag("v1").into();
    let bad_name = RepositoryName::parse("A").unwrap_err();
    let bad_tag = Tag::parse("-").unwrap_err();
    let naming = SwrNaming::new().admit_repository(&repository("a")).unwrap_err();
    let media_type = MediaType::parse(MediaType::OCI_INDEX).unwrap();
    let store = |kind| StoreError::new(kind, "manifests.commit", "a disk that must not be named");
    let table: Vec<(Error, &str, &str)> = vec![
        (Error::BlobUnknown { digest }, "BLOB_UNKNOWN", "blob sha256:2d71"),
        (Error::UploadUnknown, "BLOB_UPLOAD_UNKNOWN", "the upload is unknown"),
        (Error::UploadOffset { offset: 7 }, "BLOB_UPLOAD_INVALID", "the upload goes on at offset 7"),
        (Error::UploadBusy, "BLOB_UPLOAD_INVALID", "another request"),
        (Error::UploadInvalid("no such range".into()), "BLOB_UPLOAD_INVALID", "no such range"),
        (
            Error::Interrupted(BodyError::Interrupted("cut".into())),
            "BLOB_UPLOAD_INVALID",
            "the body broke off",
        ),
        (Error::Stalled, "BLOB_UPLOAD_INVALID", "the body stood still"),
        (Error::SizeMismatch { declared: 7 }, "SIZE_INVALID", "the body has other than the declared 7"),
        (Error::BlobTooLarge { limit: 7 }, "SIZE_INVALID", "a blob may have at most 7 bytes"),
        (Error::DigestMismatch { actual: digest }, "DIGEST_INVALID", "the content has another digest"),
        (malformed().into(), "DIGEST_INVALID", "digest `sha256:x`"),
        (
            Error::ManifestInvalid(ManifestDefect::NoType),
            "MANIFEST_INVALID",
            "the manifest is invalid: neither",
        ),
        (Error::ManifestTooLarge { limit: 7 }, "MANIFEST_INVALID", "a manifest may have at most 7 bytes"),
        (Error::ManifestBlobUnknown(vec![digest]), "MANIFEST_BLOB_UNKNOWN", "the manifest names content"),
        (
            Error::ManifestUnknown { reference: reference.clone() },
            "MANIFEST_UNKNOWN",
            "manifest v1 is unknown",
        ),
        (
            Error::ManifestUnacceptable { reference, media_type },
            "MANIFEST_UNKNOWN",
            "manifest v1 is of the type application/vnd.oci.image.index.v1+json",
        ),
        (bad_name.into(), "NAME_INVALID", "'repository' is invalid"),
        (bad_tag.into(), "NAME_INVALID", "'tag' is invalid"),
        (Error::NameRefused(naming.clone()), "NAME_INVALID", "'repository' is invalid"),
        (Error::TagRefused(naming), "NAME_INVALID", "'tag' is invalid"),
        (Error::NameUnknown { repository: repository("a") }, "NAME_UNKNOWN", "repository `a` is unknown"),
        (Error::TagImmutable { tag: tag("v1") }, "DENIED", "tag `v1` is fixed"),
        (Error::Denied(Refusal::default()), "DENIED", "you do not have the permission"),
        (
            Error::Unauthorized {
                needs: vec![Need { repository: repository("a"), actions: vec![Action::Pull] }],
            },
            "UNAUTHORIZED",
            "authentication required",
        ),
        (Error::BlobNamed { digest, manifests: vec![digest] }, "UNSUPPORTED", "blob sha256:2d71"),
        (Error::Unsupported("not here".into()), "UNSUPPORTED", "not here"),
        (
            Error::EncodingUnsupported { encoding: "gzip".into() },
            "UNSUPPORTED",
            "the content encoding `gzip`",
        ),
        (Error::TooManyRequests { retry_after: None }, "TOOMANYREQUESTS", "too many requests"),
        (Error::RangeUnsatisfiable { size: 7 }, "", "none of the ranges"),
        (Error::PreconditionFailed, "", "the precondition does not hold"),
        (Error::TooManyTags { limit: 7 }, "", "a request may set at most 7 tags"),
        (store(StoreErrorKind::Full).into(), "", "the registry has no room left"),
        (store(StoreErrorKind::Unavailable).into(), "", "the store failed"),
        (store(StoreErrorKind::Corrupt).into(), "", "the store failed"),
    ];
    for (error, code, sentence) in table {
        assert_eq!(error.code().map_or("", |code| code.as_str()), code, "{error:?}");
        let said = error.to_string();
        assert!(said.starts_with(sentence), "{error:?} says {said}");
        assert!(!said.ends_with('.') && !said.contains("disk"), "{said}");
    }
}

#[test]
fn what_the_store_said_is_in_the_chain_and_not_in_the_sentence() {
    let error: Error = StoreError::new(StoreErrorKind::Other, "blobs.read", "sector 7 is bad").into();
    let store = error.source().unwrap();
    assert_eq!(store.to_string(), "the store failed (blobs.read)");
    assert_eq!(store.source().unwrap().to_string(), "sector 7 is bad");
}

#[test]
fn a_sentence_names_a_few_of_many_digests() {
    let many: Vec<_> = (0..1000).map(|number| SampleBlob::new(&number.to_string()).digest).collect();
    let said = Error::ManifestBlobUnknown(many).to_string();
    assert!(said.ends_with("and 992 more") && said.len() < 1000, "{said}");
}
