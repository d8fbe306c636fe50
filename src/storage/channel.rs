//! Channels: unique by name and slug in their project.

use domain::channel::Channel;
use domain::{ProjectId, SpaceId, name_key};

use crate::Result;
use crate::database::{Row, Session, Value};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into channel (id, space_id, project_id, name, name_key, slug, is_default, document)
              values ($1, $2, $3, $4, $5, $6, $7, $8)";
    UPDATE = "update channel set name = $4, name_key = $5, slug = $6, is_default = $7, document = $8
              where space_id = $2 and project_id = $3 and id = $1";
    DELETE = "delete from channel where space_id = $1 and id = $2";
    FIND = "select document from channel where space_id = $1 and (lower(id) = $2 or slug = $2) order by id limit 1";
    ALL = "select document from channel where space_id = $1 order by project_id, name_key";
    OF_PROJECT = "select document from channel where space_id = $1 and project_id = $2 order by name_key";
}

/// Adds a channel.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the project has one of this name or slug.
pub async fn insert(session: &mut Session, channel: &Channel) -> Result<()> {
    session.execute(INSERT, values(channel)?).await.map(drop)
}

/// Replaces a channel; its project stays the same.
///
/// # Errors
/// As [`insert`].
pub async fn update(session: &mut Session, channel: &Channel) -> Result<bool> {
    Ok(session.execute(UPDATE, values(channel)?).await? > 0)
}

/// Removes a channel; false when there is none of this id.
///
/// # Errors
/// When the database fails, or a release is in the channel.
pub async fn delete(session: &mut Session, space: &SpaceId, id: &str) -> Result<bool> {
    Ok(session
        .execute(DELETE, vec![space.as_str().into(), id.into()])
        .await?
        > 0)
}

/// A channel by id, in any letter case, or by slug.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Option<Channel>> {
    let values = vec![space.as_str().into(), id.to_lowercase().into()];
    session
        .fetch_optional(FIND, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// All channels of a space, those of one project together.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session, space: &SpaceId) -> Result<Vec<Channel>> {
    session
        .fetch_all(ALL, vec![space.as_str().into()])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The channels of a project by name.
///
/// # Errors
/// When the database fails.
pub async fn of_project(session: &mut Session, space: &SpaceId, project: &ProjectId) -> Result<Vec<Channel>> {
    let values = vec![space.as_str().into(), project.as_str().into()];
    session
        .fetch_all(OF_PROJECT, values)
        .await?
        .iter()
        .map(read)
        .collect()
}

fn values(channel: &Channel) -> Result<Vec<Value>> {
    Ok(vec![
        channel.id.as_str().into(),
        channel.space_id.as_str().into(),
        channel.project_id.as_str().into(),
        channel.name.as_str().into(),
        name_key(&channel.name).into(),
        channel.slug.to_lowercase().into(),
        channel.is_default.into(),
        document_text(channel)?.into(),
    ])
}

fn read(row: &Row) -> Result<Channel> {
    document_of(&row.text("document")?)
}
