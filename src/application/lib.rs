#![doc = include_str!("README.md")]

mod actor;
pub mod artifact;
pub mod certificate;
pub mod channel;
mod clock;
mod context;
pub mod deployment;
pub mod deployment_preview;
pub mod deployment_process;
pub mod environment;
mod error;
pub mod event;
pub mod feed;
pub mod health_check;
mod identifier;
pub mod lifecycle;
mod list;
pub mod machine;
pub mod machine_policy;
mod machines;
pub mod named;
pub mod package;
pub mod package_choice;
pub mod project;
pub mod project_group;
pub mod project_progression;
pub mod prompt;
pub mod release;
pub mod sealing;
pub mod sign_in;
mod snapshot;
pub mod space;
pub mod task;
pub mod task_log;
pub mod user;
pub mod variable_set;

pub use actor::{Actor, Credential, Origin};
pub use clock::{Clock, SystemClock};
pub use context::Context;
pub use error::Error;
pub(crate) use identifier::{new_guid, snapshot_suffix};
pub use list::{Filter, List, Slice};
pub use machines::{Discovered, Machines, Probe};
pub use security::Secret;

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;
