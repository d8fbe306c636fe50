//! The audit: every change writes its event in the same transaction, so there is no change without one.

use domain::event::{Event, Message};
use domain::permission::Permission;
use domain::time::Timestamp;
use domain::{EventId, SpaceId, UserId};
use storage::Session;

use crate::{Actor, Context, Error, List, Origin, Result, Slice};

/// Writes one event into the transaction of the change. `related` are documents that the message does not
/// name.
///
/// # Errors
/// When the database fails; then the change does not happen either.
pub async fn record(
    context: &Context,
    actor: &Actor,
    session: &mut Session,
    space: Option<&SpaceId>,
    category: &str,
    message: Message,
    related: &[&str],
) -> Result<()> {
    let (identity, origin) = match actor {
        Actor::System => (String::new(), Origin::default()),
        Actor::User {
            credential, origin, ..
        } => (credential.to_string(), origin.clone()),
    };
    let mut related_document_ids = message.documents();
    related_document_ids.extend(related.iter().map(|id| (*id).to_string()));
    let event = Event {
        space_id: space.cloned(),
        category: category.to_string(),
        occurred: Timestamp(context.clock.now()),
        user_id: UserId::from_text(actor.user_id().unwrap_or_default()),
        username: actor.username().to_string(),
        is_service: matches!(actor, Actor::System | Actor::User { is_service: true, .. }),
        identity_established_with: identity,
        user_agent: origin.user_agent.unwrap_or_else(|| "Server".into()),
        ip_address: origin.ip_address,
        message: message.text,
        message_references: message.references,
        related_document_ids,
        ..Event::default()
    };
    storage::event::insert(session, &event).await?;
    Ok(())
}

/// Events, newest first; those about any of the documents, or all when none is named.
///
/// # Errors
/// Without EventView; [`Error::Invalid`] for too many documents.
pub async fn list(
    context: &Context,
    actor: &Actor,
    space: Option<&SpaceId>,
    regarding: &[String],
    slice: Slice,
) -> Result<List<Event>> {
    actor.require(Permission::EventView)?;
    let most = storage::event::MOST_DOCUMENTS;
    if regarding.len() > most {
        return Err(Error::invalid(format!(
            "Events can be asked for about {most} documents at a time, not about {}.",
            regarding.len()
        )));
    }
    let mut session = context.database.read().await?;
    let take = i64::try_from(slice.take.min(10_000)).unwrap_or(10_000);
    let skip = i64::try_from(slice.skip).unwrap_or(i64::MAX);
    let (items, total) =
        storage::event::page(&mut session, space.map(SpaceId::as_str), regarding, skip, take).await?;
    Ok(List {
        items,
        total: usize::try_from(total).unwrap_or_default(),
    })
}

/// One event by its id, `Events-12` or `12`.
///
/// # Errors
/// [`Error::NotFound`], or without EventView.
pub async fn get(context: &Context, actor: &Actor, id: &str) -> Result<Event> {
    actor.require(Permission::EventView)?;
    let number = match id.rsplit_once('-') {
        None => id.parse().ok(),
        Some((kind, number)) if kind.eq_ignore_ascii_case(EventId::KIND) => number.parse().ok(),
        Some(_) => None,
    };
    let mut session = context.database.read().await?;
    let event = match number {
        Some(number) => storage::event::find(&mut session, number).await?,
        None => None,
    };
    event.ok_or_else(|| Error::not_found("event", id))
}
