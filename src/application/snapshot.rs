//! What is frozen for a release: copies of process and variables, with their secrets sealed for the copy.

use domain::{DeploymentProcess, DeploymentProcessId, Release, SpaceId, VariableSet, VariableSetId};
use storage::Session;

use crate::sealing::{self, Place};
use crate::{Context, Error, Result, snapshot_suffix};

/// The process that was frozen for a release.
///
/// # Errors
/// When it is missing, which is a fault.
pub(crate) async fn frozen_process(
    session: &mut Session,
    space: &SpaceId,
    release: &Release,
) -> Result<DeploymentProcess> {
    let id = release.project_deployment_process_snapshot_id.as_str();
    storage::deployment_process::find(session, space, id)
        .await?
        .ok_or_else(|| Error::not_found("deployment process", id))
}

/// The variables that were frozen for a release.
///
/// # Errors
/// When they are missing, which is a fault.
pub(crate) async fn frozen_variables(
    session: &mut Session,
    space: &SpaceId,
    release: &Release,
) -> Result<VariableSet> {
    let id = release.project_variable_set_snapshot_id.as_str();
    storage::variable_set::find(session, space, id)
        .await?
        .ok_or_else(|| Error::not_found("variable set", id))
}

/// Copies a process as it is; its secrets are sealed for the copy.
pub(crate) async fn freeze_process(
    context: &Context,
    session: &mut Session,
    space: &SpaceId,
    mut living: DeploymentProcess,
) -> Result<DeploymentProcessId> {
    let id = living.id.snapshot(i64::from(living.version), &snapshot_suffix());
    let mut copy = DeploymentProcess {
        id: id.clone(),
        last_snapshot_id: None,
        ..living.clone()
    };
    sealing::reseal(
        &context.keys,
        Place::process(space, living.id.as_str()),
        Place::process(space, id.as_str()),
        &mut copy,
    )?;
    storage::deployment_process::insert(session, &copy, true).await?;
    living.last_snapshot_id = Some(id.clone());
    storage::deployment_process::update(session, &living, living.version).await?;
    Ok(id)
}

/// Copies variables as they are; their secrets are sealed for the copy.
pub(crate) async fn freeze_variables(
    context: &Context,
    session: &mut Session,
    space: &SpaceId,
    living: VariableSet,
) -> Result<VariableSetId> {
    let id = living.id.snapshot(i64::from(living.version), &snapshot_suffix());
    let mut copy = VariableSet {
        id: id.clone(),
        ..living.clone()
    };
    sealing::reseal(
        &context.keys,
        Place::variables(space, living.id.as_str()),
        Place::variables(space, id.as_str()),
        &mut copy,
    )?;
    storage::variable_set::insert(session, &copy, true).await?;
    Ok(id)
}
