//! Users, their API keys and their sessions.

use domain::permission::Permissions;
use domain::time::Timestamp;
use domain::user::{ApiKey, User};
use domain::{ApiKeyId, UserId};

use crate::Result;
use crate::database::{Row, Session};
use crate::named::{from_text, to_text};

crate::statements! {
    INSERT = "insert into user_account
                  (id, username, username_key, display_name, email_address, is_active, is_service, password_hash, permissions)
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    UPDATE = "update user_account set display_name = $2, email_address = $3, is_active = $4, password_hash = $5 where id = $1";
    FIND = "select * from user_account where id = $1";
    FIND_BY_NAME = "select * from user_account where username_key = $1";
    ALL = "select * from user_account order by username_key";
    INSERT_KEY = "insert into api_key (id, user_id, purpose, mac, hint, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7)";
    FIND_KEY = "select * from api_key where mac = $1 and (expires_at is null or expires_at > $2)";
    KEYS_OF_USER = "select * from api_key where user_id = $1 order by created_at, id";
    DELETE_KEY = "delete from api_key where user_id = $1 and id = $2";
    INSERT_SESSION = "insert into session (id, user_id, mac, created_at, last_seen_at, expires_at) values ($1, $2, $3, $4, $4, $5)";
    FIND_SESSION = "select * from session where mac = $1 and expires_at > $2";
    TOUCH_SESSION = "update session set last_seen_at = $2, expires_at = $3 where id = $1";
    DELETE_SESSION = "delete from session where id = $1";
    DELETE_SESSIONS_OF_USER = "delete from session where user_id = $1";
    FAILURE = "insert into sign_in_failure (subject, failures, window_began_at) values ($1, 1, $2)
               on conflict (subject) do update set
                   failures = case when sign_in_failure.window_began_at < $3 then 1 else sign_in_failure.failures + 1 end,
                   window_began_at = case when sign_in_failure.window_began_at < $3 then $2 else sign_in_failure.window_began_at end";
    FAILURES = "select failures, window_began_at from sign_in_failure where subject = $1 and window_began_at >= $2";
    FORGET_FAILURES = "delete from sign_in_failure where subject = $1";
}

/// A user with what only the Server may see of it.
#[derive(Debug, Clone)]
pub struct StoredUser {
    /// What everybody may see.
    pub user: User,
    /// A PHC string, or none for an account that cannot sign in with a password.
    pub password_hash: Option<String>,
    /// What it may do.
    pub permissions: Permissions,
}

/// An API key with what only the Server may see of it. The key itself is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredKey {
    /// What its owner may see.
    pub key: ApiKey,
    /// HMAC of the key under the pepper.
    pub mac: Vec<u8>,
    /// Its first characters, to tell keys apart.
    pub hint: String,
}

/// A portal session as it is kept: the cookie's value is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSession {
    /// The row's id.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// MAC of the cookie's value.
    pub mac: Vec<u8>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When a request last came with it.
    pub last_seen_at: i64,
    /// From when it is no longer valid.
    pub expires_at: i64,
}

/// Adds a user.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the name is taken.
pub async fn insert(session: &mut Session, stored: &StoredUser) -> Result<()> {
    let user = &stored.user;
    let values = vec![
        user.id.as_str().into(),
        user.username.as_str().into(),
        domain::name_key(&user.username).into(),
        user.display_name.as_str().into(),
        user.email_address.clone().into(),
        user.is_active.into(),
        user.is_service.into(),
        stored.password_hash.clone().into(),
        to_text(&stored.permissions)?.into(),
    ];
    session.execute(INSERT, values).await.map(drop)
}

/// Stores what may change of a user: display name, address, whether active, password.
///
/// # Errors
/// When the database fails.
pub async fn update(session: &mut Session, stored: &StoredUser) -> Result<()> {
    let user = &stored.user;
    let values = vec![
        user.id.as_str().into(),
        user.display_name.as_str().into(),
        user.email_address.clone().into(),
        user.is_active.into(),
        stored.password_hash.clone().into(),
    ];
    session.execute(UPDATE, values).await.map(drop)
}

/// A user by id.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, id: &str) -> Result<Option<StoredUser>> {
    session
        .fetch_optional(FIND, vec![id.into()])
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// A user by name, in any letter case.
///
/// # Errors
/// When the database fails.
pub async fn find_by_name(session: &mut Session, username: &str) -> Result<Option<StoredUser>> {
    let key = domain::name_key(username);
    session
        .fetch_optional(FIND_BY_NAME, vec![key.into()])
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// All users by name.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session) -> Result<Vec<StoredUser>> {
    session.fetch_all(ALL, vec![]).await?.iter().map(read).collect()
}

/// Adds an API key.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the same key exists.
pub async fn insert_key(session: &mut Session, stored: &StoredKey) -> Result<()> {
    let key = &stored.key;
    let values = vec![
        key.id.as_str().into(),
        key.user_id.as_str().into(),
        key.purpose.as_str().into(),
        stored.mac.clone().into(),
        stored.hint.as_str().into(),
        key.created.0.into(),
        key.expires.map(Timestamp::milliseconds).into(),
    ];
    session.execute(INSERT_KEY, values).await.map(drop)
}

/// The valid key with this MAC.
///
/// # Errors
/// When the database fails.
pub async fn find_key(session: &mut Session, mac: &[u8], now: i64) -> Result<Option<StoredKey>> {
    session
        .fetch_optional(FIND_KEY, vec![mac.to_vec().into(), now.into()])
        .await?
        .map(|row| read_key(&row))
        .transpose()
}

/// The keys of a user, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn keys_of_user(session: &mut Session, user_id: &str) -> Result<Vec<StoredKey>> {
    session
        .fetch_all(KEYS_OF_USER, vec![user_id.into()])
        .await?
        .iter()
        .map(read_key)
        .collect()
}

/// Removes a key; false when the user has none of this id.
///
/// # Errors
/// When the database fails.
pub async fn delete_key(session: &mut Session, user_id: &str, id: &str) -> Result<bool> {
    Ok(session
        .execute(DELETE_KEY, vec![user_id.into(), id.into()])
        .await?
        > 0)
}

/// Adds a session.
///
/// # Errors
/// When the database fails.
pub async fn insert_session(session: &mut Session, row: &UserSession) -> Result<()> {
    let values = vec![
        row.id.as_str().into(),
        row.user_id.as_str().into(),
        row.mac.clone().into(),
        row.created_at.into(),
        row.expires_at.into(),
    ];
    session.execute(INSERT_SESSION, values).await.map(drop)
}

/// The valid session with this MAC.
///
/// # Errors
/// When the database fails.
pub async fn find_session(session: &mut Session, mac: &[u8], now: i64) -> Result<Option<UserSession>> {
    let row = session
        .fetch_optional(FIND_SESSION, vec![mac.to_vec().into(), now.into()])
        .await?;
    row.map(|row| {
        Ok(UserSession {
            id: row.text("id")?,
            user_id: row.text("user_id")?,
            mac: row.bytes("mac")?,
            created_at: row.integer("created_at")?,
            last_seen_at: row.integer("last_seen_at")?,
            expires_at: row.integer("expires_at")?,
        })
    })
    .transpose()
}

/// Notes that a session was used, and until when it is now valid.
///
/// # Errors
/// When the database fails.
pub async fn touch_session(session: &mut Session, id: &str, now: i64, expires_at: i64) -> Result<()> {
    session
        .execute(TOUCH_SESSION, vec![id.into(), now.into(), expires_at.into()])
        .await
        .map(drop)
}

/// Ends one session.
///
/// # Errors
/// When the database fails.
pub async fn delete_session(session: &mut Session, id: &str) -> Result<()> {
    session.execute(DELETE_SESSION, vec![id.into()]).await.map(drop)
}

/// Ends all sessions of a user.
///
/// # Errors
/// When the database fails.
pub async fn delete_sessions_of_user(session: &mut Session, user_id: &str) -> Result<()> {
    session
        .execute(DELETE_SESSIONS_OF_USER, vec![user_id.into()])
        .await
        .map(drop)
}

/// Counts one failed sign-in of a subject; failures before `window_from` are forgotten.
///
/// # Errors
/// When the database fails.
pub async fn count_failure(session: &mut Session, subject: &str, now: i64, window_from: i64) -> Result<()> {
    session
        .execute(FAILURE, vec![subject.into(), now.into(), window_from.into()])
        .await
        .map(drop)
}

/// How often a subject failed since `window_from`, and when its window began.
///
/// # Errors
/// When the database fails.
pub async fn failures(session: &mut Session, subject: &str, window_from: i64) -> Result<Option<(i64, i64)>> {
    let row = session
        .fetch_optional(FAILURES, vec![subject.into(), window_from.into()])
        .await?;
    row.map(|row| Ok((row.integer("failures")?, row.integer("window_began_at")?)))
        .transpose()
}

/// Forgets the failures of a subject.
///
/// # Errors
/// When the database fails.
pub async fn forget_failures(session: &mut Session, subject: &str) -> Result<()> {
    session
        .execute(FORGET_FAILURES, vec![subject.into()])
        .await
        .map(drop)
}

fn read(row: &Row) -> Result<StoredUser> {
    Ok(StoredUser {
        user: User {
            id: UserId::from_text(row.text("id")?),
            username: row.text("username")?,
            display_name: row.text("display_name")?,
            email_address: row.optional_text("email_address")?,
            is_active: row.boolean("is_active")?,
            is_service: row.boolean("is_service")?,
            can_password_be_edited: !row.boolean("is_service")?,
            ..User::default()
        },
        password_hash: row.optional_text("password_hash")?,
        permissions: from_text(&row.text("permissions")?)?,
    })
}

fn read_key(row: &Row) -> Result<StoredKey> {
    Ok(StoredKey {
        key: ApiKey {
            id: ApiKeyId::from_text(row.text("id")?),
            user_id: UserId::from_text(row.text("user_id")?),
            purpose: row.text("purpose")?,
            created: Timestamp(row.integer("created_at")?),
            expires: row.optional_integer("expires_at")?.map(Timestamp),
        },
        mac: row.bytes("mac")?,
        hint: row.text("hint")?,
    })
}
