//! The error envelope (`rest-api.md` 1.7): one place that turns the seven kinds into JSON.

use application::Error;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An application error on its way to a client.
#[derive(Debug)]
pub struct Failure(pub Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = self.0;
        let status = match &error {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = match &error {
            Error::RateLimited { retry_after, .. } => Some(*retry_after),
            Error::Unavailable(_) => Some(5),
            _ => None,
        };
        if let Error::Internal { attempted, source } = &error {
            tracing::error!(error = chain(source.as_ref()), "{attempted}");
        }
        let mut response = envelope(status, &error);
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a path that is no resource answers.
pub(crate) async fn unknown_path(uri: Uri) -> Failure {
    Failure(Error::NotFound(format!(
        "There is no resource at '{}'.",
        uri.path()
    )))
}

/// What a resource answers to a method that it does not have.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let message = format!("The resource at '{}' cannot be asked with {method}.", uri.path());
    let body = json!({ "ErrorMessage": message, "ParsedHelpLinks": [] });
    (StatusCode::METHOD_NOT_ALLOWED, axum::Json(body)).into_response()
}

/// `Errors` stands on 400 and 409 only: a 404 with it breaks the typed 404 of the Go client (trap 3).
fn envelope(status: StatusCode, error: &Error) -> Response {
    let mut body = match error {
        Error::Invalid(problems) if problems.len() > 1 => {
            json!({ "ErrorMessage": "There was a problem with your request.", "Errors": problems })
        }
        Error::Invalid(problems) => json!({ "ErrorMessage": problems.first(), "Errors": problems }),
        Error::Conflict(problem) => json!({ "ErrorMessage": problem, "Errors": [problem] }),
        other => json!({ "ErrorMessage": other.to_string() }),
    };
    body["ParsedHelpLinks"] = json!([]);
    (status, axum::Json(body)).into_response()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
