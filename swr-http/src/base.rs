//! `end-1`: `/v2/`.

use serde_json::json;

use swr_core::Error;
use swr_core::caller::Caller;

use crate::exchange::{Answer, Exchange, json};

/// Says that this is a registry. A stranger is asked to sign in where that is possible, since this is where
/// clients come to find out whether it is.
pub(crate) fn base(exchange: &Exchange<'_>, can_sign_in: bool) -> Answer {
    if can_sign_in && *exchange.access.caller() == Caller::Anonymous {
        return Err(Error::Unauthorized { needs: Vec::new() }.into());
    }
    Ok(json("application/json", &json!({})))
}
