//! What an agent offers to be called, and how it says that a call failed.

use async_trait::async_trait;

use crate::protocol::message::ServerError;
use crate::protocol::value::Value;

/// What can be called, found by service and method name.
#[async_trait]
pub trait Service: Send + Sync {
    /// Executes one call. `service` is compared exactly, `method` without case (`tentacle-protocol.md` 5.1).
    /// When the caller goes away, the call runs on to its end and the answer is dropped.
    async fn call(&self, service: &str, method: &str, parameters: Vec<Value>) -> Result<Value, ServiceError>;

    /// The `$type` names that requests may carry.
    fn known_types(&self) -> KnownTypes;
}

/// The simple class names (`ScriptTicket`) that a receiver accepts in `$type`, whatever their namespace and
/// assembly. The types of the protocol itself are always known.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownTypes(pub &'static [&'static str]);

impl KnownTypes {
    /// Whether `Name.Space.Class, Assembly` is a type that the receiver knows.
    pub fn contains(self, type_name: &str) -> bool {
        let full = type_name.split(',').next().unwrap_or_default().trim();
        let simple = full.rsplit('.').next().unwrap_or_default();
        self.0.contains(&simple)
    }
}

/// Why a call failed, in the words that callers of both kinds understand (`tentacle-protocol.md` 5.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.message)]
pub struct ServiceError(ServerError);

/// How `details` must begin so that the caller knows that the called method itself failed, and does not try
/// again.
pub(crate) const THREW: &str =
    "System.Reflection.TargetInvocationException: Exception has been thrown by the target of an invocation.";

impl ServiceError {
    /// The called method failed: `exception` is the name that the original would give the kind of failure,
    /// such as `System.IO.IOException`; `message` is for a reader.
    pub fn threw(exception: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let details =
            format!("{THREW}\n ---> {exception}: {message}\n   --- End of inner exception stack trace ---");
        Self(ServerError {
            message,
            details,
            error_type: None,
        })
    }

    /// There is no service of this name.
    pub fn service_not_found(name: &str) -> Self {
        Self::typed(
            "ServiceNotFoundHalibutClientException",
            format!("Service not found: {name}"),
        )
    }

    /// The service has no method of this name.
    pub fn method_not_found(service: &str, method: &str) -> Self {
        Self::typed(
            "MethodNotFoundHalibutClientException",
            format!("Method {service}::{method}Async not found"),
        )
    }

    /// The method exists, but not with these parameters.
    pub fn no_matching_parameters(service: &str, method: &str, given: usize) -> Self {
        Self::typed(
            "AmbiguousMethodMatchHalibutClientException",
            format!(
                "Unable to find a unique overload of the service method {service}::{method}Async that takes the given \
                 {given} parameters.\nThe request does not fit this version of the service."
            ),
        )
    }

    /// The agent is about to stop; the caller must not take it for an agent without the service.
    pub fn shutting_down() -> Self {
        Self::threw(
            "System.Exception",
            "The Tentacle service is shutting down and cannot process this request.",
        )
    }

    fn typed(exception: &str, message: String) -> Self {
        let error_type = format!("Halibut.Exceptions.{exception}");
        let details = format!("{error_type}: {message}");
        Self(ServerError {
            message,
            details,
            error_type: Some(error_type),
        })
    }
}

impl From<ServiceError> for ServerError {
    fn from(error: ServiceError) -> Self {
        error.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_type_are_one_type() {
        let known = KnownTypes(&["ScriptTicket"]);
        assert!(known.contains("Octopus.Shared.Contracts.ScriptTicket, Octopus.Shared"));
        assert!(known.contains("Octopus.Tentacle.Contracts.ScriptTicket, Octopus.Tentacle.Contracts"));
        assert!(!known.contains("System.Diagnostics.Process, System"));
        assert!(!known.contains(""));
    }
}
