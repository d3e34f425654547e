//! Redis and Valkey: what MONITOR shows, the list of refusals (ACL LOG), and the server's log.

pub mod acl;
pub mod command;
pub mod monitor;
pub mod quoted;
pub mod server;
