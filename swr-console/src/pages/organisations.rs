//! Organisations: their list, and one of them with its repositories, its users and their rights.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::OrganisationName;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::organisation::{ListedOrganisation, Organisation, organisation_of};
use swr_core::control::repository::RepositoryDetails;
use swr_core::control::trace::Operation;
use swr_core::control::{ControlAccess, ControlError};
use swr_core::ports::{RepositoryList, RepositoryOrder, RepositoryQuery};

use crate::exchange::{Answer, Attempt, Exchange, Page, Problem};
use crate::form::Form;
use crate::layout::Section;
use crate::pages::grants::{self, Place, right};
use crate::pages::images;
use crate::pieces::{
    Field, Removal, dialog, empty, expect_word, filter, heading, more, next_after, time, token, trail,
};

/// How many entries a list shows at once.
const PAGE: usize = 100;
/// How many repositories are asked for at once.
const BATCH: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);

pub(crate) async fn show(exchange: &Exchange<'_>, path: &[&str]) -> Answer {
    match path {
        [] => list(exchange, &Form::default(), None).await,
        [name] => one(exchange, &named(name)?, None).await,
        _ => Err(Problem::NoSuchPage),
    }
}

pub(crate) async fn change(exchange: &Exchange<'_>, path: &[&str], form: Form) -> Answer {
    match path {
        [] => create(exchange, &form).await,
        [name, "delete"] => remove(exchange, &named(name)?, &form).await,
        [name, "grants", rest @ ..] => change_grants(exchange, &named(name)?, rest, &form).await,
        [_] => Err(Problem::Method),
        _ => Err(Problem::NoSuchPage),
    }
}

/// What is no name is no organisation's.
fn named(text: &str) -> Result<OrganisationName, Problem> {
    OrganisationName::parse(text).map_err(|_| Problem::NoSuchPage)
}

fn address(name: &OrganisationName) -> String {
    format!("/organisations/{name}")
}

// The list.

async fn create(exchange: &Exchange<'_>, form: &Form) -> Answer {
    let name = OrganisationName::parse(form.text("name"));
    let mut what = Attempt::new(Operation::CreateUserNamespace, "");
    if let Ok(name) = &name {
        what = Attempt::new(Operation::CreateUserNamespace, name).within(name);
    }
    let created = exchange.attempt(what, async {
        let name = name.map_err(ControlError::from)?;
        exchange.access().create_organisation(&name).await?;
        Ok::<_, ControlError>(name)
    });
    match created.await {
        Ok(name) => Ok(exchange.see(&address(&name), "created")),
        Err(problem) => list(exchange, form, Some(&problem)).await,
    }
}

async fn list(exchange: &Exchange<'_>, form: &Form, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let access = exchange.access();
    let after = exchange.frame.query.text("after");
    let mut organisations = access.organisations(true).await?;
    organisations.retain(|listed| listed.organisation.name.as_str() > after);
    let next = next_after(&exchange.frame, &mut organisations, PAGE, "after", |last| {
        last.organisation.name.as_str()
    });
    let may_create = exchange.signer.user.role.administers();
    let quota = if may_create { Some(access.organisation_quota().await?) } else { None };
    let actions = html! {
        @if let Some((used, limit)) = quota { (create_form(exchange, form, used, limit)) }
    };
    let body = html! {
        (heading(texts.title, Some(texts.lead), actions))
        @if organisations.is_empty() { (empty(texts.none)) } @else {
            div.tools { (filter(all, "organisations")) }
            div.table role="region" aria-label=(texts.title) tabindex="0" {
                table #organisations {
                    thead { tr {
                        th scope="col" { (all.layout.name) }
                        th scope="col" { (all.layout.right) }
                        th.number scope="col" { (texts.repositories) }
                        th scope="col" { (texts.creator) }
                        th scope="col" { (all.layout.created) }
                    } }
                    tbody { @for listed in &organisations { (row(exchange, listed)) } }
                }
            }
            (more(all, next))
        }
    };
    let done = (exchange.done() == Some("deleted")).then_some(texts.deleted);
    Ok(Page::new(Section::Organisations, texts.title, body).done(done).problem(problem, all).into())
}

fn row(exchange: &Exchange<'_>, listed: &ListedOrganisation) -> Markup {
    let ListedOrganisation { organisation, level, repositories } = listed;
    let texts = exchange.texts();
    html! {
        tr {
            th scope="row" {
                @match level {
                    Some(_) => a href=(exchange.link(&address(&organisation.name))) { (organisation.name) },
                    None => (organisation.name),
                }
            }
            td { span.tag { (level.map_or(texts.organisations.partly, |level| right(texts, level))) } }
            td.number { (repositories) }
            td { (organisation.creator_name) }
            td { (time(organisation.created, exchange.parts.options.utc_offset)) }
        }
    }
}

fn create_form(exchange: &Exchange<'_>, form: &Form, used: u64, limit: u32) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let name = Field { id: "name", name: "name", label: all.layout.name, hint: Some(texts.name_hint) };
    let body = html! {
        p.quiet { ((texts.quota)(used, limit)) }
        form method="post" action=(exchange.link("/organisations")) data-open[form.get("name").is_some()] {
            (token(exchange))
            (name.line("text", form.text("name"), "off", true, 64))
            button.primary type="submit" { (texts.create) }
        }
    };
    dialog(all, "create-organisation", html! { (texts.create) }, "primary", texts.create, body)
}

// One of them.

async fn remove(exchange: &Exchange<'_>, name: &OrganisationName, form: &Form) -> Answer {
    let what = Attempt::new(Operation::DeleteUserNamespace, name).within(name);
    let removed = exchange.attempt(what, async {
        expect_word(form)?;
        Ok::<_, Problem>(exchange.access().remove_organisation(name).await?)
    });
    match removed.await {
        Ok(()) => Ok(exchange.see("/organisations", "deleted")),
        Err(problem) => one(exchange, name, Some(&problem)).await,
    }
}

async fn change_grants(
    exchange: &Exchange<'_>,
    name: &OrganisationName,
    path: &[&str],
    form: &Form,
) -> Answer {
    let operation = match path {
        [] => Operation::CreateUserNamespaceAuth,
        ["change"] => Operation::UpdateUserNamespaceAuth,
        ["remove"] => Operation::DeleteUserNamespaceAuth,
        _ => return Err(Problem::NoSuchPage),
    };
    let (what, scope) = (Attempt::new(operation, name).within(name), GrantScope::Organisation(name.clone()));
    match exchange.attempt(what, grants::change(exchange, &scope, path, form)).await {
        Ok(done) => Ok(exchange.see(&address(name), done)),
        Err(problem) => one(exchange, name, Some(&problem)).await,
    }
}

async fn one(exchange: &Exchange<'_>, name: &OrganisationName, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let access = exchange.access();
    let (organisation, level) = access.organisation(name).await?;
    let (repositories, next) = repositories(exchange, &access, &organisation).await?;
    let manages = level == GrantLevel::Manage;
    let removal = Removal {
        id: "delete-organisation",
        action: exchange.link(&format!("{}/delete", address(name))),
        title: texts.delete,
        what: &(texts.delete_what)(name.as_str()),
        fields: &[],
    };
    let place = Place {
        scope: GrantScope::Organisation(name.clone()),
        address: format!("{}/grants", address(name)),
        manages,
        title: texts.users,
        none: texts.no_grants,
        remove_what: texts.remove_what,
    };
    let actions = html! {
        span.tag { (right(all, level)) }
        @if manages { (removal.view(exchange)) }
    };
    let body = html! {
        (trail(all, &[(texts.title, Some(exchange.link("/organisations"))), (name.as_str(), None)]))
        (heading(name.as_str(), None, actions))
        section {
            div.tools {
                h2 #repositories-title { (texts.repositories) }
                @if !repositories.is_empty() { (filter(all, "repositories")) }
            }
            @if repositories.is_empty() { (empty(texts.no_repositories)) } @else {
                (repository_table(exchange, &repositories))
                (more(all, next))
            }
        }
        section {
            div.tools {
                div { h2 #users-title { (texts.users) } p.hint { (texts.grants_hint) " " (texts.read_hint) } }
                (place.add(exchange, "").await?)
            }
            (place.list(exchange).await?)
        }
    };
    let done = match exchange.done() {
        Some("created") => Some(texts.created),
        _ => grants::done(exchange),
    };
    Ok(Page::new(Section::Organisations, name.as_str(), body).done(done).problem(problem, all).into())
}

/// A part of the organisation's repositories that the caller may pull from, in the order of their names, and the
/// address of the next part.
async fn repositories(
    exchange: &Exchange<'_>,
    access: &ControlAccess<'_>,
    organisation: &Organisation,
) -> Result<(Vec<RepositoryDetails>, Option<String>), Problem> {
    let mut offset: u64 = exchange.frame.query.text("from").parse().unwrap_or(0);
    let mut found = Vec::new();
    loop {
        let query = RepositoryQuery {
            viewer: access.viewer().await?,
            now: exchange.parts.plane.now(),
            list: RepositoryList::Own,
            // A part of the name finds others as well.
            organisation: Some(organisation.name.as_str().into()),
            name: None,
            account: None,
            category: None,
            visibility: None,
            after_id: None,
            order: RepositoryOrder::Organisation,
            descending: false,
            offset,
            limit: BATCH,
        };
        let listing = access.repositories(&query).await?;
        let is_last = listing.entries.len() < BATCH.get() as usize;
        for repository in listing.entries {
            if repository.organisation == organisation.id {
                if found.len() == PAGE {
                    let next = exchange.frame.here_with("from", Some(&offset.to_string()));
                    return Ok((found, Some(next)));
                }
                found.push(repository);
            } else if organisation_of(&repository.name).is_some_and(|name| name > organisation.name) {
                return Ok((found, None));
            }
            offset += 1;
        }
        if is_last {
            return Ok((found, None));
        }
    }
}

fn repository_table(exchange: &Exchange<'_>, repositories: &[RepositoryDetails]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    html! {
        div.table role="region" aria-labelledby="repositories-title" tabindex="0" {
            table #repositories {
                thead { tr {
                    th scope="col" { (all.layout.name) }
                    th.number scope="col" { (texts.versions) }
                    th scope="col" { (all.layout.updated) }
                } }
                tbody {
                    @for repository in repositories {
                        @let rest = repository.name.as_str().split_once('/').map_or("", |(_, rest)| rest);
                        tr {
                            th scope="row" { a href=(exchange.link(&images::address(&repository.name))) { (rest) } }
                            td.number { (repository.versions) }
                            td { (time(repository.updated, exchange.parts.options.utc_offset)) }
                        }
                    }
                }
            }
        }
    }
}
