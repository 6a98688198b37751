//! `end-12`: the manifests that refer to another one.

use http::HeaderValue;
use http::header::LINK;
use serde::Serialize;

use swr_core::RepositoryName;
use swr_core::descriptor::Descriptor;
use swr_core::digest::Digest;
use swr_core::media_type::MediaType;

use crate::exchange::{Answer, Exchange, json};
use crate::headers::OCI_FILTERS_APPLIED;
use crate::paging::{PageQuery, next_page};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

pub(crate) async fn list(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&MediaType>,
    query: &PageQuery<Digest>,
) -> Answer {
    let page = query.page(exchange.limits.page_max);
    let asked = exchange.access.referrers(repository, subject, artifact_type, &page);
    let listed = exchange.asked(asked).await?;
    let manifests = match query.is_empty() {
        true => Vec::new(),
        false => listed.entries,
    };
    let next = manifests.last().filter(|_| listed.more).map(|last| {
        let path = format!("{}/{repository}/referrers/{subject}", exchange.base);
        let filter = artifact_type.map(|media_type| ("artifactType", media_type.as_str()));
        next_page(&path, query.n, &last.digest.to_string(), filter)
    });
    let index = Index { schema_version: 2, media_type: MediaType::OCI_INDEX, manifests };
    let mut response = json(MediaType::OCI_INDEX, &index);
    let headers = response.headers_mut();
    headers.extend(next.map(|next| (LINK, next)));
    if artifact_type.is_some() {
        headers.insert(OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}
