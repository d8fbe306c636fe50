//! B3: a package of 100 MB in 3,000 files, unpacked to memory. Ours is `calamari extract-package`: with path checks,
//! limits, checksums, and a folder that has its name when it is complete.

use std::path::Path;

use crate::Place;
use crate::input::{Contents, count, same_tree};
use crate::measure::{Spent, alternate, run as start};
use crate::table::Bound::AtLeast;
use crate::table::{Goal, Table};

pub const FILES: usize = 3000;
pub const BYTES: usize = 100_000_000;
const ROUNDS: usize = 3;

/// The contents of the package, made once.
pub fn tree(place: &Place) -> std::path::PathBuf {
    let tree = place.at("tree");
    if !tree.exists() {
        Contents::new(3).tree(&tree, FILES, BYTES);
    }
    tree
}

/// The package as a zip.
pub fn zip(place: &Place) -> std::path::PathBuf {
    let zip = place.at("Acme.Web.1.0.0.zip");
    if !zip.exists() {
        calamari::package::zip_writer::write(&tree(place), &zip, true).expect("a package can be made");
    }
    zip
}

pub fn run(place: &Place, table: &mut Table) {
    let tree = tree(place);
    let zip = zip(place);
    let name = zip.to_string_lossy();
    table.about("extraction of 3,000 files, 100 MB: zip");
    let [ours, unzip, bsdtar] = alternate(
        ROUNDS,
        [
            Box::new(|| ours(place, &tree, &name)),
            Box::new(|| peer(place, &tree, "unzip", &["-q", &name])),
            Box::new(|| peer(place, &tree, "bsdtar", &["-xf", &name])),
        ],
    );
    table.ours("calamari extract-package", ours, &speed(ours));
    table.peer("unzip", ours, unzip, Goal::at_least(2.0, 3.0));
    table.peer("bsdtar -xf", ours, bsdtar, Goal::moonshot(AtLeast(1.9)));

    let formats: [(&str, &[&str], &[&str], Goal); 3] = [
        ("tar", &["-cf"], &["-xf"], Goal::moonshot(AtLeast(0.75))),
        ("tar.gz", &["-czf"], &["-xzf"], Goal::pass(AtLeast(1.0))),
        (
            "tar.zst",
            &["-I", "zstd", "-cf"],
            &["-I", "zstd", "-xf"],
            Goal::NONE,
        ),
    ];
    for (ending, pack, unpack, goal) in formats {
        let package = place.at(&format!("Acme.Web.1.0.0.{ending}"));
        let name = package.to_string_lossy();
        start(&tree, "tar", &[pack, &[&*name, "."]].concat());
        table.about(&format!("extraction of the same: {ending}"));
        let unpack = [unpack, &[&*name]].concat();
        let [ours, tar, bsdtar] = alternate(
            ROUNDS,
            [
                Box::new(|| self::ours(place, &tree, &name)),
                Box::new(|| peer(place, &tree, "tar", &unpack)),
                Box::new(|| peer(place, &tree, "bsdtar", &["-xf", &name])),
            ],
        );
        table.ours("calamari extract-package", ours, &speed(ours));
        table.peer(
            &format!("tar {}", unpack[..unpack.len() - 1].join(" ")),
            ours,
            tar,
            goal,
        );
        table.peer("bsdtar -xf", ours, bsdtar, Goal::NONE);
        std::fs::remove_file(&package).expect("an own file can be removed");
    }
    place.fresh("unpacked");
}

fn ours(place: &Place, tree: &Path, package: &str) -> Spent {
    let folder = place.fresh("unpacked");
    let spent = start(
        &folder,
        &place.calamari,
        &["extract-package", &format!("--pathToPackage={package}")],
    );
    same_tree(tree, &folder.join("staging"));
    spent
}

fn peer(place: &Place, tree: &Path, program: &str, arguments: &[&str]) -> Spent {
    let folder = place.fresh("unpacked");
    let spent = start(&folder, program, arguments);
    assert_eq!(count(tree), count(&folder), "{program} unpacks everything");
    spent
}

fn speed(spent: Spent) -> String {
    format!("{:>7.0} MB/s", BYTES as f64 / 1e6 / spent.cpu.as_secs_f64())
}
