//! Which types a client takes: `Accept` (RFC 9110, 12.5.1). Pure.

use swr_core::media_type::MediaType;

/// The types that a client takes, and how gladly; only whether it takes one at all is of interest, since a
/// manifest has one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept<'a>(&'a str);

/// `application/json`, `application/*` or `*/*`.
struct Taken<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// False for a quality of zero.
    wanted: bool,
}

impl<'a> Accept<'a> {
    /// Reads every line of the header, joined by commas. Elements that make no sense are passed over.
    pub fn parse(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether the client takes `media_type`. What speaks of it most exactly decides. A header that says
    /// nothing excludes nothing.
    pub fn admits(self, media_type: &MediaType) -> bool {
        let (kind, subtype) = media_type.as_str().split_once('/').unwrap_or_default();
        // How exactly something has spoken of it, and whether it is wanted then; the greatest of them decides.
        let speaking = self.0.split(',').filter_map(taken).map(|taken| {
            let exactness = match taken {
                Taken { kind: "*", subtype: "*", .. } => 1,
                Taken { kind: of, .. } if !of.eq_ignore_ascii_case(kind) => 0,
                Taken { subtype: "*", .. } => 2,
                Taken { subtype: of, .. } if !of.eq_ignore_ascii_case(subtype) => 0,
                _ => 3,
            };
            (exactness, exactness > 0 && taken.wanted)
        });
        speaking.max().is_none_or(|(_, wanted)| wanted)
    }
}

fn taken(element: &str) -> Option<Taken<'_>> {
    let mut parts = element.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    if kind.is_empty() || subtype.is_empty() {
        return None;
    }
    let quality = parts.filter_map(|parameter| parameter.split_once('=')).find_map(|(key, value)| {
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(1.0))
    });
    Some(Taken { kind, subtype, wanted: quality.is_none_or(|quality| quality > 0.0) })
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
