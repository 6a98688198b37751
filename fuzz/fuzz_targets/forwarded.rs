//! Where a request comes from is the peer, or an address that a proxy of ours has written down; nothing that is said
//! before what somebody else has written matters. The input is the peer, and lines of `X-Forwarded-For`.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use swr_http::door::origin;
use swr_http::{Network, PeerAddress};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

fn source(peer: IpAddr, lines: &[HeaderValue], trusted: &[Network]) -> IpAddr {
    let mut request = Request::new(());
    request.extensions_mut().insert(PeerAddress(SocketAddr::new(peer, 443)));
    for line in lines {
        request.headers_mut().append(FORWARDED, line.clone());
    }
    origin(&request.into_parts().0, "", "/", trusted).source.expect("the peer is known")
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let peer = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse::<IpAddr>().ok());
    let Some(peer) = peer else { return };
    let lines: Vec<HeaderValue> =
        lines.take(16).filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let trusted: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
    let is_ours = |address: IpAddr| trusted.iter().any(|network| network.contains(address));

    assert_eq!(source(peer, &lines, &[]), peer.to_canonical());
    let found = source(peer, &lines, &trusted);
    assert_eq!(found, found.to_canonical());
    if !is_ours(peer) {
        assert_eq!(found, peer.to_canonical());
    } else if !is_ours(found) {
        // What a stranger has said comes first, and changes nothing.
        let mut said = vec![HeaderValue::from_static("6.6.6.6, 10.0.0.1")];
        said.extend(lines.iter().cloned());
        assert_eq!(source(peer, &said, &trusted), found);
    }
    // One more proxy of ours is seen through.
    let mut further = lines;
    further.push(HeaderValue::from_str(&peer.to_string()).expect("addresses are ASCII"));
    assert_eq!(source([10, 9, 9, 9].into(), &further, &trusted), found);
});
