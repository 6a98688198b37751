//! An archive as `docker save` writes it.

use serde_json::json;
use swr_core::digest::Algorithm;

/// A package of an image of one layer, under these names. All of it is text.
pub(crate) fn package(names: &[&str], layer: &str) -> String {
    let diff_id = Algorithm::Sha256.digest(layer.as_bytes());
    let rootfs = json!({ "type": "layers", "diff_ids": [diff_id] });
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs }).to_string();
    let saved = json!([{ "Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"] }]).to_string();
    let files = [("config.json", &*config), ("layer.tar", layer), ("manifest.json", &*saved)];
    files.into_iter().map(|(name, content)| entry(name, content)).collect::<String>() + &"\0".repeat(1024)
}

/// A file of an archive.
fn entry(name: &str, content: &str) -> String {
    let header = |sum: &str| {
        let size = format!("{:011o}", content.len());
        format!(
            "{name:\0<100}0000644\00000000\00000000\0{size}\000000000000\0{sum}0{:\0<100}ustar\x0000{:\0<247}",
            "", ""
        )
    };
    let sum: u32 = header("        ").bytes().map(u32::from).sum();
    let padding = content.len().next_multiple_of(512) - content.len();
    format!("{}{content}{}", header(&format!("{sum:06o}\0 ")), "\0".repeat(padding))
}
