//! B13: starting the runner, and a deployment, in time and memory.

use std::path::Path;

use crate::input::{Contents, count};
use crate::measure::{Spent, alternate, output, peak, run as start};
use crate::table::Bound::AtLeast;
use crate::table::{Goal, Table, megabytes, milliseconds};
use crate::{Place, extraction};

const STARTS: usize = 51;
const ROUNDS: usize = 5;
const SUBSTITUTED: usize = 3;
const PRINTED: usize = 200;

pub fn run(place: &Place, table: &mut Table) {
    starts(place, table);

    // As the original was measured: 403 files, three of them substituted, a script that prints 200 lines.
    let tree = place.at("deployed");
    Contents::new(8).tree(&tree, 399, 15_000_000);
    deployment(place, table, &tree, "403 files, 15 MB", "Acme.Shop.1.0.0.zip");
    std::fs::remove_dir_all(&tree).expect("an own folder can be removed");

    let tree = extraction::tree(place);
    let copy = place.at("large");
    start(
        &place.folder,
        "cp",
        &["-r", &tree.to_string_lossy(), &copy.to_string_lossy()],
    );
    deployment(place, table, &copy, "3,000 files, 100 MB", "Acme.Large.1.0.0.zip");
    std::fs::remove_dir_all(&copy).expect("an own folder can be removed");
}

fn starts(place: &Place, table: &mut Table) {
    let folder = place.fresh("start");
    let variables = r#"[{"k":"Octopus.Action.Script.ScriptBody","v":"true"},{"k":"Octopus.Action.Script.Syntax","v":"Bash"}]"#;
    std::fs::write(folder.join("variables.json"), variables).expect("a file can be written");
    let script = ["run-script", "--variables=variables.json"];
    table.about("starting the runner");
    let [ours, version, bash, nothing] = alternate(
        STARTS,
        [
            Box::new(|| start(&folder, &place.calamari, &script)),
            Box::new(|| start(&folder, &place.calamari, &["version"])),
            Box::new(|| start(&folder, "bash", &["-c", "true"])),
            Box::new(|| start(&folder, "true", &[])),
        ],
    );
    table.ours(
        "calamari run-script with true; bash included",
        ours,
        "the original 400 ms",
    );
    let time = ours.cpu.as_secs_f64() * 1e3;
    table.figure("its CPU time", time, &milliseconds, Goal::at_most(20.0, 4.0), "");
    let time = ours.wall.as_secs_f64() * 1e3;
    table.figure(
        "its time on the wall, whatever else ran",
        time,
        &milliseconds,
        Goal::at_most(20.0, 4.0),
        "",
    );
    table.peer("calamari version", ours, version, Goal::NONE);
    table.peer("bash -c true", ours, bash, Goal::NONE);
    table.peer("true", ours, nothing, Goal::NONE);
    let floor = peak(&place.own, &folder, Path::new("true"), &[]) as f64 * 1024.0;
    table.figure(
        "peak memory of true, the least that is seen",
        floor,
        &megabytes,
        Goal::NONE,
        "",
    );
    let memory = peak(&place.own, &folder, &place.calamari, &script) as f64 * 1024.0;
    table.figure(
        "peak memory of run-script",
        memory,
        &megabytes,
        memory_goal(),
        "the original 79 MB",
    );
}

fn memory_goal() -> Goal {
    Goal::at_most(15.0e6, 8.0e6)
}

fn deployment(place: &Place, table: &mut Table, tree: &Path, what: &str, name: &str) {
    for number in 0..SUBSTITUTED {
        let text = "key = #{Value}\n".repeat(20);
        std::fs::write(tree.join(format!("settings-{number}.conf")), text).expect("a file can be written");
    }
    std::fs::write(
        tree.join("PostDeploy.sh"),
        format!("for i in $(seq {PRINTED}); do echo \"line $i\"; done\n"),
    )
    .expect("a file can be written");
    let package = place.at(name);
    calamari::package::zip_writer::write(tree, &package, true).expect("a package can be made");
    let expected = count(tree);

    let folder = place.fresh("deployment");
    let applications = folder.join("applications");
    let variables = format!(
        r#"[{{"k":"Octopus.Tentacle.Agent.ApplicationDirectoryPath","v":"{}"}},
            {{"k":"Octopus.Environment.Name","v":"Production"}},
            {{"k":"Octopus.Action.EnabledFeatures","v":"Octopus.Features.SubstituteInFiles"}},
            {{"k":"Octopus.Action.SubstituteInFiles.TargetFiles","v":"*.conf"}},
            {{"k":"Value","v":"a value"}}]"#,
        applications.display()
    );
    std::fs::write(folder.join("variables.json"), variables).expect("a file can be written");
    let package = package.to_string_lossy();
    let option = format!("--package={package}");
    let asked = ["deploy-package", &option, "--variables=variables.json"];
    let ours = || {
        place.fresh("deployment/applications");
        let (spent, printed) = output(&folder, &place.calamari, &asked);
        let lines = printed.lines().filter(|line| line.starts_with("line ")).count();
        assert_eq!(lines, PRINTED, "the script's lines arrive");
        let mut unpacked = applications.join("Production");
        for _ in 0..2 {
            let entry = std::fs::read_dir(&unpacked).expect("the package is there").next();
            unpacked = entry.expect("a folder").expect("the folder can be read").path();
        }
        // The script that ran is removed.
        assert_eq!(count(&unpacked).0, expected.0 - 1, "all files arrive");
        let text = std::fs::read_to_string(unpacked.join("settings-2.conf")).expect("a text");
        assert_eq!(text, "key = a value\n".repeat(20));
        spent
    };
    let unzip = || -> Spent {
        let folder = place.fresh("unpacked");
        start(&folder, "unzip", &["-q", &package])
    };
    table.about(&format!(
        "deployment of a zip of {what}, three substituted, 200 lines printed"
    ));
    let [ours, unzip] = alternate(ROUNDS, [Box::new(ours), Box::new(unzip)]);
    table.ours("calamari deploy-package", ours, "");
    table.peer("unzip", ours, unzip, Goal::moonshot(AtLeast(1.0 / 0.8)));
    place.fresh("deployment/applications");
    let memory = peak(&place.own, &folder, &place.calamari, &asked) as f64 * 1024.0;
    table.figure(
        "peak memory",
        memory,
        &megabytes,
        memory_goal(),
        "the original 104 MB",
    );
    place.fresh("unpacked");
    place.fresh("deployment");
}
