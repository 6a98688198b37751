//! Which types a client takes: `Accept` (RFC 9110, 12.5.1). Pure.

use swr_core::media_type::MediaType;

/// The types that a client takes, and how gladly; only whether it takes one at all is of interest, since a
/// manifest has one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept(Vec<Taken>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    /// `application/json`, `application/*` or `*/*`, in lower case.
    range: String,
    /// False for a quality of zero.
    wanted: bool,
}

impl Accept {
    /// Reads every line of the header, joined by commas. Elements that make no sense are passed over.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').filter_map(taken).collect())
    }

    /// Whether the client takes `media_type`. What speaks of it most exactly decides. A header that says
    /// nothing excludes nothing.
    pub fn admits(&self, media_type: &MediaType) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let exact = media_type.as_str().to_ascii_lowercase();
        let kind = exact.split_once('/').map_or_else(String::new, |(kind, _)| format!("{kind}/*"));
        [&*exact, &*kind, "*/*"]
            .into_iter()
            .find_map(|range| {
                let mut speaking = self.0.iter().filter(|taken| taken.range == range).peekable();
                speaking.peek().is_some().then(|| speaking.any(|taken| taken.wanted))
            })
            .unwrap_or(false)
    }
}

fn taken(element: &str) -> Option<Taken> {
    let mut parts = element.split(';').map(str::trim);
    let range = parts.next().filter(|range| {
        range.split_once('/').is_some_and(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty())
    })?;
    let quality = parts.filter_map(|parameter| parameter.split_once('=')).find_map(|(key, value)| {
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(1.0))
    });
    Some(Taken { range: range.to_ascii_lowercase(), wanted: quality.is_none_or(|quality| quality > 0.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_most_exactly_decides() {
        let manifest = MediaType::parse(MediaType::OCI_MANIFEST).unwrap();
        let index = MediaType::parse(MediaType::OCI_INDEX).unwrap();
        for (accept, takes_manifest, takes_index) in [
            ("", true, true),
            (" , ", true, true),
            ("nonsense", true, true),
            ("*/*", true, true),
            ("*/*;q=0", false, false),
            ("application/*", true, true),
            ("APPLICATION/VND.OCI.IMAGE.MANIFEST.V1+JSON", true, false),
            ("application/vnd.oci.image.manifest.v1+json", true, false),
            ("application/vnd.oci.image.manifest.v1+json; charset=utf-8; q=0.5", true, false),
            ("application/vnd.oci.image.manifest.v1+json;q=0, */*", false, true),
            ("application/vnd.oci.image.manifest.v1+json;q=0.000,application/*;q=0.1", false, true),
            (
                "application/vnd.oci.image.index.v1+json,application/vnd.oci.image.manifest.v1+json",
                true,
                true,
            ),
            ("text/html, application/xhtml+xml, */*;q=0.8", true, true),
            ("application/json", false, false),
            ("text/*", false, false),
        ] {
            let accept_header = Accept::parse(accept);
            assert_eq!(accept_header.admits(&manifest), takes_manifest, "manifest: {accept}");
            assert_eq!(accept_header.admits(&index), takes_index, "index: {accept}");
        }
    }
}
