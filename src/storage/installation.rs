//! What makes one installation different from every other.

use crate::Result;
use crate::database::Session;

crate::statements! {
    FIND = "select id, created_at from installation where one = 1";
}

/// One installation: a database and all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its GUID, made with the database.
    pub id: String,
    /// When the database was made, in milliseconds since 1970 UTC.
    pub created_at: i64,
}

/// The installation of a database.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session) -> Result<Installation> {
    let row = session.fetch_one(FIND, vec![]).await?;
    Ok(Installation {
        id: row.text("id")?,
        created_at: row.integer("created_at")?,
    })
}
