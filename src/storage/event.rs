//! The audit: what happened, to what, by whom. Rows are only ever added.

use domain::EventId;
use domain::event::Event;

use crate::Result;
use crate::database::{Row, Session, Value};
use crate::named::{document_of, document_text};

crate::statements! {
    INSERT = "insert into event (space_id, category, occurred_at, user_id, username, message, document)
              values ($1, $2, $3, $4, $5, $6, $7) returning id";
    RELATE = "insert into event_related (event_id, document_id) values ($1, $2) on conflict do nothing";
    PAGE = "select id, document from event
            where ($1 is null or space_id is null or space_id = $1)
              and ($2 is null or exists (select 1 from event_related r where r.event_id = event.id
                                         and r.document_id in ($2, $3, $4, $5, $6, $7, $8, $9)))
            order by id desc limit $10 offset $11";
    COUNT = "select count(*) as total from event
             where ($1 is null or space_id is null or space_id = $1)
               and ($2 is null or exists (select 1 from event_related r where r.event_id = event.id
                                          and r.document_id in ($2, $3, $4, $5, $6, $7, $8, $9)))";
    FIND = "select id, document from event where id = $1";
}

/// How many documents a page of events can be about.
pub const MOST_DOCUMENTS: usize = 8;

/// Adds an event; its id is the answer.
///
/// # Errors
/// When the database fails.
pub async fn insert(session: &mut Session, event: &Event) -> Result<i64> {
    let values = vec![
        event.space_id.as_ref().map(ToString::to_string).into(),
        event.category.as_str().into(),
        event.occurred.0.into(),
        event.user_id.as_str().into(),
        event.username.as_str().into(),
        event.message.as_str().into(),
        document_text(event)?.into(),
    ];
    let id = session.fetch_one(INSERT, values).await?.integer("id")?;
    for related in &event.related_document_ids {
        session
            .execute(RELATE, vec![id.into(), related.as_str().into()])
            .await?;
    }
    Ok(id)
}

/// Events, newest first, and how many there are. `regarding` are document ids, of which any is enough and of which
/// the first [`MOST_DOCUMENTS`] count; none: all events.
///
/// # Errors
/// When the database fails.
pub async fn page(
    session: &mut Session,
    space: Option<&str>,
    regarding: &[String],
    skip: i64,
    take: i64,
) -> Result<(Vec<Event>, i64)> {
    let documents = (0..MOST_DOCUMENTS).map(|at| regarding.get(at).cloned().into());
    let filter: Vec<Value> = std::iter::once(space.map(str::to_string).into())
        .chain(documents)
        .collect();
    session.page((COUNT, PAGE), filter, (skip, take), read).await
}

/// One event.
///
/// # Errors
/// When the database fails.
pub async fn find(session: &mut Session, id: i64) -> Result<Option<Event>> {
    session
        .fetch_optional(FIND, vec![id.into()])
        .await?
        .map(|row| read(&row))
        .transpose()
}

fn read(row: &Row) -> Result<Event> {
    let event: Event = document_of(&row.text("document")?)?;
    Ok(Event {
        id: EventId::numbered(row.integer("id")?),
        ..event
    })
}
