//! Variable sets: one living document for each owner, and the copies that releases took. Secrets in them are
//! sealed for exactly the set and variable they stand in.

use domain::SpaceId;
use domain::variable_set::VariableSet;

use crate::Result;
use crate::database::{Row, Session};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into variable_set (id, space_id, owner_id, version, is_snapshot, document)
              values ($1, $2, $3, $4, $5, $6)";
    UPDATE = "update variable_set set version = $3, document = $4
              where space_id = $1 and id = $2 and version = $5 and is_snapshot = $6";
    DELETE_SNAPSHOT = "delete from variable_set where space_id = $1 and id = $2 and is_snapshot = $3";
    DELETE_OF_OWNER = "delete from variable_set where space_id = $1 and owner_id = $2";
    FIND = "select document from variable_set where space_id = $1 and lower(id) = $2";
    ALL = "select document from variable_set where space_id = $1 and is_snapshot = $2 order by id";
}

/// Adds a set. A snapshot is never changed afterwards.
///
/// # Errors
/// When the database fails.
pub async fn insert(session: &mut Session, set: &VariableSet, is_snapshot: bool) -> Result<()> {
    let values = vec![
        set.id.as_str().into(),
        set.space_id.as_str().into(),
        set.owner_id.as_str().into(),
        i64::from(set.version).into(),
        is_snapshot.into(),
        document_text(set)?.into(),
    ];
    session.execute(INSERT, values).await.map(drop)
}

/// Replaces a living set that still has the version `replaced`; false when it has not.
///
/// # Errors
/// When the database fails.
pub async fn update(session: &mut Session, set: &VariableSet, replaced: i32) -> Result<bool> {
    let values = vec![
        set.space_id.as_str().into(),
        set.id.as_str().into(),
        i64::from(set.version).into(),
        document_text(set)?.into(),
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

/// Removes the living set of an owner and every copy of it.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_owner(session: &mut Session, space: &SpaceId, owner: &str) -> Result<()> {
    session
        .execute(DELETE_OF_OWNER, vec![space.as_str().into(), owner.into()])
        .await
        .map(drop)
}

/// A set or a snapshot by id, in any letter case.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Option<VariableSet>> {
    let values = vec![space.as_str().into(), id.to_lowercase().into()];
    session
        .fetch_optional(FIND, values)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The living sets of a space.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session, space: &SpaceId) -> Result<Vec<VariableSet>> {
    session
        .fetch_all(ALL, vec![space.as_str().into(), false.into()])
        .await?
        .iter()
        .map(read)
        .collect()
}

fn read(row: &Row) -> Result<VariableSet> {
    document_of(&row.text("document")?)
}
