//! The one place that finds words for people: subject, plain text, HTML, Slack blocks.
//!
//! Names in an alert (tokens, tables, client software) were chosen by whoever wrote them into a database or a log. So everything
//! passes through [`clean`] first, and each rendering escapes what its reader would take for more than text.

use serde_json::{Value, json};

use super::Message;
use crate::alert::{Alert, Source};
use crate::event::Time;

/// Characters of one piece of text.
const MOST_TEXT: usize = 600;
/// Entries of one list.
const MOST_ENTRIES: usize = 6;
/// Characters of a subject.
const MOST_SUBJECT: usize = 140;
/// Slack refuses sections of more than 3000 characters.
const MOST_SECTION: usize = 2900;

/// A message in words, cleaned, before it is dressed for its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line: `[high] billing used from 127.0.0.66 (new network)`.
    pub subject: String,
    /// One or two sentences.
    pub lead: String,
    /// Headed lists.
    pub sections: Vec<(&'static str, Vec<String>)>,
    /// Labelled values.
    pub facts: Vec<(&'static str, String)>,
}

/// Finds the words.
pub fn letter(message: &Message) -> Letter {
    match message {
        Message::Alert { alert, responses } => alert_letter(alert, responses),
        Message::Test { alert } => {
            let mut letter = alert_letter(alert, &[]);
            letter.subject = format!("[test] {}", letter.subject);
            letter.lead = format!("This is a test; nothing has happened. A real alert looks like this. {}", letter.lead);
            letter
        }
        Message::Notice { title, text, severity, time } => Letter {
            subject: cut(&format!("[{severity}] tokenwatch: {}", clean(title)), MOST_SUBJECT),
            lead: cut(&clean(text), MOST_TEXT),
            sections: Vec::new(),
            facts: vec![("When", moment(*time))],
        },
    }
}

fn alert_letter(alert: &Alert, responses: &[String]) -> Letter {
    let mut sections = Vec::new();
    let mut section = |title, lines: Vec<String>| {
        if !lines.is_empty() {
            sections.push((title, lines));
        }
    };
    // With one finding the summary says it already.
    if alert.findings.len() > 1 {
        section("What happened", list(alert.findings.iter().map(|f| f.observed.as_str())));
    }
    section("What is usual", list(alert.findings.iter().map(|f| f.expected.as_str())));
    section("What to do", list(alert.findings.iter().map(|f| f.advice.as_str())));
    section("Response", list(responses.iter().map(String::as_str)));

    let mut facts = vec![("When", moment(alert.time))];
    let mut fact =
        |label, value: Option<String>| facts.extend(value.filter(|v| !v.is_empty()).map(|v| (label, cut(&clean(&v), MOST_TEXT))));
    fact("Token", Some(alert.token.clone()));
    fact(
        "Owner",
        alert.owner.as_ref().map(|o| alert.contact.as_ref().map_or(o.clone(), |c| format!("{o} ({c})"))).or(alert.contact.clone()),
    );
    fact("From", alert.address.clone());
    fact("Database", alert.database.clone());
    fact("Record", Some(list(alert.sources.iter().map(place).collect::<Vec<_>>().iter().map(String::as_str)).join("; ")));
    fact("Looks like", alert.resembles.clone());
    fact("Severity", Some(format!("{}, confidence {} of 100", alert.severity, alert.confidence)));
    fact("ATT&CK", Some(alert.attack.join(", ")));
    fact("Explain", Some(format!("tokenwatch alerts show {}", alert.id.chars().take(12).collect::<String>())));
    Letter { subject: alert_subject(alert), lead: cut(&clean(&alert.summary), MOST_TEXT), sections, facts }
}

fn alert_subject(alert: &Alert) -> String {
    // Of equals the first, which opened the alert.
    let worst = alert.findings.iter().rev().max_by_key(|f| (f.severity, f.confidence));
    let why = match worst.map_or("", |f| f.detector.as_str()) {
        "" => String::new(),
        "policy.network" => "outside its declared networks".to_owned(),
        "policy.scope" => "outside its declared scope".to_owned(),
        "policy.hours" => "outside its declared hours".to_owned(),
        "policy.expired" => "after it expired".to_owned(),
        "policy.revoked" => "after it was revoked".to_owned(),
        "policy.canary" => "canary touched".to_owned(),
        other => other.rsplit_once('.').map_or(other, |(_, name)| name).replace('_', " "),
    };
    let from = alert.address.as_ref().map(|a| format!(" from {}", cut(&clean(a), 45))).unwrap_or_default();
    let escalated = if alert.revision > 0 { "escalated: " } else { "" };
    let why = if why.is_empty() { why } else { format!(" ({})", cut(&clean(&why), 40)) };
    format!("[{}] {escalated}{} used{from}{why}", alert.severity, cut(&clean(&alert.token), 40))
}

/// Where a record stands, in words.
fn place(source: &Source) -> String {
    match source {
        Source::File { file, offset } => format!("{file}, byte {offset}"),
        Source::Kafka { topic, partition, offset } => format!("topic {topic}, partition {partition}, offset {offset}"),
    }
}

fn moment(time: Time) -> String {
    match jiff::Timestamp::from_microsecond(time.0) {
        Ok(stamp) => stamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => time.to_string(),
    }
}

/// Each text once, in order, the first few of them, with a count of the rest.
fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut more = 0;
    for text in texts.filter(|t| !t.is_empty()) {
        let text = cut(&clean(text), MOST_TEXT);
        if out.contains(&text) {
            continue;
        }
        if out.len() < MOST_ENTRIES { out.push(text) } else { more += 1 }
    }
    if more > 0 {
        out.push(format!("and {more} more"));
    }
    out
}

/// A character that does something instead of showing something: controls (also those of terminals), and the marks that turn the
/// direction of text or have no width.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text on one line without characters that do something. White space becomes a blank, the rest the replacement character.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_whitespace() {
                ' '
            } else if is_unsafe(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// At most `most` characters.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let mut head: String = text.chars().take(most.saturating_sub(1)).collect();
    head.push('…');
    head
}

impl Letter {
    /// Plain text, wrapped by its reader.
    pub fn plain(&self) -> String {
        let mut out = format!("{}\n", self.lead);
        for (title, lines) in &self.sections {
            out.push_str(&format!("\n{title}\n"));
            for line in lines {
                out.push_str(&format!("  - {line}\n"));
            }
        }
        out.push('\n');
        for (label, value) in &self.facts {
            out.push_str(&format!("{:<10}{value}\n", format!("{label}:")));
        }
        out
    }

    /// A small page that also reads well without its styles. It refers to nothing outside.
    pub fn html(&self) -> String {
        let mut out = String::from(
            "<!doctype html>\n<html><head><meta charset=\"utf-8\"></head>\n\
             <body style=\"font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;max-width:42em;margin:1em\">\n",
        );
        out.push_str(&format!("<h1 style=\"font-size:1.15em;margin:0 0 .6em\">{}</h1>\n", html(&self.subject)));
        out.push_str(&format!("<p>{}</p>\n", html(&self.lead)));
        for (title, lines) in &self.sections {
            out.push_str(&format!("<h2 style=\"font-size:1em;margin:1em 0 .2em\">{}</h2>\n<ul style=\"margin:0\">\n", html(title)));
            for line in lines {
                out.push_str(&format!("<li>{}</li>\n", html(line)));
            }
            out.push_str("</ul>\n");
        }
        out.push_str("<table style=\"margin-top:1.2em;border-collapse:collapse;font-size:.92em\">\n");
        for (label, value) in &self.facts {
            out.push_str(&format!(
                "<tr><td style=\"padding:.1em 1em .1em 0;color:#666;vertical-align:top\">{}</td><td>{}</td></tr>\n",
                html(label),
                html(value)
            ));
        }
        out.push_str("</table>\n</body></html>\n");
        out
    }

    /// A message for a Slack incoming webhook. `verbatim` and the escapes see to it that no name becomes a mention or a link.
    pub fn slack(&self) -> Value {
        let section = |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } });
        let mut blocks = vec![
            json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&slack(&self.subject), 150), "emoji": false } }),
            section(slack(&self.lead)),
        ];
        for (title, lines) in &self.sections {
            blocks.push(section(within(format!("*{}*", slack(title)), lines.iter().map(|l| format!("\n• {}", slack(l))))));
        }
        let facts = self.facts.iter().map(|(label, value)| format!("{}: {}\n", slack(label), slack(value)));
        let facts = within(String::new(), facts);
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": facts.trim_end(), "verbatim": true }] }));
        json!({ "text": slack(&self.subject), "mrkdwn": false, "link_names": false, "unfurl_links": false, "unfurl_media": false, "blocks": blocks })
    }
}

/// As many parts as a Slack section holds.
fn within(mut text: String, parts: impl Iterator<Item = String>) -> String {
    for part in parts {
        if text.chars().count() + part.chars().count() > MOST_SECTION {
            text.push_str("\n…");
            break;
        }
        text.push_str(&part);
    }
    text
}

/// Slack's own three escapes.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn html(text: &str) -> String {
    slack(text).replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests;
