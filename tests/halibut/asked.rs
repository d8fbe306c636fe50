//! Recorded requests as calls of our Server's typed client, and recorded answers as what it should give.

use contracts::script_service::{TicketAndSequence, complete_ticket};
use contracts::script_service_v1 as v1;
use contracts::{
    AgentClient, AgentError, Capabilities, ScriptStatus, ScriptTicket, StartScriptCommand, UploadResult,
};
use halibut::{CallError, Caller, DataStream, RequestMessage, ResponseMessage, ServerError, Value};
use tokio_util::sync::CancellationToken;

/// What a call gave, in a form that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Capabilities(Capabilities),
    Status(ScriptStatus),
    Ticket(ScriptTicket),
    Upload(UploadResult),
    Download(Option<Vec<u8>>),
    Nothing,
    Failed(ServerError),
    Cancelled,
}

/// Asks as the original asked; `contents` are those of the recorded streams, in order.
pub async fn ask(
    client: &AgentClient,
    caller: &Caller,
    mut request: RequestMessage,
    contents: Vec<Vec<u8>>,
    cancel: &CancellationToken,
) -> Outcome {
    let mut contents = contents.into_iter();
    let parameter = request.params.pop();
    let outcome = match (&request.service[..], &request.method[..]) {
        ("ICapabilitiesServiceV2", "GetCapabilities") => {
            client.capabilities(cancel).await.map(Outcome::Capabilities)
        }
        ("IScriptServiceV2", "StartScript") => {
            let mut command =
                StartScriptCommand::from_value(parameter.expect("a command")).expect("a command");
            for (file, content) in command.files.iter_mut().zip(contents) {
                file.contents = DataStream::from_bytes(content);
            }
            client.start_script(&command, cancel).await.map(Outcome::Status)
        }
        ("IScriptServiceV2", method @ ("GetStatus" | "CancelScript")) => {
            let asks = TicketAndSequence::from_value(parameter.expect("a request")).expect("a request");
            let (ticket, last) = (asks.ticket, asks.last_log_sequence);
            let status = match method {
                "GetStatus" => client.get_status(&ticket, last, cancel).await,
                _ => client.cancel_script(&ticket, last, cancel).await,
            };
            status.map(Outcome::Status)
        }
        ("IScriptServiceV2", "CompleteScript") => {
            let ticket = complete_ticket(parameter.expect("a command")).expect("a command");
            client
                .complete_script(&ticket, cancel)
                .await
                .map(|()| Outcome::Nothing)
        }
        ("IScriptService", "StartScript") => client
            .start_script_v1(&first_version(parameter.expect("a command")), cancel)
            .await
            .map(Outcome::Ticket),
        ("IScriptService", method) => {
            let asks = TicketAndSequence::from_value(parameter.expect("a request")).expect("a request");
            let (ticket, last) = (asks.ticket, asks.last_log_sequence);
            let status = match method {
                "GetStatus" => client.get_status_v1(&ticket, last, cancel).await,
                "CancelScript" => client.cancel_script_v1(&ticket, last, cancel).await,
                _ => client.complete_script_v1(&ticket, last, cancel).await,
            };
            status.map(Outcome::Status)
        }
        ("IFileTransferService", "UploadFile") => {
            let Some(Value::String(path)) = request.params.pop() else {
                panic!("a path")
            };
            let content = DataStream::from_bytes(contents.next().expect("content"));
            client
                .upload_file(&path, &content, cancel)
                .await
                .map(Outcome::Upload)
        }
        ("IFileTransferService", "DownloadFile") => {
            let Some(Value::String(path)) = parameter else {
                panic!("a path")
            };
            match client.download_file(&path, cancel).await {
                Ok(Some(content)) => Ok(Outcome::Download(Some(
                    content.read_to_vec(1 << 30).await.expect("content"),
                ))),
                Ok(None) => Ok(Outcome::Download(None)),
                Err(error) => Err(error),
            }
        }
        (service, method) => {
            let request = RequestMessage::new(service, method, vec![parameter.expect("one parameter")]);
            let answer = caller.call(client.endpoint(), request, cancel).await;
            answer.map(|_| Outcome::Nothing).map_err(AgentError::Call)
        }
    };
    match outcome {
        Ok(outcome) => outcome,
        Err(AgentError::Call(CallError::Remote(error))) => Outcome::Failed(error),
        Err(AgentError::Call(CallError::Cancelled { .. })) => Outcome::Cancelled,
        Err(other) => panic!("{}::{} failed: {other}", request.service, request.method),
    }
}

/// What the original's answer means; `contents` are those of the recorded streams.
pub fn expected(request: &RequestMessage, answer: ResponseMessage, contents: &[Vec<u8>]) -> Outcome {
    let value = match answer.result {
        Ok(value) => value,
        Err(_) if request.method == "GetCapabilities" => {
            return Outcome::Capabilities(Capabilities::of_an_old_agent());
        }
        Err(error) => return Outcome::Failed(error),
    };
    match (&request.service[..], &request.method[..]) {
        (_, "GetCapabilities") => {
            Outcome::Capabilities(Capabilities::from_value(value).expect("capabilities"))
        }
        ("IScriptService", "StartScript") => Outcome::Ticket(v1::started_ticket(value).expect("a ticket")),
        ("IScriptServiceV2", "CompleteScript") => Outcome::Nothing,
        (_, "UploadFile") => Outcome::Upload(UploadResult::from_value(value).expect("a result")),
        (_, "DownloadFile") => Outcome::Download(contents.first().cloned()),
        _ => Outcome::Status(ScriptStatus::from_value(value).expect("a status")),
    }
}

/// The command of the first version as one of the second, whose ticket does not travel.
fn first_version(value: Value) -> StartScriptCommand {
    let Value::Document(document) = value else {
        panic!("a command")
    };
    let ticket = halibut::Document::new().with("TaskId", "none");
    StartScriptCommand::from_value(document.with("ScriptTicket", ticket).into()).expect("a command")
}
