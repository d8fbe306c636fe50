//! Addresses as .NET reads them: parts escaped, hosts in lower case, dot segments removed.

use super::escape::percent_encoded;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What an address may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    Absolute(Uri),
    /// Anything without a scheme.
    Relative,
    /// A scheme, and then something that cannot follow it.
    Invalid,
}

/// An absolute address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Uri {
    pub scheme: String,
    /// `://` or `:`.
    pub delimiter: &'static str,
    pub user_info: String,
    /// In lower case; an IPv6 address without its brackets.
    pub host: String,
    pub host_kind: HostKind,
    pub port: Option<u16>,
    pub default_port: Option<u16>,
    pub path: String,
    pub query: String,
    pub fragment: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum HostKind {
    #[default]
    Unknown,
    Basic,
    Dns,
    Ipv4,
    Ipv6,
}

const PORTS: [(&str, u16); 12] = [
    ("http", 80),
    ("https", 443),
    ("ws", 80),
    ("wss", 443),
    ("ftp", 21),
    ("gopher", 70),
    ("nntp", 119),
    ("mailto", 25),
    ("telnet", 23),
    ("ldap", 389),
    ("net.tcp", 808),
    ("net.pipe", 0),
];
/// Schemes that nothing but `//` and a host can follow.
const NEED_HOST: [&str; 9] = [
    "http", "https", "ws", "wss", "ftp", "gopher", "telnet", "net.tcp", "net.pipe",
];
const KEPT: &[u8] = b"-._~;/:@&=+$,!'()*[]%";

pub(super) fn read(text: &str) -> Reading {
    let text =
        text.trim_matches(|character| matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}'));
    if let Some(share) = text.strip_prefix("\\\\").or_else(|| text.strip_prefix("//")) {
        return file(&format!("//{share}"));
    }
    if text.starts_with('/') {
        return file(&format!("//{text}"));
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return Reading::Relative;
    };
    let valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !valid {
        return Reading::Relative;
    }
    if scheme.len() == 1 {
        // A drive.
        return if rest.starts_with(['/', '\\']) {
            file(&format!("///{text}"))
        } else {
            Reading::Invalid
        };
    }
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "file" => file(rest),
        "mailto" => mailto(rest),
        _ => general(scheme, rest),
    }
}

impl Uri {
    /// The host as it stands in an address.
    pub(super) fn shown_host(&self) -> String {
        if self.host_kind == HostKind::Ipv6 {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// The host, and the port unless it is the usual one.
    pub(super) fn authority(&self) -> String {
        match self.port {
            Some(port) if self.port != self.default_port => format!("{}:{port}", self.shown_host()),
            _ => self.shown_host(),
        }
    }

    pub(super) fn whole(&self) -> String {
        let at = if self.user_info.is_empty() { "" } else { "@" };
        format!(
            "{}{}{}{at}{}{}{}{}",
            self.scheme,
            self.delimiter,
            self.user_info,
            self.authority(),
            self.path,
            self.query,
            self.fragment
        )
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self.host_kind {
            HostKind::Ipv4 => self.host.starts_with("127."),
            HostKind::Ipv6 => self.host == "::1",
            HostKind::Basic => self.scheme == "file" && self.host.is_empty(),
            _ => matches!(self.host.as_str(), "localhost" | "loopback"),
        }
    }

    /// The path without escapes; of a share as the share is written.
    pub(super) fn local_path(&self) -> String {
        let path = unescaped(&self.path);
        if self.scheme != "file" {
            return path;
        }
        if !self.host.is_empty() {
            return format!("\\\\{}{}", self.host, path.replace('/', "\\"));
        }
        let is_drive = path.as_bytes().get(2) == Some(&b':') && path.as_bytes()[1].is_ascii_alphabetic();
        if is_drive {
            path[1..].replace('/', "\\")
        } else {
            path
        }
    }
}

fn general(scheme: String, rest: &str) -> Reading {
    let port = PORTS
        .iter()
        .find(|(known, _)| *known == scheme)
        .map(|(_, port)| *port)
        .filter(|port| *port > 0);
    let mut uri = Uri {
        delimiter: "://",
        port,
        default_port: port,
        ..Uri::default()
    };
    let rest = rest.replacen('\\', "/", if rest.starts_with(['\\', '/']) { 2 } else { 0 });
    let Some(after) = rest.strip_prefix("//") else {
        if NEED_HOST.contains(&scheme.as_str()) {
            return Reading::Invalid;
        }
        uri.scheme = scheme;
        uri.delimiter = ":";
        uri.take_tail(&rest, false);
        return Reading::Absolute(uri);
    };
    let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
    let (authority, tail) = after.split_at(end);
    if !uri.take_authority(authority) || (uri.host.is_empty() && NEED_HOST.contains(&scheme.as_str())) {
        return Reading::Invalid;
    }
    uri.scheme = scheme;
    uri.take_tail(tail, true);
    Reading::Absolute(uri)
}

fn file(rest: &str) -> Reading {
    let rest = rest.replace('\\', "/");
    let mut uri = Uri {
        scheme: "file".to_owned(),
        delimiter: "://",
        host_kind: HostKind::Basic,
        ..Uri::default()
    };
    let Some(after) = rest.strip_prefix("//") else {
        return Reading::Invalid;
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (host, tail) = after.split_at(end);
    if !host.is_empty() && (!uri.take_authority(host) || uri.port.is_some()) {
        return Reading::Invalid;
    }
    uri.take_tail(tail, true);
    Reading::Absolute(uri)
}

fn mailto(rest: &str) -> Reading {
    let end = rest.find('?').unwrap_or(rest.len());
    let (address, tail) = rest.split_at(end);
    let mut uri = Uri {
        delimiter: ":",
        port: Some(25),
        default_port: Some(25),
        ..Uri::default()
    };
    if !address.is_empty() && !uri.take_authority(address) {
        return Reading::Invalid;
    }
    uri.scheme = "mailto".to_owned();
    uri.take_tail(tail, false);
    Reading::Absolute(uri)
}

impl Uri {
    /// User, host and port; false when they cannot be read.
    fn take_authority(&mut self, authority: &str) -> bool {
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (user_info, host),
            None => ("", authority),
        };
        self.user_info = escaped(user_info);
        let (host, port) = match host.strip_prefix('[') {
            Some(bracketed) => {
                let Some((address, port)) = bracketed.split_once(']') else {
                    return false;
                };
                let Ok(address) = address.parse::<Ipv6Addr>() else {
                    return false;
                };
                self.host = address.to_string();
                self.host_kind = HostKind::Ipv6;
                (None, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => match host.split_once(':') {
                Some((host, port)) => (Some(host), Some(port)),
                None => (Some(host), Some("")),
            },
        };
        let Some(port) = port else { return false };
        if !port.is_empty() {
            match port.parse::<u16>() {
                Ok(number) if !port.starts_with('+') => self.port = Some(number),
                _ => return false,
            }
        }
        let Some(host) = host else { return true };
        if let Some(address) = ipv4(host) {
            self.host = address.to_string();
            self.host_kind = HostKind::Ipv4;
            return true;
        }
        let is_name = host
            .chars()
            .all(|character| character.is_alphanumeric() || matches!(character, '-' | '_' | '.'));
        if !is_name || host.starts_with('.') || host.contains("..") {
            return false;
        }
        self.host = host.chars().flat_map(char::to_lowercase).collect();
        self.host_kind = if host.is_empty() {
            HostKind::Basic
        } else {
            HostKind::Dns
        };
        true
    }

    /// Path, query and fragment.
    fn take_tail(&mut self, tail: &str, rooted: bool) {
        let (tail, fragment) = tail.split_at(tail.find('#').unwrap_or(tail.len()));
        let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
        self.fragment = with_mark(fragment, '#');
        self.query = with_mark(query, '?');
        self.path = if rooted {
            let path = without_needless_escapes(&path.replace('\\', "/"));
            escaped(&without_dots(if path.is_empty() { "/" } else { &path }))
        } else {
            escaped(path)
        };
    }
}

fn with_mark(text: &str, mark: char) -> String {
    match text.strip_prefix(mark) {
        Some(after) => format!("{mark}{}", kept_escapes(after, b"?#")),
        None => String::new(),
    }
}

fn escaped(text: &str) -> String {
    kept_escapes(text, b"")
}

/// Escapes what cannot stand in an address; escapes that are there stay, unless they stand for what needs none, and a lone
/// percent sign is escaped.
fn kept_escapes(text: &str, more: &[u8]) -> String {
    let kept = [KEPT, more].concat();
    let encoded = percent_encoded(&without_needless_escapes(text), &kept);
    let bytes = encoded.as_bytes();
    let mut output = String::with_capacity(encoded.len());
    for (position, part) in encoded.split('%').enumerate() {
        if position > 0 {
            let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
            let is_escape = bytes
                .get(start..start + 2)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            output.push_str(if is_escape { "%" } else { "%25" });
        }
        output.push_str(part);
    }
    output
}

/// Letters, digits and `-._~` are never escaped; escapes of what is not ASCII have upper-case digits.
fn without_needless_escapes(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    for (position, part) in text.split('%').enumerate() {
        if position == 0 {
            output.push_str(part);
            continue;
        }
        let digits = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if code.is_ascii_alphanumeric() || b"-._~".contains(&code) => {
                output.push(char::from(code));
                output.push_str(&part[2..]);
            }
            Some(code) if !code.is_ascii() => {
                output.push_str(&format!("%{code:02X}"));
                output.push_str(&part[2..]);
            }
            _ => {
                output.push('%');
                output.push_str(part);
            }
        }
    }
    output
}

fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut output = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(byte) = bytes.get(position) {
        let code = text
            .get(position + 1..position + 3)
            .filter(|digits| *byte == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        output.push(code.unwrap_or(*byte));
        position += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&output).into_owned()
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').collect();
    for (position, segment) in segments.iter().enumerate() {
        let last = position + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." && kept.len() > 1 {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    kept.join("/")
}

/// One to four numbers; the last one fills what is left.
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = host
        .split('.')
        .map(|part| {
            (part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty()).then(|| part.parse().ok())?
        })
        .collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let mut address: u32 = 0;
    for (position, part) in first.iter().enumerate() {
        address |= part << (24 - 8 * position);
    }
    let room = 8 * (4 - first.len());
    (u64::from(*last) < 1 << room).then(|| Ipv4Addr::from(address | last))
}
