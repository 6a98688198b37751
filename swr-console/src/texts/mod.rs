//! Everything that pages say, in each language: a text that is missing in one does not compile.
//!
//! Each page has a file of its own.

mod aging;
mod audit;
mod credentials;
mod errors;
mod images;
mod layout;
mod manifest;
mod organisations;
mod overview;
mod patterns;
mod people;
mod sharing;
mod sign_in;
mod triggers;
mod upload;

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
    pub(crate) images: images::Images,
    pub(crate) manifest: manifest::ManifestTexts,
    pub(crate) sharing: sharing::SharingTexts,
    pub(crate) triggers: triggers::TriggersTexts,
    pub(crate) aging: aging::AgingTexts,
    pub(crate) patterns: patterns::Patterns,
    pub(crate) upload: upload::Upload,
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
    images: images::EN,
    manifest: manifest::EN,
    sharing: sharing::EN,
    triggers: triggers::EN,
    aging: aging::EN,
    patterns: patterns::EN,
    upload: upload::EN,
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
    images: images::ZH,
    manifest: manifest::ZH,
    sharing: sharing::ZH,
    triggers: triggers::ZH,
    aging: aging::ZH,
    patterns: patterns::ZH,
    upload: upload::ZH,
};

pub(crate) fn of(language: Language) -> &'static Texts {
    match language {
        Language::English => &EN,
        Language::Chinese => &ZH,
    }
}
