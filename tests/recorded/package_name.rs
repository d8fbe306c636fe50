//! `package-names.jsonl`: what file names say, and the names that packages have in a cache.

use serde_json::{Value, json};
use versioning::package_file_name::{escape, unescape};
use versioning::{Format, PackageFileName, Version};

use crate::difference::{same, same_json};

/// The letter of a cache name, the recorded word, and ours.
const KINDS: &[(&str, &str, Format)] = &[
    ("S", "SemanticVersion", Format::Semver),
    ("M", "MavenVersion", Format::Maven),
    ("O", "OctopusVersion", Format::Octopus),
    ("L", "LexicographicSortedVersion", Format::Lexicographic),
];

/// Gives a case to our package names.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    match text(case, "kind") {
        "parse" => parse(case),
        "make" => make(case),
        "escape" => {
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
        }
        other => Err(format!("there is no kind {other}")),
    }
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

fn parse(case: &Value) -> Result<(), String> {
    let ours = PackageFileName::parse(text(case, "fileName"));
    same("ok", ours.is_ok(), case["ok"] == true)?;
    let Ok(ours) = ours else { return Ok(()) };
    same("packageId", ours.package_id.as_str(), text(case, "packageId"))?;
    let written = case["versionOriginal"]
        .as_str()
        .unwrap_or_else(|| text(case, "version"));
    same("version", ours.version.to_string().as_str(), written)?;
    let kind = KINDS
        .iter()
        .find(|(_, _, format)| *format == ours.version.format());
    same(
        "versionKind",
        kind.map(|(_, word, _)| *word),
        case["versionKind"].as_str(),
    )?;
    same("extension", ours.extension.as_str(), text(case, "extension"))
}

fn make(case: &Value) -> Result<(), String> {
    let letter = text(case, "versionKind");
    let Some((_, _, format)) = KINDS.iter().find(|(known, ..)| *known == letter) else {
        return Err(format!("there is no kind of version {letter}"));
    };
    let version = Version::parse(*format, text(case, "version"));
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
    )?;
    // The extensions that were asked for when the patterns were recorded.
    let patterns = json!([name.search_pattern(".zip"), name.search_pattern(".tar.gz")]);
    same_json("searchPatterns", &patterns, &case["searchPatterns"])
}
