//! Proving who one is: passwords, sessions, API keys, and what happens to those who guess
//! (`security.md` 1.3, `rest-api.md` 1.3 and 1.5).

use domain::event::Message;
use domain::permission::Permissions;
use domain::user::User;
use security::{Secret, password, token};
use storage::user::{StoredUser, UserSession};

use crate::event::record;
use crate::{Actor, Context, Credential, Error, Origin, Result};

/// What the name of the session's cookie begins with; the installation id follows.
pub const SESSION_COOKIE: &str = "OctopusIdentificationToken";
/// What the name of the anti-forgery cookie begins with; clients look for exactly one such cookie.
pub const ANTI_FORGERY_COOKIE: &str = "Octopus-Csrf-Token";

const MINUTE: i64 = 60_000;
/// A session that is not used ends.
const IDLE: i64 = 20 * MINUTE;
/// "Remember me" ends too.
const REMEMBERED: i64 = 20 * 24 * 60 * MINUTE;
/// Failures are counted within this time.
const WINDOW: i64 = 10 * MINUTE;
/// Failures of one user from one address until both are banned for the rest of the window.
const USER_AND_ADDRESS: i64 = 9;
/// Failures of one address, over all users.
const ADDRESS: i64 = 50;
/// What is looked at of a name, in characters.
const LONGEST_NAME: usize = 200;
/// Wrong API keys of one address.
const KEYS_OF_ADDRESS: i64 = 100;

/// What a request shows as proof.
#[derive(Clone)]
pub enum Presented {
    /// Nothing.
    Nothing,
    /// An API key.
    ApiKey(String),
    /// A bearer token.
    Bearer(String),
    /// A session cookie.
    Session {
        /// The cookie's value.
        token: String,
        /// The value of the anti-forgery header.
        anti_forgery: Option<String>,
        /// Whether the request can change anything, so that the anti-forgery header is needed.
        changes: bool,
    },
    /// The token of a registration, good for deregistering that one machine.
    Deregistration(String),
}

/// A fresh session, as the browser gets it.
pub struct SignedIn {
    /// Who signed in.
    pub user: User,
    /// The value of the session cookie.
    pub token: Secret,
    /// The value of the anti-forgery cookie.
    pub anti_forgery: String,
    /// How long the cookies are to be kept, in seconds; none: until the browser ends.
    pub max_age: Option<i64>,
}

/// Who a request is from; none for nothing or something that is not valid.
///
/// # Errors
/// [`Error::Forbidden`] for a session without its anti-forgery token, [`Error::RateLimited`] for an address
/// that guesses keys.
pub async fn authenticate(
    context: &Context,
    presented: &Presented,
    origin: &Origin,
) -> Result<Option<Actor>> {
    match presented {
        Presented::Nothing => Ok(None),
        Presented::Bearer(_) => Err(Error::Unauthenticated(
            "Bearer tokens are not accepted by this version. Send an API key in the header X-Octopus-ApiKey."
                .into(),
        )),
        Presented::ApiKey(key) => by_key(context, key, origin).await.map(Some),
        Presented::Session {
            token,
            anti_forgery,
            changes,
        } => by_session(context, token, anti_forgery.as_deref(), *changes, origin).await,
        Presented::Deregistration(token) => {
            let machine_id = crate::machine::open_deregistration_token(context, token).await?;
            Ok(Some(Actor::User {
                id: format!("machine:{machine_id}"),
                username: machine_id.clone(),
                is_service: true,
                permissions: Permissions::default(),
                credential: Credential::Deregistration { machine_id },
                origin: origin.clone(),
            }))
        }
    }
}

async fn by_key(context: &Context, key: &str, origin: &Origin) -> Result<Actor> {
    let now = context.clock.now();
    let subject = format!("key\n{}", origin.ip_address.as_deref().unwrap_or_default());
    let mac = context.keys.mac_api_key(key);
    let mut session = context.database.read().await?;
    let found = match storage::user::find_key(&mut session, &mac, now).await? {
        Some(row) => storage::user::find(&mut session, row.key.user_id.as_str())
            .await?
            .map(|user| (row, user)),
        None => None,
    };
    if let Some((row, stored)) = found
        && stored.user.is_active
    {
        return Ok(actor(
            stored,
            Credential::ApiKey {
                id: row.key.id.to_string(),
            },
            origin,
        ));
    }
    let failures = storage::user::failures(&mut session, &subject, now - WINDOW).await?;
    drop(session);
    limit(failures, KEYS_OF_ADDRESS, now)?;
    let mut session = context.database.write().await?;
    storage::user::count_failure(&mut session, &subject, now, now - WINDOW).await?;
    session.commit().await?;
    Err(Error::Unauthenticated(
        "The API key is not valid, it has expired, or its user is not active. Create another one in your profile."
            .into(),
    ))
}

async fn by_session(
    context: &Context,
    token: &str,
    anti_forgery: Option<&str>,
    changes: bool,
    origin: &Origin,
) -> Result<Option<Actor>> {
    let now = context.clock.now();
    let mac = context.keys.mac_session(token);
    let mut session = context.database.read().await?;
    let Some(row) = storage::user::find_session(&mut session, &mac, now).await? else {
        return Ok(None);
    };
    let Some(stored) = storage::user::find(&mut session, &row.user_id).await? else {
        return Ok(None);
    };
    drop(session);
    if !stored.user.is_active {
        return Ok(None);
    }
    let expected = context.keys.anti_forgery_token(&row.id);
    let proven = anti_forgery.is_some_and(|given| security::equal(given.as_bytes(), expected.as_bytes()));
    if changes && !proven {
        return Err(Error::Forbidden(
            "A required anti-forgery token was not supplied or was invalid. Reload the page and try again."
                .into(),
        ));
    }
    if now - row.last_seen_at > MINUTE {
        let expires_at = row.expires_at.max(now + IDLE);
        let mut session = context.database.write().await?;
        storage::user::touch_session(&mut session, &row.id, now, expires_at).await?;
        session.commit().await?;
    }
    Ok(Some(actor(stored, Credential::Session { id: row.id }, origin)))
}

/// The anti-forgery token of the session that an actor came with.
#[must_use]
pub fn anti_forgery_token(context: &Context, actor: &Actor) -> Option<String> {
    match actor {
        Actor::User {
            credential: Credential::Session { id },
            ..
        } => Some(context.keys.anti_forgery_token(id)),
        _ => None,
    }
}

/// Whether this is the anti-forgery token of the actor's session.
#[must_use]
pub fn is_anti_forgery_token(context: &Context, actor: &Actor, given: &str) -> bool {
    anti_forgery_token(context, actor)
        .is_some_and(|expected| security::equal(expected.as_bytes(), given.as_bytes()))
}

/// The values of `Set-Cookie` for a fresh session; scripts can read the second, whose value comes back as a
/// header. `secure`: the browser came by HTTPS.
#[must_use]
pub fn cookies(context: &Context, signed_in: &SignedIn, secure: bool) -> Vec<String> {
    let secure = if secure { "; Secure" } else { "" };
    let age = signed_in
        .max_age
        .map(|seconds| format!("; Max-Age={seconds}"))
        .unwrap_or_default();
    let cookie = |name: &str, value: &str, hidden: &str| {
        format!(
            "{name}_{}={value}; Path=/; SameSite=Lax{hidden}{secure}{age}",
            context.installation_id
        )
    };
    vec![
        cookie(SESSION_COOKIE, signed_in.token.expose(), "; HttpOnly"),
        cookie(ANTI_FORGERY_COOKIE, &signed_in.anti_forgery, ""),
    ]
}

/// The values of `Set-Cookie` that make a browser forget its session.
#[must_use]
pub fn expired_cookies(context: &Context) -> Vec<String> {
    let expired = |name: &str| {
        format!(
            "{name}_{}=; Path=/; SameSite=Lax; Max-Age=0",
            context.installation_id
        )
    };
    vec![expired(SESSION_COOKIE), expired(ANTI_FORGERY_COOKIE)]
}

/// Signs a person in with name and password.
///
/// # Errors
/// [`Error::Unauthenticated`] for a wrong pair, the same for an unknown name; [`Error::RateLimited`] after
/// too many of them.
pub async fn sign_in(
    context: &Context,
    username: &str,
    password: Secret,
    remember: bool,
    origin: &Origin,
) -> Result<SignedIn> {
    let now = context.clock.now();
    let address = origin.ip_address.as_deref().unwrap_or_default();
    let username = &tame(username);
    let pair = format!("user\n{}\n{address}", domain::name_key(username));
    let alone = format!("address\n{address}");
    let mut session = context.database.read().await?;
    limit(
        storage::user::failures(&mut session, &pair, now - WINDOW).await?,
        USER_AND_ADDRESS,
        now,
    )?;
    limit(
        storage::user::failures(&mut session, &alone, now - WINDOW).await?,
        ADDRESS,
        now,
    )?;
    let stored = storage::user::find_by_name(&mut session, username).await?;
    drop(session);

    let hash = stored.as_ref().and_then(|stored| stored.password_hash.clone());
    let right = context
        .hash(move || password::verify(&password, hash.as_deref()))
        .await?;
    let user = stored.filter(|stored| right && stored.user.is_active && !stored.user.is_service);
    let mut session = context.database.write().await?;
    let Some(stored) = user else {
        for subject in [&pair, &alone] {
            storage::user::count_failure(&mut session, subject, now, now - WINDOW).await?;
        }
        let failures = storage::user::failures(&mut session, &pair, now - WINDOW).await?;
        let message = format!("Somebody failed to sign in as {username}.");
        let message = Message::new(&message);
        record(
            context,
            &nobody(username, origin),
            &mut session,
            None,
            "LoginFailed",
            message,
            &[],
        )
        .await?;
        if failures.is_some_and(|(count, _)| count == USER_AND_ADDRESS) {
            let message = format!(
                "{username} is banned from this address for some minutes after {USER_AND_ADDRESS} failures."
            );
            record(
                context,
                &nobody(username, origin),
                &mut session,
                None,
                "LoginBanned",
                Message::new(&message),
                &[],
            )
            .await?;
        }
        session.commit().await?;
        return Err(Error::Unauthenticated("Invalid username or password.".into()));
    };

    let token = token::generate();
    let row = UserSession {
        id: token::identifier(),
        user_id: stored.user.id.to_string(),
        mac: context.keys.mac_session(token.expose()),
        created_at: now,
        last_seen_at: now,
        expires_at: now + if remember { REMEMBERED } else { IDLE },
    };
    storage::user::insert_session(&mut session, &row).await?;
    storage::user::forget_failures(&mut session, &pair).await?;
    let anti_forgery = context.keys.anti_forgery_token(&row.id);
    let actor = actor(stored.clone(), Credential::Session { id: row.id }, origin);
    let message = Message::default()
        .name(&row.user_id, username)
        .text(" signed in.");
    record(
        context,
        &actor,
        &mut session,
        None,
        "LoginSucceeded",
        message,
        &[],
    )
    .await?;
    session.commit().await?;
    let max_age = remember.then_some(REMEMBERED / 1000);
    Ok(SignedIn {
        user: stored.user,
        token,
        anti_forgery,
        max_age,
    })
}

/// Ends the session that the actor came with, if it came with one.
///
/// # Errors
/// When the database fails.
pub async fn sign_out(context: &Context, actor: &Actor) -> Result<()> {
    if let Actor::User {
        credential: Credential::Session { id },
        username,
        ..
    } = actor
    {
        let mut session = context.database.write().await?;
        storage::user::delete_session(&mut session, id).await?;
        let message = Message::new(&format!("{username} signed out."));
        record(context, actor, &mut session, None, "Logout", message, &[]).await?;
        session.commit().await?;
    }
    Ok(())
}

fn actor(stored: StoredUser, credential: Credential, origin: &Origin) -> Actor {
    Actor::User {
        id: stored.user.id.to_string(),
        username: stored.user.username,
        is_service: stored.user.is_service,
        permissions: stored.permissions,
        credential,
        origin: origin.clone(),
    }
}

/// A name as somebody typed it, short enough and plain enough to be stored. No user has one that this changes.
fn tame(username: &str) -> String {
    let plain = |character: char| {
        if character.is_control() {
            '\u{fffd}'
        } else {
            character
        }
    };
    username.chars().take(LONGEST_NAME).map(plain).collect()
}

/// The one who tried, for the audit: the name as given, no rights.
fn nobody(username: &str, origin: &Origin) -> Actor {
    Actor::User {
        id: String::new(),
        username: username.to_string(),
        is_service: false,
        permissions: Permissions::default(),
        credential: Credential::None,
        origin: origin.clone(),
    }
}

fn limit(failures: Option<(i64, i64)>, most: i64, now: i64) -> Result<()> {
    match failures {
        Some((count, since)) if count >= most => Err(Error::RateLimited {
            message: "There were too many failed attempts from your address. Try again in some minutes."
                .into(),
            retry_after: u64::try_from((since + WINDOW - now) / 1000)
                .unwrap_or_default()
                .max(1),
        }),
        _ => Ok(()),
    }
}
