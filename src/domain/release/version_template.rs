//! How the number of a release is made (`deployments.md` 1.1).

use jiff::tz::TimeZone;
use octostache::{Template, VariableCollection, evaluate};
use versioning::{Format, Mask, Version, increment_suffix};

use crate::release::{SelectedPackage, check_version};
use crate::time::Timestamp;
use crate::variable_set::VariableValue;
use crate::variable_set::resolve::resolve;
use crate::variable_set::scope::{Place, Source};
use crate::{Channel, ChannelId, DeploymentProcess, Problems, Project, VariableSet};

/// What a number is made from.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a> {
    /// Version and channel of every release of the project.
    pub releases: &'a [(String, ChannelId)],
    /// The channels of the project.
    pub channels: &'a [Channel],
    /// The channel chosen.
    pub channel: &'a Channel,
    /// The variables of the project.
    pub variables: &'a VariableSet,
    /// Now.
    pub now: Timestamp,
}

/// Checks that a template parses.
///
/// # Errors
/// Says where it does not.
pub fn check_template(template: &str) -> Result<(), Problems> {
    Template::parse(template)
        .map(|_| ())
        .map_err(|error| Problems::one(error.to_string()))
}

/// The number of a new release: the one that is given, else the donor package's, else what the template makes.
/// Given and made ones go through the mask (`1.2.i`).
///
/// # Errors
/// When the template cannot be evaluated, the donor has no version, or the result is no version.
pub fn number(
    project: &Project,
    process: &DeploymentProcess,
    wanted: Option<&str>,
    packages: &[SelectedPackage],
    numbers: &Numbers<'_>,
) -> Result<String, Problems> {
    let wanted = wanted.map(str::trim).filter(|wanted| !wanted.is_empty());
    let strategy = &project.versioning_strategy;
    let template = strategy
        .template
        .as_deref()
        .filter(|template| !template.trim().is_empty());
    let text = match (wanted, &strategy.donor_package, template) {
        (Some(wanted), ..) => wanted.to_owned(),
        (None, Some(donor), _) if !donor.deployment_action.is_empty() => {
            return donor_version(project, process, donor, packages);
        }
        (None, _, Some(template)) => evaluated(project, template, numbers)?,
        (None, _, None) => {
            return Err(Problems::one(format!(
                "The project '{}' has no version template. Give the release a Version, or the project a template.",
                project.name
            )));
        }
    };
    let masked = masked(&text, numbers)?;
    check_version(&masked)?;
    Ok(masked)
}

fn donor_version(
    project: &Project,
    process: &DeploymentProcess,
    donor: &crate::project::DeploymentActionPackage,
    packages: &[SelectedPackage],
) -> Result<String, Problems> {
    let problem = |why: &str| {
        Err(Problems::one(format!(
            "The project '{}' takes its versions from a package of the step '{}', {why}. Give the release a Version, or \
             change the project's versioning strategy.",
            project.name, donor.deployment_action
        )))
    };
    let Some(action) = process.action(&donor.deployment_action) else {
        return problem("which does not exist");
    };
    if action.is_disabled {
        return problem("which is disabled");
    }
    if !action.channels.is_empty() {
        return problem("which not every channel has");
    }
    let step = process
        .actions()
        .find(|(_, other)| other.id == action.id)
        .map_or("", |(step, _)| &step.name);
    let chosen = packages
        .iter()
        .find(|package| package.is_for(step, &action.name, &donor.package_reference));
    match chosen {
        Some(package) => Ok(package.version.clone()),
        None => problem("which has no such package"),
    }
}

/// The template with its names filled in.
fn evaluated(project: &Project, template: &str, numbers: &Numbers<'_>) -> Result<String, Problems> {
    let fail = |why: String| {
        Problems::one(format!(
            "The version template '{template}' of the project '{}' cannot be used: {why}. Change the template, or give \
             the release a Version.",
            project.name
        ))
    };
    let evaluation = evaluate(template, &names(numbers)).map_err(|error| fail(error.to_string()))?;
    match evaluation.error() {
        Some(error) => Err(fail(error)),
        None => Ok(evaluation.value.trim().to_owned()),
    }
}

fn names(numbers: &Numbers<'_>) -> VariableCollection {
    let mut names = VariableCollection::new();
    let place = Place {
        channel: Some(numbers.channel.id.as_str()),
        process_owner: Some(&numbers.variables.owner_id),
        ..Place::default()
    };
    for variable in resolve(&[(numbers.variables, Source::Project)], &place).winners {
        if let VariableValue::Plain(text) = &variable.value {
            names.set(&variable.name, text.as_deref());
        }
    }
    parts(&mut names, "Octopus.Version.", last(numbers, None));
    parts(
        &mut names,
        "Octopus.Version.Channel.",
        last(numbers, Some(&numbers.channel.id)),
    );
    for channel in numbers.channels {
        let prefix = format!("Octopus.Version.Channel[{}].", channel.name);
        parts(&mut names, &prefix, last(numbers, Some(&channel.id)));
    }
    names.set("Octopus.Release.Channel.Name", Some(&numbers.channel.name));
    let now = jiff::Timestamp::from_millisecond(numbers.now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let now = now.to_zoned(TimeZone::UTC);
    for (name, value) in [
        ("Date.Year", i32::from(now.year())),
        ("Date.Month", i32::from(now.month())),
        ("Date.Day", i32::from(now.day())),
        ("Date.DayOfYear", i32::from(now.day_of_year())),
        ("Time.Hour", i32::from(now.hour())),
        ("Time.Minute", i32::from(now.minute())),
        ("Time.Second", i32::from(now.second())),
    ] {
        names.set(&format!("Octopus.{name}"), Some(&value.to_string()));
    }
    names
}

/// The greatest version, not the newest.
fn last(numbers: &Numbers<'_>, channel: Option<&ChannelId>) -> Option<Version> {
    let of_channel = numbers
        .releases
        .iter()
        .filter(|(_, id)| channel.is_none_or(|channel| channel == id));
    of_channel
        .filter_map(|(version, _)| Version::parse(Format::Octopus, version).ok())
        .max()
}

fn parts(names: &mut VariableCollection, prefix: &str, last: Option<Version>) {
    let number = |part: fn(&Version) -> u32| last.as_ref().map_or(0, part);
    for (name, value) in [
        ("Major", number(Version::major)),
        ("Minor", number(Version::minor)),
        ("Patch", number(Version::patch)),
        ("Build", number(Version::patch)),
        ("Revision", number(Version::revision)),
    ] {
        names.set(&format!("{prefix}Last{name}"), Some(&value.to_string()));
        names.set(
            &format!("{prefix}Next{name}"),
            Some(&(u64::from(value) + 1).to_string()),
        );
    }
    let suffix = last.as_ref().map_or("", Version::release);
    names.set(&format!("{prefix}LastSuffix"), Some(suffix));
    names.set(&format!("{prefix}NextSuffix"), Some(&increment_suffix(suffix)));
}

fn masked(text: &str, numbers: &Numbers<'_>) -> Result<String, Problems> {
    let is_open = |part: &str| part == "i" || part == "c";
    let Some(mask) = Mask::parse(text).filter(|_| text.split(['.', '-', '+']).any(is_open)) else {
        return Ok(text.to_owned());
    };
    let versions: Vec<Version> = numbers
        .releases
        .iter()
        .filter_map(|(version, _)| Version::parse(Format::Octopus, version).ok())
        .collect();
    mask.apply(mask.latest(&versions).first().copied())
        .map_err(|error| Problems::one(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 5 March 2026, 12:00 UTC.
    const NOW: Timestamp = Timestamp(1_772_712_000_000);

    fn next(template: &str, existing: &[&str], wanted: Option<&str>) -> Result<String, Problems> {
        let channel = Channel {
            id: ChannelId::numbered(1),
            name: "Default".into(),
            ..Channel::default()
        };
        let releases: Vec<(String, ChannelId)> = existing
            .iter()
            .map(|version| ((*version).to_owned(), channel.id.clone()))
            .collect();
        let mut project = Project {
            name: "Web".into(),
            ..Project::default()
        };
        project.versioning_strategy.template = Some(template.into());
        let numbers = Numbers {
            releases: &releases,
            channels: std::slice::from_ref(&channel),
            channel: &channel,
            variables: &serde_json::from_str(r#"{"Variables":[{"Name":"Major","Value":"7"}]}"#).unwrap(),
            now: NOW,
        };
        number(&project, &DeploymentProcess::default(), wanted, &[], &numbers)
    }

    #[test]
    fn the_next_number_follows_the_greatest() {
        let default = crate::project::VersioningStrategy::DEFAULT_TEMPLATE;
        assert_eq!(next(default, &["1.4.2", "1.3.9"], None).unwrap(), "1.4.3");
        assert_eq!(next(default, &[], None).unwrap(), "0.0.1");
        assert_eq!(
            next(
                "#{Major}.0.#{Octopus.Version.Channel[Default].NextPatch}",
                &["1.0.4"],
                None
            )
            .unwrap(),
            "7.0.5"
        );
        assert_eq!(
            next("1.0.0-rc.#{Octopus.Version.NextSuffix}", &["1.0.0"], None).unwrap(),
            "1.0.0-rc.2"
        );
    }

    #[test]
    fn masks_count_from_the_versions_that_fit() {
        assert_eq!(next("2.1.c.i", &["2.1.7.3", "2.0.9.9"], None).unwrap(), "2.1.7.4");
        assert_eq!(next("2.2.c.i", &["2.1.7.3"], None).unwrap(), "2.2.0.0");
        let dated = "#{Octopus.Date.Year}.#{Octopus.Date.Month}.#{Octopus.Date.Day}.i";
        assert_eq!(next(dated, &["2026.3.4.6"], None).unwrap(), "2026.3.5.0");
        assert_eq!(
            next(dated, &["2026.3.4.6", "2026.3.5.0"], None).unwrap(),
            "2026.3.5.1"
        );
        assert_eq!(next("1.0.0-rc.i", &["1.0.0-rc.2"], None).unwrap(), "1.0.0-rc.3");
        assert_eq!(next("1.0.0-abc1c", &["1.0.0"], None).unwrap(), "1.0.0-abc1c");
        assert_eq!(next("1.i", &["1.4"], Some("3.i")).unwrap(), "3.0");
    }

    #[test]
    fn what_is_no_version_is_refused_with_the_reason() {
        let unknown = next("1.#{Nothing}", &[], None).unwrap_err().to_string();
        assert!(
            unknown.contains("Nothing") && unknown.contains("'Web'"),
            "{unknown}"
        );
        assert!(next("#{", &[], None).is_err());
        assert!(
            next("1.0", &[], Some("one"))
                .unwrap_err()
                .to_string()
                .contains("'one' is not a valid")
        );
    }
}
