//! One executor at a time: takeover, fence, journal, parking.

use std::time::Duration;

use domain::ServerTaskId;
use domain::server_task::TaskState;
use storage::journal::{Entry, EntryKind};
use storage::lease::{LASTS, claim};
use storage::server_task::{self, NewTask, Segment};
use storage::{Database, Error, Lease, node};
use tests::database::NOW;
use tests::on_both_engines;

use crate::queue::{enqueue, success, task};

/// An entry of the task's only ticket.
pub fn entry(kind: EntryKind) -> Entry {
    Entry {
        ticket: "ServerTasks-1-1".into(),
        kind,
        attempt: 1,
        outcome: None,
        document: "{}".into(),
    }
}

async fn register(database: &Database, name: &str, owner: &str) {
    let mut session = database.write().await.unwrap();
    node::register(&mut session, name, owner, "1.0.0", 5, NOW)
        .await
        .unwrap();
    session.commit().await.unwrap();
}

async fn taken(database: &Database, owner: &str, now: i64) -> Option<Lease> {
    let name = owner.split('-').next().unwrap();
    claim(database, owner, name, now)
        .await
        .unwrap()
        .map(|claimed| claimed.lease)
}

on_both_engines! {
    async fn the_lease_of_a_dead_node_is_taken_at_once_and_the_late_writer_is_refused(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        register(&open, "beta", "beta-1").await;
        let slow = taken(&open, "alpha-1", NOW).await.unwrap();
        assert!(slow.append(&entry(EntryKind::Dispatched), NOW).await.unwrap());
        slow.save_plan("{\"steps\":[]}", NOW).await.unwrap();
        assert!(taken(&open, "beta-1", NOW + 1).await.is_none(), "alpha lives");

        let mut session = open.write().await.unwrap();
        node::leave(&mut session, "alpha-1", NOW + 1).await.unwrap();
        session.commit().await.unwrap();
        let next = taken(&open, "beta-1", NOW + 1).await.unwrap();
        assert_eq!((slow.epoch(), next.epoch()), (1, 2));
        assert_eq!(next.plan().await.unwrap().as_deref(), Some("{\"steps\":[]}"));
        let journal = next.journal().await.unwrap();
        assert_eq!(journal.len(), 1);
        assert_eq!((journal[0].position, journal[0].epoch), (1, 1));
        assert_eq!(journal[0].entry, entry(EntryKind::Dispatched));

        assert!(matches!(slow.append(&entry(EntryKind::Accepted), NOW).await, Err(Error::LeaseLost)));
        assert!(matches!(slow.save_plan("late", NOW).await, Err(Error::LeaseLost)));
        assert!(matches!(slow.close_segment(1, 7, NOW).await, Err(Error::LeaseLost)));
        assert!(matches!(slow.warn(NOW).await, Err(Error::LeaseLost)));
        assert!(matches!(slow.finish(&success(), NOW).await, Err(Error::LeaseLost)));
        assert!(matches!(slow.park(false, NOW).await, Err(Error::LeaseLost)));
        assert!(matches!(slow.release(NOW).await, Err(Error::LeaseLost)));
        assert!(matches!(slow.renew(NOW).await, Err(Error::LeaseLost)));
        assert!(slow.write(NOW).await.is_err());
        assert_eq!(next.journal().await.unwrap().len(), 1, "nothing late was written");
        assert_eq!(next.plan().await.unwrap().as_deref(), Some("{\"steps\":[]}"));

        assert!(next.append(&entry(EntryKind::Accepted), NOW).await.unwrap());
        let outcome = Some("Success".to_string());
        assert!(next.append(&Entry { outcome, ..entry(EntryKind::Finished) }, NOW).await.unwrap());
        next.finish(&success(), NOW).await.unwrap();
        assert!(matches!(next.append(&entry(EntryKind::Finished), NOW).await, Err(Error::LeaseLost)), "it has ended");
        assert!(taken(&open, "beta-1", NOW + 2 * LASTS).await.is_none());
    }

    async fn a_node_that_starts_anew_takes_its_own_tasks_back_at_once(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        let before = taken(&open, "alpha-1", NOW).await.unwrap();
        register(&open, "alpha", "alpha-2").await;
        let after = taken(&open, "alpha-2", NOW + 1).await.unwrap();
        assert_eq!(after.epoch(), 2);
        assert!(matches!(before.renew(NOW).await, Err(Error::LeaseLost)));
    }

    async fn a_lease_is_good_until_it_expires_and_renewing_makes_it_last(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        register(&open, "beta", "beta-1").await;
        let lease = taken(&open, "alpha-1", NOW).await.unwrap();
        assert!(taken(&open, "beta-1", NOW + LASTS - 1).await.is_none());
        lease.renew(NOW + 10_000).await.unwrap();
        assert!(taken(&open, "beta-1", NOW + LASTS).await.is_none());
        assert_eq!(taken(&open, "beta-1", NOW + LASTS + 10_000).await.unwrap().epoch(), 2);
    }

    async fn an_open_write_holds_off_a_takeover(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        register(&open, "beta", "beta-1").await;
        let lease = taken(&open, "alpha-1", NOW).await.unwrap();
        let late = NOW + LASTS;
        let session = lease.write(late).await.unwrap();
        let rival = tokio::spawn({
            let open = open.clone();
            async move { taken(&open, "beta-1", late).await.is_some() }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!rival.is_finished(), "it waits for the row");
        session.commit().await.unwrap();
        assert!(!rival.await.unwrap(), "the write has renewed the lease");
        assert!(lease.renew(late).await.is_ok());
    }

    async fn the_journal_knows_each_entry_of_a_ticket_once(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1), task(2)]).await;
        let lease = taken(&open, "alpha-1", NOW).await.unwrap();
        let other = taken(&open, "alpha-1", NOW).await.unwrap();
        assert!(lease.append(&entry(EntryKind::Dispatched), NOW).await.unwrap());
        assert!(other.append(&entry(EntryKind::Dispatched), NOW).await.unwrap(), "another task, another journal");
        assert!(!lease.append(&entry(EntryKind::Dispatched), NOW + 1).await.unwrap());
        let second = Entry { ticket: "ServerTasks-1-2".into(), attempt: 2, ..entry(EntryKind::Dispatched) };
        assert!(lease.append(&second, NOW + 2).await.unwrap());
        let journal = lease.journal().await.unwrap();
        let lines: Vec<_> = journal.iter().map(|line| (line.position, line.occurred_at, line.entry.attempt)).collect();
        assert_eq!(lines, [(1, NOW, 1), (2, NOW + 2, 2)]);
    }

    async fn what_the_executor_writes_is_written_with_its_lease_or_not_at_all(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        let lease = taken(&open, "alpha-1", NOW).await.unwrap();
        let mut session = lease.write(NOW).await.unwrap();
        storage::configuration::set(&mut session, "last deployed", "1").await.unwrap();
        lease.finish_in(session, &success(), NOW).await.unwrap();
        let found = storage::configuration::find(&mut open.read().await.unwrap(), "last deployed").await.unwrap();
        assert_eq!(found.as_deref(), Some("1"));
    }

    async fn each_epoch_writes_its_own_segment_of_the_log(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        let first = taken(&open, "alpha-1", NOW).await.unwrap();
        assert!(first.open_segments().await.unwrap().is_empty());
        first.release(NOW).await.unwrap();
        let second = taken(&open, "alpha-1", NOW).await.unwrap();
        assert_eq!(second.open_segments().await.unwrap(), [1]);
        second.close_segment(1, 512, NOW).await.unwrap();
        assert!(second.open_segments().await.unwrap().is_empty());
        let segments = server_task::segments(&mut open.read().await.unwrap(), second.task()).await.unwrap();
        assert_eq!(segments, [Segment { epoch: 1, valid_length: Some(512) }, Segment { epoch: 2, valid_length: None }]);
    }

    async fn a_parked_task_gives_its_tag_back_and_goes_on_when_it_is_answered(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [1, 2].map(|number| NewTask { concurrency_tag: Some("a".into()), ..task(number) })).await;
        let first = taken(&open, "alpha-1", NOW).await.unwrap();
        assert!(taken(&open, "alpha-1", NOW).await.is_none(), "the tag is taken");
        assert!(first.park(false, NOW).await.unwrap());
        let parked = server_task::find(&mut open.read().await.unwrap(), "ServerTasks-1").await.unwrap().unwrap();
        assert!(parked.is_parked && parked.task.has_pending_interruptions);
        assert_eq!(parked.task.state, TaskState::Executing, "people see it executing");
        let second = taken(&open, "alpha-1", NOW + 2 * LASTS).await.unwrap();
        assert_eq!(second.task(), &ServerTaskId::numbered(2));

        let mut session = open.write().await.unwrap();
        assert!(server_task::unpark(&mut session, first.task(), NOW).await.unwrap());
        assert!(!server_task::unpark(&mut session, first.task(), NOW).await.unwrap());
        session.commit().await.unwrap();
        let now = NOW + 2 * LASTS;
        assert!(taken(&open, "alpha-1", now).await.is_none(), "it must get its tag again");
        second.finish(&success(), now).await.unwrap();
        let again = taken(&open, "alpha-1", now).await.unwrap();
        assert_eq!((again.task(), again.epoch()), (first.task(), 2));
        assert!(matches!(first.renew(now).await, Err(Error::LeaseLost)));
    }

    async fn a_task_can_be_parked_with_its_tag(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [1, 2].map(|number| NewTask { concurrency_tag: Some("a".into()), ..task(number) })).await;
        let first = taken(&open, "alpha-1", NOW).await.unwrap();
        assert!(first.park(true, NOW).await.unwrap());
        assert!(taken(&open, "alpha-1", NOW).await.is_none(), "it blocks the others while it waits");
        let mut session = open.write().await.unwrap();
        assert!(server_task::unpark(&mut session, first.task(), NOW).await.unwrap());
        session.commit().await.unwrap();
        assert_eq!(taken(&open, "alpha-1", NOW).await.unwrap().task(), first.task());
    }

    async fn a_parked_task_that_is_cancelled_is_claimed_to_be_ended(database: TestDatabase) {
        let (open, _) = database.created().await;
        let tag = || Some("a".to_string());
        enqueue(&open, [1, 2].map(|number| NewTask { concurrency_tag: tag(), ..task(number) })).await;
        let lease = taken(&open, "alpha-1", NOW).await.unwrap();
        lease.park(false, NOW).await.unwrap();
        assert!(taken(&open, "alpha-1", NOW).await.is_some(), "another has the tag now");
        let mut session = open.write().await.unwrap();
        let state = server_task::cancel(&mut session, lease.task(), NOW).await.unwrap();
        assert_eq!(state, Some(TaskState::Cancelling));
        session.commit().await.unwrap();
        let claimed = claim(&open, "alpha-1", "alpha", NOW).await.unwrap().unwrap();
        assert_eq!((claimed.lease.epoch(), claimed.task.task.state), (2, TaskState::Cancelling));
        assert!(!claimed.lease.park(false, NOW).await.unwrap(), "who is to stop does not wait");
    }

    async fn a_kept_lease_tells_that_it_was_lost_or_cancelled(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1), task(2), task(3)]).await;
        let (lost, cancelled) = (taken(&open, "alpha-1", NOW).await.unwrap(), taken(&open, "alpha-1", NOW).await.unwrap());
        let mut session = open.write().await.unwrap();
        server_task::cancel(&mut session, cancelled.task(), NOW).await.unwrap();
        session.execute("update server_task set lease_epoch = 7 where number = 1", vec![]).await.unwrap();
        session.commit().await.unwrap();
        let (lost, cancelled) = (lost.keep(|| NOW), cancelled.keep(|| NOW));
        let third = taken(&open, "alpha-1", NOW).await.unwrap();
        third.finish(&success(), NOW).await.unwrap();
        let ended = third.keep(|| NOW);
        let soon = Duration::from_secs(10);
        tokio::time::timeout(soon, lost.lost.cancelled()).await.unwrap();
        tokio::time::timeout(soon, cancelled.cancelling.cancelled()).await.unwrap();
        assert!(!lost.cancelling.is_cancelled() && !cancelled.lost.is_cancelled());
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!ended.lost.is_cancelled(), "what was given back is not lost");
    }
}
