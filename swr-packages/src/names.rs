//! What an image of a package is called, and which version it becomes.

use swr_core::{Error, OrganisationName, RepositoryName, Tag};

use crate::error::{Defect, ImportError, Reason};

/// Where the images of a package go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// The organisation that they all go to.
    pub organisation: OrganisationName,
    /// The version that the one image of the package becomes, whatever the package calls it.
    pub target: Option<Version>,
}

impl Destination {
    /// The organisation; each image becomes what the package says.
    pub fn new(organisation: OrganisationName) -> Self {
        Self { organisation, target: None }
    }

    /// The version that the one image of the package becomes.
    #[must_use]
    pub fn with_target(mut self, repository: RepositoryName, tag: Tag) -> Self {
        self.target = Some(Version { repository, tag });
        self
    }
}

/// A tag in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "whoever names one builds it")]
pub struct Version {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
}

/// The version that a name of a package means in an organisation: `{host}/{organisation}/{repository}[:{tag}]`, whose
/// organisation is this one and whose host is any, or `{repository}[:{tag}]`, which goes into this one.
pub(crate) fn version(name: &str, organisation: &OrganisationName) -> Result<Version, ImportError> {
    let shape = || ImportError::from(Defect::at(name, Reason::Shape));
    let (path, tag) = match name.rsplit_once(':') {
        // A colon before the last slash belongs to the port of the host.
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (name, "latest"),
    };
    if path.contains('@') {
        return Err(shape());
    }
    let repository = match path.split_once('/') {
        None => format!("{organisation}/{path}"),
        Some((host, rest)) => {
            let (given, repository) = rest.split_once('/').ok_or_else(shape)?;
            if !is_host(host) || given.is_empty() || repository.is_empty() {
                return Err(shape());
            }
            if given != AsRef::<str>::as_ref(organisation) {
                return Err(ImportError::Denied(None));
            }
            rest.to_owned()
        }
    };
    let refused =
        |error| ImportError::from(Defect::at(name, Reason::Refused(Box::new(Error::NameInvalid(error)))));
    Ok(Version {
        repository: RepositoryName::parse(&repository).map_err(refused)?,
        tag: Tag::parse(tag).map_err(refused)?,
    })
}

/// Whether clients take the first part of an address for a host.
fn is_host(text: &str) -> bool {
    let is_written_so = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    text.bytes().all(is_written_so) && (text.contains(['.', ':']) || text == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Result<String, String> {
        let organisation = OrganisationName::parse("team").unwrap();
        match version(name, &organisation) {
            Ok(Version { repository, tag }) => Ok(format!("{repository}:{tag}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn names_become_versions_of_the_organisation() {
        for (name, version) in [
            ("registry.example.com/team/app:v1", "team/app:v1"),
            ("registry.example.com/team/app", "team/app:latest"),
            ("127.0.0.1:5000/team/app", "team/app:latest"),
            ("[::1]:5000/team/app:v1", "team/app:v1"),
            ("localhost/team/app:v1", "team/app:v1"),
            ("a.b/team/app/part:v1", "team/app/part:v1"),
            ("nginx:latest", "team/nginx:latest"),
            ("nginx", "team/nginx:latest"),
        ] {
            assert_eq!(read(name), Ok(version.to_owned()), "{name}");
        }
    }

    #[test]
    fn names_of_another_organisation_are_not_the_callers() {
        for name in ["a.b/other/app:v1", "localhost:5000/Team/app", "docker.io/library/nginx"] {
            assert_eq!(read(name), Err("authentication failed".to_owned()), "{name}");
        }
    }

    #[test]
    fn every_other_shape_is_refused() {
        for name in [
            "team/app:v1",
            "localhost/app",
            "host/team/app",
            "a.b/team/",
            "a.b//app",
            "/team/app",
            "a.b/team",
            "nginx@sha256:00",
            "a b.c/team/app",
        ] {
            let refused = read(name).unwrap_err();
            assert!(refused.contains("{host}/{organization}/{repository}"), "{name}: {refused}");
        }
        for name in ["", ":v1", "Nginx:v1", "nginx:", "nginx:a b", "a.b/team/APP", "a.b/team/app/"] {
            let refused = read(name).unwrap_err();
            assert!(refused.starts_with("invalid image format: "), "{name}: {refused}");
        }
    }
}
