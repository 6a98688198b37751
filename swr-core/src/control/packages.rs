//! Image packages: who may bring them in, and what the trail says of them.

use swr_policy::OrganisationName;

use super::access::ControlAccess;
use super::error::ControlError;
use super::grant::GrantLevel;
use super::identity::UserId;
use super::trace::{Operation, Outcome, Traced, TracedOperation};
use crate::caller::{Actor, Caller};
use crate::ports::{ControlAsk, StoreError};

impl ControlAccess<'_> {
    /// Says whether the caller may bring image packages into the organisation: whoever may edit all of it. A grant on
    /// one of its repositories is not enough.
    pub async fn admit_packages(&self, organisation: &OrganisationName) -> Result<(), ControlError> {
        self.permit(ControlAsk::Organisation(organisation, GrantLevel::Edit)).await.map(drop)
    }

    /// Writes into the trail what became of images that the caller brought to the organisation in a package, each with
    /// the name it has. The versions that came of them have traces of their own, made with them in one step. What a
    /// stranger tries leaves none.
    pub async fn record_packages(
        &self,
        organisation: &OrganisationName,
        images: impl IntoIterator<Item = (Box<str>, Outcome)>,
    ) -> Result<(), StoreError> {
        let Actor::Caller(Caller::User(identity)) = self.actor() else { return Ok(()) };
        let Ok(user) = UserId::parse(identity.name()) else { return Ok(()) };
        let at = self.now();
        let traces = images.into_iter().map(|(name, outcome)| TracedOperation {
            traced: Traced {
                operation: Operation::UploadImagePackage,
                resource_id: name.clone(),
                resource_name: name,
                organisation: Some(organisation.clone()),
                change: "".into(),
            },
            outcome,
            user: user.clone(),
            origin: self.origin().clone(),
            at,
        });
        let traces: Vec<TracedOperation> = traces.collect();
        self.parts().metadata.record_operations(&traces).await
    }
}
