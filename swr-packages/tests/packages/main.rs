//! Packages in and out of a registry over memory.

mod archives;
mod exporting;
mod hostile;
mod importing;
mod properties;
mod scene;
