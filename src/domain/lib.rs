#![doc = include_str!("README.md")]

pub mod artifact;
pub mod channel;
pub mod deployment;
pub mod deployment_process;
pub mod document;
pub mod environment;
pub mod event;
pub mod feed;
pub mod id;
pub mod lifecycle;
pub mod machine;
pub mod machine_policy;
pub mod name;
pub mod package;
pub mod package_version;
pub mod permission;
pub mod planning;
pub mod problem;
pub mod project;
pub mod project_group;
pub mod release;
pub mod sensitive;
pub mod server_task;
pub mod shape;
pub mod space;
pub mod system_variables;
pub mod time;
pub mod user;
pub mod variable_set;

pub use channel::Channel;
pub use deployment::Deployment;
pub use deployment_process::DeploymentProcess;
pub use document::Document;
pub use environment::Environment;
pub use event::Event;
pub use feed::Feed;
pub use id::{
    ApiKeyId, ArtifactId, BUILT_IN_FEED, ChannelId, DeploymentId, DeploymentProcessId, DeploymentSettingsId,
    EnvironmentId, EventId, FeedId, InterruptionId, LibraryVariableSetId, LifecycleId, MachineId,
    MachinePolicyId, NotAnId, ProjectGroupId, ProjectId, ReleaseId, ServerTaskId, SpaceId, TeamId, TenantId,
    UserId, VariableSetId, WorkerId, WorkerPoolId,
};
pub use lifecycle::Lifecycle;
pub use machine::Machine;
pub use machine_policy::MachinePolicy;
pub use name::{check_name, free_slug, name_key, natural_order, same_name, slug};
pub use package::Package;
pub use problem::Problems;
pub use project::Project;
pub use project_group::ProjectGroup;
pub use release::Release;
pub use sensitive::{Properties, PropertyValue, SensitiveValue};
pub use server_task::{ServerTask, TaskKind, TaskState};
pub use space::Space;
pub use time::{TimeSpan, Timestamp};
pub use user::{ApiKey, User};
pub use variable_set::VariableSet;
