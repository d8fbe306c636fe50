//! Stories from a release to its machines, with real programs: a Server, a listening and a polling agent, the runner.

mod agent;
mod artifact;
mod cancel;
mod cluster;
mod crash;
mod failure;
mod live_log;
mod masking;
mod program;
mod release;
mod stack;
