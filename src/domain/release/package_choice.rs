//! Which package versions a release has (`deployments.md` 5.1, 5.2).

use std::collections::BTreeMap;

use versioning::{Format, Version, VersionRange};

use crate::deployment_process::{Action, PackageReference, Step};
use crate::release::{SelectedPackage, Wanted};
use crate::{Channel, DeploymentProcess, FeedId, Problems, name_key, same_name};

/// One package reference that a release must choose a version for.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// Its step.
    pub step: &'a Step,
    /// Its action.
    pub action: &'a Action,
    /// The reference.
    pub package: &'a PackageReference,
}

/// The versions that feeds have, by feed and package.
#[derive(Debug, Clone, Default)]
pub struct Available(BTreeMap<(FeedId, String), Vec<String>>);

impl Available {
    /// Says which versions of a package a feed has.
    pub fn add(&mut self, feed: &FeedId, package_id: &str, versions: impl IntoIterator<Item = String>) {
        self.0
            .entry((feed.clone(), name_key(package_id)))
            .or_default()
            .extend(versions);
    }

    fn of(&self, package: &PackageReference) -> &[String] {
        let key = (package.feed_id.clone(), name_key(&package.package_id));
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }
}

impl Need<'_> {
    /// Whether feed and package are known before a deployment.
    #[must_use]
    pub fn is_resolvable(&self) -> bool {
        !self.package.package_id.contains("#{") && !self.package.feed_id.as_str().contains("#{")
    }
}

/// What a release in a channel must choose versions for: the packages of enabled actions that the channel has.
#[must_use]
pub fn needs<'a>(process: &'a DeploymentProcess, channel: &Channel) -> Vec<Need<'a>> {
    process
        .actions()
        .filter(|(_, action)| !action.is_disabled)
        .filter(|(_, action)| action.channels.is_empty() || action.channels.contains(&channel.id))
        .flat_map(|(step, action)| {
            action.packages.iter().map(move |package| Need {
                step,
                action,
                package,
            })
        })
        .collect()
}

/// Chooses a version for every need: the one that is asked for, the reference's own, else the highest that the
/// channel admits, without a rule the highest that is no pre-release.
///
/// # Errors
/// Every need without a version, and every version that a feed does not have or the channel does not admit.
pub fn choose(
    process: &DeploymentProcess,
    channel: &Channel,
    wanted: Wanted<'_>,
    available: &Available,
) -> Result<Vec<SelectedPackage>, Problems> {
    let mut problems = Problems::default();
    let mut chosen = Vec::new();
    let needs = needs(process, channel);
    for package in wanted.packages {
        let known = needs
            .iter()
            .any(|need| package.is_for(&need.step.name, &need.action.name, &need.package.name));
        if !known && !package.version.trim().is_empty() {
            let step = package.step_name.as_deref().unwrap_or_default();
            let action = if package.action_name.is_empty() {
                step
            } else {
                &package.action_name
            };
            problems.add(format!(
                "A version ({}) is given for the package '{}' of the action '{action}', which the process does not \
                 have in this channel. Leave it out of SelectedPackages.",
                package.version, package.package_reference_name
            ));
        }
    }
    for need in needs {
        match choose_one(&need, channel, wanted, available) {
            Ok(version) => chosen.push(SelectedPackage {
                action_name: need.action.name.clone(),
                step_name: Some(need.step.name.clone()),
                package_reference_name: need.package.name.clone(),
                version,
                ..SelectedPackage::default()
            }),
            Err(problem) => problems.add(problem),
        }
    }
    problems.or(chosen)
}

fn choose_one(
    need: &Need<'_>,
    channel: &Channel,
    wanted: Wanted<'_>,
    available: &Available,
) -> Result<String, String> {
    let (action, package) = (&need.action.name, &need.package.package_id);
    let asked = wanted
        .packages
        .iter()
        .find(|package| package.is_for(&need.step.name, action, &need.package.name))
        .map(|package| package.version.trim());
    if asked == Some("") {
        return Err(format!(
            "The version of the package '{package}' of the action '{action}' is empty. Give one."
        ));
    }
    let fixed = need
        .package
        .version
        .as_deref()
        .filter(|version| !version.trim().is_empty());
    let range = range(need, channel)?;
    let versions = available.of(need.package);
    if let Some(version) = asked.or(fixed) {
        let equal = |other: &&String| {
            same_name(other, version)
                || matches!((parse(other), parse(version)), (Some(one), Some(two)) if one == two)
        };
        let found = versions
            .iter()
            .find(|other| same_name(other, version))
            .or_else(|| versions.iter().find(equal));
        let found = match found {
            Some(found) => found.clone(),
            None if !need.is_resolvable() => version.to_owned(),
            None => {
                return Err(format!(
                    "The feed '{}' has no version {version} of the package '{package}' that the action '{action}' \
                     needs. Push it, or choose another version.",
                    need.package.feed_id
                ));
            }
        };
        let admitted =
            parse(&found).is_none_or(|found| range.as_ref().is_none_or(|range| range.contains(&found)));
        if !wanted.ignore_channel_rules && !admitted {
            return Err(format!(
                "The channel '{}' does not admit version {found} of the package '{package}' of the action '{action}'. \
                 Choose another version or channel, or set IgnoreChannelRules.",
                channel.name
            ));
        }
        return Ok(found);
    }
    if !need.is_resolvable() {
        return Err(format!(
            "The package '{package}' of the action '{action}' is known only at deployment. \
             Give its version in SelectedPackages."
        ));
    }
    let fits = |version: &Version| match &range {
        Some(range) => range.contains(version),
        None => !version.is_prerelease(),
    };
    let candidates = versions
        .iter()
        .filter_map(|text| parse(text).filter(fits).map(|version| (version, text)));
    let highest = candidates.max_by(|(one, _), (other, _)| one.cmp(other));
    highest.map(|(_, text)| text.clone()).ok_or_else(|| {
        format!(
            "The feed '{}' has no version of the package '{package}' that the action '{action}' could use in the channel \
             '{}'. Push one, or give a version in SelectedPackages.",
            need.package.feed_id, channel.name
        )
    })
}

fn range(need: &Need<'_>, channel: &Channel) -> Result<Option<VersionRange>, String> {
    let rule = channel.rules.iter().find(|rule| {
        rule.action_packages.iter().any(|package| {
            let action = &package.deployment_action;
            (same_name(action, &need.action.name) || same_name(action, &need.step.name))
                && same_name(&package.package_reference, &need.package.name)
        })
    });
    match rule
        .map(|rule| rule.version_range.trim())
        .filter(|range| !range.is_empty())
    {
        Some(range) => range.parse().map(Some).map_err(|error| format!("{error}")),
        None => Ok(None),
    }
}

fn parse(text: &str) -> Option<Version> {
    Version::parse(Format::Semver, text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> DeploymentProcess {
        let mut process: DeploymentProcess = serde_json::from_str(
            r#"{"Steps":[{"Name":"Deploy","Actions":[{"Name":"Deploy","ActionType":"Octopus.TentaclePackage",
                "Properties":{"Octopus.Action.Package.PackageId":"Acme.Web"}}]}]}"#,
        )
        .unwrap();
        process.complete(|| "g".into());
        process
    }

    fn channel(range: &str) -> Channel {
        serde_json::from_str(&format!(
            r#"{{"Name":"Default","Rules":[{{"VersionRange":"{range}","ActionPackages":[{{"DeploymentAction":"Deploy"}}]}}]}}"#
        ))
        .unwrap()
    }

    fn chosen(range: &str, wanted: Option<&str>) -> Result<String, String> {
        let mut available = Available::default();
        let versions = ["1.0.0", "1.2.0", "2.0.0-beta", "3.0.0-rc.1"].map(String::from);
        available.add(&FeedId::from_text("feeds-builtin"), "acme.web", versions);
        let packages: Vec<SelectedPackage> = wanted
            .map(|version| SelectedPackage {
                action_name: "deploy".into(),
                version: version.into(),
                ..SelectedPackage::default()
            })
            .into_iter()
            .collect();
        let wanted = Wanted {
            packages: &packages,
            ..Wanted::default()
        };
        choose(&process(), &channel(range), wanted, &available)
            .map(|mut packages| packages.remove(0).version)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn without_a_rule_the_highest_stable_version_is_chosen() {
        assert_eq!(chosen("", None).unwrap(), "1.2.0");
    }

    #[test]
    fn a_rule_decides_what_is_admitted() {
        assert_eq!(chosen("[1.0,2.0)", None).unwrap(), "2.0.0-beta");
        assert_eq!(chosen("[1.0]", None).unwrap(), "1.0.0");
        assert!(
            chosen("[9.0,)", None)
                .unwrap_err()
                .contains("no version of the package 'Acme.Web'")
        );
        assert!(
            chosen("[1.0]", Some("1.2.0"))
                .unwrap_err()
                .contains("does not admit version 1.2.0")
        );
    }

    #[test]
    fn a_version_that_is_asked_for_must_exist() {
        assert_eq!(chosen("", Some("3.0.0-RC.1")).unwrap(), "3.0.0-rc.1");
        assert_eq!(chosen("", Some("1.2")).unwrap(), "1.2.0");
        assert!(
            chosen("", Some("9.9"))
                .unwrap_err()
                .contains("no version 9.9 of the package 'Acme.Web'")
        );
    }
}
