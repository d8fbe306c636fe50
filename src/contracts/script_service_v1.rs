//! `IScriptService`: the first version, for agents that have no other (`tentacle-protocol.md` 6.4). The agent
//! makes the ticket, so a start that broke off must never be repeated.

use halibut::{Document, Value};

use crate::fields::{Fields, ShapeError};
use crate::script_service::StartScriptCommand;
use crate::script_ticket::ScriptTicket;

/// Name of the contract.
pub const NAME: &str = "IScriptService";

/// The parameter of `StartScript`: the same command without ticket and waiting.
pub fn start_command(command: StartScriptCommand) -> Value {
    let Value::Document(mut newer) = command.into_value() else {
        unreachable!("a command is a document")
    };
    let members = [
        "ScriptBody",
        "Isolation",
        "Scripts",
        "Files",
        "Arguments",
        "TaskId",
        "ScriptIsolationMutexTimeout",
        "IsolationMutexName",
    ];
    let older = legacy("StartScriptCommand");
    Value::Document(
        members
            .into_iter()
            .fold(older, |older, name| older.with(name, newer.take(name))),
    )
}

/// The ticket that `StartScript` answers with.
pub fn started_ticket(value: Value) -> Result<ScriptTicket, ShapeError> {
    let text = Fields::of(value, "ScriptTicket")?.text("TaskId")?;
    ScriptTicket::parse(&text)
        .map_err(|_| ShapeError::new("TaskId", "1 to 128 letters, digits, dots, dashes or underscores"))
}

/// The parameter of `GetStatus`.
pub fn status_request(ticket: &ScriptTicket, last_log_sequence: i64) -> Value {
    ticket_and_sequence("ScriptStatusRequest", ticket, last_log_sequence)
}

/// The parameter of `CancelScript`.
pub fn cancel_command(ticket: &ScriptTicket, last_log_sequence: i64) -> Value {
    ticket_and_sequence("CancelScriptCommand", ticket, last_log_sequence)
}

/// The parameter of `CompleteScript`, which answers with the last lines.
pub fn complete_command(ticket: &ScriptTicket, last_log_sequence: i64) -> Value {
    ticket_and_sequence("CompleteScriptCommand", ticket, last_log_sequence)
}

fn ticket_and_sequence(name: &str, ticket: &ScriptTicket, last_log_sequence: i64) -> Value {
    let document = legacy(name)
        .with("Ticket", Document::new().with("TaskId", ticket.as_str()))
        .with("LastLogSequence", Value::Int64(last_log_sequence));
    Value::Document(document)
}

fn legacy(name: &str) -> Document {
    Document::typed(&format!("Octopus.Shared.Contracts.{name}, Octopus.Shared"))
}
