//! `ICapabilitiesServiceV2`: which contracts an agent has (`tentacle-protocol.md` 6.1).

use halibut::{Document, Value};

use crate::fields::{Fields, ShapeError};

/// Name of the contract.
pub const NAME: &str = "ICapabilitiesServiceV2";

/// The names of the contracts that an agent has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities(Vec<String>);

impl Capabilities {
    /// What our agent has.
    pub fn ours() -> Self {
        Self(vec![
            crate::file_transfer::NAME.to_owned(),
            crate::script_service::NAME.to_owned(),
        ])
    }

    /// What an agent has that is too old to be asked.
    pub fn of_an_old_agent() -> Self {
        Self(vec![
            "IScriptService".to_owned(),
            crate::file_transfer::NAME.to_owned(),
        ])
    }

    /// Whether the agent has a contract.
    pub fn has(&self, contract: &str) -> bool {
        self.0.iter().any(|name| name == contract)
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// As it travels.
    pub fn into_value(self) -> Value {
        let names = self.0.into_iter().map(Value::String).collect();
        let type_name =
            "Octopus.Tentacle.Contracts.Capabilities.CapabilitiesResponseV2, Octopus.Tentacle.Contracts";
        Value::Document(Document::typed(type_name).with("SupportedCapabilities", Value::Array(names)))
    }

    /// From what travelled.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(value, "CapabilitiesResponseV2")?;
        Ok(Self(fields.list_of_text("SupportedCapabilities")?))
    }
}
