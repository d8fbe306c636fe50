//! What a task writes into its log, and how the output of scripts gets there.

pub mod block;
pub mod mask;
pub mod output;
mod task_log;

pub use task_log::TaskLog;
