//! My images: those of the caller's account, and those that other accounts share with it.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::control::repository::{Category, RepositoryDetails, Visibility};
use swr_core::ports::{RepositoryList, RepositoryOrder, RepositoryQuery};

use super::{address, visibility};
use crate::exchange::{Answer, Exchange, Page, Problem};
use crate::layout::Section;
use crate::pieces::{Field, empty, filter, heading, more, next_from, size, time};
use crate::texts::Texts;

/// How many images a page shows.
const PAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);

/// What the address says of the list that is wanted.
struct Wanted {
    list: RepositoryList,
    order: RepositoryOrder,
    descending: bool,
    from: u64,
}

impl Wanted {
    fn of(exchange: &Exchange<'_>) -> Self {
        let query = exchange.frame.query;
        let list = match (query.text("list"), query.get("by-us").is_some()) {
            ("shared", _) => RepositoryList::SharedWithUs { valid: Some(true) },
            (_, true) => RepositoryList::SharedByUs,
            _ => RepositoryList::Own,
        };
        let order = ORDERS.iter().find(|(name, _)| *name == query.text("order"));
        Self {
            list,
            order: order.map_or(RepositoryOrder::Updated, |(_, order)| *order),
            // The newest first, and what is in the order of names from its beginning.
            descending: match query.get("direction") {
                Some(direction) => direction == "down",
                None => order.is_none(),
            },
            from: query.text("from").parse().unwrap_or(0),
        }
    }

    fn is_shared(&self) -> bool {
        matches!(self.list, RepositoryList::SharedWithUs { .. })
    }
}

const ORDERS: [(&str, RepositoryOrder); 4] = [
    ("updated", RepositoryOrder::Updated),
    ("name", RepositoryOrder::Name),
    ("organisation", RepositoryOrder::Organisation),
    ("versions", RepositoryOrder::Versions),
];

pub(super) async fn show(exchange: &Exchange<'_>, problem: Option<&Problem>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let (access, query, wanted) = (exchange.access(), exchange.frame.query, Wanted::of(exchange));
    let part = |name| query.given(name).map(Box::from);
    let listing = access
        .repositories(&RepositoryQuery {
            viewer: access.viewer().await?,
            now: exchange.parts.plane.now(),
            list: wanted.list,
            organisation: part("organisation"),
            name: part("name"),
            account: None,
            category: Category::parse(query.text("category")),
            visibility: match query.text("visibility") {
                "public" => Some(Visibility::Public),
                "private" => Some(Visibility::Private),
                _ => None,
            },
            after_id: None,
            order: wanted.order,
            descending: wanted.descending,
            offset: wanted.from,
            limit: PAGE,
        })
        .await?;
    let next = next_from(&exchange.frame, wanted.from, listing.entries.len(), listing.total);
    let actions = html! {
        @if exchange.parts.options.packages.is_some() {
            a.button.primary href=(exchange.link("/upload")) { (texts.upload) }
        }
    };
    let body = html! {
        (heading(texts.title, Some(texts.lead), actions))
        nav.tabs aria-label=(texts.lists) {
            ul {
                @for (list, name) in [("", texts.own), ("shared", texts.shared)] {
                    @let is_here = wanted.is_shared() == (list == "shared");
                    @let query = if list.is_empty() { String::new() } else { format!("?list={list}") };
                    li {
                        a href=(exchange.link(&format!("/images{query}"))) aria-current=[is_here.then_some("page")] { (name) }
                    }
                }
            }
        }
        (questions(exchange, &wanted))
        @if listing.entries.is_empty() { (empty(if wanted.is_shared() { texts.none_shared } else { texts.none })) } @else {
            div.tools {
                p.quiet { ((texts.total)(listing.total)) }
                (filter(all, "images"))
            }
            (table(exchange, &wanted, &listing.entries))
            (more(all, next))
        }
    };
    let done = (exchange.done() == Some("deleted")).then_some(texts.deleted);
    Ok(Page::new(Section::Images, texts.title, body).done(done).problem(problem, all).into())
}

/// What may be asked of the list.
fn questions(exchange: &Exchange<'_>, wanted: &Wanted) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let query = exchange.frame.query;
    let field = |id, label| Field { id, name: id, label, hint: None };
    let any = [("", texts.any)];
    let visibilities = [("private", texts.private), ("public", texts.public)];
    let order = ORDERS.iter().find(|(_, order)| *order == wanted.order).map_or("", |(name, _)| *name);
    html! {
        form.card method="get" action=(exchange.link("/images")) {
            @if wanted.is_shared() { input type="hidden" name="list" value="shared"; }
            div.inline {
                (field("organisation", texts.organisation).line("search", query.text("organisation"), "off", false, 64))
                (field("name", all.layout.name).line("search", query.text("name"), "off", false, 128))
                (field("category", texts.category).choice(query.text("category"), any.into_iter().chain(categories(all))))
                @if !wanted.is_shared() {
                    (field("visibility", texts.visibility).choice(query.text("visibility"), any.into_iter().chain(visibilities)))
                }
                (field("order", texts.order).choice(order, [
                    ("updated", all.layout.updated),
                    ("name", all.layout.name),
                    ("organisation", texts.organisation),
                    ("versions", texts.versions),
                ]))
                (field("direction", texts.direction).choice(
                    if wanted.descending { "down" } else { "up" },
                    [("up", texts.ascending), ("down", texts.descending)],
                ))
                @if !wanted.is_shared() {
                    label.check {
                        input type="checkbox" name="by-us" value="yes" checked[wanted.list == RepositoryList::SharedByUs];
                        (texts.by_us)
                    }
                }
                button type="submit" { (texts.search) }
            }
        }
    }
}

/// The categories and what they are called.
pub(super) fn categories(texts: &Texts) -> impl Iterator<Item = (&'static str, &'static str)> {
    let name = texts.images.category_name;
    Category::ALL.into_iter().map(move |category| (category.as_str(), name(category)))
}

fn table(exchange: &Exchange<'_>, wanted: &Wanted, images: &[RepositoryDetails]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    html! {
        div.table role="region" aria-label=(texts.title) tabindex="0" {
            table #images {
                thead { tr {
                    th scope="col" { (all.layout.name) }
                    th scope="col" { (texts.organisation) }
                    @if wanted.is_shared() { th scope="col" { (texts.account) } }
                    @else { th scope="col" { (texts.visibility) } }
                    th scope="col" { (texts.category) }
                    th.number scope="col" { (texts.versions) }
                    th.number scope="col" { (texts.size) }
                    th scope="col" { (all.layout.updated) }
                } }
                tbody {
                    @for image in images {
                        @let (organisation, within) = image.name.as_str().split_once('/').unwrap_or_default();
                        tr {
                            th scope="row" { a href=(exchange.link(&address(&image.name))) { (within) } }
                            td { (organisation) }
                            @if wanted.is_shared() { td { (image.account_name) } }
                            @else { td { (visibility(all, image.attributes.visibility)) } }
                            td { ((texts.category_name)(image.attributes.category)) }
                            td.number { (image.versions) }
                            td.number { (size(image.size)) }
                            td { (time(image.updated, exchange.parts.options.utc_offset)) }
                        }
                    }
                }
            }
        }
    }
}
