//! The Servers that an agent trusts, as they stand in the settings file (`observed.md` 10.13 to 10.15).

use serde::{Deserialize, Serialize};
use url::Url;

use crate::failure::Failure;

/// Nobody calls anybody; the original writes it for a machine that is registered without an address.
const NONE: u8 = 0;
/// Who calls whom, numbered as in the settings file.
pub const PASSIVE: u8 = 1;
/// The agent polls.
pub const ACTIVE: u8 = 2;

/// One trusted Server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrustedServer {
    /// Thumbprint of its certificate, as typed; compared without case.
    pub thumbprint: String,
    /// 1 it calls, 2 it is polled.
    pub communication_style: u8,
    /// The address to poll, as typed.
    #[serde(default)]
    pub address: Option<String>,
    /// Kept for the original agent.
    #[serde(default)]
    pub squid: Option<String>,
    /// `poll://…/` when it is polled.
    #[serde(default)]
    pub subscription_id: Option<String>,
}

impl TrustedServer {
    /// A Server that calls the agent.
    pub fn listening(thumbprint: &str) -> TrustedServer {
        TrustedServer {
            thumbprint: thumbprint.to_owned(),
            communication_style: PASSIVE,
            address: None,
            squid: None,
            subscription_id: None,
        }
    }

    /// A Server that is only known.
    pub fn without_calls(thumbprint: &str) -> TrustedServer {
        TrustedServer {
            communication_style: NONE,
            ..TrustedServer::listening(thumbprint)
        }
    }

    /// A Server that the agent polls.
    pub fn polling(thumbprint: &str, address: &str, subscription: &str) -> TrustedServer {
        TrustedServer {
            thumbprint: thumbprint.to_owned(),
            communication_style: ACTIVE,
            address: Some(address.to_owned()),
            squid: None,
            subscription_id: Some(subscription.to_owned()),
        }
    }

    /// Whether the agent polls it.
    pub fn is_polled(&self) -> bool {
        self.communication_style == ACTIVE
    }

    /// Whether a thumbprint is this Server's.
    pub fn has_thumbprint(&self, thumbprint: &str) -> bool {
        self.thumbprint.eq_ignore_ascii_case(thumbprint)
    }

    fn is_same_place(&self, other: &TrustedServer) -> bool {
        let addresses = [self, other].map(|server| server.address.as_deref().map(normal_address));
        self.has_thumbprint(&other.thumbprint) && addresses[0] == addresses[1]
    }
}

/// The list in a settings file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedServers(pub Vec<TrustedServer>);

impl TrustedServers {
    /// Reads the JSON of the setting; entries without a style are passive.
    ///
    /// # Errors
    /// The setting is no such list.
    pub fn parse(text: Option<&str>) -> Result<TrustedServers, Failure> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok(TrustedServers::default());
        };
        let mut servers: Vec<TrustedServer> = serde_json::from_str(text).map_err(|error| {
            Failure::controlled(format!(
                "The setting Tentacle.Communication.TrustedOctopusServers cannot be read: {error}. \
                 Run configure --reset-trust, and trust the Servers again."
            ))
        })?;
        for server in servers
            .iter_mut()
            .filter(|server| server.communication_style == NONE)
        {
            server.communication_style = PASSIVE;
        }
        Ok(TrustedServers(servers))
    }

    /// The JSON of the setting.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.0).expect("a list of texts and numbers is JSON")
    }

    /// Adds an entry, or puts it in the place of the one with its thumbprint and address; it moves to the end.
    pub fn put(&mut self, server: TrustedServer) {
        self.0.retain(|known| !known.is_same_place(&server));
        self.0.push(server);
    }

    /// Removes every entry of a thumbprint.
    pub fn remove(&mut self, thumbprint: &str) {
        self.0.retain(|server| !server.has_thumbprint(thumbprint));
    }

    /// Whether some entry has a thumbprint.
    pub fn trusts(&self, thumbprint: &str) -> bool {
        self.0.iter().any(|server| server.has_thumbprint(thumbprint))
    }

    /// The subscription that an address was polled with so far.
    pub fn subscription_of(&self, address: &str) -> Option<&str> {
        self.0
            .iter()
            .filter(|server| server.is_polled())
            .find(|server| {
                server
                    .address
                    .as_deref()
                    .is_some_and(|known| normal_address(known) == normal_address(address))
            })
            .and_then(|server| server.subscription_id.as_deref())
    }

    /// Any subscription that is in use.
    pub fn any_subscription(&self) -> Option<&str> {
        self.0
            .iter()
            .filter(|server| server.is_polled())
            .find_map(|server| server.subscription_id.as_deref())
    }
}

/// The address with the slash that a URL has.
pub fn normal_address(address: &str) -> String {
    Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.to_string())
}

/// A new subscription: 20 letters and digits that cannot be mistaken for each other (`tentacle-protocol.md` 7.4).
///
/// # Errors
/// The system gives no random bytes.
pub fn new_subscription() -> Result<String, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghjklmnpqrstuvwxyz23456789";
    let mut random = [0_u8; 20];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::controlled(format!("Could not make a subscription id: {error}.")))?;
    let id: String = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    Ok(format!("poll://{id}/"))
}

/// A given subscription, in the one form in which it is compared.
///
/// # Errors
/// It is no `poll://` address.
pub fn canonical_subscription(text: &str) -> Result<String, Failure> {
    let refused = || {
        Failure::controlled(format!(
            "'{text}' is not a value for option '--server-subscription-id'; write poll:// and letters or digits, e.g. \
             poll://abcdefghjklmnpqrstuv/."
        ))
    };
    let lower = text.trim().to_ascii_lowercase();
    let host = lower
        .strip_prefix("poll://")
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
        .ok_or_else(refused)?;
    let is_good = (1..=100).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    is_good.then(|| format!("poll://{host}/")).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";

    #[test]
    fn an_entry_is_replaced_by_thumbprint_and_address() {
        let mut servers = TrustedServers::default();
        servers.put(TrustedServer::listening(
            "abcdefabcdefabcdefabcdefabcdefabcdefabcd",
        ));
        servers.put(TrustedServer::listening(ONE));
        servers.put(TrustedServer::listening(
            "ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD",
        ));
        servers.put(TrustedServer::polling(ONE, "https://h:10943", "poll://a/"));
        servers.put(TrustedServer::polling(ONE, "https://h:10943/", "poll://b/"));
        assert_eq!(servers.0.len(), 3);
        assert_eq!(
            servers.0[1].thumbprint,
            "ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD"
        );
        assert_eq!(servers.subscription_of("https://h:10943"), Some("poll://b/"));
        servers.remove(&ONE.to_lowercase());
        assert!(!servers.trusts(ONE) && servers.0.len() == 1);
    }

    #[test]
    fn the_setting_is_the_originals() {
        let text = format!(
            "[{{\"Thumbprint\":\"{ONE}\",\"CommunicationStyle\":1,\"Address\":null,\"Squid\":null,\"SubscriptionId\":null}}]"
        );
        assert_eq!(TrustedServers::parse(Some(&text)).unwrap().text(), text);
        let old = text.replace("\":1", "\":0");
        assert_eq!(TrustedServers::parse(Some(&old)).unwrap().text(), text);
        assert!(TrustedServers::parse(Some("{}")).is_err());
    }

    #[test]
    fn subscriptions_have_one_form() {
        assert_eq!(canonical_subscription("POLL://FooBar").unwrap(), "poll://foobar/");
        for text in ["https://foobar/", "poll://", "poll://a b/", "poll://a/b/"] {
            assert!(canonical_subscription(text).is_err(), "{text}");
        }
        let made = new_subscription().unwrap();
        assert_eq!(canonical_subscription(&made).unwrap(), made);
    }
}
