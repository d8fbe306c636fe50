//! `IScriptServiceV2`: scripts that run under a ticket (`tentacle-protocol.md` 6.2, 6.3).

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use halibut::{DataStream, Document, ServiceError, Value};

use crate::fields::{Fields, ShapeError};
use crate::script_ticket::ScriptTicket;
use crate::time_span;

/// Name of the contract.
pub const NAME: &str = "IScriptServiceV2";

/// What an agent does with scripts. Every answer holds what came after `last_log_sequence`.
#[async_trait]
pub trait ScriptService: Send + Sync {
    /// Starts the script unless this ticket was started before, and waits for its end as long as the command
    /// says. A ticket never runs twice; a repeated call answers with the whole log.
    async fn start_script(&self, command: StartScriptCommand) -> Result<ScriptStatus, ServiceError>;

    /// State and new log lines. An unknown ticket is complete with exit code −45, one that was lost in a
    /// restart with −46.
    async fn get_status(
        &self,
        ticket: ScriptTicket,
        last_log_sequence: i64,
    ) -> Result<ScriptStatus, ServiceError>;

    /// Asks the script to end and answers at once; completion shows in later answers.
    async fn cancel_script(
        &self,
        ticket: ScriptTicket,
        last_log_sequence: i64,
    ) -> Result<ScriptStatus, ServiceError>;

    /// Forgets the ticket and removes its workspace. An unknown ticket is no error.
    async fn complete_script(&self, ticket: ScriptTicket) -> Result<(), ServiceError>;
}

/// A script to run. Not `Clone`: [`StartScriptCommand::fresh`] makes another of it whose streams can be sent
/// again.
#[derive(Debug, PartialEq)]
pub struct StartScriptCommand {
    /// Chosen by the caller.
    pub ticket: ScriptTicket,
    /// The script for the machine's own shell.
    pub body: String,
    /// Such as `ServerTasks-123`; used in messages about waiting.
    pub task_id: String,
    /// How long the call itself may wait for the end of the script.
    pub wait: Option<Duration>,
    /// Whether others may run meanwhile.
    pub isolation: IsolationLevel,
    /// How long to wait for the isolation lock; none is for ever.
    pub mutex_timeout: Option<Duration>,
    /// Name of the isolation lock; none means `RunningScript`.
    pub mutex_name: Option<String>,
    /// Bodies for particular shells, which go before `body`.
    pub scripts: BTreeMap<ScriptType, String>,
    /// Files to put into the workspace.
    pub files: Vec<ScriptFile>,
    /// Arguments; the original joins them with spaces and lets the shell take them apart.
    pub arguments: Vec<String>,
}

/// Whether scripts exclude each other, by name of their lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    /// Runs beside other scripts of this level.
    No = 0,
    /// Runs alone.
    Full = 1,
}

/// The shell that a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptType {
    /// Windows PowerShell.
    PowerShell,
    /// Bash.
    Bash,
}

impl ScriptType {
    fn name(self) -> &'static str {
        match self {
            ScriptType::PowerShell => "PowerShell",
            ScriptType::Bash => "Bash",
        }
    }
}

/// A file beside the script.
#[derive(Debug, PartialEq)]
pub struct ScriptFile {
    /// Path relative to the workspace. Whoever writes it checks that it stays there.
    pub name: String,
    /// What to write.
    pub contents: DataStream,
    /// When given, the file is stored encrypted with it: a secret.
    pub encryption_password: Option<Password>,
}

/// A password that does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// How a script stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptStatus {
    /// Which script.
    pub ticket: ScriptTicket,
    /// Lines since the sequence that was asked for.
    pub logs: Vec<ProcessOutput>,
    /// What to ask with next time: the number of the last line.
    pub next_log_sequence: i64,
    /// How far it is.
    pub state: ProcessState,
    /// 0 until it is complete.
    pub exit_code: i32,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessOutput {
    /// Where it came from.
    pub source: OutputSource,
    /// When, in milliseconds since 1970 UTC.
    pub occurred: i64,
    /// The line without its end.
    pub text: String,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSource {
    /// Standard output, and messages of the agent that are for every reader.
    StdOut = 0,
    /// Standard error.
    StdErr = 1,
    /// Diagnostics of the agent.
    Debug = 2,
}

/// How far a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// Waits for its isolation lock.
    Pending = 0,
    /// Runs.
    Running = 1,
    /// Has ended.
    Complete = 2,
}

/// Exit codes with a meaning (`tentacle-protocol.md` 6.7).
pub mod exit_code {
    /// The agent could not write the log, or failed inside.
    pub const FATAL: i32 = -41;
    /// The shell could not be started.
    pub const SHELL_NOT_STARTED: i32 = -42;
    /// Cancelled while waiting for the isolation lock.
    pub const CANCELLED_BEFORE_START: i32 = -43;
    /// Gave up waiting for the isolation lock.
    pub const ISOLATION_TIMEOUT: i32 = -44;
    /// The agent does not know the ticket.
    pub const UNKNOWN_TICKET: i32 = -45;
    /// The agent restarted while the script ran.
    pub const UNKNOWN_RESULT: i32 = -46;
    /// PowerShell never began to run the script.
    pub const POWERSHELL_NEVER_STARTED: i32 = -47;
}

impl StartScriptCommand {
    /// A command with nothing but a body: no waiting, no isolation, no files.
    pub fn new(ticket: ScriptTicket, task_id: &str, body: &str) -> Self {
        Self {
            ticket,
            body: body.to_owned(),
            task_id: task_id.to_owned(),
            wait: None,
            isolation: IsolationLevel::No,
            mutex_timeout: None,
            mutex_name: None,
            scripts: BTreeMap::new(),
            files: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// The same command with streams that can be sent again.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let files = self.files.iter().map(|file| ScriptFile {
            name: file.name.clone(),
            contents: file.contents.fresh(),
            encryption_password: file.encryption_password.clone(),
        });
        Self {
            ticket: self.ticket.clone(),
            body: self.body.clone(),
            task_id: self.task_id.clone(),
            wait: self.wait,
            isolation: self.isolation,
            mutex_timeout: self.mutex_timeout,
            mutex_name: self.mutex_name.clone(),
            scripts: self.scripts.clone(),
            files: files.collect(),
            arguments: self.arguments.clone(),
        }
    }

    /// As it travels.
    pub fn into_value(self) -> Value {
        let scripts = self.scripts.into_iter();
        let scripts = scripts.fold(Document::new(), |all, (shell, body)| all.with(shell.name(), body));
        let files = self.files.into_iter().map(ScriptFile::into_value).collect();
        let arguments = self.arguments.into_iter().map(Value::String).collect();
        let document = v2("StartScriptCommandV2")
            .with("ScriptTicket", ticket_value(&self.ticket))
            .with("ScriptBody", self.body)
            .with("TaskId", self.task_id)
            .with(
                "DurationToWaitForScriptToFinish",
                self.wait.map(time_span::format),
            )
            .with("Isolation", Value::Int32(self.isolation as i32))
            .with(
                "ScriptIsolationMutexTimeout",
                time_span::format_timeout(self.mutex_timeout),
            )
            .with("IsolationMutexName", self.mutex_name)
            .with("Scripts", scripts)
            .with("Files", Value::Array(files))
            .with("Arguments", Value::Array(arguments));
        Value::Document(document)
    }

    /// From what travelled.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(value, "StartScriptCommandV2")?;
        let isolation = match fields.number("Isolation")? {
            0 => IsolationLevel::No,
            1 => IsolationLevel::Full,
            _ => return Err(ShapeError::new("Isolation", "0 or 1")),
        };
        let mut scripts = BTreeMap::new();
        for (name, body) in fields.optional_document("Scripts")?.unwrap_or_default() {
            let shell = [ScriptType::PowerShell, ScriptType::Bash]
                .into_iter()
                .find(|shell| shell.name() == name);
            if let (Some(shell), Value::String(body)) = (shell, body) {
                scripts.insert(shell, body);
            }
        }
        let files = fields.list("Files")?.into_iter().map(ScriptFile::from_value);
        Ok(Self {
            ticket: ticket_from(&mut fields, "ScriptTicket")?,
            body: fields.optional_text("ScriptBody")?.unwrap_or_default(),
            task_id: fields.optional_text("TaskId")?.unwrap_or_default(),
            wait: fields.optional_duration("DurationToWaitForScriptToFinish")?,
            isolation,
            mutex_timeout: fields
                .optional_duration("ScriptIsolationMutexTimeout")?
                .and_then(time_span::timeout_of),
            mutex_name: fields.optional_text("IsolationMutexName")?,
            scripts,
            files: files.collect::<Result<_, _>>()?,
            arguments: fields.list_of_text("Arguments")?,
        })
    }
}

impl ScriptFile {
    fn into_value(self) -> Value {
        let document = Document::new()
            .with("Name", self.name)
            .with("Contents", Value::Stream(self.contents))
            .with(
                "EncryptionPassword",
                self.encryption_password.map(|password| password.0),
            );
        Value::Document(document)
    }

    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(value, "ScriptFile")?;
        Ok(Self {
            name: fields.text("Name")?,
            contents: fields.stream("Contents")?,
            encryption_password: fields.optional_text("EncryptionPassword")?.map(Password),
        })
    }
}

impl ScriptStatus {
    /// As it travels.
    pub fn into_value(self) -> Value {
        let logs = self.logs.into_iter().map(|line| {
            let document = Document::new()
                .with("Source", Value::Int32(line.source as i32))
                .with("Occurred", Value::Date(line.occurred))
                .with("Text", line.text);
            Value::Document(document)
        });
        let document = v2("ScriptStatusResponseV2")
            .with("Ticket", ticket_value(&self.ticket))
            .with("Logs", Value::Array(logs.collect()))
            .with("NextLogSequence", Value::Int64(self.next_log_sequence))
            .with("State", Value::Int32(self.state as i32))
            .with("ExitCode", Value::Int32(self.exit_code));
        Value::Document(document)
    }

    /// From what travelled, in version 1 or 2 of the contract.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(value, "ScriptStatusResponse")?;
        let state = match fields.number("State")? {
            0 => ProcessState::Pending,
            1 => ProcessState::Running,
            2 => ProcessState::Complete,
            _ => return Err(ShapeError::new("State", "0, 1 or 2")),
        };
        let logs = fields.list("Logs")?.into_iter().map(ProcessOutput::from_value);
        Ok(Self {
            ticket: ticket_from(&mut fields, "Ticket")?,
            logs: logs.collect::<Result<_, _>>()?,
            next_log_sequence: fields.number("NextLogSequence")?,
            state,
            exit_code: i32::try_from(fields.number("ExitCode")?)
                .map_err(|_| ShapeError::new("ExitCode", "a 32-bit number"))?,
        })
    }
}

impl ProcessOutput {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(value, "ProcessOutput")?;
        let source = match fields.number("Source")? {
            0 => OutputSource::StdOut,
            1 => OutputSource::StdErr,
            2 => OutputSource::Debug,
            _ => return Err(ShapeError::new("Source", "0, 1 or 2")),
        };
        let text = fields.optional_text("Text")?.unwrap_or_default();
        Ok(Self {
            source,
            occurred: fields.date("Occurred")?,
            text,
        })
    }
}

/// The parameter of `GetStatus` and `CancelScript`.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketAndSequence {
    /// Which script.
    pub ticket: ScriptTicket,
    /// The number of the last line that the caller has.
    pub last_log_sequence: i64,
}

impl TicketAndSequence {
    /// As it travels to `GetStatus`.
    pub fn into_status_request(self) -> Value {
        self.into_typed("ScriptStatusRequestV2")
    }

    /// As it travels to `CancelScript`.
    pub fn into_cancel_command(self) -> Value {
        self.into_typed("CancelScriptCommandV2")
    }

    /// From either.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(value, "ScriptStatusRequestV2")?;
        let ticket = ticket_from(&mut fields, "Ticket")?;
        Ok(Self {
            ticket,
            last_log_sequence: fields.optional_number("LastLogSequence")?.unwrap_or(0),
        })
    }

    fn into_typed(self, name: &str) -> Value {
        let document = v2(name)
            .with("Ticket", ticket_value(&self.ticket))
            .with("LastLogSequence", Value::Int64(self.last_log_sequence));
        Value::Document(document)
    }
}

/// The parameter of `CompleteScript`.
pub fn complete_command(ticket: &ScriptTicket) -> Value {
    Value::Document(v2("CompleteScriptCommandV2").with("Ticket", ticket_value(ticket)))
}

/// The ticket of a `CompleteScript` parameter.
pub fn complete_ticket(value: Value) -> Result<ScriptTicket, ShapeError> {
    ticket_from(&mut Fields::of(value, "CompleteScriptCommandV2")?, "Ticket")
}

fn v2(name: &str) -> Document {
    Document::typed(&format!(
        "Octopus.Tentacle.Contracts.ScriptServiceV2.{name}, Octopus.Tentacle.Contracts"
    ))
}

fn ticket_value(ticket: &ScriptTicket) -> Document {
    Document::new().with("TaskId", ticket.as_str())
}

fn ticket_from(fields: &mut Fields, name: &'static str) -> Result<ScriptTicket, ShapeError> {
    let text = fields.document(name)?.text("TaskId")?;
    ScriptTicket::parse(&text)
        .map_err(|_| ShapeError::new(name, "1 to 128 letters, digits, dots, dashes or underscores"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> ScriptTicket {
        ScriptTicket::parse("Ticket-1").expect("a ticket")
    }

    #[test]
    fn a_command_survives_the_journey() {
        let mut command = StartScriptCommand::new(ticket(), "ServerTasks-42", "echo one");
        command.wait = Some(Duration::from_millis(1500));
        command.isolation = IsolationLevel::Full;
        command.mutex_timeout = Some(Duration::from_secs(180));
        command.mutex_name = Some("Deployment".to_owned());
        command.scripts.insert(ScriptType::Bash, "echo two".to_owned());
        command.arguments = vec!["one".to_owned(), "\"two three\"".to_owned()];
        command.files.push(ScriptFile {
            name: "greeting.txt".to_owned(),
            contents: DataStream::from_bytes(&b"hello"[..]),
            encryption_password: Some(Password("hidden".to_owned())),
        });
        assert!(!format!("{command:?}").contains("hidden"));
        let streams: Vec<_> = command.files.iter().map(|file| file.contents.id()).collect();

        let back = StartScriptCommand::from_value(command.into_value()).expect("the same shape");

        assert_eq!(back.files[0].contents.id(), streams[0]);
        assert_eq!(back.wait, Some(Duration::from_millis(1500)));
        assert_eq!(back.mutex_timeout, Some(Duration::from_secs(180)));
        assert_eq!(back.scripts[&ScriptType::Bash], "echo two");
        assert_eq!(back.arguments.len(), 2);
    }

    #[test]
    fn no_timeout_is_the_longest_one_on_the_wire() {
        let value = StartScriptCommand::new(ticket(), "", "").into_value();
        let Value::Document(document) = &value else {
            panic!("a document")
        };
        let timeout = document
            .get("ScriptIsolationMutexTimeout")
            .and_then(Value::as_str);
        assert_eq!(timeout, Some("24.20:31:23.6470000"));
        assert_eq!(
            StartScriptCommand::from_value(value)
                .expect("a command")
                .mutex_timeout,
            None
        );
    }

    #[test]
    fn a_ticket_that_is_a_path_is_refused() {
        let start = StartScriptCommand::new(ticket(), "", "").into_value();
        let Value::Document(mut document) = start else {
            panic!("a document")
        };
        document.take("ScriptTicket");
        let document = document.with("ScriptTicket", Document::new().with("TaskId", "../etc"));
        assert!(StartScriptCommand::from_value(Value::Document(document)).is_err());
    }
}
