//! Uploads of packages by users of a control plane: no more at once than may be, and each told of while it runs (feature
//! `control`).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use swr_core::caller::{Caller, Origin};
use swr_core::control::{ControlError, ControlPlane};
use swr_core::stream::ByteStream;

use crate::control::import_for_user;
use crate::form::{Form, FormError};
use crate::import::{FILES_MAX, FileOutcome, Files, TooManyFiles, UploadError};
use crate::names::Destination;
use crate::options::ImportOptions;
use crate::progress::Progress;
use crate::source::Package;

/// What a form may have beside its packages, in bytes.
const FORM_BYTES: u64 = 512 << 10;

/// Where users hand in packages. Cheap to clone; all clones are the same desk, whichever doors lead to it.
#[derive(Clone)]
pub struct PackageDesk {
    plane: ControlPlane,
    options: ImportOptions,
    room: Arc<Room>,
}

impl PackageDesk {
    /// The desk of a control plane, at which so many uploads are taken in at once: each keeps one package in
    /// [`ImportOptions::spool`] at a time. One user has at most half of the places, and at least one.
    pub fn new(plane: ControlPlane, options: ImportOptions, at_once: usize) -> Self {
        Self { plane, options, room: Arc::new(Room { at_once, taken: Mutex::default() }) }
    }

    /// What it takes in.
    pub fn options(&self) -> &ImportOptions {
        &self.options
    }

    /// The form that a body of this type is, no longer than one of as many packages as may be.
    pub fn form(&self, content_type: &str, body: ByteStream) -> Result<Form, FormError> {
        let packages = self.options.package_bytes_max.saturating_mul(FILES_MAX as u64);
        Form::new(content_type, body, packages.saturating_add(FORM_BYTES))
    }

    /// Asks, before anything is read, whether the caller may bring packages to the organisation now: it needs the
    /// right to edit all of it, and room at the desk.
    pub async fn admit(
        &self,
        caller: Caller,
        origin: Origin,
        destination: Destination,
    ) -> Result<AdmittedUpload, AdmissionError> {
        let access = self.plane.access(caller.clone(), origin.clone());
        access.admit_packages(&destination.organisation).await?;
        let place = Place::of(&self.room, &caller).ok_or(AdmissionError::Busy)?;
        Ok(AdmittedUpload { desk: self.clone(), caller, origin, destination, place })
    }
}

impl fmt::Debug for PackageDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackageDesk")
            .field("options", &self.options)
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

/// The places at a desk.
#[derive(Debug)]
struct Room {
    at_once: usize,
    /// By whom; nobody is in it who has none.
    taken: Mutex<HashMap<Caller, usize>>,
}

/// A place at a desk, until it is dropped.
#[derive(Debug)]
struct Place {
    room: Arc<Room>,
    caller: Caller,
}

impl Place {
    fn of(room: &Arc<Room>, caller: &Caller) -> Option<Self> {
        let mut taken = room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(caller).copied().unwrap_or_default();
        if taken.values().sum::<usize>() >= room.at_once || own >= (room.at_once / 2).max(1) {
            return None;
        }
        taken.insert(caller.clone(), own + 1);
        Some(Self { room: Arc::clone(room), caller: caller.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
        }
        taken.retain(|_, own| *own > 0);
    }
}

/// Why an upload may not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The caller may not, or there is no such organisation.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// As many as may be are taken in already, of this user or of all.
    #[error("too many packages are taken in at once: try again later")]
    Busy,
}

/// An upload that may begin. It keeps its place at the desk until it is over, or dropped.
#[derive(Debug)]
pub struct AdmittedUpload {
    desk: PackageDesk,
    caller: Caller,
    origin: Origin,
    destination: Destination,
    place: Place,
}

impl AdmittedUpload {
    /// Takes in one package.
    pub fn package(self, name: &str, package: Package) -> Uploading {
        self.files(stream::iter([Ok((name.into(), package))]).boxed())
    }

    /// Takes in the files one after the other, in the order in which they come, each as
    /// [`import_for_user`] does. One that fails does not stop those after it; an eleventh ends the upload, and so does
    /// a second one where the destination names a version.
    pub fn files(self, files: Files) -> Uploading {
        let told = Told::default();
        let work = self.work(files, told.clone()).boxed();
        Uploading { work: Some(work), told }
    }

    async fn work(self, mut files: Files, told: Told) {
        let Self { desk, caller, origin, destination, place } = self;
        let mut number = 0;
        let broken = loop {
            let (name, package) = match files.next().await {
                Some(Ok(file)) => file,
                Some(Err(error)) => break Some(error.into()),
                None if number == 0 => break Some(UploadError::NoFile),
                None => break None,
            };
            if number == FILES_MAX {
                break Some(TooManyFiles.into());
            }
            if number > 0 && destination.target.is_some() {
                break Some(UploadError::TargetOfMany);
            }
            told.tell(Progress::File { number, name: name.clone() });
            let mut report = |progress| told.tell(progress);
            let (plane, options) = (&desk.plane, &desk.options);
            let result =
                import_for_user(plane, &caller, &origin, &destination, package, options, &mut report).await;
            told.tell(Progress::FileDone(FileOutcome { name, result: result.map_err(Arc::new) }));
            number += 1;
        };
        if let Some(error) = broken {
            told.tell(Progress::Broken(Arc::new(error)));
        }
        drop(place);
    }
}

/// An upload that runs while it is asked what happens, and ends where it is dropped: what has become a version by then
/// is one, and nothing else is left. Needs a tokio runtime.
pub struct Uploading {
    /// `None` when it is over.
    work: Option<BoxFuture<'static, ()>>,
    told: Told,
}

impl Stream for Uploading {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Progress>> {
        if let Some(progress) = self.told.next() {
            return Poll::Ready(Some(progress));
        }
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        let is_over = work.as_mut().poll(context).is_ready();
        if is_over {
            self.work = None;
        }
        match self.told.next() {
            None if !is_over => Poll::Pending,
            told => Poll::Ready(told),
        }
    }
}

impl fmt::Debug for Uploading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploading").field("is_over", &self.work.is_none()).finish_non_exhaustive()
    }
}

/// What has happened and nobody was told of yet. It holds what one step of the work tells.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<VecDeque<Progress>>>);

impl Told {
    fn tell(&self, progress: Progress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(progress);
    }

    fn next(&self) -> Option<Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
