//! Audit logs of MySQL and Percona Server, and of what watches them: the formats are files of this folder, the meaning of a
//! record, whichever format it is in, is [`entry`].

pub mod azure;
pub mod entry;
pub mod json;
pub mod mcafee;
mod named;
mod object;
pub mod percona;
pub mod tables;
pub mod xml;
pub mod zeek;

#[cfg(test)]
mod tests;
