//! The contract of the database, on both engines.
#![expect(
    clippy::unwrap_used,
    reason = "a story that cannot go on ends where it stands"
)]

mod connection;
mod crash_point;
mod lease;
mod lock;
mod queue;
mod schema;
