#![doc = include_str!("README.md")]

mod call;
mod environment;
mod error;
mod event;
mod json;
mod later;
mod machine;
mod machine_policy;
mod named;
mod parameter;
mod path;
mod project_group;
mod resource;
mod root;
mod server;
mod space;
mod task;
mod team;
mod user;

use std::sync::Arc;

use application::Context;
use axum::Router;

pub use error::Failure;
pub use path::normalise;

/// What every handler shares.
pub(crate) type Shared = Arc<Context>;

/// All routes below `/api`, in the one spelling that [`normalise`] gives requests.
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .merge(environment::routes())
        .merge(event::routes())
        .merge(later::routes())
        .merge(machine::routes())
        .merge(machine_policy::routes())
        .merge(project_group::routes())
        .merge(root::routes())
        .merge(server::routes())
        .merge(space::routes())
        .merge(task::routes())
        .merge(team::routes())
        .merge(user::routes())
        .with_state(context)
}
