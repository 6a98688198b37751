//! An address of the management protocol is the same however it is encoded, and is an operation's or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_http::control::ManagementEndpoint;

fuzz_target!(|text: &str| {
    let Some((method, address)) = text.split_once(' ') else { return };
    let Ok(method) = http::Method::from_bytes(method.as_bytes()) else { return };
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let parsed = format!("{:?}", ManagementEndpoint::parse(&method, path, Some(query)));
    if !path.contains('%') {
        let encoded: Vec<String> = path
            .split('/')
            .map(|segment| segment.bytes().map(|byte| format!("%{byte:02x}")).collect())
            .collect();
        let again = ManagementEndpoint::parse(&method, &encoded.join("/"), Some(query));
        assert_eq!(format!("{again:?}"), parsed);
    }
});
