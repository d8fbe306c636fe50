//! `mantle prepare`: everything that must be true before the Server serves (`containers.md` 2.2, steps 2 to
//! 10). It runs at every start and finds most of it done.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use application::{Clock, Context, SystemClock, user};
use domain::SpaceId;
use security::{KeyRing, Secret, StoredRing};
use settings::{DatabaseTarget, ExitCode, Folders, SAMPLE_PASSWORD, ServerSettings};
use storage::{Database, Location, Notifier, schema};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::{master_key, volume};

/// Does what is not done yet.
///
/// # Errors
/// The first step that cannot be done, with the exit code of its kind.
pub async fn run(settings: &ServerSettings, folders: &Folders) -> Result<(), Failure> {
    let clock = SystemClock;
    volume::check(folders).map_err(|problems| Failure::new(ExitCode::Folder, problems.join("\n")))?;
    refuse_import(&folders.import)?;
    if settings
        .administrator
        .password
        .as_ref()
        .is_some_and(|password| password.expose() == SAMPLE_PASSWORD)
    {
        tracing::warn!(
            "ADMIN_PASSWORD is the sample of .env.example, which everybody knows. Set another one."
        );
    }
    let database = connect(settings, folders).await?;
    let _lock = database.lock_schema(Duration::from_secs(30)).await?;
    let keys = match schema::inspect(&database).await? {
        schema::State::Empty => create(&database, settings, folders, clock.now()).await?,
        schema::State::Current => existing(&database, settings, folders).await?,
        schema::State::Older { number } => {
            let keys = existing(&database, settings, folders).await?;
            tracing::info!(
                "The database has schema {number}; it is brought to {}.",
                schema::newest()
            );
            let product = settings::product_version();
            if let Some(copy) = schema::migrate(&database, &product, clock.now()).await? {
                tracing::info!("A copy of the database from before is in {}.", copy.display());
            }
            keys
        }
    };
    application::certificate::global(&database, &keys, clock.now()).await?;
    let context = context(settings, folders, database, keys, Arc::new(clock)).await?;
    application::space::create_default(&context).await?;
    administrator(&context, settings).await?;
    join_key(&context, settings).await?;
    context.database.close().await;
    Ok(())
}

/// What use cases work with.
///
/// # Errors
/// A folder or the database fails.
pub async fn context(
    settings: &ServerSettings,
    folders: &Folders,
    database: Database,
    keys: KeyRing,
    clock: Arc<dyn Clock>,
) -> Result<Context, Failure> {
    let mut session = database.read().await?;
    let installation = storage::installation::find(&mut session).await?;
    drop(session);
    let certificate = application::certificate::global(&database, &keys, clock.now()).await?;
    let node_name = settings.node_name.resolve(&settings.database, host_name);
    let files = files::Files::open(files::Volumes {
        repository: folders.repository.clone(),
        artifacts: folders.artifacts.clone(),
        task_logs: folders.task_logs.clone(),
        cache: folders.cache.clone(),
    })
    .map_err(|error| Failure::new(ExitCode::Folder, error.to_string()))?;
    Ok(Context {
        notifier: Notifier::start(&database).await?,
        database,
        files,
        keys,
        installation_id: installation.id,
        product_version: settings::product_version(),
        node_name,
        server_thumbprint: certificate.thumbprint(),
        server_uri: settings.public_address.clone(),
        started_at: clock.now(),
        clock,
        draining: false.into(),
        builtin_worker: settings.builtin_worker,
        machines: std::sync::OnceLock::new(),
        hashing: Context::hashing_turns(),
    })
}

/// Opens the database, waiting for it as long as the settings say.
///
/// # Errors
/// Exit code 4 with what the last try said.
pub async fn connect(settings: &ServerSettings, folders: &Folders) -> Result<Database, Failure> {
    let location = match &settings.database {
        DatabaseTarget::Embedded(path) => {
            Location::Sqlite(path.clone().unwrap_or_else(|| volume::embedded_database(folders)))
        }
        DatabaseTarget::Postgres(target) => Location::Postgres(target.url().expose().to_string()),
    };
    let end = Instant::now() + Duration::from_secs(settings.database_wait_seconds.into());
    let mut pause = Duration::from_millis(250);
    loop {
        match Database::open(&location).await {
            Ok(database) => {
                tracing::info!("The database is {}.", settings.database);
                return Ok(database);
            }
            Err(error @ storage::Error::Unavailable { .. }) if Instant::now() + pause < end => {
                tracing::info!("{error} Trying again in {:.1} s.", pause.as_secs_f32());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            Err(error) => {
                return Err(Failure::new(
                    ExitCode::Database,
                    format!(
                        "The database {} was not there within DB_WAIT_SECONDS={}: {error}",
                        settings.database, settings.database_wait_seconds
                    ),
                ));
            }
        }
    }
}

/// The ring of a database that is there, opened with the key that was given or kept.
///
/// # Errors
/// Exit code 3 when the key does not fit; nothing was written.
pub async fn existing(
    database: &Database,
    settings: &ServerSettings,
    folders: &Folders,
) -> Result<KeyRing, Failure> {
    tracing::info!("An existing database was found.");
    let key = master_key::for_existing_database(settings, folders)?;
    let mut session = database.read().await?;
    let stored = storage::key_ring::load(&mut session).await?;
    drop(session);
    KeyRing::unlock(&key, &stored).map_err(|error| {
        Failure::new(
            ExitCode::MasterKey,
            format!(
                "The master key does not match this database: {error} Pass the key that the database was made with; nothing \
                 was written."
            ),
        )
    })
}

/// The key is safe and shown before the database knows it.
async fn create(
    database: &Database,
    settings: &ServerSettings,
    folders: &Folders,
    now: i64,
) -> Result<KeyRing, Failure> {
    let found = master_key::for_new_database(settings, folders)?;
    master_key::show(&found, settings, folders);
    let ring = StoredRing::generate(&found.key, &uuid(), now);
    schema::create(database, &ring, &settings::product_version(), now).await?;
    KeyRing::unlock(&found.key, &ring).map_err(|error| Failure::new(ExitCode::MasterKey, error.to_string()))
}

async fn administrator(context: &Context, settings: &ServerSettings) -> Result<(), Failure> {
    let wanted = &settings.administrator;
    if user::any(context).await? {
        if let (true, Some(password)) = (wanted.reset_password, &wanted.password) {
            user::reset_password(context, &wanted.username, Secret::new(password.expose())).await?;
            tracing::info!(
                "The password of {} was set again. Remove ADMIN_PASSWORD_RESET.",
                wanted.username
            );
        }
        return Ok(());
    }
    let key = wanted.api_key.as_ref().map(|key| Secret::new(key.expose()));
    let password = match &wanted.password {
        Some(password) => Some(Secret::new(password.expose())),
        // With a key and no password it is a service account.
        None if key.is_some() => None,
        None => Some(generated_password(&wanted.username)),
    };
    let administrator = user::Administrator {
        username: wanted.username.clone(),
        password,
        email: wanted.email.clone(),
        api_key: key,
    };
    user::create_administrator(context, administrator).await?;
    tracing::info!("The administrator {} was created.", wanted.username);
    let space = SpaceId::from_text(application::space::DEFAULT);
    application::environment::create_missing(context, &space, &settings.create_environments).await?;
    Ok(())
}

/// Shown once, in the same manner as the master key.
fn generated_password(username: &str) -> Secret {
    let password = format!("M1-{}", security::token::identifier());
    println!("Display the password of the administrator {username}");
    println!(" | {password}");
    println!("done.");
    Secret::new(password)
}

async fn join_key(context: &Context, settings: &ServerSettings) -> Result<(), Failure> {
    let Some(path) = &settings.join_key_file else {
        return Ok(());
    };
    if path.exists() {
        return Ok(());
    }
    let key = user::create_join_key(context).await?;
    files::write_small(path, format!("{}\n", key.expose()).as_bytes(), false).map_err(|error| {
        Failure::new(
            ExitCode::Folder,
            format!(
                "JOIN_KEY_FILE: the key for agents could not be written to {}: {error}. Mount a writable folder there.",
                path.display()
            ),
        )
    })?;
    tracing::info!("A key for the registration of agents is in {}.", path.display());
    Ok(())
}

/// Until the import is built, a folder that asks for one ends the start; it is never silently ignored.
fn refuse_import(folder: &Path) -> Result<(), Failure> {
    if !folder.join("metadata.json").exists() {
        if folder.is_dir() {
            tracing::info!(
                "The import folder {} holds no metadata.json; there is nothing to import.",
                folder.display()
            );
        }
        return Ok(());
    }
    Err(Failure::new(
        ExitCode::Import,
        format!(
            "{} holds metadata.json, and the import of an export is not built yet. Start without the import folder.",
            folder.display()
        ),
    ))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A random GUID in its usual spelling.
fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}
