//! Tables and colours for people at a terminal. Colour only where stdout is a terminal and `NO_COLOR` is not set.

use std::io::IsTerminal;

use super::{Failure, print};
use crate::severity::Severity;

/// A table whose columns are as wide as their content, cut to the terminal's width in the last column.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    colors: Vec<Option<&'static str>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Table { rows: vec![head.iter().map(ToString::to_string).collect()], colors: vec![Some("1")] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
        self.colors.push(None);
    }

    /// A row in the colour of a severity.
    pub fn severe(&mut self, severity: Severity, cells: Vec<String>) {
        self.rows.push(cells);
        self.colors.push(Some(code(severity)));
    }

    /// The table for a terminal `width` characters wide.
    pub fn render(&self, width: usize, color: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> =
            (0..columns).map(|c| self.rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0)).collect();
        let mut out = String::new();
        for (row, tint) in self.rows.iter().zip(&self.colors) {
            let mut line = String::new();
            for (cell, wide) in row.iter().zip(&widths) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                // Numbers are compared by their ends.
                let number = !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit());
                line.push_str(&if number { format!("{cell:>wide$}") } else { format!("{cell:<wide$}") });
            }
            let line = crate::notifier::text::cut(line.trim_end(), width.max(20));
            match tint {
                Some(tint) if color => out.push_str(&format!("\x1b[{tint}m{line}\x1b[0m\n")),
                _ => out.push_str(&format!("{line}\n")),
            }
        }
        out
    }

    /// Prints to stdout.
    pub fn print(&self) -> Result<(), Failure> {
        print(&self.render(width(), colored()))
    }
}

/// Terminal width in characters; 100 where stdout is none.
pub fn width() -> usize {
    if !std::io::stdout().is_terminal() {
        return 100_000;
    }
    std::env::var("COLUMNS")
        .ok()
        .and_then(|c| c.parse().ok())
        .or_else(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col)))
        .filter(|w| *w > 0)
        .unwrap_or(100)
}

/// Whether stdout may be coloured.
pub fn colored() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Terminal colour of a severity.
fn code(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "1;31",
        Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low => "36",
        Severity::Informational => "2",
    }
}

/// Text in the colour of a severity, where colour is wanted.
pub fn tint(severity: Severity, text: &str) -> String {
    if colored() { format!("\x1b[{}m{text}\x1b[0m", code(severity)) } else { text.to_owned() }
}
