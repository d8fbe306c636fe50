//! A package of each format, with everything that a package may hold.

use crate::pack::Item;
use crate::place::Place;

/// Longer than the field for names in a tar header, in one part and in several.
const LONG: &str = "a-name-that-goes-on-and-on-so-that-it-does-not-fit-into-the-hundred-bytes-that-the-header-of-a-tar-has-for-names.txt";
const DEEP: &str = "some/folders/that/lie/in/each/other/and/together/have/a/longer/name/than/the/header/of/a/tar/can/hold/x.txt";

const EVERYTHING: [Item<'_>; 9] = [
    Item::File("index.html", "<p>hi</p>\n"),
    Item::File("sub/a b.txt", "A"),
    Item::File("żółw/日本.txt", "non-ASCII"),
    Item::File(LONG, "long"),
    Item::File(DEEP, "deep"),
    Item::File("empty", ""),
    Item::Program("bin/run", "#!/bin/sh\necho hi\n"),
    Item::Link("current", "sub/a b.txt"),
    Item::Folder("logs/old"),
];

fn deploys(ending: &str) {
    let mut place = Place::new();
    let outcome = place.deploy(&format!("Acme.Web.1.2.3{ending}"), &EVERYTHING);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    place.is_golden(&format!("format{ending}"));
}

macro_rules! formats {
    ($($name:ident $ending:literal)*) => {
        $(#[test]
        fn $name() {
            deploys($ending);
        })*
    };
}

formats! {
    zip ".zip"
    nupkg ".nupkg"
    jar ".jar"
    war ".war"
    ear ".ear"
    rar ".rar"
    wheel ".whl"
    tar ".tar"
    tar_gz ".tar.gz"
    tgz ".tgz"
    tar_z ".tar.Z"
    tar_bz2 ".tar.bz2"
    tar_bz ".tar.bz"
    tbz ".tbz"
    tbz2 ".tbz2"
    tar_xz ".tar.xz"
    tar_zst ".tar.zst"
}

#[test]
fn a_package_as_the_cache_names_it() {
    let mut place = Place::new();
    let outcome = place.deploy(
        "Acme%2FWeb@S1.2.3-rc.1+b@0123456789ABCDEF0123456789ABCDEF.tar.gz",
        &EVERYTHING,
    );
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    place.is_golden("format-cache-name");
}
