//! What a request is before it is routed (`rest-api.md` 0.4 traps 1 and 10, 1.1).
//!
//! Clients spell one resource in many ways: with and without the space, with `spaces/` in front of it, in
//! any letter case, and with PUT and DELETE hidden in a POST. All of that ends here, so that the routes
//! know one spelling: no space, lower-case words. What the path said of the space travels beside it as
//! [`InSpace`].

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Uri};

/// The space that the path named; `None` means the default space, or all of them for resources that span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSpace(pub Option<String>);

/// Path words that are no ids. They match without regard to case.
const WORDS: &[&str] = &[
    "all",
    "api",
    "apikeys",
    "artifacts",
    "authentication",
    "bulk",
    "cancel",
    "capabilities",
    "categories",
    "certificate-global",
    "certificates",
    "channels",
    "checklogininitiated",
    "configuration",
    "connection",
    "content",
    "counts",
    "create",
    "defects",
    "deploymentprocesses",
    "deployments",
    "deploymentsettings",
    "details",
    "discover",
    "environments",
    "events",
    "feature-toggles",
    "feeds",
    "health",
    "lifecycles",
    "log",
    "login",
    "logout",
    "machinepolicies",
    "machineroles",
    "machines",
    "mantle",
    "me",
    "missingpackages",
    "names",
    "nuget",
    "octopusservernodes",
    "operatingsystem",
    "packages",
    "permissions",
    "ping",
    "preview",
    "previews",
    "progression",
    "projectgroups",
    "projects",
    "proxies",
    "public-cer",
    "raw",
    "releases",
    "remote-address",
    "search",
    "serverstatus",
    "shells",
    "snapshot-variables",
    "sortorder",
    "spaces",
    "stats",
    "stream",
    "summary",
    "system-info",
    "tagsets",
    "tasks",
    "tasktypes",
    "teams",
    "template",
    "tenanted",
    "tenants",
    "timezones",
    "untenanted",
    "users",
    "v1",
    "v2",
    "variables",
    "versions",
    "workerpools",
    "workers",
];

/// Words that may follow `/api/spaces/{id}/` as resources of the space itself.
const OF_A_SPACE: &[&str] = &["logo", "search"];

/// Brings the request into the one spelling that the routes know.
pub fn normalise(mut request: Request) -> Request {
    if request.method() == Method::POST {
        let hidden = request
            .headers()
            .get("X-HTTP-Method-Override")
            .and_then(|value| value.to_str().ok());
        let method = match hidden.map(str::to_ascii_uppercase).as_deref() {
            Some("PUT") => Some(Method::PUT),
            Some("DELETE") => Some(Method::DELETE),
            Some("PATCH") => Some(Method::PATCH),
            _ => None,
        };
        if let Some(method) = method {
            *request.method_mut() = method;
        }
    }
    let (path, space) = canonical(request.uri().path());
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    if let Ok(path_and_query) = format!("{path}{query}").parse::<PathAndQuery>() {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request.extensions_mut().insert(InSpace(space));
    request
}

/// The path as routed, and the space it named.
fn canonical(path: &str) -> (String, Option<String>) {
    let mut segments: Vec<String> = path
        .split('/')
        .skip(1)
        .map(|segment| {
            let lower = segment.to_ascii_lowercase();
            if WORDS.binary_search(&lower.as_str()).is_ok() {
                lower
            } else {
                segment.to_string()
            }
        })
        .collect();
    if !matches!(segments.first().map(String::as_str), Some("api" | "nuget")) {
        return (path.to_string(), None);
    }
    while segments.len() > 1 && segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    let through_alias = segments.len() > 3
        && segments[1] == "spaces"
        && is_space(&segments[2])
        && !OF_A_SPACE.contains(&segments[3].as_str());
    if through_alias {
        segments.remove(1);
    }
    let space = segments.get(1).filter(|segment| is_space(segment)).cloned();
    if space.is_some() {
        segments.remove(1);
    }
    (format!("/{}", segments.join("/")), space)
}

fn is_space(segment: &str) -> bool {
    segment
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("spaces-"))
        && segment[7..].bytes().all(|byte| byte.is_ascii_digit())
        && segment.len() > 7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(path: &str) -> (String, Option<String>) {
        canonical(path)
    }

    #[test]
    fn the_words_are_sorted_for_the_search() {
        assert!(WORDS.is_sorted());
    }

    #[test]
    fn one_resource_in_all_its_spellings() {
        let space = Some("Spaces-1".to_string());
        assert_eq!(spelled("/api/Projects/Web"), ("/api/projects/Web".into(), None));
        assert_eq!(
            spelled("/api/Spaces-1/projects/Web"),
            ("/api/projects/Web".into(), space.clone())
        );
        assert_eq!(
            spelled("/api/spaces/Spaces-1/tasks/T-1/cancel"),
            ("/api/tasks/T-1/cancel".into(), space)
        );
    }

    #[test]
    fn a_space_is_a_resource_too() {
        assert_eq!(
            spelled("/api/spaces/Spaces-1"),
            ("/api/spaces/Spaces-1".into(), None)
        );
        assert_eq!(spelled("/api/Spaces-1"), ("/api".into(), Some("Spaces-1".into())));
        assert_eq!(spelled("/api/"), ("/api".into(), None));
    }

    #[test]
    fn what_is_not_the_api_stays_as_it_is() {
        assert_eq!(spelled("/Assets/ALL"), ("/Assets/ALL".into(), None));
    }

    #[test]
    fn an_encoded_segment_stays_encoded() {
        assert_eq!(
            spelled("/api/projects/Fire%20Project").0,
            "/api/projects/Fire%20Project"
        );
    }
}
