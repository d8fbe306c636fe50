//! What the original programs answered, line by line.

use std::cmp::Ordering;

use serde_json::Value;

use crate::package_file_name::{escape, unescape};
use crate::{Format, Mask, PackageFileName, Version, increment_suffix};

fn cases(file: &str) -> Vec<Value> {
    let path = format!(
        "{}/../../tests/fixtures/recorded/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).expect("the fixture is in the repository");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn format(name: &str) -> Format {
    match name {
        "Semver" | "SemverKeep" => Format::Semver,
        "Octopus" => Format::Octopus,
        "Docker" => Format::Docker,
        "Maven" => Format::Maven,
        "Lexicographic" => Format::Lexicographic,
        other => panic!("{other}"),
    }
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

/// Runs every case of a kind; gives the number of cases and what went wrong.
fn check(cases: &[Value], kind: &str, judge: impl Fn(&Value) -> Result<(), String>) {
    let of_kind: Vec<&Value> = cases.iter().filter(|case| case["kind"] == kind).collect();
    assert!(!of_kind.is_empty(), "no case of {kind}");
    let wrong: Vec<String> = of_kind
        .iter()
        .filter_map(|case| {
            judge(case)
                .err()
                .map(|why| format!("{}: {why}", text(case, "id")))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} {kind} cases:\n{}",
        wrong.len(),
        of_kind.len(),
        wrong.join("\n")
    );
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs {
        Ok(())
    } else {
        Err(format!("{what}: ours {ours:?}, theirs {theirs:?}"))
    }
}

#[test]
fn versions_are_read_as_recorded() {
    check(&cases("versions.jsonl"), "parse", |case| {
        let format = format(text(case, "format"));
        let ours = Version::parse(format, text(case, "input"));
        same("refused", ours.is_err(), case["failed"] == true)?;
        let Ok(ours) = ours else { return Ok(()) };
        let theirs = &case["result"];
        let numbers = [ours.major(), ours.minor(), ours.patch(), ours.revision()];
        for (name, ours) in ["major", "minor", "patch", "revision"].into_iter().zip(numbers) {
            same(name, u64::from(ours), theirs[name].as_u64().unwrap())?;
        }
        same(
            "isPrerelease",
            ours.is_prerelease(),
            theirs["isPrerelease"] == true,
        )?;
        same("release", ours.release(), text(theirs, "release"))?;
        same("metadata", ours.metadata(), text(theirs, "metadata"))?;
        same("text", ours.to_string().as_str(), text(theirs, "text"))?;
        if let Some(normalized) = theirs["normalized"].as_str() {
            same("normalized", ours.normalized().as_str(), normalized)?;
        }
        if theirs.get("prefix").is_some() {
            same("prefix", ours.prefix(), text(theirs, "prefix"))?;
            same(
                "releasePrefix",
                ours.release_prefix(),
                text(theirs, "releasePrefix"),
            )?;
            same(
                "releaseCounter",
                ours.release_counter(),
                text(theirs, "releaseCounter"),
            )?;
        }
        Ok(())
    });
}

#[test]
fn versions_are_ordered_as_recorded() {
    check(&cases("versions.jsonl"), "matrix", |case| {
        let format = format(text(case, "format"));
        let inputs: Vec<&str> = case["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|input| input.as_str().unwrap())
            .collect();
        let versions: Vec<Version> = inputs
            .iter()
            .map(|input| Version::parse(format, input).unwrap())
            .collect();
        for (row, one) in versions.iter().enumerate() {
            let ours: String = versions
                .iter()
                .map(|other| match one.cmp(other) {
                    Ordering::Less => '<',
                    Ordering::Equal => '=',
                    Ordering::Greater => '>',
                })
                .collect();
            same(inputs[row], ours.as_str(), case["result"][row].as_str().unwrap())?;
        }
        Ok(())
    });
}

#[test]
fn masks_are_applied_as_recorded() {
    check(&cases("versions.jsonl"), "mask", |case| {
        let mask = text(case, "mask");
        let format = case["format"].as_str().map_or(Format::Octopus, format);
        let current = case["current"]
            .as_str()
            .map(|current| Version::parse(format, current).unwrap());
        let parsed = Mask::parse(mask);
        let ours = parsed
            .as_ref()
            .map_or(Ok(mask.to_owned()), |mask| mask.apply(current.as_ref()));
        same("refused", ours.is_err(), case["failed"] == true)?;
        let Ok(ours) = ours else { return Ok(()) };
        same("result", ours.as_str(), text(case, "result"))?;
        same(
            "isMask",
            parsed.is_some_and(|mask| mask.is_mask()),
            case["isMask"] == true,
        )
    });
}

#[test]
fn the_version_before_is_found_as_recorded() {
    check(&cases("versions.jsonl"), "latestMasked", |case| {
        let list = |member: &str| -> Vec<String> {
            case[member]
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let versions: Vec<Version> = list("versions")
            .iter()
            .map(|text| Version::parse(Format::Octopus, text).unwrap())
            .collect();
        let latest = Mask::parse(text(case, "mask"))
            .map(|mask| mask.latest(&versions))
            .unwrap_or_default();
        same(
            "result",
            latest.iter().map(ToString::to_string).collect(),
            list("result"),
        )
    });
}

#[test]
fn suffixes_are_incremented_as_recorded() {
    check(&cases("versions.jsonl"), "increment", |case| {
        same(
            "result",
            increment_suffix(text(case, "input")).as_str(),
            text(case, "result"),
        )
    });
}

#[test]
fn package_names_are_read_as_recorded() {
    let kinds = [
        (Format::Semver, "SemanticVersion"),
        (Format::Maven, "MavenVersion"),
        (Format::Octopus, "OctopusVersion"),
        (Format::Lexicographic, "LexicographicSortedVersion"),
    ];
    check(&cases("package-names.jsonl"), "parse", |case| {
        let ours = PackageFileName::parse(text(case, "fileName"));
        same("read", ours.is_ok(), case["ok"] == true)?;
        let Ok(ours) = ours else { return Ok(()) };
        same("packageId", ours.package_id.as_str(), text(case, "packageId"))?;
        let version = case["versionOriginal"]
            .as_str()
            .unwrap_or_else(|| text(case, "version"));
        same("version", ours.version.to_string().as_str(), version)?;
        same("extension", ours.extension.as_str(), text(case, "extension"))?;
        let kind = kinds
            .iter()
            .find(|(format, _)| *format == ours.version.format())
            .unwrap()
            .1;
        same("versionKind", kind, text(case, "versionKind"))
    });
}

#[test]
fn cache_names_are_made_as_recorded() {
    check(&cases("package-names.jsonl"), "make", |case| {
        let format = match text(case, "versionKind") {
            "M" => Format::Maven,
            "O" => Format::Octopus,
            "L" => Format::Lexicographic,
            _ => Format::Semver,
        };
        let version = Version::parse(format, text(case, "version"));
        same("refused", version.is_err(), case.get("error").is_some())?;
        let Ok(version) = version else { return Ok(()) };
        let name = PackageFileName {
            package_id: text(case, "packageId").into(),
            version,
            extension: text(case, "extension").into(),
        };
        same(
            "fileName",
            name.cache_name("<HEX>").as_str(),
            text(case, "fileName"),
        )
    });
    check(&cases("package-names.jsonl"), "escape", |case| {
        same(
            "escaped",
            escape(text(case, "text")).as_str(),
            text(case, "escaped"),
        )?;
        same(
            "unescaped",
            unescape(text(case, "text")).as_str(),
            text(case, "unescaped"),
        )
    });
}
