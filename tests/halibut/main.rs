//! The wire between Server and agent: over real sockets, against recorded conversations of the original programs, cut, stalled,
//! with wrong certificates, and fed with mutated bytes.

mod call;
mod certificate;
mod golden;
mod party;
mod raw_tls;
mod transcript;
