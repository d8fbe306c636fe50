//! Deployments. Where one stands is the state of its task.

use domain::deployment::Deployment;
use domain::server_task::TaskState;
use domain::{ProjectId, ReleaseId, ServerTaskId, SpaceId};

use crate::Result;
use crate::database::{Row, Session, Value, any_of};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into deployment (id, space_id, release_id, project_id, channel_id, environment_id, tenant_id, task_id,
                  created_at, document)
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    UPDATE = "update deployment set document = $3 where space_id = $1 and id = $2";
    DELETE = "delete from deployment where space_id = $1 and id = $2";
    FIND = "select d.document, t.state from deployment d left join server_task t on t.id = d.task_id
            where d.space_id = $1 and lower(d.id) = $2";
    OF_TASK = "select d.document, t.state from deployment d left join server_task t on t.id = d.task_id
               where d.task_id = $1";
    PAGE = "select d.document, t.state from deployment d left join server_task t on t.id = d.task_id
            where d.space_id = $1
              and ($2 = '' or replace($2, ',' || d.id || ',', '') <> $2)
              and ($3 = '' or replace($3, ',' || d.project_id || ',', '') <> $3)
              and ($4 = '' or replace($4, ',' || d.environment_id || ',', '') <> $4)
              and ($5 = '' or replace($5, ',' || d.channel_id || ',', '') <> $5)
              and ($6 = '' or d.release_id = $6)
              and ($7 = '' or replace($7, ',' || t.state || ',', '') <> $7)
            order by d.created_at desc, length(d.id) desc, d.id desc limit $8 offset $9";
    COUNT = "select count(*) as total from deployment d left join server_task t on t.id = d.task_id
             where d.space_id = $1
               and ($2 = '' or replace($2, ',' || d.id || ',', '') <> $2)
               and ($3 = '' or replace($3, ',' || d.project_id || ',', '') <> $3)
               and ($4 = '' or replace($4, ',' || d.environment_id || ',', '') <> $4)
               and ($5 = '' or replace($5, ',' || d.channel_id || ',', '') <> $5)
               and ($6 = '' or d.release_id = $6)
               and ($7 = '' or replace($7, ',' || t.state || ',', '') <> $7)";
    UNFINISHED = "select count(*) as total from deployment d join server_task t on t.id = d.task_id
                  where d.space_id = $1 and ($2 = '' or d.project_id = $2) and ($3 = '' or d.release_id = $3)
                    and ($4 = '' or d.environment_id = $4) and t.state in ('Queued', 'Executing', 'Cancelling')";
    LAST_SUCCESS = "select d.document, t.state from deployment d join server_task t on t.id = d.task_id
                    where d.space_id = $1 and d.project_id = $2 and d.environment_id = $3 and t.state = 'Success'
                      and ($4 = '' or d.channel_id = $4)
                    order by d.created_at desc, length(d.id) desc, d.id desc limit 1";
}

/// A deployment and where its task stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDeployment {
    /// The deployment.
    pub deployment: Deployment,
    /// The state of its task; None when the task is gone.
    pub state: Option<TaskState>,
}

/// Which deployments are wanted. Empty members do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentFilter {
    /// Any of these ids.
    pub ids: Vec<String>,
    /// Of these projects.
    pub projects: Vec<String>,
    /// To these environments.
    pub environments: Vec<String>,
    /// Of releases in these channels.
    pub channels: Vec<String>,
    /// Of this release.
    pub release_id: String,
    /// Whose task is in one of these states.
    pub states: Vec<TaskState>,
}

/// Adds a deployment.
///
/// # Errors
/// When the database fails.
pub async fn insert(session: &mut Session, deployment: &Deployment) -> Result<()> {
    let values = vec![
        deployment.id.as_str().into(),
        deployment.space_id.as_str().into(),
        deployment.release_id.as_str().into(),
        deployment.project_id.as_str().into(),
        deployment.channel_id.as_str().into(),
        deployment.environment_id.as_str().into(),
        deployment.tenant_id.as_ref().map(ToString::to_string).into(),
        deployment.task_id.as_str().into(),
        deployment.created.0.into(),
        document_text(deployment)?.into(),
    ];
    session.execute(INSERT, values).await.map(drop)
}

/// Stores what a deployment has come to: the machines it went to, whether something failed. Nothing else of
/// it changes.
///
/// # Errors
/// When the database fails.
pub async fn update(session: &mut Session, deployment: &Deployment) -> Result<bool> {
    let values = vec![
        deployment.space_id.as_str().into(),
        deployment.id.as_str().into(),
        document_text(deployment)?.into(),
    ];
    Ok(session.execute(UPDATE, values).await? > 0)
}

/// Removes a deployment; its task stays.
///
/// # Errors
/// When the database fails.
pub async fn delete(session: &mut Session, space: &SpaceId, id: &str) -> Result<bool> {
    Ok(session
        .execute(DELETE, vec![space.as_str().into(), id.into()])
        .await?
        > 0)
}

/// A deployment by id, in any letter case.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Option<StoredDeployment>> {
    let values = vec![space.as_str().into(), id.to_lowercase().into()];
    session
        .fetch_optional(FIND, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The deployment that a task does.
///
/// # Errors
/// When the database fails.
pub async fn of_task(session: &mut Session, task: &ServerTaskId) -> Result<Option<StoredDeployment>> {
    session
        .fetch_optional(OF_TASK, vec![task.as_str().into()])
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Deployments, the last made first, and how many there are with this filter.
///
/// # Errors
/// When the database fails.
pub async fn page(
    session: &mut Session,
    space: &SpaceId,
    filter: &DeploymentFilter,
    skip: i64,
    take: i64,
) -> Result<(Vec<StoredDeployment>, i64)> {
    let states: Vec<String> = filter
        .states
        .iter()
        .map(|state| state.name().to_string())
        .collect();
    let filter: Vec<Value> = vec![
        space.as_str().into(),
        any_of(&filter.ids).into(),
        any_of(&filter.projects).into(),
        any_of(&filter.environments).into(),
        any_of(&filter.channels).into(),
        filter.release_id.as_str().into(),
        any_of(&states).into(),
    ];
    session.page((COUNT, PAGE), filter, (skip, take), read).await
}

/// How many deployments wait or run: of a project, of a release, to an environment. Empty texts do not filter.
///
/// # Errors
/// When the database fails.
pub async fn unfinished(
    session: &mut Session,
    space: &SpaceId,
    project: &str,
    release: &str,
    environment: &str,
) -> Result<i64> {
    let values = vec![
        space.as_str().into(),
        project.into(),
        release.into(),
        environment.into(),
    ];
    session.fetch_one(UNFINISHED, values).await?.integer("total")
}

/// The last successful deployment of a project to an environment; of releases of one channel when it is not
/// empty.
///
/// # Errors
/// When the database fails.
pub async fn last_success(
    session: &mut Session,
    space: &SpaceId,
    project: &ProjectId,
    environment: &str,
    channel: &str,
) -> Result<Option<StoredDeployment>> {
    let values = vec![
        space.as_str().into(),
        project.as_str().into(),
        environment.into(),
        channel.into(),
    ];
    session
        .fetch_optional(LAST_SUCCESS, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Every deployment of a release, the last made first.
///
/// # Errors
/// When the database fails.
pub async fn of_release(
    session: &mut Session,
    space: &SpaceId,
    release: &ReleaseId,
) -> Result<Vec<StoredDeployment>> {
    let filter = DeploymentFilter {
        release_id: release.to_string(),
        ..DeploymentFilter::default()
    };
    Ok(page(session, space, &filter, 0, i64::from(i32::MAX)).await?.0)
}

fn read(row: &Row) -> Result<StoredDeployment> {
    let state = row.optional_text("state")?.and_then(|state| state.parse().ok());
    Ok(StoredDeployment {
        deployment: document_of(&row.text("document")?)?,
        state,
    })
}
