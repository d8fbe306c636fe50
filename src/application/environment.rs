//! Environments.

use domain::environment::Environment;
use domain::event::Message;
use domain::lifecycle::Phase;
use domain::permission::Permission;
use domain::{EnvironmentId, Lifecycle, Problems, SpaceId};
use storage::Session;
use storage::named;

use crate::event::record;
use crate::named::{Guards, Resource, free_slug};
use crate::{Actor, Context, Error, Result};

impl Resource for Environment {
    const WORD: &'static str = "environment";
    const GUARDS: Guards = Guards {
        view: Permission::EnvironmentView,
        create: Permission::EnvironmentCreate,
        edit: Permission::EnvironmentEdit,
        delete: Permission::EnvironmentDelete,
    };

    fn set_id(&mut self, id: String) {
        self.id = EnvironmentId::from_text(id);
    }

    async fn check(
        &mut self,
        session: &mut Session,
        space: &SpaceId,
        before: Option<&Self>,
    ) -> Result<Problems> {
        self.space_id = space.clone();
        self.slug = free_slug(session, space, &self.name, &self.slug, before).await?;
        if before.is_none() {
            let all: Vec<Self> = named::all(session, space).await?;
            let last = all.iter().map(|environment| environment.sort_order).max();
            self.sort_order = last.map_or(0, |last| last + 1);
        }
        Ok(self.problems())
    }

    async fn deleting(&self, session: &mut Session, space: &SpaceId) -> Result<Problems> {
        let mut problems = Problems::default();
        let machines = storage::machine::all(session, space).await?;
        let used = machines
            .iter()
            .filter(|machine| machine.environment_ids.contains(&self.id))
            .count();
        if used > 0 {
            problems.add(format!(
                "The environment '{}' is used by {used} deployment target(s). Remove them from it first.",
                self.name
            ));
        }
        for lifecycle in named::all::<Lifecycle>(session, space).await? {
            let mut named = lifecycle.phases.iter().flat_map(Phase::environments);
            if named.any(|id| *id == self.id) {
                problems.add(format!(
                    "The environment '{}' is in a phase of the lifecycle '{}'. Take it out there first.",
                    self.name, lifecycle.name
                ));
            }
        }
        Ok(problems)
    }
}

/// Puts the environments in the order of the ids given; those not named keep their order behind them.
///
/// # Errors
/// Without EnvironmentEdit; [`Error::Invalid`] for an id that does not exist.
pub async fn sort(context: &Context, actor: &Actor, space: &SpaceId, ids: &[String]) -> Result<()> {
    actor.require(Permission::EnvironmentEdit)?;
    let mut session = context.database.write().await?;
    let mut all: Vec<Environment> = named::all(&mut session, space).await?;
    let unknown = ids
        .iter()
        .filter(|id| !all.iter().any(|known| known.id.as_str().eq_ignore_ascii_case(id)))
        .map(|id| format!("The environment '{id}' does not exist in this space. Leave it out of the order."));
    let unknown: Vec<String> = unknown.collect();
    if !unknown.is_empty() {
        return Err(Error::Invalid(unknown));
    }
    let place = |environment: &Environment| {
        ids.iter()
            .position(|id| id.eq_ignore_ascii_case(environment.id.as_str()))
            .unwrap_or(ids.len())
    };
    all.sort_by_key(place);
    for (environment, order) in all.iter_mut().zip(0..) {
        environment.sort_order = order;
        named::update(&mut session, space, environment).await?;
    }
    let ids: Vec<&str> = all.iter().map(|environment| environment.id.as_str()).collect();
    let told = Message::new("The environments were put into another order.");
    record(context, actor, &mut session, Some(space), "Modified", told, &ids).await?;
    session.commit().await?;
    Ok(())
}

/// Makes those of the named environments that are not there yet (`CREATE_ENVIRONMENTS`).
///
/// # Errors
/// [`Error::Invalid`] for a name that breaks the rules.
pub async fn create_missing(context: &Context, space: &SpaceId, names: &[String]) -> Result<()> {
    let mut session = context.database.read().await?;
    let all: Vec<Environment> = named::all(&mut session, space).await?;
    drop(session);
    for name in names
        .iter()
        .filter(|name| !all.iter().any(|known| domain::same_name(&known.name, name)))
    {
        let environment = Environment {
            name: name.clone(),
            ..Environment::default()
        };
        crate::named::create(context, &Actor::System, space, environment).await?;
    }
    Ok(())
}

/// The environments that a caller names by name, slug or id.
///
/// # Errors
/// [`Error::Invalid`] that names every unknown one.
pub async fn resolve(session: &mut Session, space: &SpaceId, wanted: &[String]) -> Result<Vec<Environment>> {
    let all: Vec<Environment> = named::all(session, space).await?;
    let mut problems = Problems::default();
    let mut found = Vec::new();
    for text in wanted {
        let matches = |environment: &&Environment| {
            domain::same_name(&environment.name, text)
                || environment.slug.eq_ignore_ascii_case(text)
                || environment.id.as_str().eq_ignore_ascii_case(text)
        };
        match all.iter().find(matches) {
            Some(environment) => found.push(environment.clone()),
            None => problems.add(format!(
                "The environment '{text}' does not exist. Create it first, or name one of: {}.",
                all.iter()
                    .map(|known| known.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(Error::from(problems))
    }
}
