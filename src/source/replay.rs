//! Old logs read once from beginning to end: plain, gzip or zstd (told by their first bytes, not by name), or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Chunk, Delivery, Ended, Gap, Outlet, Source, Stop, Trouble};
use crate::event::Time;
use crate::position::Partition;

/// Bytes of one chunk (the last of an input is shorter).
pub const CHUNK: usize = 1024 * 1024;
/// The input ends in the middle of its compressed stream.
pub const CUT_SHORT: &str = "cut-short";
/// The input cannot be read on: a disk failure, a damaged compressed stream, or a decompression bomb.
pub const UNREADABLE: &str = "unreadable";

/// How far an input has been read: for progress bars.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read from the file, before decompression.
    pub read: AtomicU64,
    /// Size of the file in bytes; `None` for a stream.
    pub total: Option<u64>,
}

/// How much an input may grow by decompression.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// So many decompressed bytes are always allowed.
    pub free: u64,
    /// Above `free`, at most so many decompressed bytes for each compressed one. Logs reach 5 to 100; a gzip bomb 1000.
    pub ratio: u64,
    /// At most so many decompressed bytes at all.
    pub most: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { free: 256 << 20, ratio: 500, most: 4 << 40 }
    }
}

/// An open input; reads decompressed bytes.
///
/// An error of kind `UnexpectedEof` means that the compressed stream is cut short; all that could be read was given before.
pub struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    progress: Arc<Progress>,
    compressed: bool,
    limits: Limits,
    given: u64,
    written: Option<Time>,
}

/// Opens a file, or standard input for `-`.
pub fn open(path: &Path) -> io::Result<Input> {
    open_within(path, Limits::default())
}

/// Opens a file, or standard input for `-`, with limits for decompression.
pub fn open_within(path: &Path, limits: Limits) -> io::Result<Input> {
    let name = path.display().to_string();
    let said = |error: io::Error| io::Error::new(error.kind(), format!("cannot read {name}: {error}{}", advice(&name, error.kind())));
    let (raw, total, written): (Box<dyn Read + Send>, _, _) = if path == Path::new("-") {
        (Box::new(io::stdin()), None, None)
    } else {
        let file = File::open(path).map_err(said)?;
        let meta = file.metadata().map_err(said)?;
        if meta.is_dir() {
            let message = format!("cannot read {name}: it is a directory; name the files in it, as in {name}/*.log");
            return Err(io::Error::new(io::ErrorKind::IsADirectory, message));
        }
        let written = meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        (Box::new(file), meta.is_file().then_some(meta.len()), written)
    };
    let progress = Arc::new(Progress { read: AtomicU64::new(0), total });
    let counted = Counted { reader: raw, progress: progress.clone() };
    let mut buffered = BufReader::with_capacity(256 * 1024, counted);
    let start = buffered.fill_buf().map_err(said)?;
    if let Some((what, way)) = foreign(start) {
        let message = format!("cannot read {name}: it is {what}; try: {way} {name} | tokenwatch ... -");
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    let (reader, compressed): (Box<dyn Read + Send>, _) = if start.starts_with(&[0x1f, 0x8b]) {
        (Box::new(flate2::bufread::MultiGzDecoder::new(buffered)), true)
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        (Box::new(zstd::stream::read::Decoder::with_buffer(buffered).map_err(said)?), true)
    } else {
        (Box::new(buffered), false)
    };
    let written = written.and_then(|since| i64::try_from(since.as_micros()).ok()).map(Time);
    Ok(Input { name, reader, progress, compressed, limits, given: 0, written })
}

/// What to do about an input that cannot be opened; empty where the error says it all.
fn advice(name: &str, kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound if name.contains(['*', '?']) => "; no file matches this pattern",
        io::ErrorKind::NotFound => "; check the path (a name that is a symbolic link may lead nowhere)",
        io::ErrorKind::PermissionDenied => "; run as a user who may read it, often root or the group adm",
        _ => "",
    }
}

/// What the first bytes show that is neither text nor a compression read here, and the command that makes it readable.
fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const KNOWN: [(&[u8], &str, &str); 6] = [
        (b"\xff\xfe", "UTF-16 text, and logs are read as UTF-8", "iconv -f UTF-16 -t UTF-8"),
        (b"\xfe\xff", "UTF-16 text, and logs are read as UTF-8", "iconv -f UTF-16 -t UTF-8"),
        (b"\xfd7zXZ\0", "compressed with xz", "xz -dc"),
        (b"BZh", "compressed with bzip2", "bzip2 -dc"),
        (b"\x04\x22\x4d\x18", "compressed with lz4", "lz4 -dc"),
        (b"PK\x03\x04", "a zip archive", "unzip -p"),
    ];
    KNOWN.iter().find(|(magic, ..)| start.starts_with(magic) && !error_log(start)).map(|(_, what, way)| (*what, *way))
}

/// SQL Server's error log on Windows, the one log in UTF-16 that is read as it is: `2026-11-22 02:05:17.64 Server`.
fn error_log(start: &[u8]) -> bool {
    const FORM: &[u8] = b"0000-00-00 00:00:00.00 ";
    let text = start.strip_prefix(b"\xff\xfe").unwrap_or_default();
    let fits = |(form, unit): (&u8, &[u8])| matches!(unit, [low, 0] if low == form || *form == b'0' && low.is_ascii_digit());
    text.len() > 2 * FORM.len() && FORM.iter().zip(text.chunks(2)).all(fits)
}

impl Input {
    /// When the file was written to last; unknown for a stream.
    pub fn written(&self) -> Option<Time> {
        self.written
    }

    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    fn said(&self, error: &io::Error) -> io::Error {
        let (name, at) = (&self.name, self.progress.read.load(Ordering::Relaxed));
        let (kind, message) = match error.kind() {
            io::ErrorKind::UnexpectedEof => (
                io::ErrorKind::UnexpectedEof,
                format!(
                    "{name} is cut short at byte {at}: the compressed stream has no end; what came before was read, the rest is missing"
                ),
            ),
            _ if self.compressed && error.raw_os_error().is_none() => (
                io::ErrorKind::InvalidData,
                format!(
                    "{name} is damaged near byte {at}: {error}; what came before was read, the rest is missing. Test it with gzip -t or zstd -t"
                ),
            ),
            kind => (kind, format!("cannot read {name} on after byte {at}: {error}")),
        };
        io::Error::new(kind, message)
    }

    fn guard(&self) -> io::Result<()> {
        let read = self.progress.read.load(Ordering::Relaxed);
        let Limits { free, ratio, most } = self.limits;
        if !self.compressed || self.given <= free.max(read.saturating_mul(ratio)).min(most) {
            return Ok(());
        }
        let times = self.given / read.max(1);
        let message = format!(
            "{} is taken for a decompression bomb: {} bytes came out of {read}, {times} times as much; if it is genuine, decompress it and read the result",
            self.name, self.given
        );
        Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.guard()?;
        match self.reader.read(buffer) {
            Ok(read) => {
                self.given = self.given.saturating_add(read as u64);
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.said(&error)),
        }
    }
}

struct Counted<R> {
    reader: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.progress.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The partition of a replayed input: key and label are the path as given.
pub fn partition(source: &str, path: &Path) -> Arc<Partition> {
    let path = path.to_string_lossy().into_owned();
    Arc::new(Partition { source: source.to_owned(), key: path.clone(), label: path })
}

/// Reads an input to its end: chunks, a trouble and a gap if it ends too early, and in any case [`Delivery::Closed`].
///
/// `send` is called in order; its error ends the reading.
pub fn feed<E>(source: &str, path: &Path, mut input: Input, mut send: impl FnMut(Delivery) -> Result<(), E>) -> Result<(), E> {
    let partition = partition(source, path);
    // A stream may be somebody's pipe: pass on what comes. Of a file take full chunks.
    let whole = input.progress.total.is_some();
    let mut offset = 0_u64;
    loop {
        let (bytes, end) = fill(&mut input, whole);
        if !bytes.is_empty() {
            let from = offset;
            offset = offset.saturating_add(bytes.len() as u64);
            send(Delivery::Chunk(Chunk { partition: partition.clone(), offset: from, bytes, message: false }))?;
        }
        match end {
            None => {}
            Some(Ok(())) => break,
            Some(Err(error)) => {
                let reason = if error.kind() == io::ErrorKind::UnexpectedEof { CUT_SHORT } else { UNREADABLE };
                let label = Some(partition.label.clone());
                send(Delivery::Trouble(Trouble { source: source.to_owned(), label, message: error.to_string(), failing: true }))?;
                send(Delivery::Gap(Gap { partition: partition.clone(), from: offset, to: None, reason }))?;
                break;
            }
        }
    }
    send(Delivery::Closed(partition))
}

/// The next bytes, and how the input ended if it did.
fn fill(input: &mut Input, whole: bool) -> (Vec<u8>, Option<io::Result<()>>) {
    let mut bytes = vec![0; CHUNK];
    let mut filled = 0;
    let end = loop {
        let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) else { break None };
        match input.read(room) {
            Ok(0) => break Some(Ok(())),
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => break Some(Err(error)),
        }
        if !whole {
            break None;
        }
    };
    bytes.truncate(filled);
    bytes.shrink_to_fit();
    (bytes, end)
}

/// Inputs read one after another as a source.
pub struct ReplaySource {
    name: String,
    paths: Vec<PathBuf>,
}

impl ReplaySource {
    pub fn new(name: String, paths: Vec<PathBuf>) -> Self {
        ReplaySource { name, paths }
    }

    fn follow(&self, out: &Outlet) -> Result<(), Ended> {
        for path in &self.paths {
            match open(path) {
                Ok(input) => feed(&self.name, path, input, |delivery| out.send(delivery))?,
                Err(error) => {
                    let label = Some(path.to_string_lossy().into_owned());
                    out.send(Delivery::Trouble(Trouble { source: self.name.clone(), label, message: error.to_string(), failing: true }))?;
                    let partition = partition(&self.name, path);
                    out.send(Delivery::Gap(Gap { partition: partition.clone(), from: 0, to: None, reason: UNREADABLE }))?;
                    out.send(Delivery::Closed(partition))?;
                }
            }
        }
        Ok(())
    }
}

impl Source for ReplaySource {
    fn run(self: Box<Self>, out: crossbeam_channel::Sender<Delivery>, stop: Stop) {
        let (Ok(()) | Err(Ended)) = self.follow(&Outlet::new(out, stop));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn text() -> Vec<u8> {
        (0..200_000).flat_map(|n: u32| format!("line {n} {}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    }

    /// Bytes, gap reason, message.
    fn read(content: &[u8], limits: Limits) -> (Vec<u8>, Option<&'static str>, String) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let input = open_within(file.path(), limits).unwrap();
        let progress = input.progress();
        let (mut bytes, mut gap, mut message, mut closed) = (Vec::new(), None, String::new(), false);
        feed("replay", file.path(), input, |delivery| {
            match delivery {
                Delivery::Chunk(chunk) => {
                    assert_eq!(chunk.offset, bytes.len() as u64);
                    assert!(chunk.bytes.len() <= CHUNK);
                    bytes.extend(chunk.bytes);
                }
                Delivery::Gap(it) => {
                    assert_eq!((it.from, it.to), (bytes.len() as u64, None));
                    gap = Some(it.reason);
                }
                Delivery::Trouble(trouble) => message = trouble.message,
                Delivery::Closed(_) => closed = true,
                Delivery::Idle(_) => panic!("a replay has no pauses"),
            }
            Ok::<_, ()>(())
        })
        .unwrap();
        assert!(closed);
        if gap.is_none() {
            assert_eq!(progress.total, Some(progress.read.load(Ordering::Relaxed)));
        }
        (bytes, gap, message)
    }

    #[test]
    fn plain_gzip_and_zstd_give_the_same_bytes() {
        let text = text();
        let (first, second) = text.split_at(1_000_000);
        let members = [gz(first), gz(second)].concat();
        let frames = [zstd::encode_all(first, 1).unwrap(), zstd::encode_all(second, 1).unwrap()].concat();
        for content in [text.clone(), gz(&text), members, frames] {
            assert!(read(&content, Limits::default()) == (text.clone(), None, String::new()));
        }
        assert_eq!(read(b"", Limits::default()), (Vec::new(), None, String::new()));
    }

    #[test]
    fn what_is_cut_short_gives_what_it_has_and_a_gap() {
        let text = text();
        for whole in [gz(&text), zstd::encode_all(text.as_slice(), 1).unwrap()] {
            for cut in [whole.len() / 3, whole.len() * 9 / 10, whole.len() - 5] {
                let (bytes, gap, message) = read(&whole[..cut], Limits::default());
                assert_eq!(gap, Some(CUT_SHORT));
                assert!(message.contains(&format!("cut short at byte {cut}")), "{message}");
                assert!(text.starts_with(&bytes));
                assert!(bytes.len() > text.len() * cut / whole.len() / 2, "{} of {} from {cut}", bytes.len(), text.len());
            }
        }
    }

    #[test]
    fn a_damaged_stream_is_told() {
        let mut damaged = gz(&text());
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0xff);
        let (_, gap, message) = read(&damaged, Limits::default());
        assert_eq!(gap, Some(UNREADABLE));
        assert!(message.contains("is damaged near byte"), "{message}");
    }

    #[test]
    fn a_bomb_is_defused() {
        let bomb = gz(&vec![b'a'; 64 << 20]);
        let limits = Limits { free: 1 << 20, ..Limits::default() };
        let (bytes, gap, message) = read(&bomb, limits);
        assert_eq!(gap, Some(UNREADABLE));
        assert!(message.contains("decompression bomb"), "{message}");
        assert!(bytes.len() < 40 << 20);
        assert_eq!(read(&bomb, Limits::default()).0.len(), 64 << 20);
        assert_eq!(read(&gz(&text()), Limits { most: 1000, ..limits }).1, Some(UNREADABLE));
    }

    #[test]
    fn what_cannot_be_opened_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |path: &Path| open(path).err().unwrap().to_string();
        assert!(refused(directory.path()).contains("it is a directory"));
        assert!(refused(&directory.path().join("none")).contains("none"));
    }
}
