//! Images: their lists, and one of them in tabs.

mod aging;
mod attributes;
mod grants;
mod guide;
mod list;
mod manifest;
mod sharing;
mod timeline;
mod triggers;
pub(crate) mod upload;
mod versions;

use maud::{Markup, html};
use swr_core::control::ControlError;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::organisation::organisation_of;
use swr_core::control::repository::{RepositoryDetails, Visibility};
use swr_core::control::trace::Operation;
use swr_core::{OrganisationName, RepositoryName, Tag, TriggerName};

use crate::exchange::{Answer, Attempt, Exchange, Page, Problem};
use crate::form::Form;
use crate::layout::Section;
use crate::pages::grants::right;
use crate::pieces::{Removal, expect_word, heading, trail};
use crate::texts::Texts;

pub(crate) async fn show(exchange: &Exchange<'_>, path: &[&str]) -> Answer {
    let [organisation, repository, rest @ ..] = path else {
        return match path {
            [] => list::show(exchange, None).await,
            _ => Err(Problem::NoSuchPage),
        };
    };
    let image = Image::find(exchange, organisation, repository).await?;
    match rest {
        [] => versions::show(exchange, &image, None).await,
        ["versions", tag] => manifest::version(exchange, &image, &tagged(tag)?).await,
        ["versions", tag, "package"] => upload::download(exchange, &image, &tagged(tag)?).await,
        ["attributes"] => attributes::show(exchange, &image, None).await,
        ["guide"] => guide::show(exchange, &image).await,
        ["grants"] => grants::show(exchange, &image, None).await,
        ["sharing"] => sharing::show(exchange, &image, None).await,
        ["triggers"] => triggers::show(exchange, &image, None).await,
        ["aging"] => aging::show(exchange, &image, None).await,
        _ => Err(Problem::NoSuchPage),
    }
}

pub(crate) async fn change(exchange: &Exchange<'_>, path: &[&str], form: Form) -> Answer {
    let [organisation, repository, rest @ ..] = path else { return Err(Problem::Method) };
    let found = Image::find(exchange, organisation, repository);
    // Nothing is changed.
    match rest {
        ["triggers", "preview"] => return triggers::try_out(exchange, &found.await?, &form).await,
        ["aging", "preview"] => return aging::try_out(exchange, &found.await?, &form).await,
        _ => {}
    }
    let name = named(organisation, repository)?;
    let Some((operation, part)) = attempted(rest, &form) else {
        return Err(match rest {
            [] | ["versions", _] | ["guide"] => Problem::Method,
            _ => Problem::NoSuchPage,
        });
    };
    let within = organisation_of(&name).ok_or(Problem::NoSuchPage)?;
    let what = Attempt::new(operation, format!("{name}{part}")).within(&within);
    let image = exchange.attempt(what.clone(), found).await?;
    match rest {
        ["versions", ..] => versions::remove(exchange, &image, what, &form).await,
        ["attributes"] => attributes::change(exchange, &image, what, &form).await,
        ["grants", rest @ ..] => grants::change(exchange, &image, what, rest, &form).await,
        ["sharing", rest @ ..] => sharing::change(exchange, &image, what, rest, &form).await,
        ["triggers", rest @ ..] => triggers::change(exchange, &image, what, rest, &form).await,
        ["aging", rest @ ..] => aging::change(exchange, &image, what, rest, &form).await,
        _ => remove(exchange, &image, what, &form).await,
    }
}

/// What a form that goes to this address of an image attempts, and with what of it: what follows its name in the trail.
fn attempted(path: &[&str], form: &Form) -> Option<(Operation, String)> {
    use Operation as O;
    let trigger = |field| {
        let name = TriggerName::parse(form.text(field));
        format!("/{}", name.as_ref().map_or("", TriggerName::as_str))
    };
    let operation = match path {
        ["delete"] => O::DeleteImageRepository,
        ["versions", "delete"] => {
            let tag = Tag::parse(form.text("tag")).map(|tag| format!(":{tag}")).unwrap_or_default();
            return Some((O::DeleteImageTag, tag));
        }
        ["attributes"] => O::UpdateImageRepository,
        ["grants"] => O::CreateUserRepositoryAuth,
        ["grants", "change"] => O::UpdateUserRepositoryAuth,
        ["grants", "remove"] => O::DeleteUserRepositoryAuth,
        ["sharing"] => O::CreateImageRepositoryAccessDomain,
        ["sharing", "change"] => O::UpdateImageRepositoryAccessDomain,
        ["sharing", "end"] => O::DeleteImageRepositoryAccessDomain,
        ["triggers"] => return Some((O::CreateTrigger, trigger("name"))),
        ["triggers", "enable" | "replay"] => return Some((O::UpdateTrigger, trigger("trigger"))),
        ["triggers", "delete"] => return Some((O::DeleteTrigger, trigger("trigger"))),
        ["aging"] => O::CreateRetention,
        ["aging", "change"] => O::UpdateRetention,
        ["aging", "delete"] => O::DeleteRetention,
        _ => return None,
    };
    Some((operation, String::new()))
}

/// The name that the address of an image says.
fn named(organisation: &str, repository: &str) -> Result<RepositoryName, Problem> {
    let name = format!("{organisation}/{}", repository.replace('$', "/"));
    RepositoryName::parse(&name).map_err(|_| Problem::NoSuchPage)
}

/// What is no tag is no version's.
fn tagged(text: &str) -> Result<Tag, Problem> {
    Tag::parse(text).map_err(|_| Problem::NoSuchPage)
}

/// The address of an image. What separates the components of its name after the organisation's is written `$`, as in the
/// management protocol.
pub(crate) fn address(name: &RepositoryName) -> String {
    match name.as_str().split_once('/') {
        Some((organisation, rest)) => format!("/images/{organisation}/{}", rest.replace('/', "$")),
        None => "/images".to_owned(),
    }
}

/// An image that somebody looks at.
struct Image {
    name: RepositoryName,
    organisation: OrganisationName,
    details: RepositoryDetails,
    /// How much the caller may do in it; `None` where it may pull alone, as with what is shared or public.
    level: Option<GrantLevel>,
}

impl Image {
    async fn find(exchange: &Exchange<'_>, organisation: &str, repository: &str) -> Result<Self, Problem> {
        let name = named(organisation, repository)?;
        let organisation = organisation_of(&name).ok_or(Problem::NoSuchPage)?;
        let details = exchange.access().repository(&name).await?;
        let level = level(exchange, &organisation, &name).await?;
        Ok(Self { name, organisation, details, level })
    }

    /// The address of a part of it: `to` is empty or begins with a slash.
    fn link(&self, exchange: &Exchange<'_>, to: &str) -> String {
        exchange.link(&self.address(to))
    }

    /// The same within the console.
    fn address(&self, to: &str) -> String {
        format!("{}{to}", address(&self.name))
    }

    /// Its name without the organisation's.
    fn within(&self) -> &str {
        self.name.as_str().split_once('/').map_or("", |(_, within)| within)
    }

    fn may(&self, level: GrantLevel) -> bool {
        self.level >= Some(level)
    }

    fn edits(&self) -> bool {
        self.may(GrantLevel::Edit)
    }

    fn manages(&self) -> bool {
        self.may(GrantLevel::Manage)
    }

    /// Refuses what the page would have nothing to show of, to those who may pull alone.
    fn expect_read(&self) -> Result<(), Problem> {
        match self.level {
            Some(_) => Ok(()),
            None => Err(Problem::Control(ControlError::Denied(Default::default()))),
        }
    }

    /// What clients call a version of it.
    fn reference(&self, exchange: &Exchange<'_>, tag: &str) -> String {
        format!("{}/{}:{tag}", exchange.parts.options.settings.host(), self.name)
    }
}

/// The higher of what the caller may do in the organisation and of its grant on the repository.
async fn level(
    exchange: &Exchange<'_>,
    organisation: &OrganisationName,
    name: &RepositoryName,
) -> Result<Option<GrantLevel>, ControlError> {
    let access = exchange.access();
    let around = match access.organisation(organisation).await {
        Ok((_, level)) => Some(level),
        Err(ControlError::OrganisationUnknown(_) | ControlError::Denied(_)) => None,
        Err(error) => return Err(error),
    };
    let granted = match access.grants(&GrantScope::Repository(name.clone())).await {
        Ok(granted) => granted,
        Err(ControlError::RepositoryUnknown(_) | ControlError::Denied(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let own = granted.iter().find(|granted| granted.user == exchange.signer.user.id);
    Ok(around.max(own.map(|granted| granted.level)))
}

/// The parts of an image's page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Versions,
    Attributes,
    Grants,
    Sharing,
    Triggers,
    Aging,
    Guide,
}

impl Tab {
    /// Those that whoever has this level finds something in.
    fn of(image: &Image) -> impl Iterator<Item = Self> {
        let all = [
            Self::Versions,
            Self::Attributes,
            Self::Grants,
            Self::Sharing,
            Self::Triggers,
            Self::Aging,
            Self::Guide,
        ];
        all.into_iter().filter(|tab| match tab {
            Self::Versions | Self::Attributes | Self::Guide => true,
            Self::Grants | Self::Triggers | Self::Aging => image.level.is_some(),
            Self::Sharing => image.manages(),
        })
    }

    fn path(self) -> &'static str {
        match self {
            Self::Versions => "",
            Self::Attributes => "/attributes",
            Self::Grants => "/grants",
            Self::Sharing => "/sharing",
            Self::Triggers => "/triggers",
            Self::Aging => "/aging",
            Self::Guide => "/guide",
        }
    }

    fn name(self, texts: &Texts) -> &'static str {
        let texts = &texts.images;
        match self {
            Self::Versions => texts.versions,
            Self::Attributes => texts.attributes,
            Self::Grants => texts.grants,
            Self::Sharing => texts.sharing,
            Self::Triggers => texts.triggers,
            Self::Aging => texts.aging,
            Self::Guide => texts.guide,
        }
    }
}

/// A page of an image: what all of them have above their own.
fn page(exchange: &Exchange<'_>, image: &Image, tab: Tab, body: Markup) -> Page {
    let (all, texts) = (exchange.texts(), &exchange.texts().images);
    let removal = Removal {
        id: "delete-image",
        action: image.link(exchange, "/delete"),
        title: texts.delete,
        what: &(texts.delete_what)(image.name.as_str()),
        fields: &[],
    };
    let actions = html! {
        (visibility(all, image.details.attributes.visibility))
        span.tag { (image.level.map_or(texts.shared_right, |level| right(all, level))) }
        @if image.manages() { (removal.view(exchange)) }
    };
    let around = html! {
        (trail(all, &[(texts.title, Some(exchange.link("/images"))), (image.name.as_str(), None)]))
        (heading(image.within(), Some(&(texts.in_organisation)(image.organisation.as_str())), actions))
        nav.tabs aria-label=(texts.tabs) {
            ul {
                @for other in Tab::of(image) {
                    li {
                        a href=(image.link(exchange, other.path())) aria-current=[(other == tab).then_some("page")] {
                            (other.name(all))
                        }
                    }
                }
            }
        }
        (body)
    };
    Page::new(Section::Images, image.name.as_str(), around)
}

/// Who may pull without a right of their own, in a word.
fn visibility(texts: &Texts, visibility: Visibility) -> Markup {
    match visibility {
        Visibility::Public => html! { span.tag.warning { (texts.images.public) } },
        Visibility::Private => html! { span.tag { (texts.images.private) } },
    }
}

async fn remove(exchange: &Exchange<'_>, image: &Image, what: Attempt, form: &Form) -> Answer {
    let removed = exchange.attempt(what, async {
        expect_word(form)?;
        Ok::<_, Problem>(exchange.access().remove_repository(&image.name).await?)
    });
    match removed.await {
        Ok(()) => Ok(exchange.see("/images", "deleted")),
        Err(problem) => versions::show(exchange, image, Some(&problem)).await,
    }
}
