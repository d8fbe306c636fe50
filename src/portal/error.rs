//! Application errors as pages.

use application::Error;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    title: &'static str,
    message: String,
}

/// A use case that ended without a result, on its way to a browser.
pub(crate) struct Failure(Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, title) = match &self.0 {
            Error::Unauthenticated(_) => return Redirect::to("/sign-in").into_response(),
            Error::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
            Error::Forbidden(_) => (StatusCode::FORBIDDEN, "Not permitted"),
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, "This cannot be done"),
            Error::Conflict(_) => (StatusCode::CONFLICT, "Somebody was faster"),
            Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
            Error::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many attempts"),
            Error::Internal { attempted, source } => {
                tracing::error!(error = %source, "{attempted}");
                (StatusCode::INTERNAL_SERVER_ERROR, "The Server failed")
            }
        };
        page(
            status,
            &ProblemPage {
                title,
                message: self.0.to_string(),
            },
        )
    }
}

/// A page with its status.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "A page could not be rendered.");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
