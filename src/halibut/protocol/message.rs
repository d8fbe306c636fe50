//! Requests and responses.

use uuid::Uuid;

use crate::protocol::value::{Document, Value};

/// A call (`tentacle-protocol.md` 3.5).
#[derive(Debug, PartialEq)]
pub struct RequestMessage {
    /// Unique; the response repeats it.
    pub id: String,
    /// The GUID that is also in `id`, as its 16 bytes on the wire. Old peers leave it out.
    pub activity_id: Option<[u8; 16]>,
    /// Where the caller thinks it goes: informational.
    pub endpoint: Option<Document>,
    /// Name of the contract, such as `IScriptServiceV2`.
    pub service: String,
    /// Name of the method, without `Async`.
    pub method: String,
    /// Arguments by position.
    pub params: Vec<Value>,
}

impl RequestMessage {
    /// A request with a fresh id of the usual form, `IService::MethodAsync[1] / <guid>`.
    pub fn new(service: &str, method: &str, params: Vec<Value>) -> Self {
        let activity = Uuid::new_v4();
        Self {
            id: format!("{service}::{method}Async[1] / {activity}"),
            activity_id: Some(activity.to_bytes_le()),
            endpoint: None,
            service: service.to_owned(),
            method: method.to_owned(),
            params,
        }
    }
}

/// The answer to a call (`tentacle-protocol.md` 3.6).
#[derive(Debug, PartialEq)]
pub struct ResponseMessage {
    /// The id of the request.
    pub id: String,
    /// What the method returned (null when it returns nothing), or why it failed.
    pub result: Result<Value, ServerError>,
}

/// How the called side reports a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// For a reader.
    pub message: String,
    /// Text of the failure with its causes; its beginning tells the kind of failure.
    pub details: String,
    /// Name of the kind of failure, when it is one of the protocol's own.
    pub error_type: Option<String>,
}
