//! What an image's owner says of it.

use maud::{Markup, html};
use swr_core::control::repository::{Attributes, Category, Visibility};

use super::list::categories;
use super::{Image, Tab, page, visibility};
use crate::exchange::{Answer, Attempt, Exchange, Problem};
use crate::form::Form;
use crate::pieces::{Field, empty, time, token};

pub(super) async fn change(exchange: &Exchange<'_>, image: &Image, what: Attempt, form: &Form) -> Answer {
    let attributes = Attributes {
        visibility: match form.text("visibility") {
            "public" => Visibility::Public,
            _ => Visibility::Private,
        },
        category: Category::parse(form.text("category")).unwrap_or_default(),
        // Forms end lines as the network does.
        description: form.get("description").unwrap_or_default().replace("\r\n", "\n").into(),
    };
    let access = exchange.access();
    let changed = access.set_attributes(&image.name, &attributes);
    match exchange.attempt(what, changed).await {
        Ok(()) => Ok(exchange.see(&image.address("/attributes"), "saved")),
        Err(problem) => show(exchange, image, Some((&problem, &attributes))).await,
    }
}

/// `refused` is what was to be, and why it is not.
pub(super) async fn show(
    exchange: &Exchange<'_>,
    image: &Image,
    refused: Option<(&Problem, &Attributes)>,
) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let (details, offset) = (&image.details, exchange.parts.options.utc_offset);
    let attributes = refused.map_or(&details.attributes, |(_, attributes)| attributes);
    let body = html! {
        div.columns {
            section.card aria-labelledby="description-title" {
                h2 #description-title { (all.layout.description) }
                @if details.attributes.description.is_empty() { (empty(texts.no_description)) } @else {
                    p.written { (details.attributes.description) }
                }
                dl.facts {
                    dt { (texts.visibility) } dd { (visibility(all, details.attributes.visibility)) }
                    dt { (texts.category) } dd { ((texts.category_name)(details.attributes.category)) }
                    dt { (texts.account) } dd { (details.account_name) }
                    @if let Some((_, creator)) = &details.creator { dt { (texts.creator) } dd { (creator) } }
                    dt { (all.layout.created) } dd { (time(details.created, offset)) }
                    dt { (all.layout.updated) } dd { (time(details.updated, offset)) }
                }
            }
            @if image.edits() { (edit(exchange, image, attributes)) }
        }
    };
    let done = (exchange.done() == Some("saved")).then_some(texts.saved);
    let page = page(exchange, image, Tab::Attributes, body).done(done);
    Ok(page.problem(refused.map(|(problem, _)| problem), all).into())
}

fn edit(exchange: &Exchange<'_>, image: &Image, attributes: &Attributes) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let chosen = match attributes.visibility {
        Visibility::Public => "public",
        Visibility::Private => "private",
    };
    let visibility = Field {
        id: "visibility",
        name: "visibility",
        label: texts.visibility,
        hint: Some(texts.public_hint),
    };
    let category = Field { id: "category", name: "category", label: texts.category, hint: None };
    html! {
        section.card aria-labelledby="edit-title" {
            h2 #edit-title { (texts.edit) }
            form method="post" action=(image.link(exchange, "/attributes")) {
                (token(exchange))
                (visibility.choice(chosen, [("private", texts.private), ("public", texts.public)]))
                (category.choice(attributes.category.as_str(), categories(all)))
                div.field {
                    label for="description" { (all.layout.description) }
                    // What browsers leave out at the beginning of the text is one end of a line.
                    textarea #description name="description" rows="10" aria-describedby="description-hint" {
                        "\n" (attributes.description)
                    }
                    p.hint #description-hint { ((texts.description_hint)(Attributes::DESCRIPTION_CHARS_MAX)) }
                }
                button.primary type="submit" { (all.layout.save) }
            }
        }
    }
}
