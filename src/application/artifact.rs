//! Artifacts: the file first, its row second, so that a row always has a file. A file without a row is swept later.

use domain::artifact::{self, Artifact};
use domain::event::Message;
use domain::permission::Permission;
use domain::{ArtifactId, SpaceId, Timestamp};
use files::Spool;
use storage::Session;
pub use storage::artifact::ArtifactFilter;

use crate::event::record;
use crate::{Actor, Context, Error, List, Result, Slice};

/// The file of an artifact, open for reading.
pub struct Download {
    /// What it is.
    pub artifact: Artifact,
    /// Its size in bytes.
    pub length: u64,
    /// The file.
    pub file: tokio::fs::File,
}

/// New content that is on its way. It changes nothing until [`replace`].
pub struct Upload {
    artifact: Artifact,
    spool: Spool,
}

/// Artifacts, the last collected first.
///
/// # Errors
/// Without ArtifactView.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    filter: &ArtifactFilter,
    slice: Slice,
) -> Result<List<Artifact>> {
    actor.require(Permission::ArtifactView)?;
    let (skip, take) = slice.limits();
    let mut session = context.database.read().await?;
    let (items, total) = storage::artifact::page(&mut session, space, filter, skip, take).await?;
    Ok(List {
        items,
        total: usize::try_from(total).unwrap_or_default(),
    })
}

/// One artifact.
///
/// # Errors
/// [`Error::NotFound`], or without ArtifactView.
pub async fn get(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Artifact> {
    actor.require(Permission::ArtifactView)?;
    find(&mut context.database.read().await?, space, id).await
}

/// Adds an empty artifact to a task; its content follows with [`replace`].
///
/// # Errors
/// [`Error::NotFound`] for an unknown task, [`Error::Invalid`] without a name, or without ArtifactCreate.
pub async fn create(context: &Context, actor: &Actor, space: &SpaceId, wanted: Artifact) -> Result<Artifact> {
    actor.require(Permission::ArtifactCreate)?;
    let filename = named(&wanted.filename)?;
    let task = crate::task::get(context, actor, space, wanted.server_task_id.as_str()).await?;
    let number = storage::counter::next(&context.database, ArtifactId::KIND).await?;
    let artifact = Artifact {
        id: ArtifactId::numbered(number),
        space_id: space.clone(),
        filename,
        server_task_id: task.id,
        created: Timestamp(context.clock.now()),
        ..wanted
    };
    let empty = context.files.artifacts.spool().await?.finish().await?;
    let (task, id) = (artifact.server_task_id.as_str(), artifact.id.as_str());
    context.files.artifacts.put(task, id, empty).await?;
    let mut session = context.database.write().await?;
    storage::artifact::insert(&mut session, &artifact, None).await?;
    tell(context, actor, &mut session, &artifact, ("Created", "added")).await?;
    session.commit().await?;
    Ok(artifact)
}

/// Gives an artifact another name.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] without a name, or without ArtifactEdit.
pub async fn rename(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    filename: &str,
) -> Result<Artifact> {
    actor.require(Permission::ArtifactEdit)?;
    let mut session = context.database.write().await?;
    let artifact = Artifact {
        filename: named(filename)?,
        ..find(&mut session, space, id).await?
    };
    storage::artifact::update(&mut session, &artifact).await?;
    tell(context, actor, &mut session, &artifact, ("Modified", "renamed")).await?;
    session.commit().await?;
    Ok(artifact)
}

/// Removes an artifact.
///
/// # Errors
/// [`Error::NotFound`], or without ArtifactDelete.
pub async fn delete(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<()> {
    actor.require(Permission::ArtifactDelete)?;
    let mut session = context.database.write().await?;
    let artifact = find(&mut session, space, id).await?;
    storage::artifact::delete(&mut session, space, artifact.id.as_str()).await?;
    tell(context, actor, &mut session, &artifact, ("Deleted", "deleted")).await?;
    session.commit().await?;
    let (task, id) = (artifact.server_task_id.as_str(), artifact.id.as_str());
    Ok(context.files.artifacts.delete(task, id).await?)
}

/// Opens the content of an artifact.
///
/// # Errors
/// [`Error::NotFound`], also when the file is gone from its volume, or without ArtifactView.
pub async fn download(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Download> {
    let artifact = get(context, actor, space, id).await?;
    let task = artifact.server_task_id.as_str();
    let file = match context.files.artifacts.open(task, artifact.id.as_str()).await {
        Err(error) if error.is_missing() => {
            tracing::error!(%error, "An artifact has a row and no file.");
            return Err(Error::NotFound(format!(
                "The file of the artifact '{}' is missing on the volume of artifacts. Put it back, or delete the artifact.",
                artifact.filename
            )));
        }
        opened => opened?,
    };
    let metadata = file.metadata().await;
    let metadata = metadata.map_err(|error| Error::internal("The artifact could not be read.", error))?;
    Ok(Download {
        length: metadata.len(),
        artifact,
        file,
    })
}

/// Begins to take in new content for an artifact.
///
/// # Errors
/// [`Error::NotFound`], or without ArtifactCreate or ArtifactEdit: who adds an artifact gives its content, too.
pub async fn begin(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<Upload> {
    if actor.require(Permission::ArtifactCreate).is_err() {
        actor.require(Permission::ArtifactEdit)?;
    }
    Ok(Upload {
        artifact: find(&mut context.database.read().await?, space, id).await?,
        spool: context.files.artifacts.spool().await?,
    })
}

impl Upload {
    /// Takes some bytes in.
    ///
    /// # Errors
    /// When the volume is full, or the file is larger than any may be.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.spool.write(bytes).await?)
    }
}

/// Puts complete content in the place of the old one.
///
/// # Errors
/// When the volume or the database fails.
pub async fn replace(context: &Context, actor: &Actor, upload: Upload) -> Result<Artifact> {
    let Upload { artifact, spool } = upload;
    let file = spool.finish().await?;
    let mut session = context.database.write().await?;
    // An upload takes long: it may have been deleted or renamed meanwhile.
    let artifact = find(&mut session, &artifact.space_id, artifact.id.as_str()).await?;
    let (task, id) = (artifact.server_task_id.as_str(), artifact.id.as_str());
    context.files.artifacts.put(task, id, file).await?;
    tell(context, actor, &mut session, &artifact, ("Modified", "filled")).await?;
    session.commit().await?;
    Ok(artifact)
}

async fn find(session: &mut Session, space: &SpaceId, id: &str) -> Result<Artifact> {
    let known = id
        .parse::<ArtifactId>()
        .map_err(|_| Error::not_found("artifact", id))?;
    let found = storage::artifact::find(session, space, known.as_str()).await?;
    found.ok_or_else(|| Error::not_found("artifact", id))
}

fn named(filename: &str) -> Result<String> {
    artifact::file_name(filename)
        .ok_or_else(|| Error::invalid("An artifact needs a name: send Filename, for example 'report.html'."))
}

async fn tell(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    artifact: &Artifact,
    (category, what): (&str, &str),
) -> Result<()> {
    let message = Message::new("The artifact ")
        .name(&artifact.id, &artifact.filename)
        .text(&format!(" was {what}."));
    let space = Some(&artifact.space_id);
    record(
        context,
        actor,
        session,
        space,
        category,
        message,
        &[artifact.server_task_id.as_str()],
    )
    .await
}
