//! The Server's REST API as a registration needs it (`tentacle-protocol.md` 7.4).

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode};
use serde_json::{Value, json};
use settings::{Credential, SecretValue};
use tokio::time::Instant;
use url::Url;

use crate::failure::{Failure, NOT_REACHABLE, REFUSED};

const CONNECT: Duration = Duration::from_secs(15);
const WHOLE_CALL: Duration = Duration::from_secs(60);
/// How long a Server that is starting is waited for.
const STARTING: Duration = Duration::from_secs(60);
/// No answer that a registration reads is larger.
const LARGEST_ANSWER: usize = 64 << 20;
const MOST_PAGES: usize = 1000;
const MOST_REDIRECTS: usize = 3;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A Server, and what this agent proves itself with.
pub(crate) struct ServerApi {
    client: Client,
    /// Without `/api` and without a slash at the end.
    base: String,
    headers: HeaderMap,
}

impl ServerApi {
    /// Gets ready to talk to a Server; nothing is sent yet.
    pub(crate) fn new(server: &Url, ignore_certificate: bool) -> Result<ServerApi, Failure> {
        let base = server
            .as_str()
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .trim_end_matches('/');
        let base = base.strip_suffix("/api").unwrap_or(base).to_owned();
        Ok(ServerApi {
            client: http_client(ignore_certificate, WHOLE_CALL)?,
            base,
            headers: HeaderMap::new(),
        })
    }

    /// Where the Server is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Proves who asks, with every call from now on.
    pub(crate) async fn sign_in(&mut self, credential: &Credential) -> Result<(), Failure> {
        match credential {
            Credential::ApiKey(key) => self.set_header("x-octopus-apikey", key),
            Credential::BearerToken(token) => self.set_header(
                "authorization",
                &SecretValue::new(format!("Bearer {}", token.expose())),
            ),
            Credential::User { username, password } => {
                let body = json!({
                    "Username": username,
                    "Password": password.expose(),
                    "RememberMe": false,
                    "State": { "UsingSecureConnection": self.base.starts_with("https:") },
                });
                let response = self
                    .send(Method::POST, "/api/users/login", Some(&body), &[])
                    .await?;
                let response = self.checked("sign in", response).await?;
                self.keep_session(&response)
            }
        }
    }

    /// Cookies of the session, and the token that changes need beside them.
    fn keep_session(&mut self, response: &Response) -> Result<(), Failure> {
        let cookies: Vec<String> = response
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|header| {
                header
                    .to_str()
                    .ok()?
                    .split(';')
                    .next()
                    .map(|pair| pair.trim().to_owned())
            })
            .collect();
        let token = cookies.iter().find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.to_ascii_lowercase()
                .starts_with("octopus-csrf-token")
                .then(|| value.to_owned())
        });
        if let Some(token) = token {
            self.set_header("x-octopus-csrf-token", &SecretValue::new(token))?;
        }
        self.set_header("cookie", &SecretValue::new(cookies.join("; ")))
    }

    pub(crate) fn set_header(&mut self, name: &'static str, value: &SecretValue) -> Result<(), Failure> {
        let mut header = HeaderValue::from_str(value.expose()).map_err(|_| {
            Failure::controlled(
                "The credential holds characters that cannot be sent; check it for line breaks.",
            )
        })?;
        header.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), header);
        Ok(())
    }

    /// The root document; a Server that is starting is given a minute.
    pub(crate) async fn root(&self) -> Result<Value, Failure> {
        let give_up = Instant::now() + STARTING;
        loop {
            let response = self.send(Method::GET, "/api", None, &[]).await?;
            if response.status() != StatusCode::SERVICE_UNAVAILABLE || Instant::now() > give_up {
                let response = self.checked("read /api", response).await?;
                return self.json("/api", response).await;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    /// A document.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let response = self.send(Method::GET, path, None, &[]).await?;
        let response = self.checked(&format!("read {path}"), response).await?;
        self.json(path, response).await
    }

    /// A document, or nothing when there is none.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        let response = self.send(Method::GET, path, None, &[]).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = self.checked(&format!("read {path}"), response).await?;
        self.json(path, response).await.map(Some)
    }

    /// The items of every page of a list.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut page = self.get(path).await?;
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            match page {
                Value::Array(items) => {
                    all.extend(items);
                    return Ok(all);
                }
                _ => all.extend(page["Items"].as_array().cloned().unwrap_or_default()),
            }
            let Some(next) = page["Links"]["Page.Next"].as_str() else {
                break;
            };
            page = self.get(next).await?;
        }
        Ok(all)
    }

    /// Makes a document, or puts another version of one in its place.
    pub(crate) async fn write(&self, path: &str, is_new: bool, body: &Value) -> Result<Value, Failure> {
        let instead: &[(&str, &str)] = if is_new {
            &[]
        } else {
            &[("x-http-method-override", "PUT")]
        };
        let response = self.send(Method::POST, path, Some(body), instead).await?;
        let response = self.checked(&format!("write {path}"), response).await?;
        self.json(path, response).await
    }

    /// Deletes a document as the original's library does.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        let response = self
            .send(Method::POST, path, None, &[("x-http-method-override", "DELETE")])
            .await?;
        self.checked(&format!("delete {path}"), response).await.map(drop)
    }

    /// Takes a machine out with the token that its registration was given; false when the Server does not know it
    /// any more.
    pub(crate) async fn deregister(&self, path: &str, token: &SecretValue) -> Result<bool, Failure> {
        let header = [("x-mantle-deregistration", token.expose())];
        let response = self.send(Method::DELETE, path, None, &header).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.checked("deregister the machine", response)
            .await
            .map(|_| true)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        extra: &[(&str, &str)],
    ) -> Result<Response, Failure> {
        let mut request = self
            .client
            .request(method, self.absolute(path))
            .headers(self.headers.clone())
            .header("accept", "application/json");
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| {
            Failure::with_code(
                NOT_REACHABLE,
                format!(
                    "Unable to connect to the Server at {}: {}. Check the address, and that the Server runs.",
                    self.base,
                    causes(&error.without_url())
                ),
            )
        })
    }

    /// Links begin with a slash, or are whole addresses, which must be this Server's.
    fn absolute(&self, path: &str) -> String {
        let path = path.strip_prefix(&self.base).unwrap_or(path);
        format!(
            "{}/{}",
            self.base,
            path.trim_start_matches('/').trim_start_matches("~/")
        )
    }

    /// An answer that is no success becomes a failure that says why.
    async fn checked(&self, attempt: &str, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read(response).await.unwrap_or_default();
        let said = problems(&body);
        let code = if status.is_server_error() {
            NOT_REACHABLE
        } else {
            REFUSED
        };
        let remedy = match status.as_u16() {
            401 => "Check the API key, the token, or the user name and password.",
            403 => "The user of this credential lacks a permission.",
            404 => "Is this the address of the Server?",
            _ => "",
        };
        let words = [said.as_str(), remedy].map(str::trim);
        let words: Vec<&str> = words.into_iter().filter(|words| !words.is_empty()).collect();
        let text = format!(
            "Could not {attempt} at {}: {status}. {}",
            self.base,
            words.join(" ")
        );
        Err(Failure {
            may_pass: status == StatusCode::CONFLICT,
            ..Failure::with_code(code, text.trim())
        })
    }

    async fn json(&self, path: &str, response: Response) -> Result<Value, Failure> {
        let body = read(response).await.map_err(|reason| {
            Failure::with_code(
                NOT_REACHABLE,
                format!("The answer of {} to {path} broke off: {reason}.", self.base),
            )
        })?;
        serde_json::from_slice(&body).map_err(|_| {
            Failure::with_code(
                REFUSED,
                format!(
                    "{} does not answer {path} as a Server does; check the address.",
                    self.base
                ),
            )
        })
    }
}

/// A client with the certificate rules of this program.
pub(crate) fn http_client(ignore_certificate: bool, timeout: Duration) -> Result<Client, Failure> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // somebody else may be faster, with the same provider
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    let build = |builder: ClientBuilder| {
        builder
            .connect_timeout(CONNECT)
            .timeout(timeout)
            .redirect(Policy::custom(|attempt| {
                // the credential must not leave the Server, nor go in the clear where it came encrypted
                let first = &attempt.previous()[0];
                let is_same = first.host_str() == attempt.url().host_str();
                let is_weaker = first.scheme() == "https" && attempt.url().scheme() != "https";
                if attempt.previous().len() > MOST_REDIRECTS || !is_same || is_weaker {
                    attempt.stop()
                } else {
                    attempt.follow()
                }
            }))
            .user_agent(concat!("mantle-tentacle/", env!("CARGO_PKG_VERSION")))
            .tls_danger_accept_invalid_certs(ignore_certificate)
            .build()
    };
    // a machine without any authority still reaches a Server by http, and one whose certificate is not checked
    build(Client::builder())
        .or_else(|_| build(Client::builder().tls_certs_only([])))
        .map_err(|error| Failure::controlled(format!("Could not get ready for HTTP: {}.", causes(&error))))
}

/// A link of a document without its template parts.
pub(crate) fn link(document: &Value, name: &str) -> Option<String> {
    let text = document["Links"][name].as_str()?;
    Some(text.split('{').next().unwrap_or_default().to_owned())
}

/// A value for a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// An error with what caused it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| causes(&error.without_url()))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            return Err("it is too large".to_owned());
        }
    }
    Ok(body)
}

/// What the Server says is wrong.
fn problems(body: &[u8]) -> String {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return String::new();
    };
    let message = answer["ErrorMessage"].as_str().unwrap_or_default();
    let errors = answer["Errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let list: Vec<String> = errors.map(|error| format!("\n - {error}")).collect();
    format!("{message}{}", list.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(address: &str) -> ServerApi {
        ServerApi::new(&Url::parse(address).unwrap(), false).unwrap()
    }

    #[test]
    fn the_address_may_name_the_api_or_a_folder() {
        for (address, path) in [
            ("http://octopus.example", "http://octopus.example/api/users/me"),
            (
                "http://octopus.example/api",
                "http://octopus.example/api/users/me",
            ),
            (
                "http://octopus.example/deploy/",
                "http://octopus.example/deploy/api/users/me",
            ),
        ] {
            assert_eq!(api(address).absolute("/api/users/me"), path);
            assert_eq!(api(address).absolute("~/api/users/me"), path);
        }
    }

    #[test]
    fn links_lose_their_templates() {
        let document = json!({ "Links": { "Machines": "/api/Spaces-1/machines{/id}{?skip,take}" } });
        assert_eq!(
            link(&document, "Machines").as_deref(),
            Some("/api/Spaces-1/machines")
        );
        assert_eq!(link(&document, "Workers"), None);
        assert_eq!(encoded("Web 01"), "Web%2001");
    }

    #[test]
    fn what_the_server_finds_wrong_is_told() {
        let body = br#"{"ErrorMessage":"There was a problem.","Errors":["One.","Two."]}"#;
        assert_eq!(problems(body), "There was a problem.\n - One.\n - Two.");
        assert_eq!(problems(b"<html>"), "");
    }
}
