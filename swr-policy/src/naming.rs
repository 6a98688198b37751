//! Which names may come into being: the profiles `oci`, `swr` and `swr-nested`, or a host's own.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Debug};

use crate::name::{self, Defect, NameRule, OrganisationName, RepositoryName, Tag};

/// Asked when an organisation, a repository or a tag is about to come into being, never when it is read: what
/// exists keeps its name when the policy is tightened.
///
/// An answer depends on the name alone, and is quick: it is given on the way of every first push.
pub trait NamingPolicy: Debug + Send + Sync + 'static {
    /// Whether a repository of this name may be made.
    fn admit_repository(&self, name: &RepositoryName) -> Result<(), NamingRefusal>;

    /// Whether a tag of this name may be made. The grammar of tags is enough for most.
    fn admit_tag(&self, _: &Tag) -> Result<(), NamingRefusal> {
        Ok(())
    }

    /// Whether an organisation of this name may be made. A registry without organisations never asks.
    fn admit_organisation(&self, _: &OrganisationName) -> Result<(), NamingRefusal> {
        Ok(())
    }
}

/// The profile `oci`: whatever the distribution specification's grammar allows.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a policy without settings")]
pub struct OciNaming;

impl NamingPolicy for OciNaming {
    fn admit_repository(&self, _: &RepositoryName) -> Result<(), NamingRefusal> {
        Ok(())
    }
}

/// The profile `swr`: exactly `organisation/repository`.
///
/// The organisation is an [`OrganisationName`]. The repository is 1 to 128 bytes: runs of `a-z` and `0-9`
/// joined by `_`, `__` or any number of dashes.
#[derive(Clone, Debug, Default)]
pub struct SwrNaming {
    reserved: BTreeSet<OrganisationName>,
}

impl SwrNaming {
    /// The longest repository part, in bytes.
    pub const REPOSITORY_BYTES_MAX: usize = 128;

    /// The profile with no organisation reserved.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps an organisation's name from being used, such as `manage` where `/v2/manage/` means something else.
    #[must_use]
    pub fn reserve(mut self, organisation: OrganisationName) -> Self {
        self.reserved.insert(organisation);
        self
    }
}

impl NamingPolicy for SwrNaming {
    fn admit_repository(&self, name: &RepositoryName) -> Result<(), NamingRefusal> {
        let mut slashes = name.as_str().match_indices('/');
        if let Some((second, _)) = slashes.nth(1) {
            return Err(refusal(name.as_str(), 3, NamingRule::TooManyComponents, second + 1));
        }
        admit_path(name, &self.reserved)
    }

    fn admit_organisation(&self, name: &OrganisationName) -> Result<(), NamingRefusal> {
        admit_unreserved(name.as_str(), name.as_str(), &self.reserved)
    }
}

/// The profile `swr-nested`: `organisation/repository`, where the repository part may be a path.
///
/// As [`SwrNaming`], but every further component obeys the repository rule; the whole repository part, its
/// slashes included, keeps to 128 bytes.
#[derive(Clone, Debug, Default)]
pub struct SwrNestedNaming {
    reserved: BTreeSet<OrganisationName>,
}

impl SwrNestedNaming {
    /// The profile with no organisation reserved.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps an organisation's name from being used, such as `manage` where `/v2/manage/` means something else.
    #[must_use]
    pub fn reserve(mut self, organisation: OrganisationName) -> Self {
        self.reserved.insert(organisation);
        self
    }
}

impl NamingPolicy for SwrNestedNaming {
    fn admit_repository(&self, name: &RepositoryName) -> Result<(), NamingRefusal> {
        admit_path(name, &self.reserved)
    }

    fn admit_organisation(&self, name: &OrganisationName) -> Result<(), NamingRefusal> {
        admit_unreserved(name.as_str(), name.as_str(), &self.reserved)
    }
}

fn admit_path(name: &RepositoryName, reserved: &BTreeSet<OrganisationName>) -> Result<(), NamingRefusal> {
    let name = name.as_str();
    let (organisation, repository) = name.split_once('/').unwrap_or((name, ""));
    if let Some(Defect { rule, position }) = name::organisation_defect(organisation) {
        return Err(refusal(name, 1, NamingRule::Organisation(rule), position));
    }
    admit_unreserved(name, organisation, reserved)?;
    if repository.is_empty() {
        return Err(refusal(name, 1, NamingRule::NoOrganisation, 0));
    }

    let mut start = organisation.len() + 1;
    let limit = SwrNaming::REPOSITORY_BYTES_MAX;
    let surplus = name::too_long(repository, limit).map(|defect| defect.further(start));
    for (component, number) in repository.split('/').zip(2..) {
        let end = start + component.len();
        let defect = name::plain_component_defect(component)
            .map(|defect| defect.further(start))
            .or(surplus.filter(|surplus| surplus.position <= end));
        if let Some(Defect { rule, position }) = defect {
            return Err(refusal(name, number, NamingRule::Repository(rule), position));
        }
        start = end + 1;
    }
    Ok(())
}

fn admit_unreserved(
    name: &str,
    organisation: &str,
    reserved: &BTreeSet<OrganisationName>,
) -> Result<(), NamingRefusal> {
    match reserved.contains(organisation) {
        true => Err(refusal(name, 1, NamingRule::Reserved, 0)),
        false => Ok(()),
    }
}

fn refusal(name: &str, component: usize, rule: NamingRule, position: usize) -> NamingRefusal {
    NamingRefusal { name: name::excerpt(name), component, rule, position }
}

/// Why a policy does not let a name come into being.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {name:?} is refused: component {component} {rule} (byte {position})")]
pub struct NamingRefusal {
    name: Box<str>,
    component: usize,
    rule: NamingRule,
    position: usize,
}

impl NamingRefusal {
    /// A refusal for a reason of the host's own, which completes the sentence "component 2 …": `must end in -prod`.
    ///
    /// `component` counts from 1, `position` in bytes from 0.
    pub fn own(
        name: &str,
        component: usize,
        position: usize,
        reason: impl Into<Cow<'static, str>>,
    ) -> NamingRefusal {
        refusal(name, component, NamingRule::Own(reason.into()), position)
    }

    /// The name that was refused.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which component of the path is at fault, counted from 1.
    pub fn component(&self) -> usize {
        self.component
    }

    /// The rule that was broken.
    pub fn rule(&self) -> &NamingRule {
        &self.rule
    }

    /// Where in the name it was broken, in bytes from 0.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// A rule of a naming policy that a well-formed name can break.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamingRule {
    /// The component in the organisation's place is no organisation's name.
    Organisation(NameRule),
    /// The component breaks the repository rule.
    Repository(NameRule),
    /// There is a single component, so no organisation stands in front of a repository.
    NoOrganisation,
    /// There are more components than an organisation and a repository.
    TooManyComponents,
    /// The organisation's name is reserved.
    Reserved,
    /// A host's own reason, completing the sentence "component 2 …".
    Own(Cow<'static, str>),
}

impl fmt::Display for NamingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation(rule) => write!(f, "as an organisation {rule}"),
            Self::Repository(rule) => write!(f, "as a repository {rule}"),
            Self::NoOrganisation => f.write_str("stands alone, without an organisation in front"),
            Self::TooManyComponents => f.write_str("is one too many"),
            Self::Reserved => f.write_str("is a reserved organisation"),
            Self::Own(reason) => f.write_str(reason),
        }
    }
}
