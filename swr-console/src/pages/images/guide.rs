//! How clients push versions of an image and pull them.

use maud::html;

use super::{Image, Tab, page};
use crate::exchange::{Answer, Exchange};
use crate::pieces::copy;

pub(super) async fn show(exchange: &Exchange<'_>, image: &Image) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let address = image.reference(exchange, &format!("{{{}}}", texts.tag_place));
    let body = html! {
        section.card aria-labelledby="pull-title" {
            h2 #pull-title { (texts.pull_title) }
            p { (texts.login_first) " " a href=(exchange.link("/")) { (texts.login_link) } }
            p { (texts.pull_step) }
            (copy(all, "guide-pull", &format!("docker pull {address}")))
        }
        @if image.edits() {
            section.card aria-labelledby="push-title" {
                h2 #push-title { (texts.push_title) }
                p { (texts.tag_step) }
                (copy(all, "guide-tag", &format!("docker tag {{{}}} {address}", texts.local_place)))
                p { (texts.push_step) }
                (copy(all, "guide-push", &format!("docker push {address}")))
            }
        }
    };
    Ok(page(exchange, image, Tab::Guide, body).into())
}
