//! Documents of which there is one of a kind, such as the Server's own certificate.

use crate::Result;
use crate::database::Session;

crate::statements! {
    FIND = "select document from configuration where name = $1";
    SET = "insert into configuration (name, document) values ($1, $2)
           on conflict (name) do update set document = excluded.document";
}

/// The document of a name.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, name: &str) -> Result<Option<String>> {
    session
        .fetch_optional(FIND, vec![name.into()])
        .await?
        .map(|row| row.text("document"))
        .transpose()
}

/// Stores the document of a name. What is secret in it must be sealed.
///
/// # Errors
/// When the database fails.
pub async fn set(session: &mut Session, name: &str, document: &str) -> Result<()> {
    session
        .execute(SET, vec![name.into(), document.into()])
        .await
        .map(drop)
}
