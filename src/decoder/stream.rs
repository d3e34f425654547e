//! One partition from bytes to events.
