//! What is asked, and what it needs: a row for each endpoint of the registry's protocol, each operation of the
//! management protocol and each way to a token. The functions match without a wildcard: an operation without a row
//! does not compile.
//!
//! The levels are those of the product's page ("Grants") and, where it is silent, those of the operation index.

use http::Method;
use swr_core::ports::Action::{Delete, Pull, Push};
use swr_http::EndpointKind;
use swr_http::control::endpoint::Kind;
use swr_http::token::TokenEndpoint;

use crate::identities::Level::{Edit, Manage, Read};
use crate::model::List;
use crate::model::Needs::{self, *};
use crate::model::Outcome::{self, Done, Hidden, Impossible, Unknown};
use crate::targets::Target;

/// Something that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    Registry(EndpointKind),
    Management(Kind),
    Token(TokenEndpoint),
}

/// A request, and what it needs. In its address and its body `{…}` stands for what the
/// [house](crate::house::House::written) knows of the target.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) method: Method,
    pub(crate) address: String,
    pub(crate) body: &'static str,
    pub(crate) needs: Needs,
    /// What it is about makes a difference in these.
    pub(crate) targets: &'static [Target],
    /// The answer to whoever may.
    there: Outcome,
    /// The same where there is nothing.
    absent: Outcome,
    except: &'static [Target],
    exception: Outcome,
    /// What is done to nothing that can be seen.
    pub(crate) leaves_no_mark: bool,
    /// The answer is a list that everybody is shown another part of.
    pub(crate) list: Option<List>,
}

/// Every operation with its rows.
pub(crate) fn all() -> impl Iterator<Item = (Asked, Vec<Row>)> {
    let registry = EndpointKind::ALL.iter().map(|kind| (Asked::Registry(*kind), of_registry(*kind)));
    let management = Kind::ALL.iter().map(|kind| (Asked::Management(*kind), vec_of(*kind)));
    let tokens = TokenEndpoint::ALL.iter().map(|kind| (Asked::Token(*kind), vec![of_token(*kind)]));
    registry.chain(management).chain(tokens)
}

fn of_registry(kind: EndpointKind) -> Vec<Row> {
    use EndpointKind as K;
    let both = |row: Row| vec![row.clone(), Row { method: Method::HEAD, ..row }];
    match kind {
        K::Base => both(row("GET /v2/", SignIn, 200).of(&[Target::Private])),
        K::ListRepositories => {
            both(row("GET /v2/_catalog", Catalogue, 200).of(&[Target::Private]).listing(List::Catalogue))
        }
        K::ListTags => both(row("GET /v2/{name}/tags/list", Content(Pull), 200).or(Unknown("NAME_UNKNOWN"))),
        // An empty list of any digest, also where nothing is.
        K::ListReferrers => {
            both(row("GET /v2/{name}/referrers/{manifest}", Content(Pull), 200).or(Done(200)))
        }
        K::PullManifest => {
            both(row("GET /v2/{name}/manifests/v1", Content(Pull), 200).or(Unknown("MANIFEST_UNKNOWN")))
        }
        K::PushManifest => {
            vec![row("PUT /v2/{name}/manifests/v9", Content(Push), 201).or(Done(201)).sending("{index}")]
        }
        K::RemoveManifest => vec![
            row("DELETE /v2/{name}/manifests/v1", Content(Delete), 202).or(Unknown("MANIFEST_UNKNOWN")),
            row("DELETE /v2/{name}/manifests/{manifest}", Content(Delete), 202)
                .or(Unknown("MANIFEST_UNKNOWN")),
        ],
        K::PullBlob => {
            both(row("GET /v2/{name}/blobs/{layer}", Content(Pull), 200).or(Unknown("BLOB_UNKNOWN")))
        }
        K::RemoveBlob => {
            vec![row("DELETE /v2/{name}/blobs/{loose}", Content(Delete), 202).or(Unknown("BLOB_UNKNOWN"))]
        }
        K::BeginUpload => vec![row("POST /v2/{name}/blobs/uploads/", Content(Push), 202).or(Done(202))],
        K::PushBlob => vec![
            row("POST /v2/{name}/blobs/uploads/?digest={new}", Content(Push), 201)
                .or(Done(201))
                .sending("{new bytes}"),
        ],
        K::MountBlob => vec![
            row(
                "POST /v2/{name}/blobs/uploads/?mount={public layer}&from=home/open",
                Mount { into: None, from: Some(Target::Public) },
                201,
            ),
            row(
                "POST /v2/home/none/blobs/uploads/?mount={layer}&from={name}",
                Mount { into: Some(Target::Absent), from: None },
                201,
            ),
        ]
        .into_iter()
        .map(|row| row.or(Done(202)))
        .collect(),
        // One's own uploads, which are there before the repository is; and those of others.
        K::FindUpload => uploads("GET", "", Upload(Pull), 204, ""),
        K::AppendUpload => uploads("PATCH", "", Content(Push), 202, "{new bytes}"),
        K::FinishUpload => uploads("PUT", "?digest={begun}", Content(Push), 201, ""),
        K::CancelUpload => uploads("DELETE", "", Upload(Delete), 204, ""),
    }
}

fn uploads(method: &str, query: &str, needs: Needs, status: u16, body: &'static str) -> Vec<Row> {
    let of =
        |whose: &str| row(&format!("{method} /v2/{{name}}/blobs/uploads/{{{whose}}}{query}"), needs, status);
    let unknown = Unknown("BLOB_UPLOAD_UNKNOWN");
    let others = of("others upload").sending(body).or(unknown);
    vec![of("upload").sending(body).or(Done(status)), Row { there: unknown, ..others }]
}

fn vec_of(kind: Kind) -> Vec<Row> {
    match kind {
        // These are asked in two ways.
        Kind::ListSharedReposDetails => {
            ["self", "thirdparty"].map(|whose| shared("v2", "center", whose)).into()
        }
        Kind::ListSharedRepoDetails => {
            ["self", "thirdparty"].map(|whose| shared("v3", "shared_by", whose)).into()
        }
        kind => vec![of_management(kind)],
    }
}

fn shared(generation: &str, key: &str, whose: &str) -> Row {
    let list = if whose == "self" { List::SharedByUs } else { List::SharedWithUs };
    account(&format!("GET /{generation}/manage/shared-repositories?{key}={whose}"), SignIn, 200).listing(list)
}

fn of_management(kind: Kind) -> Row {
    use Kind as K;
    match kind {
        K::CreateNamespace => {
            account("POST /v2/manage/namespaces", Administration, 201).sending(r#"{"namespace":"newt"}"#)
        }
        K::ListNamespaces => account("GET /v2/manage/namespaces", SignIn, 200).listing(List::Organisations),
        K::ShowNamespace => organisation("GET", "", Read, 200),
        // It holds repositories.
        K::DeleteNamespaces => organisation("DELETE", "", Manage, 406),
        K::CreateNamespaceAuth => organisation("POST", "/access", Manage, 200).sending("[{auth of free}]"),
        K::ShowNamespaceAuth => organisation("GET", "/access", Read, 200),
        K::UpdateNamespaceAuth => {
            organisation("PATCH", "/access", Manage, 201).sending("[{auth of granted}]")
        }
        K::DeleteNamespaceAuth => organisation("DELETE", "/access", Manage, 204).sending(r#"["{granted}"]"#),

        K::UploadImagePackage => organisation("POST", "/packages", Edit, 200).sending("{package}"),
        K::DownloadImagePackage => repository("GET", "/tags/v1/package", View, 200),
        K::CreateRepo => {
            organisation("POST", "/repos", Edit, 200).sending(r#"{"repository":"newt","is_public":false}"#)
        }
        K::ShowRepository => repository("GET", "", View, 200),
        K::UpdateRepo => repository("PATCH", "", Repository(Edit), 201).sending(r#"{"is_public":true}"#),
        K::DeleteRepo => repository("DELETE", "", Repository(Manage), 204),
        K::ListReposDetails => account("GET /v2/manage/repos", SignIn, 200).listing(List::Own),
        K::ListRepoDetails => account("GET /v3/manage/repos", SignIn, 200).listing(List::Own),
        K::ListSharedReposDetails => shared("v2", "center", "self"),
        K::ListSharedRepoDetails => shared("v3", "shared_by", "self"),

        K::CreateUserRepositoryAuth => {
            repository("POST", "/access", Repository(Manage), 201).sending("[{auth of free}]")
        }
        K::ShowUserRepositoryAuth => repository("GET", "/access", Repository(Read), 200),
        K::UpdateUserRepositoryAuth => {
            repository("PATCH", "/access", Repository(Manage), 201).sending("[{auth of granted}]")
        }
        K::DeleteUserRepositoryAuth => {
            repository("DELETE", "/access", Repository(Manage), 204).sending(r#"["{granted}"]"#)
        }

        K::ListRepositoryTags => repository("GET", "/tags", View, 200),
        K::ListRepositoryTag => {
            row("GET /v3/manage/namespaces/{org}/repos/{repo}/tags", View, 200).or(Hidden)
        }
        K::CreateRepoTag => repository("POST", "/tags", Repository(Edit), 201)
            .sending(r#"{"source_tag":"v1","destination_tag":"v8"}"#),
        K::ShowRepoTag => repository("GET", "/tags/v1", View, 200),
        K::DeleteRepoTag => repository("DELETE", "/tags/v1", Repository(Manage), 204),
        K::ListReferences => repository("GET", "/v1/references", View, 200),
        K::ListRepoAccessories => repository("GET", "/v1/accessories", View, 200),

        // What is public is not shared.
        K::CreateRepoDomains => shares("POST", "", 201)
            .except(&[Target::Public], 400)
            .sending(r#"{"access_domain":"initech","permit":"read","deadline":"forever"}"#),
        K::ListRepoDomains => shares("GET", "", 200),
        K::ShowAccessDomain => shares("GET", "/umbrella", 200),
        K::UpdateRepoDomains => shares("PATCH", "/umbrella", 201)
            .except(&[Target::Public], 400)
            .sending(r#"{"permit":"read","deadline":"2026-06-01T00:00:00Z"}"#),
        K::DeleteRepoDomains => shares("DELETE", "/umbrella", 204).except(&[Target::Public], 400),

        K::CreateRetention => repository("POST", "/retentions", Repository(Manage), 201).sending(AGING),
        K::ListRetentions => repository("GET", "/retentions", Repository(Read), 200),
        K::PlanRetention => {
            let plan = repository("POST", "/retentions/plan", Repository(Read), 200).sending(AGING);
            Row { leaves_no_mark: true, ..plan }
        }
        K::ListRetentionHistories => repository("GET", "/retentions/histories", Repository(Read), 200),
        K::ShowRetention => repository("GET", "/retentions/7", Repository(Read), 404),
        K::UpdateRetention => repository("PATCH", "/retentions/7", Repository(Manage), 404).sending(AGING),
        K::DeleteRetention => repository("DELETE", "/retentions/7", Repository(Manage), 404),

        K::CreateTrigger => repository("POST", "/triggers", Repository(Edit), 201).sending(TRIGGER),
        K::ListTriggersDetails => repository("GET", "/triggers", Repository(Read), 200),
        K::ShowTrigger => repository("GET", "/triggers/t", Repository(Read), 404),
        K::UpdateTrigger => {
            repository("PATCH", "/triggers/t", Repository(Edit), 404).sending(r#"{"enable":"false"}"#)
        }
        K::DeleteTrigger => repository("DELETE", "/triggers/t", Repository(Edit), 404),
        K::ListTriggerDeliveries => repository("GET", "/triggers/t/deliveries", Repository(Read), 404),
        K::ReplayTriggerDelivery => {
            let delivery = "/triggers/t/deliveries/00000000000000000000000000000000/replay";
            repository("POST", delivery, Repository(Edit), 404)
        }

        // There is no other region to copy to.
        K::CreateImageSyncRepo => repository("POST", "/sync_repo", Repository(Edit), 500).sending(REGION),
        K::ListImageAutoSyncReposDetails => repository("GET", "/sync_repo", Repository(Edit), 200),
        K::DeleteImageSyncRepo => repository("DELETE", "/sync_repo", Repository(Edit), 400).sending(REGION),
        K::CreateManualImageSyncRepo => {
            repository("POST", "/sync_images", Repository(Edit), 500).sending(VERSIONS)
        }
        K::ShowSyncJob => {
            repository("GET", "/sync_job?filter=limit%3A%3A10%7Coffset%3A%3A0", Repository(Edit), 200)
        }
        K::ListSyncRegions => account("GET /v2/manage/regions", SignIn, 200),

        K::CreateSecret => account("POST /v2/manage/utils/secret", SignIn, 200),
        K::CreateAuthorizationToken => account("POST /v2/manage/utils/authorizationtoken", SignIn, 200),

        K::ListQuotas => project("GET /v2/manage/projects/{project}/quotas"),
        K::ShowShareFeatureGates => project("GET /v2/manage/projects/{project}/feature-gates"),
        K::ShowDomainOverview => account("GET /v2/manage/overview", SignIn, 200),
        K::ShowDomainResourceReports => account("GET /v2/manage/reports/store/daily", SignIn, 200),
        K::CheckAgency => account("GET /v2/manage/agency", SignIn, 200),
        K::CreateAgency => account("POST /v2/manage/agency", Administration, 204),

        K::ListTraces => project("GET /v3/{project}/traces?trace_type=system"),

        // The administration of accounts, users and keys.
        K::CreateAccount => account("POST /admin/v1/accounts", Operation, 201).sending(r#"{"name":"newt"}"#),
        K::ListAccounts => account("GET /admin/v1/accounts", Operation, 200),
        K::ShowAccount => people("GET", "", Belonging, 200),
        K::CreateUser => people("POST", "/users", Oversight, 201).sending(r#"{"name":"newt"}"#),
        K::ListUsers => people("GET", "/users", Oversight, 200),
        K::ShowUser => people("GET", "/users/free", Oversight, 200),
        K::DeleteUser => people("DELETE", "/users/free", Oversight, 204),
        K::UpdateUserRole => {
            people("PUT", "/users/free/role", Oversight, 204).sending(r#"{"role":"administrator"}"#)
        }
        K::UpdateUserPassword => {
            people("PUT", "/users/free/password", Oversight, 204).sending(r#"{"password":null}"#)
        }
        K::CreateAccessKey => people("POST", "/users/free/access-keys", Oversight, 201).sending("{}"),
        K::ListAccessKeys => people("GET", "/users/free/access-keys", Oversight, 200),
        K::DeleteAccessKey => people("DELETE", "/users/free/access-keys/{key of free}", Oversight, 204),
        K::CreateTokenKey => account("POST /admin/v1/token-keys", Operation, 201),
        K::ListTokenKeys => account("GET /admin/v1/token-keys", Operation, 200),
        K::DeleteTokenKey => account("DELETE /admin/v1/token-keys/0123", Operation, 404),

        K::ShowDocument => account("GET /v2/manage/openapi.json", Nothing, 200),
    }
}

const AGING: &str =
    r#"{"algorithm":"or","rules":[{"template":"tag_rule","params":{"num":"7"},"tag_selectors":[]}]}"#;
const TRIGGER: &str = r#"{"name":"t","action":"update","app_type":"deployments","application":"a","cluster_ns":"n","trigger_type":"all","condition":".*","enable":"true","cluster_id":"c","cluster_name":"c","container":"c"}"#;
const REGION: &str = r#"{"remoteRegionId":"r","remoteNamespace":"n"}"#;
const VERSIONS: &str = r#"{"remoteRegionId":"r","remoteNamespace":"n","imageTag":["v1"]}"#;

fn of_token(kind: TokenEndpoint) -> Row {
    use TokenEndpoint as K;
    let row = match kind {
        K::ByQuery => row("GET /token?scope=repository:{name}:pull,push,delete", Login, 200),
        K::ByForm => row("POST /token", LoginInForm, 200),
        K::Management => row("POST /v3/auth/tokens", Password, 201).of(&[Target::Private]),
    };
    Row { leaves_no_mark: true, ..row }
}

/// About a repository. What cannot be done there is refused as what is not there is.
fn row(request: &str, needs: Needs, status: u16) -> Row {
    let (method, address) = request.split_once(' ').unwrap();
    let there = match status {
        200..300 => Done(status),
        status => Impossible(status),
    };
    Row {
        method: method.parse().unwrap(),
        address: address.to_owned(),
        body: "",
        needs,
        targets: &Target::ALL,
        there,
        absent: there,
        except: &[],
        exception: there,
        leaves_no_mark: false,
        list: None,
    }
}

fn repository(method: &str, rest: &str, needs: Needs, status: u16) -> Row {
    row(&format!("{method} /v2/manage/namespaces/{{org}}/repos/{{repo}}{rest}"), needs, status).or(Hidden)
}

fn shares(method: &str, rest: &str, status: u16) -> Row {
    let base = "/v2/manage/namespaces/{org}/repositories/{repo}/access-domains";
    row(&format!("{method} {base}{rest}"), Repository(Manage), status).or(Hidden)
}

fn organisation(method: &str, rest: &str, level: crate::identities::Level, status: u16) -> Row {
    let request = format!("{method} /v2/manage/namespaces/{{org}}{rest}");
    row(&request, Organisation(level), status).of(&Target::ORGANISATIONS)
}

/// About the account that owns the target's organisation, or a user in it.
fn people(method: &str, rest: &str, needs: Needs, status: u16) -> Row {
    row(&format!("{method} /admin/v1/accounts/{{account}}{rest}"), needs, status).of(&Target::ORGANISATIONS)
}

fn project(request: &str) -> Row {
    row(request, OwnProject, 200).of(&Target::ORGANISATIONS)
}

/// About the caller's account, or nothing in particular.
fn account(request: &str, needs: Needs, status: u16) -> Row {
    row(request, needs, status).of(&[Target::Private])
}

impl Row {
    fn of(self, targets: &'static [Target]) -> Self {
        Self { targets, ..self }
    }

    fn or(self, absent: Outcome) -> Self {
        Self { absent, ..self }
    }

    fn sending(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    fn except(self, targets: &'static [Target], status: u16) -> Self {
        Self { except: targets, exception: Impossible(status), ..self }
    }

    fn listing(self, list: List) -> Self {
        Self { list: Some(list), ..self }
    }

    /// The answers to whoever may: where there is something, and where there is nothing.
    pub(crate) fn answers(&self, target: Target) -> [Outcome; 2] {
        match self.except.contains(&target) {
            true => [self.exception, self.absent],
            false => [self.there, self.absent],
        }
    }

    /// Whether it is about an upload that was begun before.
    pub(crate) fn is_of_uploads(&self) -> bool {
        self.address.contains("upload}")
    }

    /// Whether it is there to change something.
    pub(crate) fn changes(&self) -> bool {
        !self.leaves_no_mark && !self.method.is_safe()
    }
}
