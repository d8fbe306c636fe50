#![doc = include_str!("README.md")]

mod artifacts;
mod error;
pub mod manifest;
mod name;
mod packages;
mod spool;
pub mod task_logs;
mod volumes;

pub use artifacts::{Artifacts, LARGEST_ARTIFACT};
pub use error::{Error, Result};
pub use packages::{LARGEST_PACKAGE, PackageName, Packages, Put, Stored, Turn};
pub use spool::{Spool, Spooled, write_small};
pub use task_logs::TaskLogs;
pub use volumes::{Files, Volumes};
