//! What a command writes: stdout is its result, stderr what is said beside it.
//!
//! The macros of the standard library panic where the reader has gone away (`| head`, a closed terminal). In this room their names stand for these:
//! without a reader of the result the command ends quietly, without a reader of the rest it goes on.

use std::fmt::Arguments;
use std::io::Write;

use super::Failure;

macro_rules! println {
    () => { $crate::cli::output::line(format_args!("")) };
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::cli::output::beside(format_args!($($text)*)) };
}

/// A line of the result. What is wrong with stdout but that nobody reads it, is said, once, and ends the command.
pub fn line(text: Arguments<'_>) {
    if let Err(failure) = say(&mut std::io::stdout().lock(), text) {
        if let Failure::Usage(message) = failure {
            beside(format_args!("tokenwatch: {message}"));
        }
        std::process::exit(2);
    }
}

/// A line on stderr.
pub fn beside(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a line of output.
pub fn say(out: &mut dyn Write, line: Arguments<'_>) -> Result<(), Failure> {
    written(writeln!(out, "{line}"))
}

/// Prints to stdout what may be long.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of output. A reader that went away (`| head`) ends the command quietly.
pub fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::Usage(format!("cannot write the output: {error}"))),
        Ok(()) => Ok(()),
    }
}
