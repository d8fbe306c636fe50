//! What may be done (`security.md` 2.1), and who holds which of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($name:ident: $meaning:literal,)*) => {
        /// One permission. The names are those of the field; clients and people know them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Permission {
            $(#[doc = $meaning] $name,)*
        }

        impl Permission {
            /// Every permission with its meaning, for `GET /api/permissions/all`.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$name, $meaning),)*];

            /// The name as it is written.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

permissions! {
    AdministerSystem: "Perform system-level functions; whoever holds it may do everything.",
    ArtifactCreate: "Add artifacts to a task.",
    ArtifactDelete: "Delete artifacts.",
    ArtifactEdit: "Rename artifacts and replace their content.",
    ArtifactView: "View the artifacts of tasks.",
    BuiltInFeedAdminister: "Replace or delete packages in the built-in repository.",
    BuiltInFeedDownload: "Download packages from the built-in repository.",
    BuiltInFeedPush: "Push new packages to the built-in repository.",
    DeploymentCreate: "Deploy releases.",
    DeploymentDelete: "Delete deployments.",
    DeploymentView: "View deployments.",
    EnvironmentCreate: "Create environments.",
    EnvironmentDelete: "Delete environments.",
    EnvironmentEdit: "Edit environments.",
    EnvironmentView: "View environments.",
    EventView: "View the audit.",
    FeedEdit: "Edit feeds.",
    FeedView: "View package feeds and the packages in them.",
    LifecycleCreate: "Create lifecycles.",
    LifecycleDelete: "Delete lifecycles.",
    LifecycleEdit: "Edit lifecycles.",
    LifecycleView: "View lifecycles.",
    MachineCreate: "Register machines.",
    MachineDelete: "Delete machines.",
    MachineEdit: "Edit machines.",
    MachinePolicyView: "View machine policies.",
    MachineView: "View machines.",
    ProcessEdit: "Edit the deployment process and the channels of a project.",
    ProcessView: "View the deployment process and the channels of a project.",
    ProjectCreate: "Create projects.",
    ProjectDelete: "Delete projects.",
    ProjectEdit: "Edit the settings of a project.",
    ProjectGroupCreate: "Create project groups.",
    ProjectGroupDelete: "Delete project groups.",
    ProjectGroupEdit: "Edit project groups.",
    ProjectGroupView: "View project groups.",
    ProjectView: "View projects.",
    ProxyView: "View proxies.",
    ReleaseCreate: "Create releases.",
    ReleaseDelete: "Delete releases.",
    ReleaseEdit: "Edit releases.",
    ReleaseView: "View releases.",
    SpaceView: "View spaces.",
    TaskCancel: "Cancel tasks.",
    TaskCreate: "Start tasks such as a health check.",
    TaskView: "View tasks and their logs.",
    TeamView: "View teams.",
    TenantView: "View tenants and tag sets.",
    UserEdit: "Create and edit users and service accounts.",
    UserView: "View users.",
    VariableEdit: "Edit the variables of a project.",
    VariableView: "View the variables of a project.",
    WorkerEdit: "Edit workers and worker pools.",
    WorkerView: "View workers and worker pools.",
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .map(|(permission, _)| *permission)
            .find(|permission| permission.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("'{text}' is not the name of a permission."))
    }
}

/// What one user may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Everything: an administrator.
    #[must_use]
    pub fn administrator() -> Self {
        Self([Permission::AdministerSystem].into())
    }

    /// What an agent needs to register itself and nothing else (`containers.md` 1.1, `JOIN_KEY_FILE`).
    #[must_use]
    pub fn registration() -> Self {
        use Permission::{
            EnvironmentView, MachineCreate, MachineEdit, MachinePolicyView, MachineView, ProxyView,
            SpaceView, TenantView, WorkerEdit, WorkerView,
        };
        Self(
            [
                EnvironmentView,
                MachineCreate,
                MachineEdit,
                MachinePolicyView,
                MachineView,
                ProxyView,
                SpaceView,
                TenantView,
                WorkerEdit,
                WorkerView,
            ]
            .into(),
        )
    }

    /// Whether the permission is among them.
    #[must_use]
    pub fn has(&self, permission: Permission) -> bool {
        self.0.contains(&Permission::AdministerSystem) || self.0.contains(&permission)
    }

    /// Each one, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = Permission> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_may_do_everything() {
        let all = Permissions::administrator();
        assert!(Permission::ALL.iter().all(|(permission, _)| all.has(*permission)));
    }

    #[test]
    fn an_agent_may_register_and_nothing_else() {
        let agent = Permissions::registration();
        assert!(agent.has(Permission::MachineCreate));
        assert!(!agent.has(Permission::DeploymentCreate) && !agent.has(Permission::MachineDelete));
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!("machinecreate".parse(), Ok(Permission::MachineCreate));
    }
}
