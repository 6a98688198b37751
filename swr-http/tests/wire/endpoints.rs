//! Every row of the specification: request, status, headers, body.

use http::Method;
use serde_json::json;
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::digest::{Algorithm, Digest};
use swr_core::media_type::MediaType;
use swr_core::registry::Limits;
use swr_http::{MountPoint, ServiceOptions};

use crate::door::{CONFIG, Door, LAYER, Manifest, descriptor, image, referrer, registry};

#[tokio::test]
async fn end_1_says_that_this_is_a_registry() {
    let door = Door::open();
    for address in ["/v2", "/v2/"] {
        let answer = door.get(address).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(answer.json(), json!({}));
    }
}

#[tokio::test]
async fn end_2_gives_a_blob_and_its_facts() {
    let door = Door::open();
    let digest = door.push_blob("a/b", LAYER).await;
    let address = format!("/v2/a/b/blobs/{digest}");

    let pulled = door.get(&address).await;
    assert_eq!((pulled.status.as_u16(), &*pulled.body), (200, LAYER));
    let asked = door.head(&address).await;
    assert_eq!((asked.status.as_u16(), &*asked.body), (200, &b""[..]));
    for answer in [&pulled, &asked] {
        assert_eq!(answer.header("content-length"), LAYER.len().to_string());
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }

    let encoded = door.get(&address.replace(':', "%3A")).await;
    assert_eq!(&*encoded.body, LAYER);
    for other in ["a/c", "a"] {
        let absent = door.get(&format!("/v2/{other}/blobs/{digest}")).await;
        assert_eq!((absent.status.as_u16(), &*absent.code()), (404, "BLOB_UNKNOWN"), "{other}");
    }
}

#[tokio::test]
async fn a_blob_that_the_client_has_is_not_sent_again() {
    let door = Door::open();
    let digest = door.push_blob("a", LAYER).await;
    let address = format!("/v2/a/blobs/{digest}");
    for known in [format!("\"{digest}\""), format!("W/\"{digest}\", \"x\""), "*".to_owned()] {
        let answer = door.get_with(&address, "if-none-match", &known).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (304, &b""[..]), "{known}");
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    }
    assert_eq!(door.get_with(&address, "if-none-match", "\"x\"").await.status, 200);
    let absent = format!("/v2/b/blobs/{digest}");
    assert_eq!(door.get_with(&absent, "if-none-match", "*").await.status, 404);
}

#[tokio::test]
async fn a_range_of_a_blob_is_sent_alone() {
    let door = Door::open();
    let content: Vec<u8> = (0..2000_u32).map(|at| (at % 251) as u8).collect();
    let digest = door.push_blob("a", &content).await;
    let address = format!("/v2/a/blobs/{digest}");
    for (range, first, last) in [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 1999),
        ("bytes=-500", 1500, 1999),
        ("bytes=1000-5000", 1000, 1999),
        ("bytes=0-0", 0, 0),
        ("bytes=-9999", 0, 1999),
        ("bytes=0-9,5-19,20-29", 0, 29),
        ("bytes=10-19,9999-", 10, 19),
    ] {
        let answer = door.get_with(&address, "range", range).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/2000"), "{range}");
        assert_eq!(answer.header("content-length"), (last - first + 1).to_string(), "{range}");
        assert_eq!(&*answer.body, &content[first..=last], "{range}");
    }
    for range in ["bytes=500-0", "bytes=5000-10000", "bytes=-0", "bytes=2000-"] {
        let answer = door.get_with(&address, "range", range).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), "bytes */2000", "{range}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{range}");
        assert_eq!(answer.detail()["size"], 2000, "{range}");
    }
    for range in ["lines=1-2", "bytes=x", "bytes=0-1,x"] {
        let answer = door.get_with(&address, "range", range).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, &*content), "{range}");
    }
    // A HEAD is about the whole.
    let asked = door.send(Method::HEAD, &address, &[("range", "bytes=0-9")], "").await;
    assert_eq!((asked.status.as_u16(), asked.header("content-length")), (200, "2000"));
}

#[tokio::test]
async fn several_ranges_of_a_blob_come_as_parts() {
    let limits = Limits { ranges_max: 3, ..Limits::default() };
    let door = Door::to(registry(AnyoneMay).limits(limits).build(), AnonymousOnly);
    let content: Vec<u8> = (b'a'..=b'z').collect();
    let digest = door.push_blob("a", &content).await;
    let address = format!("/v2/a/blobs/{digest}");

    let answer = door.get_with(&address, "range", "bytes=24-, 0-1, 3-4, 4-5, 99-").await;
    assert_eq!(answer.status, 206);
    let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, text: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: bytes {range}/26\r\n\r\n{text}"
        )
    };
    let expected =
        [part("24-25", "yz"), part("0-1", "ab"), part("3-5", "def"), format!("\r\n--{boundary}--\r\n")]
            .concat();
    assert_eq!(String::from_utf8_lossy(&answer.body), expected);
    assert_eq!(answer.header("content-length"), expected.len().to_string());
    assert_eq!(answer.header("content-range"), "");

    // More parts than the registry serves, and several lines, are answered with the whole.
    let many = door.get_with(&address, "range", "bytes=0-0,2-2,4-4,6-6").await;
    assert_eq!((many.status.as_u16(), &*many.body), (200, &*content));
    let lines = [("range", "bytes=0-0"), ("range", "bytes=2-2")];
    let twice = door.send(Method::GET, &address, &lines, "").await;
    assert_eq!((twice.status.as_u16(), &*twice.body), (200, &*content));
}

#[tokio::test]
async fn a_range_goes_with_the_content_that_it_was_begun_of() {
    let door = Door::open();
    let digest = door.push_blob("a", LAYER).await;
    let address = format!("/v2/a/blobs/{digest}");
    for (if_range, status) in [
        (format!("\"{digest}\""), 206),
        (format!("W/\"{digest}\""), 200),
        ("\"x\"".to_owned(), 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), 200),
    ] {
        let headers = [("range", "bytes=0-4"), ("if-range", &*if_range)];
        assert_eq!(door.send(Method::GET, &address, &headers, "").await.status, status, "{if_range}");
    }
}

#[tokio::test]
async fn the_blob_of_no_bytes_is_a_blob() {
    let door = Door::open();
    let digest = door.push_blob("a", b"").await;
    let address = format!("/v2/a/blobs/{digest}");
    for answer in [door.get(&address).await, door.head(&address).await] {
        assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, "0"));
    }
    let answer = door.get_with(&address, "range", "bytes=0-").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-range")), (416, "bytes */0"));
}

#[tokio::test]
async fn end_3_gives_a_manifest_byte_for_byte() {
    let door = Door::open();
    let manifest = door.push_image("a", "v1").await;
    for reference in ["v1".to_owned(), manifest.digest().to_string()] {
        let address = format!("/v2/a/manifests/{reference}");
        let pulled = door.get(&address).await;
        assert_eq!((pulled.status.as_u16(), &*pulled.body), (200, &*manifest.bytes));
        let asked = door.head(&address).await;
        assert_eq!((asked.status.as_u16(), &*asked.body), (200, &b""[..]));
        for answer in [pulled, asked] {
            assert_eq!(answer.header("content-type"), manifest.media_type);
            assert_eq!(answer.header("content-length"), manifest.bytes.len().to_string());
            assert_eq!(answer.header("docker-content-digest"), manifest.digest().to_string());
            assert_eq!(answer.header("etag"), format!("\"{}\"", manifest.digest()));
        }
        let known = format!("\"{}\"", manifest.digest());
        assert_eq!(door.get_with(&address, "if-none-match", &known).await.status, 304);
    }
    let other = Algorithm::Sha512.digest(&manifest.bytes);
    for (reference, status, code) in [
        ("v2", 404, "MANIFEST_UNKNOWN"),
        (&*other.to_string(), 404, "MANIFEST_UNKNOWN"),
        ("sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("-v", 404, "MANIFEST_UNKNOWN"),
    ] {
        let answer = door.get(&format!("/v2/a/manifests/{reference}")).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{reference}");
        let asked = door.head(&format!("/v2/a/manifests/{reference}")).await;
        assert_eq!(asked.status.as_u16(), status);
        assert_eq!(asked.header("content-length"), answer.body.len().to_string());
        assert!(asked.body.is_empty());
    }
    assert_eq!(door.get("/v2/nowhere/manifests/v1").await.status, 404);
}

#[tokio::test]
async fn a_manifest_is_sent_to_those_who_take_its_type() {
    let door = Door::open();
    door.push_image("a", "v1").await;
    for (accept, status) in [
        (vec![], 200),
        (vec!["*/*"], 200),
        (vec!["application/vnd.oci.image.manifest.v1+json"], 200),
        (vec!["application/json", "application/vnd.oci.image.manifest.v1+json;q=0.1"], 200),
        (vec!["application/vnd.oci.image.index.v1+json"], 404),
        (vec!["*/*, application/vnd.oci.image.manifest.v1+json;q=0"], 404),
        (vec!["application/json", "text/html"], 404),
    ] {
        let headers: Vec<(&str, &str)> = accept.iter().map(|line| ("accept", *line)).collect();
        for method in [Method::GET, Method::HEAD] {
            let answer = door.send(method.clone(), "/v2/a/manifests/v1", &headers, "").await;
            assert_eq!(answer.status, status, "{method} {accept:?}");
            if status == 404 && method == Method::GET {
                assert_eq!(answer.code(), "MANIFEST_UNKNOWN");
                assert_eq!(answer.detail()["mediaType"], MediaType::OCI_MANIFEST);
            }
        }
    }
}

#[tokio::test]
async fn end_4a_begins_an_upload() {
    let limits = Limits { chunk_bytes_min: Some(1 << 20), ..Limits::default() };
    let asking = Door::to(registry(AnyoneMay).limits(limits).build(), AnonymousOnly);
    for (door, min) in [(Door::open(), ""), (asking, "1048576")] {
        for address in ["/v2/a/b/blobs/uploads/", "/v2/a/b/blobs/uploads"] {
            let begun = door.post(address, "").await;
            assert_eq!(begun.status, 202);
            let id = begun.header("docker-upload-uuid");
            assert_eq!(id.len(), 32);
            assert_eq!(begun.header("location"), format!("/v2/a/b/blobs/uploads/{id}"));
            assert_eq!(begun.header("range"), "0-0");
            assert_eq!(begun.header("content-length"), "0");
            assert_eq!(begun.header("oci-chunk-min-length"), min);
        }
    }
}

#[tokio::test]
async fn end_4b_takes_a_blob_in_one_request() {
    let door = Door::open();
    for algorithm in Algorithm::ALL {
        let digest = algorithm.digest(LAYER);
        let pushed = door.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), LAYER).await;
        assert_eq!(pushed.status, 201);
        assert_eq!(pushed.header("location"), format!("/v2/a/blobs/{digest}"));
        assert_eq!(pushed.header("docker-content-digest"), digest.to_string());
        assert_eq!(&*door.get(pushed.header("location")).await.body, LAYER);
    }
    let digest = Algorithm::Sha256.digest(b"something else");
    let refused = door.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), LAYER).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "DIGEST_INVALID"));
    assert_eq!(refused.detail()["actual"], Algorithm::Sha256.digest(LAYER).to_string());
    assert_eq!(door.head(&format!("/v2/a/blobs/{digest}")).await.status, 404);
    for bad in ["sha256:1", "md5:d41d8cd98f00b204e9800998ecf8427e", "x", ""] {
        let refused = door.post(&format!("/v2/a/blobs/uploads/?digest={bad}"), LAYER).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "DIGEST_INVALID"), "{bad}");
    }
}

#[tokio::test]
async fn end_4c_hashes_with_the_algorithm_asked_for() {
    let door = Door::open();
    let digest = Algorithm::Sha512.digest(LAYER);
    for query in ["?digest-algorithm=sha512", ""] {
        let begun = door.post(&format!("/v2/a/blobs/uploads/{query}"), "").await;
        let location = begun.header("location");
        assert_eq!(door.patch(location, None, LAYER).await.status, 202);
        let put = door.put(&format!("{location}?digest={digest}"), "").await;
        assert_eq!((put.status.as_u16(), put.header("docker-content-digest")), (201, &*digest.to_string()));
        assert_eq!(door.delete(&format!("/v2/a/blobs/{digest}")).await.status, 202);
    }
    let refused = door.post("/v2/a/blobs/uploads/?digest-algorithm=md5", "").await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "DIGEST_INVALID"));
}

#[tokio::test]
async fn end_5_takes_chunks_in_order_and_refuses_gaps_untouched() {
    let door = Door::open();
    let location = door.begin("a").await;
    let digest = Algorithm::Sha256.digest(b"0123456789");

    let first = door.patch(&location, Some("0-3"), "0123").await;
    assert_eq!((first.status.as_u16(), first.header("range")), (202, "0-3"));
    assert_eq!(first.header("location"), location);
    assert_eq!(first.header("content-length"), "0");
    for (range, chunk) in [("8-9", "89"), ("0-3", "0123"), ("3-4", "34"), ("5-5", "5")] {
        for (method, address) in
            [(Method::PATCH, location.clone()), (Method::PUT, format!("{location}?digest={digest}"))]
        {
            let refused = door.send(method.clone(), &address, &[("content-range", range)], chunk).await;
            assert_eq!((refused.status.as_u16(), refused.header("range")), (416, "0-3"), "{method} {range}");
            assert_eq!(refused.header("location"), location);
            assert_eq!(refused.code(), "BLOB_UPLOAD_INVALID");
            assert_eq!(refused.detail()["offset"], 4);
            assert_eq!(door.get(&location).await.header("range"), "0-3");
        }
    }
    for (range, chunk) in [("4-9", "45678"), ("4-5", "456"), ("4-5", "")] {
        let refused = door.patch(&location, Some(range), chunk).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "SIZE_INVALID"), "{range}");
    }
    for range in ["", "x", "4", "9-4", "bytes=4-5"] {
        let refused = door.patch(&location, Some(range), "45").await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "BLOB_UPLOAD_INVALID"), "{range}");
    }
    assert_eq!(door.get(&location).await.header("range"), "0-3");
    let second = door.patch(&location, Some("bytes 4-6/*"), "456").await;
    assert_eq!((second.status.as_u16(), second.header("range")), (202, "0-6"));
    let headers = [("content-range", "7-9")];
    let put = door.send(Method::PUT, &format!("{location}?digest={digest}"), &headers, "789").await;
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(&*door.get(put.header("location")).await.body, b"0123456789");
}

#[tokio::test]
async fn end_5_takes_a_stream() {
    let door = Door::open();
    let location = door.begin("a").await;
    for (chunk, range) in [("01", "0-1"), ("", "0-1"), ("234", "0-4")] {
        let taken = door.patch(&location, None, chunk).await;
        assert_eq!((taken.status.as_u16(), taken.header("range")), (202, range));
    }
    let digest = Algorithm::Sha256.digest(b"01234");
    assert_eq!(door.put(&format!("{location}?digest={digest}"), "").await.status, 201);
}

#[tokio::test]
async fn end_6_ends_an_upload_with_or_without_a_last_chunk() {
    let door = Door::open();
    for (sent, last) in [("", "0123"), ("01", "23"), ("0123", "")] {
        let location = door.begin("a").await;
        door.patch(&location, None, sent).await;
        let digest = Algorithm::Sha256.digest(b"0123");
        let put = door.put(&format!("{location}?digest={digest}"), last).await;
        assert_eq!((put.status.as_u16(), put.header("location")), (201, &*format!("/v2/a/blobs/{digest}")));
        // An answer that was lost is given again; the upload itself is over.
        let again = door.put(&format!("{location}?digest={digest}"), last).await;
        assert_eq!(again.status, 201);
        for answer in [door.get(&location).await, door.patch(&location, None, "x").await] {
            assert_eq!((answer.status.as_u16(), &*answer.code()), (404, "BLOB_UPLOAD_UNKNOWN"));
        }
    }
    for (digest, code) in [("", "DIGEST_INVALID"), ("?digest=sha256:0", "DIGEST_INVALID")] {
        let location = door.begin("a").await;
        let refused = door.put(&format!("{location}{digest}"), "0123").await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, code));
        assert_eq!(door.get(&location).await.status, 204, "the upload is as it was");
    }
    let location = door.begin("a").await;
    let wrong = Algorithm::Sha256.digest(b"something else");
    let refused = door.put(&format!("{location}?digest={wrong}"), "0123").await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "DIGEST_INVALID"));
    assert_eq!(door.head(&format!("/v2/a/blobs/{wrong}")).await.status, 404);
}

#[tokio::test]
async fn end_7_takes_a_manifest() {
    let door = Door::open();
    door.push_blob("a", CONFIG).await;
    door.push_blob("a", LAYER).await;
    let manifest = image("v1");
    for reference in ["v1".to_owned(), manifest.digest().to_string()] {
        let pushed = door.push_manifest("a", &reference, &manifest).await;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        assert_eq!(pushed.header("location"), format!("/v2/a/manifests/{}", manifest.digest()));
        assert_eq!(pushed.header("docker-content-digest"), manifest.digest().to_string());
        assert_eq!(pushed.header("oci-subject"), "");
        assert_eq!(&*door.get(pushed.header("location")).await.body, &*manifest.bytes);
    }
    let wrong = Algorithm::Sha256.digest(b"something else").to_string();
    for (reference, code) in [(&*wrong, "DIGEST_INVALID"), ("sha256:baddigeststring", "DIGEST_INVALID")] {
        let refused = door.push_manifest("a", reference, &manifest).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, code));
    }
    for (media_type, body) in [
        (MediaType::OCI_MANIFEST, "no json"),
        (MediaType::OCI_INDEX, &*String::from_utf8_lossy(&manifest.bytes)),
        ("no type", "{}"),
        ("", "{}"),
    ] {
        let headers = [("content-type", media_type)];
        let refused = door.send(Method::PUT, "/v2/a/manifests/v2", &headers, body.to_owned()).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "MANIFEST_INVALID"), "{media_type}");
    }
    let parameters = [("content-type", "application/vnd.oci.image.manifest.v1+json; charset=utf-8")];
    let pushed = door.send(Method::PUT, "/v2/a/manifests/v3", &parameters, manifest.bytes.clone()).await;
    assert_eq!(pushed.status, 201);
    assert_eq!(door.head("/v2/a/manifests/v3").await.header("content-type"), MediaType::OCI_MANIFEST);
}

#[tokio::test]
async fn a_manifest_names_what_the_repository_holds() {
    let door = Door::open();
    door.push_blob("a", CONFIG).await;
    let other = b"another layer";
    let manifest = Manifest::of(
        MediaType::OCI_MANIFEST,
        json!({
            "config": descriptor("application/vnd.oci.image.config.v1+json", CONFIG),
            "layers": [
                descriptor("application/vnd.oci.image.layer.v1.tar", LAYER),
                descriptor("application/vnd.oci.image.layer.v1.tar", other),
            ],
        }),
    );
    let refused = door.push_manifest("a", "v1", &manifest).await;
    assert_eq!(refused.status, 404);
    let mut missing: Vec<String> = Vec::new();
    for error in refused.json()["errors"].as_array().unwrap() {
        assert_eq!(error["code"], "MANIFEST_BLOB_UNKNOWN");
        missing.push(error["detail"]["digest"].as_str().unwrap().to_owned());
    }
    missing.sort();
    let mut expected =
        [Algorithm::Sha256.digest(LAYER), Algorithm::Sha256.digest(other)].map(|digest| digest.to_string());
    expected.sort();
    assert_eq!(missing, expected);
    assert_eq!(door.get("/v2/a/manifests/v1").await.status, 404);
}

#[tokio::test]
async fn a_manifest_of_four_mebibytes_is_taken_and_a_larger_one_is_not() {
    let door = Door::open();
    for (bytes, status) in [(4 << 20, 201), ((4 << 20) + 1, 413)] {
        let mut manifest = Manifest::of(MediaType::OCI_INDEX, json!({ "manifests": [] }));
        manifest.bytes.resize(bytes, b' ');
        let answer = door.push_manifest("a", "large", &manifest).await;
        assert_eq!(answer.status, status);
        if status == 413 {
            assert_eq!(
                (&*answer.code(), answer.detail()["limit"].as_u64()),
                ("MANIFEST_INVALID", Some(4 << 20))
            );
        }
    }
}

#[tokio::test]
async fn end_7b_sets_several_tags_at_once() {
    let door = Door::open();
    let manifest = Manifest::of(MediaType::OCI_INDEX, json!({ "manifests": [] }));
    for algorithm in Algorithm::ALL {
        let digest = algorithm.digest(&manifest.bytes);
        let pushed = door.push_manifest("a", &format!("{digest}?tag=1.0&tag=1&tag=latest"), &manifest).await;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        let tags: Vec<_> = pushed.headers.get_all("oci-tag").iter().collect();
        assert_eq!(tags, ["1.0", "1", "latest"]);
        for tag in ["1.0", "1", "latest"] {
            let asked = door.head(&format!("/v2/a/manifests/{tag}")).await;
            assert_eq!(asked.header("docker-content-digest"), digest.to_string());
        }
    }
    let many: String = (0..33).map(|at| format!("&tag=t{at}")).collect();
    let digest = manifest.digest();
    let refused = door.push_manifest("a", &format!("{digest}?{many}"), &manifest).await;
    assert_eq!((refused.status.as_u16(), refused.detail()["limit"].as_u64()), (414, Some(32)));
    assert_eq!(door.head("/v2/a/manifests/t0").await.status, 404);
    let refused = door.push_manifest("a", &format!("{digest}?tag=good&tag=-bad"), &manifest).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "NAME_INVALID"));
    assert_eq!(door.head("/v2/a/manifests/good").await.status, 404);
}

#[tokio::test]
async fn a_push_answers_the_subject() {
    let door = Door::open();
    door.push_blob("a", CONFIG).await;
    let subject = image("v1");
    let pushed = door.push_manifest("a", "sig", &referrer(&subject, "application/vnd.sig", "one")).await;
    assert_eq!(pushed.status, 201);
    assert_eq!(pushed.header("oci-subject"), subject.digest().to_string());
}

#[tokio::test]
async fn a_change_is_made_on_what_the_client_expects_or_not_at_all() {
    let door = Door::open();
    let one = door.push_image("a", "v1").await;
    let two = image("two");
    let (was, other) = (format!("\"{}\"", one.digest()), format!("\"{}\"", two.digest()));
    let put = async |tag: &str, name: &str, value: &str| {
        let headers = [("content-type", two.media_type), (name, value)];
        let address = format!("/v2/a/manifests/{tag}");
        door.send(Method::PUT, &address, &headers, two.bytes.clone()).await.status.as_u16()
    };
    assert_eq!(put("v1", "if-none-match", "*").await, 412);
    assert_eq!(put("v1", "if-match", &other).await, 412);
    assert_eq!(put("v1", "if-match", "\"x\"").await, 412);
    assert_eq!(put("v2", "if-match", "*").await, 412);
    assert_eq!(put("v1", "if-none-match", &was).await, 400);
    assert_eq!(door.head("/v2/a/manifests/v1").await.header("etag"), was);
    assert_eq!(door.head("/v2/a/manifests/v2").await.status, 404);
    assert_eq!(put("v1", "if-match", &format!("\"x\", {was}")).await, 201);
    assert_eq!(put("v1", "if-match", "*").await, 201);
    assert_eq!(put("v2", "if-none-match", "*").await, 201);

    let delete = async |reference: &str, value: &str| {
        let headers = [("if-match", value)];
        let address = format!("/v2/a/manifests/{reference}");
        door.send(Method::DELETE, &address, &headers, "").await.status.as_u16()
    };
    assert_eq!(delete("v1", &was).await, 412);
    assert_eq!(delete("v1", &other).await, 202);
    assert_eq!(delete(&two.digest().to_string(), &was).await, 412);
    assert_eq!(delete(&two.digest().to_string(), &other).await, 202);
    assert_eq!(door.head("/v2/a/manifests/v2").await.status, 404);
}

#[tokio::test]
async fn what_the_client_does_not_expect_is_neither_sent_nor_removed() {
    let door = Door::open();
    let manifest = door.push_image("a", "v1").await;
    let layer = Algorithm::Sha256.digest(LAYER);
    let alone = door.push_blob("a", b"alone").await;
    for (address, digest) in [
        ("/v2/a/manifests/v1".to_owned(), manifest.digest()),
        (format!("/v2/a/manifests/{}", manifest.digest()), manifest.digest()),
        (format!("/v2/a/blobs/{layer}"), layer),
        (format!("/v2/a/blobs/{alone}"), alone),
    ] {
        for method in [Method::GET, Method::HEAD] {
            for (expected, status) in
                [(format!("\"{digest}\""), 200), ("*".to_owned(), 200), ("\"x\"".to_owned(), 412)]
            {
                let answer = door.send(method.clone(), &address, &[("if-match", &expected)], "").await;
                assert_eq!(answer.status, status, "{method} {address} {expected}");
            }
        }
    }
    let address = format!("/v2/a/blobs/{alone}");
    for (condition, status) in [
        (("if-match", "\"x\"".to_owned()), 412),
        (("if-none-match", "*".to_owned()), 412),
        (("if-none-match", "\"x\"".to_owned()), 400),
        (("if-match", format!("\"{alone}\"")), 202),
    ] {
        assert_eq!(door.head(&address).await.status, 200);
        let (name, value) = &condition;
        let answer = door.send(Method::DELETE, &address, &[(name, value)], "").await;
        assert_eq!(answer.status, status, "{condition:?}");
    }
    assert_eq!(door.head(&address).await.status, 404);
}

/// Of what is there and of what is not, on every address that can be read.
#[tokio::test]
async fn a_head_has_the_headers_of_a_get() {
    let door = Door::open();
    let subject = door.push_image("a", "v1").await;
    let signature = referrer(&subject, "application/vnd.sig", "signature");
    door.push_manifest("a", "v2", &signature).await;
    let empty = door.push_blob("a", b"").await;
    let upload = door.begin("a").await;
    let digest = subject.digest();
    let layer = Algorithm::Sha256.digest(LAYER);
    for address in [
        "/v2/".to_owned(),
        "/v2/_catalog?n=0".to_owned(),
        "/v2/a/tags/list".to_owned(),
        "/v2/a/tags/list?n=1".to_owned(),
        "/v2/a/tags/list?n=-1".to_owned(),
        "/v2/b/tags/list".to_owned(),
        "/v2/a/manifests/v1".to_owned(),
        "/v2/a/manifests/v3".to_owned(),
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{layer}"),
        format!("/v2/a/blobs/{empty}"),
        format!("/v2/a/blobs/{digest}"),
        "/v2/a/blobs/sha256:1".to_owned(),
        format!("/v2/a/referrers/{digest}?artifactType=application/vnd.sig"),
        upload,
        "/v2/nothing".to_owned(),
    ] {
        let (got, asked) = (door.get(&address).await, door.head(&address).await);
        assert_eq!((got.status, &got.headers), (asked.status, &asked.headers), "{address}");
        assert!(asked.body.is_empty(), "{address}");
    }
}

#[tokio::test]
async fn both_algorithms_do_for_everything() {
    for algorithm in Algorithm::ALL {
        let door = Door::open();
        let (config, layer) = (algorithm.digest(CONFIG), algorithm.digest(LAYER));
        let pushed = door.post(&format!("/v2/a/blobs/uploads/?digest={config}"), CONFIG).await;
        assert_eq!(
            (pushed.status.as_u16(), pushed.header("docker-content-digest")),
            (201, &*config.to_string())
        );
        let begun = door.post(&format!("/v2/a/blobs/uploads/?digest-algorithm={algorithm}"), "").await;
        let location = begun.header("location");
        assert_eq!(door.patch(location, Some("0-3"), &LAYER[..4]).await.status, 202);
        let put = door.put(&format!("{location}?digest={layer}"), &LAYER[4..]).await;
        assert_eq!(put.header("location"), format!("/v2/a/blobs/{layer}"));
        let part = door.get_with(put.header("location"), "range", "bytes=2-").await;
        assert_eq!((part.header("etag"), &*part.body), (&*format!("\"{layer}\""), &LAYER[2..]));
        let mounted = door.post(&format!("/v2/b/blobs/uploads/?mount={layer}&from=a"), "").await;
        assert_eq!(mounted.status, 201, "{algorithm}");
        assert_eq!(door.delete(&format!("/v2/b/blobs/{layer}")).await.status, 202, "{algorithm}");

        let described = |digest: &Digest, content: &[u8]| json!({ "mediaType": "application/vnd.x", "digest": digest, "size": content.len() });
        let image = Manifest::of(
            MediaType::OCI_MANIFEST,
            json!({ "config": described(&config, CONFIG), "layers": [described(&layer, LAYER)] }),
        );
        let digest = algorithm.digest(&image.bytes);
        let pushed = door.push_manifest("a", &format!("{digest}?tag=v1"), &image).await;
        assert_eq!((pushed.status.as_u16(), pushed.header("oci-tag")), (201, "v1"), "{algorithm}");
        for reference in ["v1".to_owned(), digest.to_string()] {
            let pulled = door.get(&format!("/v2/a/manifests/{reference}")).await;
            assert_eq!(pulled.header("docker-content-digest"), digest.to_string());
            assert_eq!(&*pulled.body, &*image.bytes);
        }
        let subject = json!({ "mediaType": image.media_type, "digest": digest, "size": image.bytes.len() });
        let signature = Manifest::of(
            MediaType::OCI_MANIFEST,
            json!({ "config": described(&config, CONFIG), "layers": [], "subject": subject }),
        );
        let of_it = algorithm.digest(&signature.bytes);
        let pushed = door.push_manifest("a", &of_it.to_string(), &signature).await;
        assert_eq!(pushed.header("oci-subject"), digest.to_string());
        let listed = door.get(&format!("/v2/a/referrers/{digest}")).await.json();
        assert_eq!(listed["manifests"][0]["digest"], json!(of_it));
        assert_eq!(door.delete(&format!("/v2/a/manifests/{digest}")).await.status, 202, "{algorithm}");
        assert_eq!(door.head("/v2/a/manifests/v1").await.status, 404, "{algorithm}");
    }
}

#[tokio::test]
async fn end_9_removes_a_tag_alone_and_a_manifest_with_its_tags() {
    let door = Door::open();
    let manifest = door.push_image("a", "v1").await;
    door.push_manifest("a", "v2", &manifest).await;
    door.push_manifest("a", "v3", &manifest).await;

    assert_eq!(door.delete("/v2/a/manifests/v1").await.status, 202);
    let gone = door.delete("/v2/a/manifests/v1").await;
    assert_eq!((gone.status.as_u16(), &*gone.code()), (404, "MANIFEST_UNKNOWN"));
    assert_eq!(door.head("/v2/a/manifests/v1").await.status, 404);
    assert_eq!(door.head("/v2/a/manifests/v2").await.status, 200);

    let address = format!("/v2/a/manifests/{}", manifest.digest());
    assert_eq!(door.delete(&address).await.status, 202);
    for address in [&*address, "/v2/a/manifests/v2", "/v2/a/manifests/v3"] {
        assert_eq!(door.head(address).await.status, 404);
        assert_eq!(door.delete(address).await.status, 404);
    }
    // What was removed can be pushed again at once.
    assert_eq!(door.push_manifest("a", "v1", &manifest).await.status, 201);
    assert_eq!(&*door.get(&address).await.body, &*manifest.bytes);
}

#[tokio::test]
async fn end_10_removes_a_blob_that_no_manifest_names() {
    let door = Door::open();
    let digest = door.push_blob("a", b"alone").await;
    let address = format!("/v2/a/blobs/{digest}");
    assert_eq!(door.delete(&address).await.status, 202);
    let gone = door.delete(&address).await;
    assert_eq!((gone.status.as_u16(), &*gone.code()), (404, "BLOB_UNKNOWN"));
    assert_eq!(door.head(&address).await.status, 404);

    let manifest = door.push_image("a", "v1").await;
    let layer = format!("/v2/a/blobs/{}", Algorithm::Sha256.digest(LAYER));
    let refused = door.delete(&layer).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (405, "UNSUPPORTED"));
    assert_eq!(refused.header("allow"), "GET, HEAD");
    assert_eq!(refused.detail()["manifests"], json!([manifest.digest()]));
    door.delete(&format!("/v2/a/manifests/{}", manifest.digest())).await;
    assert_eq!(door.delete(&layer).await.status, 202);
}

#[tokio::test]
async fn end_11_mounts_a_blob_or_begins_an_upload() {
    let door = Door::open();
    let digest = door.push_blob("from/here", LAYER).await;
    for (to, from) in [("to/one", "&from=from/here"), ("to/two", "")] {
        let mounted = door.post(&format!("/v2/{to}/blobs/uploads/?mount={digest}{from}"), "").await;
        assert_eq!(mounted.status, 201, "{mounted:?}");
        assert_eq!(mounted.header("location"), format!("/v2/{to}/blobs/{digest}"));
        assert_eq!(mounted.header("docker-content-digest"), digest.to_string());
        assert_eq!(&*door.get(mounted.header("location")).await.body, LAYER);
    }
    let unknown = Algorithm::Sha512.digest(b"unknown");
    for from in ["", "&from=from/here", "&from=nowhere"] {
        let begun = door.post(&format!("/v2/to/blobs/uploads/?mount={unknown}{from}"), "").await;
        assert_eq!(begun.status, 202);
        let put = door.put(&format!("{}?digest={unknown}", begun.header("location")), "unknown").await;
        assert_eq!(put.status, 201);
        door.delete(&format!("/v2/to/blobs/{unknown}")).await;
    }
}

#[tokio::test]
async fn end_12_lists_what_refers_to_a_manifest() {
    let door = Door::open();
    let subject = door.push_image("a", "v1").await;
    let sbom = referrer(&subject, "application/vnd.sbom+json", "sbom");
    let signature = referrer(&subject, "application/vnd.sig", "signature");
    for manifest in [&sbom, &signature] {
        door.push_manifest("a", &manifest.digest().to_string(), manifest).await;
    }
    let address = format!("/v2/a/referrers/{}", subject.digest());
    let listed = door.get(&address).await;
    assert_eq!((listed.status.as_u16(), listed.header("content-type")), (200, MediaType::OCI_INDEX));
    assert_eq!((listed.header("oci-filters-applied"), listed.header("link")), ("", ""));
    let index = listed.json();
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["mediaType"], MediaType::OCI_INDEX);
    let mut expected = vec![
        json!({
            "mediaType": MediaType::OCI_MANIFEST, "digest": sbom.digest(), "size": sbom.bytes.len(),
            "artifactType": "application/vnd.sbom+json", "annotations": { "name": "sbom" },
        }),
        json!({
            "mediaType": MediaType::OCI_MANIFEST, "digest": signature.digest(), "size": signature.bytes.len(),
            "artifactType": "application/vnd.sig", "annotations": { "name": "signature" },
        }),
    ];
    expected.sort_by_key(|descriptor| descriptor["digest"].to_string());
    assert_eq!(index["manifests"], json!(expected));

    for written in ["application/vnd.sbom%2Bjson", "application%2Fvnd.sbom+json"] {
        let filtered = door.get(&format!("{address}?artifactType={written}")).await;
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        let manifests = filtered.json()["manifests"].clone();
        assert_eq!(manifests.as_array().unwrap().len(), 1);
        assert_eq!(manifests[0]["digest"], json!(sbom.digest()));
    }

    let unknown = Algorithm::Sha256.digest(b"unknown");
    for repository in ["a", "nowhere"] {
        let empty = door.get(&format!("/v2/{repository}/referrers/{unknown}")).await;
        assert_eq!((empty.status.as_u16(), empty.header("content-type")), (200, MediaType::OCI_INDEX));
        assert_eq!(empty.json()["manifests"], json!([]));
    }
    for bad in ["latest", "sha256:1"] {
        let refused = door.get(&format!("/v2/a/referrers/{bad}")).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "DIGEST_INVALID"));
    }
}

#[tokio::test]
async fn end_13_says_how_far_an_upload_has_come() {
    let door = Door::open();
    let location = door.begin("a").await;
    for (sent, range) in [("", "0-0"), ("0", "0-0"), ("1234", "0-4")] {
        door.patch(&location, None, sent).await;
        for answer in [door.get(&location).await, door.head(&location).await] {
            assert_eq!((answer.status.as_u16(), answer.header("range")), (204, range));
            assert_eq!(answer.header("location"), location);
            assert!(location.ends_with(answer.header("docker-upload-uuid")));
            assert!(!answer.headers.contains_key("content-length"));
        }
    }
    // It is known in no other repository.
    let elsewhere = location.replace("/a/", "/b/");
    for address in
        [&*elsewhere, "/v2/a/blobs/uploads/00000000000000000000000000000000", "/v2/a/blobs/uploads/1"]
    {
        let unknown = door.get(address).await;
        assert_eq!((unknown.status.as_u16(), &*unknown.code()), (404, "BLOB_UPLOAD_UNKNOWN"), "{address}");
    }
}

#[tokio::test]
async fn end_14_cancels_an_upload() {
    let door = Door::open();
    let location = door.begin("a").await;
    door.patch(&location, None, "0123").await;
    assert_eq!(door.delete(&location).await.status, 204);
    let gone = door.delete(&location).await;
    assert_eq!((gone.status.as_u16(), &*gone.code()), (404, "BLOB_UPLOAD_UNKNOWN"));
}

#[tokio::test]
async fn an_encoded_body_is_refused() {
    let door = Door::open();
    let location = door.begin("a").await;
    let digest = Algorithm::Sha256.digest(LAYER);
    for (method, address) in [
        (Method::POST, format!("/v2/a/blobs/uploads/?digest={digest}")),
        (Method::PATCH, location.clone()),
        (Method::PUT, format!("{location}?digest={digest}")),
        (Method::PUT, "/v2/a/manifests/v1".to_owned()),
    ] {
        for encoding in ["gzip", "identity, gzip", "x"] {
            let headers = [("content-encoding", encoding), ("content-type", MediaType::OCI_INDEX)];
            let answer = door.send(method.clone(), &address, &headers, LAYER).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (415, "UNSUPPORTED"), "{method} {address}");
            assert_eq!(answer.detail()["encoding"], encoding);
            assert_eq!(door.get(&location).await.header("range"), "0-0");
        }
    }
    for encoding in ["gzip, chunked", "chunked, chunked"] {
        let answer = door.send(Method::PATCH, &location, &[("transfer-encoding", encoding)], LAYER).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (415, "UNSUPPORTED"), "{encoding}");
        assert_eq!(door.get(&location).await.header("range"), "0-0");
    }
    let plain = [("content-encoding", "Identity"), ("transfer-encoding", "Chunked")];
    assert_eq!(door.send(Method::PATCH, &location, &plain, LAYER).await.status, 202);
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_length_or_at_the_byte() {
    let limits = Limits { blob_bytes_max: 8, ..Limits::default() };
    let door = Door::to(registry(AnyoneMay).limits(limits).build(), AnonymousOnly);
    let digest = Algorithm::Sha256.digest(b"012345678");
    let refused = door.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), "012345678").await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (413, "SIZE_INVALID"));
    assert_eq!(refused.detail()["limit"], 8);
    let location = door.begin("a").await;
    assert_eq!(door.patch(&location, None, "01234567").await.status, 202);
    assert_eq!(door.patch(&location, None, "8").await.status, 413);
}

#[tokio::test]
async fn what_is_not_there_is_answered_in_the_same_shape() {
    let door = Door::open();
    for address in ["/", "/v1/", "/v2x", "/v2/a", "/v2/a/b/c", "/v2/_catalog/x"] {
        let answer = door.get(address).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (404, "UNSUPPORTED"), "{address}");
    }
    let digest = Algorithm::Sha256.digest(b"");
    for (method, address, allow) in [
        (Method::POST, "/v2/".to_owned(), "GET, HEAD"),
        (Method::PUT, "/v2/a/tags/list".to_owned(), "GET, HEAD"),
        (Method::PATCH, format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        (Method::OPTIONS, "/v2/a/manifests/v1".to_owned(), "GET, HEAD, PUT, DELETE"),
        (Method::GET, "/v2/a/blobs/uploads/".to_owned(), "POST"),
        (
            Method::POST,
            "/v2/a/blobs/uploads/00000000000000000000000000000000".to_owned(),
            "GET, HEAD, PATCH, PUT, DELETE",
        ),
    ] {
        let answer = door.send(method.clone(), &address, &[], "").await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (405, "UNSUPPORTED"), "{method} {address}");
        assert_eq!(answer.header("allow"), allow, "{method} {address}");
    }
    for address in ["/v2/A/tags/list", "/v2/a%2Fb/tags/list", "/v2//tags/list", "/v2/tags/list"] {
        let answer = door.get(address).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (400, "NAME_INVALID"), "{address}");
        assert_eq!(answer.json()["errors"][0]["message"], "'repository' is invalid");
        assert!(answer.detail()["reason"].as_str().unwrap().contains("repository name"), "{address}");
    }
}

#[tokio::test]
async fn the_protocol_is_where_the_host_puts_it() {
    for (outside, cut_off, seen) in [
        ("/v2", "", "/v2"),
        ("/v2", "/v2", ""),
        ("/one/v2", "", "/one/v2"),
        ("/one/v2", "/one", "/v2"),
        ("/one/v2", "/one/v2", ""),
    ] {
        let mount = MountPoint::new(outside, cut_off).unwrap();
        let options = ServiceOptions { mount, ..ServiceOptions::default() };
        let door = Door::with(registry(AnyoneMay).build(), AnonymousOnly, options);
        let begun = door.post(&format!("{seen}/v2/a/blobs/uploads/"), "").await;
        assert!(begun.header("location").starts_with(&format!("{outside}/v2/a/blobs/uploads/")), "{outside}");
        assert_eq!(door.get(&format!("{seen}/")).await.status, 200);
        let manifest = Manifest::of(MediaType::OCI_INDEX, json!({ "manifests": [] }));
        for tag in ["one", "two"] {
            let address = format!("{seen}/a/manifests/{tag}");
            let headers = [("content-type", manifest.media_type)];
            let pushed = door.send(Method::PUT, &address, &headers, manifest.bytes.clone()).await;
            assert_eq!(pushed.header("location"), format!("{outside}/a/manifests/{}", manifest.digest()));
        }
        let page = door.get(&format!("{seen}/a/tags/list?n=1")).await;
        assert_eq!(page.header("link"), format!("<{outside}/a/tags/list?n=1&last=one>; rel=\"next\""));
    }
    for (outside, cut_off) in
        [("v2", ""), ("/v2/", ""), ("/one/v2", "/two"), ("/a b", ""), ("/one/v2", "/one/")]
    {
        assert!(MountPoint::new(outside, cut_off).is_err(), "{outside} {cut_off}");
    }
}

#[tokio::test]
async fn no_header_of_a_request_changes_an_address() {
    let door = Door::open();
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6;host=evil.example;proto=https"),
    ];
    let begun = door.send(Method::POST, "/v2/a/blobs/uploads/", &headers, "").await;
    assert!(begun.header("location").starts_with("/v2/a/blobs/uploads/"));
    assert!(begun.headers.values().all(|value| !value.to_str().unwrap().contains("evil")));
}
