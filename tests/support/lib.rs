//! What the stories share: servers, agents, builders, a cutting proxy.

pub mod database;
pub mod machines;
pub mod program;
pub mod server;
