//! PostgreSQL.
pub mod csvlog;
pub mod jsonlog;
pub mod stderr;
