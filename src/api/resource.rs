//! Resources out: a document with its links, alone or in a page (`rest-api.md` 1.2, 1.9, 1.11).

use application::{List, Slice};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio_util::io::ReaderStream;

/// The links of one resource: name and root-relative path or template.
pub type Links = Vec<(&'static str, String)>;

/// A resource as JSON: the members of the document and `Links`.
#[must_use]
pub fn resource(document: &impl Serialize, links: Links) -> Value {
    let mut value = serde_json::to_value(document).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut value {
        members.insert("Links".into(), Value::Object(map(links)));
    }
    value
}

/// 200 with a resource.
pub fn ok(value: Value) -> Response {
    axum::Json(value).into_response()
}

/// 201 with a resource and its address.
pub fn created(value: Value) -> Response {
    let location = value["Links"]["Self"]
        .as_str()
        .and_then(|link| HeaderValue::from_str(link).ok());
    let mut response = (StatusCode::CREATED, axum::Json(value)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// How much of a file is in memory at a time on its way out.
const PIECE: usize = 64 * 1024;

/// 200 with a file that a browser stores and never shows: its content is somebody else's.
pub fn attachment(file: tokio::fs::File, length: u64, name: &str) -> Response {
    let mut response = Response::new(Body::from_stream(ReaderStream::with_capacity(file, PIECE)));
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, value);
    set(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    set(header::CONTENT_LENGTH, HeaderValue::from(length));
    set(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    set(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    set(header::CONTENT_DISPOSITION, disposition(name));
    response
}

/// The name in ASCII for old readers, and as it is (RFC 6266).
fn disposition(name: &str) -> HeaderValue {
    let plain = |c: char| {
        if c.is_ascii_graphic() && !"\"\\;%".contains(c) || c == ' ' {
            c
        } else {
            '_'
        }
    };
    let ascii: String = name.chars().map(plain).collect();
    let mut text = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        let whole = utf8_percent_encode(name, NON_ALPHANUMERIC);
        text.push_str(&format!("; filename*=UTF-8''{whole}"));
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// What a deletion answers: never 204 (trap 2).
pub fn deleted() -> Response {
    ok(json!({}))
}

/// A page with its envelope. `path` is the collection's path with its space, `query` the other filters.
#[must_use]
pub fn page(item_type: &str, path: &str, query: &str, slice: Slice, list: &List<Value>) -> Value {
    let take = slice.take;
    let pages = if take == 0 {
        1
    } else {
        list.total.div_ceil(take).max(1)
    };
    let at = |skip: usize, take: usize| {
        let others = if query.is_empty() {
            String::new()
        } else {
            format!("&{query}")
        };
        format!("{path}?skip={skip}&take={take}{others}")
    };
    let mut links: Links = vec![
        ("Self", at(slice.skip, take)),
        ("Template", format!("{path}{{?skip,take,ids,partialName}}")),
        ("Page.All", at(0, i32::MAX as usize)),
        ("Page.Current", at(slice.skip, take)),
        ("Page.Last", at((pages - 1) * take, take)),
    ];
    if take > 0 && slice.skip.saturating_add(take) < list.total {
        links.push(("Page.Next", at(slice.skip + take, take)));
    }
    if slice.skip > 0 {
        links.push(("Page.Previous", at(slice.skip.saturating_sub(take), take)));
    }
    json!({
        "ItemType": item_type,
        "TotalResults": list.total,
        "ItemsPerPage": take,
        "NumberOfPages": pages,
        "LastPageNumber": pages - 1,
        "IsStale": false,
        "Items": list.items,
        "Links": map(links),
    })
}

fn map(links: Links) -> Map<String, Value> {
    links
        .into_iter()
        .map(|(name, link)| (name.to_string(), Value::String(link)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let list = List {
            items: vec![json!({}); 3],
            total: 13,
        };
        let page = page(
            "Project",
            "/api/Spaces-1/projects",
            "",
            Slice { skip: 10, take: 5 },
            &list,
        );
        assert_eq!(page["NumberOfPages"], 3);
        assert_eq!(page["LastPageNumber"], 2);
        assert!(page["Links"].get("Page.Next").is_none());
        assert_eq!(
            page["Links"]["Page.Previous"],
            "/api/Spaces-1/projects?skip=5&take=5"
        );
    }

    #[test]
    fn one_page_of_nothing_is_still_one_page() {
        let page = page(
            "Project",
            "/p",
            "partialName=x",
            Slice::default(),
            &List {
                items: vec![],
                total: 0,
            },
        );
        assert_eq!(page["NumberOfPages"], 1);
        assert_eq!(
            page["Links"]["Page.All"],
            "/p?skip=0&take=2147483647&partialName=x"
        );
    }
}
