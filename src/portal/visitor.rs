//! Who looks at a page, and what every page shows of it.

use std::net::SocketAddr;
use std::sync::Arc;

use application::sign_in::{self, Presented};
use application::{Actor, Context, Error, Origin};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::Shared;
use crate::error::Failure;

/// Somebody who is signed in.
pub(crate) struct Visitor {
    pub(crate) context: Arc<Context>,
    pub(crate) actor: Actor,
}

/// The frame of every page.
pub(crate) struct Shell {
    pub(crate) version: String,
    pub(crate) node: String,
    pub(crate) username: String,
    pub(crate) anti_forgery: String,
}

impl Visitor {
    pub(crate) fn shell(&self) -> Shell {
        Shell {
            version: self.context.product_version.clone(),
            node: self.context.node_name.clone(),
            username: self.actor.username().to_string(),
            anti_forgery: sign_in::anti_forgery_token(&self.context, &self.actor).unwrap_or_default(),
        }
    }

    /// Passes when a form carries the anti-forgery token of this session.
    pub(crate) fn check_form(&self, anti_forgery: &str) -> Result<(), Failure> {
        if sign_in::is_anti_forgery_token(&self.context, &self.actor, anti_forgery) {
            return Ok(());
        }
        Err(
            Error::Forbidden("The form was not from this session. Reload the page and try again.".into())
                .into(),
        )
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Response;

    /// Forms prove themselves by a field, not by a header, so the session is read as for looking only.
    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Response> {
        let presented = match cookie(&parts.headers, sign_in::SESSION_COOKIE) {
            Some(token) => Presented::Session {
                token,
                anti_forgery: None,
                changes: false,
            },
            None => Presented::Nothing,
        };
        match sign_in::authenticate(shared, &presented, &origin(parts)).await {
            Ok(Some(actor)) => Ok(Self {
                context: Arc::clone(shared),
                actor,
            }),
            Ok(None) | Err(Error::Unauthenticated(_)) => {
                Err(Redirect::to(&sign_in_before(&parts.method, parts.uri.path())).into_response())
            }
            Err(error) => Err(Failure::from(error).into_response()),
        }
    }
}

/// The sign-in page, from which the visitor comes back to the page that was asked for.
fn sign_in_before(method: &Method, path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    if method == Method::GET && path != "/" && path.bytes().all(plain) {
        format!("/sign-in?return_to={path}")
    } else {
        "/sign-in".into()
    }
}

/// Where a request came from.
pub(crate) fn origin(parts: &Parts) -> Origin {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let agent = parts
        .headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    Origin {
        ip_address: peer.map(|peer| peer.0.ip().to_canonical().to_string()),
        user_agent: agent.map(|agent| agent.chars().take(200).collect()),
    }
}

fn cookie(headers: &HeaderMap, name_begins: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.starts_with(name_begins))
        .map(|(_, value)| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_asked_for_is_remembered() {
        assert_eq!(
            sign_in_before(&Method::GET, "/tasks/ServerTasks-1"),
            "/sign-in?return_to=/tasks/ServerTasks-1"
        );
    }

    #[test]
    fn forms_and_odd_paths_are_not() {
        assert_eq!(
            sign_in_before(&Method::POST, "/tasks/ServerTasks-1/cancel"),
            "/sign-in"
        );
        assert_eq!(sign_in_before(&Method::GET, "/tasks/a&b=c"), "/sign-in");
        assert_eq!(sign_in_before(&Method::GET, "/"), "/sign-in");
    }
}
