//! Where an address comes from: the autonomous system, the country and the place, as far as the operator's MMDB files say (`origin/file.rs` reads
//! them, `origin/record.rs` understands their layouts). Who rents out addresses to anybody, `origin/hosting.rs` knows without them.
//!
//! Nothing of it is remembered in a baseline: the origin of a network that a token used before is looked up again when a new one has to be judged. So
//! new files take effect at once, and a baseline does not grow.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::problem::Problem;
use crate::event::Time;

mod file;
mod hosting;
mod record;

pub use file::{File, MOST_BYTES};

/// Files at most.
const MOST_FILES: usize = 8;
/// Origins that are kept at hand; the same addresses are asked for again and again while a new one is judged.
const AT_HAND: usize = 4096;
/// After so many days, addresses have changed hands.
const OLD_DAYS: i64 = 90;
const EARTH_RADIUS_KM: f64 = 6371.0;

/// What is known of where an address comes from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origin {
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Who runs it; short, and without control characters.
    pub organisation: Option<String>,
    pub country: Option<Country>,
    pub location: Option<Location>,
    /// Of a hosting provider, a VPN, a proxy or the Tor network: it says nothing of where its user sits, and anybody can have one like it.
    pub hosting: bool,
}

impl Origin {
    /// Both are known to be of the same autonomous system, or of two; `None` where one of them is not known.
    pub fn same_system(&self, other: &Origin) -> Option<bool> {
        Some(self.asn? == other.asn?)
    }
}

/// `AS64500 Example Hosting, RO, hosting or VPN`; empty where nothing is known.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = match (self.asn, &self.organisation) {
            (Some(asn), Some(name)) => Some(format!("AS{asn} {name}")),
            (Some(asn), None) => Some(format!("AS{asn}")),
            (None, name) => name.clone(),
        };
        let hosting = self.hosting.then(|| "hosting or VPN".to_owned());
        let parts: Vec<String> = [system, self.country.map(|country| country.to_string()), hosting].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

/// A country by its two letters (ISO 3166).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country([u8; 2]);

impl Country {
    /// `None` for anything but two letters.
    pub fn of(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_alphabetic).then(|| Country(letters.map(|letter| letter.to_ascii_uppercase())))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

/// A place on Earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    pub latitude: f64,
    pub longitude: f64,
    /// The address is somewhere within so many kilometres, most probably.
    pub within_km: f64,
}

impl Location {
    /// `None` where it is no place on Earth.
    pub fn new(latitude: Option<f64>, longitude: Option<f64>, within_km: Option<f64>) -> Option<Self> {
        let (latitude, longitude) = (latitude?, longitude?);
        let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        let within_km = within_km.filter(|km| (0.0..=20_000.0).contains(km)).unwrap_or(0.0);
        on_earth.then_some(Location { latitude, longitude, within_km })
    }

    /// How many kilometres they are apart at least, over the surface of the Earth.
    pub fn apart_km(&self, other: &Location) -> f64 {
        let square = |x: f64| x * x;
        let (one, two) = (self.latitude.to_radians(), other.latitude.to_radians());
        let longitude = (other.longitude - self.longitude).to_radians();
        let chord = square(libm::sin((two - one) / 2.0)) + libm::cos(one) * libm::cos(two) * square(libm::sin(longitude / 2.0));
        let apart = 2.0 * EARTH_RADIUS_KM * libm::asin(libm::sqrt(chord.clamp(0.0, 1.0)));
        (apart - self.within_km - other.within_km).max(0.0)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}, {:.2}", self.latitude, self.longitude)?;
        if self.within_km > 0.0 { write!(f, ", within {:.0} km", self.within_km) } else { Ok(()) }
    }
}

/// An address that was asked for, with the answer.
type Asked = Option<(IpAddr, Arc<Origin>)>;

/// The files of one configuration, in memory.
pub struct Origins {
    files: Vec<File>,
    nothing: Arc<Origin>,
    /// By address; the later of two that meet in one place stays.
    at_hand: Mutex<Vec<Asked>>,
}

/// Without files: what is hosting is known of some networks.
impl Default for Origins {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.iter().map(|file| &file.path)).finish()
    }
}

impl Origins {
    /// Reads the files, which have to fit into memory together.
    ///
    /// # Errors
    /// A problem for each file that is of no use.
    pub fn load(paths: &[PathBuf]) -> Result<Self, Vec<Problem>> {
        let (mut files, mut problems, mut room) = (Vec::new(), Vec::new(), MOST_BYTES);
        for (at, path) in paths.iter().enumerate() {
            if at == MOST_FILES {
                let message = format!("is one MMDB file more than the {MOST_FILES} that are read");
                problems.push(Problem::of_file(path.display().to_string(), message, "leave out those that say the same"));
                break;
            }
            match File::load(path, room) {
                Ok(file) => {
                    room = room.saturating_sub(file.bytes);
                    files.push(file);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self::of(files)) } else { Err(problems) }
    }

    fn of(files: Vec<File>) -> Self {
        Origins { files, nothing: Arc::default(), at_hand: Mutex::new(vec![None; AT_HAND]) }
    }

    /// Looks through all files from end to end: for those who rely on them for long, as it takes a second for each 30 MB or so.
    ///
    /// # Errors
    /// A problem for each file that is damaged.
    pub fn verify(&self) -> Result<(), Vec<Problem>> {
        let problems: Vec<Problem> = self.files.iter().filter_map(|file| file.verify().err()).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// There are no files: hardly anything is known of any address.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Files that are too old to be believed in everything, in words.
    pub fn remarks(&self, now: Time) -> Vec<String> {
        let days = |file: &File| now.0.saturating_sub(file.built.0) / Time::DAY;
        let old = self.files.iter().filter(|file| days(file) > OLD_DAYS);
        old.map(|file| format!("{} was built {} days ago; addresses change hands, fetch a newer one", file.path.display(), days(file)))
            .collect()
    }

    /// Where the address comes from. Of two files that know, the one named first is believed.
    pub fn origin(&self, ip: IpAddr) -> Arc<Origin> {
        let ip = ip.to_canonical();
        let place = place_of(ip);
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some((known, origin))) = at_hand.get(place)
            && *known == ip
        {
            return origin.clone();
        }
        let mut origin = Origin::default();
        for file in &self.files {
            file.complete(ip, &mut origin);
        }
        origin.hosting |= origin.asn.map_or_else(|| hosting::holds(ip), hosting::is_known);
        let origin = if origin == *self.nothing { self.nothing.clone() } else { Arc::new(origin) };
        if let Some(slot) = at_hand.get_mut(place) {
            *slot = Some((ip, origin.clone()));
        }
        origin
    }
}

/// The place of an address among those at hand.
fn place_of(ip: IpAddr) -> usize {
    let bits = match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(31)
        }
    };
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize % AT_HAND
}

#[cfg(test)]
mod tests;
