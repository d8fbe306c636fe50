//! Packages of the built-in feed. The file is on the package volume; a row is written after its file.

use domain::SpaceId;
use domain::package::Package;

use crate::Result;
use crate::database::{Row, Session, Value};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into package (id, space_id, feed_id, package_id, package_key, version, version_key, published_at,
                  size_bytes, file, document)
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    REPLACE = "update package set id = $1, feed_id = $3, package_id = $4, version = $6, published_at = $8, size_bytes = $9,
                   file = $10, document = $11
               where space_id = $2 and package_key = $5 and version_key = $7";
    DELETE = "delete from package where space_id = $1 and package_key = $2 and version_key = $3";
    FIND = "select document, file from package where space_id = $1 and package_key = $2 and version_key = $3";
    VERSIONS = "select document, file from package where space_id = $1 and package_key = $2";
    ALL = "select document, file from package where space_id = $1
             and ($2 = '' or replace(package_key, $2, '') <> package_key)
           order by package_key, version_key";
}

/// A package and the name of its file below the package volume.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPackage {
    /// The package.
    pub package: Package,
    /// The name of its file.
    pub file: String,
}

/// Which version of which package: both in the form in which they are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageKey {
    /// The id in lower case.
    pub package: String,
    /// The version in the one spelling of all that are equal.
    pub version: String,
}

/// Adds a package.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the space has this version of it.
pub async fn insert(
    session: &mut Session,
    space: &SpaceId,
    key: &PackageKey,
    stored: &StoredPackage,
) -> Result<()> {
    session
        .execute(INSERT, values(space, key, stored)?)
        .await
        .map(drop)
}

/// Replaces a package; false when there is none.
///
/// # Errors
/// When the database fails.
pub async fn replace(
    session: &mut Session,
    space: &SpaceId,
    key: &PackageKey,
    stored: &StoredPackage,
) -> Result<bool> {
    Ok(session.execute(REPLACE, values(space, key, stored)?).await? > 0)
}

/// Removes a package; false when there is none.
///
/// # Errors
/// When the database fails.
pub async fn delete(session: &mut Session, space: &SpaceId, key: &PackageKey) -> Result<bool> {
    Ok(session.execute(DELETE, key_values(space, key)).await? > 0)
}

/// One version of a package.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, space: &SpaceId, key: &PackageKey) -> Result<Option<StoredPackage>> {
    session
        .fetch_optional(FIND, key_values(space, key))
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// All versions of a package, in no order. `package_key` is the id in lower case.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    session: &mut Session,
    space: &SpaceId,
    package_key: &str,
) -> Result<Vec<StoredPackage>> {
    let values = vec![space.as_str().into(), package_key.into()];
    session
        .fetch_all(VERSIONS, values)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// All packages by id, with this text in their id when it is not empty.
///
/// # Errors
/// When the database fails.
pub async fn all(session: &mut Session, space: &SpaceId, part: &str) -> Result<Vec<StoredPackage>> {
    let values = vec![space.as_str().into(), part.to_lowercase().into()];
    session.fetch_all(ALL, values).await?.iter().map(read).collect()
}

fn key_values(space: &SpaceId, key: &PackageKey) -> Vec<Value> {
    vec![
        space.as_str().into(),
        key.package.as_str().into(),
        key.version.as_str().into(),
    ]
}

fn values(space: &SpaceId, key: &PackageKey, stored: &StoredPackage) -> Result<Vec<Value>> {
    let package = &stored.package;
    Ok(vec![
        package.id.as_str().into(),
        space.as_str().into(),
        package.feed_id.as_str().into(),
        package.package_id.as_str().into(),
        key.package.as_str().into(),
        package.version.as_str().into(),
        key.version.as_str().into(),
        package.published.0.into(),
        package.package_size_bytes.into(),
        stored.file.as_str().into(),
        document_text(package)?.into(),
    ])
}

fn read(row: &Row) -> Result<StoredPackage> {
    Ok(StoredPackage {
        package: document_of(&row.text("document")?)?,
        file: row.text("file")?,
    })
}
