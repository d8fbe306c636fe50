//! Artifacts. The file is on the volume of artifacts; a row is written after its file.

use domain::artifact::Artifact;
use domain::{SpaceId, name_key};

use crate::Result;
use crate::database::{Row, Session, any_of};
use crate::named::{document_of, document_text};

/// Which artifacts a page is of: `$1` space, `$2` what they are about, `$3` a part of the name, `$4` ids.
macro_rules! wanted {
    () => {
        "where space_id = $1
           and ($2 = '' or task_id = $2
                or exists (select 1 from deployment d where d.task_id = artifact.task_id
                           and $2 in (d.id, d.release_id, d.project_id, d.environment_id)))
           and ($3 = '' or replace(name_key, $3, '') <> name_key)
           and ($4 = '' or replace($4, ',' || id || ',', '') <> $4)"
    };
}

crate::statements! {
    INSERT = "insert into artifact (id, number, space_id, task_id, name_key, origin, document)
              values ($1, $2, $3, $4, $5, $6, $7) on conflict (origin) do nothing";
    UPDATE = "update artifact set name_key = $3, document = $4 where space_id = $1 and id = $2";
    DELETE = "delete from artifact where space_id = $1 and id = $2";
    FIND = "select document from artifact where space_id = $1 and id = $2";
    HAS_ORIGIN = "select 1 as found from artifact where origin = $1";
    PAGE = concat!("select document from artifact ", wanted!(), " order by number desc limit $5 offset $6");
    COUNT = concat!("select count(*) as total from artifact ", wanted!());
}

/// Which artifacts are wanted. Empty members do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactFilter {
    /// Of this task, or of the tasks of this deployment, release, project or environment.
    pub regarding: String,
    /// With this text in their name, without case.
    pub name_part: String,
    /// Any of these ids.
    pub ids: Vec<String>,
}

/// Adds an artifact. `origin` tells which file of which script it is; false: that one is there already.
///
/// # Errors
/// When the database fails.
pub async fn insert(session: &mut Session, artifact: &Artifact, origin: Option<&str>) -> Result<bool> {
    let values = vec![
        artifact.id.as_str().into(),
        artifact.id.number().unwrap_or_default().into(),
        artifact.space_id.as_str().into(),
        artifact.server_task_id.as_str().into(),
        name_key(&artifact.filename).into(),
        origin.map(str::to_owned).into(),
        document_text(artifact)?.into(),
    ];
    Ok(session.execute(INSERT, values).await? > 0)
}

/// Whether the file of a script is there already.
///
/// # Errors
/// When the database fails.
pub async fn has_origin(session: &mut Session, origin: &str) -> Result<bool> {
    let found = session.fetch_optional(HAS_ORIGIN, vec![origin.into()]).await?;
    Ok(found.is_some())
}

/// Gives an artifact another name; false when there is none.
///
/// # Errors
/// When the database fails.
pub async fn update(session: &mut Session, artifact: &Artifact) -> Result<bool> {
    let values = vec![
        artifact.space_id.as_str().into(),
        artifact.id.as_str().into(),
        name_key(&artifact.filename).into(),
        document_text(artifact)?.into(),
    ];
    Ok(session.execute(UPDATE, values).await? > 0)
}

/// Removes an artifact; false when there is none.
///
/// # Errors
/// When the database fails.
pub async fn delete(session: &mut Session, space: &SpaceId, id: &str) -> Result<bool> {
    let values = vec![space.as_str().into(), id.into()];
    Ok(session.execute(DELETE, values).await? > 0)
}

/// One artifact.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Option<Artifact>> {
    let values = vec![space.as_str().into(), id.into()];
    session
        .fetch_optional(FIND, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Artifacts, the last collected first, and how many there are with this filter.
///
/// # Errors
/// When the database fails.
pub async fn page(
    session: &mut Session,
    space: &SpaceId,
    filter: &ArtifactFilter,
    skip: i64,
    take: i64,
) -> Result<(Vec<Artifact>, i64)> {
    let wanted = vec![
        space.as_str().into(),
        filter.regarding.as_str().into(),
        name_key(&filter.name_part).into(),
        any_of(&filter.ids).into(),
    ];
    session.page((COUNT, PAGE), wanted, (skip, take), read).await
}

fn read(row: &Row) -> Result<Artifact> {
    document_of(&row.text("document")?)
}
