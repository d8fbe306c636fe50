use std::fmt;

use crate::identity::Thumbprint;
use crate::protocol::subscription::Subscription;
use crate::protocol::value::Document;

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An agent that we dial.
    Listening {
        /// Where it listens.
        uri: ListeningUri,
        /// The certificate that it must have.
        thumbprint: Thumbprint,
    },
    /// An agent that dials us.
    Polling {
        /// Whose requests it takes.
        subscription: Subscription,
        /// The certificate that it has.
        thumbprint: Thumbprint,
    },
}

/// `https://host:port/`: a listening agent or Server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ListeningUri {
    host: String,
    port: u16,
}

/// A text that is no address of a listener.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a Tentacle; it looks like https://host:10933/")]
pub struct EndpointError(String);

/// The port of a listening agent when none is given.
const AGENT_PORT: u16 = 10933;

impl ListeningUri {
    /// An address of host and port.
    pub fn new(host: &str, port: u16) -> Result<Self, EndpointError> {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = host.bytes().all(name);
        let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
        if host.is_empty() || host.len() > 253 || port == 0 || !(is_name || is_address) {
            return Err(EndpointError(format!("{host}:{port}").chars().take(80).collect()));
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Reads `https://host[:port][/]`.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError(text.chars().take(80).collect());
        let text = text.trim();
        let scheme = text
            .get(..8)
            .filter(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let rest = scheme.map(|_| &text[8..]).ok_or_else(wrong)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']').ok_or_else(wrong)?;
                (
                    host,
                    if port.is_empty() {
                        None
                    } else {
                        Some(port.strip_prefix(':').ok_or_else(wrong)?)
                    },
                )
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port.map_or(Ok(AGENT_PORT), |port| port.parse().map_err(|_| wrong()))?;
        Self::new(host, port).map_err(|_| wrong())
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ListeningUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "https://[{}]:{}/", self.host, self.port)
        } else {
            write!(formatter, "https://{}:{}/", self.host, self.port)
        }
    }
}

impl fmt::Debug for ListeningUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Endpoint {
    /// The certificate of the agent.
    pub fn thumbprint(&self) -> &Thumbprint {
        match self {
            Endpoint::Listening { thumbprint, .. } | Endpoint::Polling { thumbprint, .. } => thumbprint,
        }
    }

    /// As it is told to the agent, which does not look at it.
    pub(crate) fn to_document(&self) -> Document {
        Document::new()
            .with("BaseUri", self.to_string())
            .with("RemoteThumbprint", self.thumbprint().as_str())
            .with("Proxy", crate::protocol::value::Value::Null)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Listening { uri, .. } => uri.fmt(formatter),
            Endpoint::Polling { subscription, .. } => subscription.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, canonical) in [
            ("https://Web01:10933/", "https://web01:10933/"),
            ("HTTPS://web01", "https://web01:10933/"),
            ("https://10.0.0.1:1/", "https://10.0.0.1:1/"),
            ("https://[::1]:10933", "https://[::1]:10933/"),
        ] {
            assert_eq!(ListeningUri::parse(text).expect(text).to_string(), canonical);
        }
        for wrong in [
            "",
            "http://a/",
            "https://",
            "https://a:0/",
            "https://a:x",
            "https://a/b",
            "https://u@h/",
            "https://[::1",
            "https://a:1:2",
        ] {
            assert!(ListeningUri::parse(wrong).is_err(), "{wrong}");
        }
    }
}
