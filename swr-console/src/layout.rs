//! What every page has around it.

use maud::{DOCTYPE, Markup, html};
use swr_core::control::identity::Role;

use crate::assets::{SCRIPT, STYLE};
use crate::exchange::{Exchange, Frame, Page, Problem};
use crate::language::{Language, PARAMETER};
use crate::pieces::token;
use crate::texts::Texts;

/// The parts of the console, as its navigation has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Organisations,
    Images,
    Audit,
    Credentials,
    Users,
    Accounts,
}

/// What is said above everything else.
pub(crate) enum Notice {
    Done(String),
    Wrong(String),
}

impl Section {
    /// Those that whoever has this role finds something in.
    fn of(role: Role) -> impl Iterator<Item = Self> {
        let all = [
            Self::Overview,
            Self::Organisations,
            Self::Images,
            Self::Audit,
            Self::Credentials,
            Self::Users,
            Self::Accounts,
        ];
        all.into_iter().filter(move |section| match section {
            Self::Users => role.administers(),
            Self::Accounts => role == Role::Operator,
            _ => true,
        })
    }

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Organisations => "/organisations",
            Self::Images => "/images",
            Self::Audit => "/audit",
            Self::Credentials => "/credentials",
            Self::Users => "/users",
            Self::Accounts => "/accounts",
        }
    }

    fn name(self, texts: &Texts) -> &'static str {
        let texts = &texts.layout;
        match self {
            Self::Overview => texts.overview,
            Self::Organisations => texts.organisations,
            Self::Images => texts.images,
            Self::Audit => texts.audit,
            Self::Credentials => texts.credentials,
            Self::Users => texts.users,
            Self::Accounts => texts.accounts,
        }
    }
}

/// A whole document of somebody who has signed in.
pub(crate) fn page(exchange: &Exchange<'_>, page: Page) -> Markup {
    let (frame, texts) = (&exchange.frame, exchange.texts());
    let (user, account) = (&exchange.signer.user, &exchange.signer.account);
    let around = html! {
        nav.sections aria-label=(texts.layout.navigation) {
            ul {
                @for section in Section::of(user.role) {
                    @let is_here = page.section == Some(section);
                    li {
                        a href=(frame.link(section.path())) aria-current=[is_here.then_some("page")] {
                            (section.name(texts))
                        }
                    }
                }
            }
        }
        div.who {
            span.name title=(format!("{} / {}", account.name, user.name)) {
                (user.name) " " span.quiet { (account.name) }
            }
            form method="post" action=(frame.link("/sign-out")) {
                (token(exchange))
                button.plain type="submit" { (texts.layout.sign_out) }
            }
        }
    };
    document(frame, &page.title, Some(around), page.notice.as_ref(), page.body)
}

/// A whole document of nobody in particular.
pub(crate) fn bare(frame: &Frame<'_>, title: &str, notice: Option<&Notice>, body: Markup) -> Markup {
    document(frame, title, None, notice, body)
}

fn document(
    frame: &Frame<'_>,
    title: &str,
    around: Option<Markup>,
    notice: Option<&Notice>,
    body: Markup,
) -> Markup {
    let texts = frame.texts;
    html! {
        (DOCTYPE)
        html lang=(texts.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (texts.layout.product) }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href=(frame.link(&format!("/assets/{}", STYLE.name)));
                script src=(frame.link(&format!("/assets/{}", SCRIPT.name))) defer {}
            }
            body data-copied=(texts.layout.copied) data-matches=(texts.layout.matches) {
                a.skip href="#main" { (texts.layout.skip) }
                header.top {
                    a.product href=(frame.link("/")) { (mark()) (texts.layout.product) }
                    @if let Some(around) = around { (around) }
                }
                main #main tabindex="-1" {
                    @match notice {
                        Some(Notice::Done(text)) => p.notice.good role="status" { (text) },
                        Some(Notice::Wrong(text)) => p.notice.bad role="alert" { (text) },
                        None => {},
                    }
                    (body)
                }
                footer {
                    nav.languages aria-label=(texts.layout.language) {
                        @for language in Language::ALL {
                            @if language == texts.language {
                                span aria-current="true" lang=(language.tag()) { (language.name()) }
                            } @else {
                                a href=(frame.here_with(PARAMETER, Some(language.as_str())))
                                    lang=(language.tag()) hreflang=(language.tag()) { (language.name()) }
                            }
                        }
                    }
                    p #status.visually-hidden role="status" aria-live="polite" {}
                }
            }
        }
    }
}

/// A document whose whole content is what went wrong.
pub(crate) fn problem(texts: &Texts, problem: &Problem) -> Markup {
    html! {
        section.empty {
            h1 { (texts.errors.title(problem.status())) }
            p { (texts.errors.explain(problem)) }
        }
    }
}

/// Three layers. It stands in the address, so that there is no further request.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath \
                    fill='%232f6f6a' d='M12 2 22 7 12 12 2 7Z'/%3E%3Cpath fill='none' stroke='%232f6f6a' \
                    stroke-width='2' d='m2 12 10 5 10-5M2 17l10 5 10-5'/%3E%3C/svg%3E";

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" width="24" height="24" {
            path d="M12 2 22 7 12 12 2 7Z" fill="currentColor" {}
            path d="m2 12 10 5 10-5M2 17l10 5 10-5" fill="none" stroke="currentColor" stroke-width="2" {}
        }
    }
}
