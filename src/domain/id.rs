//! Ids: text with a kind, `Projects-1` (`rest-api.md` 1.8).

use std::fmt;
use std::str::FromStr;

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an id of the form {kind}-<number>.")]
pub struct NotAnId {
    /// What was given, cut to 100 characters.
    pub text: String,
    /// The kind that was wanted, for example `Projects`.
    pub kind: &'static str,
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident = $kind:literal $(or $special:literal)*;)*) => {$(
        $(#[$meta])*
        ///
        /// Read from JSON as it is, since a client may name what does not exist; [`str::parse`] is strict. Empty = none.
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The part before the number; also the name of the counter that hands the numbers out.
            pub const KIND: &'static str = $kind;

            /// The id of a number that the counter handed out.
            #[must_use]
            pub fn numbered(number: i64) -> Self { Self(format!(concat!($kind, "-{}"), number)) }

            /// Takes a text as an id without a look at its form: for a text that is about to be looked up.
            pub fn from_text(text: impl Into<String>) -> Self { Self(text.into()) }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }

            /// Whether no id is given.
            #[must_use]
            pub fn is_empty(&self) -> bool { self.0.is_empty() }

            /// The number, if the id has one.
            #[must_use]
            pub fn number(&self) -> Option<i64> { number(&self.0, $kind) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result { formatter.write_str(&self.0) }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self { id.0 }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Compares the kind without case and gives the id in its one spelling.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                $(if text.eq_ignore_ascii_case($special) { return Ok(Self($special.into())); })*
                match number(text, $kind) {
                    Some(number) => Ok(Self::numbered(number)),
                    None => Err(NotAnId { text: text.chars().take(100).collect(), kind: $kind }),
                }
            }
        }
    )*};
}

ids! {
    /// Id of an API key.
    ApiKeyId = "APIKeys";
    /// Id of a file that a task left behind.
    ArtifactId = "Artifacts";
    /// Id of a channel.
    ChannelId = "Channels";
    /// Id of a deployment.
    DeploymentId = "Deployments";
    /// Id of an environment.
    EnvironmentId = "Environments";
    /// Id of an event of the audit.
    EventId = "Events";
    /// Id of a package feed.
    FeedId = "Feeds" or "feeds-builtin";
    /// Id of a question to a person.
    InterruptionId = "Interruptions";
    /// Id of a library variable set.
    LibraryVariableSetId = "LibraryVariableSets";
    /// Id of a lifecycle.
    LifecycleId = "Lifecycles";
    /// Id of a deployment target.
    MachineId = "Machines";
    /// Id of a machine policy.
    MachinePolicyId = "MachinePolicies";
    /// Id of a project.
    ProjectId = "Projects";
    /// Id of a project group.
    ProjectGroupId = "ProjectGroups";
    /// Id of a release.
    ReleaseId = "Releases";
    /// Id of a task of the Server.
    ServerTaskId = "ServerTasks";
    /// Id of a space.
    SpaceId = "Spaces";
    /// Id of a team.
    TeamId = "Teams" or "teams-administrators" or "teams-managers" or "teams-everyone";
    /// Id of a tenant.
    TenantId = "Tenants";
    /// Id of a user.
    UserId = "Users";
    /// Id of a worker.
    WorkerId = "Workers";
    /// Id of a pool of workers.
    WorkerPoolId = "WorkerPools";
}

macro_rules! document_ids {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The word before the owner's id.
            pub const PREFIX: &'static str = $prefix;

            /// The living document of an owner.
            pub fn of(owner: &impl AsRef<str>) -> Self { Self(format!(concat!($prefix, "-{}"), owner.as_ref())) }

            /// The copy number `number` of this document; `random` tells two copies of one number apart.
            #[must_use]
            pub fn snapshot(&self, number: i64, random: &str) -> Self {
                Self(format!("{}-s-{number}-{random}", self.0))
            }

            /// Takes a text as an id without a look at its form: for a text that is about to be looked up.
            pub fn from_text(text: impl Into<String>) -> Self { Self(text.into()) }

            /// The id of the owner, `Projects-1`, of a living document; None for a snapshot or a foreign id.
            #[must_use]
            pub fn owner(&self) -> Option<&str> {
                let (prefix, owner) = self.0.split_once('-')?;
                (prefix.eq_ignore_ascii_case($prefix) && !owner.contains("-s-")).then_some(owner)
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }

            /// Whether no id is given.
            #[must_use]
            pub fn is_empty(&self) -> bool { self.0.is_empty() }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result { formatter.write_str(&self.0) }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self { id.0 }
        }
    )*};
}

document_ids! {
    /// Id of a deployment process, `deploymentprocess-Projects-1`, or of a snapshot of one.
    DeploymentProcessId = "deploymentprocess";
    /// Id of a project's deployment settings, `deploymentsettings-Projects-1`.
    DeploymentSettingsId = "deploymentsettings";
    /// Id of a variable set, `variableset-Projects-1`, or of a snapshot of one.
    VariableSetId = "variableset";
}

/// The id of the built-in feed of the default space.
pub const BUILT_IN_FEED: &str = "feeds-builtin";

fn number(text: &str, kind: &str) -> Option<i64> {
    let (found, digits) = text.split_once('-')?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (found.eq_ignore_ascii_case(kind) && plain)
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_any_case_and_written_in_one() {
        assert_eq!("projects-12".parse::<ProjectId>(), Ok(ProjectId::numbered(12)));
        assert_eq!(
            "FEEDS-BuiltIn".parse::<FeedId>().unwrap().as_str(),
            "feeds-builtin"
        );
        assert_eq!(ProjectId::numbered(12).number(), Some(12));
    }

    #[test]
    fn an_id_of_another_kind_or_form_is_refused() {
        for text in [
            "Environments-1",
            "Projects-",
            "Projects-+1",
            "Projects-1x",
            "",
            "Projects-99999999999999999999",
        ] {
            assert!(text.parse::<ProjectId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_knows_its_owner_and_a_snapshot_has_none() {
        let process = DeploymentProcessId::of(&ProjectId::numbered(3));
        assert_eq!(process.as_str(), "deploymentprocess-Projects-3");
        assert_eq!(process.owner(), Some("Projects-3"));
        let copy = process.snapshot(3, "ABCDE");
        assert_eq!(copy.as_str(), "deploymentprocess-Projects-3-s-3-ABCDE");
        assert_eq!(copy.owner(), None);
    }
}
