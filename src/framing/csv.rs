//! CSV records across lines.
