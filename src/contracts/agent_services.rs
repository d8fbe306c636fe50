//! What an agent offers: finds the method that a request names and gives it typed parameters.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use halibut::{DataStream, KnownTypes, Service, ServiceError, Value};

use crate::capabilities::{self, Capabilities};
use crate::fields::ShapeError;
use crate::file_transfer::{self, FileTransferService};
use crate::script_service::{self, ScriptService, StartScriptCommand, TicketAndSequence};

/// The `$type` names that contracts use, of both versions.
pub const KNOWN_TYPES: KnownTypes = KnownTypes(&[
    "CapabilitiesResponseV2",
    "StartScriptCommandV2",
    "ScriptStatusRequestV2",
    "CancelScriptCommandV2",
    "CompleteScriptCommandV2",
    "ScriptStatusResponseV2",
    "StartScriptCommand",
    "ScriptStatusRequest",
    "CancelScriptCommand",
    "CompleteScriptCommand",
    "ScriptStatusResponse",
    "ScriptTicket",
    "ScriptFile",
    "ScriptIsolationLevel",
    "ScriptType",
    "UploadResult",
]);

/// The services of an agent, callable by name.
pub struct AgentServices<S, F> {
    scripts: S,
    files: F,
    stopping: AtomicBool,
}

impl<S: ScriptService, F: FileTransferService> AgentServices<S, F> {
    /// Offers these two, and says so when asked for capabilities.
    pub fn new(scripts: S, files: F) -> Self {
        Self {
            scripts,
            files,
            stopping: AtomicBool::new(false),
        }
    }

    /// The script service.
    pub fn scripts(&self) -> &S {
        &self.scripts
    }

    /// From now on calls are answered with "shutting down", which callers do not mistake for a missing
    /// service.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    async fn call_scripts(&self, method: &str, parameters: Vec<Value>) -> Result<Value, ServiceError> {
        let called = |name: &str| method.eq_ignore_ascii_case(name);
        if called("StartScript") {
            let command = one(parameters, script_service::NAME, method, "StartScriptCommandV2")?;
            let command = StartScriptCommand::from_value(command).map_err(|error| unreadable(&error))?;
            return Ok(self.scripts.start_script(command).await?.into_value());
        }
        if called("GetStatus") {
            let request = one(parameters, script_service::NAME, method, "ScriptStatusRequestV2")?;
            let request = TicketAndSequence::from_value(request).map_err(|error| unreadable(&error))?;
            return Ok(self
                .scripts
                .get_status(request.ticket, request.last_log_sequence)
                .await?
                .into_value());
        }
        if called("CancelScript") {
            let request = one(parameters, script_service::NAME, method, "CancelScriptCommandV2")?;
            let request = TicketAndSequence::from_value(request).map_err(|error| unreadable(&error))?;
            return Ok(self
                .scripts
                .cancel_script(request.ticket, request.last_log_sequence)
                .await?
                .into_value());
        }
        if called("CompleteScript") {
            let command = one(
                parameters,
                script_service::NAME,
                method,
                "CompleteScriptCommandV2",
            )?;
            let ticket = script_service::complete_ticket(command).map_err(|error| unreadable(&error))?;
            self.scripts.complete_script(ticket).await?;
            return Ok(Value::Null);
        }
        Err(ServiceError::method_not_found(script_service::NAME, method))
    }

    async fn call_files(&self, method: &str, parameters: Vec<Value>) -> Result<Value, ServiceError> {
        let wrong = ServiceError::no_matching_parameters(file_transfer::NAME, method, parameters.len());
        let mut parameters = parameters.into_iter();
        let (first, second, rest) = (parameters.next(), parameters.next(), parameters.next());
        if method.eq_ignore_ascii_case("UploadFile") {
            let upload = match (second, rest) {
                (Some(Value::Stream(upload)), None) => Some(upload),
                (Some(Value::Null), None) => None,
                _ => return Err(wrong),
            };
            let Some(Value::String(path)) = first else {
                return Err(wrong);
            };
            return Ok(self.files.upload_file(path, upload).await?.into_value());
        }
        if method.eq_ignore_ascii_case("DownloadFile") {
            let (Some(Value::String(path)), None) = (first, second) else {
                return Err(wrong);
            };
            let content: Option<DataStream> = self.files.download_file(path).await?;
            return Ok(content.map_or(Value::Null, Value::Stream));
        }
        Err(ServiceError::method_not_found(file_transfer::NAME, method))
    }
}

#[async_trait]
impl<S: ScriptService, F: FileTransferService> Service for AgentServices<S, F> {
    async fn call(&self, service: &str, method: &str, parameters: Vec<Value>) -> Result<Value, ServiceError> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(ServiceError::shutting_down());
        }
        match service {
            script_service::NAME => self.call_scripts(method, parameters).await,
            file_transfer::NAME => self.call_files(method, parameters).await,
            capabilities::NAME if !method.eq_ignore_ascii_case("GetCapabilities") => {
                Err(ServiceError::method_not_found(capabilities::NAME, method))
            }
            capabilities::NAME if !parameters.is_empty() => Err(ServiceError::no_matching_parameters(
                capabilities::NAME,
                method,
                parameters.len(),
            )),
            capabilities::NAME => Ok(Capabilities::ours().into_value()),
            unknown => Err(ServiceError::service_not_found(unknown)),
        }
    }

    fn known_types(&self) -> KnownTypes {
        KNOWN_TYPES
    }
}

/// The only parameter, which must be of a type.
fn one(parameters: Vec<Value>, service: &str, method: &str, type_name: &str) -> Result<Value, ServiceError> {
    let given = parameters.len();
    match <[Value; 1]>::try_from(parameters) {
        Ok([Value::Document(document)]) if document.type_name() == Some(type_name) => {
            Ok(Value::Document(document))
        }
        _ => Err(ServiceError::no_matching_parameters(service, method, given)),
    }
}

fn unreadable(error: &ShapeError) -> ServiceError {
    ServiceError::threw("System.ArgumentException", error.to_string())
}

#[cfg(test)]
mod tests {
    use halibut::{Document, ServerErrorKind};

    use super::*;
    use crate::file_transfer::UploadResult;
    use crate::script_service::{ProcessState, ScriptStatus};
    use crate::script_ticket::ScriptTicket;

    struct Echo;

    fn status(ticket: ScriptTicket, next_log_sequence: i64) -> Result<ScriptStatus, ServiceError> {
        Ok(ScriptStatus {
            ticket,
            logs: Vec::new(),
            next_log_sequence,
            state: ProcessState::Complete,
            exit_code: 0,
        })
    }

    #[async_trait]
    impl ScriptService for Echo {
        async fn start_script(&self, command: StartScriptCommand) -> Result<ScriptStatus, ServiceError> {
            status(command.ticket, 0)
        }
        async fn get_status(&self, ticket: ScriptTicket, last: i64) -> Result<ScriptStatus, ServiceError> {
            status(ticket, last)
        }
        async fn cancel_script(&self, ticket: ScriptTicket, last: i64) -> Result<ScriptStatus, ServiceError> {
            status(ticket, last)
        }
        async fn complete_script(&self, _: ScriptTicket) -> Result<(), ServiceError> {
            Ok(())
        }
    }

    #[async_trait]
    impl FileTransferService for Echo {
        async fn upload_file(
            &self,
            path: String,
            upload: Option<DataStream>,
        ) -> Result<UploadResult, ServiceError> {
            let length = upload.map_or(0, |stream| i64::try_from(stream.length()).expect("short"));
            Ok(UploadResult {
                full_path: path,
                hash: None,
                length,
            })
        }
        async fn download_file(&self, _: String) -> Result<Option<DataStream>, ServiceError> {
            Ok(None)
        }
    }

    async fn call(service: &str, method: &str, parameters: Vec<Value>) -> Result<Value, ServerErrorKind> {
        let outcome = AgentServices::new(Echo, Echo)
            .call(service, method, parameters)
            .await;
        outcome.map_err(|error| halibut::ServerError::from(error).kind())
    }

    #[tokio::test]
    async fn methods_are_found_in_any_case_and_services_only_in_theirs() {
        assert!(
            call("ICapabilitiesServiceV2", "getcapabilities", Vec::new())
                .await
                .is_ok()
        );
        assert_eq!(
            call("icapabilitiesservicev2", "GetCapabilities", Vec::new()).await,
            Err(ServerErrorKind::ServiceNotFound)
        );
        assert_eq!(
            call("IScriptService", "StartScript", Vec::new()).await,
            Err(ServerErrorKind::ServiceNotFound)
        );
        assert_eq!(
            call("IFileTransferService", "Vanish", vec!["x".into()]).await,
            Err(ServerErrorKind::MethodNotFound)
        );
    }

    #[tokio::test]
    async fn parameters_must_fit() {
        let ticket = ScriptTicket::parse("one").expect("a ticket");
        let start = || StartScriptCommand::new(ticket.clone(), "", "").into_value();
        assert!(
            call("IScriptServiceV2", "StartScript", vec![start()])
                .await
                .is_ok()
        );
        assert!(
            call(
                "IScriptServiceV2",
                "CompleteScript",
                vec![script_service::complete_command(&ticket)]
            )
            .await
            .is_ok()
        );
        for parameters in [
            vec![],
            vec![start(), start()],
            vec!["text".into()],
            vec![Value::Null],
        ] {
            assert_eq!(
                call("IScriptServiceV2", "StartScript", parameters).await,
                Err(ServerErrorKind::MethodNotFound)
            );
        }
        assert_eq!(
            call("IScriptServiceV2", "GetStatus", vec![start()]).await,
            Err(ServerErrorKind::MethodNotFound)
        );
        let empty = Document::typed("Octopus.Tentacle.Contracts.ScriptServiceV2.StartScriptCommandV2, X");
        assert_eq!(
            call("IScriptServiceV2", "StartScript", vec![empty.into()]).await,
            Err(ServerErrorKind::MethodFailed)
        );
        let upload = vec!["x".into(), Value::Stream(DataStream::from_bytes(&b"abc"[..]))];
        assert!(call("IFileTransferService", "UploadFile", upload).await.is_ok());
        assert!(
            call(
                "IFileTransferService",
                "UploadFile",
                vec!["x".into(), Value::Null]
            )
            .await
            .is_ok()
        );
        assert_eq!(
            call("IFileTransferService", "UploadFile", vec!["x".into()]).await,
            Err(ServerErrorKind::MethodNotFound)
        );
        assert_eq!(
            call("IFileTransferService", "DownloadFile", vec!["x".into()]).await,
            Ok(Value::Null)
        );
    }

    #[tokio::test]
    async fn an_agent_that_stops_says_so() {
        let agent = AgentServices::new(Echo, Echo);
        agent.stop();
        let error = agent
            .call("IScriptServiceV2", "GetStatus", Vec::new())
            .await
            .expect_err("stopping");
        assert_eq!(
            error.to_string(),
            "The Tentacle service is shutting down and cannot process this request."
        );
    }
}
