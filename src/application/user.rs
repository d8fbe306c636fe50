//! Users and their API keys.

use domain::event::Message;
use domain::permission::{Permission, Permissions};
use domain::time::Timestamp;
use domain::user::{ApiKey, User};
use domain::{ApiKeyId, UserId};
use security::{Secret, password};
pub use storage::user::StoredKey;
use storage::user::StoredUser;

use crate::event::record;
use crate::{Actor, Context, Credential, Error, Filter, List, Result, Slice};

/// The name of the account that agents register with (`containers.md` 1.1, `JOIN_KEY_FILE`).
const JOIN_ACCOUNT: &str = "agent-registration";

/// A key that was just made. Its text is shown this once.
pub struct NewApiKey {
    /// What is kept of it.
    pub row: StoredKey,
    /// The key.
    pub key: Secret,
}

/// The user who asks.
///
/// # Errors
/// [`Error::NotFound`] for an actor that is no user.
pub async fn me(context: &Context, actor: &Actor) -> Result<User> {
    let id = actor.user_id().ok_or_else(|| Error::not_found("user", "me"))?;
    let mut session = context.database.read().await?;
    let stored = storage::user::find(&mut session, id).await?;
    stored
        .map(|stored| stored.user)
        .ok_or_else(|| Error::not_found("user", id))
}

/// The users that pass the filter. `part` stands in the name, the display name or the address.
///
/// # Errors
/// Without UserView, or when the database fails.
pub async fn list(
    context: &Context,
    actor: &Actor,
    filter: &Filter,
    part: Option<&str>,
    slice: Slice,
) -> Result<List<User>> {
    actor.require(Permission::UserView)?;
    let part = domain::name_key(part.unwrap_or_default());
    let has_part = |user: &User| {
        let address = user.email_address.as_deref().unwrap_or_default();
        [&*user.username, &*user.display_name, address]
            .iter()
            .any(|text| domain::name_key(text).contains(&part))
    };
    let mut session = context.database.read().await?;
    let users = storage::user::all(&mut session)
        .await?
        .into_iter()
        .map(|stored| stored.user);
    Ok(List::cut(
        users
            .filter(|user| filter.admits(user.id.as_str(), &user.username) && has_part(user))
            .collect(),
        slice,
    ))
}

/// One user. Everybody may see oneself.
///
/// # Errors
/// [`Error::NotFound`], or without UserView.
pub async fn get(context: &Context, actor: &Actor, id: &str) -> Result<User> {
    let (stored, _) = load(context, actor, id).await?;
    Ok(stored.user)
}

/// What a user may do. Everybody may see one's own.
///
/// # Errors
/// As [`get`].
pub async fn permissions(context: &Context, actor: &Actor, id: &str) -> Result<Permissions> {
    let (stored, _) = load(context, actor, id).await?;
    Ok(stored.permissions)
}

/// Changes how a user is shown, whether it is active, and its password. Everybody may change oneself; being
/// active and other users take UserEdit. A new password ends all sessions of the user.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] for a password that breaks the rules.
pub async fn update(
    context: &Context,
    actor: &Actor,
    id: &str,
    wanted: &User,
    password: Option<Secret>,
) -> Result<User> {
    let (mut stored, session) = load(context, actor, id).await?;
    drop(session);
    let is_oneself = actor.user_id() == Some(stored.user.id.as_str());
    if !is_oneself || wanted.is_active != stored.user.is_active {
        actor.require(Permission::UserEdit)?;
    }
    if is_oneself && !wanted.is_active {
        return Err(Error::invalid(
            "Nobody can make oneself inactive. Ask another administrator.",
        ));
    }
    let new_password = match password {
        Some(_) if stored.user.is_service => {
            return Err(Error::invalid("A service account has API keys and no password."));
        }
        Some(password) => Some(hash_password(context, password).await?),
        None => None,
    };
    stored.user.display_name.clone_from(&wanted.display_name);
    stored.user.email_address.clone_from(&wanted.email_address);
    stored.user.is_active = wanted.is_active;
    let mut session = context.database.write().await?;
    if let Some(hash) = new_password {
        stored.password_hash = Some(hash);
        storage::user::delete_sessions_of_user(&mut session, stored.user.id.as_str()).await?;
    }
    storage::user::update(&mut session, &stored).await?;
    let message = Message::new("The user ")
        .name(&stored.user.id, &stored.user.username)
        .text(" was changed.");
    record(context, actor, &mut session, None, "Modified", message, &[]).await?;
    session.commit().await?;
    Ok(stored.user)
}

/// The keys of a user.
///
/// # Errors
/// As [`get`].
pub async fn api_keys(context: &Context, actor: &Actor, user_id: &str) -> Result<Vec<StoredKey>> {
    let (stored, mut session) = load(context, actor, user_id).await?;
    Ok(storage::user::keys_of_user(&mut session, stored.user.id.as_str()).await?)
}

/// Makes a key for oneself, or for a service account with UserEdit.
///
/// # Errors
/// [`Error::Forbidden`] for another person's account.
pub async fn create_api_key(
    context: &Context,
    actor: &Actor,
    user_id: &str,
    purpose: &str,
    expires_at: Option<i64>,
) -> Result<NewApiKey> {
    let (stored, session) = load(context, actor, user_id).await?;
    drop(session);
    if actor.user_id() != Some(stored.user.id.as_str()) {
        actor.require(Permission::UserEdit)?;
        if !stored.user.is_service {
            return Err(Error::Forbidden(
                "An API key can be made for oneself or for a service account, not for another person.".into(),
            ));
        }
    }
    if purpose.trim().is_empty() {
        return Err(Error::invalid("Say in Purpose what the API key is for."));
    }
    if expires_at.is_some_and(|expires| expires <= context.clock.now()) {
        return Err(Error::invalid("The expiry of an API key must lie in the future."));
    }
    refuse_to_outlive(context, actor, expires_at).await?;
    let key = security::api_key::generate();
    let purpose: String = purpose.chars().take(200).collect();
    let new = NewApiKey {
        row: new_key(context, &stored, &key, &purpose, expires_at).await?,
        key,
    };
    let mut session = context.database.write().await?;
    storage::user::insert_key(&mut session, &new.row).await?;
    let message = Message::new("An API key was made for ")
        .name(&stored.user.id, &stored.user.username)
        .text(".");
    record(
        context,
        actor,
        &mut session,
        None,
        "Created",
        message,
        &[new.row.key.id.as_str()],
    )
    .await?;
    session.commit().await?;
    Ok(new)
}

/// A key makes no key that works longer than itself (`security.md` 1.3).
async fn refuse_to_outlive(context: &Context, actor: &Actor, expires_at: Option<i64>) -> Result<()> {
    let Actor::User {
        id,
        credential: Credential::ApiKey { id: key_id },
        ..
    } = actor
    else {
        return Ok(());
    };
    let mut session = context.database.read().await?;
    let own = storage::user::keys_of_user(&mut session, id).await?;
    let until = own
        .into_iter()
        .find(|row| row.key.id.as_str() == key_id)
        .and_then(|row| row.key.expires);
    match until {
        Some(until) if expires_at.is_none_or(|expires| expires > until.milliseconds()) => {
            Err(Error::invalid(format!(
                "The key that asks expires itself at {until}, so the new one cannot be valid for longer. Give an earlier \
                 expiry, or sign in."
            )))
        }
        _ => Ok(()),
    }
}

/// Removes a key; it is refused from then on.
///
/// # Errors
/// [`Error::NotFound`]; for another's key without UserEdit.
pub async fn delete_api_key(context: &Context, actor: &Actor, user_id: &str, id: &str) -> Result<()> {
    let (stored, mut session) = load(context, actor, user_id).await?;
    if actor.user_id() != Some(stored.user.id.as_str()) {
        actor.require(Permission::UserEdit)?;
    }
    let keys = storage::user::keys_of_user(&mut session, stored.user.id.as_str()).await?;
    drop(session);
    // Ids are compared as they are written; clients write them in any case.
    let mut known = keys.iter().map(|row| row.key.id.as_str());
    let id = known.find(|known| known.eq_ignore_ascii_case(id)).unwrap_or(id);
    let mut session = context.database.write().await?;
    if !storage::user::delete_key(&mut session, stored.user.id.as_str(), id).await? {
        return Err(Error::not_found("API key", id));
    }
    let message = Message::new("An API key of ")
        .name(&stored.user.id, &stored.user.username)
        .text(" was deleted.");
    record(context, actor, &mut session, None, "Deleted", message, &[id]).await?;
    session.commit().await?;
    Ok(())
}

/// The first administrator, as the environment asks for it.
pub struct Administrator {
    /// The name to sign in with.
    pub username: String,
    /// The password; none for a service account, which has a key only.
    pub password: Option<Secret>,
    /// The address.
    pub email: String,
    /// A key to create for it.
    pub api_key: Option<Secret>,
}

/// Whether there is any user yet.
///
/// # Errors
/// When the database fails.
pub async fn any(context: &Context) -> Result<bool> {
    let mut session = context.database.read().await?;
    Ok(!storage::user::all(&mut session).await?.is_empty())
}

/// Makes the first administrator, with its key (`containers.md` 1.1).
///
/// # Errors
/// [`Error::Invalid`] for a password or key that breaks the rules.
pub async fn create_administrator(context: &Context, administrator: Administrator) -> Result<()> {
    let is_service = administrator.password.is_none();
    let password_hash = match administrator.password {
        Some(password) => Some(hash_password(context, password).await?),
        None => None,
    };
    let user = new_user(context, &administrator.username, is_service).await?;
    let user = User {
        email_address: Some(administrator.email),
        ..user
    };
    let stored = StoredUser {
        user,
        password_hash,
        permissions: Permissions::administrator(),
    };
    let key = match administrator.api_key {
        Some(key) => Some(key_row(context, &stored, key, "Given at the first start").await?),
        None => None,
    };
    insert(context, &stored, key).await
}

/// Sets the password of an existing administrator again (`ADMIN_PASSWORD_RESET`) and ends its sessions.
///
/// # Errors
/// [`Error::NotFound`] when there is no such user.
pub async fn reset_password(context: &Context, username: &str, password: Secret) -> Result<()> {
    let hash = hash_password(context, password).await?;
    let mut session = context.database.write().await?;
    let mut stored = storage::user::find_by_name(&mut session, username)
        .await?
        .ok_or_else(|| Error::not_found("user", username))?;
    stored.password_hash = Some(hash);
    storage::user::update(&mut session, &stored).await?;
    storage::user::delete_sessions_of_user(&mut session, stored.user.id.as_str()).await?;
    let message = Message::new("The password of ")
        .name(&stored.user.id, &stored.user.username)
        .text(" was set again by ADMIN_PASSWORD_RESET.");
    record(
        context,
        &Actor::System,
        &mut session,
        None,
        "Modified",
        message,
        &[],
    )
    .await?;
    session.commit().await?;
    Ok(())
}

/// A key that can register machines and nothing else; the account is made when it is missing.
///
/// # Errors
/// When the database fails.
pub async fn create_join_key(context: &Context) -> Result<Secret> {
    let mut session = context.database.read().await?;
    let existing = storage::user::find_by_name(&mut session, JOIN_ACCOUNT).await?;
    drop(session);
    let stored = match existing {
        Some(stored) => stored,
        None => {
            let user = new_user(context, JOIN_ACCOUNT, true).await?;
            let stored = StoredUser {
                user,
                password_hash: None,
                permissions: Permissions::registration(),
            };
            insert(context, &stored, None).await?;
            stored
        }
    };
    let key = security::api_key::generate();
    let row = key_row(
        context,
        &stored,
        Secret::from(key.expose().to_string()),
        "Registration of agents",
    )
    .await?;
    let mut session = context.database.write().await?;
    storage::user::insert_key(&mut session, &row).await?;
    let message = Message::new("A key for the registration of agents was made.");
    record(
        context,
        &Actor::System,
        &mut session,
        None,
        "Created",
        message,
        &[row.key.id.as_str()],
    )
    .await?;
    session.commit().await?;
    Ok(key)
}

async fn load(context: &Context, actor: &Actor, id: &str) -> Result<(StoredUser, storage::Session)> {
    if !actor.user_id().is_some_and(|own| own.eq_ignore_ascii_case(id)) {
        actor.require(Permission::UserView)?;
    }
    let mut session = context.database.read().await?;
    let id = storage::user::all(&mut session)
        .await?
        .into_iter()
        .find(|stored| stored.user.id.as_str().eq_ignore_ascii_case(id))
        .ok_or_else(|| Error::not_found("user", id))?;
    Ok((id, session))
}

async fn hash_password(context: &Context, password: Secret) -> Result<String> {
    let hashed = context.hash(move || password::hash(&password)).await?;
    hashed.map_err(|error| Error::invalid(error.to_string()))
}

async fn new_user(context: &Context, username: &str, is_service: bool) -> Result<User> {
    Ok(User {
        id: UserId::numbered(storage::counter::next(&context.database, UserId::KIND).await?),
        username: username.to_string(),
        display_name: username.to_string(),
        is_active: true,
        is_service,
        can_password_be_edited: !is_service,
        ..User::default()
    })
}

async fn key_row(context: &Context, stored: &StoredUser, key: Secret, purpose: &str) -> Result<StoredKey> {
    if !security::api_key::is_well_formed(key.expose()) {
        return Err(Error::invalid(
            "An API key is 'API-' and at least 16 upper-case letters and digits. Leave ADMIN_API_KEY out, or give one of \
             this form.",
        ));
    }
    new_key(context, stored, &key, purpose, None).await
}

async fn new_key(
    context: &Context,
    stored: &StoredUser,
    key: &Secret,
    purpose: &str,
    expires_at: Option<i64>,
) -> Result<StoredKey> {
    Ok(StoredKey {
        key: ApiKey {
            id: ApiKeyId::numbered(storage::counter::next(&context.database, ApiKeyId::KIND).await?),
            user_id: stored.user.id.clone(),
            purpose: purpose.to_string(),
            created: Timestamp(context.clock.now()),
            expires: expires_at.map(Timestamp),
        },
        mac: context.keys.mac_api_key(key.expose()),
        hint: security::api_key::hint(key.expose()),
    })
}

async fn insert(context: &Context, stored: &StoredUser, key: Option<StoredKey>) -> Result<()> {
    let mut session = context.database.write().await?;
    storage::user::insert(&mut session, stored).await?;
    if let Some(key) = key {
        storage::user::insert_key(&mut session, &key).await?;
    }
    let message = Message::new("The user ")
        .name(&stored.user.id, &stored.user.username)
        .text(" was created.");
    record(
        context,
        &Actor::System,
        &mut session,
        None,
        "Created",
        message,
        &[],
    )
    .await?;
    session.commit().await?;
    Ok(())
}
