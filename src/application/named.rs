//! What can be done with every named document: list, get, create, update, delete. A resource says which
//! permissions guard it and which rules it has beyond those; the order of things is the same for all.

use domain::event::Message;
use domain::permission::Permission;
use domain::{Problems, SpaceId};
use storage::Session;
use storage::named::{self, NamedDocument};

use crate::event::record;
use crate::{Actor, Context, Error, Filter, List, Result, Slice};

/// A named document as the use cases see it.
pub trait Resource: NamedDocument {
    /// The word for one of it, in messages: `environment`.
    const WORD: &'static str;
    /// Who may see, add, change and remove it.
    const GUARDS: Guards;

    /// Sets what the Server sets (id, slug, …) and checks the rest against the space.
    fn check(
        &mut self,
        session: &mut Session,
        space: &SpaceId,
        before: Option<&Self>,
    ) -> impl Future<Output = Result<Problems>> + Send;

    /// Gives a new document its id.
    fn set_id(&mut self, id: String);

    /// What is made together with a new document, in the same transaction.
    fn created(
        &self,
        _context: &Context,
        _session: &mut Session,
        _space: &SpaceId,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Why the document may not be removed now, or what goes with it.
    fn deleting(
        &self,
        _session: &mut Session,
        _space: &SpaceId,
    ) -> impl Future<Output = Result<Problems>> + Send {
        async { Ok(Problems::default()) }
    }
}

/// The permissions of one kind of resource.
#[derive(Debug, Clone, Copy)]
pub struct Guards {
    /// To see it.
    pub view: Permission,
    /// To add one.
    pub create: Permission,
    /// To change one.
    pub edit: Permission,
    /// To remove one.
    pub delete: Permission,
}

/// A page of the documents that pass the filter.
///
/// # Errors
/// Without the view permission, or when the database fails.
pub async fn list<T: Resource>(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    filter: &Filter,
    slice: Slice,
) -> Result<List<T>> {
    actor.require(T::GUARDS.view)?;
    let mut session = context.database.read().await?;
    let mut all: Vec<T> = named::all(&mut session, space).await?;
    all.retain(|document| {
        filter.admits(document.id(), document.name())
            || (!filter.ids.is_empty()
                && filter
                    .ids
                    .iter()
                    .any(|id| id.eq_ignore_ascii_case(document.slug())))
    });
    Ok(List::cut(all, slice))
}

/// One document by id or slug.
///
/// # Errors
/// [`Error::NotFound`], or without the view permission.
pub async fn get<T: Resource>(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<T> {
    actor.require(T::GUARDS.view)?;
    let mut session = context.database.read().await?;
    load(&mut session, space, id).await
}

/// One document inside a transaction that is already there.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn load<T: Resource>(session: &mut Session, space: &SpaceId, id: &str) -> Result<T> {
    named::find(session, space, id)
        .await?
        .ok_or_else(|| Error::not_found(T::WORD, id))
}

/// Adds a document.
///
/// # Errors
/// [`Error::Invalid`] with every broken rule; a name that is taken is one of them.
pub async fn create<T: Resource>(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    mut document: T,
) -> Result<T> {
    actor.require(T::GUARDS.create)?;
    let number = storage::counter::next(&context.database, T::COLLECTION).await?;
    document.set_id(format!("{}-{number}", T::COLLECTION));
    let mut session = context.database.write().await?;
    refuse(document.check(&mut session, space, None).await?)?;
    named::insert(&mut session, space, &document)
        .await
        .map_err(|error| taken(error, &document))?;
    document.created(context, &mut session, space).await?;
    let message = told(&document, "created");
    record(context, actor, &mut session, Some(space), "Created", message, &[]).await?;
    session.commit().await?;
    Ok(document)
}

/// Replaces a document.
///
/// # Errors
/// As [`create`], and [`Error::NotFound`].
pub async fn update<T: Resource>(
    context: &Context,
    actor: &Actor,
    space: &SpaceId,
    id: &str,
    mut document: T,
) -> Result<T> {
    actor.require(T::GUARDS.edit)?;
    let mut session = context.database.write().await?;
    let before: T = load(&mut session, space, id).await?;
    document.set_id(before.id().to_string());
    refuse(document.check(&mut session, space, Some(&before)).await?)?;
    named::update(&mut session, space, &document)
        .await
        .map_err(|error| taken(error, &document))?;
    let message = told(&document, "changed");
    record(
        context,
        actor,
        &mut session,
        Some(space),
        "Modified",
        message,
        &[],
    )
    .await?;
    session.commit().await?;
    Ok(document)
}

/// Removes a document.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] when something still needs it.
pub async fn delete<T: Resource>(context: &Context, actor: &Actor, space: &SpaceId, id: &str) -> Result<()> {
    actor.require(T::GUARDS.delete)?;
    let mut session = context.database.write().await?;
    let document: T = load(&mut session, space, id).await?;
    refuse(document.deleting(&mut session, space).await?)?;
    named::delete::<T>(&mut session, space, document.id()).await?;
    let message = told(&document, "deleted");
    record(context, actor, &mut session, Some(space), "Deleted", message, &[]).await?;
    session.commit().await?;
    Ok(())
}

/// The slug of a document: the one it brings, else the one it had, else one made of its name that is free.
///
/// # Errors
/// When the database fails.
pub async fn free_slug<T: Resource>(
    session: &mut Session,
    space: &SpaceId,
    name: &str,
    given: &str,
    before: Option<&T>,
) -> Result<String> {
    if !given.trim().is_empty() {
        return Ok(domain::slug(given));
    }
    if let Some(before) = before {
        return Ok(before.slug().to_string());
    }
    let all: Vec<T> = named::all(session, space).await?;
    Ok(domain::free_slug(name, |slug| {
        all.iter().any(|document| document.slug() == slug)
    }))
}

/// Ends with the problems, if there are any.
///
/// # Errors
/// [`Error::Invalid`].
pub fn refuse(problems: Problems) -> Result<()> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.into())
    }
}

fn told<T: Resource>(document: &T, what: &str) -> Message {
    Message::new(&format!("The {} ", T::WORD))
        .name(document.id(), document.name())
        .text(&format!(" was {what}."))
}

fn taken<T: Resource>(error: storage::Error, document: &T) -> Error {
    match error {
        storage::Error::Duplicate { .. } => Error::invalid(format!(
            "The {} name '{}' is already in use in this space, or its slug '{}' is. Please enter another name.",
            T::WORD,
            document.name(),
            document.slug()
        )),
        other => other.into(),
    }
}
