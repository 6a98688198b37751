//! A method, a path and a query, as the operation of the management protocol that they ask for. Pure.

use std::borrow::Cow;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use http::Method;

use swr_core::control::credential::KeyId;
use swr_core::control::identity::{AccountName, PersonNameError, UserName};
use swr_core::control::repository::{Category, Visibility};
use swr_core::control::trace::{Operation, TraceId, TraceRating};
use swr_core::control::trigger::DeliveryId;
use swr_core::ports::{Page, RepositoryList, RepositoryOrder, VersionOrder, VersionQuery};
use swr_core::{NameError, OrganisationName, RepositoryName, Tag, TriggerName};

use super::filter::FilterError;
use super::paging::{ACCESSORIES, LISTS, OffsetPage, REFERENCES, TRACES};
use super::parameters::Parameters;
use crate::endpoint::{EndpointError, Query, segments};

/// Writes down each operation once: what it is called by those who speak the protocol, what its address says, its
/// method, the status that it is answered with when it is done, and its path.
macro_rules! operations {
    ($(
        #[doc = $summary:literal]
        $name:ident { $($field:ident: $type:ty),* } = $method:ident $success:literal $path:literal;
    )*) => {
        /// What a request asks for: one of the operations of the management protocol, with everything that its
        /// address says. They have the names that clients give them.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the names and types of the fields say it")]
        pub enum ManagementEndpoint {
            $(#[doc = $summary] $name { $($field: $type),* },)*
        }

        /// The operations, without what an address says: what a table about all of them has a row for. Whoever
        /// matches on it is told by the compiler of each new one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(clippy::exhaustive_enums, reason = "a table about all operations has to know of a new one")]
        pub enum Kind { $(#[doc = $summary] $name),* }

        impl Kind {
            /// Every operation, in the order of [`ManagementEndpoint`].
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }

        impl ManagementEndpoint {
            /// Which operation it is.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$name { .. } => Kind::$name),* }
            }
        }

        /// Every operation, in the order of [`Kind`].
        pub(super) static ROUTES: &[Route] = &[$(Route {
            kind: Kind::$name,
            name: stringify!($name),
            summary: $summary,
            method: Method::$method,
            path: $path,
            success: $success,
        }),*];
    };
}

operations! {
    /// Creates an organisation for the caller's account.
    CreateNamespace {} = POST 201 "/v2/manage/namespaces";
    /// The organisations that the caller may do something in.
    ListNamespaces { name: Option<Box<str>>, partly: bool } = GET 200 "/v2/manage/namespaces";
    /// An organisation.
    ShowNamespace { organisation: OrganisationName } = GET 200 "/v2/manage/namespaces/{namespace}";
    /// Deletes an organisation that holds no repository.
    DeleteNamespaces { organisation: OrganisationName } = DELETE 204 "/v2/manage/namespaces/{namespace}";
    /// Grants levels in an organisation to users who have none there.
    CreateNamespaceAuth { organisation: OrganisationName } =
        POST 200 "/v2/manage/namespaces/{namespace}/access";
    /// The grants on an organisation.
    ShowNamespaceAuth { organisation: OrganisationName } = GET 200 "/v2/manage/namespaces/{namespace}/access";
    /// Changes the grants of users on an organisation.
    UpdateNamespaceAuth { organisation: OrganisationName } =
        PATCH 201 "/v2/manage/namespaces/{namespace}/access";
    /// Removes the grants of users on an organisation.
    DeleteNamespaceAuth { organisation: OrganisationName } =
        DELETE 204 "/v2/manage/namespaces/{namespace}/access";

    /// Takes in image packages: one, or a form of up to ten. This registry's own.
    UploadImagePackage { organisation: OrganisationName, target: Option<(RepositoryName, Tag)>, files: Option<u64> } =
        POST 200 "/v2/manage/namespaces/{namespace}/packages";
    /// A version as an image package: for `docker load`, and an OCI image layout. This registry's own.
    DownloadImagePackage { repository: RepositoryName, tag: Tag } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/tags/{tag}/package";

    /// Creates an empty repository.
    CreateRepo { organisation: OrganisationName } = POST 200 "/v2/manage/namespaces/{namespace}/repos";
    /// A repository.
    ShowRepository { repository: RepositoryName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}";
    /// Says something else of a repository.
    UpdateRepo { repository: RepositoryName } =
        PATCH 201 "/v2/manage/namespaces/{namespace}/repos/{repository}";
    /// Deletes a repository with its versions.
    DeleteRepo { repository: RepositoryName } =
        DELETE 204 "/v2/manage/namespaces/{namespace}/repos/{repository}";
    /// The repositories of the caller's account that it may pull from.
    ListReposDetails { query: RepositoryFilter, page: OffsetPage } = GET 200 "/v2/manage/repos";
    /// The repositories of the caller's account that it may pull from.
    ListRepoDetails { query: RepositoryFilter, page: Page<i64> } = GET 200 "/v3/manage/repos";
    /// The repositories that the caller's account shares, or that are shared with it.
    ListSharedReposDetails { query: RepositoryFilter, page: OffsetPage } =
        GET 200 "/v2/manage/shared-repositories";
    /// The repositories that the caller's account shares, or that are shared with it.
    ListSharedRepoDetails { query: RepositoryFilter, page: Page<i64> } =
        GET 200 "/v3/manage/shared-repositories";

    /// Grants levels in a repository to users who have none there.
    CreateUserRepositoryAuth { repository: RepositoryName } =
        POST 201 "/v2/manage/namespaces/{namespace}/repos/{repository}/access";
    /// The grants on a repository.
    ShowUserRepositoryAuth { repository: RepositoryName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/access";
    /// Changes the grants of users on a repository.
    UpdateUserRepositoryAuth { repository: RepositoryName } =
        PATCH 201 "/v2/manage/namespaces/{namespace}/repos/{repository}/access";
    /// Removes the grants of users on a repository.
    DeleteUserRepositoryAuth { repository: RepositoryName } =
        DELETE 204 "/v2/manage/namespaces/{namespace}/repos/{repository}/access";

    /// The versions of a repository.
    ListRepositoryTags { repository: RepositoryName, query: VersionQuery } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/tags";
    /// The versions of a repository.
    ListRepositoryTag { repository: RepositoryName, query: VersionQuery, with_manifest: bool } =
        GET 200 "/v3/manage/namespaces/{namespace}/repos/{repository}/tags";
    /// Points a tag to what another one points to.
    CreateRepoTag { repository: RepositoryName } =
        POST 201 "/v2/manage/namespaces/{namespace}/repos/{repository}/tags";
    /// A version.
    ShowRepoTag { repository: RepositoryName, tag: Tag } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/tags/{tag}";
    /// Deletes a version: the tag.
    DeleteRepoTag { repository: RepositoryName, tag: Tag } =
        DELETE 204 "/v2/manage/namespaces/{namespace}/repos/{repository}/tags/{tag}";
    /// The tags of what a signature signs.
    ListReferences { repository: RepositoryName, tag: Tag, page: Page<Tag> } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/{tag}/references";
    /// What is attached to an image.
    ListRepoAccessories { repository: RepositoryName, tag: Tag, page: OffsetPage } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/{tag}/accessories";

    /// Lets the users of another account pull from a private repository.
    CreateRepoDomains { repository: RepositoryName } =
        POST 201 "/v2/manage/namespaces/{namespace}/repositories/{repository}/access-domains";
    /// The accounts that a repository is shared with.
    ListRepoDomains { repository: RepositoryName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repositories/{repository}/access-domains";
    /// Whether and how a repository is shared with an account.
    ShowAccessDomain { repository: RepositoryName, account: AccountName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repositories/{repository}/access-domains/{access_domain}";
    /// Changes until when a repository is shared with an account.
    UpdateRepoDomains { repository: RepositoryName, account: AccountName } =
        PATCH 201 "/v2/manage/namespaces/{namespace}/repositories/{repository}/access-domains/{access_domain}";
    /// Ends sharing a repository with an account.
    DeleteRepoDomains { repository: RepositoryName, account: AccountName } =
        DELETE 204 "/v2/manage/namespaces/{namespace}/repositories/{repository}/access-domains/{access_domain}";

    /// Sets the aging rule of a repository.
    CreateRetention { repository: RepositoryName } =
        POST 201 "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions";
    /// The aging rule of a repository.
    ListRetentions { repository: RepositoryName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions";
    /// What an aging rule would do with each version now. This registry's own.
    PlanRetention { repository: RepositoryName, page: OffsetPage } =
        POST 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions/plan";
    /// What the aging rule of a repository has removed.
    ListRetentionHistories { repository: RepositoryName, page: OffsetPage } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions/histories";
    /// An aging rule.
    ShowRetention { repository: RepositoryName, id: u64 } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions/{retention_id}";
    /// Changes the values of an aging rule.
    UpdateRetention { repository: RepositoryName, id: u64 } =
        PATCH 201 "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions/{retention_id}";
    /// Removes an aging rule.
    DeleteRetention { repository: RepositoryName, id: u64 } =
        DELETE 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/retentions/{retention_id}";

    /// Adds a trigger to a repository.
    CreateTrigger { repository: RepositoryName } =
        POST 201 "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers";
    /// The triggers of a repository.
    ListTriggersDetails { repository: RepositoryName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers";
    /// A trigger and its history.
    ShowTrigger { repository: RepositoryName, trigger: TriggerName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers/{trigger}";
    /// Enables or disables a trigger.
    UpdateTrigger { repository: RepositoryName, trigger: TriggerName } =
        PATCH 201 "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers/{trigger}";
    /// Removes a trigger.
    DeleteTrigger { repository: RepositoryName, trigger: TriggerName } =
        DELETE 204 "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers/{trigger}";
    /// The versions that have fired a trigger, newest first, and what became of each. This registry's own.
    ListTriggerDeliveries { repository: RepositoryName, trigger: TriggerName, limit: NonZeroU32 } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers/{trigger}/deliveries";
    /// Tries again what a trigger has given up. This registry's own.
    ReplayTriggerDelivery { repository: RepositoryName, trigger: TriggerName, delivery: DeliveryId } = POST 202
        "/v2/manage/namespaces/{namespace}/repos/{repository}/triggers/{trigger}/deliveries/{delivery_id}/replay";

    /// Copies new versions of a repository to another region.
    CreateImageSyncRepo { repository: RepositoryName } =
        POST 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/sync_repo";
    /// Where the versions of a repository are copied to.
    ListImageAutoSyncReposDetails { repository: RepositoryName } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/sync_repo";
    /// No longer copies versions of a repository to another region.
    DeleteImageSyncRepo { repository: RepositoryName } =
        DELETE 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/sync_repo";
    /// Copies versions of a repository to another region, once.
    CreateManualImageSyncRepo { repository: RepositoryName } =
        POST 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/sync_images";
    /// How copying the versions of a repository goes on.
    ShowSyncJob { repository: RepositoryName, descending: bool, page: OffsetPage } =
        GET 200 "/v2/manage/namespaces/{namespace}/repos/{repository}/sync_job";
    /// The regions that versions can be copied to.
    ListSyncRegions {} = GET 200 "/v2/manage/regions";

    /// Makes a login that ends by itself.
    CreateSecret { project: Option<Box<str>>, seconds: Option<u32> } = POST 200 "/v2/manage/utils/secret";
    /// Makes a login that ends by itself, as late as this registry lets it.
    CreateAuthorizationToken {} = POST 200 "/v2/manage/utils/authorizationtoken";

    /// How many organisations the caller has created, and how many it may.
    ListQuotas { project: Box<str> } = GET 200 "/v2/manage/projects/{project_id}/quotas";
    /// What this registry offers.
    ShowShareFeatureGates { project: Box<str> } = GET 200 "/v2/manage/projects/{project_id}/feature-gates";
    /// What the caller's account has.
    ShowDomainOverview {} = GET 200 "/v2/manage/overview";
    /// How much the caller's account has stored or was pulled from, by date.
    ShowDomainResourceReports { report: Report, frequency: Frequency } =
        GET 200 "/v2/manage/reports/{resource_type}/{frequency}";
    /// Whether the caller's account lets the registry act for it.
    CheckAgency {} = GET 200 "/v2/manage/agency";
    /// Lets the registry act for the caller's account.
    CreateAgency {} = POST 204 "/v2/manage/agency";

    /// Adds an account.
    CreateAccount {} = POST 201 "/admin/v1/accounts";
    /// The accounts of the deployment.
    ListAccounts { page: Page<AccountName> } = GET 200 "/admin/v1/accounts";
    /// An account.
    ShowAccount { account: AccountName } = GET 200 "/admin/v1/accounts/{account}";
    /// Adds a user to an account.
    CreateUser { account: AccountName } = POST 201 "/admin/v1/accounts/{account}/users";
    /// The users of an account.
    ListUsers { account: AccountName, page: Page<UserName> } = GET 200 "/admin/v1/accounts/{account}/users";
    /// A user.
    ShowUser { account: AccountName, user: UserName } = GET 200 "/admin/v1/accounts/{account}/users/{user}";
    /// Removes a user with its keys and grants.
    DeleteUser { account: AccountName, user: UserName } =
        DELETE 204 "/admin/v1/accounts/{account}/users/{user}";
    /// Changes what a user may do beside its grants.
    UpdateUserRole { account: AccountName, user: UserName } =
        PUT 204 "/admin/v1/accounts/{account}/users/{user}/role";
    /// Changes a user's password, or takes it away.
    UpdateUserPassword { account: AccountName, user: UserName } =
        PUT 204 "/admin/v1/accounts/{account}/users/{user}/password";
    /// Gives a user an access key, and shows its secret.
    CreateAccessKey { account: AccountName, user: UserName } =
        POST 201 "/admin/v1/accounts/{account}/users/{user}/access-keys";
    /// The access keys of a user.
    ListAccessKeys { account: AccountName, user: UserName } =
        GET 200 "/admin/v1/accounts/{account}/users/{user}/access-keys";
    /// Deletes an access key of a user.
    DeleteAccessKey { account: AccountName, user: UserName, key: KeyId } =
        DELETE 204 "/admin/v1/accounts/{account}/users/{user}/access-keys/{access_key_id}";
    /// Signs tokens with a new key from now on.
    CreateTokenKey {} = POST 201 "/admin/v1/token-keys";
    /// The keys of tokens.
    ListTokenKeys {} = GET 200 "/admin/v1/token-keys";
    /// No longer takes the tokens that were signed with a key.
    DeleteTokenKey { key: KeyId } = DELETE 204 "/admin/v1/token-keys/{token_key_id}";

    /// The audit trail of the caller's account.
    ListTraces { project: Box<str>, query: TraceFilter, limit: NonZeroU32 } =
        GET 200 "/v3/{project_id}/traces";

    /// This document.
    ShowDocument {} = GET 200 "/v2/manage/openapi.json";
}

/// An operation's row in the table.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) kind: Kind,
    /// What clients call it.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) method: Method,
    /// Its path; `{…}` stands for what the address says.
    pub(super) path: &'static str,
    /// The status when it is done.
    pub(super) success: u16,
}

impl Kind {
    pub(super) fn route(self) -> &'static Route {
        &ROUTES[self as usize]
    }

    /// Whether it is of the protocol of the audit trail, which has errors of its own.
    pub(super) const fn is_of_trail(self) -> bool {
        matches!(self, Self::ListTraces)
    }

    /// Whether it is one of the administration of accounts, users and keys.
    pub(super) fn is_of_administration(self) -> bool {
        self.route().path.starts_with("/admin/")
    }
}

/// Which repositories a list is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is taken apart where the list is made")]
pub struct RepositoryFilter {
    /// Of which list.
    pub list: RepositoryList,
    /// A part of the organisation's name.
    pub organisation: Option<Box<str>>,
    /// A part of what comes after the organisation in the repository's name.
    pub name: Option<Box<str>>,
    /// The account that owns them.
    pub account: Option<AccountName>,
    /// What kind of thing they hold.
    pub category: Option<Category>,
    /// Who may pull without a grant.
    pub visibility: Option<Visibility>,
    /// In which order.
    pub order: RepositoryOrder,
    /// Backwards.
    pub descending: bool,
}

/// Which traces are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is taken apart where the trail is asked")]
pub struct TraceFilter {
    /// Something is asked for that no trace here has.
    pub matches_none: bool,
    /// Only this one.
    pub id: Option<TraceId>,
    /// Only what a user of this name did.
    pub user: Option<Box<str>>,
    /// Only this operation.
    pub operation: Option<Operation>,
    /// Only resources of this type.
    pub resource_type: Option<Box<str>>,
    /// Only the resource of this id.
    pub resource_id: Option<Box<str>>,
    /// Only resources of this name.
    pub resource_name: Option<Box<str>>,
    /// Only this rating.
    pub rating: Option<TraceRating>,
    /// After the first of these times, and at the second or before. The last hour when it is not said.
    pub times: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Only what was recorded before this one.
    pub before: Option<TraceId>,
}

/// What is reported on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows both")]
pub enum Report {
    /// What went out.
    Downflow,
    /// What is stored.
    Store,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows both")]
pub enum Frequency {
    /// Each day.
    Daily,
    /// Each month.
    Monthly,
}

type Defect = ManagementEndpointError;

impl ManagementEndpoint {
    /// Reads an address. The path and the query are taken as they were sent: percent-encoding is undone here,
    /// once, after the path was cut at its slashes. In a repository's name `$` stands for `/`, which clients may
    /// write as `%24` or `%2F` as well.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, ManagementEndpointError> {
        let segments = segments(path)?;
        let fitting = ROUTES.iter().filter_map(|route| Some((route, Values::of(route.path, &segments)?)));
        // Of a word and a place for any word, the word is meant, the first that differs deciding.
        let (fitting, values) =
            fitting.max_by_key(|(route, _)| words(route.path)).ok_or(Defect::NoSuchPath)?;
        let mut here = ROUTES.iter().filter(|route| route.path == fitting.path);
        let Some(route) = here.clone().find(|route| route.method == *method) else {
            let methods: Vec<&str> = here.by_ref().map(|route| route.method.as_str()).collect();
            return Err(Defect::Method { allowed: methods.join(", ").into() });
        };
        let query = Query::parse(query.unwrap_or_default())?;
        let endpoint = endpoint(route.kind, &values, &query);
        endpoint.map_err(|defect| match route.kind.is_of_trail() {
            true => Defect::Trail(Box::new(defect)),
            false => defect,
        })
    }

    /// What clients call the operation: one of a few words, for metrics and logs.
    pub fn name(&self) -> &'static str {
        self.kind().route().name
    }
}

/// Which parts of a path are words.
fn words(path: &str) -> Vec<bool> {
    path.split('/').map(|part| !part.starts_with('{')).collect()
}

/// What stands in an address where its path has `{…}`.
struct Values<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Values<'a> {
    /// `None` when the path is another.
    fn of(path: &'static str, segments: &'a [Cow<'_, str>]) -> Option<Self> {
        let parts = path.trim_start_matches('/').split('/');
        if parts.clone().count() != segments.len() {
            return None;
        }
        let mut values = Vec::new();
        for (part, segment) in parts.zip(segments) {
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(_) if segment.is_empty() => return None,
                Some(name) => values.push((name, &**segment)),
                None if part == segment => {}
                None => return None,
            }
        }
        Some(Self(values))
    }

    fn text(&self, name: &str) -> &'a str {
        self.0.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }

    fn organisation(&self) -> Result<OrganisationName, Defect> {
        Ok(OrganisationName::parse(self.text("namespace"))?)
    }

    fn repository(&self) -> Result<RepositoryName, Defect> {
        let within = self.text("repository").replace('$', "/");
        Ok(RepositoryName::parse(&format!("{}/{within}", self.organisation()?))?)
    }

    fn tag(&self) -> Result<Tag, Defect> {
        Ok(Tag::parse(self.text("tag"))?)
    }

    fn trigger(&self) -> Result<TriggerName, Defect> {
        Ok(TriggerName::parse(self.text("trigger"))?)
    }

    fn sharing_account(&self) -> Result<AccountName, Defect> {
        Ok(AccountName::parse(self.text("access_domain"))?)
    }

    fn account(&self) -> Result<AccountName, Defect> {
        Ok(AccountName::parse(self.text("account"))?)
    }

    fn user(&self) -> Result<UserName, Defect> {
        UserName::parse(self.text("user")).map_err(Defect::User)
    }

    fn key(&self, part: &'static str) -> Result<KeyId, Defect> {
        KeyId::parse(self.text(part)).map_err(|_| Defect::Path(part))
    }

    fn retention(&self) -> Result<u64, Defect> {
        let text = self.text("retention_id");
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten().ok_or(Defect::Path("retention_id"))
    }

    fn project(&self) -> Box<str> {
        self.text("project_id").into()
    }
}

/// The one place where an operation gets what its address says.
fn endpoint(kind: Kind, path: &Values<'_>, query: &Query<'_>) -> Result<ManagementEndpoint, Defect> {
    use ManagementEndpoint as E;
    let plain = Parameters::plain(query);
    Ok(match kind {
        Kind::CreateNamespace => E::CreateNamespace {},
        Kind::ListNamespaces => {
            let query = Parameters::filtered(query, &["namespace", "mode"])?;
            let partly = match query.wanted("mode")? {
                None => false,
                Some("visible") => true,
                Some(_) => return Err(Defect::Parameter("mode")),
            };
            E::ListNamespaces { name: query.wanted_text("namespace")?, partly }
        }
        Kind::ShowNamespace => E::ShowNamespace { organisation: path.organisation()? },
        Kind::DeleteNamespaces => E::DeleteNamespaces { organisation: path.organisation()? },
        Kind::CreateNamespaceAuth => E::CreateNamespaceAuth { organisation: path.organisation()? },
        Kind::ShowNamespaceAuth => E::ShowNamespaceAuth { organisation: path.organisation()? },
        Kind::UpdateNamespaceAuth => E::UpdateNamespaceAuth { organisation: path.organisation()? },
        Kind::DeleteNamespaceAuth => E::DeleteNamespaceAuth { organisation: path.organisation()? },

        Kind::UploadImagePackage => {
            let organisation = path.organisation()?;
            let target = target(&organisation, &plain)?;
            E::UploadImagePackage { organisation, target, files: plain.number("files")? }
        }
        Kind::DownloadImagePackage => {
            E::DownloadImagePackage { repository: path.repository()?, tag: path.tag()? }
        }

        Kind::CreateRepo => E::CreateRepo { organisation: path.organisation()? },
        Kind::ShowRepository => E::ShowRepository { repository: path.repository()? },
        Kind::UpdateRepo => E::UpdateRepo { repository: path.repository()? },
        Kind::DeleteRepo => E::DeleteRepo { repository: path.repository()? },
        Kind::ListReposDetails => {
            let query = Parameters::filtered(query, &REPOSITORY_KEYS)?;
            E::ListReposDetails {
                query: repositories(&query, RepositoryList::Own, &REPOSITORY_COLUMNS)?,
                page: query.offset_page(LISTS)?,
            }
        }
        Kind::ListRepoDetails => E::ListRepoDetails {
            query: by_identity(repositories(&plain, RepositoryList::Own, &[])?),
            page: identity_page(&plain)?,
        },
        Kind::ListSharedReposDetails => {
            let query = Parameters::filtered(query, &SHARED_KEYS)?;
            E::ListSharedReposDetails {
                query: repositories(&query, shared(&query, "center")?, &SHARED_COLUMNS)?,
                page: query.offset_page(LISTS)?,
            }
        }
        Kind::ListSharedRepoDetails => E::ListSharedRepoDetails {
            query: by_identity(repositories(&plain, shared(&plain, "shared_by")?, &[])?),
            page: identity_page(&plain)?,
        },

        Kind::CreateUserRepositoryAuth => E::CreateUserRepositoryAuth { repository: path.repository()? },
        Kind::ShowUserRepositoryAuth => E::ShowUserRepositoryAuth { repository: path.repository()? },
        Kind::UpdateUserRepositoryAuth => E::UpdateUserRepositoryAuth { repository: path.repository()? },
        Kind::DeleteUserRepositoryAuth => E::DeleteUserRepositoryAuth { repository: path.repository()? },

        Kind::ListRepositoryTags => {
            let query = Parameters::filtered(query, &TAG_KEYS)?;
            let page = query.offset_page(LISTS)?;
            E::ListRepositoryTags { repository: path.repository()?, query: versions(&query, page)? }
        }
        Kind::ListRepositoryTag => E::ListRepositoryTag {
            repository: path.repository()?,
            query: versions_after(&plain)?,
            with_manifest: plain.boolean("with_manifest")?.unwrap_or(false),
        },
        Kind::CreateRepoTag => E::CreateRepoTag { repository: path.repository()? },
        Kind::ShowRepoTag => E::ShowRepoTag { repository: path.repository()?, tag: path.tag()? },
        Kind::DeleteRepoTag => E::DeleteRepoTag { repository: path.repository()?, tag: path.tag()? },
        Kind::ListReferences => E::ListReferences {
            repository: path.repository()?,
            tag: path.tag()?,
            page: Page { after: tag_marker(&plain)?, limit: plain.limit(REFERENCES)? },
        },
        Kind::ListRepoAccessories => E::ListRepoAccessories {
            repository: path.repository()?,
            tag: path.tag()?,
            page: plain.offset_page(ACCESSORIES)?,
        },

        Kind::CreateRepoDomains => E::CreateRepoDomains { repository: path.repository()? },
        Kind::ListRepoDomains => E::ListRepoDomains { repository: path.repository()? },
        Kind::ShowAccessDomain => {
            E::ShowAccessDomain { repository: path.repository()?, account: path.sharing_account()? }
        }
        Kind::UpdateRepoDomains => {
            E::UpdateRepoDomains { repository: path.repository()?, account: path.sharing_account()? }
        }
        Kind::DeleteRepoDomains => {
            E::DeleteRepoDomains { repository: path.repository()?, account: path.sharing_account()? }
        }

        Kind::CreateRetention => E::CreateRetention { repository: path.repository()? },
        Kind::ListRetentions => E::ListRetentions { repository: path.repository()? },
        Kind::ListRetentionHistories => {
            let query = Parameters::filtered(query, &["limit", "offset"])?;
            E::ListRetentionHistories { repository: path.repository()?, page: query.offset_page(LISTS)? }
        }
        Kind::PlanRetention => {
            E::PlanRetention { repository: path.repository()?, page: plain.offset_page(LISTS)? }
        }
        Kind::ShowRetention => E::ShowRetention { repository: path.repository()?, id: path.retention()? },
        Kind::UpdateRetention => E::UpdateRetention { repository: path.repository()?, id: path.retention()? },
        Kind::DeleteRetention => E::DeleteRetention { repository: path.repository()?, id: path.retention()? },

        Kind::CreateTrigger => E::CreateTrigger { repository: path.repository()? },
        Kind::ListTriggersDetails => E::ListTriggersDetails { repository: path.repository()? },
        Kind::ShowTrigger => E::ShowTrigger { repository: path.repository()?, trigger: path.trigger()? },
        Kind::UpdateTrigger => E::UpdateTrigger { repository: path.repository()?, trigger: path.trigger()? },
        Kind::DeleteTrigger => E::DeleteTrigger { repository: path.repository()?, trigger: path.trigger()? },

        Kind::ListTriggerDeliveries => E::ListTriggerDeliveries {
            repository: path.repository()?,
            trigger: path.trigger()?,
            limit: plain.limit(LISTS)?,
        },
        Kind::ReplayTriggerDelivery => E::ReplayTriggerDelivery {
            repository: path.repository()?,
            trigger: path.trigger()?,
            delivery: DeliveryId::new(path.text("delivery_id")),
        },

        Kind::CreateImageSyncRepo => E::CreateImageSyncRepo { repository: path.repository()? },
        Kind::ListImageAutoSyncReposDetails => {
            E::ListImageAutoSyncReposDetails { repository: path.repository()? }
        }
        Kind::DeleteImageSyncRepo => E::DeleteImageSyncRepo { repository: path.repository()? },
        Kind::CreateManualImageSyncRepo => E::CreateManualImageSyncRepo { repository: path.repository()? },
        Kind::ShowSyncJob => {
            let query = Parameters::filtered(query, &["limit", "offset", "order"])?;
            if !query.has_filter() {
                return Err(Defect::Missing("filter"));
            }
            for key in ["limit", "offset"] {
                query.wanted(key)?.ok_or(Defect::Missing(key))?;
            }
            let descending = match query.wanted("order")? {
                None | Some("desc") => true,
                Some("asc") => false,
                Some(_) => return Err(Defect::Parameter("order")),
            };
            E::ShowSyncJob { repository: path.repository()?, descending, page: query.offset_page(LISTS)? }
        }
        Kind::ListSyncRegions => E::ListSyncRegions {},

        Kind::CreateSecret => E::CreateSecret {
            project: plain.wanted_text("projectname")?,
            seconds: plain
                .number("duration_seconds")?
                .map(|seconds| {
                    let seconds = u32::try_from(seconds).ok().filter(|seconds| DURATIONS.contains(seconds));
                    seconds.ok_or(Defect::Parameter("duration_seconds"))
                })
                .transpose()?,
        },
        Kind::CreateAuthorizationToken => E::CreateAuthorizationToken {},

        Kind::ListQuotas => E::ListQuotas { project: path.project() },
        Kind::ShowShareFeatureGates => E::ShowShareFeatureGates { project: path.project() },
        Kind::ShowDomainOverview => E::ShowDomainOverview {},
        Kind::ShowDomainResourceReports => E::ShowDomainResourceReports {
            report: match path.text("resource_type") {
                "downflow" => Report::Downflow,
                "store" => Report::Store,
                _ => return Err(Defect::Path("resource_type")),
            },
            frequency: match path.text("frequency") {
                "daily" => Frequency::Daily,
                "monthly" => Frequency::Monthly,
                _ => return Err(Defect::Path("frequency")),
            },
        },
        Kind::CheckAgency => E::CheckAgency {},
        Kind::CreateAgency => E::CreateAgency {},

        Kind::CreateAccount => E::CreateAccount {},
        Kind::ListAccounts => E::ListAccounts { page: name_page(&plain, AccountName::parse)? },
        Kind::ShowAccount => E::ShowAccount { account: path.account()? },
        Kind::CreateUser => E::CreateUser { account: path.account()? },
        Kind::ListUsers => {
            E::ListUsers { account: path.account()?, page: name_page(&plain, UserName::parse)? }
        }
        Kind::ShowUser => E::ShowUser { account: path.account()?, user: path.user()? },
        Kind::DeleteUser => E::DeleteUser { account: path.account()?, user: path.user()? },
        Kind::UpdateUserRole => E::UpdateUserRole { account: path.account()?, user: path.user()? },
        Kind::UpdateUserPassword => E::UpdateUserPassword { account: path.account()?, user: path.user()? },
        Kind::CreateAccessKey => E::CreateAccessKey { account: path.account()?, user: path.user()? },
        Kind::ListAccessKeys => E::ListAccessKeys { account: path.account()?, user: path.user()? },
        Kind::DeleteAccessKey => E::DeleteAccessKey {
            account: path.account()?,
            user: path.user()?,
            key: path.key("access_key_id")?,
        },
        Kind::CreateTokenKey => E::CreateTokenKey {},
        Kind::ListTokenKeys => E::ListTokenKeys {},
        Kind::DeleteTokenKey => E::DeleteTokenKey { key: path.key("token_key_id")? },

        Kind::ListTraces => {
            E::ListTraces { project: path.project(), query: traces(&plain)?, limit: plain.limit(TRACES)? }
        }
        Kind::ShowDocument => E::ShowDocument {},
    })
}

/// The version that the one image of a package is to become: with the tag `latest` where none is named.
fn target(
    organisation: &OrganisationName,
    query: &Parameters<'_>,
) -> Result<Option<(RepositoryName, Tag)>, Defect> {
    let tag = query.wanted("tag")?;
    let Some(within) = query.wanted("repository")? else {
        return if tag.is_some() { Err(Defect::Missing("repository")) } else { Ok(None) };
    };
    let repository = RepositoryName::parse(&format!("{organisation}/{}", within.replace('$', "/")))?;
    Ok(Some((repository, Tag::parse(tag.unwrap_or("latest"))?)))
}

/// How long a login that ends by itself may last, in seconds.
const DURATIONS: std::ops::RangeInclusive<u32> = 900..=86_400;

const REPOSITORY_KEYS: [&str; 8] =
    ["namespace", "name", "category", "is_public", "limit", "offset", "order_column", "order_type"];
const SHARED_KEYS: [&str; 7] =
    ["center", "namespace", "name", "limit", "offset", "order_column", "order_type"];
const TAG_KEYS: [&str; 5] = ["tag", "limit", "offset", "order_column", "order_type"];

const REPOSITORY_COLUMNS: [(&str, RepositoryOrder); 6] = [
    ("updated_at", RepositoryOrder::Updated),
    ("updated_time", RepositoryOrder::Updated),
    ("name", RepositoryOrder::Name),
    ("tag_count", RepositoryOrder::Versions),
    ("namespace", RepositoryOrder::Organisation),
    ("is_public", RepositoryOrder::Visibility),
];
const SHARED_COLUMNS: [(&str, RepositoryOrder); 6] = [
    ("updated_at", RepositoryOrder::Updated),
    ("updated_time", RepositoryOrder::Updated),
    ("name", RepositoryOrder::Name),
    ("tag_count", RepositoryOrder::Versions),
    ("namespace", RepositoryOrder::Organisation),
    ("domain_name", RepositoryOrder::Account),
];
const TAG_COLUMNS: [(&str, VersionOrder); 2] =
    [("updated_at", VersionOrder::Updated), ("tag", VersionOrder::Tag)];

fn repositories(
    query: &Parameters<'_>,
    list: RepositoryList,
    columns: &[(&str, RepositoryOrder)],
) -> Result<RepositoryFilter, Defect> {
    let (order, descending) = match columns {
        [] => (RepositoryOrder::default(), false),
        columns => query.order(columns)?,
    };
    Ok(RepositoryFilter {
        list,
        organisation: query.wanted_text("namespace")?,
        name: query.wanted("name")?.map(|name| name.replace('$', "/").into()),
        account: match list {
            RepositoryList::SharedByUs | RepositoryList::SharedWithUs { .. } => {
                query.account("domain_name")?
            }
            RepositoryList::Own => None,
        },
        category: query.category()?,
        visibility: query.visibility()?,
        order,
        descending,
    })
}

fn by_identity(filter: RepositoryFilter) -> RepositoryFilter {
    RepositoryFilter { order: RepositoryOrder::Identity, descending: false, ..filter }
}

fn shared(query: &Parameters<'_>, key: &'static str) -> Result<RepositoryList, Defect> {
    match query.setting(key)? {
        None => Err(Defect::Missing(key)),
        Some("self") => Ok(RepositoryList::SharedByUs),
        Some("thirdparty") => Ok(RepositoryList::SharedWithUs { valid: query.boolean("status")? }),
        Some(_) => Err(Defect::Parameter(key)),
    }
}

fn identity_page(query: &Parameters<'_>) -> Result<Page<i64>, Defect> {
    let marker = query.number("marker")?.map(i64::try_from);
    let after = marker.transpose().map_err(|_| Defect::Parameter("marker"))?;
    Ok(Page { after, limit: query.limit(LISTS)? })
}

/// The marker of a list in the order of its names is the last name.
fn name_page<N, E>(query: &Parameters<'_>, parse: impl Fn(&str) -> Result<N, E>) -> Result<Page<N>, Defect> {
    let marker = query.setting("marker")?.map(parse).transpose();
    Ok(Page { after: marker.map_err(|_| Defect::Parameter("marker"))?, limit: query.limit(LISTS)? })
}

fn versions(query: &Parameters<'_>, page: OffsetPage) -> Result<VersionQuery, Defect> {
    let (order, descending) = query.order(&TAG_COLUMNS)?;
    let OffsetPage { offset, limit } = page;
    let tag = query.wanted_text("tag")?;
    Ok(VersionQuery { tag, exactly: None, after: None, order, descending, offset, limit })
}

/// The marker of a list in the order of its tags is the last tag; of one in another order, how many there were
/// before.
fn versions_after(query: &Parameters<'_>) -> Result<VersionQuery, Defect> {
    let page = OffsetPage { offset: 0, limit: query.limit(LISTS)? };
    let versions = versions(query, page)?;
    Ok(match versions.order {
        VersionOrder::Tag => VersionQuery { after: tag_marker(query)?, ..versions },
        VersionOrder::Updated => VersionQuery { offset: query.number("marker")?.unwrap_or(0), ..versions },
    })
}

fn tag_marker(query: &Parameters<'_>) -> Result<Option<Tag>, Defect> {
    let marker = query.setting("marker")?;
    marker.map(|text| Tag::parse(text).map_err(|_| Defect::Parameter("marker"))).transpose()
}

fn traces(query: &Parameters<'_>) -> Result<TraceFilter, Defect> {
    let text = |key| query.wanted_text(key);
    let is = |key, value| Ok::<_, Defect>(query.wanted(key)?.is_none_or(|found| found == value));
    let of_system = match query.wanted("trace_type")? {
        None => return Err(Defect::Missing("trace_type")),
        Some("system") => true,
        Some("data") => false,
        Some(_) => return Err(Defect::Parameter("trace_type")),
    };
    if let Some(id) = query.wanted("trace_id")? {
        return Ok(TraceFilter { id: Some(TraceId::new(id)), ..TraceFilter::default() });
    }
    let name = query.wanted("trace_name")?;
    let operation = name.and_then(Operation::parse);
    let rating = query
        .wanted("trace_rating")?
        .map(|text| TraceRating::parse(text).ok_or(Defect::Parameter("trace_rating")))
        .transpose()?;
    // There is one tracker and one service, and nobody signs as an enterprise project.
    let is_here = of_system
        && name.is_some() == operation.is_some()
        && is("tracker_name", "system")?
        && is("service_type", "SWR")?
        && query.wanted("access_key_id")?.is_none()
        && query.wanted("enterprise_project_id")?.is_none();
    Ok(TraceFilter {
        matches_none: !is_here,
        id: None,
        user: text("user")?,
        operation,
        resource_type: text("resource_type")?,
        resource_id: text("resource_id")?,
        resource_name: text("resource_name")?,
        rating,
        times: match (milliseconds(query, "from")?, milliseconds(query, "to")?) {
            (None, None) => None,
            (Some(from), Some(to)) if from <= to => Some((from, to)),
            (Some(_), Some(_)) => return Err(Defect::Parameter("from")),
            (None, Some(_)) => return Err(Defect::Missing("from")),
            (Some(_), None) => return Err(Defect::Missing("to")),
        },
        before: query.setting("next")?.map(TraceId::new),
    })
}

fn milliseconds(query: &Parameters<'_>, key: &'static str) -> Result<Option<DateTime<Utc>>, Defect> {
    let Some(number) = query.number(key)? else { return Ok(None) };
    let time = i64::try_from(number).ok().and_then(DateTime::from_timestamp_millis);
    time.map(Some).ok_or(Defect::Parameter(key))
}

/// Why an address is none of the management protocol's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagementEndpointError {
    /// There is nothing at the path.
    #[error("there is nothing at this path")]
    NoSuchPath,
    /// The method is none that the path knows.
    #[error("this path knows the methods {allowed}")]
    Method {
        /// Those that it knows, as `Allow` has them.
        allowed: Box<str>,
    },
    /// The percent-encoding of the path or the query is broken, or hides what is no UTF-8.
    #[error("the address is not percent-encoded UTF-8")]
    Encoding,
    /// A name in the path is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name of an account in the path is none.
    #[error(transparent)]
    Account(#[from] PersonNameError),
    /// The name of a user in the path is none.
    #[error(transparent)]
    User(PersonNameError),
    /// A part of the path has no such value.
    #[error("the `{0}` in the path is invalid")]
    Path(&'static str),
    /// A parameter makes no sense, for this reason.
    #[error("{0}")]
    Query(Cow<'static, str>),
    /// A parameter has no such value.
    #[error("the parameter `{0}` is invalid")]
    Parameter(&'static str),
    /// A parameter is not given.
    #[error("the parameter `{0}` is required")]
    Missing(&'static str),
    /// The filter is none of this list's.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The list has no such column to be ordered by.
    #[error("the list is not ordered by `{0}`")]
    OrderColumn(Box<str>),
    /// A page has fewer or more entries than it may.
    #[error("`limit` is a number from 1 to {most}")]
    PageSize {
        /// How many it may have.
        most: NonZeroU32,
    },
    /// The address is one of the audit trail.
    #[error(transparent)]
    Trail(Box<ManagementEndpointError>),
}

impl From<EndpointError> for ManagementEndpointError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Query(why) => Self::Query(why),
            EndpointError::NoSuchPath => Self::NoSuchPath,
            _ => Self::Encoding,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn parse(method: &Method, address: &str) -> Result<ManagementEndpoint, ManagementEndpointError> {
        match address.split_once('?') {
            Some((path, query)) => ManagementEndpoint::parse(method, path, Some(query)),
            None => ManagementEndpoint::parse(method, address, None),
        }
    }

    fn get(address: &str) -> Result<ManagementEndpoint, ManagementEndpointError> {
        parse(&Method::GET, address)
    }

    /// An address of the operation, with what it cannot do without.
    pub(in super::super) fn example(route: &Route) -> String {
        let path = route.path.replace("{retention_id}", "7").replace("{resource_type}", "store");
        let path =
            path.replace("{frequency}", "daily").replace("{tag}", "v1").replace("{access_domain}", "Acme");
        let path = path.replace("{access_key_id}", "AK").replace("{token_key_id}", "AK");
        let path = path.replace(['{', '}'], "");
        match route.kind {
            Kind::ListSharedReposDetails => format!("{path}?center=self"),
            Kind::ListSharedRepoDetails => format!("{path}?shared_by=self"),
            Kind::ShowSyncJob => format!("{path}?filter=limit%3A%3A10%7Coffset%3A%3A0"),
            Kind::ListTraces => format!("{path}?trace_type=system"),
            _ => path,
        }
    }

    fn organisation() -> OrganisationName {
        OrganisationName::parse("group").unwrap()
    }

    fn repository(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    #[test]
    fn every_row_leads_to_its_operation() {
        for route in ROUTES {
            let address = example(route);
            let endpoint =
                parse(&route.method, &address).unwrap_or_else(|error| panic!("{address}: {error}"));
            assert_eq!(endpoint.kind(), route.kind, "{} {address}", route.method);
            assert_eq!(endpoint.name(), route.name);
            assert_eq!(ROUTES[route.kind as usize].kind, route.kind);
        }
        assert_eq!(ROUTES.len(), 79);
    }

    #[test]
    fn a_path_knows_its_methods_and_no_others() {
        for route in ROUTES {
            for method in
                [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::HEAD]
            {
                let is_row = ROUTES.iter().any(|row| row.path == route.path && row.method == method);
                let parsed = parse(&method, &example(route));
                match parsed {
                    Err(ManagementEndpointError::Method { allowed }) => {
                        assert!(!is_row, "{method} {}", route.path);
                        assert!(allowed.split(", ").any(|allowed| allowed == route.method.as_str()));
                    }
                    _ => assert!(is_row, "{method} {}", route.path),
                }
            }
        }
    }

    #[test]
    fn a_slash_in_a_repository_is_written_as_clients_write_it() {
        for written in ["lib$app", "lib%24app", "lib%2Fapp", "lib%2fapp"] {
            let endpoint = get(&format!("/v2/manage/namespaces/group/repos/{written}")).unwrap();
            let expected = ManagementEndpoint::ShowRepository { repository: repository("group/lib/app") };
            assert_eq!(endpoint, expected, "{written}");
        }
        let endpoint = get("/v2/manage/namespaces/group/repos/lib/app").unwrap_err();
        assert!(matches!(endpoint, ManagementEndpointError::NoSuchPath));
    }

    #[test]
    fn a_word_of_the_protocol_goes_before_a_name() {
        let base = "/v2/manage/namespaces/group/repos/app";
        let at = |rest: &str| get(&format!("{base}/{rest}")).unwrap();
        let repository = || repository("group/app");
        let tag = |text| Tag::parse(text).unwrap();
        let page = OffsetPage { offset: 0, limit: ACCESSORIES.usual };
        assert!(matches!(at("retentions/histories"), ManagementEndpoint::ListRetentionHistories { .. }));
        assert_eq!(at("retentions/7"), ManagementEndpoint::ShowRetention { repository: repository(), id: 7 });
        assert_eq!(
            at("tags/references"),
            ManagementEndpoint::ShowRepoTag { repository: repository(), tag: tag("references") }
        );
        assert_eq!(
            at("v1/accessories"),
            ManagementEndpoint::ListRepoAccessories { repository: repository(), tag: tag("v1"), page }
        );
        assert!(matches!(at("access"), ManagementEndpoint::ShowUserRepositoryAuth { .. }));
        for (address, expected) in [
            ("/v2/manage/namespaces/manage/repos/tags", "manage/tags"),
            ("/v2/manage/namespaces/repos/repos/repos", "repos/repos"),
        ] {
            assert_eq!(
                get(address).unwrap(),
                ManagementEndpoint::ShowRepository { repository: self::repository(expected) }
            );
        }
    }

    #[test]
    fn what_is_not_there_is_not_there() {
        for address in [
            "",
            "/",
            "/v2/manage",
            "/v2/manage/",
            "/v2/manage/namespaces/",
            "/v2/manage/namespaces/group/",
            "/v2/manage/namespaces//repos",
            "/v2/manage/namespaces/group/repos/app/nothing",
            "/v2/manage/namespaces/group/repositories/app",
            "/v2/manage/namespaces/group/repos/app/access-domains",
            "/v1/manage/namespaces",
            "/v3/manage/namespaces",
            "/v3/traces",
            "/v2/Manage/namespaces",
            "/v2/group/app/tags/list",
            "v2/manage/namespaces",
        ] {
            let error = get(address).unwrap_err();
            assert!(matches!(error, ManagementEndpointError::NoSuchPath), "{address}: {error}");
        }
    }

    #[test]
    fn names_that_are_none_are_refused_for_what_they_are() {
        use swr_core::NameKind::{Organisation, Repository, Tag, Trigger};
        let base = "/v2/manage/namespaces";
        for (address, kind) in [
            ("/Group", Organisation),
            ("/1group", Organisation),
            ("/group.x", Organisation),
            ("/a%2Fb", Organisation),
            ("/a%00", Organisation),
            ("/..", Organisation),
            ("/%E7%BB%84", Organisation),
            ("/group/repos/App", Repository),
            ("/group/repos/$app", Repository),
            ("/group/repos/a$$b", Repository),
            ("/group/repos/..%2F..", Repository),
            ("/group/repos/app/tags/-x", Tag),
            ("/group/repos/app/-x/references", Tag),
            ("/group/repos/app/triggers/1st", Trigger),
        ] {
            let error = get(&format!("{base}{address}")).unwrap_err();
            let ManagementEndpointError::Name(error) = error else { panic!("{address}: {error}") };
            assert_eq!(error.kind(), kind, "{address}");
        }
        let shares = format!("{base}/group/repositories/app/access-domains");
        for account in ["1x", "a:b", "a@b", "%20", "a%2Fb"] {
            let error = get(&format!("{shares}/{account}")).unwrap_err();
            assert!(matches!(error, ManagementEndpointError::Account(_)), "{account}: {error}");
        }
        for id in ["x", "-1", "1.5", "99999999999999999999999"] {
            let error = get(&format!("{base}/group/repos/app/retentions/{id}")).unwrap_err();
            assert!(matches!(error, ManagementEndpointError::Path("retention_id")), "{id}: {error}");
        }
        for report in ["downflow/hourly", "upflow/daily"] {
            let error = get(&format!("/v2/manage/reports/{report}")).unwrap_err();
            assert!(matches!(error, ManagementEndpointError::Path(_)), "{report}: {error}");
        }
    }

    #[test]
    fn the_filter_says_what_is_looked_for_and_the_query_how_it_is_shown() {
        let filter = |query: &str| match get(&format!("/v2/manage/repos{query}")).unwrap() {
            ManagementEndpoint::ListReposDetails { query, page } => (query, page),
            endpoint => panic!("{endpoint:?}"),
        };
        let (query, page) = filter("?namespace=group&name=lib%24app&category=linux&is_public=true&offset=5");
        assert_eq!(query.organisation.as_deref(), Some("group"));
        assert_eq!(query.name.as_deref(), Some("lib/app"));
        assert_eq!(query.category, Some(Category::Linux));
        assert_eq!(query.visibility, Some(Visibility::Public));
        assert_eq!((page.offset, page.limit.get()), (5, 100));

        let (query, page) = filter(
            "?filter=namespace%3A%3Agroup%7Climit%3A%3A7&name=x&category=linux&limit=9&offset=3\
             &order_column=updated_time&order_type=desc",
        );
        assert_eq!((query.organisation.as_deref(), query.name, query.category), (Some("group"), None, None));
        assert_eq!((page.offset, page.limit.get()), (3, 7));
        assert_eq!((query.order, query.descending), (RepositoryOrder::Updated, true));

        let (query, page) = filter("");
        assert_eq!((page.offset, page.limit.get()), (0, 100));
        assert_eq!((query.order, query.descending), (RepositoryOrder::Name, false));
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused_for_what_they_are() {
        use ManagementEndpointError as E;
        let tags = "/v2/manage/namespaces/group/repos/app/tags";
        let page = |error: &E| matches!(error, E::PageSize { .. });
        let parameter = |error: &E| matches!(error, E::Parameter(_));
        let missing = |error: &E| matches!(error, E::Missing(_));
        let filter = |error: &E| matches!(error, E::Filter(_));
        let column = |error: &E| matches!(error, E::OrderColumn(_));
        type Check<'a> = &'a dyn Fn(&ManagementEndpointError) -> bool;
        let rows: [(&str, Check<'_>); 30] = [
            ("/v2/manage/repos?limit=0", &page),
            ("/v2/manage/repos?limit=1001", &page),
            ("/v2/manage/repos?limit=-1", &page),
            ("/v2/manage/repos?limit=+1", &page),
            ("/v2/manage/repos?limit=1.0", &page),
            ("/v2/manage/repos?limit=99999999999999999999", &page),
            ("/v2/manage/repos?filter=limit%3A%3A1001", &page),
            ("/v3/manage/repos?limit=1001", &page),
            ("/v2/manage/namespaces/group/repos/app/v1/accessories?limit=101", &page),
            ("/v2/manage/namespaces/group/repos/app/v1/references?limit=11", &page),
            ("/v2/manage/repos?offset=-1", &parameter),
            ("/v2/manage/repos?offset=x", &parameter),
            ("/v2/manage/repos?is_public=True", &parameter),
            ("/v2/manage/repos?category=games", &parameter),
            ("/v2/manage/repos?order_type=up", &parameter),
            ("/v3/manage/repos?marker=x", &parameter),
            ("/v3/manage/repos?marker=9223372036854775808", &parameter),
            ("/v2/manage/shared-repositories?center=all", &parameter),
            ("/v2/manage/shared-repositories?center=thirdparty&status=1", &parameter),
            ("/v2/manage/shared-repositories", &missing),
            ("/v3/manage/shared-repositories?center=self", &missing),
            ("/v2/manage/namespaces/group/repos/app/sync_job?limit=1&offset=0", &missing),
            ("/v2/manage/namespaces/group/repos/app/sync_job?filter=limit%3A%3A1", &missing),
            ("/v2/manage/repos?filter=", &filter),
            ("/v2/manage/repos?filter=tag%3A%3Ax", &filter),
            ("/v2/manage/namespaces?filter=name%3A%3Ax", &filter),
            ("/v2/manage/repos?order_column=size", &column),
            ("/v2/manage/repos?order_column=domain_name", &column),
            ("/v2/manage/shared-repositories?center=self&order_column=is_public", &column),
            ("/v2/manage/utils/secret?duration_seconds=899", &|error| matches!(error, E::Method { .. })),
        ];
        for (address, is_it) in rows {
            let error = get(address).unwrap_err();
            assert!(is_it(&error), "{address}: {error:?}");
        }
        for query in ["order_column=name", "order_column=tag;drop", "order_column=%00"] {
            assert!(column(&get(&format!("{tags}?{query}")).unwrap_err()), "{query}");
        }
        for query in ["duration_seconds=899", "duration_seconds=86401", "duration_seconds=x"] {
            let error = parse(&Method::POST, &format!("/v2/manage/utils/secret?{query}")).unwrap_err();
            assert!(parameter(&error), "{query}: {error}");
        }
        let error = get(&format!("{tags}?limit=1&limit=2")).unwrap_err();
        assert!(matches!(error, E::Query(_)), "{error}");
        for address in ["/v2/manage/repos?name=%ff", "/v2/manage/repos?name=%2", "/v2/manage/namespaces/%"] {
            let error = get(address).unwrap_err();
            assert!(matches!(error, E::Encoding), "{address}: {error}");
        }
    }

    #[test]
    fn a_marker_goes_on_where_the_list_ended_in_its_order() {
        let tags = "/v3/manage/namespaces/group/repos/app/tags";
        let query = |query: &str| match get(&format!("{tags}?{query}")).unwrap() {
            ManagementEndpoint::ListRepositoryTag { query, .. } => query,
            endpoint => panic!("{endpoint:?}"),
        };
        assert_eq!(query("marker=v1").after, Some(Tag::parse("v1").unwrap()));
        assert_eq!(query("marker=7&order_column=tag").after, Some(Tag::parse("7").unwrap()));
        let by_time = query("marker=7&order_column=updated_at&order_type=desc");
        assert_eq!((by_time.after, by_time.offset, by_time.descending), (None, 7, true));
        for bad in ["marker=-x", "marker=v1&order_column=updated_at"] {
            let error = get(&format!("{tags}?{bad}")).unwrap_err();
            assert!(matches!(error, ManagementEndpointError::Parameter("marker")), "{bad}: {error}");
        }
    }

    #[test]
    fn organisations_are_asked_for_by_name_and_by_mode() {
        for (query, name, partly) in [
            ("", None, false),
            ("?namespace=group", Some("group"), false),
            ("?filter=mode%3A%3Avisible", None, true),
            ("?filter=namespace%3A%3Agroup%7Cmode%3A%3Avisible&namespace=other", Some("group"), true),
        ] {
            let expected = ManagementEndpoint::ListNamespaces { name: name.map(Into::into), partly };
            assert_eq!(get(&format!("/v2/manage/namespaces{query}")).unwrap(), expected, "{query}");
        }
        let error = get("/v2/manage/namespaces?filter=mode%3A%3Ahidden").unwrap_err();
        assert!(matches!(error, ManagementEndpointError::Parameter("mode")), "{error}");
        let shown = get("/v2/manage/namespaces/group").unwrap();
        assert_eq!(shown, ManagementEndpoint::ShowNamespace { organisation: organisation() });
    }

    #[test]
    fn the_trail_is_asked_by_what_its_traces_have() {
        let traces = |query: &str| get(&format!("/v3/p/traces?{query}"));
        let filter = |query: &str| match traces(query).unwrap() {
            ManagementEndpoint::ListTraces { query, limit, .. } => (query, limit.get()),
            endpoint => panic!("{endpoint:?}"),
        };
        let (query, limit) = filter(
            "trace_type=system&limit=200&from=1000&to=2000&next=abc&service_type=SWR&user=ada&resource_id=1\
             &resource_name=group%2Fapp&resource_type=imagetag&trace_name=deleteUserNamesapce\
             &trace_rating=warning&tracker_name=system",
        );
        assert_eq!(limit, 200);
        assert_eq!(
            query,
            TraceFilter {
                matches_none: false,
                id: None,
                user: Some("ada".into()),
                operation: Some(Operation::DeleteUserNamespace),
                resource_type: Some("imagetag".into()),
                resource_id: Some("1".into()),
                resource_name: Some("group/app".into()),
                rating: Some(TraceRating::Warning),
                times: DateTime::from_timestamp(1, 0).zip(DateTime::from_timestamp(2, 0)),
                before: Some(TraceId::new("abc")),
            }
        );
        for elsewhere in [
            "trace_type=data",
            "trace_type=system&service_type=OBS",
            "trace_type=system&tracker_name=other",
            "trace_type=system&trace_name=createPlanet",
            "trace_type=system&access_key_id=AK",
            "trace_type=system&enterprise_project_id=0",
        ] {
            assert!(filter(elsewhere).0.matches_none, "{elsewhere}");
        }
        let (query, _) = filter("trace_type=system&trace_id=abc&trace_rating=nonsense&from=1");
        assert_eq!(query, TraceFilter { id: Some(TraceId::new("abc")), ..TraceFilter::default() });
        for bad in [
            "",
            "trace_type=audit",
            "trace_type=system&limit=201",
            "trace_type=system&limit=0",
            "trace_type=system&from=1",
            "trace_type=system&to=1",
            "trace_type=system&from=2&to=1",
            "trace_type=system&from=x&to=1",
            "trace_type=system&from=1&to=99999999999999999",
            "trace_type=system&trace_rating=bad",
        ] {
            let error = traces(bad).unwrap_err();
            assert!(matches!(error, ManagementEndpointError::Trail(_)), "{bad}: {error}");
        }
    }
}
