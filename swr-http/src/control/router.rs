//! The management protocol as an axum router.

use axum::Router;

use super::service::ManagementService;

/// A router with the management protocol, to be merged with that of the registry: `/v2/manage/…` is the management
/// protocol's there, and the rest of `/v2/` the registry's; `/admin/v1/…` is its own too.
pub fn router(service: ManagementService) -> Router {
    let inside = service.mount_point().inside().to_owned();
    let mut router = Router::new();
    for path in [
        "/v2/manage",
        "/v2/manage/{*rest}",
        "/v3/manage/{*rest}",
        "/v3/{project}/traces",
        "/admin/v1/{*rest}",
    ] {
        router = router.route_service(&format!("{inside}{path}"), service.clone());
    }
    router
}
