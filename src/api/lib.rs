#![doc = include_str!("README.md")]

mod artifact;
mod call;
mod channel;
mod deployment;
mod deployment_process;
mod environment;
mod error;
mod event;
mod execution;
mod feed;
mod json;
mod later;
mod lifecycle;
mod machine;
mod machine_policy;
mod named;
mod package;
mod parameter;
mod path;
mod project;
mod project_group;
mod project_progression;
mod release;
mod resource;
mod root;
mod server;
mod space;
mod task;
mod team;
mod user;
mod variable_set;

use std::sync::Arc;

use application::Context;
use axum::Router;
use axum::routing::any;

pub use error::Failure;
pub use path::normalise;

/// What every handler shares.
pub(crate) type Shared = Arc<Context>;

/// All routes below `/api`, in the one spelling that [`normalise`] gives requests.
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .merge(channel::routes())
        .merge(deployment::routes())
        .merge(deployment_process::routes())
        .merge(environment::routes())
        .merge(event::routes())
        .merge(execution::routes())
        .merge(feed::routes())
        .merge(later::routes())
        .merge(lifecycle::routes())
        .merge(machine::routes())
        .merge(machine_policy::routes())
        .merge(artifact::routes())
        .merge(package::routes())
        .merge(project::routes())
        .merge(project_group::routes())
        .merge(project_progression::routes())
        .merge(release::routes())
        .merge(root::routes())
        .merge(server::routes())
        .merge(space::routes())
        .merge(task::routes())
        .merge(team::routes())
        .merge(user::routes())
        .merge(variable_set::routes())
        .route("/api/{*path}", any(error::unknown_path))
        .method_not_allowed_fallback(error::wrong_method)
        .with_state(context)
}
