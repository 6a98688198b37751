//! The pages, each in a file of its own: a question to the control plane, and how the answer looks.

pub(crate) mod audit;
pub(crate) mod credentials;
pub(crate) mod images;
pub(crate) mod organisations;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod sign_in;

use crate::exchange::{Answer, Exchange, Problem, Reply, Sent};

/// The page at the address: what follows the console's own, part by part.
pub(crate) async fn show(exchange: &Exchange<'_>, path: &[&str]) -> Answer {
    match path {
        [] => overview::show(exchange).await,
        // Addresses that take forms alone, and answer with a page where one is refused: that page is elsewhere.
        ["login"] => Ok(Reply::Redirect(exchange.link("/"))),
        ["credentials", _] => Ok(Reply::Redirect(exchange.link("/credentials"))),
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
