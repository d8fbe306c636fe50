//! From names to what the Server calls them (`observed.md` 10.15).

use serde_json::Value;

use super::server_api::{ServerApi, encoded, link};
use crate::failure::{Failure, REFUSED};

/// The space that a registration goes to: its root document, and its id where there are spaces.
pub(crate) struct Space {
    pub(crate) root: Value,
    pub(crate) id: Option<String>,
}

impl Space {
    /// A collection of this space.
    pub(crate) fn path(&self, link_name: &str, plain: &str) -> String {
        let plain = || match &self.id {
            Some(id) => format!("/api/{id}/{plain}"),
            None => format!("/api/{plain}"),
        };
        link(&self.root, link_name).unwrap_or_else(plain)
    }
}

/// The named space, or the default one.
pub(crate) async fn space(api: &ServerApi, name: Option<&str>) -> Result<Space, Failure> {
    let root = api.root().await?;
    let version = root["Version"].as_str().unwrap_or_default();
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    if !major.is_some_and(|major| major == 0 || major >= 3) {
        return Err(refused(format!(
            "The Server at {} has the version '{version}'; this agent registers with 3.0 and later.",
            api.base()
        )));
    }
    if link(&root, "Spaces").is_none() {
        // without one there is no telling where environments and machines are (`observed.md` 10.8)
        return Err(refused(format!(
            "The Server at {} offers no spaces; this agent registers with Servers that do.",
            api.base()
        )));
    }
    let user = api
        .get(&link(&root, "CurrentUser").unwrap_or_else(|| "/api/users/me".to_owned()))
        .await?;
    let user_id = user["Id"].as_str().unwrap_or_default();
    let path = link(&user, "Spaces").unwrap_or_else(|| format!("/api/users/{user_id}/spaces"));
    let spaces = api.list(&path).await?;
    let found = match name {
        Some(name) => spaces.iter().find(|space| is_called(space, name)).ok_or_else(|| {
            refused(format!(
                "A space with name \"{name}\" could not be found. Ensure you have spelled the space name correctly and that \
                 the user has access to this space."
            ))
        })?,
        None => spaces.iter().find(|space| space["IsDefault"].as_bool() == Some(true)).ok_or_else(|| {
            refused(
                "No \"space\" was specified, and the default space is disabled or inaccessible to this user. Please select a \
                 space using the \"space\" parameter."
                    .to_owned(),
            )
        })?,
    };
    let id = found["Id"].as_str().unwrap_or_default().to_owned();
    let root = api.get(&format!("/api/{id}")).await?;
    Ok(Space { root, id: Some(id) })
}

/// The thumbprint that the Server identifies itself with.
pub(crate) async fn server_thumbprint(api: &ServerApi) -> Result<String, Failure> {
    let path = "/api/configuration/certificates/certificate-global";
    let certificate = api.get(path).await?;
    let thumbprint = certificate["Thumbprint"].as_str().unwrap_or_default();
    crate::command_line::thumbprint("server", thumbprint)
        .map(str::to_owned)
        .map_err(|_| {
            refused(format!(
                "{} does not tell the thumbprint of its certificate at {path}.",
                api.base()
            ))
        })
}

/// The machine or worker of a name in any case.
pub(crate) async fn by_name(api: &ServerApi, collection: &str, name: &str) -> Result<Option<Value>, Failure> {
    let found = api.list(&format!("{collection}?name={}", encoded(name))).await?;
    let name = name.to_lowercase();
    Ok(found.into_iter().find(|item| {
        item["Name"]
            .as_str()
            .is_some_and(|known| known.to_lowercase() == name)
    }))
}

/// The machines or workers of a thumbprint.
pub(crate) async fn by_thumbprint(
    api: &ServerApi,
    collection: &str,
    thumbprint: &str,
) -> Result<Vec<Value>, Failure> {
    api.list(&format!("{collection}/all?thumbprint={}", encoded(thumbprint)))
        .await
}

/// The id of what a list has under a name.
pub(crate) async fn named(api: &ServerApi, path: &str, kind: &str, name: &str) -> Result<String, Failure> {
    let list = api.list(path).await?;
    let name_key = name.to_lowercase();
    list.iter()
        .find(|item| item["Name"].as_str().is_some_and(|known| known.to_lowercase() == name_key))
        .and_then(|item| item["Id"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| {
            refused(format!(
                "Could not find the {kind} named {name} on the Octopus Server. Ensure the {kind} exists and you have permission \
                 to access it."
            ))
        })
}

/// Environments, from the newer list or, where there is none, the classic one.
pub(crate) async fn environments(
    api: &ServerApi,
    space: &Space,
    wanted: &[String],
) -> Result<Vec<String>, Failure> {
    let classic = space.path("Environments", "environments");
    let list = match api.find(&format!("{classic}/v2?skip=0&take=2147483647")).await? {
        Some(page) => page["Items"].as_array().cloned().unwrap_or_default(),
        None => api.list(&classic).await?,
    };
    by_name_slug_or_id(&list, "environment", wanted)
}

/// Tenants or worker pools.
pub(crate) async fn references(
    api: &ServerApi,
    path: &str,
    kind: &str,
    wanted: &[String],
) -> Result<Vec<String>, Failure> {
    by_name_slug_or_id(&api.list(path).await?, kind, wanted)
}

/// Checks that every tag exists; they are sent as typed.
pub(crate) async fn tenant_tags(api: &ServerApi, space: &Space, wanted: &[String]) -> Result<(), Failure> {
    let sets = api.list(&space.path("TagSets", "tagsets")).await?;
    let known: Vec<String> = sets
        .iter()
        .flat_map(|set| set["Tags"].as_array().cloned().unwrap_or_default())
        .filter_map(|tag| tag["CanonicalTagName"].as_str().map(str::to_lowercase))
        .collect();
    let missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|tag| !known.contains(&tag.to_lowercase()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(refused(format!(
        "Could not find the tags named: {} on the Octopus Server. Ensure the tags exist and you have permission to access \
         them.",
        missing.join(", ")
    )))
}

/// Those found by name, then by slug, then by id, once each.
fn by_name_slug_or_id(list: &[Value], kind: &str, wanted: &[String]) -> Result<Vec<String>, Failure> {
    let mut left: Vec<&String> = wanted.iter().collect();
    let mut ids: Vec<String> = Vec::new();
    for member in ["Name", "Slug", "Id"] {
        left.retain(|text| {
            let text = text.to_lowercase();
            let found = list
                .iter()
                .find(|item| {
                    item[member]
                        .as_str()
                        .is_some_and(|known| known.to_lowercase() == text)
                })
                .and_then(|item| item["Id"].as_str());
            if let Some(id) = found.filter(|id| !ids.iter().any(|known| known == id)) {
                ids.push(id.to_owned());
            }
            found.is_none()
        });
    }
    match left.first() {
        None => Ok(ids),
        Some(text) => Err(refused(format!(
            "Could not find the {kind} with name, slug or Id {text} on the Octopus Server. Ensure the {kind} exists and you \
             have permission to access it."
        ))),
    }
}

fn is_called(space: &Value, name: &str) -> bool {
    ["Name", "Slug", "Id"].iter().any(|member| {
        space[*member]
            .as_str()
            .is_some_and(|known| known.to_lowercase() == name.to_lowercase())
    })
}

fn refused(message: String) -> Failure {
    Failure::with_code(REFUSED, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_go_before_slugs_and_slugs_before_ids() {
        let list = [
            json!({ "Id": "Environments-1", "Name": "Development", "Slug": "development" }),
            json!({ "Id": "Environments-2", "Name": "Production", "Slug": "production" }),
            json!({ "Id": "Environments-3", "Name": "Test Lab", "Slug": "test-lab" }),
        ];
        let find = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
            by_name_slug_or_id(&list, "environment", &wanted)
        };
        assert_eq!(
            find(&["Environments-2", "test-lab", "Development", "DEVELOPMENT"]).unwrap(),
            ["Environments-1", "Environments-3", "Environments-2"]
        );
        let failure = find(&["Nope"]).unwrap_err();
        assert_eq!(failure.code, REFUSED);
        assert!(failure.message.contains("slug or Id Nope"));
    }
}
