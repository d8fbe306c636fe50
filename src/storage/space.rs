//! Spaces. The default one is made with the database.

use domain::space::Space;

use crate::Result;
use crate::database::{Row, Session};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into space (id, name, name_key, is_default, document) values ($1, $2, $3, $4, $5)";
    UPDATE = "update space set name = $2, name_key = $3, document = $4 where id = $1";
    ALL = "select document from space order by name_key";
}

/// Adds a space.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the name is taken.
pub async fn insert(session: &mut Session, space: &Space) -> Result<()> {
    let values = vec![
        space.id.as_str().into(),
        space.name.as_str().into(),
        domain::name_key(&space.name).into(),
        space.is_default.into(),
        document_text(space)?.into(),
    ];
    session.execute(INSERT, values).await.map(drop)
}

/// Replaces a space.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the name is taken.
pub async fn update(session: &mut Session, space: &Space) -> Result<()> {
    let values = vec![
        space.id.as_str().into(),
        space.name.as_str().into(),
        domain::name_key(&space.name).into(),
        document_text(space)?.into(),
    ];
    session.execute(UPDATE, values).await.map(drop)
}

/// All spaces by name.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session) -> Result<Vec<Space>> {
    session.fetch_all(ALL, vec![]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Space> {
    document_of(&row.text("document")?)
}
