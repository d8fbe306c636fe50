//! What a child inherits (`containers.md` 1.4).

use std::ffi::OsString;

use settings::Environment;

/// The container's own environment without any name of the settings table, and the canonical settings that
/// this child needs.
pub(crate) fn of_child(
    environment: &Environment,
    settings: Vec<(String, String)>,
) -> Vec<(OsString, OsString)> {
    let mut variables = environment.others().to_vec();
    variables.extend(
        settings
            .into_iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    variables.push(("MANTLE_UNDER_ENTRYPOINT".into(), "1".into()));
    variables
}
