//! A version of an image: what its manifest says, its layers by size, and which of them other versions have too.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU32;

use bytes::Bytes;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use swr_core::control::ControlError;
use swr_core::control::repository::Version;
use swr_core::digest::Digest;
use swr_core::media_type::MediaType;
use swr_core::ports::{StoreError, StoreErrorKind, VersionOrder, VersionQuery};
use swr_core::reference::Reference;
use swr_core::registry::Content;
use swr_core::stream::BodyError;
use swr_core::{Error, Tag};

use super::versions::short;
use super::{Image, Tab, page};
use crate::exchange::{Answer, Exchange, Problem};
use crate::pieces::{copy, empty, size, time};

/// In how many other versions layers are looked for, the newest of them.
const LOOKED_INTO: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);
/// How many of those that have a layer too are named.
const NAMED: usize = 3;
/// No config is read that is longer, in bytes.
const CONFIG_BYTES_MAX: usize = 1 << 20;

pub(super) async fn version(exchange: &Exchange<'_>, image: &Image, tag: &Tag) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().manifest);
    let version = find(exchange, image, tag).await?;
    let listed = Manifest::read(version.digest, version.media_type.clone(), &version.manifest);
    // One image of an index, where one was chosen.
    let shown = match exchange.frame.query.get("manifest").map(Digest::parse) {
        None => None,
        Some(Ok(digest)) if listed.manifests.iter().any(|part| part.digest == digest.to_string()) => {
            Some(pull(exchange, image, digest).await?)
        }
        Some(_) => return Err(Problem::NoSuchPage),
    };
    let offset = exchange.parts.options.utc_offset;
    let back = image.link(exchange, "");
    let here = image.address(&format!("/versions/{tag}"));
    let manifest = shown.as_ref().unwrap_or(&listed);
    let body = html! {
        section.card aria-labelledby="version-title" {
            div.tools {
                h2 #version-title { (all.images.version) " " (tag) }
                div.actions {
                    @if exchange.parts.options.packages.is_some() {
                        a.button href=(exchange.link(&format!("{here}/package"))) download { (texts.download) }
                    }
                    a.button href=(back) { (texts.all_versions) }
                }
            }
            dl.facts {
                dt { (all.images.digest) } dd { code { (version.digest) } }
                dt { (texts.media_type) } dd { code { (version.media_type.as_str()) } }
                dt { (all.images.size) } dd { (size(version.size)) }
                dt { (all.layout.created) } dd { (time(version.created, offset)) }
                dt { (all.layout.updated) } dd { (time(version.updated, offset)) }
                dt { (all.images.pulls) } dd { (version.pulls) }
            }
            (copy(all, "pull-tag", &format!("docker pull {}", image.reference(exchange, tag.as_str()))))
            (copy(all, "pull-digest", &format!(
                "docker pull {}/{}@{}", exchange.parts.options.settings.host(), image.name, version.digest
            )))
        }
        @if !listed.manifests.is_empty() { (platforms(exchange, &here, &listed, shown.as_ref())) }
        @if let Some(config) = &manifest.config {
            (image_of(exchange, image, manifest, config, tag).await?)
        }
        @if !manifest.annotations.is_empty() {
            section.card aria-labelledby="annotations-title" {
                h2 #annotations-title { (texts.annotations) }
                dl.facts { @for (name, value) in &manifest.annotations { dt { code { (name) } } dd { (value) } } }
            }
        }
        details.card {
            summary { (texts.whole) }
            // Plain values serialise.
            pre tabindex="0" { (serde_json::to_string_pretty(&manifest.whole).unwrap_or_default()) }
        }
    };
    Ok(page(exchange, image, Tab::Versions, body).into())
}

async fn find(exchange: &Exchange<'_>, image: &Image, tag: &Tag) -> Result<Version, Problem> {
    let query = VersionQuery {
        tag: None,
        exactly: Some(tag.clone()),
        after: None,
        order: VersionOrder::Tag,
        descending: false,
        offset: 0,
        limit: NonZeroU32::MIN,
    };
    let found = exchange.access().versions(&image.name, &query).await?.entries.pop();
    Ok(found.ok_or_else(|| ControlError::VersionUnknown(tag.clone()))?)
}

/// A manifest that an index lists. It is pulled as clients pull it, and counts so.
async fn pull(exchange: &Exchange<'_>, image: &Image, digest: Digest) -> Result<Manifest, Problem> {
    let reference = Reference::Digest(digest);
    let pulled = exchange.registry().pull_manifest(&image.name, &reference).await;
    let pulled = pulled.map_err(ControlError::from)?;
    Ok(Manifest::read(pulled.digest, pulled.media_type, &pulled.bytes.unwrap_or_default()))
}

/// What a page shows of a manifest. Whatever it does not know in it is left out.
struct Manifest {
    digest: Digest,
    media_type: MediaType,
    config: Option<Part>,
    layers: Vec<Part>,
    manifests: Vec<Part>,
    annotations: Vec<(String, String)>,
    whole: Value,
}

/// Something that a manifest names.
struct Part {
    digest: String,
    size: u64,
    media_type: String,
    platform: String,
}

impl Part {
    fn read(value: &Value) -> Option<Self> {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let platform = &value["platform"];
        let platform = ["os", "architecture", "variant", "os.version"].map(|name| text(platform, name));
        let platform: Vec<String> = platform.into_iter().filter(|text| !text.is_empty()).collect();
        Some(Self {
            digest: value["digest"].as_str()?.to_owned(),
            size: value["size"].as_u64().unwrap_or(0),
            media_type: text(value, "mediaType"),
            platform: platform.join("/"),
        })
    }
}

impl Manifest {
    fn read(digest: Digest, media_type: MediaType, bytes: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let parts =
            |name: &str| value[name].as_array().into_iter().flatten().filter_map(Part::read).collect();
        Self {
            config: Part::read(&value["config"]),
            layers: parts("layers"),
            manifests: parts("manifests"),
            annotations: texts_of(&value["annotations"]),
            whole: value,
            digest,
            media_type,
        }
    }
}

/// The texts of an object by their names.
fn texts_of(value: &Value) -> Vec<(String, String)> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn platforms(exchange: &Exchange<'_>, here: &str, index: &Manifest, shown: Option<&Manifest>) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().manifest);
    html! {
        section.card aria-labelledby="platforms-title" {
            h2 #platforms-title { (texts.platforms) }
            div.table role="region" aria-labelledby="platforms-title" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { (texts.platform) }
                        th scope="col" { (all.images.digest) }
                        th scope="col" { (texts.media_type) }
                        th.number scope="col" { (texts.manifest_size) }
                    } }
                    tbody {
                        @for part in &index.manifests {
                            @let is_shown = shown.is_some_and(|shown| shown.digest.to_string() == part.digest);
                            tr {
                                th scope="row" { (if part.platform.is_empty() { "--" } else { &part.platform }) }
                                td {
                                    @match Digest::parse(&part.digest) {
                                        Ok(digest) => a href=(exchange.link(&format!("{here}?manifest={digest}")))
                                            aria-current=[is_shown.then_some("true")] title=(digest) { code { (short(&digest)) } },
                                        Err(_) => code { (part.digest) },
                                    }
                                }
                                td { code { (part.media_type) } }
                                td.number { (size(part.size)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The layers of one image, and what its config says.
async fn image_of(
    exchange: &Exchange<'_>,
    image: &Image,
    manifest: &Manifest,
    config: &Part,
    tag: &Tag,
) -> Result<Markup, Problem> {
    let (all, texts) = (exchange.texts(), &exchange.texts().manifest);
    let others = others(exchange, image, tag, manifest).await?;
    let value = read_config(exchange, image, config).await?;
    let steps: Vec<&Value> = value["history"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|step| step["empty_layer"].as_bool() != Some(true))
        .collect();
    let step = |at: usize| match steps.len() == manifest.layers.len() {
        true => steps.get(at).and_then(|step| step["created_by"].as_str()).unwrap_or_default(),
        // Somebody has left out some: which belongs to which is not known.
        false => "",
    };
    let total = manifest.layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
    Ok(html! {
        section.card aria-labelledby="layers-title" {
            h2 #layers-title { (texts.layers) " " span.quiet { (size(total)) } }
            @if manifest.layers.is_empty() { (empty(texts.no_layers)) } @else {
                (picture(&manifest.layers, &others))
                p.legend aria-hidden="true" {
                    span.own { (texts.own) } " " span.shared { (texts.shared) }
                }
                div.table role="region" aria-labelledby="layers-title" tabindex="0" {
                    table {
                        thead { tr {
                            th.number scope="col" { (texts.number) }
                            th scope="col" { (all.images.digest) }
                            th.number scope="col" { (all.images.size) }
                            th scope="col" { (texts.also_in) }
                            th scope="col" { (texts.made_by) }
                        } }
                        tbody {
                            @for (at, layer) in manifest.layers.iter().enumerate() {
                                tr {
                                    td.number { (at + 1) }
                                    th scope="row" { code title=(layer.digest) { (layer.digest.chars().take(19).collect::<String>()) } }
                                    td.number { (size(layer.size)) }
                                    td { (also_in(exchange, others.get(layer.digest.as_str()))) }
                                    td { code.step { (step(at)) } }
                                }
                            }
                        }
                    }
                }
                p.hint { ((texts.looked_into)(LOOKED_INTO.get())) }
            }
        }
        (config_view(exchange, manifest, config, &value))
    })
}

/// The layers that a manifest names, without the rest of it.
fn layers_of(manifest: &[u8]) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Layered<'m> {
        #[serde(borrow, default)]
        layers: Vec<Layer<'m>>,
    }
    #[derive(Deserialize)]
    struct Layer<'m> {
        #[serde(borrow)]
        digest: Cow<'m, str>,
    }
    let layered: Option<Layered<'_>> = serde_json::from_slice(manifest).ok();
    layered.into_iter().flat_map(|layered| layered.layers).map(|layer| layer.digest).collect()
}

/// The tags of other versions that have each of these layers too.
async fn others(
    exchange: &Exchange<'_>,
    image: &Image,
    tag: &Tag,
    manifest: &Manifest,
) -> Result<HashMap<String, Vec<Tag>>, Problem> {
    let query = VersionQuery {
        tag: None,
        exactly: None,
        after: None,
        order: VersionOrder::Updated,
        descending: true,
        offset: 0,
        limit: LOOKED_INTO,
    };
    let versions = exchange.access().versions(&image.name, &query).await?.entries;
    let mut others: HashMap<String, Vec<Tag>> =
        manifest.layers.iter().map(|layer| (layer.digest.clone(), Vec::new())).collect();
    for version in versions.into_iter().filter(|version| version.tag != *tag) {
        for layer in layers_of(&version.manifest) {
            if let Some(tags) = others.get_mut(&*layer)
                && tags.last() != Some(&version.tag)
            {
                tags.push(version.tag.clone());
            }
        }
    }
    others.retain(|_, tags| !tags.is_empty());
    Ok(others)
}

fn also_in(exchange: &Exchange<'_>, tags: Option<&Vec<Tag>>) -> Markup {
    let texts = &exchange.texts().images;
    let tags = tags.map(Vec::as_slice).unwrap_or_default();
    html! {
        @for tag in tags.iter().take(NAMED) { span.tag { (tag) } " " }
        @if tags.len() > NAMED { span.quiet { ((texts.and_more)(tags.len() - NAMED)) } }
        @if tags.is_empty() { "--" }
    }
}

/// A bar that is as long as the layers are together, of a piece for each.
fn picture(layers: &[Part], others: &HashMap<String, Vec<Tag>>) -> Markup {
    const WIDTH: u64 = 1000;
    let total = layers.iter().map(|layer| u128::from(layer.size)).sum::<u128>().max(1);
    // Of what is there at all something is seen.
    let width = |size: u64| {
        let width = u128::from(size) * u128::from(WIDTH) / total;
        u64::try_from(width).unwrap_or(WIDTH).max(2)
    };
    let whole: u64 = layers.iter().map(|layer| width(layer.size)).sum();
    let mut at = 0;
    let pieces: Vec<(u64, u64, &Part)> = layers
        .iter()
        .map(|layer| {
            let piece = (at, width(layer.size), layer);
            at += piece.1;
            piece
        })
        .collect();
    html! {
        svg.layers viewBox=(format!("0 0 {whole} 40")) preserveAspectRatio="none" aria-hidden="true" {
            @for (x, width, layer) in pieces {
                @let class = if others.contains_key(layer.digest.as_str()) { "shared" } else { "own" };
                rect class=(class) x=(x) y="0" width=(width) height="40" {
                    title { (layer.digest) " " (size(layer.size)) }
                }
            }
        }
    }
}

/// The config as it is, or nothing where it cannot be read as one.
async fn read_config(exchange: &Exchange<'_>, image: &Image, config: &Part) -> Result<Value, Problem> {
    let Ok(digest) = Digest::parse(&config.digest) else { return Ok(Value::Null) };
    if config.size > CONFIG_BYTES_MAX as u64 {
        return Ok(Value::Null);
    }
    let registry = exchange.registry().without_redirects();
    let body = match registry.pull_blob(&image.name, &digest, &[]).await {
        Ok(pulled) => match pulled.content {
            Content::Whole(body) => body,
            Content::Parts(_) | Content::Redirect(_) => return Ok(Value::Null),
        },
        Err(Error::BlobUnknown { .. }) => return Ok(Value::Null),
        Err(error) => return Err(ControlError::from(error).into()),
    };
    config_of(body.collect(CONFIG_BYTES_MAX).await)
}

fn config_of(read: Result<Bytes, BodyError>) -> Result<Value, Problem> {
    match read {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        // Its manifest says less than there is.
        Err(BodyError::TooLong { .. }) => Ok(Value::Null),
        Err(BodyError::Store(error)) => Err(error.into()),
        Err(error) => Err(StoreError::new(StoreErrorKind::Other, "blobs.read", error).into()),
    }
}

fn config_view(exchange: &Exchange<'_>, manifest: &Manifest, config: &Part, value: &Value) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().manifest);
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let run = &value["config"];
    let words = |name: &str| -> Vec<String> {
        let words = run[name].as_array().into_iter().flatten();
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let names = |name: &str| -> Vec<String> {
        run[name].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let lines = [
        (texts.platform, vec![[text("os"), text("architecture")].join("/")]),
        (all.layout.created, vec![text("created")]),
        (texts.author, vec![text("author")]),
        (texts.user, vec![run["User"].as_str().unwrap_or_default().to_owned()]),
        (texts.folder, vec![run["WorkingDir"].as_str().unwrap_or_default().to_owned()]),
        (texts.entrypoint, vec![words("Entrypoint").join(" ")]),
        (texts.command, vec![words("Cmd").join(" ")]),
        (texts.ports, names("ExposedPorts")),
        (texts.volumes, names("Volumes")),
        (texts.environment, words("Env")),
        (
            texts.labels,
            texts_of(&run["Labels"]).into_iter().map(|(name, text)| format!("{name}={text}")).collect(),
        ),
    ];
    let is_said = |lines: &[String]| lines.iter().any(|line| !line.is_empty() && line != "/");
    html! {
        section.card aria-labelledby="config-title" {
            h2 #config-title { (texts.config) }
            dl.facts {
                dt { (all.images.digest) } dd { code { (config.digest) } }
                dt { (texts.media_type) } dd { code { (config.media_type) } " " span.quiet { (size(config.size)) } }
                @if exchange.frame.query.get("manifest").is_some() {
                    dt { (texts.manifest_type) } dd { code { (manifest.media_type.as_str()) } }
                }
                @for (name, lines) in lines.iter().filter(|(_, lines)| is_said(lines)) {
                    dt { (name) }
                    dd { @for line in lines { code.line { (line) } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_manifest_says_it_can_be_shown() {
        let digest = swr_core::digest::Algorithm::Sha256.digest(b"x");
        let media_type = MediaType::parse(MediaType::OCI_MANIFEST).unwrap();
        let read = |text: &str| Manifest::read(digest, media_type.clone(), text.as_bytes());
        for text in ["", "[]", "{", r#"{"layers":3,"config":"x","annotations":[1]}"#] {
            let manifest = read(text);
            assert!(manifest.layers.is_empty() && manifest.config.is_none(), "{text}");
        }
        let manifest = read(
            r#"{"layers":[{"digest":"sha256:a","size":-1},{"size":1},{"digest":"sha256:b","size":7,
            "platform":{"os":"linux","architecture":"arm64","variant":"v8"}}],"annotations":{"a":"<b>","n":1}}"#,
        );
        let layers: Vec<_> =
            manifest.layers.iter().map(|layer| (&*layer.digest, layer.size, &*layer.platform)).collect();
        assert_eq!(layers, [("sha256:a", 0, ""), ("sha256:b", 7, "linux/arm64/v8")]);
        assert_eq!(manifest.annotations, [("a".to_owned(), "<b>".to_owned())]);
    }

    #[test]
    fn of_other_versions_the_layers_alone_are_read() {
        let manifest =
            br#"{"config":{"digest":"c"},"layers":[{"digest":"a\u0062","size":"x"},{"digest":"c"}]}"#;
        assert_eq!(layers_of(manifest), ["ab", "c"]);
        for text in ["", "[]", "{}", r#"{"layers":3}"#, r#"{"manifests":[{"digest":"a"}]}"#] {
            assert_eq!(layers_of(text.as_bytes()), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_config_that_cannot_be_read_is_the_registrys_own_fault() {
        assert_eq!(config_of(Ok(Bytes::from("{\"os\":\"linux\"}"))).unwrap()["os"], "linux");
        assert_eq!(config_of(Ok(Bytes::from("{"))).unwrap(), Value::Null);
        assert_eq!(config_of(Err(BodyError::TooLong { limit: 1 })).unwrap(), Value::Null);
        let broken = StoreError::new(StoreErrorKind::Unavailable, "blobs.read", "away");
        for error in [BodyError::Store(broken), BodyError::Length { declared: 7 }, BodyError::Stalled] {
            let problem = config_of(Err(error)).unwrap_err();
            assert!(matches!(problem, Problem::Control(ControlError::Store(_))), "{problem:?}");
            assert!(problem.status().is_server_error());
        }
    }

    #[test]
    fn a_layer_is_seen_however_small_it_is() {
        let part = |digest: &str, size| Part {
            digest: digest.to_owned(),
            size,
            media_type: String::new(),
            platform: String::new(),
        };
        let others = HashMap::from([("b".to_owned(), vec![Tag::parse("v1").unwrap()])]);
        let drawn = picture(&[part("a", u64::MAX), part("b", 0), part("c", u64::MAX)], &others).into_string();
        assert!(drawn.contains("viewBox=\"0 0 1002 40\""), "{drawn}");
        assert!(drawn.contains("class=\"shared\" x=\"500\" y=\"0\" width=\"2\""), "{drawn}");
    }
}
