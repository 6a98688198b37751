#![doc = include_str!("../README.md")]

mod contents;
#[cfg(feature = "control")]
pub mod control;
pub mod error;
pub mod export;
pub mod form;
pub mod import;
mod intake;
mod layout;
pub mod names;
pub mod options;
pub mod progress;
mod read_tar;
pub mod source;
#[cfg(feature = "control")]
pub mod upload;
mod write_tar;

pub use error::ImportError;
pub use export::{ExportedPackage, export};
pub use form::Form;
pub use import::{FileOutcome, Files, ImageOutcome, ImportedImage, UploadError, import, import_all};
pub use names::{Destination, Version};
pub use options::ImportOptions;
pub use progress::Progress;
pub use source::Package;
