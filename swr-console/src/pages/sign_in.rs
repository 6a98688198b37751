//! Signing in, with a password or an access key.

use http::{HeaderMap, StatusCode};
use maud::{Markup, html};
use swr_auth::session_desk::NewSession;
use swr_auth::{AuthenticationError, Secret, SessionDesk};
use swr_core::control::ControlError;
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{AccountName, UserName};

use crate::exchange::{Frame, Problem};
use crate::form::Form;
use crate::layout::{self, Notice};
use crate::pieces::Field;

/// The parameter that says where to go on afterwards.
const NEXT: &str = "next";

/// Where somebody is sent who has not signed in, or no longer: back to here afterwards, unless something was sent.
pub(crate) fn address(frame: &Frame<'_>, was_change: bool) -> String {
    let query = match was_change {
        true => Form::default().with("done", Some("ended")),
        false => {
            let here = format!("{}{}", frame.path, frame.query.query());
            Form::default().with(NEXT, Some(&here).filter(|here| here.len() > 1).map(String::as_str))
        }
    };
    frame.link(&format!("/sign-in{}", query.query()))
}

/// Where to go on: a page of the console, whatever the form says.
pub(crate) fn after(frame: &Frame<'_>, form: &Form) -> String {
    let next = form.text(NEXT);
    // Two slashes would begin the name of another host where the console is at the beginning of all paths.
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    frame.link(if is_ours { next } else { "/" })
}

/// Begins the session that the form asks for.
pub(crate) async fn begin(
    sessions: &SessionDesk,
    frame: &Frame<'_>,
    form: &Form,
) -> Result<NewSession, Problem> {
    let refused = || Problem::Field(frame.texts.sign_in.refused.to_owned());
    // A secret may begin with a blank.
    let secret = |name| Secret::from(form.get(name).unwrap_or_default());
    let begun = match form.text("with") {
        "key" => {
            let key = KeyId::parse(form.text("key")).map_err(|_| refused())?;
            sessions.sign_in_with_key(&key, &secret("secret")).await
        }
        _ => {
            let account = AccountName::parse(form.text("account")).map_err(|_| refused())?;
            let user = UserName::parse(form.text("user")).map_err(|_| refused())?;
            sessions.sign_in(&account, &user, &secret("password")).await
        }
    };
    begun.map_err(|error| match error {
        AuthenticationError::Refused => refused(),
        error => error.into(),
    })
}

/// The page, and after an attempt what went wrong. A secret is not repeated.
pub(crate) fn page(
    frame: &Frame<'_>,
    form: &Form,
    problem: Option<&Problem>,
) -> (StatusCode, Markup, HeaderMap) {
    let texts = &frame.texts.sign_in;
    let notice = match (problem, frame.query.get("done")) {
        (Some(problem), _) => Some(Notice::Wrong(frame.texts.errors.explain(problem))),
        (None, Some("signed-out")) => Some(Notice::Done(texts.signed_out.to_owned())),
        (None, Some("password")) => Some(Notice::Done(texts.password_changed.to_owned())),
        (None, Some("ended")) => Some(Notice::Wrong(texts.ended.to_owned())),
        (None, _) => None,
    };
    let next = form.get(NEXT).or(frame.query.get(NEXT)).unwrap_or_default();
    let by_key = form.text("with") == "key";
    let begin = |with: &str, fields: Markup| {
        html! {
            form method="post" action=(frame.link("/sign-in")) {
                input type="hidden" name="with" value=(with);
                input type="hidden" name=(NEXT) value=(next);
                (fields)
                button.primary type="submit" { (texts.submit) }
            }
        }
    };
    let field = |name, label| Field { id: name, name, label, hint: None };
    let body = html! {
        div.card.sign-in {
            h1 { (texts.title) }
            p.lead { (texts.lead) }
            (begin("password", html! {
                (field("account", texts.account)
                    .line("text", form.text("account"), "organization", true, AccountName::MAX_BYTES))
                (field("user", texts.user).line("text", form.text("user"), "username", true, UserName::MAX_BYTES))
                (field("password", texts.password).line("password", "", "current-password", true, 1024))
            }))
            details open[by_key] {
                summary { (texts.by_key) }
                (begin("key", html! {
                    (field("key", texts.key).line("text", form.text("key"), "off", true, 64))
                    (field("secret", texts.secret).line("password", "", "off", true, 1024))
                }))
            }
        }
    };
    let status = match problem {
        // Whoever is nobody is answered as everywhere.
        Some(Problem::Field(_)) => StatusCode::UNAUTHORIZED,
        Some(problem) => problem.status(),
        None => StatusCode::OK,
    };
    let mut headers = HeaderMap::new();
    if let Some(Problem::Busy | Problem::Control(ControlError::Busy)) = problem {
        headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    (status, layout::bare(frame, texts.title, notice.as_ref(), body), headers)
}
