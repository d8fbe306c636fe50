//! The product's own version.

/// Name of the variable that an image sets to the version of its tag.
const VARIABLE: &str = "MANTLE_VERSION";

/// The version of the product: that of the image's tag where the image was built for a release, else that of
/// the source (`containers.md` REQ-015).
pub fn product_version() -> String {
    std::env::var(VARIABLE)
        .ok()
        .filter(|version| !version.is_empty())
        .unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
}
