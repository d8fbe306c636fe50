//! Tables of named documents. Environments, lifecycles, project groups and the like differ in their
//! documents only; their tables have the same columns and the same statements, so those are written once.

use domain::SpaceId;
use domain::document::{self, Document};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::{Row, Session};
use crate::{Error, Result};

/// The statements of one such table, made by `named_documents!`.
#[derive(Debug, Clone, Copy)]
pub struct NamedStatements {
    pub(crate) insert: &'static str,
    pub(crate) update: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) find: &'static str,
    pub(crate) all: &'static str,
}

/// A document with a table of its own.
pub trait NamedDocument: Document + Send + Sync + 'static {
    /// The statements of its table.
    const STATEMENTS: NamedStatements;
    /// What ids begin with, which is also the name of the counter: `Environments`.
    const COLLECTION: &'static str;

    /// `Environments-1`.
    fn id(&self) -> &str;
    /// Unique in its space, without case.
    fn name(&self) -> &str;
    /// The short form of the name for addresses, unique in its space.
    fn slug(&self) -> &str;
    /// The place in lists; of the same place, the name decides.
    fn sort_order(&self) -> i64;
}

/// Declares the table of a [`NamedDocument`] and lists its statements.
macro_rules! named_documents {
    ($document:ty, $table:literal, $collection:literal) => {
        $crate::named::named_documents!($document, $table, $collection, |_| 0);
    };
    ($document:ty, $table:literal, $collection:literal, $order:expr) => {
        $crate::statements! {
            INSERT = concat!(
                "insert into ", $table,
                " (id, space_id, name, name_key, slug, sort_order, document) values ($1, $2, $3, $4, $5, $6, $7)"
            );
            UPDATE = concat!(
                "update ", $table,
                " set name = $3, name_key = $4, slug = $5, sort_order = $6, document = $7",
                " where space_id = $2 and id = $1"
            );
            DELETE = concat!("delete from ", $table, " where space_id = $2 and id = $1");
            FIND = concat!(
                "select document from ", $table, " where space_id = $1 and (lower(id) = $2 or slug = $2)"
            );
            ALL = concat!("select document from ", $table, " where space_id = $1 order by sort_order, name_key");
        }

        impl $crate::named::NamedDocument for $document {
            const STATEMENTS: $crate::named::NamedStatements = $crate::named::NamedStatements {
                insert: INSERT,
                update: UPDATE,
                delete: DELETE,
                find: FIND,
                all: ALL,
            };
            const COLLECTION: &'static str = $collection;

            fn id(&self) -> &str {
                self.id.as_str()
            }

            fn name(&self) -> &str {
                &self.name
            }

            fn slug(&self) -> &str {
                &self.slug
            }

            fn sort_order(&self) -> i64 {
                let order: fn(&Self) -> i64 = $order;
                order(self)
            }
        }
    };
}
pub(crate) use named_documents;

/// Adds a document.
///
/// # Errors
/// [`Error::Duplicate`] when the space has one of this name or slug.
pub async fn insert<T: NamedDocument>(session: &mut Session, space: &SpaceId, document: &T) -> Result<()> {
    let values = values(space, document)?;
    session.execute(T::STATEMENTS.insert, values).await.map(drop)
}

/// Replaces a document; false when there is none of this id.
///
/// # Errors
/// As [`insert`].
pub async fn update<T: NamedDocument>(session: &mut Session, space: &SpaceId, document: &T) -> Result<bool> {
    let values = values(space, document)?;
    Ok(session.execute(T::STATEMENTS.update, values).await? > 0)
}

/// Removes a document; false when there is none of this id.
///
/// # Errors
/// When the database fails.
pub async fn delete<T: NamedDocument>(session: &mut Session, space: &SpaceId, id: &str) -> Result<bool> {
    Ok(session
        .execute(T::STATEMENTS.delete, vec![id.into(), space.as_str().into()])
        .await?
        > 0)
}

/// One document by id (in any letter case) or slug.
///
/// # Errors
/// When the database fails or a stored document cannot be read.
pub async fn find<T: NamedDocument>(
    session: &mut Session,
    space: &SpaceId,
    id_or_slug: &str,
) -> Result<Option<T>> {
    let key = id_or_slug.to_lowercase();
    let row = session
        .fetch_optional(T::STATEMENTS.find, vec![space.as_str().into(), key.into()])
        .await?;
    row.map(|row| read(&row)).transpose()
}

/// All documents of a space, in their order.
///
/// # Errors
/// As [`find`].
pub async fn all<T: NamedDocument>(session: &mut Session, space: &SpaceId) -> Result<Vec<T>> {
    let rows = session
        .fetch_all(T::STATEMENTS.all, vec![space.as_str().into()])
        .await?;
    rows.iter().map(read).collect()
}

fn values<T: NamedDocument>(space: &SpaceId, document: &T) -> Result<Vec<crate::database::Value>> {
    Ok(vec![
        document.id().into(),
        space.as_str().into(),
        document.name().into(),
        domain::name_key(document.name()).into(),
        document.slug().to_lowercase().into(),
        document.sort_order().into(),
        document_text(document)?.into(),
    ])
}

fn read<T: Document>(row: &Row) -> Result<T> {
    document_of(&row.text("document")?)
}

/// A resource as the text that is stored, with its secrets sealed and beside it.
pub(crate) fn document_text<T: Document>(document: &T) -> Result<String> {
    document::to_text(document).map_err(Error::document)
}

/// A stored text as a resource.
pub(crate) fn document_of<T: Document>(text: &str) -> Result<T> {
    document::from_text(text).map_err(Error::document)
}

/// Plain data as the text that is stored.
pub(crate) fn to_text<T: Serialize>(document: &T) -> Result<String> {
    serde_json::to_string(document).map_err(Error::document)
}

/// A stored text as plain data.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(Error::document)
}
