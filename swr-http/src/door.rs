//! What a host's own door takes from these: bodies that are waited for within bounds, where requests come from, who is
//! let in, and connections that are left in order. `swr-console` is one.

use std::future::Future;
use std::time::Duration;

use crate::exchange;

pub use crate::admission::{Admitted, Asking, Crowded};
pub use crate::body::{Progress, RequestBody};
pub use crate::error_response::Chain;
pub use crate::source::origin;
pub use crate::visit::Visit;

/// Waits for what takes the bytes of a body: as long as they move, or the client is waited for, and then no longer than
/// `within`. `None` when it took longer.
pub async fn while_moving<T>(
    within: Option<Duration>,
    progress: &Progress,
    call: impl Future<Output = T>,
) -> Option<T> {
    exchange::while_moving(within, progress, call).await.ok()
}
