//! Where a request comes from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName, Method, request};

use swr_core::caller::{Channel, Origin};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address at the other end of a connection: an extension of a request, set by whoever accepted it.
/// `serve` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts set it")]
pub struct PeerAddress(pub SocketAddr);

/// The id that a host has given a request: an extension of it. What a change is recorded under.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts set it")]
pub struct RequestId(pub Box<str>);

/// Where a request comes from, for a path that its client sees as `outside` and then `below`. What it says of that
/// itself, in `X-Forwarded-For`, is believed as far as proxies that the host trusts have said it; the host alone says by
/// which [`Channel`] it came.
pub fn origin(head: &request::Parts, outside: &str, below: &str, trusted: &[Network]) -> Origin {
    let peer = head.extensions.get::<PeerAddress>().map(|peer| peer.0.ip().to_canonical());
    Origin {
        source: peer.map(|peer| forwarded(peer, &head.headers, trusted)),
        request_id: head.extensions.get::<RequestId>().map(|id| id.0.clone()),
        channel: head.extensions.get::<Channel>().copied().unwrap_or_default(),
        call: Some(called(&head.method, outside, below)),
    }
}

fn called(method: &Method, outside: &str, below: &str) -> Box<str> {
    let mut called = [method.as_str(), " ", outside, below].concat();
    called.truncate(called.floor_char_boundary(method.as_str().len() + 1 + CALLED_BYTES_MAX));
    called.into()
}

/// No more of a path than this is recorded, in bytes.
const CALLED_BYTES_MAX: usize = 512;

fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let lines = headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    let mut source = peer;
    // Each proxy adds whom it spoke with at the end.
    for hop in hops.into_iter().rev() {
        if !is_trusted(source) {
            break;
        }
        let Some(address) = address(hop.trim()) else { break };
        source = address;
    }
    source
}

fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: Option<IpAddr> = text.parse().ok().or_else(bracketed);
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|ip| ip.to_canonical())
}

/// Addresses that begin with the same bits: `10.0.0.0/8`, `fd00::/8`, or a single one. IPv4 written as IPv6
/// (`::ffff:10.0.0.0/104`) is IPv4.
///
/// ```
/// use swr_http::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(!network.contains("11.1.2.3".parse().unwrap()));
/// # Ok::<(), swr_http::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether the address lies within. An IPv4 address written as IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = u32::from(first) ^ u32::from(address);
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = u128::from(first) ^ u128::from(address);
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError { text: text.chars().take(160).collect() };
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| error())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(error)?,
        };
        match first.to_canonical() {
            IpAddr::V4(mapped) if first.is_ipv6() => {
                // With fewer bits it would have other addresses in it than those.
                let bits = u32::checked_sub(bits, 96).ok_or_else(error)?;
                Ok(Self { first: mapped.into(), bits })
            }
            _ => Ok(Self { first, bits }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// A text that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address, or an address and a number of bits with a slash between them")]
pub struct NetworkError {
    text: String,
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn head(path: &str) -> request::Parts {
        http::Request::put(path).body(()).unwrap().into_parts().0
    }

    fn source(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut head = head("/");
        head.extensions.insert(PeerAddress(peer.parse().unwrap()));
        for line in lines {
            head.headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        origin(&head, "", "/", &trusted).source.unwrap().to_string()
    }

    #[test]
    fn what_is_recorded_of_a_request_has_an_end_and_no_query() {
        let called = |path: &str| origin(&head(&format!("{path}?a=b")), "", path, &[]).call.unwrap();
        assert_eq!(&*called("/v2/a/manifests/latest"), "PUT /v2/a/manifests/latest");
        let long = format!("/{}", "a".repeat(600));
        assert_eq!(&*called(&long), format!("PUT /{}", "a".repeat(511)));
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        for (peer, lines, trusted, expected) in [
            ("1.2.3.4:5", vec!["9.9.9.9"], &[][..], "1.2.3.4"),
            ("1.2.3.4:5", vec!["9.9.9.9"], &proxies, "1.2.3.4"),
            ("10.0.0.1:5", vec![], &proxies, "10.0.0.1"),
            ("10.0.0.1:5", vec!["9.9.9.9"], &proxies, "9.9.9.9"),
            ("10.0.0.1:5", vec!["6.6.6.6, 9.9.9.9"], &proxies, "9.9.9.9"),
            ("10.0.0.1:5", vec!["6.6.6.6", "9.9.9.9, 10.0.0.2"], &proxies, "9.9.9.9"),
            ("10.0.0.1:5", vec!["10.0.0.3, 10.0.0.2"], &proxies, "10.0.0.3"),
            ("10.0.0.1:5", vec!["9.9.9.9, nonsense"], &proxies, "10.0.0.1"),
            ("10.0.0.1:5", vec!["9.9.9.9:443"], &proxies, "9.9.9.9"),
            ("[fd00::1]:5", vec!["[2001:db8::1]:443"], &proxies, "2001:db8::1"),
            ("[::ffff:10.0.0.1]:5", vec!["[2001:db8::1]"], &proxies, "2001:db8::1"),
        ] {
            assert_eq!(source(peer, &lines, trusted), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        for (network, address, holds) in [
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("192.168.1.0/24", "192.168.1.255", true),
            ("192.168.1.0/24", "192.168.2.0", false),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.6", false),
            ("192.168.1.0/24", "::ffff:192.168.1.9", true),
            ("::ffff:192.168.1.0/120", "192.168.1.9", true),
            ("::ffff:192.168.1.0/120", "192.168.2.9", false),
            ("::ffff:192.168.1.7", "192.168.1.7", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), holds, "{network} {address}");
        }
        for text in
            ["", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "::ffff:10.0.0.0/95", "a/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
