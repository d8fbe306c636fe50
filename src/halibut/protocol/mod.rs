//! Pure decoders and encoders: no sockets, no files, no clock.

pub mod bson;
pub mod control_line;
pub mod data_stream;
pub mod deflate;
mod error;
pub mod message;
pub mod subscription;
pub mod value;

pub use error::{Limits, ProtocolError};
