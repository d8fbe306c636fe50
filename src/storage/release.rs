//! Releases. Their frozen process and variables stand in the tables of those.

use domain::release::Release;
use domain::{ProjectId, SpaceId, name_key};

use crate::Result;
use crate::database::{Row, Session, Value, any_of};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into release (id, space_id, project_id, channel_id, version, version_key, assembled_at, document)
              values ($1, $2, $3, $4, $5, $6, $7, $8)";
    UPDATE = "update release set channel_id = $4, version = $5, version_key = $6, assembled_at = $7, document = $8
              where space_id = $2 and project_id = $3 and id = $1";
    DELETE = "delete from release where space_id = $1 and id = $2";
    DELETE_OF_PROJECT = "delete from release where space_id = $1 and project_id = $2";
    FIND = "select document from release where space_id = $1 and lower(id) = $2";
    FIND_VERSION = "select document from release where space_id = $1 and project_id = $2 and version_key = $3";
    PAGE = "select document from release
            where space_id = $1 and ($2 = '' or project_id = $2) and ($3 = '' or channel_id = $3)
              and ($4 = '' or replace(version_key, $4, '') <> version_key)
              and ($5 = '' or replace($5, ',' || id || ',', '') <> $5)
            order by assembled_at desc, length(id) desc, id desc limit $6 offset $7";
    COUNT = "select count(*) as total from release
             where space_id = $1 and ($2 = '' or project_id = $2) and ($3 = '' or channel_id = $3)
               and ($4 = '' or replace(version_key, $4, '') <> version_key)
               and ($5 = '' or replace($5, ',' || id || ',', '') <> $5)";
    VERSIONS = "select version, channel_id from release where space_id = $1 and project_id = $2";
}

/// Which releases are wanted. Empty members do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseFilter {
    /// Of this project.
    pub project_id: String,
    /// Of this channel.
    pub channel_id: String,
    /// With this text in their version, without case.
    pub version_part: String,
    /// Any of these ids.
    pub ids: Vec<String>,
}

/// Adds a release.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the project has one of this version.
pub async fn insert(session: &mut Session, release: &Release) -> Result<()> {
    session.execute(INSERT, values(release)?).await.map(drop)
}

/// Replaces a release; its project stays the same.
///
/// # Errors
/// As [`insert`].
pub async fn update(session: &mut Session, release: &Release) -> Result<bool> {
    Ok(session.execute(UPDATE, values(release)?).await? > 0)
}

/// Removes a release and its deployments.
///
/// # Errors
/// When the database fails.
pub async fn delete(session: &mut Session, space: &SpaceId, id: &str) -> Result<bool> {
    Ok(session
        .execute(DELETE, vec![space.as_str().into(), id.into()])
        .await?
        > 0)
}

/// Removes all releases of a project with their deployments.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_project(session: &mut Session, space: &SpaceId, project: &ProjectId) -> Result<()> {
    session
        .execute(
            DELETE_OF_PROJECT,
            vec![space.as_str().into(), project.as_str().into()],
        )
        .await
        .map(drop)
}

/// A release by id, in any letter case.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Option<Release>> {
    let values = vec![space.as_str().into(), id.to_lowercase().into()];
    session
        .fetch_optional(FIND, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The release of a project with this version, compared without case.
///
/// # Errors
/// When the database fails.
pub async fn find_version(
    session: &mut Session,
    space: &SpaceId,
    project: &ProjectId,
    version: &str,
) -> Result<Option<Release>> {
    let values = vec![
        space.as_str().into(),
        project.as_str().into(),
        name_key(version).into(),
    ];
    session
        .fetch_optional(FIND_VERSION, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Releases, the last made first, and how many there are with this filter.
///
/// # Errors
/// When the database fails.
pub async fn page(
    session: &mut Session,
    space: &SpaceId,
    filter: &ReleaseFilter,
    skip: i64,
    take: i64,
) -> Result<(Vec<Release>, i64)> {
    let filter: Vec<Value> = vec![
        space.as_str().into(),
        filter.project_id.as_str().into(),
        filter.channel_id.as_str().into(),
        name_key(&filter.version_part).into(),
        any_of(&filter.ids).into(),
    ];
    session.page((COUNT, PAGE), filter, (skip, take), read).await
}

/// Every version of a project with the id of its channel.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    session: &mut Session,
    space: &SpaceId,
    project: &ProjectId,
) -> Result<Vec<(String, String)>> {
    let rows = session
        .fetch_all(VERSIONS, vec![space.as_str().into(), project.as_str().into()])
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("version")?, row.text("channel_id")?)))
        .collect()
}

fn values(release: &Release) -> Result<Vec<Value>> {
    Ok(vec![
        release.id.as_str().into(),
        release.space_id.as_str().into(),
        release.project_id.as_str().into(),
        release.channel_id.as_str().into(),
        release.version.as_str().into(),
        name_key(&release.version).into(),
        release.assembled.0.into(),
        document_text(release)?.into(),
    ])
}

fn read(row: &Row) -> Result<Release> {
    document_of(&row.text("document")?)
}
