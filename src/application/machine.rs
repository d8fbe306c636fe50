//! Deployment targets: registration, editing, and the leave they take (`containers.md` 3.3, 3.4).
//!
//! One function registers a machine, whoever asks: our agents, stock Tentacles and other clients. What
//! tells them apart is the member `TakeOver`, which only our agents send.

use std::collections::{BTreeMap, BTreeSet};

use domain::environment::Environment;
use domain::event::Message;
use domain::machine::{CommunicationStyle, Endpoint, HealthStatus, Machine};
use domain::machine_policy::MachinePolicy;
use domain::permission::Permission;
use domain::{MachineId, Problems, SpaceId, name_key};
use security::{Secret, token};
use storage::{Session, named};

use crate::event::record;
use crate::named::refuse;
use crate::{Actor, Context, Credential, Discovered, Error, Filter, List, Probe, Result, Slice};

/// What a registration may do with another machine that bears its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// Take its place when it does not answer.
    IfOffline,
    /// Take its place in any case.
    Always,
}

/// A registered machine, and the token with which it may take itself away again.
pub struct Registered {
    /// The machine as it is now.
    pub machine: Machine,
    /// Only for a registration that sent `TakeOver`.
    pub deregistration_token: Option<Secret>,
    /// Whether the machine is new to the space.
    pub is_new: bool,
}

/// The filters that lists of machines take beside the usual ones. An empty list lets all pass.
#[derive(Debug, Clone, Default)]
pub struct MachineFilter {
    /// Id, name, part of the name.
    pub usual: Filter,
    /// Any of these roles.
    pub roles: Vec<String>,
    /// Any of these environments, by id.
    pub environment_ids: Vec<String>,
    /// Any of these health statuses.
    pub health_statuses: Vec<String>,
    /// Any of these communication styles.
    pub communication_styles: Vec<String>,
    /// Whether disabled.
    pub is_disabled: Option<bool>,
    /// Exactly this certificate.
    pub thumbprint: Option<String>,
}

impl MachineFilter {
    fn admits(&self, machine: &Machine) -> bool {
        let any = |wanted: &[String], test: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|text| test(text))
        };
        self.usual.admits(machine.id.as_str(), &machine.name)
            && any(&self.roles, &|role| machine.has_role(role))
            && any(&self.environment_ids, &|id| {
                machine
                    .environment_ids
                    .iter()
                    .any(|own| own.as_str().eq_ignore_ascii_case(id))
            })
            && any(&self.health_statuses, &|word| {
                machine.health_status.name().eq_ignore_ascii_case(word)
            })
            && any(&self.communication_styles, &|word| {
                machine
                    .endpoint
                    .communication_style
                    .name()
                    .eq_ignore_ascii_case(word)
            })
            && self
                .is_disabled
                .is_none_or(|disabled| machine.is_disabled == disabled)
            && self.thumbprint.as_deref().is_none_or(|wanted| {
                machine
                    .endpoint
                    .thumbprint
                    .as_deref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(wanted))
            })
    }
}

/// The machines that pass the filter, by name.
///
/// # Errors
/// Without MachineView, or when the database fails.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    filter: &MachineFilter,
    slice: Slice,
) -> Result<List<Machine>> {
    actor.require(Permission::MachineView)?;
    let mut session = context.database.read().await?;
    let mut machines = storage::machine::all(&mut session, space).await?;
    machines.retain(|machine| filter.admits(machine));
    Ok(List::cut(machines, slice))
}

/// One machine by id or slug.
///
/// # Errors
/// [`Error::NotFound`], or without MachineView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Machine> {
    actor.require(Permission::MachineView)?;
    let mut session = context.database.read().await?;
    load(&mut session, space, id).await
}

/// The roles in use in the space.
///
/// # Errors
/// Without MachineView, or when the database fails.
pub async fn roles(context: &Context, actor: &Actor, space: &SpaceId) -> Result<Vec<String>> {
    actor.require(Permission::MachineView)?;
    let mut session = context.database.read().await?;
    Ok(storage::machine::roles(&mut session, space).await?)
}

/// Looks at a listening agent and gives a machine with its address and thumbprint, not yet stored.
///
/// # Errors
/// [`Error::Invalid`] with what did not answer and why.
pub async fn discover(context: &Context, actor: &Actor, host: &str, port: u16) -> Result<Machine> {
    actor.require(Permission::MachineCreate)?;
    let Discovered { thumbprint } = context
        .machines()?
        .discover(host, port)
        .await
        .map_err(Error::invalid)?;
    let mut machine = Machine {
        name: host.to_string(),
        endpoint: Endpoint {
            communication_style: CommunicationStyle::TentaclePassive,
            uri: Some(format!("https://{}:{port}/", host.to_lowercase())),
            thumbprint: Some(thumbprint),
            ..Endpoint::default()
        },
        ..Machine::default()
    };
    machine.normalize();
    Ok(machine)
}

/// Adds a machine, or finds the one it was (`containers.md` 3.3).
///
/// # Errors
/// [`Error::Invalid`] with every broken rule; [`Error::Conflict`] when a machine of that name answers.
pub async fn register(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    mut machine: Machine,
    take_over: Option<TakeOver>,
) -> Result<Registered> {
    actor.require(Permission::MachineCreate)?;
    machine.normalize();
    let place = find_place(context, actor, space, &machine, take_over).await?;
    store(context, actor, space, machine, place, take_over.is_some(), true).await
}

/// Changes a machine. With `take_over` the rules of [`register`] about another's name hold as well.
///
/// # Errors
/// As [`register`], and [`Error::NotFound`].
pub async fn update(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    mut machine: Machine,
    take_over: Option<TakeOver>,
) -> Result<Registered> {
    actor.require(Permission::MachineEdit)?;
    machine.normalize();
    let mut session = context.database.read().await?;
    let before = load(&mut session, space, id).await?;
    drop(session);
    let same_agent = before.endpoint.thumbprint == machine.endpoint.thumbprint;
    if take_over == Some(TakeOver::IfOffline) && !same_agent {
        refuse_if_it_answers(context, &before).await?;
    }
    store(
        context,
        actor,
        space,
        machine,
        Place::Of(Box::new(before)),
        take_over.is_some(),
        take_over.is_some(),
    )
    .await
}

/// Takes a machine away: for good by a user or when `last`, else as a tombstone that a later registration
/// finds again.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] for another machine's token.
pub async fn remove(context: &Context, actor: &Actor, space: &SpaceId, id: &str, last: bool) -> Result<()> {
    let own_token = match actor {
        Actor::User {
            credential: Credential::Deregistration { machine_id },
            ..
        } => Some(machine_id),
        _ => None,
    };
    match own_token {
        Some(own) if own.eq_ignore_ascii_case(id) => {}
        Some(own) => {
            return Err(Error::Forbidden(format!(
                "This deregistration token is for the machine '{own}', not for '{id}'."
            )));
        }
        None => actor.require(Permission::MachineDelete)?,
    }
    let machines = context.machines()?;
    let mut session = context.database.write().await?;
    let machine = load(&mut session, space, id).await?;
    let told = Message::new("The machine ").name(&machine.id, &machine.name);
    if own_token.is_some() && !last {
        storage::machine::bury(&mut session, space, &machine.id, context.clock.now()).await?;
        let told = told.text(" deregistered itself.");
        record(
            context,
            actor,
            &mut session,
            Some(space),
            "MachineDeregistered",
            told,
            &[],
        )
        .await?;
    } else {
        storage::machine::delete(&mut session, space, &machine.id).await?;
        let told = told.text(" was deleted.");
        record(context, actor, &mut session, Some(space), "Deleted", told, &[]).await?;
    }
    session.commit().await?;
    machines.changed().await;
    Ok(())
}

/// The machine that a deregistration token is for.
///
/// # Errors
/// [`Error::Unauthenticated`] for a token that is not, or no longer, valid.
pub async fn open_deregistration_token(context: &Context, token: &str) -> Result<String> {
    let mac = context.keys.mac_session(token);
    let mut session = context.database.read().await?;
    let found = storage::machine::by_deregistration(&mut session, &mac).await?;
    found.map(|(id, _)| id.to_string()).ok_or_else(|| {
        Error::Unauthenticated(
            "The deregistration token is not valid: the machine is gone or has registered again since."
                .into(),
        )
    })
}

/// Where a registration belongs.
enum Place {
    /// To nobody yet.
    New,
    /// To this machine.
    Of(Box<Machine>),
    /// To this tombstone.
    Left(Box<Machine>),
}

async fn find_place(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    machine: &Machine,
    take_over: Option<TakeOver>,
) -> Result<Place> {
    let mut session = context.database.read().await?;
    let thumbprint = machine.endpoint.thumbprint.as_deref().unwrap_or_default();
    let same_agent = match thumbprint {
        "" => None,
        thumbprint => storage::machine::by_thumbprint(&mut session, space, thumbprint)
            .await?
            .into_iter()
            .next(),
    };
    let namesake = storage::machine::all(&mut session, space)
        .await?
        .into_iter()
        .find(|known| name_key(&known.name) == name_key(&machine.name));
    let tombstone = storage::machine::tombstone_by_name(&mut session, space, &machine.name).await?;
    drop(session);

    if let Some(same) = same_agent
        && (same.deregistered.is_some() || take_over.is_some())
    {
        let machine = Box::new(same.machine);
        return Ok(if same.deregistered.is_some() {
            Place::Left(machine)
        } else {
            Place::Of(machine)
        });
    }
    match (namesake, take_over) {
        (Some(taken), None) => Err(Error::invalid(format!(
            "The machine name '{}' is already in use in this space. Please enter another name.",
            taken.name
        ))),
        (Some(taken), Some(how)) => {
            if how == TakeOver::IfOffline {
                refuse_if_it_answers(context, &taken).await?;
            }
            actor.require(Permission::MachineEdit)?;
            Ok(Place::Of(Box::new(taken)))
        }
        (None, _) => match tombstone {
            Some(tombstone) if actor.require(Permission::MachineEdit).is_ok() => {
                Ok(Place::Left(Box::new(tombstone)))
            }
            _ => Ok(Place::New),
        },
    }
}

async fn refuse_if_it_answers(context: &Context, machine: &Machine) -> Result<()> {
    let (Some(uri), Some(thumbprint)) = (&machine.endpoint.uri, &machine.endpoint.thumbprint) else {
        return Ok(());
    };
    match context.machines()?.probe(uri, thumbprint).await {
        Probe::Silent => Ok(()),
        Probe::Answers => Err(Error::Conflict(format!(
            "A machine of that name answers: '{}' at {uri}. Give this one another TargetName, stop the other one, or set \
             ForceTakeOver=true to take its place.",
            machine.name
        ))),
    }
}

async fn store(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    mut machine: Machine,
    place: Place,
    with_token: bool,
    is_registration: bool,
) -> Result<Registered> {
    let before = match place {
        Place::New => None,
        Place::Of(before) => Some(*before),
        Place::Left(before) => {
            keep_what_was_left(&mut machine, &before);
            Some(*before)
        }
    };
    let machines = context.machines()?;
    let id = match &before {
        Some(before) => before.id.clone(),
        None => MachineId::numbered(storage::counter::next(&context.database, MachineId::KIND).await?),
    };
    let mut session = context.database.write().await?;
    machine.id = id;
    machine.space_id = space.clone();
    keep_what_the_server_sets(&mut machine, before.as_ref());
    let is_other_agent = before
        .as_ref()
        .is_some_and(|before| before.endpoint.thumbprint != machine.endpoint.thumbprint);
    let is_elsewhere = before
        .as_ref()
        .is_none_or(|before| is_other_agent || before.endpoint.uri != machine.endpoint.uri);
    complete(&mut session, space, &mut machine, before.as_ref()).await?;

    let token = with_token.then(token::generate);
    let mac = token
        .as_ref()
        .map(|token| context.keys.mac_session(token.expose()));
    let stored = match &before {
        None => storage::machine::insert(&mut session, &machine, mac).await,
        Some(_) => storage::machine::update(&mut session, &machine, mac).await,
    };
    stored.map_err(|error| match error {
        storage::Error::Duplicate { .. } => Error::invalid(format!(
            "The machine name '{}' is already in use in this space, or its slug '{}' is. Please enter another name.",
            machine.name, machine.slug
        )),
        other => other.into(),
    })?;
    if is_other_agent {
        storage::machine::forget_health(&mut session, &machine.id).await?;
    }
    let (category, what) = match &before {
        None => ("MachineAdded", " was registered."),
        Some(_) => ("Modified", " was changed."),
    };
    let told = Message::new("The machine ")
        .name(&machine.id, &machine.name)
        .text(what);
    record(context, actor, &mut session, Some(space), category, told, &[]).await?;
    session.commit().await?;
    machines.changed().await;
    if !machine.is_disabled && (is_registration || is_elsewhere) {
        crate::health_check::of_machines(context, actor, space, std::slice::from_ref(&machine)).await?;
    }
    Ok(Registered {
        machine,
        deregistration_token: token,
        is_new: before.is_none(),
    })
}

/// An agent that returns cannot know what people set while it was there: whether it is disabled, and its policy.
fn keep_what_was_left(machine: &mut Machine, left: &Machine) {
    machine.is_disabled |= left.is_disabled;
    if machine.machine_policy_id.is_empty() {
        machine.machine_policy_id = left.machine_policy_id.clone();
    }
}

/// What a client sends of these is not believed.
fn keep_what_the_server_sets(machine: &mut Machine, before: Option<&Machine>) {
    let known = before.cloned().unwrap_or_default();
    let same_agent = known.endpoint.thumbprint == machine.endpoint.thumbprint;
    machine.health_status = if same_agent {
        known.health_status
    } else {
        HealthStatus::Unknown
    };
    machine.status_summary = if same_agent {
        known.status_summary
    } else {
        String::new()
    };
    machine.has_latest_calamari = same_agent && known.has_latest_calamari;
    machine.is_in_process = false;
    machine.operating_system = known.operating_system;
    machine.shell_name = known.shell_name;
    machine.shell_version = known.shell_version;
    machine.architecture = known.architecture;
}

/// Fills in slug and policy and checks the rest.
async fn complete(
    session: &mut Session,
    space: &SpaceId,
    machine: &mut Machine,
    before: Option<&Machine>,
) -> Result<()> {
    let environments: Vec<Environment> = named::all(session, space).await?;
    let policies: Vec<MachinePolicy> = named::all(session, space).await?;
    if machine.machine_policy_id.is_empty()
        && let Some(policy) = policies.iter().find(|policy| policy.is_default)
    {
        machine.machine_policy_id = policy.id.clone();
    }
    if machine.slug.trim().is_empty() {
        let others = storage::machine::all(session, space).await?;
        let is_taken = |slug: &str| {
            others
                .iter()
                .any(|other| other.slug == slug && other.id != machine.id)
        };
        let kept =
            before.filter(|before| domain::same_name(&before.name, &machine.name) && !is_taken(&before.slug));
        let slug = kept.map_or_else(
            || domain::free_slug(&machine.name, is_taken),
            |before| before.slug.clone(),
        );
        machine.slug = slug;
    } else {
        machine.slug = domain::slug(&machine.slug);
    }
    let names: BTreeMap<_, _> = environments
        .into_iter()
        .map(|known| (known.id, known.name))
        .collect();
    let policies: BTreeSet<_> = policies.into_iter().map(|policy| policy.id).collect();
    let problems: Problems = machine.problems(&names, &policies);
    refuse(problems)
}

async fn load(session: &mut Session, space: &SpaceId, id: &str) -> Result<Machine> {
    storage::machine::find(session, space, id)
        .await?
        .ok_or_else(|| Error::not_found("machine", id))
}
