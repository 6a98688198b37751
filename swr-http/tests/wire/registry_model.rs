//! A registry behind its door and the model of one give the same answers: the model's questions go out as requests,
//! and what comes back is put into the model's words.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use swr_auth::{Authenticated, AuthenticationError, Authenticator, Challenge, Presented};
use swr_core::digest::Digest;
use swr_core::media_type::MediaType;
use swr_core::ports::Page;
use swr_core::reference::Reference;
use swr_core::registry::{ManifestPush, Precondition};
use swr_core::testing::registry_model::{
    self as model, Outcome, Person, Refused, Sent, Uploads, agrees_with_the_model,
};
use swr_core::upload::UploadId;
use swr_core::{ByteRange, Registry, RepositoryName, Tag};
use swr_storage::{MemoryBlobs, MemoryManifests};

use crate::door::{Answer, Door};

#[test]
fn a_registry_behind_its_door_agrees_with_the_model() {
    agrees_with_the_model(
        32,
        || (Arc::new(MemoryBlobs::new()), Arc::new(MemoryManifests::new())),
        async |(bytes, manifests)| (Arc::clone(bytes), Arc::clone(manifests) as Arc<_>),
        Wire::to,
    );
}

/// A door for each person, who need not say who they are.
struct Wire {
    ada: Door,
    bob: Door,
}

#[derive(Debug)]
struct Recognises(Person);

#[async_trait]
impl Authenticator for Recognises {
    async fn authenticate(&self, _: &Presented) -> Result<Authenticated, AuthenticationError> {
        Ok(self.0.caller().into())
    }

    fn challenge(&self) -> Option<&Challenge> {
        None
    }
}

impl Wire {
    fn to(registry: Registry) -> Self {
        let door = |person| Door::to(registry.clone(), Recognises(person));
        Self { ada: door(Person::Ada), bob: door(Person::Bob) }
    }

    fn of(&self, person: Person) -> &Door {
        match person {
            Person::Ada => &self.ada,
            Person::Bob => &self.bob,
        }
    }
}

#[async_trait]
impl model::Door for Wire {
    async fn ask(
        &self,
        by: Person,
        of: &RepositoryName,
        request: &model::Request,
        uploads: &mut Uploads,
    ) -> Outcome {
        use model::Request::*;
        let door = self.of(by);
        let at = |path: &str| format!("/v2/{of}/{path}");
        let blob = |digest: &Digest| at(&format!("blobs/{digest}"));
        let manifest = |reference: &Reference| at(&format!("manifests/{reference}"));
        let address_of =
            |uploads: &Uploads, upload: &u8| at(&format!("blobs/uploads/{}", uploads.id(*upload)));
        match request {
            BeginUpload { upload, algorithm } => {
                let address = at(&format!("blobs/uploads/?digest-algorithm={algorithm}"));
                let begun = door.post(&address, "").await;
                if begun.status == 202 {
                    let (_, id) = begun.header("location").rsplit_once('/').unwrap();
                    uploads.begun(*upload, UploadId::parse(id).unwrap());
                }
                answered(begun, 202, offset)
            }
            AppendUpload { upload, bytes, sent } => {
                let appended = send(door, Method::PATCH, &address_of(uploads, upload), bytes, *sent).await;
                answered(appended, 202, offset)
            }
            FindUpload { upload } => answered(door.get(&address_of(uploads, upload)).await, 204, offset),
            FinishUpload { upload, digest } => {
                let address = format!("{}?digest={digest}", address_of(uploads, upload));
                answered(door.put(&address, "").await, 201, held)
            }
            CancelUpload { upload } => {
                answered(door.delete(&address_of(uploads, upload)).await, 204, |_| Outcome::Done)
            }
            PushBlob { digest, bytes, sent } => {
                let address = at(&format!("blobs/uploads/?digest={digest}"));
                answered(send(door, Method::POST, &address, bytes, *sent).await, 201, held)
            }
            MountBlob { digest, from } => {
                let from = from.as_ref().map_or(String::new(), |from| format!("&from={from}"));
                let mounted = door.post(&at(&format!("blobs/uploads/?mount={digest}{from}")), "").await;
                if mounted.status == 202 {
                    // The upload that was begun instead is not what was asked about.
                    let given_up = door.delete(mounted.header("location")).await;
                    return answered(given_up, 204, |_| Outcome::NotHere);
                }
                answered(mounted, 201, held)
            }
            StatBlob { digest } => {
                let told = head(door, &blob(digest)).await;
                answered(told, 200, |told| Outcome::Size(read(told.header("content-length"))))
            }
            PullBlob { digest, ranges } => {
                let pulled = match ranges.as_slice() {
                    [] => door.get(&blob(digest)).await,
                    ranges => door.get_with(&blob(digest), "range", &range_header(ranges)).await,
                };
                match pulled.status.as_u16() {
                    206 => Outcome::Parts(parts(&pulled)),
                    _ => answered(pulled, 200, |pulled| Outcome::Whole(pulled.body.clone())),
                }
            }
            RemoveBlob { digest } => answered(door.delete(&blob(digest)).await, 202, |_| Outcome::Done),
            PushManifest(push) => answered(push_manifest(door, of, push).await, 201, |pushed| {
                let tag = |text: &str| Tag::parse(text).unwrap();
                let tags = match (&push.reference, push.tags.as_slice()) {
                    // Only who names further tags is told of them.
                    (Reference::Tag(tag), []) => vec![tag.clone()],
                    _ => {
                        pushed.headers.get_all("oci-tag").iter().map(|it| tag(it.to_str().unwrap())).collect()
                    }
                };
                let subject = Some(pushed.header("oci-subject")).filter(|it| !it.is_empty()).map(read);
                Outcome::Pushed { digest: read(pushed.header("docker-content-digest")), subject, tags }
            }),
            StatManifest { reference } => {
                answered(head(door, &manifest(reference)).await, 200, |told| described(told, None))
            }
            PullManifest { reference } => {
                let pulled = door.get(&manifest(reference)).await;
                answered(pulled, 200, |pulled| described(pulled, Some(pulled.body.clone())))
            }
            RemoveManifest { reference, precondition } => {
                let headers = conditions(precondition);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
                let removed = door.send(Method::DELETE, &manifest(reference), &headers, "").await;
                answered(removed, 202, |_| Outcome::Done)
            }
            Tags { page } => names(door, &at("tags/list"), page, "tags").await,
            Referrers { subject, of_type, page } => {
                let of_type = of_type.as_ref().map_or(String::new(), |it| format!("&artifactType={it}"));
                let address = format!("{}{of_type}", page_of(&at(&format!("referrers/{subject}")), page));
                answered(door.get(&address).await, 200, |listed| {
                    let descriptors: Vec<swr_core::descriptor::Descriptor> =
                        serde_json::from_value(listed.json()["manifests"].clone()).unwrap();
                    let more = has_next(listed, descriptors.last().map(|last| last.digest));
                    Outcome::Referrers { descriptors, more }
                })
            }
        }
    }

    async fn list(&self, by: Person, page: &Page<RepositoryName>) -> Outcome {
        names(self.of(by), "/v2/_catalog", page, "repositories").await
    }
}

/// What was asked for with this status, or else a refusal.
fn answered(answer: Answer, status: u16, outcome: impl FnOnce(&Answer) -> Outcome) -> Outcome {
    match answer.status.as_u16() == status {
        true => outcome(&answer),
        false => Outcome::Refused(refused(&answer)),
    }
}

fn refused(answer: &Answer) -> Refused {
    let detail = answer.detail();
    match (answer.status.as_u16(), &*answer.code()) {
        (404, "BLOB_UNKNOWN") => Refused::BlobUnknown,
        (404, "BLOB_UPLOAD_UNKNOWN") => Refused::UploadUnknown,
        (416, "BLOB_UPLOAD_INVALID") => Refused::UploadOffset(detail["offset"].as_u64().unwrap()),
        (400, "BLOB_UPLOAD_INVALID") => Refused::Interrupted,
        (413, "SIZE_INVALID") => Refused::BlobTooLarge,
        (400, "DIGEST_INVALID") => Refused::DigestMismatch(read(detail["actual"].as_str().unwrap())),
        (400, "MANIFEST_INVALID") => Refused::ManifestInvalid,
        (404, "MANIFEST_BLOB_UNKNOWN") => {
            let all = answer.json()["errors"].as_array().unwrap().clone();
            let missing = all.iter().map(|error| read(error["detail"]["digest"].as_str().unwrap()));
            Refused::ManifestBlobUnknown(missing.collect())
        }
        (404, "MANIFEST_UNKNOWN") => Refused::ManifestUnknown,
        (404, "NAME_UNKNOWN") => Refused::NameUnknown,
        (403, "DENIED") => Refused::TagImmutable(Tag::parse(detail["tag"].as_str().unwrap()).unwrap()),
        (405, "UNSUPPORTED") => {
            let manifests = detail["manifests"].as_array().unwrap().iter();
            Refused::BlobNamed(manifests.map(|digest| read(digest.as_str().unwrap())).collect())
        }
        (416, "SIZE_INVALID") => Refused::RangeUnsatisfiable(detail["size"].as_u64().unwrap()),
        (412, "DENIED") => Refused::PreconditionFailed,
        _ => Refused::Otherwise(format!("{answer:?}")),
    }
}

/// A HEAD does not say why not; the same request as a GET does.
async fn head(door: &Door, address: &str) -> Answer {
    let told = door.head(address).await;
    if told.status == 200 {
        return told;
    }
    let why = door.get(address).await;
    assert_eq!(told.status, why.status);
    why
}

async fn send(door: &Door, method: Method, address: &str, bytes: &Bytes, sent: Sent) -> Answer {
    let mut request = Request::builder().method(method).uri(address);
    if let Sent::At(offset) = sent {
        request = request.header("content-range", format!("{offset}-{}", offset + bytes.len() as u64 - 1));
    }
    if let Sent::At(_) | Sent::Whole = sent {
        request = request.header("content-length", bytes.len());
    }
    let half = bytes.len() / 2;
    let chunks = [bytes.slice(..half), bytes.slice(half..)].map(|chunk| Ok(Frame::data(chunk)));
    let end = (sent == Sent::BrokenOff).then(|| Err("the line was cut"));
    let body = StreamBody::new(stream::iter(chunks.into_iter().chain(end)));
    door.finish(request.body(body).unwrap()).await
}

async fn push_manifest(door: &Door, of: &RepositoryName, push: &ManifestPush) -> Answer {
    let tags: Vec<String> = push.tags.iter().map(|tag| format!("tag={tag}")).collect();
    let address = format!("/v2/{of}/manifests/{}?{}", push.reference, tags.join("&"));
    let mut headers = conditions(&push.precondition);
    headers.extend(push.media_type.as_ref().map(|media_type| ("content-type", media_type.to_string())));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
    door.send(Method::PUT, &address, &headers, push.bytes.clone()).await
}

fn conditions(precondition: &Precondition) -> Vec<(&'static str, String)> {
    match precondition {
        Precondition::None => vec![],
        Precondition::Exists => vec![("if-match", "*".to_owned())],
        Precondition::Absent => vec![("if-none-match", "*".to_owned())],
        Precondition::Is(digests) => {
            let tags: Vec<_> = digests.iter().map(|digest| format!("\"{digest}\"")).collect();
            vec![("if-match", tags.join(", "))]
        }
    }
}

fn offset(answer: &Answer) -> Outcome {
    // Of no bytes `Range` has no form but that of one.
    Outcome::Offset(match answer.header("range") {
        "0-0" => 0,
        range => read::<u64>(range.strip_prefix("0-").unwrap()) + 1,
    })
}

fn held(answer: &Answer) -> Outcome {
    Outcome::Held(read(answer.header("docker-content-digest")))
}

fn described(answer: &Answer, bytes: Option<Bytes>) -> Outcome {
    Outcome::Manifest {
        digest: read(answer.header("docker-content-digest")),
        media_type: MediaType::parse(answer.header("content-type")).unwrap(),
        size: read(answer.header("content-length")),
        bytes,
    }
}

fn range_header(ranges: &[ByteRange]) -> String {
    let ranges: Vec<String> = ranges
        .iter()
        .map(|range| match range {
            ByteRange::From { first } => format!("{first}-"),
            ByteRange::Span { first, last } => format!("{first}-{last}"),
            ByteRange::Last { count } => format!("-{count}"),
        })
        .collect();
    format!("bytes={}", ranges.join(","))
}

fn parts(answer: &Answer) -> Vec<(Range<u64>, Bytes)> {
    let range = |text: &str| {
        let (range, _) = text.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        read(first)..read::<u64>(last) + 1
    };
    let media_type = answer.header("content-type");
    let Some(boundary) = media_type.strip_prefix("multipart/byteranges; boundary=") else {
        return vec![(range(answer.header("content-range")), answer.body.clone())];
    };
    let text = str::from_utf8(&answer.body).unwrap();
    let delimiter = format!("\r\n--{boundary}");
    let mut parts: Vec<&str> = text.split(&delimiter).collect();
    assert_eq!((parts.remove(0), parts.pop()), ("", Some("--\r\n")));
    let part = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        let (_, of) = head.split_once("Content-Range: ").unwrap();
        (range(of), Bytes::copy_from_slice(content.as_bytes()))
    };
    parts.into_iter().map(part).collect()
}

async fn names<T: Display>(door: &Door, list: &str, page: &Page<T>, key: &str) -> Outcome {
    answered(door.get(&page_of(list, page)).await, 200, |listed| {
        let names: Vec<String> = serde_json::from_value(listed.json()[key].clone()).unwrap();
        let more = has_next(listed, names.last());
        Outcome::Names { names, more }
    })
}

fn page_of<T: Display>(list: &str, page: &Page<T>) -> String {
    let last = page.after.as_ref().map_or(String::new(), |after| format!("&last={after}"));
    format!("{list}?n={}{last}", page.limit)
}

/// Whether there is a page after this one; it goes on after the last of this one.
fn has_next(answer: &Answer, last: Option<impl Display>) -> bool {
    let link = answer.header("link");
    if let Some(last) = last.filter(|_| !link.is_empty()) {
        assert!(link.contains(&format!("last={last}>")), "{link}");
    }
    !link.is_empty()
}

fn read<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is none"))
}
