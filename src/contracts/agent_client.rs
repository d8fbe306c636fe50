//! What a Server asks of one agent, typed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use halibut::{CallError, Caller, DataStream, Endpoint, RequestMessage, ServerError, ServerErrorKind, Value};
use tokio_util::sync::CancellationToken;

use crate::capabilities::{self, Capabilities};
use crate::fields::ShapeError;
use crate::file_transfer::{self, UploadResult};
use crate::script_service::{self, ScriptStatus, StartScriptCommand, TicketAndSequence};
use crate::script_service_v1 as v1;
use crate::script_ticket::ScriptTicket;

/// How long an answer about capabilities holds (`tentacle-protocol.md` 5.5).
const CACHED: Duration = Duration::from_secs(600);

/// Why an agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The call itself. Tells whether the agent may have executed it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It answered something else than agreed.
    #[error(
        "the agent at {endpoint} answered {method} in an unknown shape: {error}; it may be of an unknown version"
    )]
    Shape {
        /// Which agent.
        endpoint: String,
        /// To what.
        method: &'static str,
        /// What is wrong.
        #[source]
        error: ShapeError,
    },
}

impl AgentError {
    /// Whether the agent has certainly not executed the call.
    pub fn certainly_not_executed(&self) -> bool {
        matches!(self, AgentError::Call(error) if error.certainly_not_executed())
    }

    /// Whether asking again may help, for calls that may be repeated.
    pub fn may_be_retried(&self) -> bool {
        matches!(self, AgentError::Call(error) if error.may_be_retried())
    }

    /// Whether the agent shows another certificate than it is known by.
    pub fn is_certificate_mismatch(&self) -> bool {
        matches!(self, AgentError::Call(CallError::CertificateMismatch { .. }))
    }
}

/// What agents said about their capabilities; one for all clients of a Server.
#[derive(Default)]
pub struct CapabilityCache(Mutex<HashMap<Endpoint, (Instant, Capabilities)>>);

impl CapabilityCache {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what an agent said, for instance after its upgrade.
    pub fn forget(&self, endpoint: &Endpoint) {
        self.lock().remove(endpoint);
    }

    fn get(&self, endpoint: &Endpoint) -> Option<Capabilities> {
        let cached = self.lock();
        let (since, capabilities) = cached.get(endpoint)?;
        (since.elapsed() < CACHED).then(|| capabilities.clone())
    }

    fn put(&self, endpoint: &Endpoint, capabilities: Capabilities) {
        let mut cached = self.lock();
        cached.retain(|_, (since, _)| since.elapsed() < CACHED);
        cached.insert(endpoint.clone(), (Instant::now(), capabilities));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Endpoint, (Instant, Capabilities)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls of one agent. Cheap to make and to clone. Nothing is repeated by itself; every call ends early when
/// `cancel` is cancelled.
#[derive(Clone)]
pub struct AgentClient {
    caller: Arc<Caller>,
    endpoint: Endpoint,
    cache: Arc<CapabilityCache>,
}

impl AgentClient {
    /// A client for the agent at `endpoint`.
    pub fn new(caller: Arc<Caller>, endpoint: Endpoint, cache: Arc<CapabilityCache>) -> Self {
        Self {
            caller,
            endpoint,
            cache,
        }
    }

    /// Where the agent is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What the agent has; asked at most every ten minutes. An agent that is too old to be asked has the
    /// first versions.
    pub async fn capabilities(&self, cancel: &CancellationToken) -> Result<Capabilities, AgentError> {
        if let Some(cached) = self.cache.get(&self.endpoint) {
            return Ok(cached);
        }
        let capabilities = match self
            .call(capabilities::NAME, "GetCapabilities", Vec::new(), cancel)
            .await
        {
            Ok(answer) => self.shaped("GetCapabilities", Capabilities::from_value(answer))?,
            Err(AgentError::Call(CallError::Remote(error))) if means_no_capabilities(&error) => {
                Capabilities::of_an_old_agent()
            }
            Err(error) => return Err(error),
        };
        self.cache.put(&self.endpoint, capabilities.clone());
        Ok(capabilities)
    }

    /// Starts a script, or learns how it stands when its ticket was started before. May be repeated.
    pub async fn start_script(
        &self,
        command: &StartScriptCommand,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        // Streams under fresh ids, so that the same command can be sent again.
        self.status("StartScript", command.fresh().into_value(), cancel)
            .await
    }

    /// State and log after `last_log_sequence`. May be repeated.
    pub async fn get_status(
        &self,
        ticket: &ScriptTicket,
        last_log_sequence: i64,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        let request = TicketAndSequence {
            ticket: ticket.clone(),
            last_log_sequence,
        };
        self.status("GetStatus", request.into_status_request(), cancel)
            .await
    }

    /// Asks a script to end. May be repeated.
    pub async fn cancel_script(
        &self,
        ticket: &ScriptTicket,
        last_log_sequence: i64,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        let request = TicketAndSequence {
            ticket: ticket.clone(),
            last_log_sequence,
        };
        self.status("CancelScript", request.into_cancel_command(), cancel)
            .await
    }

    /// Lets the agent forget a script.
    pub async fn complete_script(
        &self,
        ticket: &ScriptTicket,
        cancel: &CancellationToken,
    ) -> Result<(), AgentError> {
        let command = script_service::complete_command(ticket);
        self.call(script_service::NAME, "CompleteScript", vec![command], cancel)
            .await
            .map(drop)
    }

    /// Writes a file on the machine. May be repeated.
    pub async fn upload_file(
        &self,
        path: &str,
        content: &DataStream,
        cancel: &CancellationToken,
    ) -> Result<UploadResult, AgentError> {
        let parameters = vec![path.into(), Value::Stream(content.fresh())];
        let answer = self
            .call(file_transfer::NAME, "UploadFile", parameters, cancel)
            .await?;
        self.shaped("UploadFile", UploadResult::from_value(answer))
    }

    /// Fetches a file of the machine; none when it does not exist. May be repeated.
    pub async fn download_file(
        &self,
        path: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<DataStream>, AgentError> {
        match self
            .call(file_transfer::NAME, "DownloadFile", vec![path.into()], cancel)
            .await?
        {
            Value::Null => Ok(None),
            Value::Stream(content) => Ok(Some(content)),
            _ => self.shaped(
                "DownloadFile",
                Err(ShapeError::new("result", "a data stream or null")),
            ),
        }
    }

    /// Starts a script on an agent that has only the first version, which makes the ticket. Must not be
    /// repeated.
    pub async fn start_script_v1(
        &self,
        command: &StartScriptCommand,
        cancel: &CancellationToken,
    ) -> Result<ScriptTicket, AgentError> {
        let answer = self
            .call(
                v1::NAME,
                "StartScript",
                vec![v1::start_command(command.fresh())],
                cancel,
            )
            .await?;
        self.shaped("StartScript", v1::started_ticket(answer))
    }

    /// As [`AgentClient::get_status`], for the first version. After the first answer that says complete, ask
    /// once more for lines that were written in between.
    pub async fn get_status_v1(
        &self,
        ticket: &ScriptTicket,
        last_log_sequence: i64,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        self.status_v1("GetStatus", v1::status_request(ticket, last_log_sequence), cancel)
            .await
    }

    /// As [`AgentClient::cancel_script`], for the first version.
    pub async fn cancel_script_v1(
        &self,
        ticket: &ScriptTicket,
        last_log_sequence: i64,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        self.status_v1(
            "CancelScript",
            v1::cancel_command(ticket, last_log_sequence),
            cancel,
        )
        .await
    }

    /// As [`AgentClient::complete_script`], for the first version, which answers with the last lines.
    pub async fn complete_script_v1(
        &self,
        ticket: &ScriptTicket,
        last_log_sequence: i64,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        self.status_v1(
            "CompleteScript",
            v1::complete_command(ticket, last_log_sequence),
            cancel,
        )
        .await
    }

    async fn status(
        &self,
        method: &'static str,
        parameter: Value,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        let answer = self
            .call(script_service::NAME, method, vec![parameter], cancel)
            .await?;
        self.shaped(method, ScriptStatus::from_value(answer))
    }

    async fn status_v1(
        &self,
        method: &'static str,
        parameter: Value,
        cancel: &CancellationToken,
    ) -> Result<ScriptStatus, AgentError> {
        let answer = self.call(v1::NAME, method, vec![parameter], cancel).await?;
        self.shaped(method, ScriptStatus::from_value(answer))
    }

    async fn call(
        &self,
        service: &str,
        method: &str,
        parameters: Vec<Value>,
        cancel: &CancellationToken,
    ) -> Result<Value, AgentError> {
        let request = RequestMessage::new(service, method, parameters);
        Ok(self.caller.call(&self.endpoint, request, cancel).await?)
    }

    fn shaped<T>(&self, method: &'static str, outcome: Result<T, ShapeError>) -> Result<T, AgentError> {
        outcome.map_err(|error| AgentError::Shape {
            endpoint: self.endpoint.to_string(),
            method,
            error,
        })
    }
}

/// Whether a failure to tell capabilities means that the agent is too old to know the question
/// (`tentacle-protocol.md` 5.2).
fn means_no_capabilities(error: &ServerError) -> bool {
    if matches!(
        error.kind(),
        ServerErrorKind::ServiceNotFound | ServerErrorKind::MethodNotFound
    ) {
        return true;
    }
    let says = |text: &str| error.message.contains(text) || error.details.contains(text);
    let stopping = says("The Tentacle service is shutting down and cannot process this request.")
        || says("ObjectDisposedException");
    says("Octopus.Tentacle.Communications.UnknownServiceNameException")
        || (says("CreateService(") && !stopping)
        || says("NotRegistered")
        || says("ICapabilitiesServiceV2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_agents_are_told_from_stopping_ones() {
        let error = |message: &str, details: &str| ServerError {
            message: message.to_owned(),
            details: details.to_owned(),
            error_type: None,
        };
        assert!(means_no_capabilities(&error(
            "Service not found: ICapabilitiesServiceV2",
            ""
        )));
        assert!(means_no_capabilities(&error(
            "",
            "Octopus.Tentacle.Communications.UnknownServiceNameException: x"
        )));
        assert!(means_no_capabilities(&error("", "at Y.CreateService(String)")));
        assert!(!means_no_capabilities(&error(
            "The Tentacle service is shutting down and cannot process this request.",
            "at Y.CreateService(String)"
        )));
        assert!(!means_no_capabilities(&error(
            "disk full",
            "System.IO.IOException"
        )));
    }
}
