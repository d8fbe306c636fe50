//! Events: what happened, who did it, to what (`rest-api.md` 5.22).

use crate::document::Document;
use crate::shape::shape;
use crate::time::Timestamp;
use crate::{EventId, SpaceId, UserId};

shape! {
    /// One entry of the audit. It is written once and never changed.
    pub struct Event {
        /// `Events-1`; the number only grows.
        pub id: EventId,
        /// The space it happened in; null = the system.
        pub space_id: Option<SpaceId>,
        /// `Created`, `Modified`, `Deleted`, `DeploymentQueued`, …
        pub category: String,
        /// When.
        pub occurred: Timestamp,
        /// Who.
        pub user_id: UserId,
        /// Who, by name.
        pub username: String,
        /// Whether a service account did it.
        pub is_service: bool,
        /// Session cookie, API key, or the system itself.
        pub identity_established_with: String,
        /// The program that was used.
        pub user_agent: String,
        /// Where the request came from.
        pub ip_address: Option<String>,
        /// What happened, one sentence.
        pub message: String,
        /// Which parts of the message name which document.
        pub message_references: Vec<MessageReference>,
        /// The documents concerned.
        pub related_document_ids: Vec<String>,
        /// More of it.
        pub details: Option<String>,
    }

    /// A part of an event's message that names a document.
    pub struct MessageReference {
        /// The document.
        pub referenced_document_id: String,
        /// Where its name begins, in UTF-16 units as the clients count.
        pub start_index: i32,
        /// How long its name is, in UTF-16 units.
        pub length: i32,
    }
}

impl Document for Event {}

/// A sentence about documents, with their names marked.
///
/// ```
/// let message = domain::event::Message::new("Project ").name("Projects-1", "Web").text(" was created");
/// assert_eq!(message.text, "Project Web was created");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The whole sentence.
    pub text: String,
    /// Its marked parts.
    pub references: Vec<MessageReference>,
}

impl Message {
    /// Begins a sentence.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            references: Vec::new(),
        }
    }

    /// Goes on with plain text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Goes on with the name of a document.
    #[must_use]
    pub fn name(mut self, id: impl AsRef<str>, name: &str) -> Self {
        let units = |text: &str| i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX);
        self.references.push(MessageReference {
            referenced_document_id: id.as_ref().into(),
            start_index: units(&self.text),
            length: units(name),
        });
        self.text.push_str(name);
        self
    }

    /// The documents named, each once, in order.
    #[must_use]
    pub fn documents(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for reference in &self.references {
            if !ids.contains(&reference.referenced_document_id) {
                ids.push(reference.referenced_document_id.clone());
            }
        }
        ids
    }
}
