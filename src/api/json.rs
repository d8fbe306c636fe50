//! Bodies in: JSON whose member names match without regard to case (`rest-api.md` 1.2, trap 6).

use application::Error;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::Failure;

/// The largest JSON body taken. Packages and artifacts do not come this way.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Members whose own members are names that users chose: below them nothing is renamed.
const BAGS: &[&str] = &[
    "Arguments",
    "CustomFields",
    "DisplaySettings",
    "FormValues",
    "Links",
    "Properties",
    "Values",
];

/// The member names of all shapes that the API takes, as they are written.
const MEMBERS: &[&str] = include!("members.in");

/// A JSON body as `T`. An empty body counts as an empty object.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request, LARGEST_BODY).await?;
        // Scripts on Windows write one.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let value: Value = if bytes.iter().all(u8::is_ascii_whitespace) {
            Value::Object(Map::new())
        } else {
            serde_json::from_slice(bytes)
                .map_err(|error| Error::invalid(format!("The request body is not valid JSON: {error}.")))?
        };
        let value = canonical(value);
        T::deserialize(&value).map(Self).map_err(|error| {
            Failure(Error::invalid(format!(
                "The request body has the wrong shape: {error}."
            )))
        })
    }
}

/// Reads a whole body of a bounded size. What is too large is read on for a while and thrown away: a client that
/// is cut off while it sends would see a broken connection and not the answer.
pub async fn read(request: Request, limit: usize) -> Result<Bytes, Failure> {
    let mut body = request.into_body();
    let (mut content, mut total) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Failure(Error::invalid(format!(
                "The request body could not be read: {error}."
            )))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total <= limit {
            content.extend_from_slice(&data);
        } else if total > limit.saturating_mul(4) {
            break;
        }
    }
    if total > limit {
        return Err(Failure(Error::invalid(format!(
            "The request body is larger than {limit} bytes, which is more than any request needs."
        ))));
    }
    Ok(content.into())
}

/// Gives every member the spelling of [`MEMBERS`].
#[must_use]
pub fn canonical(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let name = spelling(name);
                    let value = if BAGS.contains(&name.as_str()) {
                        bag(value)
                    } else {
                        canonical(value)
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        other => other,
    }
}

/// The names in a bag are kept; an object in it is a sensitive value and is spelt as one.
fn bag(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    (
                        name,
                        if value.is_object() {
                            canonical(value)
                        } else {
                            value
                        },
                    )
                })
                .collect(),
        ),
        other => other,
    }
}

fn spelling(name: String) -> String {
    let found = MEMBERS.binary_search_by(|member| {
        member
            .bytes()
            .map(|byte| byte.to_ascii_lowercase())
            .cmp(name.bytes().map(|byte| byte.to_ascii_lowercase()))
    });
    match found {
        Ok(index) => MEMBERS[index].to_string(),
        Err(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_sorted_without_case() {
        assert!(MEMBERS.is_sorted_by_key(|member| member.to_ascii_lowercase()));
    }

    #[test]
    fn camel_case_becomes_pascal_case() {
        let body = json!({ "spaceId": "Spaces-1", "PROJECTNAME": "Web", "environmentNames": ["Dev"] });
        assert_eq!(
            canonical(body),
            json!({ "SpaceId": "Spaces-1", "ProjectName": "Web", "EnvironmentNames": ["Dev"] })
        );
    }

    #[test]
    fn names_that_users_chose_are_kept() {
        let body = json!({ "properties": { "name": "x", "secret": { "hasValue": true, "newValue": "s" } } });
        assert_eq!(
            canonical(body),
            json!({ "Properties": { "name": "x", "secret": { "HasValue": true, "NewValue": "s" } } })
        );
    }
}
