//! Text time stamps -> [`crate::event::Time`].
