//! The same package more than once: deployed twice, skipped, purged, retained, rolled back.

use crate::pack::Item;
use crate::place::Place;

const SITE: [Item<'_>; 2] = [
    Item::File("index.html", "first"),
    Item::File("logs/app.log", "from the package"),
];

const CUSTOM: &str = "Octopus.Action.Package.CustomInstallationDirectory";

#[test]
fn twice() {
    let mut place = Place::new();
    for _ in 0..2 {
        assert_eq!(place.deploy("Acme.Web.1.0.0.zip", &SITE).code, 0);
    }
    place.is_golden("again-twice");
}

#[test]
fn skipped() {
    let mut place = Place::new().with("Octopus.Action.Package.SkipIfAlreadyInstalled", "True");
    for _ in 0..2 {
        assert_eq!(place.deploy("Acme.Web.1.0.0.zip", &SITE).code, 0);
    }
    std::fs::remove_dir_all(place.path("applications")).expect("removed");
    assert_eq!(
        place.deploy("Acme.Web.1.0.0.zip", &SITE).code,
        0,
        "what is gone is not installed"
    );
    place.is_golden("again-skipped");
}

#[test]
fn purged() {
    let mut place = Place::new()
        .feature("CustomDirectory")
        .with(CUSTOM, "<work>/site")
        .with(&format!("{CUSTOM}ShouldBePurgedBeforeDeployment"), "True")
        .with(
            &format!("{CUSTOM}PurgeExclusions"),
            "data\n**/*.keep\n\n logs/old* ",
        );
    place.write("site/left over.txt", "goes");
    place.write("site/data/deep/db", "stays");
    place.write("site/cache/a.keep", "stays");
    place.write("site/cache/b", "goes");
    place.write("site/logs/old.log", "stays");
    place.write("site/logs/new.log", "goes");
    place.write("elsewhere/file", "not reached through the link");
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("site/link")).expect("made");
    assert_eq!(place.deploy("Acme.Web.1.0.0.zip", &SITE).code, 0);
    assert_eq!(place.text("elsewhere/file"), "not reached through the link");
    place.is_golden("again-purged");
}

#[test]
fn retained() {
    let mut place = Place::new();
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        let fails = Item::File("Deploy.sh", "exit 3");
        let mut items = SITE.to_vec();
        items.extend((version == "1.1.0").then_some(fails));
        place.deploy(&format!("Acme.Web.{version}.zip"), &items);
        // What was installed in the same second has no order.
        let journal = place.text("agent/DeploymentJournal.xml");
        let stamp = journal.rfind("InstalledOn=\"").expect("a date") + "InstalledOn=\"".len();
        let earlier = format!(
            "{}2020-0{}-01{}",
            &journal[..stamp],
            &version[2..3].parse::<u8>().expect("a digit") + 1,
            &journal[stamp + 10..]
        );
        place.write("agent/DeploymentJournal.xml", earlier);
    }
    let outcome = place.tell_run(&["clean", "--retentionPolicySet=E/P/S/M", "--releases=1"]);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    place.is_golden("again-retained");
}

#[test]
fn rolled_back() {
    let mut place = Place::new()
        .feature("CustomDirectory")
        .with(CUSTOM, "<work>/site");
    assert_eq!(place.deploy("Acme.Web.1.0.0.zip", &SITE).code, 0);
    let failing = [
        Item::File("index.html", "second"),
        Item::File("PreDeploy.sh", "set_octopusvariable Version 2"),
        Item::File("PostDeploy.sh", "echo no >&2; exit 4"),
        Item::File(
            "DeployFailed.sh",
            "printf '%s' \"$(get_octopusvariable Version) $(get_octopusvariable Octopus.Tentacle.PreviousSuccessfulInstallation.PackageVersion)\" > \
             rolled-back.txt",
        ),
    ];
    assert_eq!(place.deploy("Acme.Web.2.0.0.zip", &failing).code, 1);
    place.is_golden("again-rolled-back");
}
