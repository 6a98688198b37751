//! The accounts that an image is shared with.

use std::num::NonZeroU32;

use chrono::{Days, NaiveDate, TimeDelta};
use maud::{Markup, html};
use swr_core::control::ControlError;
use swr_core::control::identity::AccountName;
use swr_core::control::repository::Visibility;
use swr_core::control::share::{Deadline, ListedShare, Share};

use super::{Image, Tab, page};
use crate::exchange::{Answer, Attempt, Exchange, Problem};
use crate::form::Form;
use crate::pieces::{Field, Removal, as_id, dialog, empty, expect_word, filter, time, token};

/// How many shares are listed: as many as a repository may have unless the host allows more.
const LISTED: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);

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
            _ => end(exchange, image, form).await,
        }
    });
    match done.await {
        Ok(done) => Ok(exchange.see(&image.address("/sharing"), done)),
        Err(problem) => show(exchange, image, Some((&problem, form))).await,
    }
}

async fn add(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    let (account, deadline, description) = said(exchange, form)?;
    exchange.access().share(&image.name, &account, deadline, description).await?;
    Ok("shared")
}

async fn alter(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    let (account, deadline, description) = said(exchange, form)?;
    exchange.access().change_share(&image.name, &account, deadline, description).await?;
    Ok("changed")
}

async fn end(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    expect_word(form)?;
    exchange.access().end_share(&image.name, &account(form)?).await?;
    Ok("ended")
}

fn account(form: &Form) -> Result<AccountName, Problem> {
    let text = form.text("account");
    AccountName::parse(text).map_err(|_| ControlError::AccountUnknown(text.into()).into())
}

fn said<'f>(exchange: &Exchange<'_>, form: &'f Form) -> Result<(AccountName, Deadline, &'f str), Problem> {
    let deadline = match form.given("last-day") {
        None => Deadline::Never,
        Some(day) => after(day, exchange.parts.options.utc_offset)
            .ok_or_else(|| Problem::Field(exchange.texts().sharing.no_day.to_owned()))?,
    };
    Ok((account(form)?, deadline, form.text("description")))
}

/// The midnight after a day, where days begin `offset` before those of UTC.
fn after(day: &str, offset: TimeDelta) -> Option<Deadline> {
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let midnight = day.checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?;
    Some(Deadline::At(midnight.checked_sub_signed(offset)?.and_utc()))
}

/// The last day before a deadline; empty where there is none.
fn last_day(deadline: Deadline, offset: TimeDelta) -> String {
    match deadline {
        Deadline::Never => String::new(),
        Deadline::At(end) => {
            // By the protocol it may be as far away as calendars go.
            let last = end.checked_add_signed(offset).and_then(|end| end.checked_sub_days(Days::new(1)));
            last.unwrap_or(end).format("%Y-%m-%d").to_string()
        }
    }
}

/// `refused` is why something was not done, and what was asked for.
pub(super) async fn show(
    exchange: &Exchange<'_>,
    image: &Image,
    refused: Option<(&Problem, &Form)>,
) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().sharing);
    let shares = exchange.access().shares(&image.name, LISTED).await?;
    let nothing = Form::default();
    let form = refused.map_or(&nothing, |(_, form)| form);
    let is_private = image.details.attributes.visibility == Visibility::Private;
    let body = html! {
        div.tools {
            p.hint { (if is_private { texts.hint } else { texts.public }) }
            @if is_private { (add_form(exchange, image, form)) }
        }
        @if shares.is_empty() { (empty(texts.none)) } @else {
            div.tools { (filter(all, "shares")) }
            (table(exchange, image, &shares))
        }
    };
    let done = match exchange.done() {
        Some("shared") => Some(texts.shared),
        Some("changed") => Some(texts.changed),
        Some("ended") => Some(texts.ended),
        _ => None,
    };
    let page = page(exchange, image, Tab::Sharing, body).done(done);
    Ok(page.problem(refused.map(|(problem, _)| problem), all).into())
}

fn table(exchange: &Exchange<'_>, image: &Image, shares: &[ListedShare]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().sharing);
    let (now, offset) = (exchange.parts.plane.now(), exchange.parts.options.utc_offset);
    html! {
        div.table role="region" aria-label=(texts.title) tabindex="0" {
            table #shares {
                thead { tr {
                    th scope="col" { (all.images.account) }
                    th scope="col" { (all.layout.right) }
                    th scope="col" { (texts.last_day) }
                    th scope="col" { (texts.state) }
                    th scope="col" { (all.layout.description) }
                    th scope="col" { (texts.sharer) }
                    th scope="col" { (all.layout.updated) }
                    th scope="col" { span.visually-hidden { (all.layout.actions) } }
                } }
                tbody {
                    @for ListedShare { share, account_name } in shares {
                        @let account = account_name.as_str();
                        @let day = last_day(share.deadline, offset);
                        tr {
                            th scope="row" { (account) }
                            td { span.tag { (all.layout.read) } }
                            td { (if day.is_empty() { texts.forever } else { &day }) }
                            td {
                                @if share.deadline.holds_at(now) { span.tag.good { (texts.lasting) } }
                                @else { span.tag.warning { (texts.over) } }
                            }
                            td.written { (share.description) }
                            td { (share.creator_name) }
                            td { (time(share.updated, offset)) }
                            td.actions-cell {
                                (change_form(exchange, image, account, share, &day))
                                (Removal {
                                    id: &as_id("end", account),
                                    action: image.link(exchange, "/sharing/end"),
                                    title: texts.end,
                                    what: &(texts.end_what)(account),
                                    fields: &[("account", account)],
                                }.view(exchange))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn add_form(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().sharing);
    let account =
        Field { id: "account", name: "account", label: all.images.account, hint: Some(texts.account_hint) };
    let body = html! {
        form method="post" action=(image.link(exchange, "/sharing")) {
            (token(exchange))
            (account.line("text", form.text("account"), "off", true, 64))
            (terms(exchange, "new", form.text("last-day"), form.text("description")))
            button.primary type="submit" { (texts.share) }
        }
    };
    dialog(all, "add-share", html! { (texts.share) }, "primary", texts.share, body)
}

fn change_form(
    exchange: &Exchange<'_>,
    image: &Image,
    account: &str,
    share: &Share,
    last_day: &str,
) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().sharing);
    let body = html! {
        form method="post" action=(image.link(exchange, "/sharing/change")) {
            (token(exchange))
            input type="hidden" name="account" value=(account);
            (terms(exchange, &as_id("of", account), last_day, &share.description))
            button.primary type="submit" { (all.layout.save) }
        }
    };
    let id = as_id("change", account);
    dialog(all, &id, html! { (texts.change) }, "plain", &(texts.change_of)(account), body)
}

/// Until when, and some words; the ids of the fields begin with `prefix`.
fn terms(exchange: &Exchange<'_>, prefix: &str, last_day: &str, description: &str) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().sharing);
    let (day_id, description_id) = (format!("{prefix}-last-day"), format!("{prefix}-description"));
    let day = Field { id: &day_id, name: "last-day", label: texts.last_day, hint: Some(texts.last_day_hint) };
    html! {
        (day.line("date", last_day, "off", false, 10))
        div.field {
            label for=(description_id) { (all.layout.description) }
            textarea id=(description_id) name="description" rows="3" maxlength=(Share::DESCRIPTION_CHARS_MAX) {
                "\n" (description)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn a_share_ends_with_its_last_day() {
        for (day, hours, end) in [
            ("2026-01-31", 0, "2026-02-01T00:00:00Z"),
            ("2026-01-31", 8, "2026-01-31T16:00:00Z"),
            ("2026-01-31", -5, "2026-02-01T05:00:00Z"),
            ("2024-02-28", 0, "2024-02-29T00:00:00Z"),
        ] {
            let offset = TimeDelta::hours(hours);
            let deadline = after(day, offset).unwrap();
            let end = DateTime::parse_from_rfc3339(end).unwrap().to_utc();
            assert_eq!(deadline, Deadline::At(end), "{day} {hours}");
            assert_eq!(last_day(deadline, offset), day);
        }
        assert_eq!(last_day(Deadline::Never, TimeDelta::zero()), "");
        for (end, hours, day) in
            [(DateTime::<Utc>::MAX_UTC, 8, "+262142-12-31"), (DateTime::<Utc>::MIN_UTC, -8, "-262143-01-01")]
        {
            assert_eq!(last_day(Deadline::At(end), TimeDelta::hours(hours)), day);
        }
        for text in ["2026-02-30", "tomorrow", "2026-01-31T00:00:00Z"] {
            assert_eq!(after(text, TimeDelta::zero()), None, "{text}");
        }
    }
}
