//! What a failure looks like in the management protocol: the only place here that knows statuses and numbers.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use swr_policy::PatternError;
use swr_policy::aging::LimitOutOfRange;
use tracing::error;
use utoipa::ToSchema;

use swr_auth::new_password::PasswordError;
use swr_core::control::ControlError;
use swr_core::control::grant::GrantScope;
use swr_core::control::identity::PersonNameError;
use swr_core::ports::{StoreError, StoreErrorKind};
#[cfg(feature = "packages")]
use swr_core::stream::BodyError;
use swr_core::{Error, NameError, NameKind};
#[cfg(feature = "packages")]
use swr_packages::form::FormError;
#[cfg(feature = "packages")]
use swr_packages::{ImportError, UploadError};

use super::body::BodyDefect;
use super::endpoint::{Kind, ManagementEndpointError};
use crate::body::ResponseBody;
use crate::error_response::{Chain, Failure};
use crate::headers;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManagementFailure {
    /// The control plane says so.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Its address is none.
    #[error(transparent)]
    Endpoint(#[from] ManagementEndpointError),
    /// Its body is not what the operation wants.
    #[error(transparent)]
    Body(#[from] BodyDefect),
    /// A value in its body is none.
    #[error(transparent)]
    Value(#[from] ValueDefect),
    /// Nobody has signed it, or not as it came.
    #[error("the request is not signed, or its signature does not verify")]
    Unsigned,
    /// Its token is none, or no longer one.
    #[error("the token is not valid")]
    Token,
    /// The one package that was sent is none that can be taken.
    #[cfg(feature = "packages")]
    #[error(transparent)]
    Package(std::sync::Arc<ImportError>),
    /// The packages do not come as they should.
    #[cfg(feature = "packages")]
    #[error(transparent)]
    Upload(std::sync::Arc<UploadError>),
    /// Too many signatures or tokens are looked at already.
    #[error("too many requests")]
    Busy {
        /// After how long it is worth another try.
        retry_after: Duration,
    },
    /// The project in the address is another account's.
    #[error("project `{0}` is not yours")]
    ForeignProject(Box<str>),
    /// The control plane, or a store below it, has not answered in time.
    #[error("the registry did not answer in time")]
    TooSlow,
}

impl ManagementFailure {
    /// Whether whoever found it has told the trail.
    pub(super) const fn is_traced(&self) -> bool {
        match self {
            #[cfg(feature = "packages")]
            Self::Package(_) => true,
            _ => false,
        }
    }
}

/// Why a value in a body is not what the operation wants.
#[derive(Debug, thiserror::Error)]
pub(super) enum ValueDefect {
    #[error("`is_public` is not a boolean")]
    Visibility,
    #[error("there is no category `{0}`")]
    Category(String),
    #[error("{value} is no level of a grant: 1 reads, 3 edits, 7 manages")]
    Level { value: i64, on: Granting },
    #[error("`{0}` is not the id of a user")]
    User(String),
    #[error("user `{0}` is named more than once")]
    Repeated(String),
    #[error("no user is named")]
    Nobody,
    #[error("more than {0} users are named")]
    TooMany(usize),
    #[error("`{0}` is not the name of an account")]
    Account(String),
    #[error("`{0}` is not what can be shared: only `read`")]
    Permit(String),
    #[error("`{0}` is no deadline: `forever`, or a time such as `2026-01-31T00:00:00Z`")]
    Deadline(String),
    #[error("`{0}` is not the region project of this registry")]
    Project(String),
    #[error("`{0}` does not put rules together: only `or`")]
    Algorithm(String),
    #[error("a repository has one aging rule: `rules` is a list of one")]
    Rules,
    #[error("there is no rule `{0}`: a `date_rule` or a `tag_rule`")]
    Template(String),
    #[error("the `params` of this rule are `{0}` alone, a number in digits as a text")]
    Params(&'static str),
    #[error(transparent)]
    Limit(#[from] LimitOutOfRange),
    #[error("`{0}` chooses no tags: a `label` or a `regexp`")]
    Selector(String),
    #[error("a rule has {0} selectors at most")]
    TooManySelectors(usize),
    #[error(transparent)]
    Pattern(PatternError),
    #[error("a trigger does no `{0}`: an `update` or a `webhook`")]
    Action(String),
    #[error("there is no type of trigger `{0}`: `all`, `tag` or `regular`")]
    TriggerType(String),
    #[error("the condition of a trigger for `all` is `.*`")]
    Condition,
    #[error("`{0}` is neither the text `true` nor the text `false`")]
    Enable(String),
    #[error("there is no mode of trigger `{0}`: `cce` or `cci`")]
    TriggerMode(String),
    #[error("there is no kind of workload `{0}`: `deployments`, `statefulsets`, `daemonsets` or `cronjobs`")]
    WorkloadKind(String),
    #[error("`{text}` is no name in a cluster, which `{field}` has to be")]
    ClusterName { field: &'static str, text: String },
    #[error("`{field}` means nothing to a trigger that does `{action}`")]
    Unwanted { field: &'static str, action: String },
    #[error("`url` is no address of the web, or has a name or a password in it")]
    Url,
    #[error("`secret` is a text of 16 to 256 bytes, and goes on in Base64 where it begins with `whsec_`")]
    Secret,
    #[error("`{field}` has more than {limit} bytes")]
    TooLong { field: &'static str, limit: usize },
    #[error("no version is named")]
    NoTag,
    #[error("more than {0} versions are named")]
    TooManyTags(usize),
    #[error(transparent)]
    Name(#[from] PersonNameError),
    #[error("there is no role `{0}`: `member`, `administrator` or `operator`")]
    Role(String),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// What a level is granted on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Granting {
    Organisation,
    Repository,
}

impl From<swr_core::Error> for ManagementFailure {
    fn from(error: swr_core::Error) -> Self {
        Self::Control(error.into())
    }
}

impl From<StoreError> for ManagementFailure {
    fn from(error: StoreError) -> Self {
        Self::Control(error.into())
    }
}

impl From<NameError> for ManagementFailure {
    fn from(error: NameError) -> Self {
        Self::Control(error.into())
    }
}

impl From<Failure> for ManagementFailure {
    fn from(_: Failure) -> Self {
        Self::TooSlow
    }
}

/// The answer to a request that was not done. `kind` is the operation, as far as the address says one.
pub(super) fn error_response(
    failure: &ManagementFailure,
    kind: Option<Kind>,
    request_id: &str,
) -> Response<ResponseBody> {
    let (status, number) = verdict(failure, kind);
    if status.is_server_error() && !is_asked_for(failure) {
        error!(status = status.as_u16(), error = %Chain(failure), "a request failed");
    }
    let message = failure.to_string();
    let is_of_trail = kind.is_some_and(Kind::is_of_trail)
        || matches!(failure, ManagementFailure::Endpoint(ManagementEndpointError::Trail(_)));
    let is_of_gate = matches!(failure, ManagementFailure::Unsigned) || is_of_trail && status == 401;
    let body = match failure {
        _ if is_of_gate => {
            to_json(&GatewayError { error_msg: &message, error_code: "APIGW.0301", request_id })
        }
        _ if is_of_trail => to_json(&TrailError { error_code: trail_code(status), error_msg: &message }),
        _ => {
            let code = format!("SVCSTG.SWR.{}{number:04}", status.as_u16());
            to_json(&ErrorBody::new(&code, &message))
        }
    };
    let mut response = Response::new(ResponseBody::empty().bytes(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let ManagementFailure::Endpoint(ManagementEndpointError::Method { allowed }) = failure {
        headers.insert(ALLOW, headers::value(&**allowed));
    }
    if let Some(after) = retry_after(failure) {
        headers.insert(RETRY_AFTER, after.as_secs().max(1).into());
    }
    response
}

/// Whether it is the client's doing, though the protocol has a status for it that says otherwise.
const fn is_asked_for(failure: &ManagementFailure) -> bool {
    matches!(failure, ManagementFailure::Control(ControlError::RegionUnknown(_)))
}

/// Plain values serialise.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The status of a failure, for whoever records it.
pub(super) fn status(failure: &ManagementFailure, kind: Option<Kind>) -> StatusCode {
    verdict(failure, kind).0
}

/// The status that this door answers a failure with, of no operation in particular: for doors beside it, so that the
/// trail tells one story.
pub fn status_of(error: &ControlError) -> StatusCode {
    of_control(error, None).0
}

/// The status, and the number after it in the code.
fn verdict(failure: &ManagementFailure, kind: Option<Kind>) -> (StatusCode, u16) {
    use StatusCode as S;
    match failure {
        ManagementFailure::Control(error) => of_control(error, kind),
        ManagementFailure::Endpoint(error) => of_endpoint(error),
        ManagementFailure::Body(defect) => match defect {
            BodyDefect::TooLong { .. } => (S::PAYLOAD_TOO_LARGE, 1001),
            BodyDefect::Stalled => (S::REQUEST_TIMEOUT, 1018),
            BodyDefect::Interrupted | BodyDefect::Malformed(_) => (S::BAD_REQUEST, 1018),
            BodyDefect::Missing(_) => (S::BAD_REQUEST, 1014),
            BodyDefect::Wrong(_) => (S::BAD_REQUEST, 14),
        },
        ManagementFailure::Value(defect) => (S::BAD_REQUEST, of_value(defect)),
        #[cfg(feature = "packages")]
        ManagementFailure::Package(error) => of_package(error),
        #[cfg(feature = "packages")]
        ManagementFailure::Upload(error) => match &**error {
            UploadError::Form(FormError::TooLong { .. }) => (S::PAYLOAD_TOO_LARGE, 1001),
            UploadError::Form(FormError::Interrupted(Some(BodyError::Stalled))) => (S::REQUEST_TIMEOUT, 1018),
            UploadError::Form(_) => (S::BAD_REQUEST, 1018),
            UploadError::NoFile => (S::BAD_REQUEST, 1014),
            _ => (S::BAD_REQUEST, 14),
        },
        ManagementFailure::Unsigned | ManagementFailure::Token => (S::UNAUTHORIZED, 0),
        // Clients of this protocol lose the answer to a 429; 403 is its word for it.
        ManagementFailure::Busy { .. } => (S::FORBIDDEN, 1032),
        ManagementFailure::ForeignProject(_) => (S::FORBIDDEN, 9002),
        ManagementFailure::TooSlow => (S::SERVICE_UNAVAILABLE, 1101),
    }
}

#[cfg(feature = "packages")]
fn of_package(error: &ImportError) -> (StatusCode, u16) {
    use StatusCode as S;
    match S::from_u16(swr_packages::control::status(error)) {
        Ok(status @ (S::BAD_REQUEST | S::REQUEST_TIMEOUT)) => (status, 1018),
        Ok(status @ S::FORBIDDEN) => (status, 170),
        Ok(status @ S::PAYLOAD_TOO_LARGE) => (status, 1001),
        Ok(status @ S::CONFLICT) => (status, 115),
        Ok(status) => (status, 1101),
        Err(_) => (S::INTERNAL_SERVER_ERROR, 1101),
    }
}

fn of_control(error: &ControlError, kind: Option<Kind>) -> (StatusCode, u16) {
    use ControlError as E;
    use StatusCode as S;
    match error {
        E::Unauthorized => (S::UNAUTHORIZED, 0),
        E::Denied(_) => (S::FORBIDDEN, denied(kind)),
        E::NameInvalid(error) => (S::BAD_REQUEST, of_name(error.kind())),
        E::NameReserved(_) => (S::BAD_REQUEST, 1028),
        E::DescriptionTooLong { .. } => (S::PAYLOAD_TOO_LARGE, 1012),
        E::AccountUnknown(_) => (absent(kind), 1041),
        E::AccountTaken(_) => (S::CONFLICT, 1041),
        E::ShareOneself => (S::BAD_REQUEST, 1041),
        E::UserUnknown(_) => (absent(kind), 1067),
        E::UserTaken(_) | E::LastOperator => (S::CONFLICT, 1067),
        E::KeyUnknown(_) => (S::NOT_FOUND, 14),
        E::KeyQuota { .. } => (S::BAD_REQUEST, 97),
        E::OrganisationUnknown(_) => (S::NOT_FOUND, 58),
        E::OrganisationTaken(_) => (S::CONFLICT, 60),
        E::OrganisationNotEmpty { .. } => (S::NOT_ACCEPTABLE, 74),
        E::OrganisationQuota { .. } => (S::BAD_REQUEST, 97),
        E::RepositoryUnknown(_) => (S::NOT_FOUND, 113),
        E::RepositoryTaken(_) => (S::CONFLICT, 6),
        E::VersionUnknown(_) => (S::NOT_FOUND, 115),
        E::VersionTaken(_) => (S::CONFLICT, 115),
        E::GrantUnknown { scope: GrantScope::Organisation(_), .. } => (S::NOT_FOUND, 78),
        E::GrantUnknown { scope: GrantScope::Repository(_), .. } => (S::NOT_FOUND, 91),
        E::GrantTaken { scope: GrantScope::Organisation(_), .. } => (S::CONFLICT, 76),
        E::GrantTaken { scope: GrantScope::Repository(_), .. } => (S::CONFLICT, 89),
        E::GrantOneself => (S::FORBIDDEN, 170),
        // The protocol has no 404 in this family; clients take this number for "not there".
        E::ShareUnknown(_) | E::SharePublic | E::ShareQuota { .. } => (S::BAD_REQUEST, 1090),
        E::ShareTaken(_) => (S::CONFLICT, 1090),
        E::RuleUnknown => (S::NOT_FOUND, 306),
        E::TriggerUnknown(_) | E::DeliveryUnknown => (S::NOT_FOUND, 126),
        E::RuleTaken | E::RuleKind(_) | E::TriggerTaken(_) | E::TriggerQuota { .. } => (S::BAD_REQUEST, 14),
        E::SyncUnknown => (S::BAD_REQUEST, 1158),
        // The protocol's own word for it.
        E::RegionUnknown(_) => (S::INTERNAL_SERVER_ERROR, 1101),
        E::AgencyExists => (S::CONFLICT, 0),
        E::Busy => (S::FORBIDDEN, 1032),
        E::Registry(error) => of_registry(error, kind),
        E::Store(error) => of_store(error),
        // What the control plane may come to say that this door has not heard of.
        _ => (S::INTERNAL_SERVER_ERROR, 1101),
    }
}

/// An account or a user that there is not: elsewhere it is named by a body, and here by the address.
fn absent(kind: Option<Kind>) -> StatusCode {
    match kind.is_some_and(Kind::is_of_administration) {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::BAD_REQUEST,
    }
}

/// Which of the numbers for "may not" it is.
fn denied(kind: Option<Kind>) -> u16 {
    use Kind as K;
    match kind {
        Some(
            K::CreateNamespace
            | K::ShowNamespace
            | K::DeleteNamespaces
            | K::CreateNamespaceAuth
            | K::ShowNamespaceAuth
            | K::UpdateNamespaceAuth
            | K::DeleteNamespaceAuth
            | K::UploadImagePackage,
        ) => 7017,
        Some(K::CreateRepo) => 7018,
        Some(kind) if kind.route().path.contains("{repository}") => 7020,
        _ => 170,
    }
}

fn of_name(kind: NameKind) -> u16 {
    match kind {
        NameKind::Organisation => 1028,
        NameKind::Repository => 1029,
        NameKind::Tag => 9021,
        _ => 14,
    }
}

fn of_registry(error: &Error, kind: Option<Kind>) -> (StatusCode, u16) {
    use StatusCode as S;
    match error {
        Error::Unauthorized { .. } => (S::UNAUTHORIZED, 0),
        Error::Denied(_) => (S::FORBIDDEN, denied(kind)),
        Error::TagImmutable { .. } => (S::FORBIDDEN, 9001),
        Error::NameUnknown { .. } => (S::NOT_FOUND, 113),
        Error::ManifestUnknown { .. } => (S::NOT_FOUND, 115),
        Error::NameInvalid(error) => (S::BAD_REQUEST, of_name(error.kind())),
        Error::NameRefused(_) => (S::BAD_REQUEST, 1029),
        Error::TagRefused(_) => (S::BAD_REQUEST, 9021),
        Error::PreconditionFailed => (S::CONFLICT, 115),
        Error::TooManyRequests { .. } => (S::FORBIDDEN, 1032),
        Error::StoreFull(error) | Error::Store(error) => of_store(error),
        // What moves bytes, and is not asked here.
        _ => (S::INTERNAL_SERVER_ERROR, 1101),
    }
}

fn of_store(error: &StoreError) -> (StatusCode, u16) {
    let status = match error.kind() {
        StoreErrorKind::Full => StatusCode::INSUFFICIENT_STORAGE,
        _ if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, 1101)
}

fn of_endpoint(error: &ManagementEndpointError) -> (StatusCode, u16) {
    use ManagementEndpointError as E;
    use StatusCode as S;
    match error {
        E::NoSuchPath => (S::NOT_FOUND, 83),
        E::Method { .. } => (S::METHOD_NOT_ALLOWED, 83),
        E::Encoding | E::Path(_) => (S::BAD_REQUEST, 14),
        E::Name(error) => (S::BAD_REQUEST, of_name(error.kind())),
        E::Account(_) => (S::BAD_REQUEST, 1041),
        E::User(_) => (S::BAD_REQUEST, 1067),
        E::Query(_) | E::Parameter(_) => (S::BAD_REQUEST, 1025),
        E::Missing(_) => (S::BAD_REQUEST, 1014),
        E::Filter(_) => (S::BAD_REQUEST, 1035),
        E::OrderColumn(_) => (S::BAD_REQUEST, 1096),
        E::PageSize { .. } => (S::BAD_REQUEST, 56),
        E::Trail(error) => of_endpoint(error),
    }
}

const fn of_value(defect: &ValueDefect) -> u16 {
    match defect {
        ValueDefect::Visibility => 1009,
        ValueDefect::Level { on: Granting::Organisation, .. } => 1065,
        ValueDefect::Level { on: Granting::Repository, .. } | ValueDefect::Permit(_) => 1066,
        ValueDefect::User(_) => 1067,
        ValueDefect::Nobody | ValueDefect::NoTag => 1014,
        ValueDefect::Account(_) => 1041,
        ValueDefect::Category(_)
        | ValueDefect::Repeated(_)
        | ValueDefect::TooMany(_)
        | ValueDefect::Deadline(_)
        | ValueDefect::Project(_)
        | ValueDefect::Algorithm(_)
        | ValueDefect::Rules
        | ValueDefect::Template(_)
        | ValueDefect::Params(_)
        | ValueDefect::Limit(_)
        | ValueDefect::Selector(_)
        | ValueDefect::TooManySelectors(_)
        | ValueDefect::Pattern(_)
        | ValueDefect::Action(_)
        | ValueDefect::TriggerType(_)
        | ValueDefect::Condition
        | ValueDefect::Enable(_)
        | ValueDefect::TriggerMode(_)
        | ValueDefect::WorkloadKind(_)
        | ValueDefect::ClusterName { .. }
        | ValueDefect::Unwanted { .. }
        | ValueDefect::Url
        | ValueDefect::Secret
        | ValueDefect::TooLong { .. }
        | ValueDefect::TooManyTags(_)
        | ValueDefect::Name(_)
        | ValueDefect::Role(_)
        | ValueDefect::Password(_) => 14,
    }
}

fn trail_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "CTS.0013",
        status if status.is_server_error() => "CTS.0300",
        _ => "CTS.0003",
    }
}

fn retry_after(failure: &ManagementFailure) -> Option<Duration> {
    match failure {
        ManagementFailure::Busy { retry_after } => Some(*retry_after),
        ManagementFailure::TooSlow => Some(Duration::from_secs(5)),
        ManagementFailure::Control(error) => match error {
            ControlError::Busy => Some(Duration::from_secs(1)),
            ControlError::Registry(Error::TooManyRequests { retry_after }) => {
                Some(retry_after.unwrap_or(Duration::from_secs(1)))
            }
            ControlError::Registry(Error::StoreFull(error) | Error::Store(error))
            | ControlError::Store(error)
                if error.is_retryable() =>
            {
                Some(Duration::from_secs(5))
            }
            _ => None,
        },
        _ => None,
    }
}

/// An error, as clients of either generation read it.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorBody<'a> {
    errors: [OlderError<'a>; 1],
    error_code: &'a str,
    error_msg: &'a str,
    details: [ErrorDetail<'a>; 1],
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OlderError<'a> {
    error_code: &'a str,
    error_message: &'a str,
    detail: &'a str,
}

#[derive(Serialize, ToSchema)]
struct ErrorDetail<'a> {
    error_code: &'a str,
    error_msg: &'a str,
}

impl<'a> ErrorBody<'a> {
    fn new(code: &'a str, message: &'a str) -> Self {
        Self {
            errors: [OlderError { error_code: code, error_message: message, detail: "" }],
            error_code: code,
            error_msg: message,
            details: [ErrorDetail { error_code: code, error_msg: message }],
        }
    }
}

/// An error of what stands before the operations and asks who is there.
#[derive(Serialize)]
struct GatewayError<'a> {
    error_msg: &'a str,
    error_code: &'static str,
    request_id: &'a str,
}

/// An error of the audit trail.
#[derive(Serialize)]
struct TrailError<'a> {
    error_code: &'static str,
    error_msg: &'a str,
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::num::NonZeroU32;
    use std::task::{Context, Poll, Waker};

    use http_body_util::BodyExt as _;
    use serde_json::Value;
    use swr_core::control::credential::KeyId;
    use swr_core::control::identity::{AccountName, UserId, UserName};
    use swr_core::ports::Refusal;
    use swr_core::reference::Reference;
    use swr_core::{OrganisationName, RepositoryName, Tag, TriggerName};
    use swr_policy::aging::{AgeDays, NewestCount};
    use swr_policy::{AgingLimit, AgingRule, NamingPolicy as _, Pattern, SwrNaming};

    use super::*;
    use crate::control::filter::FilterError;

    fn store(kind: StoreErrorKind) -> StoreError {
        StoreError::new(kind, "test", "the name of a disk")
    }

    /// Every way in which the control plane says no, and its code.
    fn control_errors() -> Vec<(ControlError, &'static str)> {
        use ControlError as E;
        let organisation = || OrganisationName::parse("group").unwrap();
        let repository = || RepositoryName::parse("group/app").unwrap();
        let tag = || Tag::parse("v1").unwrap();
        let account = || AccountName::parse("acme").unwrap();
        let trigger = || TriggerName::parse("deploy").unwrap();
        let rule_kind = || {
            let [age, count] =
                [AgingLimit::Age(AgeDays::new(1).unwrap()), AgingLimit::Count(NewestCount::new(1).unwrap())];
            AgingRule::new(age).change(AgingRule::new(count)).unwrap_err()
        };
        let user = UserId::random;
        let (on_organisation, on_repository) =
            (|| GrantScope::Organisation(organisation()), || GrantScope::Repository(repository()));
        let refusal = || SwrNaming::new().admit_repository(&RepositoryName::parse("a").unwrap()).unwrap_err();
        vec![
            (E::Unauthorized, "4010000"),
            (E::Denied(Refusal::default()), "4030170"),
            (OrganisationName::parse("A").unwrap_err().into(), "4001028"),
            (RepositoryName::parse("A").unwrap_err().into(), "4001029"),
            (Tag::parse("-").unwrap_err().into(), "4009021"),
            (TriggerName::parse("-").unwrap_err().into(), "4000014"),
            (E::NameReserved(organisation()), "4001028"),
            (E::DescriptionTooLong { limit: 5 }, "4131012"),
            (E::AccountUnknown("acme".into()), "4001041"),
            (E::AccountTaken(account()), "4091041"),
            (E::UserUnknown("x".into()), "4001067"),
            (E::UserTaken(UserName::parse("ada").unwrap()), "4091067"),
            (E::LastOperator, "4091067"),
            (E::KeyUnknown(KeyId::parse("AK").unwrap()), "4040014"),
            (E::KeyQuota { limit: 5 }, "4000097"),
            (E::OrganisationUnknown(organisation()), "4040058"),
            (E::OrganisationTaken(organisation()), "4090060"),
            (E::OrganisationNotEmpty { name: organisation(), repositories: 2 }, "4060074"),
            (E::OrganisationQuota { limit: 5 }, "4000097"),
            (E::RepositoryUnknown(repository()), "4040113"),
            (E::RepositoryTaken(repository()), "4090006"),
            (E::VersionUnknown(tag()), "4040115"),
            (E::VersionTaken(tag()), "4090115"),
            (E::GrantUnknown { scope: on_organisation(), user: user() }, "4040078"),
            (E::GrantUnknown { scope: on_repository(), user: user() }, "4040091"),
            (E::GrantTaken { scope: on_organisation(), user: user() }, "4090076"),
            (E::GrantTaken { scope: on_repository(), user: user() }, "4090089"),
            (E::GrantOneself, "4030170"),
            (E::ShareUnknown(account()), "4001090"),
            (E::ShareTaken(account()), "4091090"),
            (E::ShareQuota { limit: 5 }, "4001090"),
            (E::SharePublic, "4001090"),
            (E::ShareOneself, "4001041"),
            (E::RegionUnknown("x".into()), "5001101"),
            (E::SyncUnknown, "4001158"),
            (E::RuleUnknown, "4040306"),
            (E::RuleTaken, "4000014"),
            (rule_kind().into(), "4000014"),
            (E::TriggerUnknown(trigger()), "4040126"),
            (E::TriggerTaken(trigger()), "4000014"),
            (E::TriggerQuota { limit: 5 }, "4000014"),
            (E::DeliveryUnknown, "4040126"),
            (E::AgencyExists, "4090000"),
            (E::Busy, "4031032"),
            (Error::Unauthorized { needs: Vec::new() }.into(), "4010000"),
            (Error::Denied(Refusal::default()).into(), "4030170"),
            (Error::TagImmutable { tag: tag() }.into(), "4039001"),
            (Error::NameUnknown { repository: repository() }.into(), "4040113"),
            (Error::ManifestUnknown { reference: Reference::Tag(tag()) }.into(), "4040115"),
            (Error::NameInvalid(Tag::parse("-").unwrap_err()).into(), "4009021"),
            (Error::NameRefused(refusal()).into(), "4001029"),
            (Error::TagRefused(refusal()).into(), "4009021"),
            (Error::PreconditionFailed.into(), "4090115"),
            (Error::TooManyRequests { retry_after: None }.into(), "4031032"),
            (Error::UploadBusy.into(), "5001101"),
            (Error::StoreFull(store(StoreErrorKind::Full)).into(), "5071101"),
            (Error::Store(store(StoreErrorKind::Unavailable)).into(), "5031101"),
            (store(StoreErrorKind::Full).into(), "5071101"),
            (store(StoreErrorKind::Unavailable).into(), "5031101"),
            (store(StoreErrorKind::Corrupt).into(), "5001101"),
            (store(StoreErrorKind::Fenced).into(), "5001101"),
            (store(StoreErrorKind::Other).into(), "5001101"),
        ]
    }

    /// Every way in which the door says no, and its code.
    fn other_failures() -> Vec<(ManagementFailure, &'static str)> {
        use ManagementEndpointError as E;
        use ManagementFailure as F;
        let text = || "x".to_owned();
        let level = |on| ValueDefect::Level { value: 2, on };
        vec![
            (E::NoSuchPath.into(), "4040083"),
            (E::Method { allowed: "GET".into() }.into(), "4050083"),
            (E::Encoding.into(), "4000014"),
            (E::Path("frequency").into(), "4000014"),
            (E::Name(Tag::parse("-").unwrap_err()).into(), "4009021"),
            (E::Account(AccountName::parse("-").unwrap_err()).into(), "4001041"),
            (E::User(UserName::parse("-").unwrap_err()).into(), "4001067"),
            (E::Query("twice".into()).into(), "4001025"),
            (E::Parameter("offset").into(), "4001025"),
            (E::Missing("center").into(), "4001014"),
            (E::Filter(FilterError::Pair).into(), "4001035"),
            (E::OrderColumn("size".into()).into(), "4001096"),
            (E::PageSize { most: NonZeroU32::MIN }.into(), "4000056"),
            (BodyDefect::TooLong { limit: 5 }.into(), "4131001"),
            (BodyDefect::Stalled.into(), "4081018"),
            (BodyDefect::Interrupted.into(), "4001018"),
            (BodyDefect::Malformed(text()).into(), "4001018"),
            (BodyDefect::Missing(text()).into(), "4001014"),
            (BodyDefect::Wrong(text()).into(), "4000014"),
            (ValueDefect::Visibility.into(), "4001009"),
            (ValueDefect::Category(text()).into(), "4000014"),
            (level(Granting::Organisation).into(), "4001065"),
            (level(Granting::Repository).into(), "4001066"),
            (ValueDefect::User(text()).into(), "4001067"),
            (ValueDefect::Repeated(text()).into(), "4000014"),
            (ValueDefect::Nobody.into(), "4001014"),
            (ValueDefect::TooMany(5).into(), "4000014"),
            (ValueDefect::Account(text()).into(), "4001041"),
            (ValueDefect::Permit(text()).into(), "4001066"),
            (ValueDefect::Deadline(text()).into(), "4000014"),
            (ValueDefect::Project(text()).into(), "4000014"),
            (ValueDefect::Algorithm(text()).into(), "4000014"),
            (ValueDefect::Rules.into(), "4000014"),
            (ValueDefect::Template(text()).into(), "4000014"),
            (ValueDefect::Params("days").into(), "4000014"),
            (ValueDefect::Limit(AgeDays::new(0).unwrap_err()).into(), "4000014"),
            (ValueDefect::Selector(text()).into(), "4000014"),
            (ValueDefect::TooManySelectors(5).into(), "4000014"),
            (ValueDefect::Pattern(Pattern::regex("(").unwrap_err()).into(), "4000014"),
            (ValueDefect::Action(text()).into(), "4000014"),
            (ValueDefect::TriggerType(text()).into(), "4000014"),
            (ValueDefect::Condition.into(), "4000014"),
            (ValueDefect::Enable(text()).into(), "4000014"),
            (ValueDefect::TriggerMode(text()).into(), "4000014"),
            (ValueDefect::WorkloadKind(text()).into(), "4000014"),
            (ValueDefect::ClusterName { field: "container", text: text() }.into(), "4000014"),
            (ValueDefect::Unwanted { field: "url", action: text() }.into(), "4000014"),
            (ValueDefect::Url.into(), "4000014"),
            (ValueDefect::Secret.into(), "4000014"),
            (ValueDefect::TooLong { field: "cluster_id", limit: 5 }.into(), "4000014"),
            (ValueDefect::NoTag.into(), "4001014"),
            (ValueDefect::TooManyTags(5).into(), "4000014"),
            (ValueDefect::Name(UserName::parse("-").unwrap_err()).into(), "4000014"),
            (ValueDefect::Role(text()).into(), "4000014"),
            (ValueDefect::Password(PasswordError::TooShort).into(), "4000014"),
            (F::Token, "4010000"),
            (F::Busy { retry_after: Duration::ZERO }, "4031032"),
            (F::ForeignProject("x".into()), "4039002"),
            (F::TooSlow, "5031101"),
        ]
    }

    fn document(response: Response<ResponseBody>) -> Value {
        let mut collected = std::pin::pin!(response.into_body().collect());
        let Poll::Ready(body) = collected.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a body of bytes is ready");
        };
        serde_json::from_slice(&body.unwrap().to_bytes()).unwrap()
    }

    #[test]
    fn every_failure_has_its_status_and_code_in_both_generations() {
        let control = control_errors().into_iter().map(|(error, code)| (error.into(), code));
        for (failure, code) in control.chain(other_failures()) {
            let message = failure.to_string();
            let response = error_response(&failure, None, "7");
            assert_eq!(response.status().as_str(), &code[..3], "{failure:?}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(response.headers().contains_key(ALLOW), code == "4050083", "{failure:?}");
            let again = matches!(code, "4031032" | "5031101" | "5071101");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), again, "{failure:?}");
            let document = document(response);
            let code = format!("SVCSTG.SWR.{code}");
            let expected = serde_json::json!({
                "errors": [{ "errorCode": code, "errorMessage": message, "detail": "" }],
                "error_code": code,
                "error_msg": message,
                "details": [{ "error_code": code, "error_msg": message }],
            });
            assert_eq!(document, expected);
            // What went wrong within is for the log alone.
            assert!(!document.to_string().contains("disk"), "{document}");
        }
    }

    #[test]
    fn what_may_not_be_done_has_the_number_of_what_it_is_done_to() {
        for (kind, number) in [
            (Kind::CreateNamespace, "4037017"),
            (Kind::DeleteNamespaceAuth, "4037017"),
            (Kind::CreateRepo, "4037018"),
            (Kind::DeleteRepo, "4037020"),
            (Kind::CreateRepoDomains, "4037020"),
            (Kind::ShowDomainOverview, "4030170"),
        ] {
            let failure = ControlError::Denied(Refusal::default()).into();
            let document = document(error_response(&failure, Some(kind), "7"));
            assert_eq!(document["error_code"], format!("SVCSTG.SWR.{number}"), "{kind:?}");
        }
    }

    #[test]
    fn whoever_is_named_by_an_address_is_not_there_and_by_a_body_is_wrong() {
        for (kind, status) in [(Kind::CreateUser, "404"), (Kind::CreateRepoDomains, "400")] {
            for (error, number) in [
                (ControlError::AccountUnknown("x".into()), 1041),
                (ControlError::UserUnknown("x".into()), 1067),
            ] {
                let document = document(error_response(&error.into(), Some(kind), "7"));
                assert_eq!(document["error_code"], format!("SVCSTG.SWR.{status}{number}"), "{kind:?}");
            }
        }
    }

    #[test]
    fn the_gate_and_the_trail_have_errors_of_their_own() {
        let gate = |failure, kind| document(error_response(&failure, kind, "7"));
        let message = ManagementFailure::Unsigned.to_string();
        let expected = serde_json::json!({
            "error_msg": message, "error_code": "APIGW.0301", "request_id": "7",
        });
        assert_eq!(gate(ManagementFailure::Unsigned, None), expected);
        assert_eq!(gate(ManagementFailure::Unsigned, Some(Kind::ListTraces)), expected);
        let token = gate(ManagementFailure::Token, Some(Kind::ListTraces));
        assert_eq!(token["error_code"], "APIGW.0301");
        let bad = ManagementEndpointError::Trail(Box::new(ManagementEndpointError::Missing("trace_type")));
        let expected = serde_json::json!({
            "error_code": "CTS.0003", "error_msg": "the parameter `trace_type` is required",
        });
        assert_eq!(gate(bad.into(), None), expected);
        for (failure, code) in [
            (ManagementFailure::TooSlow, "CTS.0300"),
            (ManagementFailure::ForeignProject("x".into()), "CTS.0013"),
        ] {
            assert_eq!(gate(failure, Some(Kind::ListTraces))["error_code"], code);
        }
    }
}
