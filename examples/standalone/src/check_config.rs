//! `swr config check`: what the server would be told.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::config::Config;
use crate::data_directory::Here;
use crate::output::{self, Format};

/// Looks at the configuration.
#[derive(Args, Debug)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Says what is wrong with it, or prints all of it as the server takes it, without secrets
    Check {
        #[command(flatten)]
        here: Here,
        /// How it is printed: as lines that a file may have, or as a document
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

impl ConfigCommand {
    /// The error is one line.
    pub(crate) fn run(self) -> Result<(), String> {
        let Task::Check { here, format } = self.task;
        let config: Config = here.config()?;
        config.check_listen()?;
        let value = serde_json::to_value(&config).map_err(|error| error.to_string())?;
        match format {
            Format::Json => output::document(&value),
            Format::Text => {
                let mut lines = Vec::new();
                flatten("", &value, &mut lines);
                output::lines(&lines)
            }
        }
    }
}

/// A line for each value; what is not set has none.
fn flatten(key: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let separator = if key.is_empty() { "" } else { "." };
                flatten(&format!("{key}{separator}{}", written(name)), value, lines);
            }
        }
        value => lines.push(format!("{key} = {value}")),
    }
}

/// A part of a key as TOML has it.
fn written(name: &str) -> String {
    let is_bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if is_bare && !name.is_empty() { name.to_owned() } else { Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same_and_has_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("swr.toml");
        std::fs::write(
            &file,
            "trusted_proxies = ['10.0.0.0/8']\nadmin.listen = 'off'\n\
             [collection]\nuntagged_keep = '3d'\n[blobs]\nsize_max = '5GiB'\n\
             [notifications.'a b']\nurl = 'https://a.example'\nsecret = 'open sesame'\n\
             headers = { authorization = 'open sesame' }",
        )
        .unwrap();
        let printed = |config: &Config| {
            let mut lines = Vec::new();
            flatten("", &serde_json::to_value(config).unwrap(), &mut lines);
            lines.join("\n")
        };
        let first = printed(&Config::read(Some(&file), [], []).unwrap());
        assert!(!first.contains("sesame"), "{first}");
        for line in [
            "collection.untagged_keep = \"3d\"",
            "blobs.size_max = \"5GiB\"",
            "http.stall = \"1m\"",
            "open = false",
        ] {
            assert!(first.lines().any(|it| it == line), "{line}: {first}");
        }
        std::fs::write(&file, &first).unwrap();
        assert_eq!(printed(&Config::read(Some(&file), [], []).unwrap()), first);
    }
}
