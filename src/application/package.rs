//! Packages of the built-in feed: the file first, its row second, so that a row always has a file. A file
//! without a row is swept later.

use std::path::Path;

use domain::event::Message;
use domain::package::Package;
use domain::package_version::{self, PackageIdentity};
use domain::permission::Permission;
use domain::{Feed, SpaceId, Timestamp};
use files::{PackageName, Put, Spool, Spooled, Turn};
use storage::Session;
use storage::package::{PackageKey, StoredPackage};

use crate::event::record;
use crate::named::load;
use crate::{Actor, Context, Error, List, Result, Slice};

/// What happens when the version is there already (`rest-api.md` 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverwriteMode {
    /// The push is refused.
    FailIfExists,
    /// The old file is replaced.
    OverwriteExisting,
    /// The old file stays.
    IgnoreIfExists,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq)]
pub enum Pushed {
    /// The file is stored, new or in place of the old one.
    Stored(Package),
    /// The old file stayed.
    Kept(Package),
}

/// An upload that has begun. It stores nothing until [`push`].
pub struct Upload {
    spool: Spool,
    identity: PackageIdentity,
    file_name: String,
    mode: OverwriteMode,
}

/// A package file that is open for reading.
pub struct Download {
    /// Its row.
    pub package: Package,
    /// What to call the file.
    pub file_name: String,
    /// The file.
    pub file: tokio::fs::File,
}

/// Which packages are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageFilter {
    /// Exactly this package.
    pub package_id: Option<String>,
    /// With this text in their id.
    pub part: Option<String>,
    /// Of each package only the highest version.
    pub latest: bool,
}

/// Which versions of a package are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionFilter {
    /// The package.
    pub package_id: String,
    /// Whether pre-releases count.
    pub include_pre_release: bool,
    /// A range such as `[1.0,2.0)`; empty = any.
    pub version_range: String,
    /// A text in the version; empty = any.
    pub part: String,
    /// What the pre-release part begins with; empty = any.
    pub pre_release: String,
}

/// Begins an upload: who may, and whether the name is one of a package.
///
/// # Errors
/// [`Error::Invalid`] for a name that tells no id and version or holds a path; without BuiltInFeedPush, or without
/// BuiltInFeedAdminister to replace.
pub async fn begin(context: &Context, actor: &Actor, file_name: &str, mode: OverwriteMode) -> Result<Upload> {
    actor.require(Permission::BuiltInFeedPush)?;
    if mode == OverwriteMode::OverwriteExisting {
        actor.require(Permission::BuiltInFeedAdminister)?;
    }
    // The manifest of a nupkg tells id and version, whatever its file is called.
    let identity = match package_version::identify(file_name) {
        Err(_) if is_nupkg(file_name) && !file_name.contains(['/', '\\']) => PackageIdentity {
            package_id: String::new(),
            version: String::new(),
            extension: ".nupkg".into(),
        },
        other => other?,
    };
    let spool = context.files.packages.spool().await.map_err(told)?;
    Ok(Upload {
        spool,
        identity,
        file_name: file_name.to_string(),
        mode,
    })
}

impl Upload {
    /// Takes some bytes in. They are written beside, so memory stays small whatever the size.
    ///
    /// # Errors
    /// When the volume is full, or the package is larger than any may be.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.spool.write(bytes).await.map_err(told)
    }
}

/// Stores a complete upload.
///
/// # Errors
/// [`Error::Conflict`] when the version is there and must not be replaced, [`Error::Invalid`] for a nupkg without a
/// readable manifest.
pub async fn push(context: &Context, actor: &Actor, space: &SpaceId, upload: Upload) -> Result<Pushed> {
    let Upload {
        spool,
        mut identity,
        file_name,
        mode,
    } = upload;
    let file = spool.finish().await.map_err(told)?;
    if file.length == 0 {
        return Err(Error::invalid(format!(
            "The file '{file_name}' is empty; nothing was stored. Send the package again."
        )));
    }
    if is_nupkg(&file_name) {
        identity = from_manifest(file.path(), &file_name).await?;
    }
    let name = name_of(&identity.package_id, &identity.version, &identity.extension)?;
    let key = key_of(&identity.package_id, &identity.version);
    let turn = context.files.packages.turn(&key.package).await.map_err(told)?;
    let mut session = context.database.read().await?;
    let existing = storage::package::find(&mut session, space, &key).await?;
    let feed = crate::feed::built_in(&mut session, space).await?;
    drop(session);
    match (existing, mode) {
        (Some(existing), OverwriteMode::FailIfExists) => Err(exists(&existing.package, &file)),
        (Some(existing), OverwriteMode::IgnoreIfExists) => Ok(Pushed::Kept(existing.package)),
        (existing, _) => {
            store(
                context,
                actor,
                space,
                &turn,
                New {
                    identity,
                    name,
                    key,
                    feed,
                    file,
                },
                existing,
            )
            .await
        }
    }
}

struct New {
    identity: PackageIdentity,
    name: PackageName,
    key: PackageKey,
    feed: Feed,
    file: Spooled,
}

async fn store(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    turn: &Turn,
    new: New,
    existing: Option<StoredPackage>,
) -> Result<Pushed> {
    let package = Package {
        published: Timestamp(context.clock.now()),
        file_extension: new.identity.extension.clone(),
        package_size_bytes: i64::try_from(new.file.length).unwrap_or(i64::MAX),
        hash: new.file.sha1.clone(),
        ..Package::new(&new.identity.package_id, &new.identity.version, new.feed.id)
    };
    let stored = StoredPackage {
        package: package.clone(),
        file: new.name.file_name(),
    };
    // The row decides whether a version is there; a file without one is left over from a crash.
    context
        .files
        .packages
        .put(turn, new.file, &new.name, Put::Overwrite)
        .await
        .map_err(told)?;
    let mut session = context.database.write().await?;
    let (category, what) = match &existing {
        Some(_) => {
            storage::package::replace(&mut session, space, &new.key, &stored).await?;
            ("Modified", "replaced")
        }
        None => {
            storage::package::insert(&mut session, space, &new.key, &stored).await?;
            ("Created", "pushed")
        }
    };
    tell(context, actor, &mut session, space, &package, (category, what)).await?;
    session.commit().await?;
    if let Some(former) = existing.filter(|former| former.file != stored.file) {
        let former = stored_name(&former.package)?;
        context.files.packages.delete(turn, &former).await.map_err(told)?;
    }
    Ok(Pushed::Stored(package))
}

/// Packages by id, of each the highest version first.
///
/// # Errors
/// Without FeedView, or when the database fails.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    filter: &PackageFilter,
    slice: Slice,
) -> Result<List<Package>> {
    actor.require(Permission::FeedView)?;
    let mut session = context.database.read().await?;
    let stored = match &filter.package_id {
        Some(id) => storage::package::versions(&mut session, space, &id.to_lowercase()).await?,
        None => {
            storage::package::all(&mut session, space, filter.part.as_deref().unwrap_or_default()).await?
        }
    };
    let mut packages: Vec<Package> = stored.into_iter().map(|stored| stored.package).collect();
    packages.sort_by(|one, other| {
        let ids = one
            .package_id
            .to_lowercase()
            .cmp(&other.package_id.to_lowercase());
        ids.then_with(|| package_version::compare(&other.version, &one.version))
    });
    if filter.latest {
        packages.dedup_by(|later, kept| later.package_id.eq_ignore_ascii_case(&kept.package_id));
    }
    Ok(List::cut(packages, slice))
}

/// The versions of one package of the built-in feed, the highest first.
///
/// # Errors
/// [`Error::Invalid`] for a range that does not parse, [`Error::NotFound`] for an unknown feed, or without FeedView.
pub async fn versions(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    feed: &str,
    filter: &VersionFilter,
    slice: Slice,
) -> Result<List<Package>> {
    actor.require(Permission::FeedView)?;
    let mut session = context.database.read().await?;
    let _: Feed = load(&mut session, space, feed).await?;
    Ok(List::cut(matching(&mut session, space, filter).await?, slice))
}

/// The versions that pass a filter, the highest first, inside a transaction that is already there.
///
/// # Errors
/// As [`versions`].
pub async fn matching(
    session: &mut Session,
    space: &SpaceId,
    filter: &VersionFilter,
) -> Result<Vec<Package>> {
    let stored = storage::package::versions(session, space, &filter.package_id.to_lowercase()).await?;
    let mut found = Vec::new();
    let part = filter.part.to_lowercase();
    let pre_release = filter.pre_release.to_lowercase();
    for package in stored.into_iter().map(|stored| stored.package) {
        let version = &package.version;
        let wanted = (filter.include_pre_release || !package_version::is_prerelease(version))
            && (part.is_empty() || version.to_lowercase().contains(&part))
            && package_version::prerelease(version)
                .to_lowercase()
                .starts_with(&pre_release)
            && package_version::is_in_range(version, &filter.version_range)?;
        if wanted {
            found.push(package);
        }
    }
    found.sort_by(|one, other| package_version::compare(&other.version, &one.version));
    Ok(found)
}

/// One package by `packages-Acme.Web.1.0.0` or `Acme.Web.1.0.0`.
///
/// # Errors
/// [`Error::NotFound`], or without FeedView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Package> {
    actor.require(Permission::FeedView)?;
    let mut session = context.database.read().await?;
    Ok(find(&mut session, space, id).await?.1.package)
}

/// Whether the built-in feed has a version of a package; None when it has not.
///
/// # Errors
/// When the database fails.
pub async fn find_version(
    session: &mut Session,
    space: &SpaceId,
    package_id: &str,
    version: &str,
) -> Result<Option<Package>> {
    let stored = storage::package::find(session, space, &key_of(package_id, version)).await?;
    Ok(stored.map(|stored| stored.package))
}

/// The other versions of a package that the built-in feed has, in no order: what a machine may make a version of.
///
/// # Errors
/// When the database fails.
pub async fn others(
    session: &mut Session,
    space: &SpaceId,
    package_id: &str,
    version: &str,
) -> Result<Vec<Package>> {
    let stored = storage::package::versions(session, space, &package_id.to_lowercase()).await?;
    let others = stored.into_iter().map(|stored| stored.package);
    Ok(others.filter(|other| other.version != version).collect())
}

/// Opens the file of a package.
///
/// # Errors
/// [`Error::NotFound`], or without BuiltInFeedDownload.
pub async fn download(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Download> {
    actor.require(Permission::BuiltInFeedDownload)?;
    let mut session = context.database.read().await?;
    let package = find(&mut session, space, id).await?.1.package;
    drop(session);
    let name = stored_name(&package)?;
    let file = context.files.packages.open(&name).await.map_err(told)?;
    Ok(Download {
        package,
        file_name: name.file_name(),
        file,
    })
}

/// Removes one package.
///
/// # Errors
/// [`Error::NotFound`], or without BuiltInFeedAdminister.
pub async fn delete(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<()> {
    actor.require(Permission::BuiltInFeedAdminister)?;
    let mut session = context.database.read().await?;
    let (key, _) = find(&mut session, space, id).await?;
    drop(session);
    remove(context, actor, space, &key).await
}

/// Removes those of the packages that are there.
///
/// # Errors
/// Without BuiltInFeedAdminister, or when the database fails.
pub async fn delete_all(context: &Context, actor: &Actor, space: &SpaceId, ids: &[String]) -> Result<()> {
    actor.require(Permission::BuiltInFeedAdminister)?;
    for id in ids {
        let mut session = context.database.read().await?;
        let found = find(&mut session, space, id).await;
        drop(session);
        match found {
            Ok((key, _)) => remove(context, actor, space, &key).await?,
            Err(Error::NotFound(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// The row goes first here: what has no row is not offered, and its file is swept if the deletion breaks off.
async fn remove(context: &Context, actor: &Actor, space: &SpaceId, key: &PackageKey) -> Result<()> {
    let turn = context.files.packages.turn(&key.package).await.map_err(told)?;
    let mut session = context.database.write().await?;
    let Some(stored) = storage::package::find(&mut session, space, key).await? else {
        return Ok(());
    };
    storage::package::delete(&mut session, space, key).await?;
    tell(
        context,
        actor,
        &mut session,
        space,
        &stored.package,
        ("Deleted", "deleted"),
    )
    .await?;
    session.commit().await?;
    let name = stored_name(&stored.package)?;
    context.files.packages.delete(&turn, &name).await.map_err(told)
}

/// An id and a version are joined by a dot, and both may hold dots: the split that is stored is the right one.
async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<(PackageKey, StoredPackage)> {
    let joined = match id.get(..9) {
        Some(start) if start.eq_ignore_ascii_case("packages-") => &id[9..],
        _ => id,
    };
    let splits = joined
        .char_indices()
        .filter(|(_, character)| *character == '.')
        .map(|(at, _)| (&joined[..at], &joined[at + 1..]))
        .filter(|(package, version)| {
            !package.is_empty() && version.starts_with(|first: char| first.is_ascii_digit())
        });
    for (package, version) in splits.take(20) {
        let key = key_of(package, version);
        if let Some(stored) = storage::package::find(session, space, &key).await? {
            return Ok((key, stored));
        }
    }
    Err(Error::not_found("package", id))
}

fn key_of(package_id: &str, version: &str) -> PackageKey {
    PackageKey {
        package: package_id.to_lowercase(),
        version: package_version::key(version),
    }
}

fn name_of(package_id: &str, version: &str, extension: &str) -> Result<PackageName> {
    PackageName::new(package_id, version, extension).map_err(told)
}

fn stored_name(package: &Package) -> Result<PackageName> {
    name_of(&package.package_id, &package.version, &package.file_extension)
}

fn is_nupkg(file_name: &str) -> bool {
    file_name.to_ascii_lowercase().ends_with(".nupkg")
}

async fn from_manifest(path: &Path, file_name: &str) -> Result<PackageIdentity> {
    let manifest = files::manifest::read(path).await.map_err(|error| match error {
        files::Error::Package { reason, .. } => Error::invalid(format!(
            "The package '{file_name}' cannot be read: {reason}; nothing was stored. Pack it again and push it again."
        )),
        other => told(other),
    })?;
    let identity = PackageIdentity {
        package_id: manifest.id,
        version: manifest.version,
        extension: ".nupkg".into(),
    };
    package_version::check(&identity)?;
    Ok(identity)
}

fn exists(package: &Package, file: &Spooled) -> Error {
    let bytes = if package.hash == file.sha1 {
        "with the same content"
    } else {
        "with other content"
    };
    Error::Conflict(format!(
        "The package {} {} is in the built-in feed already, {bytes}; the one that was there is kept. Push another version, \
         or push with overwriteMode=OverwriteExisting.",
        package.package_id, package.version
    ))
}

async fn tell(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    space: &SpaceId,
    package: &Package,
    (category, what): (&str, &str),
) -> Result<()> {
    let label = format!("{} {}", package.package_id, package.version);
    let message = Message::new("The package ")
        .name(&package.id, &label)
        .text(&format!(" was {what}."));
    record(
        context,
        actor,
        session,
        Some(space),
        category,
        message,
        &[package.feed_id.as_str()],
    )
    .await
}

/// What a caller can mend is told to it; the rest is a fault of the Server.
fn told(error: files::Error) -> Error {
    match error {
        files::Error::Name { .. } | files::Error::TooLarge { .. } | files::Error::Package { .. } => {
            Error::invalid(error.to_string())
        }
        files::Error::Missing { .. } => {
            tracing::error!(%error, "A package has a row and no file.");
            Error::NotFound(
                "The file of the package is missing on its volume. Push the package again.".into(),
            )
        }
        other => other.into(),
    }
}
