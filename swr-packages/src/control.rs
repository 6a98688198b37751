//! Packages for users of a control plane (feature `control`): the right to the organisation, and the trail.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

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
/// `uploadImagePackage`, under the version's name where it is one now: as soon as it is told, so that an import that is
/// dropped leaves the traces of what it has done.
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
    let organisation = &destination.organisation;
    // What was imported is there, with traces of its own, whether or not this one can be written.
    let record = async |told: Vec<(Box<str>, Outcome)>| {
        if let Err(error) = control.record_packages(organisation, told).await {
            warn!(?error, %organisation, "the upload of a package is missing from the trail");
        }
    };
    let result = match control.admit_packages(organisation).await {
        Ok(()) => {
            let access = plane.registry().access(caller.clone(), origin.clone());
            let told = Mutex::new(Vec::new());
            let mut report = |progress: Progress| {
                if let Progress::Image(image) = &progress {
                    told.lock().unwrap_or_else(PoisonError::into_inner).push(outcome(image));
                }
                report(progress);
            };
            let untold = || std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
            let mut importing = pin!(import(&access, destination, package, options, &mut report));
            loop {
                // It goes on once the trail has what was told.
                let (result, images) = poll_fn(|context| {
                    let polled = importing.as_mut().poll(context);
                    match (polled, untold()) {
                        (Poll::Ready(result), images) => Poll::Ready((Some(result), images)),
                        (Poll::Pending, images) if images.is_empty() => Poll::Pending,
                        (Poll::Pending, images) => Poll::Ready((None, images)),
                    }
                })
                .await;
                if !images.is_empty() {
                    record(images).await;
                }
                if let Some(result) = result {
                    break result;
                }
            }
        }
        Err(error) => Err(of_control(error)),
    };
    let faults =
        result.iter().flatten().filter_map(|image| image.result.as_ref().err().map(|error| &**error));
    for error in faults.chain(result.as_ref().err()).filter(|error| status(error) >= 500) {
        error!(?error, "a package could not be taken");
    }
    if let Err(error) = &result {
        record(vec![(organisation.to_string().into(), refused(error))]).await;
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
