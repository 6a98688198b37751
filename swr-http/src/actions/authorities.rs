//! Certificate authorities as people have them: PEM.

use reqwest::Certificate;

/// The authorities in the text, of which there is one at least.
pub(super) fn read(pem: &[u8]) -> Result<Vec<Certificate>, Box<dyn std::error::Error + Send + Sync>> {
    let found = Certificate::from_pem_bundle(pem)?;
    if found.is_empty() {
        return Err("there is no certificate in it".into());
    }
    Ok(found)
}
