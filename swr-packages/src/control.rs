//! Packages for users of a control plane (feature `control`): the right to the organisation, and the trail.

use swr_core::Error;
use swr_core::caller::{Caller, Origin};
use swr_core::control::trace::{Operation, Outcome};
use swr_core::control::{ControlError, ControlPlane};
use swr_core::ports::StoreErrorKind;
use swr_core::stream::BodyError;
use tracing::{error, warn};

use crate::error::ImportError;
use crate::import::{ImageOutcome, import};
use crate::names::Destination;
use crate::options::ImportOptions;
use crate::progress::Progress;
use crate::source::Package;

/// As [`import`](crate::import()), for a caller who needs the right to edit all of the organisation: a grant on one of
/// its repositories is not enough, and without the right nothing is read. What becomes of each image is in the trail as
/// `uploadImagePackage`, under the version's name where it is one now.
pub async fn import_for_user(
    plane: &ControlPlane,
    caller: &Caller,
    origin: &Origin,
    destination: &Destination,
    package: Package,
    options: &ImportOptions,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<ImageOutcome>, ImportError> {
    let control = plane.access(caller.clone(), origin.clone());
    let result = match control.admit_packages(&destination.organisation).await {
        Ok(()) => {
            let access = plane.registry().access(caller.clone(), origin.clone());
            import(&access, destination, package, options, report).await
        }
        Err(error) => Err(of_control(error)),
    };
    let faults =
        result.iter().flatten().filter_map(|image| image.result.as_ref().err().map(|error| &**error));
    for error in faults.chain(result.as_ref().err()).filter(|error| status(error) >= 500) {
        error!(?error, "a package could not be taken");
    }
    let organisation = &destination.organisation;
    let told: Vec<(Box<str>, Outcome)> = match &result {
        Ok(images) => images.iter().map(outcome).collect(),
        Err(error) => vec![(organisation.to_string().into(), refused(error))],
    };
    // What was imported is there, with traces of its own, whether or not this one can be written.
    if let Err(error) = control.record_packages(organisation, told).await {
        warn!(?error, %organisation, "the upload of a package is missing from the trail");
    }
    result
}

fn of_control(error: ControlError) -> ImportError {
    match error {
        ControlError::Store(error) => ImportError::Registry(error.into()),
        error => ImportError::Denied(Some(error.into())),
    }
}

fn outcome(image: &ImageOutcome) -> (Box<str>, Outcome) {
    match &image.result {
        Ok(imported) => {
            let name = format!("{}:{}", imported.version.repository, imported.version.tag);
            (name.into(), Outcome::done(Operation::UploadImagePackage))
        }
        Err(error) => (image.name.clone(), refused(error)),
    }
}

fn refused(error: &ImportError) -> Outcome {
    Outcome { code: status(error), reason: error.to_string().into() }
}

/// The status that the management protocol has for it, and the trail keeps.
pub fn status(error: &ImportError) -> u16 {
    match error {
        ImportError::Interrupted(BodyError::Stalled) => 408,
        ImportError::Format(_) | ImportError::Interrupted(_) => 400,
        ImportError::Denied(_) => 403,
        ImportError::TooLarge { .. } => 413,
        ImportError::Registry(Error::TagImmutable { .. }) => 409,
        ImportError::Registry(Error::StoreFull(_)) => 507,
        ImportError::Registry(Error::Store(error)) if error.kind() == StoreErrorKind::Unavailable => 503,
        ImportError::Unreadable(_) | ImportError::Registry(_) => 500,
    }
}
