//! Deployment processes: one living document for each project, and the copies that releases took.

use domain::SpaceId;
use domain::deployment_process::DeploymentProcess;

use crate::Result;
use crate::database::{Row, Session};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into deployment_process (id, space_id, project_id, version, is_snapshot, document)
              values ($1, $2, $3, $4, $5, $6)";
    UPDATE = "update deployment_process set version = $3, document = $4
              where space_id = $1 and id = $2 and version = $5 and is_snapshot = $6";
    DELETE_SNAPSHOT = "delete from deployment_process where space_id = $1 and id = $2 and is_snapshot = $3";
    FIND = "select document from deployment_process where space_id = $1 and lower(id) = $2";
    ALL = "select document from deployment_process where space_id = $1 and is_snapshot = $2 order by id";
}

/// Adds a process. A snapshot is never changed afterwards.
///
/// # Errors
/// When the database fails.
pub async fn insert(session: &mut Session, process: &DeploymentProcess, is_snapshot: bool) -> Result<()> {
    let values = vec![
        process.id.as_str().into(),
        process.space_id.as_str().into(),
        process.project_id.as_str().into(),
        i64::from(process.version).into(),
        is_snapshot.into(),
        document_text(process)?.into(),
    ];
    session.execute(INSERT, values).await.map(drop)
}

/// Replaces a living process that still has the version `replaced`; false when it has not.
///
/// # Errors
/// When the database fails.
pub async fn update(session: &mut Session, process: &DeploymentProcess, replaced: i32) -> Result<bool> {
    let values = vec![
        process.space_id.as_str().into(),
        process.id.as_str().into(),
        i64::from(process.version).into(),
        document_text(process)?.into(),
        i64::from(replaced).into(),
        false.into(),
    ];
    Ok(session.execute(UPDATE, values).await? > 0)
}

/// Removes the copy that a release took.
///
/// # Errors
/// When the database fails.
pub async fn delete_snapshot(session: &mut Session, space: &SpaceId, id: &str) -> Result<()> {
    session
        .execute(
            DELETE_SNAPSHOT,
            vec![space.as_str().into(), id.into(), true.into()],
        )
        .await
        .map(drop)
}

/// A process or a snapshot by id, in any letter case.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Option<DeploymentProcess>> {
    let values = vec![space.as_str().into(), id.to_lowercase().into()];
    session
        .fetch_optional(FIND, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The living processes of a space.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session, space: &SpaceId) -> Result<Vec<DeploymentProcess>> {
    session
        .fetch_all(ALL, vec![space.as_str().into(), false.into()])
        .await?
        .iter()
        .map(read)
        .collect()
}

fn read(row: &Row) -> Result<DeploymentProcess> {
    document_of(&row.text("document")?)
}
