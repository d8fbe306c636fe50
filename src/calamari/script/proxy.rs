//! The proxy that scripts are to use (19).

use crate::failure::Failure;
use crate::variables::Variables;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a user name or password; a blank becomes a plus.
const KEPT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'*')
    .remove(b'(')
    .remove(b')')
    .remove(b' ');

const NOT_PROXIED: &str = "127.0.0.1,localhost,169.254.169.254";

/// Environment variables to add for a script. Where the environment has one of them in one case, the other case gets the same;
/// else the agent's own proxy counts.
///
/// # Errors
/// A circular definition.
pub fn variables(variables: &Variables) -> Result<Vec<(String, String)>, Failure> {
    const NAMES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    let given = |name: &str| std::env::var(name).ok();
    let lower = |name: &str| name.to_ascii_lowercase();
    let existing: Vec<(String, String)> = NAMES
        .iter()
        .filter_map(|name| match (given(name), given(&lower(name))) {
            (Some(value), None) => Some((lower(name), value)),
            (None, Some(value)) => Some(((*name).to_owned(), value)),
            _ => None,
        })
        .collect();
    let any = NAMES
        .iter()
        .any(|name| given(name).is_some() || given(&lower(name)).is_some());
    if any {
        return Ok(existing);
    }
    let setting = |name: &str| variables.filled(&format!("env:Tentacle{name}"));
    let Some(host) = setting("ProxyHost")? else {
        return Ok(Vec::new());
    };
    let port = setting("ProxyPort")?
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let user = match setting("ProxyUsername")? {
        Some(user) => format!(
            "{}:{}@",
            encoded(&user),
            encoded(&setting("ProxyPassword")?.unwrap_or_default())
        ),
        None => String::new(),
    };
    let address = format!("http://{user}{host}{port}");
    Ok(NAMES
        .iter()
        .flat_map(|name| {
            let value = if *name == "NO_PROXY" {
                NOT_PROXIED
            } else {
                &address
            };
            [
                ((*name).to_owned(), value.to_owned()),
                (lower(name), value.to_owned()),
            ]
        })
        .collect())
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &KEPT).to_string().replace(' ', "+")
}
