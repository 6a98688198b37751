//! The protocol as an axum router.

use axum::Router;

use crate::service::RegistryService;

/// A router with the protocol at its [mount point](RegistryService::mount_point), to be merged into a host's own
/// or nested in it. What the host's own routes do not answer below the mount point, the registry does.
pub fn router(service: RegistryService) -> Router {
    let inside = service.mount_point().inside().to_owned();
    if inside.is_empty() {
        return Router::new().fallback_service(service);
    }
    Router::new()
        .route_service(&inside, service.clone())
        .route_service(&format!("{inside}/"), service.clone())
        .route_service(&format!("{inside}/{{*rest}}"), service)
}
