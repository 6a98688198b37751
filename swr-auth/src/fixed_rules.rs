//! Rules that need nobody's grants.

use async_trait::async_trait;
use swr_core::caller::Caller;
use swr_core::commit::Grounds;
use swr_core::ports::{Action, Ask, Authorizer, Refusal, StoreError, Verdict};

/// Anyone may do anything, strangers included.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it holds nothing")]
pub struct AnyoneMay;

#[async_trait]
impl Authorizer for AnyoneMay {
    async fn decide(&self, _: &Caller, _: Ask<'_>) -> Result<Verdict, StoreError> {
        Ok(allow())
    }
}

/// Anyone may pull; whoever has signed in may do anything.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it holds nothing")]
pub struct PublicRead;

#[async_trait]
impl Authorizer for PublicRead {
    async fn decide(&self, caller: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        Ok(match (caller, ask.action) {
            (_, Action::Pull) | (Caller::User(_), _) => allow(),
            (Caller::Anonymous, Action::Push | Action::Delete) => Verdict::Deny(Refusal::default()),
        })
    }
}

/// Anyone may pull; nobody may do more.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it holds nothing")]
pub struct ReadOnly;

#[async_trait]
impl Authorizer for ReadOnly {
    async fn decide(&self, _: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        Ok(match ask.action {
            Action::Pull => allow(),
            Action::Push | Action::Delete => Verdict::Deny(Refusal::default()),
        })
    }
}

fn allow() -> Verdict {
    Verdict::Allow(Grounds::default())
}
