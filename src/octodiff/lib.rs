#![doc = include_str!("README.md")]

mod building;
pub mod checksum;
pub mod chunk;
mod commands;
pub mod delta;
pub mod error;
mod index;
pub mod patch;
pub mod signature;
mod source;

pub use building::build_delta;
pub use checksum::RollingChecksum;
pub use delta::{Command, DeltaReader, explain};
pub use error::Error;
pub use patch::{Patch, Patched, apply_delta};
pub use signature::{Chunk, Signature, SignatureForm, build_signature};

#[cfg(test)]
mod stories;
