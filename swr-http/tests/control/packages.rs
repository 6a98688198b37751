//! Image packages over HTTP.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request};
use http_body::{Body, Frame};
use http_body_util::Full;
use serde_json::{Value, json};
use swr_auth::{SignedRequest, Signer};
use swr_http::control::ManagementOptions;

use crate::house::{Answer, House, Person, send};
use crate::package::package;

const PACKAGES: &str = "/v2/manage/namespaces/group/packages";

/// An upload by somebody whom the host knows.
async fn upload<B>(house: &House, who: &Person, query: &str, headers: &[(&str, &str)], body: B) -> Answer
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let signer = Signer { user: who.user.clone(), account: who.account.clone(), key: None };
    let request = Request::post(format!("{PACKAGES}{query}")).extension(signer);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(&house.management, request.body(body).unwrap()).await
}

async fn upload_one(house: &House, query: &str, archive: String) -> Answer {
    upload(house, &house.ada, query, &[], Full::new(Bytes::from(archive))).await
}

fn form(files: &[(&str, &str)]) -> Full<Bytes> {
    let mut text = "--b\r\nContent-Disposition: form-data; name=\"word\"\r\n\r\nx\r\n".to_owned();
    for (name, content) in files {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n");
        text.push_str(&format!("{head}{content}\r\n"));
    }
    Full::from(text + "--b--\r\n")
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");
const EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// The names and the data of events.
fn events(answer: &Answer) -> Vec<(String, Value)> {
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = std::str::from_utf8(&answer.body).unwrap();
    let read = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    };
    text.strip_suffix("\n\n").unwrap().split("\n\n").map(read).collect()
}

async fn digest(house: &House, repository: &str, tag: &str) -> String {
    let address = format!("/v2/manage/namespaces/group/repos/{repository}/tags/{tag}");
    house.ada(Method::GET, &address, "").await.is(200).json()["digest"].as_str().unwrap().to_owned()
}

/// The statuses and reasons in the trail of uploads, the newest first.
async fn trail(house: &House) -> Vec<(String, String)> {
    while house.management.refusals().record().await.unwrap() > 0 {}
    let project = house.ada.account.project.as_str();
    let address = format!("/v3/{project}/traces?trace_type=system&trace_name=uploadImagePackage");
    let listed = house.ada(Method::GET, &address, "").await.is(200).json();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let traces = listed["traces"].as_array().unwrap().iter();
    traces.map(|trace| (text(&trace["resource_name"]), text(&trace["code"]))).collect()
}

#[tokio::test]
async fn a_package_comes_in_and_each_image_is_told_and_traced() {
    let house = House::furnished().await;
    let archive = package(&["new:v1", "a.b/other/new:v1"], "a layer");
    let outcome = upload_one(&house, "", archive).await.is(200).json();
    let digest = digest(&house, "new", "v1").await;
    let done = json!({ "name": "new:v1", "repository": "group/new", "tag": "v1", "digest": digest });
    let refused = json!({ "name": "a.b/other/new:v1", "error": "authentication failed" });
    assert_eq!(outcome, json!({ "files": [{ "name": "", "images": [done, refused] }] }));
    let expected = [("a.b/other/new:v1", "403"), ("group/new:v1", "201")];
    assert_eq!(trail(&house).await, expected.map(|(name, code)| (name.to_owned(), code.to_owned())));
}

#[tokio::test]
async fn the_address_names_the_version_of_one_image() {
    let house = House::furnished().await;
    let archive = || package(&["new:v1"], "a layer");
    upload_one(&house, "?repository=deep%24app&tag=v7", archive()).await.is(200);
    let first = digest(&house, "deep$app", "v7").await;
    upload_one(&house, "?repository=app", archive()).await.is(200);
    assert_eq!(digest(&house, "app", "latest").await, first);
    for (query, number) in
        [("?tag=v1", "4001014"), ("?repository=App", "4001029"), ("?repository=a&tag=-", "4009021")]
    {
        let refused = upload_one(&house, query, archive()).await.is(400);
        assert_eq!(refused.number(), number, "{query}");
    }
    let twice = form(&[("a", &archive()), ("b", &archive())]);
    let outcome = upload(&house, &house.ada, "?repository=app", &[FORM], twice).await.is(200).json();
    assert_eq!(outcome["files"].as_array().unwrap().len(), 1);
    assert_eq!(outcome["error"], "a repository and a tag can be named for one file");
}

#[tokio::test]
async fn what_is_no_package_is_refused_and_traced_once() {
    let house = House::furnished().await;
    let refused = upload_one(&house, "", "nonsense".to_owned()).await.is(400);
    assert_eq!(refused.number(), "4001018");
    let message = refused.json()["error_msg"].as_str().unwrap().to_owned();
    assert!(message.starts_with("invalid image format: neither a tar archive"), "{message}");
    assert_eq!(trail(&house).await, [("group".to_owned(), "400".to_owned())]);
}

#[tokio::test]
async fn the_files_of_a_form_are_taken_in_order_and_one_that_fails_stops_none() {
    let house = House::furnished().await;
    let [one, two] = ["one:v1", "two:v1"].map(|name| package(&[name], name));
    let files = [("one.tar", &*one), ("bad.tar", "nonsense"), ("two.tar", &*two)];
    let outcome = upload(&house, &house.ada, "", &[FORM], form(&files)).await.is(200).json();
    let told: Vec<_> = outcome["files"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert_eq!(told, ["one.tar", "bad.tar", "two.tar"]);
    assert_eq!(outcome["files"][0]["images"][0]["repository"], "group/one");
    assert!(outcome["files"][1]["error"].as_str().unwrap().starts_with("invalid image format"));
    assert_eq!(outcome["files"][2]["images"][0]["repository"], "group/two");
    assert_eq!(outcome["error"], Value::Null);
}

#[tokio::test]
async fn an_eleventh_file_ends_an_upload_and_one_that_is_announced_begins_none() {
    let house = House::furnished().await;
    let archive = package(&["new:v1"], "a layer");
    let outcome = upload(&house, &house.ada, "", &[FORM], form(&[("x", &*archive); 11])).await.is(200).json();
    assert_eq!(outcome["files"].as_array().unwrap().len(), 10);
    assert_eq!(outcome["error"], "at most 10 files in one upload");
    let broken = ("group".to_owned(), "400".to_owned());
    assert_eq!(trail(&house).await[0], broken);
    let headers = [FORM, EVENTS];
    let told = upload(&house, &house.ada, "", &headers, form(&[("x", &*archive); 11])).await.is(200);
    assert_eq!(events(&told).last().unwrap().1["error"], "at most 10 files in one upload");
    assert_eq!(trail(&house).await[0], broken);

    let polled = Arc::new(AtomicUsize::new(0));
    let headers = [FORM, ("expect", "100-continue")];
    let refused = upload(&house, &house.ada, "?files=11", &headers, Unread(polled.clone())).await.is(400);
    assert_eq!(refused.json()["error_msg"], "at most 10 files in one upload");
    let headers = [("expect", "100-continue")];
    upload(&house, &house.bob, "", &headers, Unread(polled.clone())).await.is(404);
    assert_eq!(polled.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_form_that_is_none_is_refused() {
    let house = House::furnished().await;
    for (kind, body, message) in [
        ("multipart/form-data", "", "the type of the form names no boundary"),
        ("multipart/form-data; boundary=b", "", "the form broke off before its end"),
        ("multipart/form-data; boundary=b", "--b--", "there is no file in the upload"),
    ] {
        let body = Full::from(body);
        let refused = upload(&house, &house.ada, "", &[("content-type", kind)], body).await.is(400);
        assert_eq!(refused.json()["error_msg"], message);
    }
}

#[tokio::test]
async fn what_happens_is_told_as_events_which_end_with_the_outcome() {
    let house = House::furnished().await;
    let archive = package(&["new:v1"], "a layer");
    let length = archive.len();
    let files = form(&[("a.tar", &archive), ("b.tar", "nonsense")]);
    let answer = upload(&house, &house.ada, "", &[FORM, EVENTS], files).await.is(200);
    let told = events(&answer);
    let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "file", "read", "writing", "blob", "writing", "blob", "image", "done", "file", "read", "done", "end",
    ];
    assert_eq!(names, expected);
    assert_eq!(told[0].1, json!({ "number": 0, "name": "a.tar" }));
    assert_eq!(told[1].1, json!({ "bytes": length, "of": null }));
    assert_eq!(told[5].1["size"], "a layer".len());
    assert_eq!(told[11].1["files"], json!([told[7].1, told[10].1]));
    assert_eq!(answer.header("content-length"), "");
    // Nobody is told anything when it is refused before.
    upload(&house, &house.bob, "", &[FORM, EVENTS], Full::default()).await.is(404).json();
}

#[tokio::test]
async fn a_request_that_an_access_key_signs_leaves_its_body_unsigned() {
    use swr_core::ports::Clock as _;
    let house = House::furnished().await;
    let archive = Bytes::from(package(&["new:v1"], "a layer"));
    house.ada(Method::POST, PACKAGES, archive.clone()).await.is(200);
    // The hash of a body that has not come is not believed.
    let date = house.clock.now().format("%Y%m%dT%H%M%SZ").to_string();
    let headers = [("host", crate::house::HOST), ("x-sdk-date", date.as_str())];
    let signed =
        SignedRequest { method: "POST", path: PACKAGES, query: "", headers: &headers, body: Some(&archive) };
    let authorization = signed.sign(&house.ada.key, &house.ada.secret).unwrap();
    let request = headers.iter().fold(Request::post(PACKAGES), |it, (name, value)| it.header(*name, *value));
    let request = request.header("authorization", authorization).body(Full::new(archive)).unwrap();
    send(&house.management, request).await.is(401);
}

#[tokio::test(start_paused = true)]
async fn a_package_that_stands_still_is_given_up() {
    let house = House::furnished().await;
    let refused = upload(&house, &house.ada, "", &[], Never).await.is(408);
    assert_eq!(refused.json()["error_msg"], "the package broke off before its end");
    assert_eq!(trail(&house).await, [("group".to_owned(), "408".to_owned())]);
}

#[tokio::test]
async fn what_brings_a_package_in_takes_longer_than_an_answer_may() {
    let at_once = |options| ManagementOptions { answer_within: Some(Duration::ZERO), ..options };
    let house = House::with(at_once).await;
    house.ada(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "group" })).await.is(201);
    // It is kept and read again by another thread, which is not there at once.
    upload_one(&house, "", package(&["new:v1"], "a layer")).await.is(200);
    digest(&house, "new", "v1").await;
}

#[tokio::test]
async fn no_more_uploads_are_taken_in_at_once_than_may_be() {
    let house = House::furnished().await;
    let archive = || package(&["new:v1"], "a layer");
    {
        let mut first = pin!(upload(&house, &house.ada, "", &[], Never));
        assert!(first.as_mut().now_or_never().is_none());
        let refused = upload_one(&house, "", archive()).await.is(403);
        assert_eq!((refused.number().as_str(), refused.header("retry-after")), ("4031032", "10"));
    }
    upload_one(&house, "", archive()).await.is(200);
}

#[tokio::test]
async fn what_goes_out_is_the_same_each_time_and_comes_in_again() {
    let house = House::furnished().await;
    upload_one(&house, "", package(&["new:v1"], "a layer")).await.is(200);
    let address = "/v2/manage/namespaces/group/repos/new/tags/v1/package";
    let first = house.ada(Method::GET, address, "").await.is(200);
    let again = house.ada(Method::GET, address, "").await.is(200);
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("content-type"), "application/x-tar");
    assert_eq!(first.header("content-disposition"), "attachment; filename=\"new_v1.tar\"");
    assert_eq!(first.header("content-length"), first.body.len().to_string());
    let digest = digest(&house, "new", "v1").await;
    assert_eq!(first.header("docker-content-digest"), digest);
    upload(&house, &house.ada, "?repository=back&tag=v2", &[], Full::new(first.body)).await.is(200);
    assert_eq!(self::digest(&house, "back", "v2").await, digest);

    house.ada(Method::GET, "/v2/manage/namespaces/group/repos/new/tags/v2/package", "").await.is(404);
    house.bob(Method::GET, address, "").await.is(404);
}

/// A body that is not to be read.
struct Unread(Arc<AtomicUsize>);

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(None)
    }
}

/// A body that does not come.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}
