//! The contract of the database, on both engines.

mod connection;
mod lease;
mod lock;
mod queue;
mod schema;
