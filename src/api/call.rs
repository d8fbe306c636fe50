//! Who calls, in which space: read once from the request, before any handler (`rest-api.md` 1.1, 1.3, 1.5).

use std::net::SocketAddr;
use std::sync::Arc;

use application::sign_in::{self, Presented};
use application::{Actor, Context, Error, Origin};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use domain::SpaceId;

use crate::Shared;
use crate::error::Failure;
use crate::parameter::Parameters;
use crate::path::InSpace;

/// What every handler returns.
pub(crate) type Answer = Result<Response, Failure>;

/// A request by somebody who is signed in.
pub(crate) struct Call {
    pub(crate) context: Arc<Context>,
    pub(crate) actor: Actor,
    /// The space the path named, else the default one.
    pub(crate) space: SpaceId,
}

impl Call {
    /// `/api/Spaces-1`, with which the links of this space's resources begin.
    pub(crate) fn base(&self) -> String {
        format!("/api/{}", self.space)
    }
}

/// A request by anybody. What it shows as proof is checked only when asked for.
#[derive(Clone)]
pub(crate) struct Anonymous {
    pub(crate) context: Arc<Context>,
    pub(crate) named_space: Option<String>,
    pub(crate) origin: Origin,
    presented: Presented,
}

impl Anonymous {
    /// Who it is, or nobody when nothing valid was shown.
    pub(crate) async fn actor(&self) -> Result<Option<Actor>, Failure> {
        Ok(sign_in::authenticate(&self.context, &self.presented, &self.origin).await?)
    }

    /// Goes on as somebody signed in.
    pub(crate) async fn signed_in(self) -> Result<Call, Failure> {
        let actor = self.actor().await?.ok_or_else(|| {
            Error::Unauthenticated(
                "You must be signed in to do this. Send an API key in the header X-Octopus-ApiKey, or sign in."
                    .into(),
            )
        })?;
        let space = application::space::enter(&self.context, &actor, self.named_space.as_deref()).await?;
        Ok(Call {
            context: self.context,
            actor,
            space,
        })
    }
}

impl FromRequestParts<Shared> for Anonymous {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Failure> {
        let named_space = parts
            .extensions
            .get::<InSpace>()
            .and_then(|space| space.0.clone());
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| peer.0.ip().to_canonical().to_string());
        let user_agent =
            text(&parts.headers, header::USER_AGENT.as_str()).map(|agent| agent.chars().take(200).collect());
        Ok(Self {
            context: Arc::clone(shared),
            named_space,
            origin: Origin {
                ip_address: peer,
                user_agent,
            },
            presented: presented(parts),
        })
    }
}

impl FromRequestParts<Shared> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Failure> {
        Anonymous::from_request_parts(parts, shared)
            .await?
            .signed_in()
            .await
    }
}

/// An empty key header means no credential: the TypeScript client sends it so.
fn presented(parts: &Parts) -> Presented {
    let headers = &parts.headers;
    if let Some(token) = text(headers, "X-Mantle-Deregistration") {
        return Presented::Deregistration(token);
    }
    let key = text(headers, "X-Octopus-ApiKey")
        .or_else(|| text(headers, "X-NuGet-ApiKey"))
        .or_else(|| Parameters::parse(parts.uri.query().unwrap_or_default()).text("apikey"));
    if let Some(key) = key {
        return Presented::ApiKey(key);
    }
    if let Some(token) = text(headers, header::AUTHORIZATION.as_str()) {
        return Presented::Bearer(token);
    }
    match cookie(headers, sign_in::SESSION_COOKIE) {
        Some(token) => Presented::Session {
            token,
            anti_forgery: text(headers, "X-Octopus-Csrf-Token"),
            changes: !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS),
        },
        None => Presented::Nothing,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_string())
}

/// The value of the first cookie whose name begins so.
pub(crate) fn cookie(headers: &HeaderMap, name_begins: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.starts_with(name_begins))
        .map(|(_, value)| value.to_string())
}
