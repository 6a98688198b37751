//! A network prints as it was read, and has its own first address in it.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use swr_http::Network;

fuzz_target!(|text: &str| {
    let Ok(network) = text.parse::<Network>() else { return };
    let printed = network.to_string();
    assert_eq!(printed.parse(), Ok(network));
    let (first, _) = printed.split_once('/').expect("it has a number of bits");
    let first: IpAddr = first.parse().expect("it begins with an address");
    assert!(network.contains(first), "{network}");
});
