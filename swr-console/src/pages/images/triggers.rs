//! The triggers of an image: what happens when a version appears or changes, and what has happened.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_auth::Secret;
use swr_core::control::ControlError;
use swr_core::control::trigger::{
    Delivery, DeliveryId, DeliveryState, Pattern, Trigger, TriggerCondition, TriggerRule, TriggerTarget,
    Workload, WorkloadKind,
};
use swr_core::{Tag, TriggerName};
use swr_http::control::targets::{self, is_address, is_name, signs};

use super::{Image, Tab, page};
use crate::exchange::{Answer, Attempt, Exchange, FORM_TOKEN_FIELD, Problem, Reply};
use crate::form::Form;
use crate::pieces::{Field, Removal, as_id, dialog, empty, expect_word, time, token};

/// How much of the history of a trigger is shown.
const HISTORY: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
/// How many versions that match are named.
const MATCHES: usize = 50;

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
            ["enable"] => enable(exchange, image, form).await,
            ["replay"] => replay(exchange, image, form).await,
            _ => remove(exchange, image, form).await,
        }
    });
    match done.await {
        Ok((done, "")) => Ok(exchange.see(&image.address("/triggers"), done)),
        Ok((done, unfolded)) => {
            Ok(exchange.see(&image.address(&format!("/triggers?history={unfolded}")), done))
        }
        Err(problem) => list(exchange, image, Some(&problem), form, None).await,
    }
}

/// Shows what the trigger of the form would fire for. Nothing is added. A script asks for that piece of the page, as one
/// types.
pub(super) async fn try_out(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Answer {
    image.expect_read()?;
    let matches = matches(exchange, image, form).await?;
    if form.get("fragment").is_some() {
        return Ok(Reply::Fragment(matches));
    }
    list(exchange, image, None, form, Some(matches)).await
}

/// What was done, and of which trigger the history is to be seen.
type Done<'f> = Result<(&'static str, &'f str), Problem>;

async fn add<'f>(exchange: &Exchange<'_>, image: &Image, form: &'f Form) -> Done<'f> {
    let texts = &exchange.texts().triggers;
    let wrong = |text: &str| Problem::Field(text.to_owned());
    let name = TriggerName::parse(form.text("name")).map_err(|_| wrong(texts.bad_name))?;
    let rule = TriggerRule { condition: condition(exchange, form)?, enabled: form.get("enabled").is_some() };
    let target = match form.text("action") {
        "webhook" => {
            let url = form.text("url");
            if !is_address(url) {
                return Err(wrong(texts.bad_url));
            }
            let secret = form.text("secret");
            if !signs(secret) {
                return Err(wrong(texts.bad_secret));
            }
            let sealed = exchange.parts.desk.seal_trigger(&image.name, &name, &Secret::from(secret));
            TriggerTarget::Webhook { url: url.into(), secret: Some(sealed) }
        }
        _ => TriggerTarget::Workload(workload(exchange, form)?),
    };
    exchange.access().create_trigger(&image.name, &name, rule, target).await?;
    Ok(("created", ""))
}

fn condition(exchange: &Exchange<'_>, form: &Form) -> Result<TriggerCondition, Problem> {
    let text = form.text("condition");
    Ok(match form.text("kind") {
        "tag" => TriggerCondition::Tag(
            Tag::parse(text).map_err(|_| Problem::Field(exchange.texts().triggers.bad_tag.to_owned()))?,
        ),
        "pattern" => TriggerCondition::Pattern(
            Pattern::parse(text)
                .map_err(|error| Problem::Field(exchange.texts().patterns.explain(&error)))?,
        ),
        _ => TriggerCondition::All,
    })
}

fn workload(exchange: &Exchange<'_>, form: &Form) -> Result<Workload, Problem> {
    let texts = &exchange.texts().triggers;
    let wrong = |text: String| Problem::Field(text);
    let mode = if form.text("mode") == "cci" { "cci" } else { "cce" };
    let cluster = |field| {
        let text = form.text(field);
        match text.len() <= targets::CLUSTER_BYTES_MAX {
            true => Ok(Box::<str>::from(text)),
            false => Err(wrong((texts.too_long)(targets::CLUSTER_BYTES_MAX))),
        }
    };
    let name = |field, label: &str| {
        let text = form.text(field);
        match is_name(text) {
            true => Ok(Box::<str>::from(text)),
            false => Err(wrong((texts.bad_cluster_name)(label))),
        }
    };
    let cluster_id = cluster("cluster-id")?;
    if mode == "cce" && cluster_id.is_empty() {
        return Err(wrong(texts.no_cluster.to_owned()));
    }
    Ok(Workload {
        mode: mode.into(),
        cluster_id,
        cluster_name: cluster("cluster-name")?,
        namespace: name("namespace", texts.namespace)?,
        kind: WorkloadKind::parse(form.text("workload")).ok_or(Problem::Interrupted)?,
        application: name("application", texts.application)?,
        container: match form.text("container") {
            "" => "".into(),
            _ => name("container", texts.container)?,
        },
    })
}

/// The trigger that a form of its own is about.
fn named(form: &Form) -> Result<TriggerName, Problem> {
    TriggerName::parse(form.text("trigger")).map_err(|_| Problem::Interrupted)
}

async fn enable<'f>(exchange: &Exchange<'_>, image: &Image, form: &'f Form) -> Done<'f> {
    let (name, enabled) = (named(form)?, form.text("enabled") == "yes");
    exchange.access().enable_trigger(&image.name, &name, enabled).await?;
    Ok((if enabled { "enabled" } else { "disabled" }, ""))
}

async fn remove<'f>(exchange: &Exchange<'_>, image: &Image, form: &'f Form) -> Done<'f> {
    expect_word(form)?;
    exchange.access().remove_trigger(&image.name, &named(form)?).await?;
    Ok(("deleted", ""))
}

async fn replay<'f>(exchange: &Exchange<'_>, image: &Image, form: &'f Form) -> Done<'f> {
    let (name, delivery) = (named(form)?, DeliveryId::new(form.text("delivery")));
    exchange.access().revive_delivery(&image.name, &name, &delivery).await?;
    Ok(("replayed", form.text("trigger")))
}

async fn matches(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<Markup, Problem> {
    let texts = &exchange.texts().triggers;
    if form.text("kind") != "all" && form.text("condition").is_empty() {
        return Ok(html! { p.hint { (texts.nothing_yet) } });
    }
    let condition = match condition(exchange, form) {
        Ok(condition) => condition,
        Err(Problem::Field(text)) => return Ok(html! { p.wrong { (text) } }),
        Err(problem) => return Err(problem),
    };
    let rule = TriggerRule { condition, enabled: true };
    let run = exchange.access().dry_run(&image.name).await?;
    let tags: Vec<&Tag> =
        run.versions.iter().map(|version| &version.tag).filter(|tag| rule.fires_for(tag)).collect();
    Ok(html! {
        p { ((texts.matching)(tags.len(), run.versions.len())) }
        @if !tags.is_empty() {
            ul.chips {
                @for tag in tags.iter().take(MATCHES) { li { code { (tag) } } }
                @if tags.len() > MATCHES { li.quiet { ((exchange.texts().images.and_more)(tags.len() - MATCHES)) } }
            }
        }
    })
}

pub(super) async fn show(exchange: &Exchange<'_>, image: &Image, problem: Option<&Problem>) -> Answer {
    list(exchange, image, problem, &Form::default(), None).await
}

/// `form` is a trigger that was to be, and `matches` what it would fire for.
async fn list(
    exchange: &Exchange<'_>,
    image: &Image,
    problem: Option<&Problem>,
    form: &Form,
    matches: Option<Markup>,
) -> Answer {
    image.expect_read()?;
    let (all, texts) = (exchange.texts(), &exchange.texts().triggers);
    let access = exchange.access();
    let triggers = access.triggers(&image.name).await?;
    let unfolded = match TriggerName::parse(exchange.frame.query.text("history")) {
        Ok(name) => match access.trigger(&image.name, &name, HISTORY).await {
            Ok((trigger, history)) => Some((trigger.name, history)),
            Err(ControlError::TriggerUnknown(_)) => None,
            Err(error) => return Err(error.into()),
        },
        Err(_) => None,
    };
    let is_asked = matches.is_some() || (problem.is_some() && form.get("action").is_some());
    let body = html! {
        div.tools {
            p.hint { (texts.hint) }
            @if image.edits() && !is_asked {
                (dialog(all, "add-trigger", html! { (texts.add) }, "primary", texts.add, add_form(exchange, image, form, None)))
            }
        }
        @if image.edits() && is_asked {
            section.card aria-labelledby="add-title" {
                h2 #add-title { (texts.add) }
                (add_form(exchange, image, form, matches))
            }
        }
        @if triggers.is_empty() { (empty(texts.none)) }
        @for (_, trigger) in &triggers {
            @let history = unfolded.as_ref().filter(|(name, _)| *name == trigger.name);
            (card(exchange, image, trigger, history.map(|(_, history)| history.as_slice())))
        }
    };
    let done = match exchange.done() {
        Some("created") => Some(texts.created),
        Some("enabled") => Some(texts.enabled),
        Some("disabled") => Some(texts.disabled),
        Some("deleted") => Some(texts.deleted),
        Some("replayed") => Some(texts.replayed),
        _ => None,
    };
    Ok(page(exchange, image, Tab::Triggers, body).done(done).problem(problem, all).into())
}

fn card(exchange: &Exchange<'_>, image: &Image, trigger: &Trigger, history: Option<&[Delivery]>) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().triggers);
    let (name, offset) = (trigger.name.as_str(), exchange.parts.options.utc_offset);
    let (kind, condition) = match &trigger.rule.condition {
        TriggerCondition::All => (texts.all, "--".to_owned()),
        TriggerCondition::Tag(tag) => (texts.tag, tag.to_string()),
        TriggerCondition::Pattern(pattern) => (texts.pattern, pattern.to_string()),
    };
    let or_dashes = |text: &str| if text.is_empty() { "--".to_owned() } else { text.to_owned() };
    let title = as_id("trigger", name);
    html! {
        section.card aria-labelledby=(title) {
            div.tools {
                h2 id=(title) { (name) }
                div.actions {
                    @if trigger.rule.enabled { span.tag.good { (texts.on) } } @else { span.tag.warning { (texts.off) } }
                    @if image.edits() { (actions(exchange, image, trigger)) }
                }
            }
            dl.facts {
                dt { (texts.kind) } dd { (kind) }
                dt { (texts.condition) } dd { code { (condition) } }
                @match &trigger.target {
                    TriggerTarget::Webhook { url, .. } => {
                        dt { (texts.action) } dd { (texts.tells) }
                        dt { (texts.url) } dd { code { (url) } }
                    }
                    TriggerTarget::Workload(workload) => {
                        dt { (texts.action) } dd { (texts.updates) }
                        dt { (texts.mode) } dd { (workload.mode.to_ascii_uppercase()) }
                        dt { (texts.cluster) } dd {
                            (or_dashes(&workload.cluster_name)) " " span.quiet { (workload.cluster_id) }
                        }
                        dt { (texts.namespace) } dd { (workload.namespace) }
                        dt { (texts.application) } dd { (workload.application) " " span.quiet { (workload.kind.as_str()) } }
                        dt { (texts.container) } dd { (or_dashes(&workload.container)) }
                    }
                }
                dt { (texts.creator) } dd { (trigger.creator_name) }
                dt { (all.layout.created) } dd { (time(trigger.created, offset)) }
            }
            @match history {
                None => p { a href=(image.link(exchange, &format!("/triggers?history={name}"))) aria-label=((texts.history_of)(name)) { (texts.show_history) } },
                Some(history) => {
                    h3 { (texts.history) }
                    (history_table(exchange, image, trigger, history))
                    p { a href=(image.link(exchange, "/triggers")) { (texts.hide_history) } }
                }
            }
        }
    }
}

fn actions(exchange: &Exchange<'_>, image: &Image, trigger: &Trigger) -> Markup {
    let texts = &exchange.texts().triggers;
    let (name, is_on) = (trigger.name.as_str(), trigger.rule.enabled);
    html! {
        form method="post" action=(image.link(exchange, "/triggers/enable")) {
            (token(exchange))
            input type="hidden" name="trigger" value=(name);
            input type="hidden" name="enabled" value=(if is_on { "no" } else { "yes" });
            @let word = if is_on { texts.disable } else { texts.enable };
            button.plain type="submit" aria-label=(format!("{word}: {name}")) { (word) }
        }
        (Removal {
            id: &as_id("delete-trigger", name),
            action: image.link(exchange, "/triggers/delete"),
            title: texts.delete,
            what: &(texts.delete_what)(name),
            fields: &[("trigger", name)],
        }.view(exchange))
    }
}

fn history_table(exchange: &Exchange<'_>, image: &Image, trigger: &Trigger, history: &[Delivery]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().triggers);
    let offset = exchange.parts.options.utc_offset;
    if history.is_empty() {
        return empty(texts.no_history);
    }
    html! {
        div.table role="region" aria-label=((texts.history_of)(trigger.name.as_str())) tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (all.images.version) }
                    th scope="col" { (texts.time) }
                    th scope="col" { (texts.outcome) }
                    th.number scope="col" { (texts.attempts) }
                    th scope="col" { (texts.detail) }
                    @if image.edits() { th scope="col" { span.visually-hidden { (all.layout.actions) } } }
                } }
                tbody {
                    @for delivery in history {
                        tr {
                            th scope="row" { (delivery.tag) }
                            td { (time(delivery.at, offset)) }
                            td {
                                @match delivery.state {
                                    DeliveryState::Delivered => span.tag.good { (texts.delivered) },
                                    DeliveryState::Waiting(due) => {
                                        span.tag.warning { (texts.waiting) }
                                        " " (time(due, offset))
                                    }
                                    DeliveryState::Dead => span.tag.bad { (texts.dead) },
                                }
                            }
                            td.number { (delivery.attempts) }
                            td.written { (delivery.detail) }
                            @if image.edits() {
                                td.actions-cell {
                                    @if delivery.state == DeliveryState::Dead {
                                        form method="post" action=(image.link(exchange, "/triggers/replay")) {
                                            (token(exchange))
                                            input type="hidden" name="trigger" value=(trigger.name);
                                            input type="hidden" name="delivery" value=(delivery.id.as_str());
                                            button.plain type="submit" aria-label=((texts.replay_of)(delivery.tag.as_str())) { (texts.replay) }
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
}

fn add_form(exchange: &Exchange<'_>, image: &Image, form: &Form, matches: Option<Markup>) -> Markup {
    let texts = &exchange.texts().triggers;
    let field = |id, label, hint| Field { id, name: id, label, hint };
    let line = |id, label, hint, max| field(id, label, hint).line("text", form.text(id), "off", false, max);
    let is_new = form.get("action").is_none();
    let workloads = [
        ("deployments", "Deployment"),
        ("statefulsets", "StatefulSet"),
        ("daemonsets", "DaemonSet"),
        ("cronjobs", "CronJob"),
    ];
    html! {
        form method="post" action=(image.link(exchange, "/triggers"))
            data-preview=(image.link(exchange, "/triggers/preview")) data-preview-in="matches"
            data-preview-fields={ (FORM_TOKEN_FIELD) " kind condition" } {
            (token(exchange))
            (field("name", exchange.texts().layout.name, Some(texts.name_hint)).line("text", form.text("name"), "off", false, 64))
            (field("kind", texts.kind, None).choice(form.text("kind"), [("all", texts.all), ("tag", texts.tag), ("pattern", texts.pattern)]))
            (line("condition", texts.condition, Some(texts.condition_hint), 512))
            div #matches.preview aria-live="polite" { @if let Some(matches) = matches { (matches) } }
            button type="submit" formaction=(image.link(exchange, "/triggers/preview")) { (texts.preview) }
            (field("action", texts.action, None).choice(form.text("action"), [("webhook", texts.tells), ("update", texts.updates)]))
            fieldset {
                legend { (texts.for_webhook) }
                (line("url", texts.url, Some(texts.url_hint), 2048))
                (field("secret", texts.secret, Some(texts.secret_hint)).line("password", "", "new-password", false, 256))
            }
            fieldset {
                legend { (texts.for_workload) }
                (field("mode", texts.mode, None).choice(form.text("mode"), [("cce", "CCE"), ("cci", "CCI")]))
                (line("cluster-id", texts.cluster_id, Some(texts.cluster_hint), 255))
                (line("cluster-name", texts.cluster_name, None, 255))
                (line("namespace", texts.namespace, None, 253))
                (field("workload", texts.workload, None).choice(form.text("workload"), workloads))
                (line("application", texts.application, None, 253))
                (line("container", texts.container, Some(texts.container_hint), 253))
            }
            label.check {
                input type="checkbox" name="enabled" value="yes" checked[is_new || form.get("enabled").is_some()];
                (texts.enabled_field)
            }
            button.primary type="submit" { (texts.add) }
        }
    }
}
