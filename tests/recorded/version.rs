//! `versions.jsonl`: versions, their order, ranges, masks and ids.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};
use versioning::{Depth, Format, Mask, MavenPackageId, MavenRange, Version, increment_suffix};

use crate::difference::{same, same_json};

/// Gives a case to our versions.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    match text(case, "kind") {
        "parse" => answer(case, parse(case)),
        "matrix" => answer(case, matrix(case)),
        "compare" => compare(case),
        "compareMode" => answer(case, compare_mode(case)),
        "mask" => mask(case),
        "latestMasked" => answer(case, latest_masked(case)),
        "increment" => answer(case, Ok(json!(increment_suffix(text(case, "input"))))),
        "mavenRange" => maven_range(case),
        "mavenId" => answer(case, maven_id(case)),
        other => Err(format!("there is no kind {other}")),
    }
}

/// Holds a result, or a refusal, against the recorded one.
fn answer(case: &Value, ours: Result<Value, String>) -> Result<(), String> {
    match ours {
        Ok(_) if case["failed"] == true => Err("ours takes it, recorded a refusal".into()),
        Ok(ours) => same_json("result", &ours, &case["result"]),
        Err(_) if case["failed"] == true => Ok(()),
        Err(why) => Err(format!("ours refuses it: {why}")),
    }
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

fn texts(case: &Value, member: &str) -> Vec<String> {
    let list = case[member].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn version(format: &str, text: &str) -> Result<Version, String> {
    let format = match format {
        "Semver" | "SemverKeep" => Format::Semver,
        "Octopus" => Format::Octopus,
        "Docker" => Format::Docker,
        "Maven" => Format::Maven,
        "Lexicographic" => Format::Lexicographic,
        other => return Err(format!("there is no format {other}")),
    };
    Version::parse(format, text).map_err(|why| why.to_string())
}

fn sign(order: Ordering) -> char {
    match order {
        Ordering::Less => '<',
        Ordering::Equal => '=',
        Ordering::Greater => '>',
    }
}

/// The recorded result says which members the format has.
fn parse(case: &Value) -> Result<Value, String> {
    let format = text(case, "format");
    let version = version(format, text(case, "input"))?;
    let mut result = Map::from_iter([
        ("major".to_owned(), json!(version.major())),
        ("minor".to_owned(), json!(version.minor())),
        ("patch".to_owned(), json!(version.patch())),
        ("revision".to_owned(), json!(version.revision())),
        ("isPrerelease".to_owned(), json!(version.is_prerelease())),
        ("release".to_owned(), json!(version.release())),
        ("metadata".to_owned(), json!(version.metadata())),
        ("text".to_owned(), json!(version.to_string())),
    ]);
    match version.format() {
        Format::Semver => {
            result.insert("labels".into(), json!(version.labels()));
            result.insert("normalized".into(), json!(version.normalized()));
        }
        Format::Maven => {
            result.insert("labels".into(), json!(version.labels()));
            // The original has none there, ours an empty one.
            result.insert("metadata".into(), Value::Null);
        }
        Format::Octopus | Format::Docker => {
            result.insert("prefix".into(), json!(version.prefix()));
            result.insert("releasePrefix".into(), json!(version.release_prefix()));
            result.insert("releaseCounter".into(), json!(version.release_counter()));
        }
        Format::Lexicographic => {}
    }
    Ok(result.into())
}

fn matrix(case: &Value) -> Result<Value, String> {
    let versions: Vec<Version> = texts(case, "inputs")
        .iter()
        .map(|input| version(text(case, "format"), input))
        .collect::<Result<_, _>>()?;
    let row = |one: &Version| {
        versions
            .iter()
            .map(|other| sign(one.cmp(other)))
            .collect::<String>()
    };
    Ok(versions.iter().map(row).collect())
}

fn compare(case: &Value) -> Result<(), String> {
    let one = version(text(case, "format"), text(case, "a"))?;
    let other = version(text(case, "formatB"), text(case, "b"))?;
    let order = one.compare_by_left(&other);
    same("result", sign(order).to_string().as_str(), text(case, "result"))?;
    same("equal", order.is_eq(), case["equal"] == true)
}

fn compare_mode(case: &Value) -> Result<Value, String> {
    let (one, other) = (
        version("Semver", text(case, "a"))?,
        version("Semver", text(case, "b"))?,
    );
    let sign = |depth| sign(one.compare_to(&other, depth)).to_string();
    Ok(json!({
        "Default": sign(Depth::Whole),
        "Version": sign(Depth::Numbers),
        "VersionRelease": sign(Depth::Release),
        "VersionReleaseMetadata": sign(Depth::Whole),
    }))
}

fn mask(case: &Value) -> Result<(), String> {
    let format = case["format"].as_str().unwrap_or("Octopus");
    let current = case["current"].as_str().map(|current| version(format, current));
    let current = current.transpose()?;
    let mask = Mask::parse(text(case, "mask"));
    let ours = match &mask {
        Some(mask) => mask.apply(current.as_ref()).map_err(|why| why.to_string()),
        None => Ok(text(case, "mask").to_owned()),
    };
    answer(case, ours.map(Value::from))?;
    if case["failed"] == true {
        return Ok(());
    }
    same(
        "isMask",
        mask.is_some_and(|mask| mask.is_mask()),
        case["isMask"] == true,
    )
}

fn latest_masked(case: &Value) -> Result<Value, String> {
    let versions: Vec<Version> = texts(case, "versions")
        .iter()
        .map(|text| version("Octopus", text))
        .collect::<Result<_, _>>()?;
    let latest = Mask::parse(text(case, "mask")).map(|mask| mask.latest(&versions));
    Ok(latest
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect())
}

fn maven_range(case: &Value) -> Result<(), String> {
    let range: MavenRange = match text(case, "range").parse() {
        Ok(range) => range,
        Err(why) => return answer(case, Err(format!("{why}"))),
    };
    let versions: Vec<Version> = texts(case, "versions")
        .iter()
        .map(|text| version("Maven", text))
        .collect::<Result<_, _>>()?;
    let inside = versions
        .iter()
        .map(|version| (version.to_string(), json!(range.contains(version))));
    answer(case, Ok(Value::Object(inside.collect())))?;
    let highest = range.highest(&versions).map(ToString::to_string);
    same("match", highest.as_deref(), case["match"].as_str())
}

fn maven_id(case: &Value) -> Result<Value, String> {
    let id: MavenPackageId = text(case, "input").parse().map_err(|why| format!("{why}"))?;
    let version = case["version"]
        .as_str()
        .map(|text| version("Maven", text))
        .transpose()?;
    let path =
        |path: fn(&MavenPackageId, &Version) -> String| version.as_ref().map(|version| path(&id, version));
    Ok(json!({
        "group": id.group,
        "artifact": id.artifact,
        "version": version.as_ref().map(ToString::to_string),
        "packaging": id.packaging,
        "classifier": id.classifier,
        "displayName": id.to_string(),
        "groupMetadataPath": id.metadata_path(),
        "versionMetadataPath": path(MavenPackageId::version_metadata_path),
        "pomPath": path(MavenPackageId::pom_path),
        "artifactPath": path(MavenPackageId::artifact_path),
    }))
}
