//! Copies in other regions. A registry that knows no other region has nowhere to copy to.

use http::header::CONTENT_RANGE;

use swr_core::RepositoryName;

use super::exchange::{Answer, Exchange, Reply};
use super::paging::{OffsetPage, content_range};

pub(super) fn regions() -> Answer {
    Ok(Reply::json(&[(); 0]))
}

/// There are none; whoever may not see the repository is not told even that.
pub(super) async fn rules(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    exchange.access.repository(repository).await?;
    Ok(Reply::json(&[(); 0]))
}

/// There are none; whoever may not see the repository is not told even that.
pub(super) async fn jobs(exchange: &Exchange<'_>, repository: &RepositoryName, page: OffsetPage) -> Answer {
    exchange.access.repository(repository).await?;
    Ok(Reply::json(&[(); 0]).with(CONTENT_RANGE, content_range(page.offset, 0, 0)))
}
