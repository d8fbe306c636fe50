#![doc = include_str!("README.md")]

mod asset;
mod error;
mod sign_in;
mod task;
mod visitor;

use std::sync::Arc;

use application::Context;
use axum::Router;

/// What every handler shares.
pub(crate) type Shared = Arc<Context>;

/// All pages.
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .merge(asset::routes())
        .merge(sign_in::routes())
        .merge(task::routes())
        .with_state(context)
}
