//! Operations that were refused, on their way into the trail.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use serde::Deserialize;

use swr_core::caller::{Caller, Origin};
use swr_core::control::ControlPlane;
use swr_core::control::identity::UserId;
use swr_core::control::organisation::organisation_of;
use swr_core::control::trace::{Operation, Outcome, Traced, TracedOperation};
use swr_core::ports::StoreError;
use swr_core::reference::Reference;
use swr_core::{OrganisationName, RepositoryName};

use super::administration::{WantedAccount, WantedUser};
use super::endpoint::ManagementEndpoint;
use super::namespaces::NewNamespace;
use super::repositories::NewRepository;
use super::tags::NewTag;
use super::triggers::NewTrigger;
use crate::endpoint::Endpoint;

/// How many refused operations wait at most.
const WAITING_MAX: usize = 4096;
/// How many are written at once.
const GROUP_MAX: usize = 256;
/// No more of a body than this is kept, in bytes.
const REQUEST_BYTES_MAX: usize = 4096;

/// Refused operations of signed-in callers that are not in the trail yet. Cheap to clone; all clones are the same.
///
/// A door adds them without waiting, and a host writes them in its own loop, in groups. What would go beyond 4096
/// waiting ones is counted and left out.
#[derive(Clone)]
pub struct Refusals(Arc<Parts>);

struct Parts {
    plane: ControlPlane,
    queue: Queue,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<TracedOperation>>,
    lost: AtomicU64,
}

impl Refusals {
    /// Those of a control plane and of its registry: none yet.
    pub fn new(plane: ControlPlane) -> Self {
        Self(Arc::new(Parts { plane, queue: Queue::default() }))
    }

    /// Writes a group of them into the trail, and says how many; 0 when none is left. What a store fails to write
    /// waits on, and so does the group of a future that is dropped.
    pub async fn record(&self) -> Result<usize, StoreError> {
        let mut group = self.0.queue.group();
        if !group.operations.is_empty() {
            self.0.plane.metadata().record_operations(&group.operations).await?;
        }
        Ok(std::mem::take(&mut group.operations).len())
    }

    /// How many were left out since the start.
    pub fn lost(&self) -> u64 {
        self.0.queue.lost.load(Ordering::Relaxed)
    }

    /// An operation of a caller that another door has refused with this outcome. One of a stranger leaves no trace.
    pub fn add(&self, caller: &Caller, origin: &Origin, traced: Traced, outcome: Outcome) {
        if let Some(attempt) = self.attempt(caller, origin, traced) {
            attempt.ended(outcome);
        }
    }

    /// What the trace of a refused operation is about: the resource of this name, in that organisation; `request` is
    /// what was asked for, as JSON without secrets, or empty.
    pub fn about(
        operation: Operation,
        resource: String,
        organisation: Option<OrganisationName>,
        request: &str,
    ) -> Traced {
        refused(operation, resource, organisation, request)
    }

    /// What a caller attempts, for the case that it is refused; `None` where no user does.
    pub(crate) fn attempt(&self, caller: &Caller, origin: &Origin, traced: Traced) -> Option<Attempt> {
        let Caller::User(identity) = caller else { return None };
        let user = UserId::parse(identity.name()).ok()?;
        Some(Attempt { refusals: self.clone(), traced, user, origin: origin.clone() })
    }
}

/// An operation of a signed-in caller that has not been answered yet.
pub(crate) struct Attempt {
    refusals: Refusals,
    traced: Traced,
    user: UserId,
    origin: Origin,
}

impl Attempt {
    /// It was answered with this status, for this reason.
    pub(crate) fn refused(self, status: StatusCode, reason: &impl fmt::Display) {
        self.ended(Outcome { code: status.as_u16(), reason: reason.to_string().into() });
    }

    fn ended(self, outcome: Outcome) {
        let Self { refusals, traced, user, origin } = self;
        let at = refusals.0.plane.now();
        refusals.0.queue.add(TracedOperation { traced, outcome, user, origin, at });
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals")
            .field("waiting", &self.0.queue.lock().len())
            .field("lost", &self.lost())
            .finish()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<TracedOperation>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, refused: TracedOperation) {
        let mut waiting = self.lock();
        if waiting.len() < WAITING_MAX {
            waiting.push_back(refused);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that are to be written next.
    fn group(&self) -> Group<'_> {
        let mut waiting = self.lock();
        let size = waiting.len().min(GROUP_MAX);
        Group { queue: self, operations: waiting.drain(..size).collect() }
    }
}

/// Those that are being written. What is still here when it is dropped was not.
struct Group<'q> {
    queue: &'q Queue,
    operations: Vec<TracedOperation>,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        while waiting.len() < WAITING_MAX
            && let Some(last) = self.operations.pop()
        {
            waiting.push_front(last);
        }
        self.queue.lost.fetch_add(self.operations.len() as u64, Ordering::Relaxed);
    }
}

/// What the trace of a refused operation is about; `None` for what only asks. What an operation is to make has its
/// name in the body, where that can be read.
pub(super) fn traced(endpoint: &ManagementEndpoint, body: &[u8]) -> Option<Traced> {
    use ManagementEndpoint as E;
    let (operation, resource, organisation) = match endpoint {
        E::CreateNamespace {} => {
            let name = named(body, |new: NewNamespace| new.namespace);
            let name = name.and_then(|name| OrganisationName::parse(&name).ok());
            let text = name.as_ref().map(ToString::to_string).unwrap_or_default();
            (Operation::CreateUserNamespace, text, name)
        }
        E::DeleteNamespaces { organisation } => of_organisation(Operation::DeleteUserNamespace, organisation),
        E::CreateNamespaceAuth { organisation } => {
            of_organisation(Operation::CreateUserNamespaceAuth, organisation)
        }
        E::UpdateNamespaceAuth { organisation } => {
            of_organisation(Operation::UpdateUserNamespaceAuth, organisation)
        }
        E::DeleteNamespaceAuth { organisation } => {
            of_organisation(Operation::DeleteUserNamespaceAuth, organisation)
        }
        E::UploadImagePackage { organisation, .. } => {
            of_organisation(Operation::UploadImagePackage, organisation)
        }
        E::CreateRepo { organisation } => {
            let (operation, within, organisation) =
                of_organisation(Operation::CreateImageRepository, organisation);
            let name = named(body, |new: NewRepository| new.repository);
            (operation, name.map_or_else(|| within.clone(), |name| format!("{within}/{name}")), organisation)
        }
        E::UpdateRepo { repository } => of_repository(Operation::UpdateImageRepository, repository),
        E::DeleteRepo { repository } => of_repository(Operation::DeleteImageRepository, repository),
        E::CreateUserRepositoryAuth { repository } => {
            of_repository(Operation::CreateUserRepositoryAuth, repository)
        }
        E::UpdateUserRepositoryAuth { repository } => {
            of_repository(Operation::UpdateUserRepositoryAuth, repository)
        }
        E::DeleteUserRepositoryAuth { repository } => {
            of_repository(Operation::DeleteUserRepositoryAuth, repository)
        }
        E::CreateRepoTag { repository } => {
            let (operation, within, organisation) = of_repository(Operation::CreateVersion, repository);
            let tag = named(body, |new: NewTag| new.destination_tag);
            (operation, tag.map_or_else(|| within.clone(), |tag| format!("{within}:{tag}")), organisation)
        }
        E::DeleteRepoTag { repository, tag } => {
            let (operation, within, organisation) = of_repository(Operation::DeleteImageTag, repository);
            (operation, format!("{within}:{tag}"), organisation)
        }
        E::CreateRepoDomains { repository } => {
            of_repository(Operation::CreateImageRepositoryAccessDomain, repository)
        }
        E::UpdateRepoDomains { repository, .. } => {
            of_repository(Operation::UpdateImageRepositoryAccessDomain, repository)
        }
        E::DeleteRepoDomains { repository, .. } => {
            of_repository(Operation::DeleteImageRepositoryAccessDomain, repository)
        }
        E::CreateRetention { repository } => of_repository(Operation::CreateRetention, repository),
        E::UpdateRetention { repository, .. } => of_repository(Operation::UpdateRetention, repository),
        E::DeleteRetention { repository, .. } => of_repository(Operation::DeleteRetention, repository),
        E::CreateTrigger { repository } => {
            let name = named(body, |new: NewTrigger| new.name).unwrap_or_default();
            of_trigger(Operation::CreateTrigger, repository, &name)
        }
        E::UpdateTrigger { repository, trigger } => {
            of_trigger(Operation::UpdateTrigger, repository, trigger.as_str())
        }
        E::DeleteTrigger { repository, trigger } => {
            of_trigger(Operation::DeleteTrigger, repository, trigger.as_str())
        }
        E::CreateImageSyncRepo { repository } => of_repository(Operation::CreateImageSync, repository),
        E::DeleteImageSyncRepo { repository } => of_repository(Operation::DeleteImageSync, repository),
        E::CreateManualImageSyncRepo { repository } => of_repository(Operation::SyncImage, repository),
        E::CreateAgency {} => (Operation::UpdateAccount, String::new(), None),
        E::CreateSecret { .. } | E::CreateAuthorizationToken {} => {
            (Operation::CreateDockerConfig, String::new(), None)
        }
        E::CreateAccount {} => {
            let name = named(body, |new: WantedAccount| new.name);
            (Operation::CreateAccount, name.unwrap_or_default(), None)
        }
        E::CreateUser { .. } => {
            let name = named(body, |new: WantedUser| new.name);
            (Operation::CreateUser, name.unwrap_or_default(), None)
        }
        E::UpdateUserRole { user, .. } | E::UpdateUserPassword { user, .. } => {
            (Operation::UpdateUser, user.to_string(), None)
        }
        E::DeleteUser { user, .. } => (Operation::DeleteUser, user.to_string(), None),
        E::CreateAccessKey { .. } => (Operation::CreateAccessKey, String::new(), None),
        E::DeleteAccessKey { key, .. } => (Operation::DeleteAccessKey, key.to_string(), None),
        E::CreateTokenKey {} => (Operation::CreateTokenKey, String::new(), None),
        E::DeleteTokenKey { key } => (Operation::DeleteTokenKey, key.to_string(), None),
        _ => return None,
    };
    let kept = match endpoint {
        // Of a trigger that was to be, all but its secret; and nothing of what cannot be read as one.
        E::CreateTrigger { .. } => {
            let new: Option<NewTrigger> = serde_json::from_slice(body).ok();
            new.and_then(|new| serde_json::to_vec(&new).ok()).unwrap_or_default().into()
        }
        // A body that makes or changes a user may have a password in it.
        _ if endpoint.kind().is_of_administration() => Cow::Borrowed(&b""[..]),
        _ => Cow::Borrowed(body),
    };
    Some(refused(operation, resource, organisation, request(&kept)))
}

/// As [`traced`], of the distribution protocol: versions that were to be set or removed.
pub(crate) fn traced_of_content(endpoint: &Endpoint) -> Option<Traced> {
    let (operation, repository, reference) = match endpoint {
        Endpoint::PushManifest { repository, reference, .. } => {
            (Operation::CreateVersion, repository, reference)
        }
        Endpoint::RemoveManifest { repository, reference: reference @ Reference::Tag(_) } => {
            (Operation::DeleteImageTag, repository, reference)
        }
        Endpoint::RemoveManifest { repository, reference } => {
            (Operation::DeleteVersion, repository, reference)
        }
        _ => return None,
    };
    let separator = if matches!(reference, Reference::Tag(_)) { ':' } else { '@' };
    let resource = format!("{repository}{separator}{reference}");
    Some(refused(operation, resource, organisation_of(repository), ""))
}

fn refused(
    operation: Operation,
    resource: String,
    organisation: Option<OrganisationName>,
    request: &str,
) -> Traced {
    let is_named_by_it = !matches!(
        operation.resource_type(),
        "usernamespaceauth" | "userrepositoryauth" | "imagerepositoryaccessdomain" | "account" | "user"
    );
    let name = match operation.resource_type() {
        // Its own name, without the repository's.
        "trigger" => resource.rsplit('/').next().unwrap_or_default().into(),
        _ => resource.as_str().into(),
    };
    Traced {
        operation,
        // Of who there is and of what somebody was to be given, the id would be theirs.
        resource_id: if is_named_by_it { resource.into() } else { "".into() },
        resource_name: name,
        organisation,
        change: request.into(),
    }
}

type About = (Operation, String, Option<OrganisationName>);

fn of_organisation(operation: Operation, name: &OrganisationName) -> About {
    (operation, name.to_string(), Some(name.clone()))
}

fn of_repository(operation: Operation, name: &RepositoryName) -> About {
    (operation, name.to_string(), organisation_of(name))
}

fn of_trigger(operation: Operation, repository: &RepositoryName, name: &str) -> About {
    (operation, format!("{repository}/{name}"), organisation_of(repository))
}

/// A name in a body, no longer than names are.
fn named<T: for<'de> Deserialize<'de>>(body: &[u8], name: impl Fn(T) -> String) -> Option<String> {
    let name = serde_json::from_slice(body).ok().map(name)?;
    (name.len() <= 255).then_some(name)
}

/// A body for the trail. It has no secret in it.
fn request(body: &[u8]) -> &str {
    let is_kept =
        body.len() <= REQUEST_BYTES_MAX && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    if is_kept { std::str::from_utf8(body).unwrap_or_default() } else { "" }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::control::endpoint::tests::example;
    use crate::control::endpoint::{Kind, ROUTES};

    fn operation(number: usize) -> TracedOperation {
        TracedOperation {
            traced: refused(Operation::CreateUserNamespace, number.to_string(), None, ""),
            outcome: Outcome { code: 403, reason: "".into() },
            user: UserId::parse(&"0".repeat(32)).unwrap(),
            origin: Origin::default(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn numbers<'a>(operations: impl IntoIterator<Item = &'a TracedOperation>) -> Vec<usize> {
        operations.into_iter().map(|operation| operation.traced.resource_name.parse().unwrap()).collect()
    }

    #[test]
    fn whatever_changes_something_leaves_a_trace_and_whatever_only_asks_leaves_none() {
        for route in ROUTES {
            let address = example(route);
            let (path, query) = address.split_once('?').unwrap_or((address.as_str(), ""));
            let endpoint = ManagementEndpoint::parse(&route.method, path, Some(query)).unwrap();
            // The one changes nothing, and what the other lets happen again was told when the trigger was made.
            let is_untold = matches!(route.kind, Kind::PlanRetention | Kind::ReplayTriggerDelivery);
            let is_told = route.method != http::Method::GET && !is_untold;
            assert_eq!(traced(&endpoint, b"").is_some(), is_told, "{}", route.name);
        }
    }

    #[test]
    fn groups_come_in_order_and_what_is_not_written_comes_again() {
        let queue = Queue::default();
        (0..300).for_each(|number| queue.add(operation(number)));
        let dropped = queue.group();
        assert_eq!(numbers(&dropped.operations), (0..256).collect::<Vec<_>>());
        drop(dropped);
        let mut written = queue.group();
        assert_eq!(numbers(&written.operations), (0..256).collect::<Vec<_>>());
        written.operations.clear();
        drop(written);
        assert_eq!(numbers(&*queue.lock()), (256..300).collect::<Vec<_>>());
        assert_eq!(queue.lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn no_more_wait_than_may_and_the_others_are_counted() {
        let queue = Queue::default();
        (0..WAITING_MAX + 4).for_each(|number| queue.add(operation(number)));
        assert_eq!(queue.lock().len(), WAITING_MAX);
        assert_eq!(queue.lost.load(Ordering::Relaxed), 4);
        // While a group is being written others take its room; of those that come back the last are kept.
        let group = queue.group();
        (0..200).for_each(|_| queue.add(operation(0)));
        drop(group);
        assert_eq!(queue.lock().len(), WAITING_MAX);
        assert_eq!(queue.lost.load(Ordering::Relaxed), 204);
        assert_eq!(numbers(&*queue.lock())[..2], [200, 201]);
    }

    #[test]
    fn no_more_of_a_body_is_kept_than_may_be_and_only_what_is_json() {
        assert_eq!(request(b"{\"namespace\":\"a\"}"), "{\"namespace\":\"a\"}");
        assert_eq!(request(b"password=sesame"), "");
        let long = format!("\"{}\"", "x".repeat(REQUEST_BYTES_MAX));
        assert_eq!(request(long.as_bytes()), "");
    }
}
