//! `end-8`: the tags of a repository.

use http::header::LINK;
use serde::Serialize;

use swr_core::{RepositoryName, Tag};

use crate::exchange::{Answer, Exchange, json};
use crate::paging::{PageQuery, next_page};

#[derive(Serialize)]
struct TagList<'a> {
    name: &'a RepositoryName,
    tags: Vec<Tag>,
}

pub(crate) async fn list(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    query: &PageQuery<Tag>,
) -> Answer {
    let page = query.page(exchange.limits.page_max);
    let listed = exchange.asked(exchange.access.tags(repository, &page)).await?;
    let tags: Vec<Tag> = match query.is_empty() {
        true => Vec::new(),
        false => listed.entries.into_iter().map(|record| record.tag).collect(),
    };
    let next = tags.last().filter(|_| listed.more).map(|last| {
        next_page(&format!("{}/{repository}/tags/list", exchange.base), query.n, last.as_str(), None)
    });
    let mut response = json("application/json", &TagList { name: repository, tags });
    response.headers_mut().extend(next.map(|next| (LINK, next)));
    Ok(response)
}
