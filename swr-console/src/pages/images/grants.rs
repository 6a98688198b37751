//! Who may do what in an image beyond what its organisation grants.

use maud::html;
use swr_core::control::grant::GrantScope;

use super::{Image, Tab, page};
use crate::exchange::{Answer, Attempt, Exchange, Problem};
use crate::form::Form;
use crate::pages::grants::{self, Place};

pub(super) async fn change(
    exchange: &Exchange<'_>,
    image: &Image,
    what: Attempt,
    path: &[&str],
    form: &Form,
) -> Answer {
    let scope = GrantScope::Repository(image.name.clone());
    match exchange.attempt(what, grants::change(exchange, &scope, path, form)).await {
        Ok(done) => Ok(exchange.see(&image.address("/grants"), done)),
        Err(problem) => show(exchange, image, Some(&problem)).await,
    }
}

pub(super) async fn show(exchange: &Exchange<'_>, image: &Image, problem: Option<&Problem>) -> Answer {
    image.expect_read()?;
    let all = exchange.texts();
    let place = Place {
        scope: GrantScope::Repository(image.name.clone()),
        address: image.address("/grants"),
        manages: image.manages(),
        title: all.images.grants,
        none: all.images.no_grants,
        remove_what: all.images.remove_grant_what,
    };
    let body = html! {
        div.tools {
            p.hint { (all.images.grants_hint) " " (all.organisations.read_hint) }
            (place.add(exchange, "primary").await?)
        }
        (place.list(exchange).await?)
    };
    let done = grants::done(exchange);
    Ok(page(exchange, image, Tab::Grants, body).done(done).problem(problem, all).into())
}
