//! What a host's own door takes from these: bodies that are waited for within bounds, where requests come from, and
//! connections that are left in order. `swr-console` is one.

pub use crate::body::{Progress, RequestBody};
pub use crate::error_response::Chain;
pub use crate::source::origin;
pub use crate::visit::Visit;
