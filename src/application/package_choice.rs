//! Which package versions a client asks for, in all the ways it can say so, and what feeds have
//! (`rest-api.md` 3.1, `deployments.md` 5.2).

use domain::package_version;
use domain::release::SelectedPackage;
use domain::release::package_choice::{Available, Need, needs};
use domain::{Channel, DeploymentProcess, Problems, SpaceId, same_name};
use storage::Session;

use crate::package::{VersionFilter, matching};
use crate::{Error, Result};

/// How a client chooses packages. What is said of one package comes before what is said of all.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// The choice for each reference, as `POST releases` has it.
    pub selected: Vec<SelectedPackage>,
    /// `{package}:{version}`, `{step}:{version}` or `{packageRef}:{packageOrStep}:{version}`.
    pub texts: Vec<String>,
    /// The version of all other packages.
    pub version: Option<String>,
    /// What the pre-release part of all other packages begins with.
    pub pre_release: Option<String>,
}

/// The versions that the feeds have of what a release in this channel needs.
///
/// # Errors
/// When the database fails.
pub(crate) async fn available(
    session: &mut Session,
    space: &SpaceId,
    process: &DeploymentProcess,
    channel: &Channel,
) -> Result<Available> {
    let mut available = Available::default();
    let mut seen = Vec::new();
    for need in needs(process, channel).into_iter().filter(Need::is_resolvable) {
        let package = (
            need.package.feed_id.clone(),
            need.package.package_id.to_lowercase(),
        );
        if seen.contains(&package) {
            continue;
        }
        let stored = storage::package::versions(session, space, &package.1).await?;
        let versions = stored.into_iter().map(|stored| stored.package.version);
        available.add(&need.package.feed_id, &need.package.package_id, versions);
        seen.push(package);
    }
    Ok(available)
}

/// The choice for each reference that a client made in any of its ways. References it said nothing of are left to
/// the rules.
///
/// # Errors
/// [`Error::Invalid`] for a text that is no choice, or that names what the process does not have.
pub(crate) async fn selected(
    session: &mut Session,
    space: &SpaceId,
    process: &DeploymentProcess,
    channel: &Channel,
    choices: &Choices,
) -> Result<Vec<SelectedPackage>> {
    let needs = needs(process, channel);
    let mut problems = Problems::default();
    let mut spoken = Vec::new();
    for text in &choices.texts {
        match Spoken::parse(text) {
            None => problems.add(format!(
                "'{text}' is not a choice of a package. Write PackageId:Version, StepName:Version or \
                 PackageReference:StepName:Version."
            )),
            Some(choice) if !needs.iter().any(|need| choice.rank(need) > 0) => problems.add(format!(
                "The package choice '{text}' names a package or step that the process does not have. Leave it out, or \
                 correct the name."
            )),
            Some(choice) => spoken.push(choice),
        }
    }
    if !problems.is_empty() {
        return Err(Error::from(problems));
    }
    let mut selected = choices.selected.clone();
    for need in &needs {
        let (step, action, reference) = (&need.step.name, &need.action.name, &need.package.name);
        if selected
            .iter()
            .any(|package| package.is_for(step, action, reference))
        {
            continue;
        }
        let best = spoken
            .iter()
            .filter(|choice| choice.rank(need) > 0)
            .max_by_key(|choice| choice.rank(need));
        let version = match best {
            Some(choice) => Some(choice.version.clone()),
            None => general(session, space, need, choices).await?,
        };
        if let Some(version) = version {
            selected.push(SelectedPackage {
                action_name: action.clone(),
                step_name: Some(step.clone()),
                package_reference_name: reference.clone(),
                version,
                ..SelectedPackage::default()
            });
        }
    }
    Ok(selected)
}

/// What is said of all packages: a version, or the beginning of a pre-release part.
async fn general(
    session: &mut Session,
    space: &SpaceId,
    need: &Need<'_>,
    choices: &Choices,
) -> Result<Option<String>> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    if let Some(version) = given(&choices.version) {
        return Ok(Some(version));
    }
    let Some(pre_release) = given(&choices.pre_release).filter(|_| need.is_resolvable()) else {
        return Ok(None);
    };
    let filter = VersionFilter {
        package_id: need.package.package_id.clone(),
        include_pre_release: true,
        pre_release,
        ..VersionFilter::default()
    };
    let mut found = matching(session, space, &filter).await?;
    found.retain(|package| package_version::is_prerelease(&package.version));
    Ok(found.into_iter().next().map(|package| package.version))
}

/// One choice as text, read.
#[derive(Debug, PartialEq, Eq)]
struct Spoken {
    reference: Option<String>,
    name: String,
    version: String,
}

impl Spoken {
    /// The parts stand between `:`, `/` or `=`; a backslash before one of these makes it a part of the text.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => parts.last_mut()?.push(characters.next()?),
                ':' | '/' | '=' => parts.push(String::new()),
                other => parts.last_mut()?.push(other),
            }
        }
        let parts: Vec<String> = parts.iter().map(|part| part.trim().to_string()).collect();
        let (reference, name, version) = match parts.as_slice() {
            [name, version] => (None, name, version),
            [reference, name, version] => (Some(reference.clone()), name, version),
            _ => return None,
        };
        let choice = Self {
            reference,
            name: name.clone(),
            version: version.clone(),
        };
        (!choice.name.is_empty() && !choice.version.is_empty()).then_some(choice)
    }

    /// How closely it names a need; 0 = not at all. A reference beats a step, a step beats a package.
    fn rank(&self, need: &Need<'_>) -> u8 {
        let names = |text: &str| {
            if same_name(text, &need.action.name) || same_name(text, &need.step.name) {
                3
            } else if same_name(text, &need.package.package_id) {
                2
            } else {
                u8::from(text == "*")
            }
        };
        let refers = |text: &str| same_name(text, &need.package.name) || (text == "*");
        match &self.reference {
            None => names(&self.name),
            // The older command line says step before reference.
            Some(reference) if refers(reference) && names(&self.name) > 0 => names(&self.name) + 3,
            Some(reference) if refers(&self.name) && names(reference) > 0 => names(reference) + 3,
            Some(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(reference: Option<&str>, name: &str, version: &str) -> Option<Spoken> {
        Some(Spoken {
            reference: reference.map(str::to_string),
            name: name.into(),
            version: version.into(),
        })
    }

    #[test]
    fn a_choice_has_two_or_three_parts() {
        assert_eq!(Spoken::parse("Acme.Web:1.2.3"), spoken(None, "Acme.Web", "1.2.3"));
        assert_eq!(Spoken::parse("Deploy web=1.2"), spoken(None, "Deploy web", "1.2"));
        assert_eq!(
            Spoken::parse("ref:Acme.Web:1.0"),
            spoken(Some("ref"), "Acme.Web", "1.0")
        );
        assert_eq!(
            Spoken::parse(r"group\/image:1.0"),
            spoken(None, "group/image", "1.0")
        );
        for wrong in ["", "Acme.Web", ":1.0", "a:b:c:d", "a:", "a\\"] {
            assert_eq!(Spoken::parse(wrong), None, "{wrong}");
        }
    }
}
