#![doc = include_str!("../README.md")]

mod name;
pub mod naming;

pub use name::{NameError, NameKind, NameRule, OrganisationName, RepositoryName, Tag};
pub use naming::{NamingPolicy, NamingRefusal, NamingRule, OciNaming, SwrNaming, SwrNestedNaming};
