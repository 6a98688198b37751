//! A configuration is read, or refused in one line; and what is printed of it is a configuration that is printed in the
//! same way. The input is a file, and behind a line `===` variables, a `NAME=value` in each line.
#![no_main]

// The program is no library: these are its modules.
#[path = "../../examples/standalone/src/config.rs"]
#[allow(dead_code, reason = "the program uses the rest")]
mod config;
#[path = "../../examples/standalone/src/units.rs"]
#[allow(dead_code, reason = "the program uses the rest")]
mod units;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use config::Config;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;

/// A folder in memory, where there is one.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder is made")
});

/// What `swr config check` prints, where what is not set has no line.
fn printed(config: &Config) -> Value {
    fn set(value: Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, set(value)))
                .collect(),
            other => other,
        }
    }
    set(serde_json::to_value(config).expect("what was read is printed"))
}

fuzz_target!(|text: &str| {
    let (toml, variables) = text.split_once("\n===\n").unwrap_or((text, ""));
    let file = FOLDER.path().join("swr.toml");
    fs::write(&file, toml).expect("there is room");
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    match Config::read(Some(&file), variables, []) {
        Ok(config) => {
            let printed = printed(&config);
            let again: Config = serde_json::from_value(printed.clone()).expect("what was printed is read");
            assert_eq!(self::printed(&again), printed);
        }
        Err(error) => assert!(!error.is_empty() && !error.contains('\n'), "{error}"),
    }
});
