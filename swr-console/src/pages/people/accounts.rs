//! The accounts of the deployment, for operators.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::control::NewAccount;
use swr_core::control::identity::AccountName;
use swr_core::control::trace::Operation;
use swr_core::ports::Page as Part;

use crate::exchange::{Answer, Attempt, Exchange, Page, Problem};
use crate::form::Form;
use crate::layout::Section;
use crate::pieces::{Field, dialog, filter, heading, more, next_after, time, token};

/// How many accounts a page has.
const PAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

pub(crate) async fn show(exchange: &Exchange<'_>) -> Answer {
    page(exchange, &Form::default(), None).await
}

pub(crate) async fn change(exchange: &Exchange<'_>, form: Form) -> Answer {
    let name = AccountName::parse(form.text("name"));
    let what = Attempt::new(Operation::CreateAccount, name.as_ref().map_or("", AccountName::as_str));
    let created = exchange.attempt(what, async {
        let name = name.map_err(|_| Problem::Field(exchange.texts().people.name_bad.to_owned()))?;
        Ok::<_, Problem>(exchange.access().create_account(NewAccount { name }).await?)
    });
    match created.await {
        Ok(account) => Ok(exchange.see(&format!("/users/{}", account.name), "account")),
        Err(problem) => page(exchange, &form, Some(&problem)).await,
    }
}

async fn page(exchange: &Exchange<'_>, form: &Form, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().people);
    let after = AccountName::parse(exchange.frame.query.text("after")).ok();
    let mut accounts = exchange.access().accounts(&Part { after, limit: PAGE.saturating_add(1) }).await?;
    let limit = PAGE.get() as usize;
    let next = next_after(&exchange.frame, &mut accounts, limit, "after", |last| last.name.as_str());
    let body = html! {
        (heading(texts.accounts, Some(texts.accounts_lead), create_form(exchange, form)))
        div.tools { (filter(all, "accounts")) }
        div.table role="region" aria-label=(texts.accounts) tabindex="0" {
            table #accounts {
                thead { tr {
                    th scope="col" { (all.layout.name) }
                    th scope="col" { (texts.account_id) }
                    th scope="col" { (texts.project_id) }
                    th scope="col" { (all.layout.created) }
                } }
                tbody {
                    @for account in &accounts {
                        tr {
                            th scope="row" {
                                a href=(exchange.link(&format!("/users/{}", account.name))) { (account.name) }
                            }
                            td { code { (account.id) } }
                            td { code { (account.project) } }
                            td { (time(account.created, exchange.parts.options.utc_offset)) }
                        }
                    }
                }
            }
        }
        (more(all, next))
    };
    Ok(Page::new(Section::Accounts, texts.accounts, body).problem(problem, all).into())
}

fn create_form(exchange: &Exchange<'_>, form: &Form) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().people);
    let name = Field { id: "name", name: "name", label: all.layout.name, hint: Some(texts.name_hint) };
    let body = html! {
        form method="post" action=(exchange.link("/accounts")) data-open[form.get("name").is_some()] {
            (token(exchange))
            (name.line("text", form.text("name"), "off", true, AccountName::MAX_BYTES))
            button.primary type="submit" { (texts.create_account) }
        }
    };
    dialog(all, "create-account", html! { (texts.create_account) }, "primary", texts.create_account, body)
}
