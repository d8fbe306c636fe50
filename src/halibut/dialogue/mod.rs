//! One conversation over any stream of bytes: who says what when (`tentacle-protocol.md` 2).
//!
//! | Function | Says the part of |
//! |---|---|
//! | [`Dialled`] | a Server that dialled a listening agent |
//! | [`answer_client`] | a listening agent that was dialled |
//! | [`poll`] | an agent that dialled its Server |
//! | [`answer_subscriber`] | a Server that was dialled by a polling agent |

mod answer;
mod connection;
mod dial;
mod poll;
mod serve;
mod settings;

pub use answer::{Opening, answer_client, answer_subscriber, read_greeting, read_opening};
pub use connection::{Connection, DialogueError};
pub use dial::Dialled;
pub use poll::poll;
pub use settings::{Settings, Timeouts};
