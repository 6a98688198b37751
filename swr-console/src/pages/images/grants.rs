//! Who may do what in an image beyond what its organisation grants.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::control::grant::Granted;
use swr_core::control::identity::UserName;
use swr_core::ports::Page as Part;

use super::{Image, Tab, page};
use crate::exchange::{Answer, Attempt, Exchange, Problem};
use crate::form::Form;
use crate::pages::organisations::{level, right, user, user_id};
use crate::pieces::{Field, Removal, as_id, dialog, empty, expect_word, token};
use crate::texts::Texts;

/// How many users are offered to choose from.
const OFFERED: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);

pub(super) async fn change(
    exchange: &Exchange<'_>,
    image: &Image,
    what: Attempt,
    path: &[&str],
    form: &Form,
) -> Answer {
    let done = exchange.attempt(what, async {
        match path {
            [] => add(exchange, image, form).await,
            ["change"] => alter(exchange, image, form).await,
            _ => remove(exchange, image, form).await,
        }
    });
    match done.await {
        Ok(done) => Ok(exchange.see(&image.address("/grants"), done)),
        Err(problem) => show(exchange, image, Some(&problem)).await,
    }
}

async fn add(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    let user = user(exchange, form.text("user")).await?;
    let levels = [(user, level(form)?)];
    exchange.access().grant(&image.scope(), &levels).await?;
    Ok("granted")
}

async fn alter(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    let levels = [(user_id(form)?, level(form)?)];
    exchange.access().change_grants(&image.scope(), &levels).await?;
    Ok("changed")
}

async fn remove(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    expect_word(form)?;
    exchange.access().remove_grants(&image.scope(), &[user_id(form)?]).await?;
    Ok("removed")
}

pub(super) async fn show(exchange: &Exchange<'_>, image: &Image, problem: Option<&Problem>) -> Answer {
    image.expect_read()?;
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let granted = exchange.access().grants(&image.scope()).await?;
    let offered = offered(exchange, image).await?;
    let body = html! {
        div.tools {
            p.hint { (all.images.grants_hint) " " (texts.read_hint) }
            @if image.manages() { (add_form(exchange, image, &offered)) }
        }
        @if granted.is_empty() { (empty(all.images.no_grants)) } @else { (table(exchange, image, &granted)) }
    };
    let done = match exchange.done() {
        Some("granted") => Some(texts.granted),
        Some("changed") => Some(texts.changed),
        Some("removed") => Some(texts.removed),
        _ => None,
    };
    Ok(page(exchange, image, Tab::Grants, body).done(done).problem(problem, all).into())
}

fn levels(texts: &Texts) -> [(&'static str, &'static str); 3] {
    [("1", texts.layout.read), ("3", texts.layout.edit), ("7", texts.layout.manage)]
}

fn table(exchange: &Exchange<'_>, image: &Image, granted: &[Granted]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    html! {
        div.table role="region" aria-label=(all.images.grants) tabindex="0" {
            table #grants {
                thead { tr {
                    th scope="col" { (texts.user) }
                    th scope="col" { (all.layout.right) }
                    @if image.manages() { th scope="col" { span.visually-hidden { (all.layout.actions) } } }
                } }
                tbody {
                    @for grant in granted {
                        @let may_change = image.manages() && grant.user != exchange.signer.user.id;
                        @let user = grant.user_name.as_str();
                        tr {
                            th scope="row" { (user) }
                            td {
                                @if may_change {
                                    form.inline method="post" action=(image.link(exchange, "/grants/change")) {
                                        (token(exchange))
                                        input type="hidden" name="user" value=(grant.user);
                                        select name="level" aria-label=((texts.right_of)(user)) {
                                            @for (value, word) in levels(all) {
                                                option value=(value) selected[value == grant.level.value().to_string()] { (word) }
                                            }
                                        }
                                        button.plain type="submit" { (all.layout.save) }
                                    }
                                } @else { span.tag { (right(all, grant.level)) } }
                            }
                            @if image.manages() {
                                td.actions-cell {
                                    @if may_change {
                                        (Removal {
                                            id: &as_id("remove", user),
                                            action: image.link(exchange, "/grants/remove"),
                                            title: texts.remove,
                                            what: &(all.images.remove_grant_what)(user),
                                            fields: &[("user", grant.user.as_str())],
                                        }.view(exchange))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Users to choose from, for those who may look them up.
async fn offered(exchange: &Exchange<'_>, image: &Image) -> Result<Vec<UserName>, Problem> {
    if !image.manages() || !exchange.signer.user.role.administers() {
        return Ok(Vec::new());
    }
    let users = exchange.access().users(exchange.account(), &Part { after: None, limit: OFFERED }).await?;
    let others = users.into_iter().filter(|user| user.id != exchange.signer.user.id);
    Ok(others.map(|user| user.name).collect())
}

fn add_form(exchange: &Exchange<'_>, image: &Image, offered: &[UserName]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let hint = match exchange.signer.user.role.administers() {
        true => texts.user_hint,
        false => texts.user_id_hint,
    };
    let level = Field { id: "level", name: "level", label: all.layout.right, hint: Some(texts.read_hint) };
    let body = html! {
        form method="post" action=(image.link(exchange, "/grants")) {
            (token(exchange))
            div.field {
                label for="user" { (texts.user) }
                input #user name="user" required maxlength="64" autocomplete="off" list="users"
                    autocapitalize="none" spellcheck="false" aria-describedby="user-hint";
                datalist #users { @for user in offered { option value=(user) {} } }
                p.hint #user-hint { (hint) }
            }
            (level.choice("1", levels(all)))
            button.primary type="submit" { (texts.add_grant) }
        }
    };
    dialog(all, "add-grant", html! { (texts.add_grant) }, "primary", texts.add_grant, body)
}
