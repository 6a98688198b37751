//! Who one is, and one's own access keys and password.

use maud::{Markup, html};
use swr_auth::key_desk::NewAccessKey;
use swr_auth::{AuthenticationError, NewPassword, Secret};
use swr_core::control::credential::{AccessKey, KeyId};
use swr_core::control::trace::Operation;

use crate::exchange::{Answer, Attempt, Exchange, Page, Problem};
use crate::form::Form;
use crate::layout::Section;
use crate::pages::people;
use crate::pieces::{Field, Removal, as_id, copy, dialog, empty, expect_word, heading, time, token};

pub(crate) async fn show(exchange: &Exchange<'_>) -> Answer {
    page(exchange, None, None).await
}

pub(crate) async fn change(exchange: &Exchange<'_>, path: &[&str], form: Form) -> Answer {
    let done = match path {
        [] => match create(exchange, &form).await {
            // Shown here and now, and never again.
            Ok(made) => return page(exchange, Some(&made), None).await,
            Err(problem) => Err(problem),
        },
        ["delete"] => remove(exchange, &form).await.map(|()| ("/credentials", "deleted")),
        ["password"] => change_password(exchange, &form).await.map(|()| match lasts(exchange) {
            true => ("/credentials", "password"),
            false => ("/sign-in", "password"),
        }),
        _ => return Err(Problem::NoSuchPage),
    };
    match done {
        Ok((to, done)) => Ok(exchange.see(to, done)),
        Err(problem) => page(exchange, None, Some(&problem)).await,
    }
}

async fn create(exchange: &Exchange<'_>, form: &Form) -> Result<NewAccessKey, Problem> {
    let access = exchange.access();
    let user = &exchange.signer.user.id;
    let made = exchange.parts.desk.access_key(&access, user, form.text("description"));
    exchange.attempt(Attempt::new(Operation::CreateAccessKey, ""), made).await
}

async fn remove(exchange: &Exchange<'_>, form: &Form) -> Result<(), Problem> {
    let key = KeyId::parse(form.text("key"));
    let what = Attempt::new(Operation::DeleteAccessKey, key.as_ref().map_or("", KeyId::as_str));
    let removed = exchange.attempt(what, async {
        expect_word(form)?;
        // None of the console's own forms has another.
        let key = key.map_err(|_| Problem::Interrupted)?;
        Ok::<_, Problem>(exchange.access().remove_access_key(&exchange.signer.user.id, &key).await?)
    });
    removed.await
}

/// Whether this session goes on when the password becomes another.
fn lasts(exchange: &Exchange<'_>) -> bool {
    exchange.signer.key.is_some()
}

/// Whoever has a password shows it before it becomes another: a browser that was left open is not enough.
async fn change_password(exchange: &Exchange<'_>, form: &Form) -> Result<(), Problem> {
    let texts = &exchange.texts().credentials;
    let (user, account) = (&exchange.signer.user, &exchange.signer.account);
    let authenticator = &exchange.parts.authenticator;
    let secret = |name| Secret::from(form.get(name).unwrap_or_default());
    let changed = exchange.attempt(Attempt::new(Operation::UpdateUser, &user.name), async {
        let new = NewPassword::new(secret("new"));
        let new = new.map_err(|_| Problem::Field(texts.password_bad.to_owned()))?;
        if user.password.is_some() {
            let shown = authenticator.password(&account.name, &user.name, &secret("current")).await;
            shown.map_err(|error| match error {
                AuthenticationError::Refused => Problem::Field(texts.current_wrong.to_owned()),
                error => error.into(),
            })?;
        }
        let hash = authenticator.hash(&new).await?;
        Ok::<_, Problem>(exchange.access().set_password(&user.id, Some(hash)).await?)
    });
    changed.await
}

async fn page(exchange: &Exchange<'_>, made: Option<&NewAccessKey>, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().credentials);
    let (user, account) = (&exchange.signer.user, &exchange.signer.account);
    let keys = exchange.access().access_keys(&user.id).await?;
    let limit = exchange.parts.plane.limits().keys_per_user;
    let facts = [
        (texts.account, account.name.as_str()),
        (texts.account_id, account.id.as_str()),
        (texts.user, user.name.as_str()),
        (texts.user_id, user.id.as_str()),
        (texts.role, people::role(all, user.role)),
        (texts.project, exchange.parts.options.settings.project()),
        (texts.project_id, account.project.as_str()),
    ];
    let body = html! {
        (heading(texts.title, Some(texts.lead), html! {}))
        @if let Some(made) = made { (once(exchange, made)) }
        section.card aria-labelledby="who" {
            h2 #who { (texts.who) }
            dl.facts { @for (name, value) in facts { dt { (name) } dd { (value) } } }
        }
        section {
            div.tools {
                div { h2 #keys-title { (texts.keys) } p.hint { ((texts.keys_hint)(limit)) } }
                (create_form(exchange))
            }
            @if keys.is_empty() { (empty(texts.no_keys)) } @else { (key_table(exchange, &keys)) }
        }
        (password_form(exchange))
    };
    let done = match exchange.done() {
        Some("deleted") => Some(texts.deleted),
        Some("password") => Some(texts.password_changed),
        _ => None,
    };
    Ok(Page::new(Section::Credentials, texts.title, body).done(done).problem(problem, all).into())
}

fn create_form(exchange: &Exchange<'_>) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().credentials);
    let (label, hint) = (all.layout.description, Some(texts.description_hint));
    let description = Field { id: "description", name: "description", label, hint };
    let body = html! {
        form method="post" action=(exchange.link("/credentials")) {
            (token(exchange))
            (description.line("text", "", "off", false, AccessKey::DESCRIPTION_CHARS_MAX))
            button.primary type="submit" { (texts.create) }
        }
    };
    dialog(all, "create-key", html! { (texts.create) }, "primary", texts.create, body)
}

fn key_table(exchange: &Exchange<'_>, keys: &[AccessKey]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().credentials);
    html! {
        div.table role="region" aria-labelledby="keys-title" tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (texts.key) }
                    th scope="col" { (all.layout.description) }
                    th scope="col" { (all.layout.created) }
                    th scope="col" { span.visually-hidden { (all.layout.actions) } }
                } }
                tbody {
                    @for key in keys {
                        tr {
                            th scope="row" { code { (key.id) } }
                            td { (key.description) }
                            td { (time(key.created, exchange.parts.options.utc_offset)) }
                            td.actions-cell {
                                (Removal {
                                    id: &as_id("delete", key.id.as_str()),
                                    action: exchange.link("/credentials/delete"),
                                    title: texts.delete,
                                    what: &(texts.delete_what)(key.id.as_str()),
                                    fields: &[("key", key.id.as_str())],
                                }.view(exchange))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The secret, this once.
fn once(exchange: &Exchange<'_>, made: &NewAccessKey) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().credentials);
    let (key, secret) = (made.key.id.as_str(), made.secret.expose());
    let login = exchange.parts.desk.long_term_login(&made.key.id, &made.secret);
    let file = csv(exchange.signer.user.name.as_str(), key, secret);
    html! {
        section.card.once role="status" aria-labelledby="made" {
            h2 #made { (texts.made) }
            p { (texts.once) }
            h3 { (texts.key) }
            (copy(all, "made-key", key))
            h3 { (texts.secret) }
            (copy(all, "made-secret", secret))
            h3 { (texts.login) }
            (copy(all, "made-login", &login.command(exchange.parts.options.settings.host())))
            p { a.button.primary download="credentials.csv" href=(file) { (texts.download) } }
        }
    }
}

/// The key as a file, in an address: whoever leaves the page cannot have it again.
fn csv(user: &str, key: &str, secret: &str) -> String {
    let file = format!("User Name,Access Key Id,Secret Access Key\r\n\"{user}\",{key},{secret}\r\n");
    let mut address = "data:text/csv;charset=utf-8,".to_owned();
    for byte in file.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => address.push(char::from(byte)),
            false => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address
}

fn password_form(exchange: &Exchange<'_>) -> Markup {
    let texts = &exchange.texts().credentials;
    let current = Field { id: "current", name: "current", label: texts.current_password, hint: None };
    let hint = if lasts(exchange) { texts.password_hint_by_key } else { texts.password_hint };
    let new = Field { id: "new", name: "new", label: texts.new_password, hint: Some(hint) };
    html! {
        section.card aria-labelledby="password-title" {
            h2 #password-title { (texts.password) }
            form.narrow method="post" action=(exchange.link("/credentials/password")) {
                (token(exchange))
                // Password managers want to know whose it is.
                input.visually-hidden name="username" autocomplete="username" tabindex="-1" aria-hidden="true"
                    readonly value=(exchange.signer.user.name);
                @if exchange.signer.user.password.is_some() {
                    (current.line("password", "", "current-password", true, NewPassword::BYTES_MAX))
                }
                (new.line("password", "", "new-password", true, NewPassword::BYTES_MAX))
                button type="submit" { (texts.change_password) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_an_address_can_hold() {
        let file = csv("ada", "AK1", "sk/+");
        let said = "data:text/csv;charset=utf-8,User%20Name%2CAccess%20Key%20Id%2CSecret%20Access%20Key%0D%0A\
                    %22ada%22%2CAK1%2Csk%2F%2B%0D%0A";
        assert_eq!(file, said);
    }
}
