//! Packages from public registries, only renamed, and a NuGet package with a full manifest.

use crate::pack::Item;
use crate::place::Place;
use std::path::Path;

fn deploys(published: &str, package: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/packages")
        .join(published);
    let mut place = Place::new();
    let outcome = place.deploy_bytes(package, &std::fs::read(file).expect("a package"));
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    place.is_golden(&format!("published-{published}"));
}

#[test]
fn a_package_of_npm() {
    deploys("ms-2.1.3.tgz", "ms.2.1.3.tgz");
}

#[test]
fn a_wheel_of_python() {
    deploys("six-1.17.0-py2.py3-none-any.whl", "six.1.17.0.zip");
}

#[test]
fn a_source_tarball_of_debian() {
    deploys("lua5.4_5.4.7-1.debian.tar.xz", "lua.5.4.7.tar.xz");
}

#[test]
fn a_jar_of_maven_central() {
    deploys("javax.inject-1.jar", "javax.inject.1.jar");
}

#[test]
fn a_package_of_nuget_with_a_full_manifest_is_called_what_that_says() {
    let bytes = crate::pack::pack(
        "Acme.Web.1.2.3-beta.1.nupkg",
        &[
            Item::File("lib/net8.0/Acme.Web.dll", "MZ"),
            Item::File("content/a%20b%2Bc.txt", "A"),
            Item::File("tools/install.ps1", "exit 1"),
        ],
    );
    let mut place = Place::new();
    let outcome = place.deploy_bytes("whatever.9.9.9.nupkg", &bytes);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    place.is_golden("published-nupkg");
}
