//! Periodic work: whoever writes the row of a time first enqueues the work; the others do nothing.

use crate::Result;
use crate::database::Session;

crate::statements! {
    TAKE = "insert into schedule_run (schedule, due_at) values ($1, $2) on conflict (schedule, due_at) do nothing";
    IS_TAKEN = "select 1 as found from schedule_run where schedule = $1 and due_at = $2";
    FORGET = "delete from schedule_run where schedule = $1 and due_at < $2";
}

/// Whether somebody has taken this time of a schedule.
///
/// # Errors
/// When the database fails.
pub async fn is_taken(session: &mut Session, schedule: &str, due_at: i64) -> Result<bool> {
    let found = session
        .fetch_optional(IS_TAKEN, vec![schedule.into(), due_at.into()])
        .await?;
    Ok(found.is_some())
}

/// Whether this call is the first for this time of a schedule. To be called in the transaction that enqueues the work.
///
/// # Errors
/// When the database fails.
pub async fn take(session: &mut Session, schedule: &str, due_at: i64) -> Result<bool> {
    let first = session
        .execute(TAKE, vec![schedule.into(), due_at.into()])
        .await?
        > 0;
    if first {
        // Nobody asks for times long past.
        const DAY: i64 = 24 * 60 * 60 * 1000;
        session
            .execute(FORGET, vec![schedule.into(), (due_at - 7 * DAY).into()])
            .await?;
    }
    Ok(first)
}
