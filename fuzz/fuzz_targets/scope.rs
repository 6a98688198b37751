//! A scope prints as something that is read as the same scope, and that prints the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_auth::Scope;

fuzz_target!(|text: &str| {
    let Ok(scope) = Scope::parse(text) else { return };
    let printed = scope.to_string();
    // `*` says more in fewer letters.
    assert!(printed.len() <= text.len() + "pull,push,delete".len());
    assert_eq!(Scope::parse(&printed).as_ref(), Ok(&scope));
    assert!(printed.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'));
});
