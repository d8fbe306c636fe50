//! Channels: kinds of releases of one project (`rest-api.md` 5.5, `deployments.md` 5.1, 5.3).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::document::Document;
use crate::project::DeploymentActionPackage;
use crate::shape::shape;
use crate::{ChannelId, LifecycleId, Problems, ProjectId, SpaceId, check_name};

shape! {
    /// A kind of release: which packages it may have and which lifecycle it follows.
    pub struct + extra Channel {
        /// `Channels-1`.
        pub id: ChannelId,
        /// The space it is in.
        pub space_id: SpaceId,
        /// Its project.
        pub project_id: ProjectId,
        /// Unique in the project, without case.
        pub name: String,
        /// Short form of the name for addresses.
        pub slug: String,
        /// What it is for.
        pub description: String,
        /// Its lifecycle; null = the project's.
        pub lifecycle_id: Option<LifecycleId>,
        /// Whether releases without a channel are in this one.
        pub is_default: bool,
        /// Which tenants get its releases; empty = all.
        pub tenant_tags: Vec<String>,
        /// Which package versions its releases may have.
        pub rules: Vec<ChannelRule>,
        /// Patterns of Git references.
        pub git_reference_rules: Vec<String>,
        /// Patterns of Git references of dependencies.
        pub git_resource_rules: Vec<Value>,
        /// Fields that each release fills in.
        pub custom_field_definitions: Vec<Value>,
    }

    /// Which versions some packages may have.
    pub struct + extra ChannelRule {
        /// A GUID; the Server fills it.
        pub id: String,
        /// A version range in NuGet's notation; empty = any.
        pub version_range: String,
        /// A regular expression on the pre-release part; empty = any.
        pub tag: String,
        /// The packages concerned.
        pub action_packages: Vec<DeploymentActionPackage>,
    }
}

impl Document for Channel {}

impl Channel {
    /// The channel that every project has.
    #[must_use]
    pub fn default_of(project_id: ProjectId, space_id: SpaceId) -> Self {
        Self {
            space_id,
            project_id,
            name: "Default".into(),
            slug: "default".into(),
            is_default: true,
            ..Self::default()
        }
    }

    /// The lifecycle its releases follow (`deployments.md` 6.1).
    #[must_use]
    pub fn lifecycle<'a>(&'a self, project: &'a crate::Project) -> &'a LifecycleId {
        self.lifecycle_id
            .as_ref()
            .filter(|id| !id.is_empty())
            .unwrap_or(&project.lifecycle_id)
    }

    /// What is wrong with it, given the lifecycles of the space.
    #[must_use]
    pub fn problems(&self, lifecycles: &BTreeSet<LifecycleId>) -> Problems {
        let mut problems = Problems::default();
        check_name(&mut problems, "channel", &self.name);
        if let Some(id) = &self.lifecycle_id
            && !id.is_empty()
            && !lifecycles.contains(id)
        {
            problems.add(format!(
                "The channel '{}' names the lifecycle '{id}', which does not exist in this space. \
                 Give another id in LifecycleId, or null for the project's.",
                self.name
            ));
        }
        for rule in &self.rules {
            if !rule.version_range.trim().is_empty()
                && let Err(error) = rule.version_range.parse::<versioning::VersionRange>()
            {
                problems.add(format!(
                    "A rule of the channel '{}' cannot be used: {error}",
                    self.name
                ));
            }
            if !rule.tag.trim().is_empty() {
                problems.add(format!(
                    "A rule of the channel '{}' has a pre-release tag ('{}'), which this Server cannot check yet. \
                     Use a version range instead.",
                    self.name, rule.tag
                ));
            }
        }
        problems
    }

    /// The channel of a new release: the one that is named, else the default one (`deployments.md` 5.3).
    ///
    /// # Errors
    /// When the named one is not among the channels of the project, or there is no default.
    pub fn choose<'a>(
        channels: &'a [Self],
        wanted: Option<&ChannelId>,
        project: &str,
    ) -> Result<&'a Self, Problems> {
        match wanted.filter(|id| !id.is_empty()) {
            Some(id) => channels.iter().find(|channel| &channel.id == id).ok_or_else(|| {
                Problems::one(format!(
                    "The project '{project}' has no channel '{id}'. Give the id of one of its channels in ChannelId, \
                     or leave it out for the default one."
                ))
            }),
            None => channels.iter().find(|channel| channel.is_default).ok_or_else(|| {
                Problems::one(format!(
                    "The project '{project}' has no default channel. Give the id of a channel in ChannelId."
                ))
            }),
        }
    }
}
