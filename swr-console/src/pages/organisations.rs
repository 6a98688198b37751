//! Organisations: their list, and one of them with its repositories, its users and their rights.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::OrganisationName;
use swr_core::control::grant::{GrantLevel, GrantScope, Granted};
use swr_core::control::identity::{UserId, UserName};
use swr_core::control::organisation::{ListedOrganisation, Organisation, organisation_of};
use swr_core::control::repository::RepositoryDetails;
use swr_core::control::trace::Operation;
use swr_core::control::{ControlAccess, ControlError};
use swr_core::ports::{Page as Part, RepositoryList, RepositoryOrder, RepositoryQuery};

use crate::exchange::{Answer, Attempt, Exchange, Page, Problem};
use crate::form::Form;
use crate::layout::Section;
use crate::pages::images;
use crate::pieces::{
    Field, Removal, as_id, dialog, empty, expect_word, filter, heading, more, time, token, trail,
};
use crate::texts::Texts;

/// How many entries a list shows at once.
const PAGE: usize = 100;
/// How many repositories are asked for at once.
const BATCH: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);
/// How many users are offered to choose from.
const OFFERED: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);

pub(crate) async fn show(exchange: &Exchange<'_>, path: &[&str]) -> Answer {
    match path {
        [] => list(exchange, &Form::default(), None).await,
        [name] => one(exchange, &named(name)?, None).await,
        _ => Err(Problem::NoSuchPage),
    }
}

pub(crate) async fn change(exchange: &Exchange<'_>, path: &[&str], form: Form) -> Answer {
    let (name, done) = match path {
        [] => return create(exchange, &form).await,
        [name, "delete"] => return remove(exchange, &named(name)?, &form).await,
        [name, "grants"] => (named(name)?, grant(exchange, &named(name)?, &form).await),
        [name, "grants", "change"] => (named(name)?, change_grant(exchange, &named(name)?, &form).await),
        [name, "grants", "remove"] => (named(name)?, remove_grant(exchange, &named(name)?, &form).await),
        [_] => return Err(Problem::Method),
        _ => return Err(Problem::NoSuchPage),
    };
    match done {
        Ok(done) => Ok(exchange.see(&address(&name), done)),
        Err(problem) => one(exchange, &name, Some(&problem)).await,
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
    let is_cut = organisations.len() > PAGE;
    organisations.truncate(PAGE);
    let next = organisations
        .last()
        .filter(|_| is_cut)
        .map(|last| exchange.frame.here_with("after", Some(last.organisation.name.as_str())));
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

/// What a level lets do, in a word.
pub(crate) fn right(texts: &Texts, level: GrantLevel) -> &'static str {
    match level {
        GrantLevel::Read => texts.layout.read,
        GrantLevel::Edit => texts.layout.edit,
        GrantLevel::Manage => texts.layout.manage,
    }
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

async fn grant(
    exchange: &Exchange<'_>,
    name: &OrganisationName,
    form: &Form,
) -> Result<&'static str, Problem> {
    let what = Attempt::new(Operation::CreateUserNamespaceAuth, name).within(name);
    let (access, scope) = (exchange.access(), GrantScope::Organisation(name.clone()));
    let granted = exchange.attempt(what, async {
        let user = user(exchange, form.text("user")).await?;
        Ok::<_, Problem>(access.grant(&scope, &[(user, level(form)?)]).await?)
    });
    granted.await.map(|()| "granted")
}

async fn change_grant(
    exchange: &Exchange<'_>,
    name: &OrganisationName,
    form: &Form,
) -> Result<&'static str, Problem> {
    let what = Attempt::new(Operation::UpdateUserNamespaceAuth, name).within(name);
    let (access, scope) = (exchange.access(), GrantScope::Organisation(name.clone()));
    let changed = exchange.attempt(what, async {
        Ok::<_, Problem>(access.change_grants(&scope, &[(user_id(form)?, level(form)?)]).await?)
    });
    changed.await.map(|()| "changed")
}

async fn remove_grant(
    exchange: &Exchange<'_>,
    name: &OrganisationName,
    form: &Form,
) -> Result<&'static str, Problem> {
    let what = Attempt::new(Operation::DeleteUserNamespaceAuth, name).within(name);
    let (access, scope) = (exchange.access(), GrantScope::Organisation(name.clone()));
    let removed = exchange.attempt(what, async {
        expect_word(form)?;
        Ok::<_, Problem>(access.remove_grants(&scope, &[user_id(form)?]).await?)
    });
    removed.await.map(|()| "removed")
}

/// The level that the form asks for, by its value on the wire.
pub(crate) fn level(form: &Form) -> Result<GrantLevel, Problem> {
    let level = form.text("level").parse().ok().and_then(GrantLevel::from_value);
    // None of the console's own forms has another.
    level.ok_or(Problem::Interrupted)
}

/// The user that a row of a list is about.
pub(crate) fn user_id(form: &Form) -> Result<UserId, Problem> {
    UserId::parse(form.text("user")).map_err(|_| Problem::Interrupted)
}

/// The user whom somebody has typed: by its id, or by the name where the caller may look users up.
pub(crate) async fn user(exchange: &Exchange<'_>, text: &str) -> Result<UserId, Problem> {
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

async fn one(exchange: &Exchange<'_>, name: &OrganisationName, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let access = exchange.access();
    let (organisation, level) = access.organisation(name).await?;
    let (repositories, next) = repositories(exchange, &access, &organisation).await?;
    let mut granted = access.grants(&GrantScope::Organisation(name.clone())).await?;
    let after = exchange.frame.query.text("after");
    granted.retain(|granted| granted.user_name.as_str() > after);
    let is_cut = granted.len() > PAGE;
    granted.truncate(PAGE);
    let last = granted.last().filter(|_| is_cut);
    let more_users = last.map(|last| exchange.frame.here_with("after", Some(last.user_name.as_str())));
    let manages = level == GrantLevel::Manage;
    let removal = Removal {
        id: "delete-organisation",
        action: exchange.link(&format!("{}/delete", address(name))),
        title: texts.delete,
        what: &(texts.delete_what)(name.as_str()),
        fields: &[],
    };
    let offered = if manages { offered(exchange, &access).await? } else { Vec::new() };
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
                @if manages { (grant_form(exchange, name, &offered)) }
            }
            @if granted.is_empty() { (empty(texts.no_grants)) } @else {
                (grant_table(exchange, name, &granted, manages))
                (more(all, more_users))
            }
        }
    };
    let done = match exchange.done() {
        Some("created") => Some(texts.created),
        Some("granted") => Some(texts.granted),
        Some("changed") => Some(texts.changed),
        Some("removed") => Some(texts.removed),
        _ => None,
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

fn levels(texts: &Texts) -> [(&'static str, &'static str); 3] {
    [("1", texts.layout.read), ("3", texts.layout.edit), ("7", texts.layout.manage)]
}

fn grant_table(
    exchange: &Exchange<'_>,
    name: &OrganisationName,
    granted: &[Granted],
    manages: bool,
) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let grants = format!("{}/grants", address(name));
    html! {
        div.table role="region" aria-labelledby="users-title" tabindex="0" {
            table #grants {
                thead { tr {
                    th scope="col" { (texts.user) }
                    th scope="col" { (all.layout.right) }
                    @if manages { th scope="col" { span.visually-hidden { (all.layout.actions) } } }
                } }
                tbody {
                    @for grant in granted {
                        @let is_own = grant.user == exchange.signer.user.id;
                        @let user = grant.user_name.as_str();
                        tr {
                            th scope="row" { (user) }
                            td {
                                @if manages && !is_own {
                                    form.inline method="post" action=(exchange.link(&format!("{grants}/change"))) {
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
                            @if manages {
                                td.actions-cell {
                                    @if !is_own {
                                        (Removal {
                                            id: &as_id("remove", user),
                                            action: exchange.link(&format!("{grants}/remove")),
                                            title: texts.remove,
                                            what: &(texts.remove_what)(user),
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
async fn offered(exchange: &Exchange<'_>, access: &ControlAccess<'_>) -> Result<Vec<UserName>, Problem> {
    if !exchange.signer.user.role.administers() {
        return Ok(Vec::new());
    }
    let users = access.users(exchange.account(), &Part { after: None, limit: OFFERED }).await?;
    let others = users.into_iter().filter(|user| user.id != exchange.signer.user.id);
    Ok(others.map(|user| user.name).collect())
}

fn grant_form(exchange: &Exchange<'_>, name: &OrganisationName, offered: &[UserName]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().organisations);
    let hint = match exchange.signer.user.role.administers() {
        true => texts.user_hint,
        false => texts.user_id_hint,
    };
    let level = Field { id: "level", name: "level", label: all.layout.right, hint: Some(texts.read_hint) };
    let body = html! {
        form method="post" action=(exchange.link(&format!("{}/grants", address(name)))) {
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
    dialog(all, "add-grant", html! { (texts.add_grant) }, "", texts.add_grant, body)
}
