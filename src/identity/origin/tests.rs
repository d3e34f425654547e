use std::path::Path;

use super::*;

fn named(names: &[&str]) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/origins");
    names.iter().map(|name| folder.join(format!("{name}.mmdb"))).collect()
}

fn load(names: &[&str]) -> Origins {
    Origins::load(&named(names)).unwrap()
}

fn origin(origins: &Origins, ip: &str) -> Arc<Origin> {
    origins.origin(ip.parse().unwrap())
}

/// Files, address, what is known in words, the place.
#[test]
fn the_layouts_of_three_publishers_are_understood() {
    let hosting = "AS64500 Example Hosting, RO, hosting or VPN";
    for (files, ip, words, place) in [
        (&["maxmind-asn"][..], "203.0.113.77", "AS64500 Example Hosting", ""),
        (&["maxmind-country"], "203.0.113.77", "RO", ""),
        (&["maxmind-city"], "203.0.113.77", "RO", "44.43, 26.10, within 50 km"),
        (&["maxmind-anonymous"], "203.0.113.77", "hosting or VPN", ""),
        (&["maxmind-enterprise"], "203.0.113.77", hosting, "44.43, 26.10, within 50 km"),
        (&["maxmind-asn", "maxmind-city", "maxmind-anonymous"], "203.0.113.77", hosting, "44.43, 26.10, within 50 km"),
        (&["maxmind-asn", "maxmind-city", "maxmind-anonymous"], "198.18.0.1", "AS64496 Example Office, DE", "52.52, 13.40, within 20 km"),
        (&["dbip-asn", "dbip-city"], "203.0.113.77", "AS64500 Example Hosting, RO", "44.43, 26.10"),
        (&["ipinfo-lite"], "203.0.113.77", "AS64500 Example Hosting, RO", ""),
        (&["ipinfo-lite", "ipinfo-location", "ipinfo-privacy"], "203.0.113.77", hosting, "44.43, 26.10"),
        (&["ipinfo-location", "ipinfo-privacy"], "198.18.0.1", "DE", "52.52, 13.40"),
        // IPv6, and IPv4 written as IPv6
        (&["maxmind-enterprise"], "2001:db8:1::9", hosting, "44.43, 26.10, within 50 km"),
        (&["maxmind-enterprise"], "::ffff:203.0.113.77", hosting, "44.43, 26.10, within 50 km"),
        // A cloud by the number of its system, where no file says so
        (&["maxmind-asn"], "198.19.3.9", "AS16509 AMAZON-02, hosting or VPN", ""),
        // Not in the files
        (&["maxmind-enterprise"], "8.8.8.8", "", ""),
        (&["maxmind-enterprise"], "10.0.0.1", "", ""),
        (&["maxmind-enterprise"], "2001:db8:9::1", "", ""),
    ] {
        let origin = origin(&load(files), ip);
        assert_eq!(origin.to_string(), words, "{ip} in {files:?}");
        assert_eq!(origin.location.map(|place| place.to_string()).unwrap_or_default(), place, "{ip} in {files:?}");
    }
}

#[test]
fn hostile_text_is_made_harmless_and_short() {
    for files in [&["maxmind-enterprise"][..], &["ipinfo-lite", "ipinfo-location"]] {
        let origin = origin(&load(files), "198.19.2.1");
        let name = origin.organisation.clone().unwrap();
        assert!(name.starts_with('\u{fffd}') && name.contains("Evil") && name.ends_with("xx…"), "{name}");
        assert!(name.chars().count() <= 66 && !name.contains(|c: char| c.is_control() || c == '\u{202e}'), "{name:?}");
        assert_eq!((origin.asn, origin.country, origin.location), (Some(64_503), None, None), "no country, no place on Earth");
    }
}

#[test]
fn without_files_nothing_is_known() {
    let none = Origins::load(&[]).unwrap();
    assert!(none.is_empty() && origin(&none, "203.0.113.77").to_string().is_empty());
    assert!(Origins::default().is_empty());
}

/// What is at hand is what the files say, whatever was asked for before.
#[test]
fn answers_do_not_depend_on_earlier_questions() {
    let (asked, fresh) = (load(&["maxmind-enterprise"]), ["198.18.0.1", "203.0.113.77", "198.19.2.1", "8.8.8.8"]);
    for n in 0..20_000_u32 {
        asked.origin(IpAddr::from((0xc612_0000_u32 + n % 0x1_0400).to_be_bytes()));
    }
    for ip in fresh {
        assert_eq!(origin(&asked, ip), origin(&load(&["maxmind-enterprise"]), ip), "{ip}");
        assert_eq!(origin(&asked, ip), origin(&asked, ip), "{ip}");
    }
}

#[test]
fn kilometres() {
    let place = |latitude, longitude, within| Location::new(Some(latitude), Some(longitude), Some(within)).unwrap();
    let berlin = place(52.52, 13.405, 0.0);
    for (other, km) in [
        (berlin, 0.0),
        (place(48.137, 11.575, 0.0), 504.0),
        (place(1.35, 103.82, 0.0), 9916.0),
        (place(1.35, 103.82, 50.0), 9866.0),
        // across the date line, and from pole to pole
        (place(52.52, -166.595, 0.0), 8_335.0),
        (place(52.52, 13.405, 500.0), 0.0),
    ] {
        assert!((berlin.apart_km(&other) - km).abs() < 5.0, "{other}: {}", berlin.apart_km(&other));
    }
    assert!((place(90.0, 0.0, 0.0).apart_km(&place(-90.0, 7.0, 0.0)) - 20_015.0).abs() < 1.0);
    assert!(Location::new(Some(91.0), Some(0.0), None).is_none() && Location::new(Some(0.0), Some(f64::NAN), None).is_none());
}

#[test]
fn old_files_are_remarked() {
    let origins = load(&["maxmind-asn"]);
    let built = origins.files()[0].built;
    assert_eq!(built.to_string(), "2026-11-01T00:00:00Z");
    assert!(origins.remarks(Time(built.0 + 90 * Time::DAY)).is_empty());
    let remarks = origins.remarks(Time(built.0 + 91 * Time::DAY));
    assert!(
        remarks.len() == 1 && remarks[0].ends_with("maxmind-asn.mmdb was built 91 days ago; addresses change hands, fetch a newer one")
    );
}

/// One problem in these words.
fn refused(path: &Path, words: &str) {
    let problems = Origins::load(&[path.to_owned()]).and_then(|origins| origins.verify()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let shown = problems[0].to_string();
    assert!(shown.starts_with(&path.display().to_string()) && shown.contains(words), "{words:?} is not in {shown:?}");
    assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
}

#[test]
fn files_of_no_use_are_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mmdb");
    let good = std::fs::read(&named(&["maxmind-city"])[0]).unwrap();
    // In the middle of the data, which are only looked at when they are needed.
    let mut scratched = good.clone();
    let data = scratched.windows(7).position(|bytes| bytes == b"country").unwrap();
    scratched[data + 30..data + 200].fill(0xff);
    refused(&path, "cannot be read: No such file or directory (os error 2); check the path in [detect] mmdb");
    refused(folder.path(), "is not a file; name the .mmdb file itself");
    refused(&named(&["domain"])[0], "(GeoIP2-Domain) says nothing that is used here; name files of autonomous systems");
    for (content, words) in [
        (&b""[..], "is not a sound MMDB file: could not find MaxMind DB metadata"),
        (b"start_ip,end_ip,asn\n", "is not a sound MMDB file"),
        (b"\x1f\x8b\x08 and so on", "is a packed archive; unpack it and name the .mmdb file inside"),
        (&good[..good.len() / 2], "is not a sound MMDB file"),
        (&good[good.len() / 2..], "it may be cut off, or of another kind; fetch it again"),
        (&good[..good.len() - 1], "is not a sound MMDB file"),
        (&scratched, "is not a sound MMDB file"),
    ] {
        std::fs::write(&path, content).unwrap();
        refused(&path, words);
    }
    // Sparse: it takes no room on the disk.
    std::fs::File::create(&path).unwrap().set_len(MOST_BYTES + 1).unwrap();
    refused(&path, "does not fit: all MMDB files together may have 512 MiB; use a smaller edition");
    let many: Vec<PathBuf> = std::iter::repeat_n(named(&["maxmind-asn"]).remove(0), 9).collect();
    assert!(Origins::load(&many).unwrap_err()[0].to_string().contains("one MMDB file more than the 8"));
}

/// The same random numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

/// Whatever is changed in a file, it is refused, or it answers, and no answer is unfit to be shown.
#[test]
fn damaged_files_never_panic() {
    let mut random = Random(20_261_130);
    let (mut taken, mut damaged, mut refused) = (0, 0, 0);
    for name in ["maxmind-enterprise", "maxmind-city", "ipinfo-lite", "ipinfo-location", "maxmind-anonymous"] {
        let good = std::fs::read(&named(&[name])[0]).unwrap();
        for _ in 0..1500 {
            let mut bad = good.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bad.len());
                match random.below(5) {
                    0 => bad[at] = random.below(256) as u8,
                    1 => bad[at] ^= 1 << random.below(8),
                    2 => bad.truncate(at.max(1)),
                    3 => {
                        bad.remove(at);
                    }
                    // the metadata are the last 200 bytes or so
                    _ => {
                        let end = bad.len().saturating_sub(1 + random.below(200));
                        bad[end] = random.below(256) as u8;
                    }
                }
                if bad.len() < 2 {
                    break;
                }
            }
            match File::of(Path::new("damaged.mmdb"), bad) {
                Ok(file) => {
                    taken += 1;
                    let origins = Origins::of(vec![file]);
                    damaged += usize::from(origins.verify().is_err());
                    for ip in
                        ["198.18.0.1", "203.0.113.77", "198.19.2.1", "198.19.1.0", "8.8.8.8", "2001:db8:1::1", "::", "255.255.255.255"]
                    {
                        let shown = origin(&origins, ip).to_string();
                        assert!(shown.len() < 400 && !shown.contains(|c: char| c.is_control()), "{shown:?}");
                    }
                }
                Err(problem) => {
                    refused += 1;
                    let shown = problem.to_string();
                    assert!(shown.len() < 600 && !shown.contains(|c: char| c.is_control()), "{shown:?}");
                }
            }
        }
    }
    assert!(taken > 1000 && damaged > 500 && refused > 1000, "taken {taken}, {damaged} of them damaged, refused {refused}");
}
