//! Who is calling, and what those are told who may not.

use async_trait::async_trait;
use data_encoding::BASE64;
use http::Method;
use swr_auth::{
    AnonymousOnly, Authenticated, AuthenticationError, Authenticator, Challenge, FixedUsers, Presented,
    PublicRead, ReadOnly, Secret,
};
use swr_core::RepositoryName;
use swr_core::caller::{Caller, Identity};
use swr_core::commit::Grounds;
use swr_core::digest::Algorithm;
use swr_core::ports::{Action, Ask, Authorizer, Refusal, StoreError, StoreErrorKind, Verdict};

use crate::door::{Answer, Door, LAYER, image, registry};

/// Ada may do anything below `ada/`, and pull below `open/`; there is nothing else.
#[derive(Debug)]
struct Own;

#[async_trait]
impl Authorizer for Own {
    async fn decide(&self, caller: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        let is_ada = *caller == Caller::User(Identity::new("ada"));
        let top = ask.repository.components().next();
        Ok(match (top, ask.action) {
            (Some("ada"), _) if is_ada => Verdict::Allow(Grounds::default()),
            (Some("open"), Action::Pull) => Verdict::Allow(Grounds::default()),
            (Some("open"), _) => Verdict::Deny(Refusal::default()),
            _ => Verdict::Hide,
        })
    }
}

/// Tokens that are names.
#[derive(Debug)]
struct Tokens(Challenge);

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, presented: &Presented) -> Result<Authenticated, AuthenticationError> {
        match presented {
            Presented::Nothing => Ok(Caller::Anonymous.into()),
            Presented::Bearer(token) if token.expose() == "busy" => {
                Err(AuthenticationError::Busy { retry_after: std::time::Duration::from_secs(7) })
            }
            Presented::Bearer(token) if token.expose() == "down" => Err(AuthenticationError::Store(
                StoreError::new(StoreErrorKind::Unavailable, "tokens", "the secret name of the server"),
            )),
            Presented::Bearer(token) if token.expose() == "ada reads x" => {
                let listed = [(RepositoryName::parse("ada/x").unwrap(), [Action::Pull].into())];
                Ok(Authenticated {
                    caller: Caller::User(Identity::new("ada")),
                    reach: Some(listed.into_iter().collect()),
                    account: None,
                })
            }
            Presented::Bearer(token) if token.expose() != "expired" => {
                Ok(Caller::User(Identity::new(token.expose())).into())
            }
            _ => Err(AuthenticationError::Refused),
        }
    }

    fn challenge(&self) -> Option<&Challenge> {
        Some(&self.0)
    }
}

fn tokens() -> Door {
    let challenge = Challenge::bearer("https://registry.example/token", "registry.example").unwrap();
    Door::to(registry(Own).build(), Tokens(challenge))
}

fn passwords(authorizer: impl Authorizer) -> Door {
    let users = FixedUsers::new().with_password("ada", &Secret::new("sesame")).unwrap();
    Door::to(registry(authorizer).build(), users)
}

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64.encode(pair.as_bytes()))
}

async fn as_(door: &Door, authorization: &str, method: Method, address: &str) -> Answer {
    door.send(method, address, &[("authorization", authorization)], "").await
}

#[tokio::test]
async fn a_stranger_is_asked_to_sign_in_where_that_is_possible() {
    let door = passwords(PublicRead);
    for (shown, status) in [
        ("", 401),
        (&*basic(":"), 401),
        (&basic("ada:sesame"), 200),
        (&basic("ada:wrong"), 401),
        (&basic("bob:sesame"), 401),
        ("Basic !", 401),
        ("Bearer x", 401),
    ] {
        let headers: Vec<(&str, &str)> =
            Some(("authorization", shown)).into_iter().filter(|(_, shown)| !shown.is_empty()).collect();
        let answer = door.send(Method::GET, "/v2/", &headers, "").await;
        assert_eq!(answer.status, status, "{shown}");
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), r#"Basic realm="registry", charset="UTF-8""#);
            assert_eq!(answer.code(), "UNAUTHORIZED");
            assert_eq!(answer.json()["errors"][0]["message"], "authentication required");
        }
    }
    // Where nobody can, nobody is, and it does not matter what is shown.
    let open = Door::open();
    for shown in [&*basic("ada:sesame"), "Bearer x", "Negotiate x", "Basic !"] {
        assert_eq!(as_(&open, shown, Method::GET, "/v2/").await.status, 200, "{shown}");
    }
    let closed = Door::to(registry(ReadOnly).build(), AnonymousOnly);
    let refused = closed.post("/v2/a/blobs/uploads/", "").await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (403, "DENIED"));
    assert_eq!(refused.json()["errors"][0]["message"], "you do not have the permission");
    assert_eq!(refused.header("www-authenticate"), "");
}

#[tokio::test]
async fn anyone_pulls_what_is_public_and_wrong_credentials_are_not_nobody() {
    let door = passwords(PublicRead);
    let ada = basic("ada:sesame");
    let digest = Algorithm::Sha256.digest(LAYER);
    let pushed = door
        .send(
            Method::POST,
            &format!("/v2/a/blobs/uploads/?digest={digest}"),
            &[("authorization", &ada)],
            LAYER,
        )
        .await;
    assert_eq!(pushed.status, 201);
    let address = format!("/v2/a/blobs/{digest}");
    assert_eq!(door.get(&address).await.status, 200);
    assert_eq!(as_(&door, &ada, Method::GET, &address).await.status, 200);
    assert_eq!(as_(&door, &basic(":"), Method::GET, &address).await.status, 200);
    assert_eq!(as_(&door, &basic("ada:wrong"), Method::GET, &address).await.status, 401);
    assert_eq!(door.delete(&address).await.status, 401);
}

#[tokio::test]
async fn every_endpoint_asks_for_the_rights_that_it_needs() {
    let door = tokens();
    let digest = Algorithm::Sha256.digest(b"");
    let blob = format!("/v2/ada/x/blobs/{digest}");
    let uploads = "/v2/ada/x/blobs/uploads/";
    let upload = "/v2/ada/x/blobs/uploads/0123456789abcdef0123456789abcdef";
    let (pull, push, delete) =
        ("repository:ada/x:pull", "repository:ada/x:pull,push", "repository:ada/x:delete");
    for (method, address, scope) in [
        (Method::GET, "/v2/", ""),
        (Method::GET, "/v2/ada/x/tags/list", pull),
        (Method::GET, &*format!("/v2/ada/x/referrers/{digest}"), pull),
        (Method::GET, "/v2/ada/x/manifests/v1", pull),
        (Method::HEAD, "/v2/ada/x/manifests/v1", pull),
        (Method::PUT, "/v2/ada/x/manifests/v1", push),
        (Method::DELETE, "/v2/ada/x/manifests/v1", delete),
        (Method::DELETE, &format!("/v2/ada/x/manifests/{digest}"), delete),
        (Method::GET, &blob, pull),
        (Method::HEAD, &blob, pull),
        (Method::DELETE, &blob, delete),
        (Method::POST, uploads, push),
        (Method::POST, &format!("{uploads}?digest={digest}"), push),
        (Method::POST, &format!("{uploads}?mount={digest}"), push),
        (
            Method::POST,
            &format!("{uploads}?mount={digest}&from=ada/y"),
            "repository:ada/x:pull,push repository:ada/y:pull",
        ),
        (Method::GET, upload, push),
        (Method::PATCH, upload, push),
        (Method::PUT, &format!("{upload}?digest={digest}"), push),
        (Method::DELETE, upload, push),
    ] {
        let nobody = door.send(method.clone(), address, &[], "").await;
        let expired = as_(&door, "Bearer expired", method.clone(), address).await;
        let malformed = as_(&door, "Bearer", method.clone(), address).await;
        // Whoever shows what proves nothing is answered as whoever shows nothing.
        for answer in [&nobody, &expired, &malformed] {
            assert_eq!(answer.status, 401, "{method} {address}");
            assert_eq!(answer.headers, nobody.headers, "{method} {address}");
            assert_eq!(answer.body, nobody.body, "{method} {address}");
        }
        let expected = match scope {
            "" => r#"Bearer realm="https://registry.example/token",service="registry.example""#.to_owned(),
            scope => format!(
                r#"Bearer realm="https://registry.example/token",service="registry.example",scope="{scope}""#
            ),
        };
        assert_eq!(nobody.header("www-authenticate"), expected, "{method} {address}");
    }
    let catalogue = as_(&door, "Bearer expired", Method::GET, "/v2/_catalog").await;
    assert!(catalogue.header("www-authenticate").ends_with(r#"scope="registry:catalog:*""#));
}

#[tokio::test]
async fn what_is_hidden_is_what_is_not_there() {
    let door = tokens();
    let ada = [("authorization", "Bearer ada")];
    let image = image("secret");
    let digest = Algorithm::Sha256.digest(LAYER);
    let send = async |method: Method, address: String, body: &[u8]| {
        door.send(method, &address, &ada, body.to_vec()).await.status.as_u16()
    };
    assert_eq!(send(Method::POST, format!("/v2/ada/x/blobs/uploads/?digest={digest}"), LAYER).await, 201);
    let config = Algorithm::Sha256.digest(crate::door::CONFIG);
    assert_eq!(
        send(Method::POST, format!("/v2/ada/x/blobs/uploads/?digest={config}"), crate::door::CONFIG).await,
        201
    );
    assert_eq!(send(Method::PUT, "/v2/ada/x/manifests/v1".to_owned(), &image.bytes).await, 201);

    let begun = door.send(Method::POST, "/v2/ada/x/blobs/uploads/", &ada, "").await;
    let upload = begun.header("docker-upload-uuid");
    for shown in ["Bearer bob", ""] {
        let headers: Vec<(&str, &str)> =
            Some(("authorization", shown)).into_iter().filter(|(_, shown)| !shown.is_empty()).collect();
        for (method, path) in [
            (Method::GET, "tags/list".to_owned()),
            (Method::GET, "manifests/v1".to_owned()),
            (Method::HEAD, "manifests/v1".to_owned()),
            (Method::GET, format!("manifests/{}", image.digest())),
            (Method::DELETE, "manifests/v1".to_owned()),
            (Method::GET, format!("blobs/{digest}")),
            (Method::HEAD, format!("blobs/{digest}")),
            (Method::DELETE, format!("blobs/{digest}")),
            (Method::GET, format!("referrers/{}", image.digest())),
            (Method::POST, "blobs/uploads/".to_owned()),
            (Method::GET, format!("blobs/uploads/{upload}")),
            (Method::DELETE, format!("blobs/uploads/{upload}")),
        ] {
            let there = door.send(method.clone(), &format!("/v2/ada/x/{path}"), &headers, "").await;
            let absent = door.send(method.clone(), &format!("/v2/ada/q/{path}"), &headers, "").await;
            assert_eq!(there.status, absent.status, "{method} {path}");
            // The name that was asked for apart, not a byte differs.
            let same = |answer: &Answer| {
                format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body))
                    .replace("ada/q", "ada/x")
            };
            assert_eq!(same(&there), same(&absent), "{method} {path}");
        }
    }
    // A mount from where the caller may not read is a mount of what is not there.
    for from in ["&from=ada/x", "&from=ada/q", ""] {
        let bob = [("authorization", "Bearer bob")];
        let address = format!("/v2/open/x/blobs/uploads/?mount={digest}{from}");
        let answer = door.send(Method::POST, &address, &bob, "").await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "DENIED"), "{from}");
    }
    let address = format!("/v2/ada/y/blobs/uploads/?mount={digest}&from=bob/x");
    assert_eq!(door.send(Method::POST, &address, &ada, "").await.status, 202);
}

#[tokio::test]
async fn faults_of_the_authenticator_are_not_the_callers() {
    let door = tokens();
    let busy = as_(&door, "Bearer busy", Method::GET, "/v2/").await;
    assert_eq!((busy.status.as_u16(), busy.header("retry-after")), (429, "7"));
    assert_eq!(busy.code(), "TOOMANYREQUESTS");
    let down = as_(&door, "Bearer down", Method::GET, "/v2/").await;
    assert_eq!((down.status.as_u16(), down.header("retry-after")), (503, "5"));
    assert!(!String::from_utf8_lossy(&down.body).contains("secret"), "{down:?}");
    let long = format!("Bearer {}", "a".repeat(9000));
    assert_eq!(as_(&door, &long, Method::GET, "/v2/").await.status, 431);
}

#[tokio::test]
async fn a_token_goes_no_further_than_what_it_lists() {
    let door = tokens();
    for (method, address, status, challenged) in [
        (Method::GET, "/v2/", 200, ""),
        (Method::GET, "/v2/ada/x/manifests/v1", 404, ""),
        (Method::POST, "/v2/ada/x/blobs/uploads/", 403, ""),
        (Method::GET, "/v2/ada/y/manifests/v1", 401, "repository:ada/y:pull"),
    ] {
        let answer = as_(&door, "Bearer ada reads x", method, address).await;
        assert_eq!(answer.status, status, "{address}");
        assert!(answer.header("www-authenticate").contains(challenged), "{answer:?}");
    }
    assert_eq!(as_(&door, "Bearer ada", Method::GET, "/v2/ada/y/manifests/v1").await.status, 404);
}
