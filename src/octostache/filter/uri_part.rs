//! The filter `UriPart`.

use super::text::truth;
use super::uri::{HostKind, Reading, Uri, read};

/// The part of an address that the first argument names; what cannot be told is told in brackets.
pub(super) fn of(input: &str, arguments: &[String]) -> String {
    let Some(wanted) = arguments.first() else {
        return "[UriPart error: no argument given]".to_owned();
    };
    let error = |why: &str| format!("[UriPart {wanted} error: {why}]");
    let unknown = || error(&format!("argument '{wanted}' not supported"));
    let name = wanted.to_ascii_lowercase();
    match read(input) {
        Reading::Invalid => input.to_owned(),
        Reading::Absolute(uri) => part(&uri, &name).unwrap_or_else(unknown),
        Reading::Relative if name == "isabsoluteuri" => truth(false),
        Reading::Relative if part(&Uri::default(), &name).is_none() => unknown(),
        Reading::Relative => error("This operation is not supported for a relative URI."),
    }
}

fn part(uri: &Uri, name: &str) -> Option<String> {
    Some(match name {
        "absolutepath" => uri.path.clone(),
        "absoluteuri" => uri.whole(),
        "authority" => uri.authority(),
        "dnssafehost" => uri.host.clone(),
        "fragment" => uri.fragment.clone(),
        "host" => uri.shown_host(),
        "hostandport" => match uri.port {
            Some(port) if !uri.host.is_empty() => format!("{}:{port}", uri.shown_host()),
            _ => uri.shown_host(),
        },
        "hostnametype" => match uri.host_kind {
            HostKind::Unknown => "Unknown",
            HostKind::Basic => "Basic",
            HostKind::Dns => "Dns",
            HostKind::Ipv4 => "IPv4",
            HostKind::Ipv6 => "IPv6",
        }
        .to_owned(),
        "isabsoluteuri" => truth(true),
        "isdefaultport" => truth(uri.port == uri.default_port),
        "isfile" => truth(uri.scheme == "file"),
        "isloopback" => truth(uri.is_loopback()),
        "isunc" => truth(uri.scheme == "file" && !uri.host.is_empty()),
        "path" => uri.local_path(),
        "pathandquery" => format!("{}{}", uri.path, uri.query),
        "port" => uri.port.map_or_else(|| "-1".to_owned(), |port| port.to_string()),
        "query" => uri.query.clone(),
        "scheme" => uri.scheme.clone(),
        "schemeandserver" => format!("{}{}{}", uri.scheme, uri.delimiter, uri.authority()),
        "userinfo" => uri.user_info.clone(),
        _ => return None,
    })
}
