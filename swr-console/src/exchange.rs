//! One request of somebody who has signed in, and what pages make of it.

use std::future::Future;
use std::sync::Arc;

use http::{Response, StatusCode};
use maud::Markup;
use swr_auth::{AuthenticationError, Secret, Signer};
use swr_core::OrganisationName;
use swr_core::caller::Origin;
use swr_core::control::identity::AccountId;
use swr_core::control::trace::{Operation, Outcome};
use swr_core::control::{ControlAccess, ControlError};
use swr_core::ports::StoreError;
use swr_core::registry::Access;
use swr_core::stream::BodyError;
use swr_http::ResponseBody;
use swr_http::control::{Refusals, status_of};
use swr_http::door::Progress;

use crate::form::Form;
use crate::layout::{Notice, Section};
use crate::service::Parts;
use crate::texts::Texts;

/// What a page needs of a request.
pub(crate) struct Exchange<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) frame: Frame<'a>,
    pub(crate) signer: &'a Signer,
    /// What the forms of this session have in them.
    pub(crate) form_token: &'a Secret,
    pub(crate) origin: &'a Origin,
}

/// What every page has around it.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Where the console is, as clients see it.
    pub(crate) base: &'a str,
    /// What follows it in the address.
    pub(crate) path: &'a str,
    pub(crate) query: &'a Form,
    pub(crate) texts: &'static Texts,
}

impl Frame<'_> {
    /// The address of something in the console: `to` begins with a slash.
    pub(crate) fn link(&self, to: &str) -> String {
        format!("{}{to}", self.base)
    }

    /// This page, with another value in its query. What was done on the way here is not said again.
    pub(crate) fn here_with(&self, name: &str, value: Option<&str>) -> String {
        format!("{}{}{}", self.base, self.path, self.query.with(DONE, None).with(name, value).query())
    }
}

impl<'a> Exchange<'a> {
    /// The control plane as this user may use it.
    pub(crate) fn access(&self) -> ControlAccess<'a> {
        self.parts.plane.access(self.signer.caller(), self.origin.clone())
    }

    /// The registry as this user may use it.
    pub(crate) fn registry(&self) -> Access<'a> {
        self.parts.plane.registry().access(self.signer.caller(), self.origin.clone())
    }

    pub(crate) fn texts(&self) -> &'static Texts {
        self.frame.texts
    }

    pub(crate) fn account(&self) -> &AccountId {
        &self.signer.account.id
    }

    /// The address of something in the console: `to` begins with a slash.
    pub(crate) fn link(&self, to: &str) -> String {
        self.frame.link(to)
    }

    /// What was done on the way here, by the word that [`Self::see`] has left.
    pub(crate) fn done(&self) -> Option<&str> {
        self.frame.query.get(DONE)
    }

    /// Goes on at `to`, where `done` is what the page says of what was done.
    pub(crate) fn see(&self, to: &str, done: &str) -> Reply {
        let separator = if to.contains('?') { '&' } else { '?' };
        Reply::Redirect(format!("{}{to}{separator}{DONE}={done}", self.frame.base))
    }

    /// Does what changes something. When it is refused the trail says so, as it does for the protocol.
    pub(crate) async fn attempt<T, E: Into<Problem>>(
        &self,
        what: Attempt,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        let Attempt { operation: named, resource, organisation } = what;
        operation.await.map_err(|error| {
            let problem = error.into();
            let reason = match &problem {
                Problem::Control(error) => error.to_string(),
                problem => self.texts().errors.explain(problem),
            };
            let outcome = Outcome { code: problem.status().as_u16(), reason: reason.into() };
            let traced = Refusals::about(named, resource, organisation, "");
            self.parts.refusals.add(&self.signer.caller(), self.origin, traced, outcome);
            problem
        })
    }
}

/// The parameter that says what was done.
const DONE: &str = "done";

/// What is attempted, for the trail.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) operation: Operation,
    /// The name of what it is done to, empty where it has none yet.
    pub(crate) resource: String,
    pub(crate) organisation: Option<OrganisationName>,
}

impl Attempt {
    pub(crate) fn new(operation: Operation, resource: impl ToString) -> Self {
        Self { operation, resource: resource.to_string(), organisation: None }
    }

    /// In an organisation.
    pub(crate) fn within(self, organisation: &OrganisationName) -> Self {
        Self { organisation: Some(organisation.clone()), ..self }
    }
}

/// What was sent with a request, by a page that has shown its session's token.
pub(crate) enum Sent {
    Form(Form),
    Files(SentFiles),
}

/// A form with files in it: its parts after the token, of which nobody has read any.
pub(crate) struct SentFiles {
    pub(crate) form: swr_packages::Form,
    /// How far it has been read.
    pub(crate) progress: Arc<Progress>,
}

impl Sent {
    pub(crate) fn form(self) -> Result<Form, Problem> {
        match self {
            Self::Form(form) => Ok(form),
            Self::Files(_) => Err(Problem::MediaType),
        }
    }

    pub(crate) fn files(self) -> Result<SentFiles, Problem> {
        match self {
            Self::Files(files) => Ok(files),
            Self::Form(_) => Err(Problem::MediaType),
        }
    }
}

/// The field in which forms show their session's token: the first of those with files.
pub(crate) const FORM_TOKEN_FIELD: &str = "form_token";

/// What a page makes of a request.
pub(crate) type Answer = Result<Reply, Problem>;

/// What a client gets.
pub(crate) enum Reply {
    Page(Page),
    /// The address is the console's own.
    Redirect(String),
    /// A piece of a page, for the script.
    Fragment(Markup),
    /// A file.
    Download(Box<Response<ResponseBody>>),
}

/// A page without what all have around them.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) section: Option<Section>,
    pub(crate) title: String,
    pub(crate) notice: Option<Notice>,
    pub(crate) body: Markup,
}

impl Page {
    pub(crate) fn new(section: Section, title: impl Into<String>, body: Markup) -> Self {
        Self { status: StatusCode::OK, section: Some(section), title: title.into(), notice: None, body }
    }

    /// Says above everything that something was done.
    pub(crate) fn done(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => Self { notice: Some(Notice::Done(text.to_owned())), ..self },
            None => self,
        }
    }

    /// Says above everything what went wrong, with the status of that.
    pub(crate) fn problem(self, problem: Option<&Problem>, texts: &Texts) -> Self {
        match problem {
            Some(problem) => Self {
                status: problem.status(),
                notice: Some(Notice::Wrong(texts.errors.explain(problem))),
                ..self
            },
            None => self,
        }
    }
}

impl From<Page> for Reply {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}

/// Why something was not done, or is not shown.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The control plane says so.
    Control(ControlError),
    /// A field of the form is wrong, for this reason in the language of the page.
    Field(String),
    /// The word that was to be typed is another.
    Word,
    /// There is no such page.
    NoSuchPage,
    /// The page is there, and takes no such request.
    Method,
    /// The request was not made by one of this session's own pages.
    Forged,
    /// The body is no form.
    MediaType,
    /// The body is longer than may be.
    TooLong,
    /// The body did not come, or not to its end.
    Interrupted,
    /// Too many passwords are being looked at.
    Busy,
    /// It takes too long.
    TooSlow,
}

impl Problem {
    pub(crate) fn status(&self) -> StatusCode {
        use StatusCode as S;
        match self {
            Self::Control(ControlError::Busy) | Self::Busy => S::TOO_MANY_REQUESTS,
            Self::Control(error) => status_of(error),
            Self::Field(_) | Self::Word | Self::Interrupted => S::BAD_REQUEST,
            Self::NoSuchPage => S::NOT_FOUND,
            Self::Method => S::METHOD_NOT_ALLOWED,
            Self::Forged => S::FORBIDDEN,
            Self::MediaType => S::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong => S::PAYLOAD_TOO_LARGE,
            Self::TooSlow => S::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { .. } => Self::TooLong,
            _ => Self::Interrupted,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Control(error.into())
    }
}

impl From<AuthenticationError> for Problem {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Busy { .. } => Self::Busy,
            AuthenticationError::Store(error) => Self::Control(error.into()),
            _ => Self::Control(ControlError::Unauthorized),
        }
    }
}
