//! The package cache as the Server uses it: packages given to a step, noted, and cleaned away.

use crate::pack::{Item, zip_of};
use crate::place::{Outcome, Place, outcome};
use contracts::ServiceMessage;

const CACHED: &str = "agent/Files/feeds-1/Acme.Web@S1.0.0@0123456789ABCDEF0123456789ABCDEF.zip";

fn download(place: &Place, feed: &str, more: &[&str]) -> Outcome {
    let feed = format!("--feedUri={feed}");
    let mut arguments = vec![
        "download-package",
        "--packageId=Acme.Web",
        "--packageVersion=1.0.0",
        "--feedId=feeds-1",
        &feed,
    ];
    arguments.extend(more);
    place.run(&arguments)
}

/// An output variable that a run told the Server.
fn told(outcome: &Outcome, name: &str) -> String {
    outcome
        .output
        .lines()
        .flat_map(ServiceMessage::find)
        .filter_map(|found| found.message)
        .find(|message| message.name == "setVariable" && message.get("name") == Some(name))
        .and_then(|message| message.get("value").map(str::to_owned))
        .unwrap_or_default()
}

#[test]
fn a_package_that_is_here_is_given_without_a_feed() {
    let place = Place::new();
    place.write(CACHED, zip_of(&[Item::File("a", "A")]));
    let outcome = download(&place, "https://feed.example/v3/index.json", &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    let path = told(&outcome, "StagedPackage.FullPathOnRemoteMachine");
    assert_eq!(path, place.path(CACHED).display().to_string());
    let hash = calamari::package_cache::hash_of(&place.path(CACHED)).expect("a hash");
    assert_eq!(told(&outcome, "StagedPackage.Hash"), hash);
    assert_ne!(told(&outcome, "StagedPackage.Size"), "");
}

#[test]
fn a_folder_is_a_feed_and_another_feed_is_refused() {
    let place = Place::new();
    let package = zip_of(&[Item::File("a", "A")]);
    place.write("shelf/Acme.Web.1.0.0.zip", &package);
    place.write("shelf/Acme.Web.1.0.1.zip", "another");
    let outcome = download(&place, &place.path("shelf").display().to_string(), &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    let path = told(&outcome, "StagedPackage.FullPathOnRemoteMachine");
    assert!(path.contains("agent/Files/feeds-1/Acme.Web@S1.0.0@"), "{path}");
    assert_eq!(std::fs::read(path).expect("a package"), package);
    let outcome = download(&place, "https://feed.example", &["--forcePackageDownload"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.error.contains("let the Server send the package"),
        "{}",
        outcome.error
    );
    for (more, named) in [
        ("--feedType=Gopher", "Gopher"),
        ("--attempts=0", "--attempts"),
        ("--feedUsername=me", "--feedPassword"),
        ("--packageVersion=x y", "x y"),
        ("--feedId=a/b", "a/b"),
    ] {
        let outcome = download(&place, "https://feed.example", &[more]);
        assert_eq!(outcome.code, 1, "{more}");
        assert!(outcome.error.contains(named), "{}", outcome.error);
    }
}

#[test]
fn uses_noted_at_the_same_time_are_all_kept() {
    let place = Place::new();
    place.write(CACHED, "package");
    let path = format!("--packagePath={CACHED}");
    let children: Vec<_> = (0..12)
        .map(|task| {
            let task = format!("--taskId=T-{task}");
            let arguments = [
                "register-package",
                "--packageId=Acme.Web",
                "--packageVersion=1.0.0",
                &path,
                &task,
            ];
            place
                .command(&arguments)
                .stdout(std::process::Stdio::null())
                .spawn()
                .expect("started")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("ended").success());
    }
    let journal: serde_json::Value = serde_json::from_str(
        place
            .text("agent/PackageRetentionJournal.json")
            .trim_start_matches('\u{feff}'),
    )
    .expect("JSON");
    assert_eq!(journal["Cache"]["CacheAge"]["Value"], 12);
    assert_eq!(
        journal["JournalEntries"][0]["locks"]
            .as_array()
            .expect("a list")
            .len(),
        12
    );
}

#[test]
fn what_a_task_holds_is_cleaned_only_when_the_task_let_go() {
    let place = Place::new()
        .with("MachinePackageCacheRetentionStrategy", "Quantities")
        .with("MachinePackageCacheRetentionQuantityOfPackagesToKeep", "0");
    place.write(CACHED, "package");
    let path = format!("--packagePath={CACHED}");
    let register = [
        "register-package",
        "--packageId=Acme.Web",
        "--packageVersion=1.0.0",
        &path,
        "--taskId=T-1",
    ];
    assert_eq!(place.run(&register).code, 0);
    assert_eq!(place.run(&["clean-packages"]).code, 0);
    assert!(place.path(CACHED).exists());
    assert_eq!(place.run(&["release-package-lock", "--taskId=T-1"]).code, 0);
    assert_eq!(place.run(&["clean-packages"]).code, 0);
    assert!(!place.path(CACHED).exists());
}

#[test]
fn a_full_disk_of_the_cache_is_cleaned_up_to_what_is_missing() {
    let place = Place::new().with("OctopusPackageRetentionPercentFreeDiskSpace", "100");
    let mut children = Vec::new();
    for (version, task) in [("1.0.0", "T-1"), ("2.0.0", "T-2")] {
        let file = CACHED.replace("1.0.0", version);
        place.write(&file, "package");
        children.push((version, file, task));
    }
    for (version, file, task) in &children {
        let arguments = [
            "register-package",
            "--packageId=Acme.Web",
            &format!("--packageVersion={version}"),
            &format!("--packagePath={file}"),
            &format!("--taskId={task}"),
        ];
        assert_eq!(place.run(&arguments).code, 0);
    }
    assert_eq!(place.run(&["release-package-lock", "--taskId=T-1"]).code, 0);
    let ended = outcome(place.command(&["clean-packages"]));
    assert!(
        ended.output.contains("space from the package cache"),
        "{}",
        ended.output
    );
    assert!(!place.path(&children[0].1).exists());
    assert!(place.path(&children[1].1).exists(), "it is held");
}
