//! `POST /v3/auth/tokens`: a token for a user's name and password, by the identity protocol that clients know.

use chrono::SecondsFormat;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use swr_auth::token_desk::IssuedToken;
use swr_auth::{AuthenticationError, Secret, Signer, TokenDesk};
use tracing::error;

use swr_core::Error;
use swr_core::control::identity::{AccountName, UserName};

use super::{TokenOptions, collected};
use crate::admission::Crowded;
use crate::body::{RequestBody, ResponseBody};
use crate::error_response::{Chain, Failure};
use crate::exchange::{in_time, response};
use crate::headers;

/// The token that was asked for.
const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// What a client sends. Whatever else it says, such as the project that it means, changes nothing about the token.
#[derive(Deserialize)]
struct Body {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Identity,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Option<Password>,
}

#[derive(Deserialize)]
struct Password {
    user: User,
}

#[derive(Deserialize)]
struct User {
    name: String,
    password: String,
    domain: Domain,
}

#[derive(Deserialize)]
struct Domain {
    name: String,
}

/// What the token is.
#[derive(Serialize)]
struct Given {
    token: Token,
}

#[derive(Serialize)]
struct Token {
    methods: [&'static str; 1],
    user: TokenUser,
    project: Named,
    issued_at: String,
    expires_at: String,
    catalog: [(); 0],
    roles: [(); 0],
}

#[derive(Serialize)]
struct TokenUser {
    id: String,
    name: String,
    domain: Named,
}

#[derive(Serialize)]
struct Named {
    id: String,
    name: String,
}

/// Why no token is given out.
enum Refused {
    /// The body is none of the protocol's, for this reason.
    Body(StatusCode, String),
    /// The user, or the account, or the password is another.
    Wrong,
    /// Too many are being looked at.
    Busy(std::time::Duration),
    /// The registry's own fault.
    Fault(Error),
    /// It takes too long.
    TooSlow,
}

pub(super) async fn answer(
    desk: &TokenDesk,
    options: &TokenOptions,
    body: RequestBody,
) -> Response<ResponseBody> {
    match give(desk, options, body).await {
        Ok((signer, issued)) => given(options, &signer, &issued),
        Err(refused) => refusal(refused),
    }
}

/// The answer to a request that there is no room for.
pub(super) fn crowded(Crowded { retry_after }: Crowded) -> Response<ResponseBody> {
    refusal(Refused::Busy(retry_after))
}

async fn give(
    desk: &TokenDesk,
    options: &TokenOptions,
    body: RequestBody,
) -> Result<(Signer, IssuedToken), Refused> {
    let body = collected(body).await.map_err(|failure| match failure {
        Failure::BodyTooLarge { .. } => {
            Refused::Body(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long".to_owned())
        }
        Failure::Registry(Error::Stalled) => {
            Refused::Body(StatusCode::REQUEST_TIMEOUT, "the body stood still for too long".to_owned())
        }
        _ => Refused::Body(StatusCode::BAD_REQUEST, "the body broke off before its end".to_owned()),
    })?;
    let bad = |why: &str| Refused::Body(StatusCode::BAD_REQUEST, why.to_owned());
    let Ok(Body { auth: Auth { identity } }) = serde_json::from_slice(&body) else {
        return Err(bad("the body is no request for a token by a password"));
    };
    let Identity { methods, password: Some(Password { user }) } = identity else {
        return Err(bad("the only method is `password`"));
    };
    if methods != ["password"] {
        return Err(bad("the only method is `password`"));
    }
    // What is no name is nobody's.
    let account = AccountName::parse(&user.domain.name).map_err(|_| Refused::Wrong)?;
    let name = UserName::parse(&user.name).map_err(|_| Refused::Wrong)?;
    let password = Secret::new(user.password);
    let call = desk.management(&account, &name, &password);
    let answer = in_time(options.answer_within, call).await.map_err(|_| Refused::TooSlow)?;
    answer.map_err(|error| match error {
        AuthenticationError::Busy { retry_after } => Refused::Busy(retry_after),
        AuthenticationError::Store(error) => Refused::Fault(error.into()),
        _ => Refused::Wrong,
    })
}

fn given(options: &TokenOptions, signer: &Signer, issued: &IssuedToken) -> Response<ResponseBody> {
    let Signer { user, account, .. } = signer;
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let domain = Named { id: account.id.to_string(), name: account.name.to_string() };
    let document = Given {
        token: Token {
            methods: ["password"],
            user: TokenUser { id: user.id.to_string(), name: user.name.to_string(), domain },
            project: Named { id: account.project.to_string(), name: options.settings.project().to_owned() },
            issued_at: time(issued.issued),
            expires_at: time(issued.expires),
            catalog: [],
            roles: [],
        },
    };
    // Plain values serialise.
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (X_SUBJECT_TOKEN, headers::secret(issued.token.expose())),
    ];
    response(StatusCode::CREATED, headers, ResponseBody::empty().bytes(body))
}

fn refusal(refused: Refused) -> Response<ResponseBody> {
    let (status, message, again) = match refused {
        Refused::Body(status, why) => (status, why, None),
        Refused::Wrong => (StatusCode::UNAUTHORIZED, "authentication required".to_owned(), None),
        Refused::Busy(after) => {
            (StatusCode::TOO_MANY_REQUESTS, "too many requests".to_owned(), Some(after.as_secs()))
        }
        Refused::Fault(fault) => {
            error!(error = %Chain(&fault), "a request for a token failed");
            (StatusCode::SERVICE_UNAVAILABLE, fault.to_string(), Some(5))
        }
        Refused::TooSlow => {
            (StatusCode::SERVICE_UNAVAILABLE, "the registry did not answer in time".to_owned(), Some(5))
        }
    };
    let title = status.canonical_reason().unwrap_or_default();
    let document = json!({ "error": { "code": status.as_u16(), "title": title, "message": message } });
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = response(status, headers, ResponseBody::empty().bytes(body));
    if let Some(seconds) = again {
        response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
    }
    response
}
