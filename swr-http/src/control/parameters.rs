//! What the query of an address says, its `filter` included. Pure.

use std::num::NonZeroU32;

use swr_core::control::identity::AccountName;
use swr_core::control::repository::{Category, Visibility};

use super::endpoint::ManagementEndpointError;
use super::filter::Filter;
use super::paging::{OffsetPage, PageSize};
use crate::endpoint::Query;

type Defect = ManagementEndpointError;

/// The parameters of a list.
pub(super) struct Parameters<'q> {
    query: &'q Query<'q>,
    filter: Option<Filter<'q>>,
}

impl<'q> Parameters<'q> {
    /// The query alone: `filter` means nothing to this operation.
    pub(super) fn plain(query: &'q Query<'q>) -> Self {
        Self { query, filter: None }
    }

    /// The query and its filter, of an operation whose filter has these keys.
    pub(super) fn filtered(query: &'q Query<'q>, keys: &[&str]) -> Result<Self, Defect> {
        let filter = query.one("filter")?.map(|text| Filter::parse(text, keys)).transpose()?;
        Ok(Self { query, filter })
    }

    pub(super) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// What is looked for: where there is a filter, it alone says that. Empty is the same as not given.
    pub(super) fn wanted(&self, key: &'static str) -> Result<Option<&'q str>, Defect> {
        let found = match &self.filter {
            Some(filter) => filter.get(key),
            None => self.query.one(key)?,
        };
        Ok(found.filter(|text| !text.is_empty()))
    }

    /// How the list is to be shown: the filter's word counts, and the query's where it has none.
    pub(super) fn setting(&self, key: &'static str) -> Result<Option<&'q str>, Defect> {
        let found = match self.filter.as_ref().and_then(|filter| filter.get(key)) {
            Some(text) => Some(text),
            None => self.query.one(key)?,
        };
        Ok(found.filter(|text| !text.is_empty()))
    }

    pub(super) fn wanted_text(&self, key: &'static str) -> Result<Option<Box<str>>, Defect> {
        Ok(self.wanted(key)?.map(Into::into))
    }

    pub(super) fn category(&self) -> Result<Option<Category>, Defect> {
        let parse = |text| Category::parse(text).ok_or(Defect::Parameter("category"));
        self.wanted("category")?.map(parse).transpose()
    }

    pub(super) fn visibility(&self) -> Result<Option<Visibility>, Defect> {
        let visibility = |public| if public { Visibility::Public } else { Visibility::Private };
        let wanted = self.wanted("is_public")?;
        Ok(wanted.map(|text| boolean("is_public", text)).transpose()?.map(visibility))
    }

    pub(super) fn account(&self, key: &'static str) -> Result<Option<AccountName>, Defect> {
        let parse = |text| AccountName::parse(text).map_err(|_| Defect::Parameter(key));
        self.wanted(key)?.map(parse).transpose()
    }

    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, Defect> {
        self.setting(key)?.map(|text| boolean(key, text)).transpose()
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Option<u64>, Defect> {
        self.setting(key)?.map(|text| digits(text).ok_or(Defect::Parameter(key))).transpose()
    }

    /// How many entries a page is to have.
    pub(super) fn limit(&self, size: PageSize) -> Result<NonZeroU32, Defect> {
        let Some(text) = self.setting("limit")? else { return Ok(size.usual) };
        let limit = digits(text).and_then(|limit| u32::try_from(limit).ok()).and_then(NonZeroU32::new);
        limit.filter(|limit| *limit <= size.most).ok_or(Defect::PageSize { most: size.most })
    }

    pub(super) fn offset_page(&self, size: PageSize) -> Result<OffsetPage, Defect> {
        Ok(OffsetPage { offset: self.number("offset")?.unwrap_or(0), limit: self.limit(size)? })
    }

    /// In which order: one of `columns`, and whether backwards.
    pub(super) fn order<T: Copy + Default>(&self, columns: &[(&str, T)]) -> Result<(T, bool), Defect> {
        let column = match self.setting("order_column")? {
            None => T::default(),
            Some(text) => columns
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, column)| *column)
                .ok_or_else(|| Defect::OrderColumn(text.chars().take(160).collect()))?,
        };
        let descending = match self.setting("order_type")? {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(Defect::Parameter("order_type")),
        };
        Ok((column, descending))
    }
}

fn boolean(key: &'static str, text: &str) -> Result<bool, Defect> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Defect::Parameter(key)),
    }
}

/// A number as it is written by those who mean one: digits alone.
pub(super) fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
