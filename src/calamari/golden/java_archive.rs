//! Java archives, which `deploy-java-archive` changes and builds again.

use crate::pack::Item;
use crate::place::Place;

const SHOP: [Item<'_>; 7] = [
    Item::File(
        "META-INF/MANIFEST.MF",
        "Manifest-Version: 1.0\r\nCreated-By: Acme\r\n\r\n",
    ),
    Item::File(
        "WEB-INF/web.xml",
        "<web-app><display-name>#{Octopus.Machine.Name}</display-name></web-app>",
    ),
    Item::File(
        "WEB-INF/classes/app.properties",
        "! kept\ndb.host = localhost\ndb.port=5432\n",
    ),
    Item::Program("bin/run", "#!/bin/sh\n"),
    Item::Folder("logs"),
    Item::File(
        "PreDeploy.sh",
        "echo pre >> order.txt; set_octopusvariable Last pre",
    ),
    Item::File(
        "PostDeploy.sh",
        "echo post >> order.txt; set_octopusvariable Last post",
    ),
];

fn place() -> Place {
    let place = Place::new()
        .feature("SubstituteInFiles")
        .feature("JsonConfigurationVariables")
        .with("Octopus.Action.SubstituteInFiles.TargetFiles", "WEB-INF/web.xml")
        .with(
            "Octopus.Action.Package.JsonConfigurationVariablesTargets",
            "**/*.properties",
        )
        .with("db.host", "db.#{Octopus.Machine.Name}");
    place.write("site/other", "stays");
    place
}

fn succeeds(mut place: Place, name: &str) {
    let outcome = place.deploy_archive("Acme.Shop.1.2.3.war", &SHOP);
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.output, outcome.error);
    place.is_golden(&format!("java-archive-{name}"));
}

#[test]
fn an_archive_is_unpacked_changed_and_built_again() {
    succeeds(place(), "built-again");
}

#[test]
fn an_archive_gets_the_name_the_folder_and_the_form_that_the_step_gives() {
    let place = place()
        .feature("CustomDirectory")
        .with("Octopus.Action.Package.CustomPackageFileName", "ROOT.war")
        .with(
            "Octopus.Action.Package.CustomInstallationDirectory",
            "<work>/site",
        )
        .with("Octopus.Action.Package.JavaArchiveCompression", "False");
    succeeds(place, "custom");
}

#[test]
fn an_archive_stays_unpacked() {
    let place = place().with("Octopus.Action.JavaArchive.DeployExploded", "True");
    succeeds(place, "exploded");
}

#[test]
fn an_archive_stays_as_it_is() {
    let place = place().with("Octopus.Action.Java.JavaArchiveExtractionDisabled", "True");
    succeeds(place, "unchanged");
}

#[test]
fn an_archive_whose_script_fails_is_rolled_back() {
    let mut place = place();
    let items = [
        Item::File("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"),
        Item::File("PreDeploy.sh", "fail_step 'not today'"),
        Item::File("DeployFailed.sh", "set_octopusvariable Failed yes"),
    ];
    assert_eq!(place.deploy_archive("Acme.Shop.1.2.3.war", &items).code, 1);
    place.is_golden("java-archive-deploy-failed");
}
