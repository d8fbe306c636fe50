//! Whether a Server's polling port answers (`tentacle-protocol.md` 7.4, `observed.md` 10.25).

use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::server_api::{causes, http_client};
use crate::failure::{Failure, NOT_REACHABLE};
use crate::output::Output;

const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(750);

/// Asks up to five times; any certificate is good, since trust comes from the API.
pub(crate) async fn check(address: &Url, output: &Output) -> Result<(), Failure> {
    let port = address.port_or_known_default().unwrap_or_default();
    output.info(&format!(
        "Checking connectivity on the server communications port {port}..."
    ));
    let client = http_client(true, Duration::from_secs(20))?;
    let target = address
        .join("/handshake")
        .map_err(|error| Failure::controlled(format!("'{address}' is not an address to poll: {error}.")))?;
    let mut wait = FIRST_WAIT;
    let mut tried = 1;
    loop {
        let reason = match client.post(target.clone()).body("").send().await {
            Ok(answer) if matches!(answer.status(), StatusCode::OK | StatusCode::BAD_REQUEST) => {
                output.info("Connected successfully");
                return Ok(());
            }
            Ok(answer) => format!(
                "it answers {}, so it does not appear to be a Server's polling port",
                answer.status()
            ),
            Err(error) => causes(&error.without_url()),
        };
        let text = format!("The polling port of the Server at {address} could not be reached: {reason}.");
        if tried == TRIES {
            let remedy = "Check that the Server runs, and that this port is open (--server-comms-address, --server-comms-port).";
            return Err(Failure::with_code(NOT_REACHABLE, format!("{text} {remedy}")));
        }
        output.warning(&format!(
            "{text} Next try in {:.2} s ({tried}/{TRIES}).",
            wait.as_secs_f64()
        ));
        tokio::time::sleep(wait).await;
        wait = wait * 3 / 2;
        tried += 1;
    }
}
