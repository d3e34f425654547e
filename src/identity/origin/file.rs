//! One MMDB file, read into memory once.

use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{MaxMindDbError, Reader, WithinOptions};

use super::Origin;
use super::record::Record;
use crate::config::problem::Problem;
use crate::event::Time;
use crate::identity::dictionary::clean;

/// Bytes of all files together: they are held in memory, at a reload twice.
pub const MOST_BYTES: u64 = 512 * 1024 * 1024;
/// Records that may pass before one of them says something of use.
const LOOKED_AT: usize = 1000;
/// How archives begin: gzip, zip, zstd, xz.
const PACKED: [&[u8]; 4] = [b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ"];

/// A file whose head is sound, and whose first records say something of use.
pub struct File {
    pub path: PathBuf,
    /// What it says it is: `GeoLite2-ASN`.
    pub kind: String,
    pub built: Time,
    pub bytes: u64,
    reader: Reader<Vec<u8>>,
}

impl File {
    /// Reads a file of at most `room` bytes.
    pub(super) fn load(path: &Path, room: u64) -> Result<Self, Problem> {
        Self::of(path, slurp(path, room)?)
    }

    /// The file with this content.
    pub(super) fn of(path: &Path, content: Vec<u8>) -> Result<Self, Problem> {
        let shown = path.display().to_string();
        let bytes = content.len() as u64;
        if PACKED.iter().any(|magic| content.starts_with(magic)) {
            return Err(Problem::of_file(shown, "is a packed archive", "unpack it and name the .mmdb file inside"));
        }
        let reader = Reader::from_source(content).map_err(|why| broken(path, &why))?;
        let kind: String = clean(&reader.metadata().database_type).chars().take(64).collect();
        if !useful(&reader).map_err(|why| broken(path, &why))? {
            let message = format!("({kind}) says nothing that is used here");
            return Err(Problem::of_file(
                shown,
                message,
                "name files of autonomous systems (ASN), countries, cities or anonymous addresses",
            ));
        }
        let built = i64::try_from(reader.metadata().build_epoch).unwrap_or(i64::MAX).saturating_mul(Time::SECOND);
        Ok(File { path: path.to_owned(), kind, built: Time(built), bytes, reader })
    }

    /// Looks through it from end to end, which takes seconds where it is large.
    pub(super) fn verify(&self) -> Result<(), Problem> {
        self.reader.verify().map_err(|why| broken(&self.path, &why))
    }

    /// Adds to `origin` what this file knows of the address.
    pub(super) fn complete(&self, ip: IpAddr, origin: &mut Origin) {
        // A damaged record says nothing. An address of a family that the file does not have is merely not in it.
        let found = self.reader.lookup(ip).ok().and_then(|found| found.decode::<Record>().ok().flatten());
        if let Some(record) = found {
            record.complete(origin);
        }
    }
}

fn broken(path: &Path, why: &MaxMindDbError) -> Problem {
    let why = why.to_string();
    let why: String = clean(why.strip_prefix("invalid database: ").unwrap_or(&why)).chars().take(160).collect();
    let message = format!("is not a sound MMDB file: {why}");
    Problem::of_file(path.display().to_string(), message, "it may be cut off, or of another kind; fetch it again")
}

/// One of its first records has a field that is understood.
fn useful(reader: &Reader<Vec<u8>>) -> Result<bool, MaxMindDbError> {
    for found in reader.networks(WithinOptions::default())?.take(LOOKED_AT) {
        if found?.decode::<Record>()?.is_some_and(|record| record.recognised) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn slurp(path: &Path, room: u64) -> Result<Vec<u8>, Problem> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| {
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path in [detect] mmdb; relative ones begin at the folder of the configuration",
            std::io::ErrorKind::PermissionDenied => "let the user that runs tokenwatch read it",
            _ => "",
        };
        Problem::of_file(shown.clone(), format!("cannot be read: {error}"), advice)
    };
    let too_large = || {
        let message = format!("does not fit: all MMDB files together may have {} MiB", MOST_BYTES >> 20);
        Problem::of_file(shown.clone(), message, "use a smaller edition; a file of autonomous systems and one of countries go a long way")
    };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Problem::of_file(shown, "is not a file", "name the .mmdb file itself"));
    }
    if meta.len() > room {
        return Err(too_large());
    }
    let mut content = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
    // It may grow while it is read.
    std::fs::File::open(path).and_then(|file| file.take(room + 1).read_to_end(&mut content)).map_err(failed)?;
    if content.len() as u64 > room { Err(too_large()) } else { Ok(content) }
}
