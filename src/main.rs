//! The life of the process: arguments, crypto provider, one command, exit code.

use std::process::ExitCode;

use clap::Parser;
use tokenwatch::cli::{Cli, dispatch};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // TLS everywhere goes through one provider. An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    dispatch(cli)
}
