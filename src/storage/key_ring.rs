//! The key ring as it is stored: salt, check value, wrapped keys (`security.md` 1.2).

use security::{KeyState, Purpose, StoredRing, WrappedKey};

use crate::database::{Row, Session};
use crate::{Error, Result};

crate::statements! {
    INSERT = "insert into installation (one, id, salt, key_check, created_at) values (1, $1, $2, $3, $4)";
    INSERT_KEY = "insert into data_key (kid, purpose, state, wrapped, created_at) values ($1, $2, $3, $4, $5)";
    LOAD = "select id, salt, key_check, created_at from installation where one = 1";
    LOAD_KEYS = "select kid, purpose, state, wrapped, created_at from data_key order by kid";
}

/// Stores a new ring. It comes with the schema ([`crate::schema::create`]).
pub(crate) async fn insert(session: &mut Session, ring: &StoredRing) -> Result<()> {
    let values = vec![
        ring.installation_id.as_str().into(),
        ring.salt.clone().into(),
        ring.check.as_str().into(),
        ring.created_at.into(),
    ];
    session.execute(INSERT, values).await?;
    for key in &ring.keys {
        let values = vec![
            i64::from(key.kid).into(),
            key.purpose.as_str().into(),
            key.state.as_str().into(),
            key.wrapped.as_str().into(),
            key.created_at.into(),
        ];
        session.execute(INSERT_KEY, values).await?;
    }
    Ok(())
}

/// The ring of a database.
///
/// # Errors
/// When the database fails or a row of the ring is damaged.
pub async fn load(session: &mut Session) -> Result<StoredRing> {
    let row = session.fetch_one(LOAD, vec![]).await?;
    let keys = session.fetch_all(LOAD_KEYS, vec![]).await?;
    Ok(StoredRing {
        installation_id: row.text("id")?,
        salt: row.bytes("salt")?,
        check: row.text("key_check")?,
        created_at: row.integer("created_at")?,
        keys: keys.iter().map(read).collect::<Result<_>>()?,
    })
}

fn read(row: &Row) -> Result<WrappedKey> {
    let (kid, purpose, state) = (row.integer("kid")?, row.text("purpose")?, row.text("state")?);
    let damaged = || Error::document(format!("the row {kid} of the key ring is damaged"));
    Ok(WrappedKey {
        kid: u32::try_from(kid).map_err(|_| damaged())?,
        purpose: Purpose::from_name(&purpose).ok_or_else(damaged)?,
        state: KeyState::from_name(&state).ok_or_else(damaged)?,
        wrapped: row.text("wrapped")?,
        created_at: row.integer("created_at")?,
    })
}
