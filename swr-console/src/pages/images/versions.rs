//! The versions of an image: listed, deleted.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::Tag;
use swr_core::control::repository::Version;
use swr_core::digest::Digest;
use swr_core::ports::{VersionOrder, VersionQuery};

use super::{Image, Tab, page};
use crate::exchange::{Answer, Attempt, Exchange, Problem};
use crate::form::Form;
use crate::pieces::{
    Field, WORD, as_id, copy, empty, expect_word, filter, more, next_from, size, time, token,
};

/// How many versions a page shows.
const PAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);

/// Deletes the versions that were marked, one after the other; the first that is refused ends it.
pub(super) async fn remove(exchange: &Exchange<'_>, image: &Image, what: Attempt, form: &Form) -> Answer {
    match remove_marked(exchange, image, what, form).await {
        Ok(()) => Ok(exchange.see(&image.address(""), "versions-deleted")),
        Err(problem) => show(exchange, image, Some(&problem)).await,
    }
}

async fn remove_marked(
    exchange: &Exchange<'_>,
    image: &Image,
    what: Attempt,
    form: &Form,
) -> Result<(), Problem> {
    let tags = exchange.attempt(what.clone(), async { marked(exchange, form) }).await?;
    for tag in &tags {
        let access = exchange.access();
        let removal = access.remove_version(&image.name, tag);
        let what = Attempt { resource: format!("{}:{tag}", image.name), ..what.clone() };
        exchange.attempt(what, removal).await?;
    }
    Ok(())
}

/// The versions that were marked, once the word was typed.
fn marked(exchange: &Exchange<'_>, form: &Form) -> Result<Vec<Tag>, Problem> {
    expect_word(form)?;
    let tags = form.all("tag").map(Tag::parse).collect::<Result<Vec<_>, _>>();
    let tags = tags.map_err(|_| Problem::Interrupted)?;
    if tags.is_empty() {
        return Err(Problem::Field(exchange.texts().images.none_marked.to_owned()));
    }
    Ok(tags)
}

pub(super) async fn show(exchange: &Exchange<'_>, image: &Image, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let query = exchange.frame.query;
    let by_tag = query.text("order") == "tag";
    let from = query.text("from").parse().unwrap_or(0);
    let wanted = VersionQuery {
        tag: query.given("tag").map(Box::from),
        exactly: None,
        after: None,
        order: if by_tag { VersionOrder::Tag } else { VersionOrder::Updated },
        descending: match query.get("direction") {
            Some(direction) => direction == "down",
            None => !by_tag,
        },
        offset: from,
        limit: PAGE,
    };
    let listing = exchange.access().versions(&image.name, &wanted).await?;
    let next = next_from(&exchange.frame, from, listing.entries.len(), listing.total);
    let figures = [
        (texts.versions, image.details.versions.to_string()),
        (texts.size, size(image.details.size)),
        (texts.pulls, image.details.pulls.to_string()),
    ];
    let body = html! {
        dl.figures { @for (name, value) in figures { div { dt { (name) } dd { (value) } } } }
        (questions(exchange, image, &wanted))
        @if listing.entries.is_empty() { (empty(texts.no_versions)) } @else {
            div.tools {
                p.quiet { ((texts.total_versions)(listing.total)) }
                (filter(all, "versions"))
            }
            @if image.manages() {
                form method="post" action=(image.link(exchange, "/versions/delete")) data-word=(WORD) {
                    (token(exchange))
                    (table(exchange, image, &listing.entries))
                    div.inline.marked {
                        (Field { id: "word", name: "word", label: &(all.layout.type_word)(WORD), hint: Some(texts.marked_hint) }
                            .line("text", "", "off", true, WORD.len()))
                        button.danger type="submit" { (texts.delete_marked) }
                    }
                }
            } @else { (table(exchange, image, &listing.entries)) }
            (more(all, next))
        }
    };
    let done = (exchange.done() == Some("versions-deleted")).then_some(texts.versions_deleted);
    Ok(page(exchange, image, Tab::Versions, body).done(done).problem(problem, all).into())
}

fn questions(exchange: &Exchange<'_>, image: &Image, wanted: &VersionQuery) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let field = |id, label| Field { id, name: id, label, hint: None };
    let order = if wanted.order == VersionOrder::Tag { "tag" } else { "updated" };
    html! {
        form.card method="get" action=(image.link(exchange, "")) {
            div.inline {
                (field("tag", texts.version).line("search", exchange.frame.query.text("tag"), "off", false, 128))
                (field("order", texts.order).choice(order, [("updated", all.layout.updated), ("tag", texts.version)]))
                (field("direction", texts.direction).choice(
                    if wanted.descending { "down" } else { "up" },
                    [("up", texts.ascending), ("down", texts.descending)],
                ))
                button type="submit" { (texts.search) }
            }
        }
    }
}

fn table(exchange: &Exchange<'_>, image: &Image, versions: &[Version]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    html! {
        div.table role="region" aria-label=(texts.versions) tabindex="0" {
            table #versions {
                thead { tr {
                    @if image.manages() { th scope="col" { span.visually-hidden { (texts.mark) } } }
                    th scope="col" { (texts.version) }
                    th.number scope="col" { (texts.size) }
                    th scope="col" { (all.layout.updated) }
                    th scope="col" { (texts.digest) }
                    th scope="col" { (texts.pull_command) }
                } }
                tbody {
                    @for version in versions {
                        @let tag = version.tag.as_str();
                        tr {
                            @if image.manages() {
                                td { input type="checkbox" name="tag" value=(tag) aria-label=((texts.mark_of)(tag)); }
                            }
                            th scope="row" { a href=(image.link(exchange, &format!("/versions/{tag}"))) { (tag) } }
                            td.number { (size(version.size)) }
                            td { (time(version.updated, exchange.parts.options.utc_offset)) }
                            td { code title=(version.digest) { (short(&version.digest)) } }
                            td { (copy(all, &as_id("pull", tag), &format!("docker pull {}", image.reference(exchange, tag)))) }
                        }
                    }
                }
            }
        }
    }
}

/// As much of a digest as tells it from others on a page.
pub(super) fn short(digest: &Digest) -> String {
    digest.to_string().chars().take("sha256:".len() + 12).collect()
}
