//! What the management protocol is, for programs: made of the table of operations and the types of their bodies.

use std::sync::LazyLock;

use utoipa::ToSchema;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, HttpMethod, InfoBuilder, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder,
};

use super::account::{Agency, FeatureGates, Overview, QuotaList, ReportEntry};
use super::administration::{
    AccessKeyList, Account, AccountPage, NewAccessKey, PasswordChange, RoleChange, TokenKey, TokenKeyList,
    User, UserPage, WantedAccessKey, WantedAccount, WantedUser,
};
use super::endpoint::{Kind, ROUTES, Route};
use super::error::ErrorBody;
use super::grants::{NamespaceAccess, RepositoryAccess, UserAuth};
use super::logins::DockerConfig;
use super::namespaces::{Namespace, NamespaceList, NewNamespace};
use super::repositories::{ListedRepository, NewRepository, Repository, RepositoryChange, RepositoryPage};
use super::retentions::{NewRetention, Retention, RetentionHistory, RetentionId, RetentionPlan};
use super::sharing::{NewShare, Share, ShareChange, ShownShare};
use super::sync::{EndedSync, NewSync, NewSyncJobs, Region, ShownSync, ShownSyncJob};
use super::tags::{Accessories, ListedTag, NewTag, References, ShownTag, TagPage};
use super::traces::TraceList;
use super::triggers::{NewTrigger, ShownTrigger, TriggerChange, TriggerDelivery};

/// The document. It says the same for as long as the program runs.
pub(super) static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Plain values serialise.
    serde_json::to_vec(&document()).unwrap_or_default()
});

/// What an operation takes and gives, beside what its row says.
#[derive(Default)]
struct Shape {
    query: &'static [&'static str],
    body: Option<Content>,
    /// What the body is; JSON where nothing is said.
    takes: &'static [&'static str],
    answer: Option<Content>,
    /// What the answer is.
    gives: &'static [&'static str],
    headers: &'static [&'static str],
}

/// The type of a body, and the place where its description is.
struct Content {
    schema: RefOr<Schema>,
    add: fn(ComponentsBuilder) -> ComponentsBuilder,
}

/// With the description of a type, and of those within it.
fn described<T: ToSchema>(components: ComponentsBuilder) -> ComponentsBuilder {
    let mut within = Vec::new();
    T::schemas(&mut within);
    components.schemas_from_iter(within).schema(T::name(), T::schema())
}

/// One of a type.
fn one<T: ToSchema>() -> Option<Content> {
    Some(Content { schema: Ref::from_schema_name(T::name()).into(), add: described::<T> })
}

/// A bare list of a type.
fn many<T: ToSchema>() -> Option<Content> {
    let items = Ref::from_schema_name(T::name());
    Some(Content { schema: ArrayBuilder::new().items(items).into(), add: described::<T> })
}

/// A bare list of texts.
fn texts() -> Option<Content> {
    let items = ObjectBuilder::new().schema_type(Type::String);
    Some(Content { schema: ArrayBuilder::new().items(items).into(), add: |components| components })
}

/// What became of packages.
#[cfg(feature = "packages")]
fn uploaded() -> Option<Content> {
    one::<super::packages::PackageOutcome>()
}

#[cfg(not(feature = "packages"))]
fn uploaded() -> Option<Content> {
    any()
}

/// Something else than a value: this document itself, or an archive.
fn any() -> Option<Content> {
    Some(Content { schema: ObjectBuilder::new().into(), add: |components| components })
}

const PAGE: &[&str] = &["limit", "marker"];
const RANGE: &[&str] = &["Content-Range"];
const PACKAGE: &[&str] = &["Content-Disposition", "Docker-Content-Digest"];
const LOGIN: &[&str] = &["X-Swr-Dockerlogin", "X-Swr-Expireat"];

fn shape(kind: Kind) -> Shape {
    use Kind as K;
    let nothing = Shape::default();
    match kind {
        K::CreateNamespace => Shape { body: one::<NewNamespace>(), ..nothing },
        K::ListNamespaces => {
            Shape { query: &["namespace", "filter"], answer: one::<NamespaceList>(), ..nothing }
        }
        K::ShowNamespace => Shape { answer: one::<Namespace>(), ..nothing },
        K::ShowNamespaceAuth => Shape { answer: one::<NamespaceAccess>(), ..nothing },
        K::ShowUserRepositoryAuth => Shape { answer: one::<RepositoryAccess>(), ..nothing },
        K::CreateNamespaceAuth
        | K::UpdateNamespaceAuth
        | K::CreateUserRepositoryAuth
        | K::UpdateUserRepositoryAuth => Shape { body: many::<UserAuth>(), ..nothing },
        K::DeleteNamespaceAuth | K::DeleteUserRepositoryAuth => Shape { body: texts(), ..nothing },
        K::UploadImagePackage => Shape {
            query: &["repository", "tag", "files"],
            body: any(),
            takes: &["application/x-tar", "multipart/form-data"],
            answer: uploaded(),
            gives: &[JSON, "text/event-stream"],
            ..nothing
        },
        K::DownloadImagePackage => {
            Shape { answer: any(), gives: &["application/x-tar"], headers: PACKAGE, ..nothing }
        }
        K::CreateRepo => Shape { body: one::<NewRepository>(), ..nothing },
        K::UpdateRepo => Shape { body: one::<RepositoryChange>(), ..nothing },
        K::ShowRepository => Shape { answer: one::<Repository>(), ..nothing },
        K::ListReposDetails => Shape {
            query: &[
                "namespace",
                "name",
                "category",
                "is_public",
                "limit",
                "offset",
                "order_column",
                "order_type",
                "filter",
            ],
            answer: many::<ListedRepository>(),
            headers: RANGE,
            ..nothing
        },
        K::ListRepoDetails => Shape {
            query: &["namespace", "name", "category", "is_public", "limit", "marker"],
            answer: one::<RepositoryPage>(),
            ..nothing
        },
        K::ListSharedReposDetails => Shape {
            query: &[
                "center",
                "namespace",
                "name",
                "domain_name",
                "status",
                "limit",
                "offset",
                "order_column",
                "order_type",
                "filter",
            ],
            answer: many::<ListedRepository>(),
            headers: RANGE,
            ..nothing
        },
        K::ListSharedRepoDetails => Shape {
            query: &["shared_by", "namespace", "name", "domain_name", "status", "limit", "marker"],
            answer: one::<RepositoryPage>(),
            ..nothing
        },
        K::ListRepositoryTags => Shape {
            query: &["tag", "limit", "offset", "order_column", "order_type", "filter"],
            answer: many::<ListedTag>(),
            headers: RANGE,
            ..nothing
        },
        K::ListRepositoryTag => Shape {
            query: &["tag", "limit", "marker", "order_column", "order_type", "with_manifest"],
            answer: one::<TagPage>(),
            ..nothing
        },
        K::CreateRepoTag => Shape { body: one::<NewTag>(), ..nothing },
        K::ShowRepoTag => Shape { answer: one::<ShownTag>(), ..nothing },
        K::ListReferences => Shape { query: &["limit", "marker"], answer: one::<References>(), ..nothing },
        K::ListRepoAccessories => {
            Shape { query: &["limit", "offset"], answer: one::<Accessories>(), ..nothing }
        }
        K::CreateRepoDomains => Shape { body: one::<NewShare>(), ..nothing },
        K::UpdateRepoDomains => Shape { body: one::<ShareChange>(), ..nothing },
        K::ListRepoDomains => Shape { answer: many::<Share>(), ..nothing },
        K::ShowAccessDomain => Shape { answer: one::<ShownShare>(), ..nothing },
        K::CreateRetention => Shape { body: one::<NewRetention>(), answer: one::<RetentionId>(), ..nothing },
        K::ListRetentions => Shape { answer: many::<Retention>(), ..nothing },
        K::PlanRetention => Shape {
            query: &["limit", "offset"],
            body: one::<NewRetention>(),
            answer: one::<RetentionPlan>(),
            headers: RANGE,
            ..nothing
        },
        K::ListRetentionHistories => Shape {
            query: &["limit", "offset", "filter"],
            answer: one::<RetentionHistory>(),
            headers: RANGE,
            ..nothing
        },
        K::ShowRetention => Shape { answer: one::<Retention>(), ..nothing },
        K::UpdateRetention => Shape { body: one::<NewRetention>(), ..nothing },
        K::CreateTrigger => Shape { body: one::<NewTrigger>(), ..nothing },
        K::ListTriggersDetails => Shape { answer: many::<ShownTrigger>(), ..nothing },
        K::ShowTrigger => Shape { answer: one::<ShownTrigger>(), ..nothing },
        K::UpdateTrigger => Shape { body: one::<TriggerChange>(), ..nothing },
        K::ListTriggerDeliveries => Shape { query: &["limit"], answer: many::<TriggerDelivery>(), ..nothing },
        K::CreateImageSyncRepo => Shape { body: one::<NewSync>(), ..nothing },
        K::ListImageAutoSyncReposDetails => Shape { answer: many::<ShownSync>(), ..nothing },
        K::DeleteImageSyncRepo => Shape { body: one::<EndedSync>(), ..nothing },
        K::CreateManualImageSyncRepo => Shape { body: one::<NewSyncJobs>(), answer: texts(), ..nothing },
        K::ShowSyncJob => {
            Shape { query: &["filter"], answer: many::<ShownSyncJob>(), headers: RANGE, ..nothing }
        }
        K::ListSyncRegions => Shape { answer: many::<Region>(), ..nothing },
        K::CreateSecret => Shape {
            query: &["projectname", "duration_seconds"],
            answer: one::<DockerConfig>(),
            headers: LOGIN,
            ..nothing
        },
        K::CreateAuthorizationToken => Shape { answer: one::<DockerConfig>(), headers: LOGIN, ..nothing },
        K::ListQuotas => Shape { answer: one::<QuotaList>(), ..nothing },
        K::ShowShareFeatureGates => Shape { answer: one::<FeatureGates>(), ..nothing },
        K::ShowDomainOverview => Shape { answer: one::<Overview>(), ..nothing },
        K::ShowDomainResourceReports => Shape { answer: many::<ReportEntry>(), ..nothing },
        K::CheckAgency => Shape { answer: one::<Agency>(), ..nothing },
        K::CreateAccount => Shape { body: one::<WantedAccount>(), answer: one::<Account>(), ..nothing },
        K::ListAccounts => Shape { query: PAGE, answer: one::<AccountPage>(), ..nothing },
        K::ShowAccount => Shape { answer: one::<Account>(), ..nothing },
        K::CreateUser => Shape { body: one::<WantedUser>(), answer: one::<User>(), ..nothing },
        K::ListUsers => Shape { query: PAGE, answer: one::<UserPage>(), ..nothing },
        K::ShowUser => Shape { answer: one::<User>(), ..nothing },
        K::UpdateUserRole => Shape { body: one::<RoleChange>(), ..nothing },
        K::UpdateUserPassword => Shape { body: one::<PasswordChange>(), ..nothing },
        K::CreateAccessKey => {
            Shape { body: one::<WantedAccessKey>(), answer: one::<NewAccessKey>(), ..nothing }
        }
        K::ListAccessKeys => Shape { answer: one::<AccessKeyList>(), ..nothing },
        K::CreateTokenKey => Shape { answer: one::<TokenKey>(), ..nothing },
        K::ListTokenKeys => Shape { answer: one::<TokenKeyList>(), ..nothing },
        K::ListTraces => Shape {
            query: &[
                "trace_type",
                "limit",
                "from",
                "to",
                "next",
                "tracker_name",
                "service_type",
                "user",
                "resource_id",
                "resource_name",
                "resource_type",
                "trace_name",
                "trace_rating",
                "trace_id",
            ],
            answer: one::<TraceList>(),
            ..nothing
        },
        K::ShowDocument => Shape { answer: any(), ..nothing },
        K::DeleteUser
        | K::DeleteAccessKey
        | K::DeleteTokenKey
        | K::DeleteNamespaces
        | K::DeleteRepo
        | K::DeleteRepoTag
        | K::DeleteRepoDomains
        | K::DeleteRetention
        | K::DeleteTrigger
        | K::ReplayTriggerDelivery
        | K::CreateAgency => nothing,
    }
}

fn document() -> utoipa::openapi::OpenApi {
    let mut components = described::<ErrorBody<'static>>(ComponentsBuilder::new())
        .security_scheme("signature", key("Authorization", "`SDK-HMAC-SHA256` with an access key"))
        .security_scheme("token", key("X-Auth-Token", "a token for a user's name and password"));
    let mut paths = Paths::new();
    for route in ROUTES {
        let shape = shape(route.kind);
        for content in shape.body.iter().chain(&shape.answer) {
            components = (content.add)(components);
        }
        paths.add_path_operation(route.path, vec![method(route)], operation(route, shape));
    }
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("swr management").version(env!("CARGO_PKG_VERSION")))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn operation(route: &Route, shape: Shape) -> OperationBuilder {
    let parameter = |name: &str, place, required| -> Parameter {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build()
    };
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| parameter(name, ParameterIn::Path, Required::True));
    let in_query = shape.query.iter().map(|name| parameter(name, ParameterIn::Query, Required::False));
    let parameters: Vec<Parameter> = in_path.chain(in_query).collect();

    let types = |said: &'static [&'static str]| if said.is_empty() { &[JSON] } else { said };
    let mut done = ResponseBuilder::new().description("done");
    if let Some(answer) = shape.answer {
        for media_type in types(shape.gives) {
            let schema = Some(answer.schema.clone());
            done = done.content(*media_type, ContentBuilder::new().schema(schema).build());
        }
    }
    for name in shape.headers {
        let text = ObjectBuilder::new().schema_type(Type::String);
        done = done.header(*name, HeaderBuilder::new().schema(Some(text)).build());
    }
    let error = Ref::from_schema_name(ErrorBody::name());
    let refused = ResponseBuilder::new()
        .description("not done")
        .content(JSON, ContentBuilder::new().schema(Some(error)).build());

    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.name))
        .summary(Some(route.summary.trim()))
        .parameters(Some(parameters))
        .response(route.success.to_string(), done)
        .response("default", refused);
    if let Some(body) = shape.body {
        let mut sent = RequestBodyBuilder::new().required(Some(Required::True));
        for media_type in types(shape.takes) {
            let schema = Some(body.schema.clone());
            sent = sent.content(*media_type, ContentBuilder::new().schema(schema).build());
        }
        operation = operation.request_body(Some(sent.build()));
    }
    if route.kind != Kind::ShowDocument {
        for scheme in ["signature", "token"] {
            operation = operation.security(SecurityRequirement::new(scheme, [""; 0]));
        }
    }
    operation
}

const JSON: &str = "application/json";

fn key(header: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(header, description)))
}

fn method(route: &Route) -> HttpMethod {
    match route.method {
        http::Method::POST => HttpMethod::Post,
        http::Method::PATCH => HttpMethod::Patch,
        http::Method::PUT => HttpMethod::Put,
        http::Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_operation_is_in_the_document() {
        let document: Value = serde_json::from_slice(&DOCUMENT).unwrap();
        for route in ROUTES {
            let method = route.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][route.path][&method];
            assert_eq!(operation["operationId"], route.name);
            assert!(operation["responses"][route.success.to_string()].is_object(), "{}", route.name);
        }
        let paths = document["paths"].as_object().unwrap();
        let described: usize = paths.values().map(|item| item.as_object().unwrap().len()).sum();
        assert_eq!(described, ROUTES.len());
    }

    #[test]
    fn everything_that_the_document_refers_to_is_in_it() {
        fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str));
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_slice(&DOCUMENT).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > ROUTES.len());
        for reference in found {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }
}
