//! The users of an account: one's own, and for operators those of any.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_auth::{NewPassword, Secret};
use swr_core::control::identity::{Account, AccountName, PasswordHash, Role, User, UserName};
use swr_core::control::trace::Operation;
use swr_core::control::{ControlError, NewUser};
use swr_core::ports::Page as Part;

use super::role;
use crate::exchange::{Answer, Attempt, Exchange, Page, Problem};
use crate::form::Form;
use crate::layout::Section;
use crate::pieces::{
    Field, Removal, as_id, dialog, empty, expect_word, filter, heading, more, next_after, time, token, trail,
};
use crate::texts::Texts;

/// How many users a page has.
const PAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

pub(crate) async fn show(exchange: &Exchange<'_>, path: &[&str]) -> Answer {
    match path {
        [] => page(exchange, &exchange.signer.account, &Form::default(), None).await,
        [account] => page(exchange, &named(exchange, account).await?, &Form::default(), None).await,
        _ => Err(Problem::NoSuchPage),
    }
}

pub(crate) async fn change(exchange: &Exchange<'_>, path: &[&str], form: Form) -> Answer {
    let [name, what @ ..] = path else { return Err(Problem::Method) };
    let (operation, field) = match what {
        [] => (Operation::CreateUser, "name"),
        ["role" | "password"] => (Operation::UpdateUser, "user"),
        ["delete"] => (Operation::DeleteUser, "user"),
        _ => return Err(Problem::NoSuchPage),
    };
    let user = Some(form.text(field)).filter(|name| UserName::parse(name).is_ok());
    let attempt = Attempt::new(operation, user.unwrap_or_default());
    let account = exchange.attempt(attempt.clone(), named(exchange, name)).await?;
    let done = exchange.attempt(attempt, async {
        match what {
            [] => create(exchange, &account, &form).await.map(|()| "created"),
            ["role"] => set_role(exchange, &account, &form).await.map(|()| "changed"),
            ["password"] => set_password(exchange, &account, &form).await.map(|()| "changed"),
            _ => remove(exchange, &account, &form).await.map(|()| "deleted"),
        }
    });
    match done.await {
        Ok(done) => Ok(exchange.see(&address(&account), done)),
        Err(problem) => page(exchange, &account, &form, Some(&problem)).await,
    }
}

fn address(account: &Account) -> String {
    format!("/users/{}", account.name)
}

/// The account of this name, for those who look after it.
async fn named(exchange: &Exchange<'_>, name: &str) -> Result<Account, Problem> {
    let name = AccountName::parse(name).map_err(|_| Problem::NoSuchPage)?;
    if name == exchange.signer.account.name {
        return Ok(exchange.signer.account.clone());
    }
    match exchange.access().account_named(&name).await {
        Err(ControlError::AccountUnknown(_)) => Err(Problem::NoSuchPage),
        found => Ok(found?),
    }
}

/// The user that a row of the list is about.
async fn of_row(exchange: &Exchange<'_>, account: &Account, form: &Form) -> Result<User, Problem> {
    let text = form.text("user");
    let name = UserName::parse(text).map_err(|_| ControlError::UserUnknown(text.into()))?;
    Ok(exchange.access().user_named(&account.id, &name).await?)
}

fn wanted_role(form: &Form) -> Result<Role, Problem> {
    // None of the console's own forms has another.
    Role::parse(form.text("role")).ok_or(Problem::Interrupted)
}

/// The hash of the password that was typed; `None` where none was.
async fn password(exchange: &Exchange<'_>, form: &Form) -> Result<Option<PasswordHash>, Problem> {
    let Some(text) = form.get("password").filter(|text| !text.is_empty()) else { return Ok(None) };
    let bad = |_| Problem::Field(exchange.texts().people.password_bad.to_owned());
    let new = NewPassword::new(Secret::from(text)).map_err(bad)?;
    Ok(Some(exchange.parts.authenticator.hash(&new).await?))
}

async fn create(exchange: &Exchange<'_>, account: &Account, form: &Form) -> Result<(), Problem> {
    let name = UserName::parse(form.text("name"));
    let name = name.map_err(|_| Problem::Field(exchange.texts().people.name_bad.to_owned()))?;
    let role = wanted_role(form)?;
    let access = exchange.access();
    // Whoever may not is told so before a password is hashed, and so is who wants a name that is taken.
    match access.user_named(&account.id, &name).await {
        Ok(_) => return Err(ControlError::UserTaken(name).into()),
        Err(ControlError::UserUnknown(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let password = password(exchange, form).await?;
    access.create_user(NewUser { account: account.id.clone(), name, role, password }).await?;
    Ok(())
}

async fn set_role(exchange: &Exchange<'_>, account: &Account, form: &Form) -> Result<(), Problem> {
    let role = wanted_role(form)?;
    let user = of_row(exchange, account, form).await?;
    Ok(exchange.access().set_role(&user.id, role).await?)
}

async fn set_password(exchange: &Exchange<'_>, account: &Account, form: &Form) -> Result<(), Problem> {
    let user = of_row(exchange, account, form).await?;
    // Whoever changes its own shows the one before: a browser that was left open is not enough.
    if user.id == exchange.signer.user.id {
        return Err(Problem::Field(exchange.texts().people.own_password.to_owned()));
    }
    let password = password(exchange, form).await?;
    Ok(exchange.access().set_password(&user.id, password).await?)
}

async fn remove(exchange: &Exchange<'_>, account: &Account, form: &Form) -> Result<(), Problem> {
    expect_word(form)?;
    let user = of_row(exchange, account, form).await?;
    Ok(exchange.access().remove_user(&user.id).await?)
}

async fn page(exchange: &Exchange<'_>, account: &Account, form: &Form, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().people);
    let is_own = account.id == exchange.signer.account.id;
    let after = UserName::parse(exchange.frame.query.text("after")).ok();
    let part = Part { after, limit: PAGE.saturating_add(1) };
    let mut users = exchange.access().users(&account.id, &part).await?;
    let limit = PAGE.get() as usize;
    let next = next_after(&exchange.frame, &mut users, limit, "after", |last| last.name.as_str());
    let lead = (texts.users_lead)(account.name.as_str());
    let body = html! {
        @if !is_own {
            (trail(all, &[
                (texts.accounts, Some(exchange.link("/accounts"))),
                (account.name.as_str(), None),
            ]))
        }
        (heading(texts.users, Some(&lead), create_form(exchange, account, form)))
        @if users.is_empty() { (empty(texts.no_users)) } @else {
            div.tools { (filter(all, "users")) }
            div.table role="region" aria-label=(texts.users) tabindex="0" {
                table #users {
                    thead { tr {
                        th scope="col" { (all.layout.name) }
                        th scope="col" { (texts.role) }
                        th scope="col" { (texts.with_password) }
                        th scope="col" { (all.layout.created) }
                        th scope="col" { span.visually-hidden { (all.layout.actions) } }
                    } }
                    tbody { @for user in &users { (row(exchange, account, user)) } }
                }
            }
            (more(all, next))
        }
    };
    let done = match exchange.done() {
        Some("account") => Some(texts.account_created),
        Some("created") => Some(texts.user_created),
        Some("changed") => Some(texts.user_changed),
        Some("deleted") => Some(texts.user_deleted),
        _ => None,
    };
    let section = if is_own { Section::Users } else { Section::Accounts };
    Ok(Page::new(section, texts.users, body).done(done).problem(problem, all).into())
}

/// The roles that the caller may give.
fn roles(exchange: &Exchange<'_>) -> Vec<(&'static str, &'static str)> {
    let all = [Role::Member, Role::Administrator, Role::Operator];
    let most = exchange.signer.user.role;
    all.into_iter().filter(|it| *it <= most).map(|it| (it.as_str(), role(exchange.texts(), it))).collect()
}

fn row(exchange: &Exchange<'_>, account: &Account, user: &User) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().people);
    let name = user.name.as_str();
    let is_self = user.id == exchange.signer.user.id;
    // An operator is looked after by operators alone.
    let may = user.role <= exchange.signer.user.role;
    html! {
        tr {
            th scope="row" { (name) }
            td {
                @if may && !is_self {
                    form.inline method="post" action=(exchange.link(&format!("{}/role", address(account)))) {
                        (token(exchange))
                        input type="hidden" name="user" value=(name);
                        select name="role" aria-label=((texts.role_of)(name)) {
                            @for (value, word) in roles(exchange) {
                                option value=(value) selected[value == user.role.as_str()] { (word) }
                            }
                        }
                        button.plain type="submit" { (all.layout.save) }
                    }
                } @else { span.tag { (role(all, user.role)) } }
            }
            td { (if user.password.is_some() { texts.yes } else { texts.no }) }
            td { (time(user.created, exchange.parts.options.utc_offset)) }
            td.actions-cell {
                @if may && !is_self {
                    (password_form(exchange, all, account, name))
                    (Removal {
                        id: &as_id("delete", name),
                        action: exchange.link(&format!("{}/delete", address(account))),
                        title: texts.delete_user,
                        what: &(texts.delete_user_what)(name),
                        fields: &[("user", name)],
                    }.view(exchange))
                }
            }
        }
    }
}

fn password_form(exchange: &Exchange<'_>, all: &Texts, account: &Account, name: &str) -> Markup {
    let texts = &all.people;
    let (id, field_id) = (as_id("password", name), as_id("new-password", name));
    let field =
        Field { id: &field_id, name: "password", label: texts.password, hint: Some(texts.password_hint) };
    let body = html! {
        form method="post" action=(exchange.link(&format!("{}/password", address(account)))) {
            (token(exchange))
            input type="hidden" name="user" value=(name);
            (field.line("password", "", "new-password", false, NewPassword::BYTES_MAX))
            button.primary type="submit" { (all.layout.save) }
        }
    };
    dialog(all, &id, html! { (texts.set_password) }, "plain", texts.set_password, body)
}

fn create_form(exchange: &Exchange<'_>, account: &Account, form: &Form) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().people);
    let field = |id, label, hint| Field { id, name: id, label, hint };
    let body = html! {
        form method="post" action=(exchange.link(&address(account))) data-open[form.get("name").is_some()] {
            (token(exchange))
            (field("name", all.layout.name, Some(texts.name_hint))
                .line("text", form.text("name"), "off", true, UserName::MAX_BYTES))
            (field("role", texts.role, None).choice(form.text("role"), roles(exchange)))
            (field("password", texts.password, Some(texts.password_hint))
                .line("password", "", "new-password", false, NewPassword::BYTES_MAX))
            button.primary type="submit" { (texts.create_user) }
        }
    };
    dialog(all, "create-user", html! { (texts.create_user) }, "primary", texts.create_user, body)
}
