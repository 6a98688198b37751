//! An archive as `docker save` writes it.

use serde_json::json;
use swr_core::digest::Algorithm;

/// A package of one image of one layer, under this name. All of it is text.
pub(crate) fn package(name: &str) -> String {
    let layer = "a layer";
    let diff_id = Algorithm::Sha256.digest(layer.as_bytes());
    let rootfs = json!({ "type": "layers", "diff_ids": [diff_id] });
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs }).to_string();
    let saved = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]).to_string();
    let entries = [entry("config.json", &config), entry("layer.tar", layer), entry("manifest.json", &saved)];
    entries.concat() + &"\0".repeat(1024)
}

/// A file of the archive, in blocks of 512 bytes.
fn entry(name: &str, content: &str) -> String {
    let header = |sum: &str| {
        let size = content.len();
        let front = format!("{name:\0<100}0000644\00000000\00000000\0{size:011o}\000000000000\0{sum}0");
        format!("{:\0<512}", format!("{front}{:\0<100}ustar\x0000", ""))
    };
    let sum: u32 = header("        ").bytes().map(u32::from).sum();
    let padding = content.len().next_multiple_of(512) - content.len();
    format!("{}{content}{}", header(&format!("{sum:06o}\0 ")), "\0".repeat(padding))
}
