//! Autonomous systems of large hosting providers and VPN carriers: where anybody can rent an address within minutes. For files that give the
//! system and do not say what it is used for, such as GeoLite2-ASN.

/// In ascending order.
#[rustfmt::skip]
const SYSTEMS: [u32; 50] = [
    8_075,   // Microsoft Azure
    8_100,   // QuadraNet
    8_560,   // IONOS
    8_987,   // Amazon
    9_009,   // M247
    12_876,  // Scaleway
    13_335,  // Cloudflare
    14_061,  // DigitalOcean
    14_618,  // Amazon
    15_169,  // Google
    16_276,  // OVH
    16_509,  // Amazon
    19_318,  // Interserver
    20_473,  // Vultr
    24_940,  // Hetzner
    25_820,  // IT7
    26_496,  // GoDaddy
    28_753,  // Leaseweb
    29_802,  // Hivelocity
    30_633,  // Leaseweb
    31_898,  // Oracle Cloud
    35_916,  // Multacom
    36_351,  // IBM Cloud
    36_352,  // ColoCrossing
    37_963,  // Alibaba Cloud
    39_351,  // 31173 Services
    40_021,  // Contabo
    44_477,  // Stark Industries
    45_090,  // Tencent Cloud
    45_102,  // Alibaba Cloud
    46_606,  // Unified Layer
    47_583,  // Hostinger
    49_981,  // WorldStream
    51_167,  // Contabo
    53_667,  // FranTech
    54_290,  // Hostwinds
    55_286,  // ServerMania
    55_990,  // Huawei Cloud
    60_068,  // Datacamp
    60_781,  // Leaseweb
    62_240,  // Clouvider
    63_949,  // Akamai (Linode)
    132_203, // Tencent Cloud
    136_907, // Huawei Cloud
    197_540, // netcup
    199_524, // Gcore
    202_425, // IP Volume
    212_238, // Datacamp
    213_230, // Hetzner
    396_982, // Google Cloud
];

/// The system belongs to one of them.
pub fn is_known(system: u32) -> bool {
    SYSTEMS.binary_search(&system).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(SYSTEMS.is_sorted_by(|a, b| a < b));
        assert!(is_known(16_509) && is_known(8_075) && is_known(396_982) && !is_known(64_500));
    }
}
