//! `tokenwatch decode`: one record in, every stage's result out.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bstr::ByteSlice;
use clap::Args;

use super::replay::reading;
use super::{ConfigArg, Failure, count, say, written};
use crate::decoder::render::{Understood, rejected, to_json};
use crate::decoder::stream::{Item, Stream};
use crate::decoder::{Decoded, Options};
use crate::event::{Address, Event, Outcome, Provenance};
use crate::identity::claims::{Tags, application};
use crate::identity::dictionary::{Dictionary, clean};
use crate::observation::Evidence;
use crate::observe::Attributor;
use crate::position::{At, Partition};
use crate::runtime::replay::read_chunk;
use crate::runtime::rulebook::Rulebook;
use crate::source::replay;

/// Show what each stage makes of log records.
#[derive(Debug, Args)]
pub struct Decode {
    #[command(flatten)]
    config: ConfigArg,
    /// Format of the inputs; detected from their content where absent
    #[arg(short, long, value_name = "NAME")]
    format: Option<String>,
    /// One JSON object a record
    #[arg(long)]
    json: bool,
    /// Log files; - is stdin; .gz and .zst are read
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

/// Renders the records of one input.
struct Printer<'a> {
    out: Box<dyn Write>,
    partition: Arc<Partition>,
    attributor: &'a mut Attributor,
    dictionary: &'a Dictionary,
    rulebook: &'a Rulebook,
    json: bool,
    rejected: u64,
    /// Records that none of the output shows, by reason, and whether it shows any.
    skipped: BTreeMap<&'static str, u64>,
    shown: bool,
    failed: Option<Failure>,
    /// The stream's reason for its choice of decoder, once it is known.
    because: String,
}

pub fn run(command: Decode) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let reading = reading(&rulebook, command.format.as_deref())?;
    let dictionary = Arc::new(Dictionary::default());
    // One for all inputs: the log of a broker says whose the accounts in the log of a database are.
    let mut attributor = Attributor::new(rulebook.inventory.clone(), rulebook.rules.clone(), dictionary.clone());
    let mut rejected = 0;
    for path in &command.inputs {
        let path = Path::new(path);
        let mut input = replay::open(path).map_err(|error| error.to_string())?;
        let options = Options { written: input.written(), ..reading.options.clone() };
        let mut stream = Stream::new(reading.format, options, 0);
        let mut printer = Printer {
            out: Box::new(BufWriter::new(std::io::stdout().lock())),
            partition: replay::partition("decode", path),
            attributor: &mut attributor,
            dictionary: &dictionary,
            rulebook: &rulebook,
            json: command.json,
            rejected: 0,
            skipped: BTreeMap::new(),
            shown: false,
            failed: None,
            because: String::new(),
        };
        let ended = loop {
            let (bytes, error) = read_chunk(&mut input);
            stream.feed(&bytes, &mut |item| printer.print(&item));
            match error {
                Some(error) => break Err(error.to_string()),
                None if bytes.is_empty() => break Ok(()),
                None => {}
            }
        };
        stream.close(&mut |item| printer.print(&item));
        if let Some((format, because)) = stream.format().filter(|_| !command.json) {
            printer.because = format!("{}: read as {}: {because}", path.display(), format.name);
        }
        let Printer { mut out, failed, because, rejected: here, skipped, shown, .. } = printer;
        rejected += here;
        written(out.flush())?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        if !because.is_empty() {
            eprintln!("{because}");
        }
        // A log of which nothing is shown would leave people without an answer.
        if stream.counts().bytes == 0 && !command.json {
            eprintln!("{}: the file is empty", path.display());
        }
        for (reason, records) in skipped.iter().filter(|_| !shown) {
            eprintln!("{}: {} skipped: {reason}", path.display(), count(*records, "record"));
        }
        ended?;
    }
    if rejected > 0 && !command.json {
        eprintln!("{} could not be read", count(rejected, "record"));
    }
    Ok(())
}

/// The name of an enum's variant as JSON has it.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The fields of an event that the record gives, in the order of [`crate::decoder::guide::FIELDS`], each with how far it may be believed.
fn fields(event: &Event<'_>) -> Vec<(&'static str, String)> {
    let objects: Vec<String> = event.objects.iter().map(ToString::to_string).collect();
    let given = [
        ("time", Some(event.time.to_string())),
        ("principal", event.principal.map(|p| format!("{} ({})", p.name, word(p.provenance)))),
        ("address", event.address.map(|a| format!("{a} (observed)"))),
        ("port", event.port.map(|p| format!("{p} (observed)"))),
        ("database", event.database.map(ToString::to_string)),
        ("client", event.client.map(|c| format!("\"{c}\" (claimed)"))),
        ("session", event.session.map(ToString::to_string)),
        // Its literals stay inside; the shape is shown further down.
        ("statement", event.statement.map(|s| format!("{} bytes (claimed)", s.len()))),
        ("operation", event.operation.map(|op| op.to_string())),
        ("objects", (!objects.is_empty()).then(|| objects.join(", "))),
        ("outcome", (event.outcome != Outcome::Unknown).then(|| word(event.outcome))),
        ("code", event.code.map(ToString::to_string)),
        ("rows", event.rows.map(|r| r.to_string())),
        ("duration", event.duration_us.map(|us| format!("{} ms", us as f64 / 1000.0))),
        ("kind", Some(word(event.kind))),
    ];
    given.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

/// What the client says of itself behind a pooler: its application's name without the pooler's part, and the tags of a comment.
fn claims(event: &Event<'_>) -> Option<String> {
    let mut said = Vec::new();
    if let Some((name, Some(host))) = event.client.map(application) {
        said.push(format!("application {name}, through a pooler from {host}"));
    }
    let tags = event.statement.map(|statement| Tags::of(statement, event.dialect)).unwrap_or_default();
    said.extend(tags.iter().map(|(key, value)| format!("comment.{key} {value}")));
    (!said.is_empty()).then(|| said.join(", "))
}

fn explain_reject(item: &Item<'_>, reason: &str, at: &At) -> String {
    let begins = clean(&String::from_utf8_lossy(item.raw.get(..80.min(item.raw.len())).unwrap_or_default()));
    format!(
        "record      {} byte {}, {} bytes\ndecoder     {}\nrejected    {reason}\nbegins      {begins}\n",
        clean(&at.partition.label),
        item.offset,
        item.len,
        item.format.name
    )
}

impl Printer<'_> {
    fn print(&mut self, item: &Item<'_>) {
        if self.failed.is_some() {
            return;
        }
        let at = At { partition: self.partition.clone(), offset: item.offset, len: item.len };
        self.shown |= !matches!(item.decoded, Decoded::Skip(_));
        let result = match &item.decoded {
            Decoded::Skip(reason) => {
                *self.skipped.entry(reason).or_default() += 1;
                Ok(())
            }
            Decoded::Reject(reason) => {
                self.rejected += 1;
                let shown = if self.json { rejected(reason, &at).to_string() } else { explain_reject(item, reason, &at) };
                say(&mut *self.out, format_args!("{shown}"))
            }
            Decoded::Event(event) => {
                self.attributor.learn_lease(event);
                let shown = if self.json { self.as_json(item, event, &at) } else { self.explain(item, event, &at) };
                say(&mut *self.out, format_args!("{shown}"))
            }
        };
        self.failed = result.err();
    }

    /// Where the address comes from, as far as the files of `[detect] mmdb` say.
    fn origin(&self, ip: IpAddr) -> Option<String> {
        let origin = self.rulebook.settings.origins.origin(ip);
        let near = origin.location.map(|place| format!("near {place}"));
        let parts: Vec<String> = [Some(origin.to_string()), near].into_iter().flatten().filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn as_json(&mut self, item: &Item<'_>, event: &Event<'_>, at: &At) -> String {
        let meaning = self.attributor.meaning(event);
        // A claimed name never chooses the token.
        let token = self.attributor.attribute(event).filter(|who| who.provenance != Provenance::Claimed);
        let token = token.map(|who| self.dictionary.token(who.token));
        let shape = meaning.shape.as_deref();
        let objects: Vec<String> = meaning.scopes.iter().map(|(_, _, name)| name.text(shape).to_owned()).collect();
        let understood = Understood {
            token: token.as_deref(),
            shape: shape.map(|s| &*s.text),
            operation: event.statement.is_some().then_some(meaning.operation),
            objects: &objects,
        };
        to_json(item.format.name, event, &understood, at).to_string()
    }

    fn explain(&mut self, item: &Item<'_>, event: &Event<'_>, at: &At) -> String {
        let mut lines = Vec::new();
        let mut line = |stage: &str, text: String| lines.push(format!("{stage:<12}{}", clean(&text)));
        let cut = if event.truncated { ", cut" } else { "" };
        line("record", format!("{} byte {}, {} bytes{cut}", at.partition.label, item.offset, item.len));
        let forgeable = if item.forgeable { " (clients may write into this format: it alerts, it never revokes)" } else { "" };
        line("decoder", format!("{}{forgeable}", item.format.name));
        if let Some(suspect) = event.suspect {
            line("suspect", format!("{suspect}; it names no token"));
        }
        line("event", format!("{} at {}, outcome {}", word(event.kind), event.time, word(event.outcome)));
        for (field, value) in fields(event) {
            let place = item.format.guide.field(field).map(|place| format!("  <- {}", place.replace('`', ""))).unwrap_or_default();
            line(field, format!("{value}{place}"));
            if field == "address"
                && let Some(Address::Ip(ip)) = event.address
                && let Some(origin) = self.origin(ip)
            {
                line("origin", origin);
            }
        }
        if event.principal.is_none() {
            line("principal", "none: this record is no act of a token".to_owned());
        }
        if let Some(claims) = claims(event) {
            line("claims", format!("{claims} (they narrow a user where the inventory says so)"));
        }
        let meaning = self.attributor.meaning(event);
        let shape = meaning.shape.clone();
        if let Some(shape) = &shape {
            line("shape", shape.text.to_string());
        }
        let scopes: Vec<String> = meaning.scopes.iter().map(|(op, _, name)| format!("{op} {}", name.text(shape.as_deref()))).collect();
        if !scopes.is_empty() {
            line("scope", scopes.join(", "));
        }
        let evidence = Evidence { partition: at.partition.clone(), offset: at.offset, len: at.len };
        match self.attributor.observe(event, evidence, item.forgeable) {
            None => line("token", "none".to_owned()),
            Some(seen) => {
                // The dictionary holds no names that are only claimed.
                if let Some(principal) = event.principal {
                    self.dictionary.add_token(seen.token, &principal.name.to_str_lossy());
                }
                let how = if seen.acting { "acting" } else { "only claimed: somebody acted against it, it did not act" };
                let generated = self.attributor.attribute(event).is_some_and(|who| who.generated);
                let lease = if generated { "; the account was generated for it" } else { "" };
                line("token", format!("{} ({how}{lease})", self.dictionary.token(seen.token)));
                if !seen.violations.is_empty() {
                    let broken = [
                        (crate::observation::Violations::NETWORK, "networks"),
                        (crate::observation::Violations::SCOPE, "scope"),
                        (crate::observation::Violations::HOURS, "hours"),
                        (crate::observation::Violations::EXPIRED, "expires_at"),
                        (crate::observation::Violations::REVOKED, "revoked_at"),
                        (crate::observation::Violations::CANARY, "canary"),
                    ];
                    let named: Vec<&str> = broken.iter().filter(|(bit, _)| seen.violations.contains(*bit)).map(|(_, name)| *name).collect();
                    line("policy", format!("breaks {}", named.join(", ")));
                }
                let mut numbers: Vec<u16> = seen.rules.iter().filter(|hit| !hit.back && hit.step == 0).map(|hit| hit.rule).collect();
                numbers.dedup();
                let rules: Vec<&str> =
                    numbers.iter().filter_map(|number| self.rulebook.rules.get(*number)).map(|rule| rule.title.as_str()).collect();
                if !rules.is_empty() {
                    line("rules", format!("may match: {}", rules.join("; ")));
                }
                let watched: Vec<&str> = crate::detect::DETECTORS.iter().map(|d| d.name).collect();
                line("detectors", format!("judged beside its baseline by {}", watched.join(", ")));
            }
        }
        lines.join("\n") + "\n"
    }
}
