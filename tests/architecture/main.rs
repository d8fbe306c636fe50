//! The house: who may import whom, which outside crate stands where, under which licences we build.
//! The table is that of the architecture document; a new edge is a decision, not an accident.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Crate and what it may import of ours.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("api", &["application", "domain"]),
    (
        "application",
        &["domain", "feeds", "files", "security", "storage"],
    ),
    (
        "calamari",
        &["contracts", "octodiff", "octostache", "security", "versioning"],
    ),
    ("contracts", &["halibut"]),
    ("domain", &["octostache", "security", "versioning"]),
    (
        "engine",
        &[
            "application",
            "contracts",
            "domain",
            "feeds",
            "files",
            "halibut",
            "octodiff",
            "security",
            "storage",
        ],
    ),
    ("entrypoint", &["settings"]),
    ("feeds", &["domain", "security", "versioning"]),
    ("files", &["domain", "security", "versioning"]),
    ("halibut", &[]),
    ("octodiff", &[]),
    ("octostache", &[]),
    ("portal", &["application", "domain"]),
    ("security", &[]),
    (
        "server",
        &[
            "api",
            "application",
            "contracts",
            "domain",
            "engine",
            "feeds",
            "files",
            "halibut",
            "octodiff",
            "octostache",
            "portal",
            "security",
            "settings",
            "storage",
            "versioning",
        ],
    ),
    ("settings", &[]),
    ("storage", &["domain", "security", "versioning"]),
    ("tentacle", &["contracts", "halibut", "security", "settings"]),
    ("versioning", &[]),
];

/// What is no part of the product and may import all of it.
const ANYTHING: &[&str] = &["recorded", "tests"];

/// Outside crates that only some of ours may name, and why.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["storage"], "SQL has one room"),
    (
        "axum",
        &["api", "portal", "server", "tests"],
        "agents and rules serve no HTTP",
    ),
    ("askama", &["portal"], "pages have one room"),
    ("envy", &["settings"], "the environment is read in one place"),
    (
        "bollard",
        &["tests"],
        "the product does not speak to a container engine yet",
    ),
    (
        "tokio",
        &[
            "api",
            "application",
            "contracts",
            "engine",
            "files",
            "halibut",
            "server",
            "storage",
            "tentacle",
            "tests",
        ],
        "rules, the runner and process 1 are synchronous",
    ),
];

/// Licences that code under `Apache-2.0 OR MIT` may be built with. An `OR` needs one of them.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "bzip2-1.0.6",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .other_options(vec!["--locked".into()])
        .exec()
        .expect("cargo describes the workspace")
}

fn dependencies(package: &Package) -> BTreeSet<String> {
    let built = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development);
    built.map(|dependency| dependency.name.to_string()).collect()
}

#[test]
fn a_crate_imports_only_what_the_table_allows() {
    let metadata = metadata();
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let ours: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        if ANYTHING.contains(&package.name.as_str()) {
            continue;
        }
        let Some(allowed) = table.get(package.name.as_str()) else {
            wrong.push(format!("{} is not in the table", package.name));
            continue;
        };
        for dependency in dependencies(package).intersection(&ours) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{} may not import {dependency}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let named = dependencies(package);
        for (outside, rooms, reason) in ONLY_IN {
            if named.contains(*outside) && !rooms.contains(&package.name.as_str()) {
                wrong.push(format!("{} names {outside}: {reason}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_licence_fits_ours() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let licence = package.license.clone().unwrap_or_default();
        let fits = licence
            .replace('/', " OR ")
            .replace(['(', ')'], "")
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|choice| LICENCES.contains(&choice.trim())));
        if !fits {
            wrong.push(format!("{} {}: '{licence}'", package.name, package.version));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn everything_comes_from_the_registry() {
    let foreign: Vec<String> = metadata()
        .packages
        .iter()
        .filter(|package| {
            package
                .source
                .as_ref()
                .is_some_and(|source| !source.is_crates_io())
        })
        .map(|package| package.name.to_string())
        .collect();
    assert!(
        foreign.is_empty(),
        "not from the registry: {}",
        foreign.join(", ")
    );
}

#[test]
fn every_crate_has_documentation_of_its_own() {
    for package in metadata().workspace_packages() {
        let readme = package.manifest_path.with_file_name("README.md");
        let text = std::fs::read_to_string(&readme).unwrap_or_default();
        assert!(
            text.lines().count() >= 10,
            "{readme} is missing or says too little"
        );
    }
}
