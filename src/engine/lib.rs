#![doc = include_str!("README.md")]

mod engine;
mod error;
pub mod execution;
mod fault;
pub mod log;
mod machines;
mod queue;
mod task;
pub mod transport;

pub use engine::{Engine, EngineOptions, PATIENCE, Running, TASK_CAP};
pub use error::{Error, Result};
pub use machines::Reach;
