//! Feeds: where packages come from (`rest-api.md` 5.18).

use crate::document::Document;
use crate::sensitive::SensitiveValue;
use crate::shape::{shape, words};
use crate::{FeedId, Problems, SpaceId, check_name};

words! {
    /// The protocol of a feed.
    pub enum FeedType {
        /// The repository in this Server.
        BuiltIn,
        /// A NuGet server.
        NuGet,
        /// A container registry.
        Docker,
        /// A Maven repository.
        Maven,
        /// GitHub releases and tags.
        GitHub,
        /// A Helm chart repository.
        Helm,
        /// Charts in a container registry.
        OciRegistry,
        /// An npm registry.
        Npm,
        /// A PyPI index.
        PyPi,
        /// Elastic Container Registry.
        AwsElasticContainerRegistry,
        /// Azure Container Registry.
        AzureContainerRegistry,
        /// Google's container registry.
        GoogleContainerRegistry,
        /// An S3 bucket.
        S3,
        /// A Google Cloud Storage bucket.
        GcsStorage,
        /// An Artifactory repository with a layout of its own.
        ArtifactoryGeneric,
        /// Releases of other projects of this Server.
        OctopusProject,
    }
    /// Where the package of a reference is fetched.
    pub enum AcquisitionLocation {
        /// By the Server, which sends it on.
        Server,
        /// By the target itself.
        ExecutionTarget,
        /// Not at all; a script sees only id and version.
        NotAcquired,
    }
}

shape! {
    /// A source of packages.
    pub struct + extra Feed {
        /// `feeds-builtin` or `Feeds-1001`.
        pub id: FeedId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Unique in the space, without case.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// The protocol.
        pub feed_type: FeedType,
        /// Where a package of this feed can be fetched.
        pub package_acquisition_location_options: Vec<AcquisitionLocation>,
        /// Its address; absent for the built-in one.
        pub feed_uri: Option<String>,
        /// Who to sign in as.
        pub username: Option<String>,
        /// The password.
        pub password: SensitiveValue,
    }
}

impl Document for Feed {
    fn sensitive(&mut self) -> Vec<(String, &mut SensitiveValue)> {
        vec![("Password".into(), &mut self.password)]
    }
}

impl Feed {
    /// The repository that every space has.
    #[must_use]
    pub fn built_in(id: FeedId, space_id: SpaceId) -> Self {
        Self {
            id,
            space_id,
            name: "Octopus Server (built-in)".into(),
            slug: "octopus-server-built-in".into(),
            feed_type: FeedType::BuiltIn,
            package_acquisition_location_options: vec![
                AcquisitionLocation::Server,
                AcquisitionLocation::NotAcquired,
            ],
            ..Self::default()
        }
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "feed", &self.name);
        problems
    }
}
