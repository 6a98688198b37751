//! What the account has, and how clients sign in.

use maud::{Markup, html};
use swr_auth::Login;
use swr_core::control::trace::Operation;
use swr_core::ports::{DailyUsage, UsageKind};

use crate::exchange::{Answer, Attempt, Exchange, Page};
use crate::layout::Section;
use crate::pieces::{copy, dialog, heading, size, token};

/// How many days the pictures show, today included.
const DAYS: u32 = 30;

pub(crate) async fn show(exchange: &Exchange<'_>) -> Answer {
    page(exchange, None).await
}

/// Makes a temporary login and shows it, once.
pub(crate) async fn login(exchange: &Exchange<'_>) -> Answer {
    let access = exchange.access();
    let key = exchange.signer.key.as_ref();
    let made = exchange.parts.desk.temporary_login(&access, key, None);
    let login = exchange.attempt(Attempt::new(Operation::CreateDockerConfig, ""), made).await?;
    page(exchange, Some(&login)).await
}

async fn page(exchange: &Exchange<'_>, login: Option<&Login>) -> Answer {
    let access = exchange.access();
    let overview = access.overview().await?;
    let stored = access.usage(UsageKind::Stored, DAYS).await?;
    let pulled = access.usage(UsageKind::Pulled, DAYS).await?;
    let texts = &exchange.texts().overview;
    let pulled_bytes = pulled.iter().fold(0, |sum: u64, day| sum.saturating_add(day.bytes));
    let figures = [
        (texts.organisations, overview.organisations.to_string()),
        (texts.repositories, overview.repositories.to_string()),
        (texts.versions, overview.versions.to_string()),
        (texts.stored, size(overview.bytes)),
        (texts.pulled, size(pulled_bytes)),
    ];
    let lead = (texts.lead)(exchange.signer.account.name.as_str());
    let body = html! {
        (heading(texts.title, Some(&lead), client_upload(exchange)))
        dl.figures {
            @for (name, value) in figures {
                div { dt { (name) } dd { (value) } }
            }
        }
        div.columns {
            (picture(exchange, texts.stored_over_time, &stored))
            (picture(exchange, texts.pulled_over_time, &pulled))
        }
        (logins(exchange, login))
    };
    Ok(Page::new(Section::Overview, texts.title, body).into())
}

fn logins(exchange: &Exchange<'_>, login: Option<&Login>) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().overview);
    let settings = &exchange.parts.options.settings;
    let hours = settings.login_life().num_hours();
    html! {
        section.card aria-labelledby="login" {
            h2 #login { (texts.login) }
            h3 { (texts.temporary) }
            p.quiet { ((texts.temporary_hint)(hours)) }
            @if let Some(login) = login {
                @let until = login.expires.map(|at| (at + exchange.parts.options.utc_offset).format("%Y-%m-%d %H:%M:%S").to_string());
                p role="status" { ((texts.generated)(&until.unwrap_or_default())) }
                (copy(all, "temporary-login", &login.command(settings.host())))
            }
            form method="post" action=(exchange.link("/login")) {
                (token(exchange))
                button type="submit" { (texts.generate) }
            }
            h3 { (texts.long_term) }
            p.quiet { (texts.long_term_hint) }
            (copy(all, "long-term-login", &long_term(settings.project(), settings.host())))
            p { a href=(exchange.link("/credentials")) { (texts.manage_keys) } }
        }
    }
}

/// What makes the long-term login where the secret is.
fn long_term(project: &str, host: &str) -> String {
    format!(
        "docker login -u {project}@AK -p $(printf \"AK\" | openssl dgst -binary -sha256 -hmac \"SK\" | od -An -vtx1 \
         | tr -d ' \\n') {host}"
    )
}

/// The lines that bring an image in with a client.
fn client_upload(exchange: &Exchange<'_>) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().overview);
    let host = exchange.parts.options.settings.host();
    let (organisation, image, tag) = (texts.organisation_place, texts.image_place, texts.tag_place);
    let address = format!("{host}/{{{organisation}}}/{{{image}}}:{{{tag}}}");
    let body = html! {
        p { (texts.client_login) }
        (copy(all, "client-login", &long_term(exchange.parts.options.settings.project(), host)))
        p { (texts.client_tag) }
        (copy(all, "client-tag", &format!("docker tag {{{image}}}:{{{tag}}} {address}")))
        p { (texts.client_push) }
        (copy(all, "client-push", &format!("docker push {address}")))
        p { (texts.client_pull) }
        (copy(all, "client-pull", &format!("docker pull {address}")))
    };
    dialog(all, "client-upload", html! { (texts.client) }, "primary", texts.client, body)
}

/// A bar for each day, and the same as a table for those who cannot see it.
fn picture(exchange: &Exchange<'_>, title: &str, days: &[DailyUsage]) -> Markup {
    const HEIGHT: u64 = 100;
    let texts = &exchange.texts().overview;
    let most = days.iter().map(|day| day.bytes).max().unwrap_or(0).max(1);
    // Of what is there at all something is seen.
    let height = |bytes: u64| match bytes {
        0 => 0,
        bytes => (u128::from(bytes) * u128::from(HEIGHT) / u128::from(most)).max(1) as u64,
    };
    let bounds = (days.first(), days.last());
    html! {
        figure.card.picture {
            figcaption { (title) span.quiet { (size(days.iter().map(|day| day.bytes).max().unwrap_or(0))) } }
            svg viewBox=(format!("0 0 {} {HEIGHT}", days.len() * 10)) preserveAspectRatio="none" aria-hidden="true" {
                @for (at, day) in days.iter().enumerate() {
                    @let height = height(day.bytes);
                    rect.bar x=(at * 10 + 1) y=(HEIGHT - height) width="8" height=(height) rx="1" {
                        title { (day.day) " " (size(day.bytes)) }
                    }
                }
            }
            @if let (Some(first), Some(last)) = bounds {
                div.axis aria-hidden="true" { span { (first.day) } span { (last.day) } }
            }
            details {
                summary { (texts.as_table) }
                table {
                    caption.visually-hidden { (title) }
                    thead { tr { th scope="col" { (texts.day) } th.number scope="col" { (texts.amount) } } }
                    tbody {
                        @for day in days.iter().rev() {
                            tr { th scope="row" { (day.day) } td.number { (size(day.bytes)) } }
                        }
                    }
                }
            }
        }
    }
}
