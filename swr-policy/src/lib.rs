#![doc = include_str!("../README.md")]

pub mod aging;
pub mod immutability;
mod name;
pub mod naming;
pub mod pattern;
pub mod selector;
#[cfg(feature = "proptest")]
pub mod strategies;
pub mod trigger;

pub use aging::{AgingKind, AgingLimit, AgingRule, Plan, Verdict, VersionFacts};
pub use immutability::ImmutableTags;
pub use name::{NameError, NameKind, NameRule, OrganisationName, RepositoryName, Tag};
pub use naming::{NamingPolicy, NamingRefusal, NamingRule, OciNaming, SwrNaming, SwrNestedNaming};
pub use pattern::{Pattern, PatternError, PatternRule, PatternSyntax};
pub use selector::{SelectorSet, TagSelector};
pub use trigger::{TriggerCondition, TriggerName, TriggerRule, TriggerSet};
