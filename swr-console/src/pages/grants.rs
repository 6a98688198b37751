//! Who may do what in an organisation or an image: the list of them, and what its forms do.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::control::ControlError;
use swr_core::control::grant::{GrantLevel, GrantScope, Granted};
use swr_core::control::identity::{UserId, UserName};
use swr_core::ports::Page as Part;

use crate::exchange::{Exchange, Problem};
use crate::form::Form;
use crate::pieces::{Field, Removal, as_id, dialog, empty, expect_word, more, next_after, token};
use crate::texts::Texts;

/// How many users a page shows.
const PAGE: usize = 100;
/// How many users are offered to choose from.
const OFFERED: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);

/// What a level lets do, in a word.
pub(crate) fn right(texts: &Texts, level: GrantLevel) -> &'static str {
    match level {
        GrantLevel::Read => texts.layout.read,
        GrantLevel::Edit => texts.layout.edit,
        GrantLevel::Manage => texts.layout.manage,
    }
}

/// The levels by their values on the wire.
fn levels(texts: &Texts) -> [(String, &'static str); 3] {
    [GrantLevel::Read, GrantLevel::Edit, GrantLevel::Manage]
        .map(|level| (level.value().to_string(), right(texts, level)))
}

/// Gives a right, changes one (`change`) or takes it away (`remove`), and says what was done.
pub(crate) async fn change(
    exchange: &Exchange<'_>,
    scope: &GrantScope,
    path: &[&str],
    form: &Form,
) -> Result<&'static str, Problem> {
    let access = exchange.access();
    match path {
        [] => {
            let user = user(exchange, form.text("user")).await?;
            access.grant(scope, &[(user, level(form)?)]).await?;
            Ok("granted")
        }
        ["change"] => {
            access.change_grants(scope, &[(user_id(form)?, level(form)?)]).await?;
            Ok("changed")
        }
        _ => {
            expect_word(form)?;
            access.remove_grants(scope, &[user_id(form)?]).await?;
            Ok("removed")
        }
    }
}

/// What the page says of what was done.
pub(crate) fn done(exchange: &Exchange<'_>) -> Option<&'static str> {
    let texts = &exchange.texts().organisations;
    match exchange.done()? {
        "granted" => Some(texts.granted),
        "changed" => Some(texts.changed),
        "removed" => Some(texts.removed),
        _ => None,
    }
}

/// The level that the form asks for, by its value on the wire.
fn level(form: &Form) -> Result<GrantLevel, Problem> {
    let level = form.text("level").parse().ok().and_then(GrantLevel::from_value);
    // None of the console's own forms has another.
    level.ok_or(Problem::Interrupted)
}

/// The user that a row of a list is about.
fn user_id(form: &Form) -> Result<UserId, Problem> {
    UserId::parse(form.text("user")).map_err(|_| Problem::Interrupted)
}

/// The user whom somebody has typed: by its id, or by the name where the caller may look users up.
async fn user(exchange: &Exchange<'_>, text: &str) -> Result<UserId, Problem> {
    if let Ok(id) = UserId::parse(text) {
        return Ok(id);
    }
    let texts = &exchange.texts().organisations;
    if !exchange.signer.user.role.administers() {
        return Err(Problem::Field(texts.id_wanted.to_owned()));
    }
    let unknown = || ControlError::UserUnknown(text.into());
    let name = UserName::parse(text).map_err(|_| unknown())?;
    Ok(exchange.access().user_named(exchange.account(), &name).await?.id)
}

/// Where rights are given, and how that is said there.
pub(crate) struct Place<'t> {
    pub(crate) scope: GrantScope,
    /// Where the forms go, within the console.
    pub(crate) address: String,
    /// Whether the caller may give and take them.
    pub(crate) manages: bool,
    /// What the list is called.
    pub(crate) title: &'t str,
    /// What stands where it would be.
    pub(crate) none: &'t str,
    /// What goes with the right of a user.
    pub(crate) remove_what: fn(&str) -> String,
}

impl Place<'_> {
    /// The list, from the user on that the address says, and the way to the next part of it.
    pub(crate) async fn list(&self, exchange: &Exchange<'_>) -> Result<Markup, Problem> {
        let mut granted = exchange.access().grants(&self.scope).await?;
        let after = exchange.frame.query.text("after");
        granted.retain(|granted| granted.user_name.as_str() > after);
        let next = next_after(&exchange.frame, &mut granted, PAGE, "after", |last| last.user_name.as_str());
        Ok(html! {
            @if granted.is_empty() { (empty(self.none)) } @else {
                (self.table(exchange, &granted))
                (more(exchange.texts(), next))
            }
        })
    }

    fn table(&self, exchange: &Exchange<'_>, granted: &[Granted]) -> Markup {
        let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
        html! {
            div.table role="region" aria-label=(self.title) tabindex="0" {
                table #grants {
                    thead { tr {
                        th scope="col" { (texts.user) }
                        th scope="col" { (all.layout.right) }
                        @if self.manages { th scope="col" { span.visually-hidden { (all.layout.actions) } } }
                    } }
                    tbody { @for grant in granted { (self.row(exchange, grant)) } }
                }
            }
        }
    }

    fn row(&self, exchange: &Exchange<'_>, grant: &Granted) -> Markup {
        let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
        let may_change = self.manages && grant.user != exchange.signer.user.id;
        let user = grant.user_name.as_str();
        html! {
            tr {
                th scope="row" { (user) }
                td {
                    @if may_change {
                        form.inline method="post" action=(exchange.link(&format!("{}/change", self.address))) {
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
                @if self.manages {
                    td.actions-cell {
                        @if may_change {
                            (Removal {
                                id: &as_id("remove", user),
                                action: exchange.link(&format!("{}/remove", self.address)),
                                title: texts.remove,
                                what: &(self.remove_what)(user),
                                fields: &[("user", grant.user.as_str())],
                            }.view(exchange))
                        }
                    }
                }
            }
        }
    }

    /// The button that gives a right to somebody, for those who may.
    pub(crate) async fn add(&self, exchange: &Exchange<'_>, class: &str) -> Result<Markup, Problem> {
        if !self.manages {
            return Ok(html! {});
        }
        let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
        let offered = offered(exchange).await?;
        let hint = match exchange.signer.user.role.administers() {
            true => texts.user_hint,
            false => texts.user_id_hint,
        };
        let level =
            Field { id: "level", name: "level", label: all.layout.right, hint: Some(texts.read_hint) };
        let levels = levels(all);
        let body = html! {
            form method="post" action=(exchange.link(&self.address)) {
                (token(exchange))
                div.field {
                    label for="user" { (texts.user) }
                    input #user name="user" required maxlength="64" autocomplete="off" list="users"
                        autocapitalize="none" spellcheck="false" aria-describedby="user-hint";
                    datalist #users { @for user in offered { option value=(user) {} } }
                    p.hint #user-hint { (hint) }
                }
                (level.choice("1", levels.iter().map(|(value, word)| (value.as_str(), *word))))
                button.primary type="submit" { (texts.add_grant) }
            }
        };
        Ok(dialog(all, "add-grant", html! { (texts.add_grant) }, class, texts.add_grant, body))
    }
}

/// Users to choose from, for those who may look them up.
async fn offered(exchange: &Exchange<'_>) -> Result<Vec<UserName>, Problem> {
    if !exchange.signer.user.role.administers() {
        return Ok(Vec::new());
    }
    let users = exchange.access().users(exchange.account(), &Part { after: None, limit: OFFERED }).await?;
    let others = users.into_iter().filter(|user| user.id != exchange.signer.user.id);
    Ok(others.map(|user| user.name).collect())
}
