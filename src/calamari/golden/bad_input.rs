//! Bad input: the step fails with a text that names what is wrong, and nothing is left half done.

use crate::pack::{Item, pack, zip_of};
use crate::place::{Outcome, Place, outcome};
use contracts::ServiceMessage;
use std::process::Command;

const SITE: [Item<'_>; 1] = [Item::File("index.html", "first")];

/// The names below a folder; none when there is no such folder.
fn names(place: &Place, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.path(folder))
        .into_iter()
        .flatten()
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// A file of bytes that do not compress.
fn noise(bytes: usize) -> String {
    let mut state: u64 = 88_172_645_463_325_252;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'!' + u8::try_from(state % 90).expect("below 90"))
        })
        .collect()
}

/// Runs the program in a mount namespace of its own, with a small disk for this folder.
fn on_a_small_disk(place: &Place, folder: &str, size: &str, arguments: &[&str]) -> (Outcome, String) {
    std::fs::create_dir_all(place.path(folder)).expect("made");
    let inner = place.command(arguments);
    let mut command = Command::new("unshare");
    // What is left on the disk is listed before it goes.
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs '{0}' && \"$@\"; code=$?; find '{0}' -mindepth 1 > '{1}'; exit $code",
        place.path(folder).display(),
        place.path("left").display()
    );
    command
        .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(inner.get_current_dir().expect("a folder"));
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let ended = outcome(command);
    (ended, place.text("left"))
}

#[test]
fn a_full_disk_fails_the_step_and_gives_its_space_back() {
    let mut place = Place::new().with("OctopusSkipFreeDiskSpaceCheck", "True");
    let large = noise(3 << 20);
    for ending in [".zip", ".tar.gz", ".tar.xz", ".tar.zst"] {
        let package = format!("Acme.Web.2.0.0{ending}");
        let items = [
            SITE[0],
            Item::File("large", &large),
            Item::File("DeployFailed.sh", "exit 0"),
        ];
        place.write(&package, pack(&package, &items));
        let (ended, left) = on_a_small_disk(
            &place,
            "applications",
            "1m",
            &["deploy-package", "--package", &package],
        );
        assert_ne!(ended.code, 0);
        assert!(
            ended.error.contains("large") && ended.error.contains("free some space"),
            "{}",
            ended.error
        );
        assert!(
            !left.contains("index.html") && !left.contains(".extracting"),
            "{left}"
        );
    }
    assert!(
        !place.path("agent/DeploymentJournal.xml").exists(),
        "nothing was deployed"
    );
    place.set("OctopusSkipFreeDiskSpaceCheck", "False");
    let arguments = ["deploy-package", "--package", "Acme.Web.2.0.0.zip"];
    let (ended, left) = on_a_small_disk(&place, "applications", "1m", &arguments);
    assert!(ended.error.contains("500 MB are wanted"), "{}", ended.error);
    assert_eq!(left, "");
}

#[test]
fn a_full_disk_while_copying_leaves_the_version_before_in_place() {
    let mut place = Place::new().feature("CustomDirectory").with(
        "Octopus.Action.Package.CustomInstallationDirectory",
        "<work>/site/app",
    );
    let large = noise(3 << 20);
    place.set("OctopusSkipFreeDiskSpaceCheck", "True");
    let items = [
        Item::File("large", &large),
        Item::File("DeployFailed.sh", "echo rolled back"),
    ];
    place.write("Acme.Web.2.0.0.zip", zip_of(&items));
    let (ended, left) = on_a_small_disk(
        &place,
        "site",
        "1m",
        &["deploy-package", "--package=Acme.Web.2.0.0.zip"],
    );
    assert_eq!(ended.code, 100, "{}", ended.error);
    assert!(
        ended.error.contains("site/app/large") && ended.error.contains("free some space"),
        "{}",
        ended.error
    );
    assert!(
        ended.output.contains("rolled back"),
        "DeployFailed ran\n{}",
        ended.output
    );
    assert!(!left.contains("large") && !left.contains(".copying"), "{left}");
    assert!(
        place
            .text("agent/DeploymentJournal.xml")
            .contains("WasSuccessful=\"False\"")
    );
}

#[test]
fn a_full_disk_leaves_no_half_package_of_a_delta() {
    let place = Place::new();
    let (basis, new) = (noise(2 << 20), noise((2 << 20) + 1));
    let name = "Acme.Web@S1.0.0@0123456789ABCDEF0123456789ABCDEF.zip";
    place.write("basis", &basis);
    place.write("delta", delta(basis.as_bytes(), new.as_bytes()));
    let hash = calamari::package_cache::hash_of(&place.path("basis")).expect("a hash");
    let arguments = [
        "apply-delta",
        "--basisFileName=basis",
        "--deltaFileName=delta",
        &format!("--fileHash={hash}"),
        "--newFileName=Acme.Web.1.1.0.zip",
    ];
    let (ended, left) = on_a_small_disk(&place, "agent", "1m", &arguments);
    assert_eq!(ended.code, 0, "the message tells");
    assert!(verification(&ended).contains("exit code: 1"), "{}", ended.output);
    assert!(ended.output.contains("No space left"), "{}", ended.output);
    assert!(!left.contains("Acme.Web"), "{left}");
    assert!(!place.path(name).exists());
}

/// The delta of two files.
fn delta(basis: &[u8], new: &[u8]) -> Vec<u8> {
    let mut signature = Vec::new();
    octodiff::build_signature(basis, &mut signature, &octodiff::SignatureForm::default()).expect("built");
    let signature = octodiff::Signature::read(&signature[..]).expect("read");
    let mut delta = std::io::Cursor::new(Vec::new());
    octodiff::build_delta(&signature, new, &mut delta).expect("built");
    delta.into_inner()
}

/// What the Server is told of a patch that failed.
fn verification(ended: &Outcome) -> String {
    ended
        .output
        .lines()
        .flat_map(ServiceMessage::find)
        .filter_map(|found| found.message)
        .find(|message| message.name == "deltaVerification")
        .and_then(|message| message.get("error").map(str::to_owned))
        .unwrap_or_default()
}

#[test]
fn a_delta_against_another_basis_is_told_and_makes_no_package() {
    let place = Place::new();
    let (basis, other) = (noise(20_000), noise(20_000).replace('a', "b"));
    place.write("basis", &other);
    place.write(
        "delta",
        delta(basis.as_bytes(), format!("{basis}more").as_bytes()),
    );
    let patch = |hash: &str| {
        place.run(&[
            "apply-delta",
            "--basisFileName=basis",
            "--deltaFileName=delta",
            &format!("--fileHash={hash}"),
            "--newFileName=Acme.Web.1.1.0.zip",
        ])
    };
    let ended = patch(&"0".repeat(40));
    assert!(
        verification(&ended).contains("does not match the file hash specified"),
        "{}",
        ended.output
    );
    // The right hash of the wrong file: only the result can tell.
    let ended = patch(&calamari::package_cache::hash_of(&place.path("basis")).expect("a hash"));
    assert_eq!(ended.code, 0);
    assert!(verification(&ended).contains("exit code: 4"), "{}", ended.output);
    assert_eq!(names(&place, "agent/Files"), Vec::<String>::new());
}

#[test]
fn a_corrupted_file_in_the_cache_is_not_the_package_that_the_server_means() {
    let place = Place::new();
    let name = "Acme.Web@S1.0.0@0123456789ABCDEF0123456789ABCDEF.zip";
    let whole = zip_of(&SITE);
    let mut damaged = whole.clone();
    let at = damaged
        .windows(5)
        .position(|window| window == b"first")
        .unwrap_or(40);
    damaged[at] ^= 1;
    place.write("whole", &whole);
    place.write(&format!("agent/Files/{name}"), &damaged);
    let hash = calamari::package_cache::hash_of(&place.path("whole")).expect("a hash");
    let find = |hash: &str| {
        place.run(&[
            "find-package",
            "--packageId=Acme.Web",
            "--packageVersion=1.0.0",
            &format!("--packageHash={hash}"),
            "--exactMatch=true",
        ])
    };
    let ended = find(&hash);
    assert_eq!(ended.code, 0);
    assert!(
        !ended.output.contains("calamari-found-package"),
        "{}",
        ended.output
    );
    // Deployed all the same, it fails by name and leaves nothing.
    let ended = place.run(&["deploy-package", "--package", &format!("agent/Files/{name}")]);
    assert_ne!(ended.code, 0);
    assert!(
        ended.error.contains(name) && ended.error.contains("index.html"),
        "{}",
        ended.error
    );
    assert_eq!(
        names(&place, "applications/Production/Acme.Web"),
        Vec::<String>::new()
    );
    place.write(&format!("agent/Files/{name}"), &whole);
    assert!(find(&hash).output.contains("calamari-found-package"));
}

#[test]
fn a_damaged_journal_of_uses_is_set_aside_and_the_package_is_registered() {
    let place = Place::new();
    place.write(
        "agent/PackageRetentionJournal.json",
        "{\"JournalEntries\": [ oops",
    );
    place.write("Acme.Web.1.0.0.zip", zip_of(&SITE));
    let arguments = [
        "register-package",
        "--packageId=Acme.Web",
        "--packageVersion=1.0.0",
        "--packagePath=Acme.Web.1.0.0.zip",
        "--taskId=ServerTasks-1",
    ];
    assert_eq!(place.run(&arguments).code, 0);
    assert_eq!(names(&place, "agent").len(), 2);
    assert!(
        place
            .text("agent/PackageRetentionJournal.json")
            .contains("ServerTasks-1")
    );
}

#[test]
fn clean_removes_no_folder_that_is_more_than_an_application() {
    let place = Place::new();
    for folder in ["/", "<work>", "<work>/home", "relative"] {
        let folder = folder.replace("<work>", &place.path("").display().to_string());
        place.write("home/keep", "x");
        place.write(
            "agent/DeploymentJournal.xml",
            format!(
                "<Deployments><Deployment Id='a' InstalledOn='2020-01-01 00:00:00' RetentionPolicySet='s' ExtractedTo='{folder}' /></Deployments>"
            ),
        );
        let ended = place.run(&["clean", "--retentionPolicySet=s", "--days=1"]);
        assert_eq!(ended.code, 0, "{}", ended.error);
        assert!(ended.output.contains("is not removed"), "{}", ended.output);
        assert_eq!(place.text("home/keep"), "x");
        assert!(
            place.text("agent/DeploymentJournal.xml").contains("Id='a'"),
            "the entry stays"
        );
    }
}

#[test]
fn a_folder_in_which_the_package_lies_is_not_purged() {
    let mut place = Place::new()
        .with(
            "Octopus.Action.Package.CustomInstallationDirectory",
            "<work>/applications",
        )
        .with(
            "Octopus.Action.Package.CustomInstallationDirectoryShouldBePurgedBeforeDeployment",
            "True",
        );
    place.write("applications/other/file", "kept");
    let outcome = place.deploy("Acme.Web.1.0.0.zip", &[Item::File("index.html", "first")]);
    assert_eq!(outcome.code, 1, "{}", outcome.output);
    assert!(
        outcome
            .error
            .contains("is not purged: the package that is installed is in it"),
        "{}",
        outcome.error
    );
    assert_eq!(place.text("applications/other/file"), "kept");
}
