//! Named points at which a test kills the Server (crate `fail`), beside those around each write to the journal, which `storage`
//! has. Without the feature `failpoints` they are nothing.

/// A script is running and was just asked for news.
pub(crate) const SCRIPT_RUNNING: &str = "engine::script::running";
/// The agent has answered the start of a script.
pub(crate) const SCRIPT_STARTED: &str = "engine::script::started";
/// A script has ended and its last lines were written.
pub(crate) const SCRIPT_ENDED: &str = "engine::script::ended";
/// A script is about to be asked to end.
pub(crate) const SCRIPT_CANCELLING: &str = "engine::script::cancelling";
/// The file of an artifact is stored, its row is not written.
pub(crate) const ARTIFACT_STORED: &str = "engine::artifact::stored";
/// The plan is kept.
pub(crate) const PLANNED: &str = "engine::plan::kept";

/// Passes a point. When a test gave it the action `return`, the process ends here as a crash does.
#[inline]
pub(crate) fn point(name: &'static str) {
    if fail::has_failpoints() {
        fail::eval(name, |_| std::process::abort());
    }
}
