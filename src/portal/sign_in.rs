//! Signing in and out.

use application::{Error, Secret, sign_in};
use askama::Template;
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{RequestExt, Router};
use serde::Deserialize;

use crate::Shared;
use crate::error::{Failure, page};
use crate::visitor::{Visitor, origin};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-out", post(sign_out))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    version: String,
    username: String,
    return_to: String,
    problem: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    return_to: String,
}

async fn show(State(context): State<Shared>, Query(wanted): Query<Wanted>) -> Response {
    let version = context.product_version.clone();
    let form = SignInPage {
        version,
        username: String::new(),
        return_to: wanted.return_to,
        problem: None,
    };
    page(StatusCode::OK, &form)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Filled {
    username: String,
    password: String,
    remember: bool,
    return_to: String,
}

async fn sign_in(State(context): State<Shared>, request: Request) -> Result<Response, Failure> {
    refuse_other_sites(request.headers())?;
    let secure = request
        .headers()
        .get("X-Forwarded-Proto")
        .is_some_and(|scheme| scheme == "https");
    let (parts, body) = request.into_parts();
    let from = origin(&parts);
    let request = Request::from_parts(parts, body);
    let Form(filled): Form<Filled> = request
        .extract()
        .await
        .map_err(|_| Error::invalid("The form could not be read. Reload the page and try again."))?;
    let password = Secret::new(filled.password);
    match sign_in::sign_in(&context, &filled.username, password, filled.remember, &from).await {
        Ok(signed_in) => {
            let mut response = Redirect::to(local(&filled.return_to)).into_response();
            for cookie in sign_in::cookies(&context, &signed_in, secure) {
                if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
            }
            Ok(response)
        }
        Err(error @ (Error::Unauthenticated(_) | Error::RateLimited { .. })) => {
            let form = SignInPage {
                version: context.product_version.clone(),
                username: filled.username,
                return_to: filled.return_to,
                problem: Some(error.to_string()),
            };
            Ok(page(StatusCode::UNAUTHORIZED, &form))
        }
        Err(other) => Err(other.into()),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Leaving {
    anti_forgery: String,
}

async fn sign_out(visitor: Visitor, Form(leaving): Form<Leaving>) -> Result<Response, Failure> {
    visitor.check_form(&leaving.anti_forgery)?;
    sign_in::sign_out(&visitor.context, &visitor.actor).await?;
    let mut response = Redirect::to("/sign-in").into_response();
    for cookie in sign_in::expired_cookies(&visitor.context) {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// A form that another site sends would sign the visitor in as somebody else.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Failure> {
    let site = headers
        .get("Sec-Fetch-Site")
        .and_then(|value| value.to_str().ok());
    match site {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Error::Forbidden("The form came from another site.".into()).into()),
    }
}

/// Only a path of this Server.
fn local(return_to: &str) -> &str {
    let is_local = return_to.starts_with('/') && !return_to.starts_with("//") && !return_to.contains('\\');
    if is_local { return_to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_on_this_server() {
        assert_eq!(local("/tasks/ServerTasks-1"), "/tasks/ServerTasks-1");
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", ""] {
            assert_eq!(local(elsewhere), "/");
        }
    }
}
