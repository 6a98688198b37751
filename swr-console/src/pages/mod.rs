//! The pages, each in a file of its own: a question to the control plane, and how the answer looks.

pub(crate) mod audit;
pub(crate) mod credentials;
pub(crate) mod grants;
pub(crate) mod images;
pub(crate) mod organisations;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod sign_in;

use crate::exchange::{Answer, Exchange, Problem, Reply, Sent};

/// The page at the address: what follows the console's own, part by part.
pub(crate) async fn show(exchange: &Exchange<'_>, path: &[&str]) -> Answer {
    // A version may have that name.
    let is_version = matches!(path, ["images", _, _, "versions", "delete"]);
    if let (false, Some(page)) = (is_version, page_of(path)) {
        return Ok(Reply::Redirect(exchange.link(&page)));
    }
    match path {
        [] => overview::show(exchange).await,
        ["organisations", rest @ ..] => organisations::show(exchange, rest).await,
        ["images", rest @ ..] => images::show(exchange, rest).await,
        ["upload"] => images::upload::show(exchange).await,
        ["audit", rest @ ..] => audit::show(exchange, rest).await,
        ["credentials"] => credentials::show(exchange).await,
        ["users", rest @ ..] => people::users::show(exchange, rest).await,
        ["accounts"] => people::accounts::show(exchange).await,
        _ => Err(Problem::NoSuchPage),
    }
}

/// Does what was sent to the address.
pub(crate) async fn change(exchange: &Exchange<'_>, path: &[&str], sent: Sent) -> Answer {
    match path {
        ["login"] => overview::login(exchange).await,
        ["organisations", rest @ ..] => organisations::change(exchange, rest, sent.form()?).await,
        ["images", rest @ ..] => images::change(exchange, rest, sent.form()?).await,
        ["upload"] => images::upload::take(exchange, sent.files()?).await,
        ["credentials", rest @ ..] => credentials::change(exchange, rest, sent.form()?).await,
        ["users", rest @ ..] => people::users::change(exchange, rest, sent.form()?).await,
        ["accounts"] => people::accounts::change(exchange, sent.form()?).await,
        [] | ["audit", ..] => Err(Problem::Method),
        _ => Err(Problem::NoSuchPage),
    }
}

/// The page with the forms that go to this address, which is none itself. It is the answer where one is refused.
pub(crate) fn page_of(path: &[&str]) -> Option<String> {
    match path {
        ["login"] => Some("/".to_owned()),
        ["credentials", _] => Some("/credentials".to_owned()),
        ["organisations", name, "delete"] | ["organisations", name, "grants", ..] => {
            Some(format!("/organisations/{name}"))
        }
        ["users", account, "role" | "password" | "delete"] => Some(format!("/users/{account}")),
        ["images", organisation, repository, "delete"]
        | ["images", organisation, repository, "versions", "delete"] => {
            Some(format!("/images/{organisation}/{repository}"))
        }
        ["images", organisation, repository, tab @ ("grants" | "sharing" | "triggers" | "aging"), _] => {
            Some(format!("/images/{organisation}/{repository}/{tab}"))
        }
        _ => None,
    }
}
