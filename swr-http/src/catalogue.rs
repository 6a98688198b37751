//! `/v2/_catalog`: the repositories that the caller may pull from. Not the specification's, and known to all.

use http::header::LINK;
use serde::Serialize;

use swr_core::RepositoryName;

use crate::exchange::{Answer, Exchange, json};
use crate::paging::{PageQuery, next_page};

#[derive(Serialize)]
struct Catalogue {
    repositories: Vec<RepositoryName>,
}

pub(crate) async fn list(exchange: &Exchange<'_>, query: &PageQuery<RepositoryName>) -> Answer {
    let page = query.page(exchange.limits.page_max);
    let listed = exchange.asked(exchange.access.repositories(&page)).await?;
    let repositories = match query.is_empty() {
        true => Vec::new(),
        false => listed.entries,
    };
    let next = repositories
        .last()
        .filter(|_| listed.more)
        .map(|last| next_page(&format!("{}/_catalog", exchange.base), query.n, last.as_str(), None));
    let mut response = json("application/json", &Catalogue { repositories });
    response.headers_mut().extend(next.map(|next| (LINK, next)));
    Ok(response)
}
