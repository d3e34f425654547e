//! MongoDB: the server's log as JSON (4.4 and later) and as text (before), the audit log, and Atlas' list of events.

pub mod act;
pub mod atlas;
pub mod audit;
mod ctime;
pub mod logv2;
pub mod profile;
pub mod session;
pub mod text;
