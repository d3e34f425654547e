//! `tokenwatch formats`: the log formats that can be read, and what a user has to know of each. `docs/formats.md` is its Markdown.

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::table::Table;
use crate::config::problem::suggest;
use crate::decoder::guide::FIELDS;
use crate::decoder::{FORMATS, Format, by_name};
use crate::framing::envelope::ENVELOPES;

/// The log formats, or one of them.
#[derive(Debug, Args)]
pub struct Formats {
    /// A format: how to switch it on, what it carries and lacks, what an attacker can forge in it
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// As JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// All formats as a page of Markdown
    #[arg(long, conflicts_with = "name")]
    markdown: bool,
}

pub fn run(command: Formats) -> Result<(), Failure> {
    if command.markdown {
        return super::print(&markdown());
    }
    let chosen = match &command.name {
        None => sorted(),
        Some(name) => vec![by_name(name).ok_or_else(|| unknown(name))?],
    };
    if command.json {
        let list: Vec<Value> = chosen.iter().map(|format| as_json(format)).collect();
        let shown = if command.name.is_some() { list.into_iter().next().unwrap_or_default() } else { Value::Array(list) };
        super::print(&format!("{shown}\n"))?;
    } else if command.name.is_some() {
        chosen.iter().try_for_each(|format| super::print(&plain(&section(format))))?;
    } else {
        let mut table = Table::new(&["FORMAT", "MAY REVOKE", "SYSTEM"]);
        for format in chosen {
            table.row(vec![format.name.to_owned(), may_revoke(format).to_owned(), format.guide.system.to_owned()]);
        }
        table.print()?;
        let envelopes: Vec<&str> = ENVELOPES.iter().map(|kind| kind.name).collect();
        println!("\nEach is recognised by its content, also inside: {}.", envelopes.join(", "));
        println!("`tokenwatch formats NAME` tells how to switch it on and what an attacker can write into it.");
    }
    Ok(())
}

/// In the order in which people look a name up.
fn sorted() -> Vec<&'static Format> {
    let mut all: Vec<&Format> = FORMATS.iter().collect();
    all.sort_by_key(|format| format.name);
    all
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    format!("there is no format \"{name}\": {}", suggest(name, names.iter().copied()))
}

fn may_revoke(format: &Format) -> &'static str {
    if format.forgeable { "no" } else { "yes" }
}

fn lacks(format: &Format) -> Vec<&'static str> {
    FIELDS.into_iter().filter(|word| format.guide.field(word).is_none()).collect()
}

fn as_json(format: &Format) -> Value {
    let guide = &format.guide;
    json!({
        "name": format.name,
        "about": format.about,
        "system": guide.system,
        "may_revoke": !format.forgeable,
        "switch_on": guide.switch_on,
        "fields": guide.fields.iter().map(|(word, place)| json!({ "field": word, "where": place })).collect::<Vec<_>>(),
        "lacks": lacks(format),
        "forgery": guide.forgery,
        "ignored": guide.ignored,
        "source": guide.source,
    })
}

/// What the page says of one format.
fn section(format: &Format) -> String {
    let guide = &format.guide;
    let mut text = format!("## {}\n\n{}. {}.\n\n", format.name, guide.system, format.about);
    text.push_str(&format!("**Switch it on:** {}.\n\n", guide.switch_on));
    text.push_str("| field | where |\n|---|---|\n");
    for word in FIELDS {
        if let Some(place) = guide.field(word) {
            text.push_str(&format!("| {word} | {} |\n", place.replace('|', "\\|")));
        }
    }
    let lacks = lacks(format);
    if !lacks.is_empty() {
        text.push_str(&format!("\n**It lacks:** {}.\n", lacks.join(", ")));
    }
    let consequence = if format.forgeable { "It alerts and never revokes" } else { "It may revoke" };
    text.push_str(&format!("\n**What an attacker can forge:** {}. {consequence}.\n", guide.forgery));
    text.push_str(&format!("\n**None of our business:** {}.\n\nGrammar: {}\n", guide.ignored, guide.source));
    text
}

/// Markdown as people read it at a terminal.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    for line in markdown.lines() {
        let line = line.replace("**", "").replace('`', "");
        if line.starts_with("|---") || line == "| field | where |" {
            continue;
        }
        match line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")).and_then(|row| row.split_once(" | ")) {
            Some((field, place)) => text.push_str(&format!("  {field:<12}{}\n", place.replace("\\|", "|"))),
            None => text.push_str(&format!("{}\n", line.trim_start_matches("## "))),
        }
    }
    text
}

/// The whole page.
fn markdown() -> String {
    let mut text = String::from(
        "# Log formats\n\n\
         This page is printed by `tokenwatch formats --markdown`. A format is recognised by its content; `format = \"NAME\"` in a source, or\n\
         `--format NAME`, names it. Formats that a client of the database can write into alert and never revoke.\n\n\
         | format | system | may revoke |\n|---|---|---|\n",
    );
    for format in sorted() {
        text.push_str(&format!("| [{0}](#{0}) | {1} | {2} |\n", format.name, format.guide.system.replace('|', "\\|"), may_revoke(format)));
    }
    text.push_str(
        "\n## Envelopes\n\n\
         Each of these formats may come inside an envelope, and an envelope inside another (three deep). It is opened before anything is\n\
         decoded; the log inside is read as if it had come straight from the database. What the envelope says of itself (time, host, program) is the\n\
         relay's word: it helps where a record lacks a time, and never chooses a token.\n\n\
         | envelope | what it is | may revoke |\n|---|---|---|\n",
    );
    for kind in ENVELOPES {
        text.push_str(&format!("| {} | {} | {} |\n", kind.name, kind.about, if kind.forgeable { "no" } else { "as the format inside" }));
    }
    for format in sorted() {
        text.push('\n');
        text.push_str(&section(format));
    }
    text
}

#[cfg(test)]
mod tests {
    /// `TOKENWATCH_BLESS=1` writes the page anew.
    #[test]
    fn the_page_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formats.md");
        let page = super::markdown();
        if std::env::var_os("TOKENWATCH_BLESS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap_or_default() == page, "docs/formats.md is old: TOKENWATCH_BLESS=1 writes it anew");
    }
}
