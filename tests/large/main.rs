//! Stories over the real programs: Server, agent and runner as processes of this machine. One is about a package that
//! is larger than the memory that they may take, the others about scripts that do not end as they should.

mod agent;
mod client;
mod package;
mod script;
