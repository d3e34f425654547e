//! Addresses and networks as keys of a baseline.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::observation::Network;
use crate::token::WordId;

/// A network as the baseline groups addresses: IPv4 /24, IPv6 /64, a host name, the local socket. Loopback addresses are told
/// apart one by one: 127.0.0.0/8 is one machine, and a tunnel that ends on 127.0.0.2 is not one that ends on 127.0.0.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prefix(pub u128);

/// 100::/64 is the discard prefix (RFC 6666): no peer ever has such an address, so names and the local socket live there.
const DISCARD: u128 = 0x0100 << 112;
const V4_MAPPED: u128 = 0xffff << 32;

/// One address as 128 bits; IPv4 is mapped into IPv6.
pub fn key(network: Network) -> u128 {
    match network {
        Network::Ip(IpAddr::V4(ip)) => V4_MAPPED | u128::from(u32::from(ip)),
        Network::Ip(IpAddr::V6(ip)) => u128::from(ip),
        Network::Local => 0,
        Network::Name(word) => DISCARD | u128::from(word.0),
    }
}

/// The reverse of [`key`].
pub fn of_key(key: u128) -> Network {
    if key == 0 {
        return Network::Local;
    }
    if key >> 64 == DISCARD >> 64 {
        return Network::Name(WordId(key as u64));
    }
    if key >> 32 == V4_MAPPED >> 32 {
        return Network::Ip(IpAddr::V4(Ipv4Addr::from(key as u32)));
    }
    Network::Ip(IpAddr::V6(Ipv6Addr::from(key)))
}

/// The network that an address belongs to.
pub fn prefix_of(network: Network) -> Prefix {
    let key = key(network);
    Prefix(match network {
        Network::Ip(ip) if ip.is_loopback() => key,
        Network::Ip(IpAddr::V4(_)) => key & !0xff,
        Network::Ip(IpAddr::V6(_)) => key >> 64 << 64,
        Network::Local | Network::Name(_) => key,
    })
}

impl Prefix {
    /// 64 bits of it, for the fleet's counts.
    pub fn short(self) -> u64 {
        (self.0 >> 64) as u64 ^ (self.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The network's first address (or the name), for display.
    pub fn network(self) -> Network {
        of_key(self.0)
    }

    /// Prefix length in bits, `None` where the network is one address, a name or the local socket.
    pub fn bits(self) -> Option<u8> {
        match self.network() {
            Network::Ip(ip) if ip.is_loopback() => None,
            Network::Ip(IpAddr::V4(_)) => Some(24),
            Network::Ip(IpAddr::V6(_)) => Some(64),
            Network::Local | Network::Name(_) => None,
        }
    }
}

/// How far a network is from the places where internal traffic comes from.
pub fn is_internal(network: Network) -> bool {
    match network {
        // 100.64.0.0/10 (RFC 6598): nobody reaches a server from there but through the operator's own carrier, pods or VPN.
        Network::Ip(IpAddr::V4(ip)) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (ip.to_bits() >> 22) == 0x6440_0000 >> 22
        }
        Network::Ip(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Network::Local => true,
        Network::Name(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_reversible() {
        for text in ["10.1.2.3", "::1", "2001:db8::5", "255.255.255.255"] {
            let network = Network::Ip(text.parse().unwrap());
            assert_eq!(of_key(key(network)), network);
        }
        assert_eq!(of_key(key(Network::Local)), Network::Local);
        let name = Network::Name(WordId::of(b"db-client.example"));
        assert_eq!(of_key(key(name)), name);
    }

    #[test]
    fn grouping() {
        let prefix = |text: &str| prefix_of(Network::Ip(text.parse().unwrap()));
        assert_eq!(prefix("10.1.2.3"), prefix("10.1.2.200"));
        assert_ne!(prefix("10.1.2.3"), prefix("10.1.3.3"));
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff"));
        assert_ne!(prefix("127.0.0.2"), prefix("127.0.0.66"));
    }
}
