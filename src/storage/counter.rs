//! The numbers in ids. They only grow; gaps are fine, and no order depends on them.

use crate::Result;
use crate::database::Database;

crate::statements! {
    NEXT = "insert into counter (kind, last) values ($1, 1)
            on conflict (kind) do update set last = counter.last + 1 returning last";
}

/// The next number of a kind, in a transaction of its own, like a sequence.
///
/// # Errors
/// When the database fails.
pub async fn next(database: &Database, kind: &str) -> Result<i64> {
    let mut session = database.write().await?;
    let number = session
        .fetch_one(NEXT, vec![kind.into()])
        .await?
        .integer("last")?;
    session.commit().await?;
    Ok(number)
}
