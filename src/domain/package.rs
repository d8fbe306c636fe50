//! Packages in the built-in feed (`rest-api.md` 5.19).

use crate::FeedId;
use crate::document::Document;
use crate::shape::shape;
use crate::time::Timestamp;

shape! {
    /// One version of a package.
    pub struct + extra Package {
        /// `packages-Acme.Web.1.0.0`.
        pub id: String,
        /// The name of the package; compared without case.
        pub package_id: String,
        /// The same under its old name, which clients still read.
        pub nu_get_package_id: String,
        /// The version as the file name has it.
        pub version: String,
        /// `feeds-builtin`.
        pub feed_id: FeedId,
        /// The same under its old name.
        pub nu_get_feed_id: FeedId,
        /// A readable name.
        pub title: String,
        /// A short text.
        pub summary: String,
        /// A long text.
        pub description: String,
        /// When it was pushed.
        pub published: Timestamp,
        /// `.zip`, `.tar.gz`, …
        pub file_extension: String,
        /// The size in bytes.
        pub package_size_bytes: i64,
        /// SHA-1 of the file, lower-case hex (`calamari.md` 10.5).
        pub hash: String,
        /// Notes of this version.
        pub release_notes: Option<String>,
    }
}

impl Document for Package {}

impl Package {
    /// The id of a package version: `packages-Acme.Web.1.0.0`.
    #[must_use]
    pub fn id_of(package_id: &str, version: &str) -> String {
        format!("packages-{package_id}.{version}")
    }

    /// Id, file name part and version of a new version; the rest is set by the caller.
    #[must_use]
    pub fn new(package_id: &str, version: &str, feed_id: FeedId) -> Self {
        Self {
            id: Self::id_of(package_id, version),
            package_id: package_id.into(),
            nu_get_package_id: package_id.into(),
            version: version.into(),
            nu_get_feed_id: feed_id.clone(),
            feed_id,
            title: package_id.into(),
            ..Self::default()
        }
    }
}
