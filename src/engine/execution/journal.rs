//! What was done with each ticket, as this and former executors wrote it down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use application::Context;
use domain::SpaceId;
use domain::artifact::Artifact;
use domain::variable_set::output::OutputVariable;
use security::{Sealed, SealedPlace, Secret};
use serde::{Deserialize, Serialize};
use storage::Lease;
use storage::journal::{Entry, EntryKind};

use crate::error::{Error, Result};

/// How far a ticket has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// Nobody has heard of it.
    Nothing,
    /// It was about to be sent: the agent may know it or not. The same ticket is sent again.
    Dispatched,
    /// The agent has it. It is only asked for its status.
    Accepted,
    /// It has ended.
    Finished(Finished),
}

/// How an attempt of an action ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Success, or why not.
    pub outcome: ActionOutcome,
    /// What it left for later actions, in clear.
    pub outputs: Vec<OutputVariable>,
}

/// How an attempt of an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionOutcome {
    /// It did what it should.
    Succeeded,
    /// It did what it should, and warned.
    Warned,
    /// It did not; the text says why.
    Failed(String),
    /// It was stopped.
    Canceled,
}

impl ActionOutcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Warned => "warned",
            Self::Failed(_) => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// The journal of a task that this node executes.
pub struct Journal {
    lease: Lease,
    context: Arc<Context>,
    space: SpaceId,
    known: Mutex<HashMap<String, Known>>,
}

/// What stands in the document of a finished entry.
#[derive(Serialize, Deserialize)]
struct Document {
    outcome: ActionOutcome,
    outputs: Vec<StoredOutput>,
}

#[derive(Serialize, Deserialize)]
struct StoredOutput {
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

impl Journal {
    /// Reads what former executors wrote.
    ///
    /// # Errors
    /// When the database fails, or an entry cannot be read.
    pub async fn open(lease: Lease, context: Arc<Context>, space: SpaceId) -> Result<Self> {
        let journal = Self {
            lease,
            context,
            space,
            known: Mutex::default(),
        };
        let entries = journal.lease.journal().await?;
        let mut known: HashMap<String, Known> = HashMap::new();
        for written in entries {
            let Entry {
                ticket,
                kind,
                document,
                ..
            } = written.entry;
            let next = match kind {
                EntryKind::Dispatched => Known::Dispatched,
                EntryKind::Accepted => Known::Accepted,
                EntryKind::Finished => Known::Finished(journal.read(&ticket, &document)?),
            };
            known.insert(ticket, next);
        }
        *journal.lock() = known;
        Ok(journal)
    }

    /// How far a ticket has come.
    #[must_use]
    pub fn known(&self, ticket: &str) -> Known {
        self.lock().get(ticket).cloned().unwrap_or(Known::Nothing)
    }

    /// Whether a former executor has left anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Notes that a ticket is about to be sent.
    ///
    /// # Errors
    /// When the lease is lost or the database fails.
    pub async fn dispatched(&self, ticket: &str) -> Result<()> {
        self.append(ticket, EntryKind::Dispatched, None, "{}".into())
            .await?;
        self.lock().insert(ticket.into(), Known::Dispatched);
        Ok(())
    }

    /// Notes that the agent has a ticket.
    ///
    /// # Errors
    /// When the lease is lost or the database fails.
    pub async fn accepted(&self, ticket: &str) -> Result<()> {
        self.append(ticket, EntryKind::Accepted, None, "{}".into())
            .await?;
        self.lock().insert(ticket.into(), Known::Accepted);
        Ok(())
    }

    /// Notes how a ticket ended. Its log must be synced before.
    ///
    /// # Errors
    /// When the lease is lost or the database fails.
    pub async fn finished(&self, ticket: &str, finished: &Finished) -> Result<()> {
        let word = finished.outcome.word().to_owned();
        let document = self.write(ticket, finished);
        self.append(ticket, EntryKind::Finished, Some(word), document)
            .await?;
        self.lock()
            .insert(ticket.into(), Known::Finished(finished.clone()));
        Ok(())
    }

    /// Adds an artifact whose file is stored; false when the file of this `origin` is there already.
    ///
    /// # Errors
    /// When the lease is lost or the database fails.
    pub async fn artifact(&self, artifact: &Artifact, origin: &str) -> Result<bool> {
        let mut session = self.lease.write(self.context.clock.now()).await?;
        let added = storage::artifact::insert(&mut session, artifact, Some(origin)).await?;
        session.commit().await?;
        Ok(added)
    }

    async fn append(
        &self,
        ticket: &str,
        kind: EntryKind,
        outcome: Option<String>,
        document: String,
    ) -> Result<()> {
        let entry = Entry {
            ticket: ticket.into(),
            kind,
            attempt: 1,
            outcome,
            document,
        };
        self.lease.append(&entry, self.context.clock.now()).await?;
        Ok(())
    }

    fn write(&self, ticket: &str, finished: &Finished) -> String {
        let outputs = finished.outputs.iter().map(|output| {
            let (value, sealed) = if output.sensitive {
                let field = field(ticket, &output.name);
                let sealed = self
                    .context
                    .keys
                    .seal(self.place(&field), &Secret::from(output.value.as_str()));
                (None, Some(sealed.as_str().to_owned()))
            } else {
                (Some(output.value.clone()), None)
            };
            StoredOutput {
                action: output.action.clone(),
                machine: output.machine.clone(),
                name: output.name.clone(),
                value,
                sealed,
            }
        });
        let document = Document {
            outcome: finished.outcome.clone(),
            outputs: outputs.collect(),
        };
        serde_json::to_string(&document).expect("texts are always JSON")
    }

    fn read(&self, ticket: &str, text: &str) -> Result<Finished> {
        let document: Document = serde_json::from_str(text).map_err(|error| {
            Error::Broken(format!(
                "The journal of {} is damaged: {error}.",
                self.lease.task()
            ))
        })?;
        let mut outputs = Vec::new();
        for output in document.outputs {
            let sensitive = output.sealed.is_some();
            let value = match output.sealed {
                Some(sealed) => {
                    let field = field(ticket, &output.name);
                    self.context
                        .keys
                        .open(self.place(&field), &Sealed::from_text(sealed))?
                        .expose()
                        .to_owned()
                }
                None => output.value.unwrap_or_default(),
            };
            outputs.push(OutputVariable {
                action: output.action,
                machine: output.machine,
                name: output.name,
                value,
                sensitive,
            });
        }
        Ok(Finished {
            outcome: document.outcome,
            outputs,
        })
    }

    fn place<'a>(&'a self, field: &'a str) -> SealedPlace<'a> {
        SealedPlace {
            space: self.space.as_str(),
            document_type: "ServerTasks",
            document_id: self.lease.task().as_str(),
            field,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn field(ticket: &str, name: &str) -> String {
    format!("Outputs/{ticket}/{name}")
}
