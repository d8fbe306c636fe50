//! Requests and responses (`tentacle-protocol.md` 3.3 to 3.6).

use uuid::Uuid;

use crate::data_stream::DataStream;
use crate::protocol::bson::{self, Slot};
use crate::protocol::value::{Document, Value};
use crate::protocol::{Limits, ProtocolError};
use crate::service::KnownTypes;

const REQUEST_TYPE: &str = "Halibut.Transport.Protocol.RequestMessage, Halibut";
const RESPONSE_TYPE: &str = "Halibut.Transport.Protocol.ResponseMessage, Halibut";

/// The message that holds nothing, sent so that the peer knows the link is alive; as BSON.
pub const HEARTBEAT: &[u8] = b"\x0e\0\0\0\x0aMessage\0\0";

/// What a peer sent.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// Nothing, to say that the link is alive.
    Heartbeat,
    /// A call.
    Request(RequestMessage),
    /// An answer.
    Response(ResponseMessage),
}

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

    /// As BSON.
    pub fn to_bson(&self) -> Vec<u8> {
        envelope(|out| {
            bson::write_text_element(out, "$type", REQUEST_TYPE);
            bson::write_text_element(out, "id", &self.id);
            let activity = self.activity_id.map_or(Value::Null, Value::Guid);
            bson::write_element(out, "activityId", &activity, Slot::Typed);
            match &self.endpoint {
                Some(endpoint) => bson::write_document_element(out, "endpoint", |out| {
                    for (name, value) in endpoint.iter() {
                        bson::write_element(out, name, value, Slot::Typed);
                    }
                }),
                None => bson::write_element(out, "endpoint", &Value::Null, Slot::Typed),
            }
            bson::write_text_element(out, "service", &self.service);
            bson::write_text_element(out, "method", &self.method);
            bson::write_array_element(out, "params", &self.params, Slot::Untyped);
        })
    }

    /// The streams that follow the message, in order.
    pub fn streams(&self) -> Vec<&DataStream> {
        let mut found = Vec::new();
        self.params.iter().for_each(|value| collect(value, &mut found));
        found
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

impl ResponseMessage {
    /// As BSON.
    pub fn to_bson(&self) -> Vec<u8> {
        envelope(|out| {
            bson::write_text_element(out, "$type", RESPONSE_TYPE);
            bson::write_text_element(out, "id", &self.id);
            let result = match &self.result {
                Ok(result) => {
                    bson::write_element(out, "error", &Value::Null, Slot::Typed);
                    result
                }
                Err(error) => {
                    bson::write_document_element(out, "error", |out| error.write(out));
                    &Value::Null
                }
            };
            bson::write_element(out, "result", result, Slot::Untyped);
        })
    }

    /// The streams that follow the message, in order.
    pub fn streams(&self) -> Vec<&DataStream> {
        let mut found = Vec::new();
        if let Ok(result) = &self.result {
            collect(result, &mut found);
        }
        found
    }
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

/// What a reported failure means for the caller (`tentacle-protocol.md` 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerErrorKind {
    /// No service of that name.
    ServiceNotFound,
    /// The service has no such method, or none that takes these parameters.
    MethodNotFound,
    /// The method ran and failed.
    MethodFailed,
    /// Anything else; may be tried again.
    Other,
}

impl ServerError {
    /// What it means.
    pub fn kind(&self) -> ServerErrorKind {
        let named = self.error_type.as_deref().unwrap_or_default();
        let named = named.rsplit('.').next().unwrap_or_default();
        match named {
            "ServiceNotFoundHalibutClientException" => return ServerErrorKind::ServiceNotFound,
            "MethodNotFoundHalibutClientException" | "AmbiguousMethodMatchHalibutClientException" => {
                return ServerErrorKind::MethodNotFound;
            }
            _ => {}
        }
        if self.message.starts_with("Service not found: ") {
            ServerErrorKind::ServiceNotFound
        } else if (self.message.starts_with("Service ") && self.message.ends_with(" not found"))
            || self
                .details
                .starts_with("System.Reflection.AmbiguousMatchException: ")
        {
            ServerErrorKind::MethodNotFound
        } else if self.details.starts_with(crate::service::THREW) {
            ServerErrorKind::MethodFailed
        } else {
            ServerErrorKind::Other
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        bson::write_text_element(out, "message", &self.message);
        bson::write_text_element(out, "details", &self.details);
        match &self.error_type {
            Some(name) => bson::write_text_element(out, "HalibutErrorType", name),
            None => bson::write_element(out, "HalibutErrorType", &Value::Null, Slot::Typed),
        }
    }

    fn read(value: Value) -> Result<Self, ProtocolError> {
        let Value::Document(mut document) = value else {
            return Err(ProtocolError::Message("error"));
        };
        let mut text = |name| match document.take(name) {
            Value::String(text) => Some(text),
            _ => None,
        };
        Ok(Self {
            message: text("message").unwrap_or_default(),
            details: text("details").unwrap_or_default(),
            error_type: text("HalibutErrorType").filter(|name| !name.is_empty()),
        })
    }
}

impl Message {
    /// Reads the BSON of a message. The streams that it names are still to be read.
    pub fn from_bson(bytes: &[u8], known: KnownTypes, limits: &Limits) -> Result<Self, ProtocolError> {
        let mut envelope = bson::decode(bytes, known, limits)?;
        let payload = match envelope.take("Message") {
            Value::Null if envelope.is_empty() => return Ok(Message::Heartbeat),
            Value::Document(payload) => payload,
            _ => return Err(ProtocolError::Message("payload")),
        };
        let mut message = match payload.type_name() {
            Some("RequestMessage") => Message::Request(read_request(payload)?),
            Some("ResponseMessage") => Message::Response(read_response(payload)?),
            _ => return Err(ProtocolError::Message("type")),
        };
        message.check_streams(limits)?;
        Ok(message)
    }

    /// The streams that follow the message, in order, to be filled.
    pub fn streams_mut(&mut self) -> Vec<&mut DataStream> {
        let mut found = Vec::new();
        match self {
            Message::Request(request) => request
                .params
                .iter_mut()
                .for_each(|value| collect_mut(value, &mut found)),
            Message::Response(ResponseMessage {
                result: Ok(result), ..
            }) => collect_mut(result, &mut found),
            Message::Response(_) | Message::Heartbeat => {}
        }
        found
    }

    fn check_streams(&mut self, limits: &Limits) -> Result<(), ProtocolError> {
        let mut ids: Vec<_> = self.streams_mut().iter().map(|stream| stream.id()).collect();
        if ids.len() > limits.streams {
            return Err(ProtocolError::TooLarge {
                what: "data streams",
                limit: limits.streams as u64,
            });
        }
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(ProtocolError::DataStream("two references with one id"));
        }
        Ok(())
    }
}

fn read_request(mut payload: Document) -> Result<RequestMessage, ProtocolError> {
    let endpoint = match payload.take("endpoint") {
        Value::Document(endpoint) => Some(endpoint),
        Value::Null => None,
        _ => return Err(ProtocolError::Message("endpoint")),
    };
    let activity_id = match payload.take("activityId") {
        Value::Guid(id) => Some(id),
        Value::Null => None,
        _ => return Err(ProtocolError::Message("activityId")),
    };
    let params = match payload.take("params") {
        Value::Array(params) => params,
        Value::Null => Vec::new(),
        _ => return Err(ProtocolError::Message("params")),
    };
    Ok(RequestMessage {
        id: text(&mut payload, "id")?,
        activity_id,
        endpoint,
        service: text(&mut payload, "service")?,
        method: text(&mut payload, "method")?,
        params,
    })
}

fn read_response(mut payload: Document) -> Result<ResponseMessage, ProtocolError> {
    let id = text(&mut payload, "id")?;
    let result = match payload.take("error") {
        Value::Null => Ok(payload.take("result")),
        error => Err(ServerError::read(error)?),
    };
    Ok(ResponseMessage { id, result })
}

fn text(payload: &mut Document, name: &'static str) -> Result<String, ProtocolError> {
    match payload.take(name) {
        Value::String(text) => Ok(text),
        _ => Err(ProtocolError::Message(name)),
    }
}

fn envelope(content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    bson::container(&mut out, |out| {
        bson::write_document_element(out, "Message", content)
    });
    out
}

fn collect<'a>(value: &'a Value, found: &mut Vec<&'a DataStream>) {
    match value {
        Value::Stream(stream) => found.push(stream),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Document(document) => document.0.iter().for_each(|(_, value)| collect(value, found)),
        _ => {}
    }
}

fn collect_mut<'a>(value: &'a mut Value, found: &mut Vec<&'a mut DataStream>) {
    match value {
        Value::Stream(stream) => found.push(stream),
        Value::Array(values) => values.iter_mut().for_each(|value| collect_mut(value, found)),
        Value::Document(document) => document
            .0
            .iter_mut()
            .for_each(|(_, value)| collect_mut(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Message, ProtocolError> {
        Message::from_bson(bytes, KnownTypes::default(), &Limits::default())
    }

    #[test]
    fn the_request_of_the_specification_has_its_length() {
        let mut request = RequestMessage::new("ICapabilitiesServiceV2", "GetCapabilities", Vec::new());
        let endpoint = Document::new()
            .with("BaseUri", "https://a:10933/")
            .with("RemoteThumbprint", "0".repeat(40));
        request.endpoint = Some(endpoint);
        let bytes = request.to_bson();
        assert_eq!(bytes.len(), 394);
        assert_eq!(read(&bytes), Ok(Message::Request(request)));
    }

    #[test]
    fn an_error_arrives_with_its_kind() {
        let failures = [
            (
                crate::ServiceError::service_not_found("IX"),
                ServerErrorKind::ServiceNotFound,
            ),
            (
                crate::ServiceError::method_not_found("IX", "M"),
                ServerErrorKind::MethodNotFound,
            ),
            (
                crate::ServiceError::no_matching_parameters("IX", "M", 3),
                ServerErrorKind::MethodNotFound,
            ),
            (
                crate::ServiceError::threw("System.IO.IOException", "no space"),
                ServerErrorKind::MethodFailed,
            ),
        ];
        for (failure, kind) in failures {
            let response = ResponseMessage {
                id: "1".to_owned(),
                result: Err(failure.into()),
            };
            let back = read(&response.to_bson()).expect("a response");
            assert_eq!(back, Message::Response(response));
            let Message::Response(ResponseMessage {
                result: Err(error), ..
            }) = back
            else {
                panic!("an error")
            };
            assert_eq!(error.kind(), kind);
        }
    }

    #[test]
    fn a_heartbeat_is_a_message_of_nothing() {
        assert_eq!(read(HEARTBEAT), Ok(Message::Heartbeat));
        assert_eq!(
            bson::encode(&Document::new().with("Message", Value::Null)),
            HEARTBEAT
        );
        assert!(read(&bson::encode(&Document::new())).is_ok_and(|message| message == Message::Heartbeat));
        assert!(read(&bson::encode(&Document::new().with("Message", "text"))).is_err());
        assert!(read(&bson::encode(&Document::new().with("Message", Document::new()))).is_err());
    }

    #[test]
    fn streams_are_found_in_order_and_once() {
        let first = DataStream::from_bytes(&b"a"[..]);
        let second = DataStream::from_bytes(&b"b"[..]);
        let ids = [first.id(), second.id()];
        let again = DataStream::awaited(first.id(), 1);
        let nested = Document::new().with("Files", Value::Array(vec![Value::Stream(second)]));
        let request = RequestMessage::new("I", "M", vec![Value::Stream(first), Value::Document(nested)]);
        let mut message = read(&request.to_bson()).expect("a request");
        let found: Vec<_> = message.streams_mut().iter().map(|stream| stream.id()).collect();
        assert_eq!(found, ids);

        let mut request = request;
        request.params.push(Value::Stream(again));
        assert!(matches!(
            read(&request.to_bson()),
            Err(ProtocolError::DataStream(_))
        ));
    }
}
