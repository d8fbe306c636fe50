//! Refuses features that this runner does not have, instead of leaving them out in silence (17.2, 17.3).

use crate::failure::Failure;
use crate::variables::Variables;

/// Features of other systems, and why they cannot be had here.
pub const REFUSED: [(&str, &str); 5] = [
    ("Octopus.Features.IISWebSite", "needs Windows"),
    ("Octopus.Features.WindowsService", "needs Windows"),
    ("Octopus.Features.Vhd", "needs Windows"),
    (
        "Octopus.Features.TomcatDeployManager",
        "needs the Java helper library of the original",
    ),
    (
        "Octopus.Features.WildflyDeployCLI",
        "needs the Java helper library of the original",
    ),
];

/// Looks at what is asked for, before anything is done.
///
/// # Errors
/// A feature that is refused.
pub fn refuse(variables: &Variables) -> Result<(), Failure> {
    for (feature, reason) in REFUSED {
        if variables.feature(feature)? {
            return Err(Failure::expected(format!(
                "The feature {feature} {reason}, so this runner does not have it; switch it off in the step, or do its work in a script"
            )));
        }
    }
    Ok(())
}
