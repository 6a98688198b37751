//! What a request asks for is asked for again by its plainest address. The input is a request line without its
//! version.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use swr_http::{Endpoint, PageQuery};

fuzz_target!(|line: &str| {
    let Some((method, address)) = line.split_once(' ') else { return };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let (path, query) = match address.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (address, None),
    };
    let Ok(endpoint) = Endpoint::parse(&method, path, query) else { return };
    let (plainest, path, query) = plainest(&endpoint);
    assert!(method == plainest || method == Method::HEAD, "{method} {plainest}");
    assert_eq!(Endpoint::parse(&plainest, &path, Some(&query)).ok(), Some(endpoint));
});

fn plainest(endpoint: &Endpoint) -> (Method, String, String) {
    use Endpoint::*;
    let nothing = String::new;
    match endpoint {
        Base => (Method::GET, nothing(), nothing()),
        ListRepositories { page } => (Method::GET, "/_catalog".to_owned(), part(page)),
        ListTags { repository, page } => (Method::GET, format!("/{repository}/tags/list"), part(page)),
        ListReferrers { repository, subject, artifact_type, page } => {
            let filter = artifact_type.as_ref().map(|artifact_type| encoded(artifact_type.as_str()));
            let filter = filter.map_or_else(nothing, |filter| format!("artifactType={filter}&"));
            (Method::GET, format!("/{repository}/referrers/{subject}"), format!("{filter}{}", part(page)))
        }
        PullManifest { repository, reference } => {
            (Method::GET, format!("/{repository}/manifests/{reference}"), nothing())
        }
        PushManifest { repository, reference, tags } => {
            let tags: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
            (Method::PUT, format!("/{repository}/manifests/{reference}"), tags.join("&"))
        }
        RemoveManifest { repository, reference } => {
            (Method::DELETE, format!("/{repository}/manifests/{reference}"), nothing())
        }
        PullBlob { repository, digest } => (Method::GET, format!("/{repository}/blobs/{digest}"), nothing()),
        RemoveBlob { repository, digest } => {
            (Method::DELETE, format!("/{repository}/blobs/{digest}"), nothing())
        }
        BeginUpload { repository, algorithm } => {
            (Method::POST, format!("/{repository}/blobs/uploads/"), format!("digest-algorithm={algorithm}"))
        }
        PushBlob { repository, digest } => {
            (Method::POST, format!("/{repository}/blobs/uploads/"), format!("digest={digest}"))
        }
        MountBlob { repository, digest, from } => {
            let from = from.as_ref().map_or_else(nothing, |from| format!("&from={from}"));
            (Method::POST, format!("/{repository}/blobs/uploads/"), format!("mount={digest}{from}"))
        }
        FindUpload { repository, id } => {
            (Method::GET, format!("/{repository}/blobs/uploads/{id}"), nothing())
        }
        AppendUpload { repository, id } => {
            (Method::PATCH, format!("/{repository}/blobs/uploads/{id}"), nothing())
        }
        FinishUpload { repository, id, digest } => {
            (Method::PUT, format!("/{repository}/blobs/uploads/{id}"), format!("digest={digest}"))
        }
        CancelUpload { repository, id } => {
            (Method::DELETE, format!("/{repository}/blobs/uploads/{id}"), nothing())
        }
        other => panic!("{other:?} has no address here"),
    }
}

fn part<T: std::fmt::Display>(page: &PageQuery<T>) -> String {
    let n = page.n.map(|n| format!("n={n}"));
    let last = page.last.as_ref().map(|last| format!("last={last}"));
    [n, last].into_iter().flatten().collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
