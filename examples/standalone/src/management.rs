//! What is in a registry, and the rules about it, wherever they are looked after: in the words of the management
//! protocol, which a running server is asked over HTTP and a stopped one's data directory in process.

use async_trait::async_trait;
use clap::Args;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use swr_core::RepositoryName;
use swr_core::control::grant::GrantLevel;
use swr_core::control::identity::{AccountName, UserName};

use crate::administration::{Owner, Place};
use crate::data_directory::DataDirectory;
use crate::output::{self, Fields, Format, Told};
use crate::server::Server;

/// No answer is longer, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How many entries of a list are asked for at once.
const PAGE: usize = 1000;

/// Where the protocol has organisations.
pub(crate) const ORGANISATIONS: &str = "/v2/manage/namespaces";

/// What users are granted, and what it is called here.
pub(crate) const LEVELS: [(GrantLevel, &str); 3] =
    [(GrantLevel::Read, "read"), (GrantLevel::Edit, "edit"), (GrantLevel::Manage, "manage")];

/// What a level is called that the protocol has a number for.
pub(crate) fn level(number: &Value) -> String {
    let found = LEVELS.into_iter().find(|(level, _)| number.as_u64() == Some(level.value().into()));
    found.map(|(_, name)| name.to_owned()).unwrap_or_default()
}

/// Whoever speaks the protocol.
#[async_trait]
pub(crate) trait Management: Send + Sync {
    /// What is answered to a request that was done. The error is one line.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<Value>,
    ) -> Result<Answer, String>;
}

/// What is answered to a request that was done.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// An answer by its status: its error where it is a refusal, and `None` where it is no answer of a registry.
pub(crate) fn answered(status: StatusCode, answer: Answer) -> Option<Result<Answer, String>> {
    /// What the protocol says that does not do what it was asked for.
    #[derive(Deserialize)]
    struct Refusal {
        error_msg: String,
    }

    if status.is_success() {
        return Some(Ok(answer));
    }
    serde_json::from_slice::<Refusal>(&answer.body).ok().map(|refusal| Err(refusal.error_msg))
}

impl dyn Management + '_ {
    /// What there is at a path.
    pub(crate) async fn get(&self, path: &str, query: &str) -> Result<Value, String> {
        self.read(Method::GET, path, query, None).await
    }

    /// What is answered to a document.
    pub(crate) async fn read(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<Value>,
    ) -> Result<Value, String> {
        let answer = self.ask(method, path, query, body).await?;
        serde_json::from_slice(&answer.body).map_err(|_| not_understood(path))
    }

    /// Does what has no answer.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Option<Value>) -> Result<(), String> {
        self.ask(method, path, "", body).await.map(drop)
    }

    /// The list at a path. `list` is its field, or nothing where it is the whole answer.
    pub(crate) async fn list(&self, path: &str, query: &str, list: &str) -> Result<Vec<Value>, String> {
        listed(self.get(path, query).await?, list).ok_or_else(|| not_understood(path))
    }

    /// All of a list that comes in pages by their place. `list` is its field, or nothing.
    pub(crate) async fn all(
        &self,
        method: Method,
        path: &str,
        list: &str,
        query: impl Fn(usize) -> String,
        body: Option<Value>,
    ) -> Result<Vec<Value>, String> {
        let mut entries = Vec::new();
        loop {
            let answer = self.read(method.clone(), path, &query(entries.len()), body.clone()).await?;
            let page = listed(answer, list).ok_or_else(|| not_understood(path))?;
            let is_last = page.len() < PAGE;
            entries.extend(page);
            if is_last {
                return Ok(entries);
            }
        }
    }
}

/// The list in an answer: its field, or with no name the whole answer.
pub(crate) fn listed(mut answer: Value, list: &str) -> Option<Vec<Value>> {
    let found = if list.is_empty() { answer } else { answer.get_mut(list)?.take() };
    match found {
        Value::Array(entries) => Some(entries),
        _ => None,
    }
}

/// What is said of an answer that makes no sense.
pub(crate) fn not_understood(path: &str) -> String {
    format!("the answer to {path} is none of a registry")
}

/// The query of the page that begins there.
pub(crate) fn page(offset: usize) -> String {
    format!("limit={PAGE}&offset={offset}")
}

/// As [`page`], of a list that takes it as a filter.
pub(crate) fn filtered_page(offset: usize) -> String {
    format!("filter=limit%3A%3A{PAGE}%7Coffset%3A%3A{offset}")
}

/// Where it is looked after, and by whom.
#[derive(Args, Debug)]
pub(crate) struct Manager {
    #[command(flatten)]
    pub(crate) place: Place,
    /// In a data directory: who does it, with the rights of that user [default: the first operator]
    #[arg(long = "as", value_name = "ACCOUNT/USER", value_parser = owner, conflicts_with = "server")]
    pub(crate) who: Option<Owner>,
}

impl Manager {
    pub(crate) async fn open(&self) -> Result<Box<dyn Management>, String> {
        match &self.place.server {
            Some(url) => Ok(Box::new(Server::new(url)?)),
            None => {
                let directory = DataDirectory::open(self.place.here.config()?).await?;
                Ok(Box::new(directory.managed_by(self.who.as_ref()).await?))
            }
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.place.format
    }

    /// Prints a part of an answer.
    pub(crate) fn show(&self, value: Value, fields: Fields) -> Result<(), String> {
        output::one(self.format(), &Told::new(value, fields))
    }

    /// Prints a list.
    pub(crate) fn list(&self, values: Vec<Value>, fields: Fields) -> Result<(), String> {
        output::many(self.format(), &Told::each(values, fields))
    }
}

/// A user, as `ACCOUNT/USER`.
pub(crate) fn owner(text: &str) -> Result<Owner, String> {
    let (account, user) = text.split_once('/').ok_or("it is an account and a user with `/` between them")?;
    let account = AccountName::parse(account).map_err(|error| error.to_string())?;
    Ok(Owner { account, user: UserName::parse(user).map_err(|error| error.to_string())? })
}

/// A repository in an organisation.
#[derive(Args, Clone, Debug)]
pub(crate) struct Repository {
    /// The repository: its organisation, and its name within
    #[arg(id = "repository", value_name = "ORG/REPO", value_parser = in_organisation)]
    pub(crate) name: RepositoryName,
}

fn in_organisation(text: &str) -> Result<RepositoryName, String> {
    let name = RepositoryName::parse(text).map_err(|error| error.to_string())?;
    match text.contains('/') {
        true => Ok(name),
        false => Err("it is an organisation and a name within it, with `/` between them".into()),
    }
}

impl Repository {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        in_organisation(text).map(|name| Self { name })
    }

    /// Where the protocol has it.
    pub(crate) fn path(&self) -> String {
        self.path_among("repos")
    }

    /// Where the protocol has it, in a folder that is called so.
    pub(crate) fn path_among(&self, folder: &str) -> String {
        let (organisation, within) = self.parts();
        format!("{ORGANISATIONS}/{organisation}/{folder}/{}", within.replace('/', "$"))
    }

    /// Where the protocol has all repositories of its organisation.
    pub(crate) fn siblings(&self) -> String {
        format!("{ORGANISATIONS}/{}/repos", self.parts().0)
    }

    /// Its name within the organisation.
    pub(crate) fn within(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.name.as_str().split_once('/').unwrap_or((self.name.as_str(), ""))
    }
}
