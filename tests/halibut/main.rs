//! The wire between Server and agent: over real sockets, against recorded conversations of the original
//! programs, cut, stalled, with wrong certificates, and fed with mutated bytes.

mod agent_side;
mod asked;
mod boundary;
mod call;
mod certificate;
mod cut;
mod golden;
mod mutated;
mod our_agent;
mod party;
mod raw_tls;
mod server_side;
mod transcript;
mod wire;
