//! What the stories share: servers, agents, builders, a cutting proxy.

pub mod database;
pub mod server;
