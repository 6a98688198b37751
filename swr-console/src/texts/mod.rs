//! Everything that pages say, in each language: a text that is missing in one does not compile.
//!
//! Each page has a file of its own.

mod audit;
mod credentials;
mod errors;
mod layout;
mod organisations;
mod overview;
mod people;
mod sign_in;

use crate::language::Language;

/// All texts of one language.
pub(crate) struct Texts {
    pub(crate) language: Language,
    pub(crate) layout: layout::Layout,
    pub(crate) errors: errors::Errors,
    pub(crate) sign_in: sign_in::SignIn,
    pub(crate) overview: overview::Overview,
    pub(crate) organisations: organisations::Organisations,
    pub(crate) audit: audit::Audit,
    pub(crate) credentials: credentials::Credentials,
    pub(crate) people: people::People,
}

static EN: Texts = Texts {
    language: Language::English,
    layout: layout::EN,
    errors: errors::EN,
    sign_in: sign_in::EN,
    overview: overview::EN,
    organisations: organisations::EN,
    audit: audit::EN,
    credentials: credentials::EN,
    people: people::EN,
};

static ZH: Texts = Texts {
    language: Language::Chinese,
    layout: layout::ZH,
    errors: errors::ZH,
    sign_in: sign_in::ZH,
    overview: overview::ZH,
    organisations: organisations::ZH,
    audit: audit::ZH,
    credentials: credentials::ZH,
    people: people::ZH,
};

pub(crate) fn of(language: Language) -> &'static Texts {
    match language {
        Language::English => &EN,
        Language::Chinese => &ZH,
    }
}
