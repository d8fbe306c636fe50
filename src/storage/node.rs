//! The nodes that work on a database, and which of them live.
//!
//! A node that starts anew gets another `owner`, so the leases of its former life are free at once.

use crate::Result;
use crate::database::{Database, Row, Session};

crate::statements! {
    REGISTER = "insert into node (name, owner, version, task_cap, is_alive, is_draining, started_at, last_seen_at)
                values ($1, $2, $3, $4, true, false, $5, $5)
                on conflict (name) do update set owner = excluded.owner, version = excluded.version,
                    task_cap = excluded.task_cap, is_alive = true, is_draining = false,
                    started_at = excluded.started_at, last_seen_at = excluded.last_seen_at";
    TOUCH = "update node set last_seen_at = $2, is_alive = true where owner = $1";
    DRAIN = "update node set is_draining = $2 where name = $1";
    SET_TASK_CAP = "update node set task_cap = $2 where name = $1";
    LEAVE = "update node set is_alive = false, last_seen_at = $2 where owner = $1";
    OTHERS = "select name, owner from node where is_alive and owner <> $1";
    BURY = "update node set is_alive = false where owner = $1";
    FIND = "select * from node where name = $1";
    ALL = "select * from node order by name";
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, which only one live node has.
    pub name: String,
    /// The name of this life of it, by which it holds leases.
    pub owner: String,
    /// The version of the product that it runs.
    pub version: String,
    /// How many tasks it runs at once.
    pub task_cap: i64,
    /// Whether it lives, as far as is known.
    pub is_alive: bool,
    /// Whether it takes no more tasks.
    pub is_draining: bool,
    /// When it started, in milliseconds since 1970 UTC.
    pub started_at: i64,
    /// When it last said that it lives.
    pub last_seen_at: i64,
}

/// Writes down that this node lives. The caller holds [`Database::lock_node`] of the name; `owner` is new for every
/// start ([`security::token::identifier`]).
///
/// # Errors
/// When the database fails.
pub async fn register(
    session: &mut Session,
    name: &str,
    owner: &str,
    version: &str,
    task_cap: i64,
    now: i64,
) -> Result<()> {
    let values = vec![
        name.into(),
        owner.into(),
        version.into(),
        task_cap.into(),
        now.into(),
    ];
    session.execute(REGISTER, values).await.map(drop)
}

/// Writes down that the node still lives.
///
/// # Errors
/// When the database fails.
pub async fn touch(session: &mut Session, owner: &str, now: i64) -> Result<()> {
    session
        .execute(TOUCH, vec![owner.into(), now.into()])
        .await
        .map(drop)
}

/// Lets a node take no more tasks, or take them again; false when there is no node of this name.
///
/// # Errors
/// When the database fails.
pub async fn set_draining(session: &mut Session, name: &str, is_draining: bool) -> Result<bool> {
    Ok(session
        .execute(DRAIN, vec![name.into(), is_draining.into()])
        .await?
        > 0)
}

/// Changes how many tasks a node runs at once; false when there is no node of this name.
///
/// # Errors
/// When the database fails.
pub async fn set_task_cap(session: &mut Session, name: &str, task_cap: i64) -> Result<bool> {
    Ok(session
        .execute(SET_TASK_CAP, vec![name.into(), task_cap.into()])
        .await?
        > 0)
}

/// Writes down that the node ends: whatever it still leases is free.
///
/// # Errors
/// When the database fails.
pub async fn leave(session: &mut Session, owner: &str, now: i64) -> Result<()> {
    session
        .execute(LEAVE, vec![owner.into(), now.into()])
        .await
        .map(drop)
}

/// Looks at the locks of all other nodes and writes down which of them no longer live, so that their leases can be
/// taken at once. Gives their names.
///
/// # Errors
/// When the database fails.
pub async fn bury_dead(database: &Database, own_owner: &str) -> Result<Vec<String>> {
    let mut session = database.read().await?;
    let rows = session.fetch_all(OTHERS, vec![own_owner.into()]).await?;
    drop(session);
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut others = Vec::new();
    for row in &rows {
        others.push((row.text("name")?, row.text("owner")?));
    }
    // The owner was read before its lock is looked at. A node that starts meanwhile has another owner.
    let dead = database
        .names_without_node(others.iter().map(|(name, _)| name.clone()).collect())
        .await?;
    if dead.is_empty() {
        return Ok(dead);
    }
    let mut session = database.write().await?;
    for (_, owner) in others.iter().filter(|(name, _)| dead.contains(name)) {
        session.execute(BURY, vec![owner.as_str().into()]).await?;
    }
    session.commit().await?;
    Ok(dead)
}

/// A node by name.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, name: &str) -> Result<Option<Node>> {
    session
        .fetch_optional(FIND, vec![name.into()])
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// All nodes by name, dead ones too.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session) -> Result<Vec<Node>> {
    session.fetch_all(ALL, vec![]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Node> {
    Ok(Node {
        name: row.text("name")?,
        owner: row.text("owner")?,
        version: row.text("version")?,
        task_cap: row.integer("task_cap")?,
        is_alive: row.boolean("is_alive")?,
        is_draining: row.boolean("is_draining")?,
        started_at: row.integer("started_at")?,
        last_seen_at: row.integer("last_seen_at")?,
    })
}
