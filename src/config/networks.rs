//! Places that clients come from, as the configuration and the inventory declare them.

use ipnet::IpNet;

use super::glob::Glob;
use super::value;
use crate::event::Address;

/// Where a token may be used from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    written: Vec<String>,
    nets: Vec<IpNet>,
    /// Unix sockets.
    local: bool,
    /// Host names, where the server logs names in place of addresses.
    hosts: Vec<Glob>,
}

impl Networks {
    /// Adds a network, an address, `local` (Unix sockets), `localhost` (Unix sockets and loopback) or a host name pattern.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        match text {
            "local" => self.local = true,
            "localhost" => {
                self.local = true;
                self.nets.extend(["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse::<IpNet>().ok()));
            }
            // A host name has letters that no address has, and no prefix length.
            _ if !text.contains(['/', ':']) && text.chars().any(|c| c.is_ascii_alphabetic()) => self.hosts.push(Glob::folding_case(text)),
            _ => self.nets.push(value::network(text)?),
        }
        self.written.push(text.to_owned());
        Ok(())
    }

    /// `address` is inside. A host name is inside only where a host name pattern says so.
    pub fn contain(&self, address: Address<'_>) -> bool {
        match address {
            Address::Ip(ip) => {
                let ip = ip.to_canonical();
                self.nets.iter().any(|net| net.contains(&ip))
            }
            Address::Local => self.local,
            Address::Name(name) => self.hosts.iter().any(|host| host.matches(name)),
        }
    }
}

impl std::fmt::Display for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written.join(", "))
    }
}
