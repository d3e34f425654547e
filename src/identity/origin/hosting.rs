//! Hosting providers, VPN carriers and Tor relays: where anybody can rent an address within minutes. Their autonomous systems, for files that give
//! the system and do not say what it is used for, such as GeoLite2-ASN; and their networks, for those who have no file.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

/// In ascending order.
#[rustfmt::skip]
const SYSTEMS: [u32; 95] = [
    7_979,   // Servers.com
    8_075,   // Microsoft Azure
    8_100,   // QuadraNet
    8_560,   // IONOS
    8_987,   // Amazon
    9_009,   // M247
    9_123,   // Timeweb
    9_370,   // Sakura
    12_876,  // Scaleway
    13_213,  // UK-2
    13_335,  // Cloudflare
    14_061,  // DigitalOcean
    14_618,  // Amazon
    15_169,  // Google
    15_395,  // Rackspace
    16_276,  // OVH
    16_509,  // Amazon
    19_318,  // Interserver
    19_994,  // Rackspace
    20_454,  // phoenixNAP
    20_473,  // Vultr
    22_363,  // Powerhouse
    22_612,  // Namecheap
    24_875,  // NovoServe
    24_940,  // Hetzner
    24_961,  // myLoc
    25_820,  // IT7
    26_496,  // GoDaddy
    28_753,  // Leaseweb
    29_066,  // velia.net
    29_802,  // Hivelocity
    30_058,  // FDCservers
    30_633,  // Leaseweb
    31_034,  // Aruba
    31_898,  // Oracle Cloud
    32_097,  // WholeSale Internet
    32_244,  // Liquid Web
    33_070,  // Rackspace
    33_387,  // Nocix
    35_540,  // OVH
    35_916,  // Multacom
    36_007,  // Kamatera
    36_351,  // IBM Cloud
    36_352,  // ColoCrossing
    37_963,  // Alibaba Cloud
    39_351,  // 31173 Services
    40_021,  // Contabo
    42_831,  // UK Dedicated Servers
    43_350,  // NForce
    44_066,  // firstcolo
    44_477,  // Stark Industries
    45_090,  // Tencent Cloud
    45_102,  // Alibaba Cloud
    46_475,  // Limestone
    46_606,  // Unified Layer
    47_583,  // Hostinger
    49_505,  // Selectel
    49_981,  // WorldStream
    50_867,  // Hostkey
    51_167,  // Contabo
    51_396,  // Pfcloud
    53_667,  // FranTech
    53_755,  // Input Output Flood
    54_290,  // Hostwinds
    55_286,  // ServerMania
    55_990,  // Huawei Cloud
    56_630,  // Melbicom
    57_043,  // Hostkey
    60_068,  // Datacamp
    60_729,  // Stiftung Erneuerbare Freiheit (Tor)
    60_781,  // Leaseweb
    61_317,  // Hivelocity
    62_240,  // Clouvider
    62_904,  // Eonix
    63_473,  // HostHatch
    63_949,  // Akamai (Linode)
    132_203, // Tencent Cloud
    136_787, // PacketHub
    136_907, // Huawei Cloud
    137_409, // GSL Networks
    197_540, // netcup
    197_695, // REG.RU
    198_610, // Beget
    199_524, // Gcore
    200_651, // FlokiNET
    202_053, // UpCloud
    202_425, // IP Volume
    204_957, // Green Floid
    206_092, // F.N.S. Holdings
    207_990, // HostRoyale
    208_323, // Foundation for Applied Privacy (Tor)
    210_558, // 1337 Services
    212_238, // Datacamp
    213_230, // Hetzner
    396_982, // Google Cloud
];

/// First and last address of each network, IPv4 as mapped into IPv6, in order.
static NETWORKS: LazyLock<Vec<(u128, u128)>> = LazyLock::new(|| {
    let lines = include_str!("hosting.txt").lines().filter_map(|line| line.parse::<IpNet>().ok());
    let mut all: Vec<(u128, u128)> = lines.map(|net| (bits(net.network()), bits(net.broadcast()))).collect();
    all.sort_unstable();
    all
});

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// The system belongs to one of them.
pub fn is_known(system: u32) -> bool {
    SYSTEMS.binary_search(&system).is_ok()
}

/// The address lies in a network of one of them, as of the day in `hosting.txt`.
pub fn holds(ip: IpAddr) -> bool {
    let ip = bits(ip);
    let before = NETWORKS.partition_point(|(first, _)| *first <= ip);
    before.checked_sub(1).and_then(|at| NETWORKS.get(at)).is_some_and(|(_, last)| ip <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(SYSTEMS.is_sorted_by(|a, b| a < b));
        assert!(is_known(16_509) && is_known(8_075) && is_known(396_982) && !is_known(64_500));
    }

    #[test]
    fn networks_are_told_apart_and_no_line_is_lost() {
        let lines = include_str!("hosting.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(NETWORKS.len(), lines);
        assert!(NETWORKS.windows(2).all(|pair| pair[0].1 < pair[1].0), "networks overlap");
        for (ip, hosting) in [
            ("134.209.83.7", true),      // DigitalOcean
            ("159.69.12.1", true),       // Hetzner
            ("51.38.0.0", true),         // OVH
            ("18.130.255.255", true),    // Amazon
            ("2a01:4f8:10a:1::2", true), // Hetzner
            ("2600:1f18:4000::1", true), // Amazon
            ("84.140.9.1", false),       // Deutsche Telekom, at home
            ("2003:e1:b700::1", false),  // the same
            ("73.15.20.3", false),       // Comcast, at home
            ("203.0.113.9", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("::", false),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ] {
            assert_eq!(holds(ip.parse().unwrap()), hosting, "{ip}");
        }
    }
}
