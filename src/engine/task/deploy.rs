//! Deploys a release.

use application::Actor;
use application::event::record;
use domain::event::Message;
use domain::planning::{LeftOut, Plan};
use domain::server_task::TaskState;
use domain::{Deployment, MachineId};
use files::task_logs::Category;

use super::{Ending, Work};
use crate::error::{Error, Result};
use crate::execution::subject::Subject;
use crate::execution::{Assignment, Execution, Journal, Walked};
use crate::fault;
use crate::log::block;

/// Does the task, or goes on with it.
///
/// # Errors
/// When the lease is lost, or the Server's own database or volume fails.
pub async fn run(work: &Work) -> Result<()> {
    let space = work.space()?.clone();
    let subject = Subject::read(work.context.clone(), &space, &work.task.id).await?;
    let secrets = subject.secrets();
    work.log.mask().add(secrets.iter().map(security::Secret::expose));
    let deployment = subject.deployment.clone();
    let release = (subject.release.id.clone(), subject.release.version.clone());
    let named = (subject.project.name.clone(), subject.environment.name.clone());
    let told = |beginning: &str, end: &str| {
        Message::new(beginning)
            .name(&deployment.project_id, &named.0)
            .text(" release ")
            .name(&release.0, &release.1)
            .text(" to ")
            .name(&deployment.environment_id, &named.1)
            .text(end)
    };
    let journal = Journal::open(work.lease.clone(), work.context.clone(), space.clone()).await?;
    let plan = match planned(work, &subject, told("Deploy of ", " started")).await? {
        Ok(plan) => plan,
        Err(text) => {
            let mut ending = work.ending(Some(text), false).await?;
            let message = told("Deploy of ", ended_by(ending.state()));
            ended(work, &mut ending, deployment.clone(), &[], true, message).await?;
            return work.finish(ending).await;
        }
    };
    let assignment = Assignment {
        task: work.task.id.clone(),
        epoch: work.epoch,
        subject,
        plan,
        journal,
        log: work.log.clone(),
        stop: work.stop.clone(),
    };
    let execution = Execution::new(work.context.clone(), work.means.clone(), assignment);
    let Walked {
        first_error,
        is_cancelled,
        machines,
    } = execution.run().await?;
    let failed = first_error.is_some();
    let mut ending = work.ending(first_error, is_cancelled).await?;
    let message = told("Deploy of ", ended_by(ending.state()));
    ended(work, &mut ending, deployment.clone(), &machines, failed, message).await?;
    work.finish(ending).await?;
    let renewed = execution.machines_with_new_runner();
    if !renewed.is_empty() {
        // Their health says that the runner is missing; the check is only a courtesy.
        let check =
            application::health_check::of_machines(&work.context, &Actor::System, &space, &renewed).await;
        if let Err(error) = check {
            tracing::warn!(%error, "the health of machines with a new runner could not be checked");
        }
    }
    Ok(())
}

/// The plan of a former executor, or a new one.
async fn planned(
    work: &Work,
    subject: &Subject,
    started: Message,
) -> Result<std::result::Result<Plan, String>> {
    let root = work.root();
    if let Some(text) = work.lease.plan().await? {
        let plan = serde_json::from_str(&text).map_err(|error| {
            Error::Broken(format!(
                "The plan of the task {} is damaged: {error}.",
                work.task.id
            ))
        })?;
        work.log.info(
            &root,
            "The Server was restarted; the task goes on where it stopped.",
        )?;
        return Ok(Ok(plan));
    }
    let mut session = work.write().await?;
    let id = subject.deployment.id.to_string();
    record(
        &work.context,
        &Actor::System,
        &mut session,
        Some(&subject.space.id),
        "DeploymentStarted",
        started,
        &[&id],
    )
    .await?;
    session.commit().await?;
    let block = block::child(&root, "plan");
    work.log.begin(&block, Some(&root), "Plan")?;
    let plan = match subject.plan() {
        Ok(plan) => plan,
        Err(text) => {
            work.log.error(&block, &text)?;
            work.log.end(&block, files::task_logs::Status::Failed)?;
            return Ok(Err(text));
        }
    };
    work.log
        .info(&block, &format!("{} on {}", plan.title, machines(&plan)))?;
    for (name, reason) in &plan.left_out {
        if *reason != LeftOut::Disabled {
            work.log
                .verbose(&block, &format!("The action '{name}' is left out ({reason:?})."))?;
        }
    }
    for warning in &plan.warnings {
        work.log.line(&block, Category::Warning, warning)?;
    }
    let text = serde_json::to_string(&plan)
        .map_err(|error| Error::Broken(format!("The plan cannot be kept: {error}.")))?;
    work.lease.save_plan(&text, work.context.clock.now()).await?;
    fault::point(fault::PLANNED);
    work.log.end(&block, files::task_logs::Status::Success)?;
    Ok(Ok(plan))
}

/// What belongs to the end of a deployment (`deployments.md` 15), in the transaction that ends the task.
async fn ended(
    work: &Work,
    ending: &mut Ending,
    mut deployment: Deployment,
    machines: &[MachineId],
    failed: bool,
    message: Message,
) -> Result<()> {
    deployment.deployed_to_machine_ids = machines.to_vec();
    deployment.failure_encountered = failed;
    storage::deployment::update(&mut ending.session, &deployment).await?;
    let category = match ending.state() {
        TaskState::Success => "DeploymentSucceeded",
        TaskState::Canceled => "DeploymentCanceled",
        _ => "DeploymentFailed",
    };
    let id = deployment.id.to_string();
    let (context, space) = (&work.context, Some(&deployment.space_id));
    record(
        context,
        &Actor::System,
        &mut ending.session,
        space,
        category,
        message,
        &[&id],
    )
    .await?;
    Ok(())
}

fn ended_by(state: TaskState) -> &'static str {
    match state {
        TaskState::Success => " succeeded",
        TaskState::Canceled => " was canceled",
        _ => " failed",
    }
}

fn machines(plan: &Plan) -> String {
    let names: Vec<&str> = plan.targets.iter().map(|target| target.name.as_str()).collect();
    match names.as_slice() {
        [] => "no machine".into(),
        names if names.len() > 20 => format!("{} machines", names.len()),
        names => names.join(", "),
    }
}
