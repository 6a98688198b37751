//! What a token is asked for: `repository:name:pull,push`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use swr_core::ports::Action;
use swr_core::{NameError, RepositoryName};

/// One scope of the token protocol: a thing, and what is to be done to it. Printing one gives the shortest
/// text that parses to it again.
///
/// ```
/// use swr_auth::Scope;
///
/// let scope = Scope::parse("repository:tools/nginx:push,pull")?;
/// assert_eq!(scope.to_string(), "repository:tools/nginx:pull,push");
/// # Ok::<(), swr_auth::scope::ScopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Rights in one repository.
    Repository {
        /// The repository.
        name: RepositoryName,
        /// The rights; perhaps none.
        actions: BTreeSet<Action>,
    },
    /// The list of repositories: `registry:catalog:*`.
    Catalogue,
}

impl Scope {
    /// These rights in a repository.
    pub fn repository(name: RepositoryName, actions: impl IntoIterator<Item = Action>) -> Self {
        Self::Repository { name, actions: actions.into_iter().collect() }
    }

    /// Reads one scope. A right that the registry does not know is left out, since fewer rights than were asked
    /// for are no error; `*` is all of them. The old class `repository(plugin)` is a repository.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (class, rest) = text.split_once(':').ok_or(ScopeError::Shape)?;
        let (name, rights) = rest.rsplit_once(':').ok_or(ScopeError::Shape)?;
        match class {
            "repository" | "repository(plugin)" => Ok(Self::Repository {
                name: RepositoryName::parse(name)?,
                actions: rights.split(',').flat_map(actions_of).copied().collect(),
            }),
            "registry" if name == "catalog" && rights.split(',').any(|right| right == "*") => {
                Ok(Self::Catalogue)
            }
            _ => Err(ScopeError::Resource),
        }
    }
}

const ALL: [Action; 3] = [Action::Pull, Action::Push, Action::Delete];

fn name_of(action: Action) -> &'static str {
    match action {
        Action::Pull => "pull",
        Action::Push => "push",
        Action::Delete => "delete",
    }
}

fn actions_of(right: &str) -> &'static [Action] {
    match right {
        "pull" => &[Action::Pull],
        "push" => &[Action::Push],
        "delete" => &[Action::Delete],
        "*" => &ALL,
        _ => &[],
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { name, actions } => {
                write!(f, "repository:{name}:")?;
                for (at, action) in actions.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}", name_of(*action))?;
                }
                Ok(())
            }
            Self::Catalogue => f.write_str("registry:catalog:*"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

/// Why a text is not a scope that the registry knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// It is not a class, a name and rights with colons between them.
    #[error("a scope is a class, a name and rights, with colons between them")]
    Shape,
    /// It is about something that the registry does not have.
    #[error("the registry has repositories and a catalogue, and no other resources")]
    Resource,
    /// The name is no repository's.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_scope_parses_to_itself() {
        let name = || RepositoryName::parse("a/b-c").unwrap();
        for mask in 0..8_u8 {
            let actions = ALL.into_iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
            let scope = Scope::repository(name(), actions.map(|(_, action)| action));
            assert_eq!(Scope::parse(&scope.to_string()), Ok(scope));
        }
        assert_eq!(Scope::parse("registry:catalog:*"), Ok(Scope::Catalogue));
    }

    #[test]
    fn what_clients_send_is_understood() {
        for (text, expected) in [
            ("repository:a:pull", "repository:a:pull"),
            ("repository:a:push,pull,push", "repository:a:pull,push"),
            ("repository:a:*", "repository:a:pull,push,delete"),
            ("repository:a:fly", "repository:a:"),
            ("repository:a:", "repository:a:"),
            ("repository(plugin):a/b:pull", "repository:a/b:pull"),
            ("registry:catalog:pull,*", "registry:catalog:*"),
        ] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for (text, expected) in [
            ("", ScopeError::Shape),
            ("repository", ScopeError::Shape),
            ("repository:a", ScopeError::Shape),
            ("registry:catalog:pull", ScopeError::Resource),
            ("registry:users:*", ScopeError::Resource),
            ("image:a:pull", ScopeError::Resource),
        ] {
            assert_eq!(Scope::parse(text), Err(expected), "{text}");
        }
        for name in ["repository::pull", "repository:A:pull", "repository:host:5000/a:pull"] {
            assert!(matches!(Scope::parse(name), Err(ScopeError::Name(_))), "{name}");
        }
    }
}
