//! Lifecycles.

use std::collections::BTreeMap;

use domain::lifecycle::{Lifecycle, Phase};
use domain::permission::Permission;
use domain::project::Project;
use domain::{Environment, EnvironmentId, LifecycleId, Problems, SpaceId};
use storage::{Session, named};

use crate::named::{Guards, Resource, free_slug};
use crate::{Actor, Context, Result};

impl Resource for Lifecycle {
    const WORD: &'static str = "lifecycle";
    const GUARDS: Guards = Guards {
        view: Permission::LifecycleView,
        create: Permission::LifecycleCreate,
        edit: Permission::LifecycleEdit,
        delete: Permission::LifecycleDelete,
    };

    fn set_id(&mut self, id: String) {
        self.id = LifecycleId::from_text(id);
    }

    async fn check(
        &mut self,
        session: &mut Session,
        space: &SpaceId,
        before: Option<&Self>,
    ) -> Result<Problems> {
        self.space_id = space.clone();
        self.slug = free_slug(session, space, &self.name, &self.slug, before).await?;
        for phase in &mut self.phases {
            if phase.id.trim().is_empty() {
                phase.id = crate::new_guid();
            }
        }
        let environments: Vec<Environment> = named::all(session, space).await?;
        let names: BTreeMap<EnvironmentId, String> = environments
            .into_iter()
            .map(|environment| (environment.id, environment.name))
            .collect();
        Ok(self.problems(&names))
    }

    async fn deleting(&self, session: &mut Session, space: &SpaceId) -> Result<Problems> {
        let mut problems = Problems::default();
        let projects: Vec<Project> = named::all(session, space).await?;
        for project in projects.iter().filter(|project| project.lifecycle_id == self.id) {
            problems.add(format!(
                "The lifecycle '{}' is used by the project '{}'. Give the project another lifecycle first.",
                self.name, project.name
            ));
        }
        for channel in storage::channel::all(session, space).await? {
            if channel.lifecycle_id.as_ref() == Some(&self.id) {
                problems.add(format!(
                    "The lifecycle '{}' is used by the channel '{}'. Give the channel another lifecycle first.",
                    self.name, channel.name
                ));
            }
        }
        Ok(problems)
    }
}

/// The phases as they work out now: without any, one for each environment of the space in its order
/// (`deployments.md` 6.1).
///
/// # Errors
/// [`crate::Error::NotFound`], or without LifecycleView.
pub async fn preview(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Lifecycle> {
    let mut lifecycle: Lifecycle = crate::named::get(context, actor, space, id).await?;
    let mut session = context.database.read().await?;
    let environments: Vec<Environment> = named::all(&mut session, space).await?;
    give_phases(&mut lifecycle, &environments);
    Ok(lifecycle)
}

/// Gives a lifecycle without phases one for each environment, with its name.
pub(crate) fn give_phases(lifecycle: &mut Lifecycle, environments: &[Environment]) {
    if lifecycle.phases.is_empty() {
        let phase = |environment: &Environment| Phase {
            id: environment.id.to_string(),
            name: environment.name.clone(),
            optional_deployment_targets: vec![environment.id.clone()],
            ..Phase::default()
        };
        lifecycle.phases = environments.iter().map(phase).collect();
    }
}

/// The projects that follow a lifecycle.
///
/// # Errors
/// [`crate::Error::NotFound`], or without LifecycleView and ProjectView.
pub async fn projects(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Vec<Project>> {
    let lifecycle: Lifecycle = crate::named::get(context, actor, space, id).await?;
    actor.require(Permission::ProjectView)?;
    let mut session = context.database.read().await?;
    let mut projects: Vec<Project> = named::all(&mut session, space).await?;
    projects.retain(|project| project.lifecycle_id == lifecycle.id);
    Ok(projects)
}
