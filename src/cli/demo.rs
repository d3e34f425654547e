use clap::Args;
#[derive(Debug, Args)]
pub struct Demo {}
pub fn run(_: Demo) -> Result<(), super::Failure> {
    Ok(())
}
