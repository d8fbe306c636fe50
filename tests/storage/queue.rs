//! The queue of tasks: order, tags, cancelling, lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use domain::server_task::{TaskKind, TaskState};
use domain::{ProjectId, ServerTask, ServerTaskId, SpaceId, Timestamp};
use storage::lease::{Outcome, claim};
use storage::server_task::{self, NewTask, TaskFilter};
use storage::{Database, node};
use tests::database::NOW;
use tests::on_both_engines;

/// A task of a number, due at once, in the default space.
pub fn task(number: i64) -> NewTask {
    NewTask {
        task: ServerTask {
            id: ServerTaskId::numbered(number),
            space_id: Some(SpaceId::numbered(1)),
            name: TaskKind::Deploy,
            description: format!("Deploy number {number}"),
            arguments: BTreeMap::from([("DeploymentId".into(), format!("Deployments-{number}").into())]),
            project_id: Some(ProjectId::numbered(1)),
            ..ServerTask::default()
        },
        ..NewTask::default()
    }
}

/// Tasks in the queue, and a live node `alpha` with the owner `alpha-1`.
pub async fn enqueue(database: &Database, tasks: impl IntoIterator<Item = NewTask>) {
    let mut session = database.write().await.unwrap();
    node::register(&mut session, "alpha", "alpha-1", "1.0.0", 5, NOW)
        .await
        .unwrap();
    for task in tasks {
        server_task::insert(&mut session, &task, NOW).await.unwrap();
    }
    session.commit().await.unwrap();
}

pub fn success() -> Outcome {
    Outcome {
        state: TaskState::Success,
        error_message: None,
        has_warnings: false,
    }
}

async fn state_of(database: &Database, number: i64) -> TaskState {
    let id = ServerTaskId::numbered(number);
    let found = server_task::find(&mut database.read().await.unwrap(), id.as_str())
        .await
        .unwrap();
    found.unwrap().task.state
}

async fn claimed_numbers(database: &Database, now: i64) -> Vec<i64> {
    let mut numbers = Vec::new();
    while let Some(claimed) = claim(database, "alpha-1", "alpha", now).await.unwrap() {
        numbers.push(claimed.task.task.id.number().unwrap());
    }
    numbers
}

on_both_engines! {
    async fn four_claimants_take_200_tasks_each_once(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, (1..=200).map(task)).await;
        let claimants: Vec<_> = (0..4).map(|_| {
            let open = open.clone();
            tokio::spawn(async move { claimed_numbers(&open, NOW).await })
        }).collect();
        let mut all = Vec::new();
        for claimant in claimants {
            all.extend(claimant.await.unwrap());
        }
        // A claimant gives up for this time when others were faster again and again; nothing may stay behind.
        all.extend(claimed_numbers(&open, NOW).await);
        assert_eq!(all.len(), 200);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (1..=200).collect());
    }

    async fn of_one_tag_one_task_runs_at_a_time(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, (1..=40).map(|number| {
            NewTask { concurrency_tag: Some(format!("tag {}", number % 4)), ..task(number) }
        })).await;
        let running = Arc::new(Mutex::new(BTreeSet::new()));
        let claimants: Vec<_> = (0..4).map(|_| {
            let (open, running) = (open.clone(), running.clone());
            tokio::spawn(async move {
                let mut done = 0;
                while let Some(claimed) = claim(&open, "alpha-1", "alpha", NOW).await.unwrap() {
                    let tag = claimed.task.concurrency_tag.unwrap();
                    assert!(running.lock().unwrap().insert(tag.clone()), "two tasks of '{tag}' ran at once");
                    tokio::task::yield_now().await;
                    running.lock().unwrap().remove(&tag);
                    claimed.lease.finish(&success(), NOW).await.unwrap();
                    done += 1;
                }
                done
            })
        }).collect();
        let mut done = 0;
        for claimant in claimants {
            done += claimant.await.unwrap();
        }
        while let Some(claimed) = claim(&open, "alpha-1", "alpha", NOW).await.unwrap() {
            claimed.lease.finish(&success(), NOW).await.unwrap();
            done += 1;
        }
        assert_eq!(done, 40);
    }

    async fn the_order_is_moved_to_top_then_queue_time_then_number(database: TestDatabase) {
        let (open, _) = database.created().await;
        let at = |number: i64, time: i64| {
            let mut new = task(number);
            new.task.queue_time = Some(Timestamp(time));
            new
        };
        enqueue(&open, [at(1, NOW), at(2, NOW), at(3, NOW - 5), at(4, NOW), at(5, NOW), at(6, NOW + 60_000)]).await;
        let mut session = open.write().await.unwrap();
        assert!(server_task::move_to_top(&mut session, &ServerTaskId::numbered(5), NOW).await.unwrap());
        assert!(server_task::move_to_top(&mut session, &ServerTaskId::numbered(4), NOW + 1).await.unwrap());
        session.commit().await.unwrap();
        assert_eq!(claimed_numbers(&open, NOW).await, [4, 5, 3, 1, 2]);
        let due = server_task::next_due(&mut open.read().await.unwrap(), NOW).await.unwrap();
        assert_eq!(due, Some(NOW + 60_000));
        assert_eq!(server_task::leased_by(&mut open.read().await.unwrap(), "alpha-1").await.unwrap(), 5);
        assert_eq!(claimed_numbers(&open, NOW + 60_000).await, [4, 5, 3, 1, 2, 6], "what was left behind comes first");
    }

    async fn a_task_that_waits_behind_another_knows_which(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [1, 2].map(|number| NewTask { concurrency_tag: Some("a".into()), ..task(number) })).await;
        assert_eq!(claimed_numbers(&open, NOW).await, [1]);
        let mut session = open.read().await.unwrap();
        let second = server_task::find(&mut session, "servertasks-2").await.unwrap().unwrap();
        let first = server_task::queued_behind(&mut session, &second).await.unwrap().unwrap();
        assert_eq!(first.task.id, ServerTaskId::numbered(1));
    }

    async fn a_queued_task_that_is_cancelled_never_starts(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        for _ in 0..2 {
            let mut session = open.write().await.unwrap();
            let state = server_task::cancel(&mut session, &ServerTaskId::numbered(1), NOW).await.unwrap();
            assert_eq!(state, Some(TaskState::Canceled), "cancelling twice is harmless");
            session.commit().await.unwrap();
        }
        assert!(claimed_numbers(&open, NOW).await.is_empty());
        let mut session = open.write().await.unwrap();
        assert_eq!(server_task::cancel(&mut session, &ServerTaskId::numbered(9), NOW).await.unwrap(), None);
        assert!(server_task::delete(&mut session, &ServerTaskId::numbered(1)).await.unwrap());
    }

    async fn a_running_task_learns_that_it_is_to_stop(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        let lease = claim(&open, "alpha-1", "alpha", NOW).await.unwrap().unwrap().lease;
        assert_eq!(lease.renew(NOW).await.unwrap(), TaskState::Executing);
        let mut session = open.write().await.unwrap();
        assert!(!server_task::delete(&mut session, lease.task()).await.unwrap(), "it runs");
        let state = server_task::cancel(&mut session, lease.task(), NOW).await.unwrap();
        assert_eq!(state, Some(TaskState::Cancelling));
        session.commit().await.unwrap();
        assert_eq!(lease.renew(NOW).await.unwrap(), TaskState::Cancelling);
        assert!(lease.finish(&success(), NOW).await.is_err(), "there is no such way");
        let outcome = Outcome { state: TaskState::Canceled, error_message: Some("Cancelled.".into()), has_warnings: true };
        lease.finish(&outcome, NOW + 5).await.unwrap();
        let ended = server_task::find(&mut open.read().await.unwrap(), "ServerTasks-1").await.unwrap().unwrap().task;
        assert_eq!((ended.state, ended.completed_time), (TaskState::Canceled, Some(Timestamp(NOW + 5))));
        assert!(ended.has_warnings_or_errors);
    }

    async fn a_task_that_does_not_stop_can_be_abandoned(database: TestDatabase) {
        let (open, _) = database.created().await;
        enqueue(&open, [task(1)]).await;
        let lease = claim(&open, "alpha-1", "alpha", NOW).await.unwrap().unwrap().lease;
        let mut session = open.write().await.unwrap();
        server_task::cancel(&mut session, lease.task(), NOW).await.unwrap();
        let minutes = 60_000;
        let early = server_task::abandon(&mut session, lease.task(), "Abandoned by eve.", NOW - minutes, NOW).await.unwrap();
        assert!(!early);
        assert!(server_task::abandon(&mut session, lease.task(), "Abandoned by eve.", NOW, NOW + minutes).await.unwrap());
        session.commit().await.unwrap();
        assert!(matches!(lease.renew(NOW).await, Err(storage::Error::LeaseLost)));
        assert_eq!(state_of(&open, 1).await, TaskState::Canceled);
    }

    async fn a_task_that_was_not_started_in_time_is_timed_out(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut new = task(1);
        new.task.queue_time_expiry = Some(Timestamp(NOW + 10));
        enqueue(&open, [new]).await;
        let mut session = open.write().await.unwrap();
        assert!(server_task::expire(&mut session, NOW + 9).await.unwrap().is_empty());
        session.commit().await.unwrap();
        assert!(claimed_numbers(&open, NOW + 10).await.is_empty(), "it is too late, even before somebody looked");
        let mut session = open.write().await.unwrap();
        assert_eq!(server_task::expire(&mut session, NOW + 10).await.unwrap(), [ServerTaskId::numbered(1)]);
        session.commit().await.unwrap();
        assert_eq!(state_of(&open, 1).await, TaskState::TimedOut);
    }

    async fn a_list_is_filtered_counted_and_paged(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut system = task(4);
        system.task.space_id = None;
        system.task.name = TaskKind::Health;
        system.task.description = "Check the health of Web-1".into();
        system.task.arguments = BTreeMap::from([("MachineIds".into(), serde_json::json!(["Machines-1"]))]);
        let elsewhere = NewTask { environment_id: Some("Environments-1".into()), ..task(3) };
        enqueue(&open, [task(1), task(2), elsewhere, system]).await;
        claim(&open, "alpha-1", "alpha", NOW).await.unwrap().unwrap();
        let mut session = open.read().await.unwrap();
        let all = TaskFilter { include_system: true, ..TaskFilter::default() };
        let filters = [
            (all.clone(), vec![4, 3, 2, 1]),
            (TaskFilter::default(), vec![3, 2, 1]),
            (TaskFilter { spaces: vec!["Spaces-1".into()], ..all.clone() }, vec![4, 3, 2, 1]),
            (TaskFilter { spaces: vec!["Spaces-2".into()], ..TaskFilter::default() }, vec![]),
            (TaskFilter { ids: vec!["ServerTasks-2".into(), "ServerTasks-22".into()], ..all.clone() }, vec![2]),
            (TaskFilter { states: vec![TaskState::Executing], ..all.clone() }, vec![1]),
            (TaskFilter { states: TaskFilter::active(), ..all.clone() }, vec![4, 3, 2, 1]),
            (TaskFilter { running: Some(true), ..all.clone() }, vec![1]),
            (TaskFilter { running: Some(false), ..all.clone() }, vec![4, 3, 2]),
            (TaskFilter { name: Some(TaskKind::Health), ..all.clone() }, vec![4]),
            (TaskFilter { environment: Some("Environments-1".into()), ..all.clone() }, vec![3]),
            (TaskFilter { project: Some("Projects-2".into()), ..all.clone() }, vec![]),
            (TaskFilter { node: Some("alpha".into()), ..all.clone() }, vec![1]),
            (TaskFilter { partial_name: Some("HEALTH of".into()), ..all.clone() }, vec![4]),
            (TaskFilter { regarding: Some("Machines-1".into()), ..all.clone() }, vec![4]),
            (TaskFilter { regarding: Some("Machines-11".into()), ..all.clone() }, vec![]),
            (TaskFilter { has_pending_interruptions: Some(true), ..all.clone() }, vec![]),
            (TaskFilter { has_warnings_or_errors: Some(false), ..all.clone() }, vec![4, 3, 2, 1]),
        ];
        for (filter, expected) in filters {
            let page = server_task::page(&mut session, &filter, 0, 30).await.unwrap();
            let numbers: Vec<i64> = page.tasks.iter().map(|stored| stored.task.id.number().unwrap()).collect();
            assert_eq!(numbers, expected, "{filter:?}");
            assert_eq!(page.total, i64::try_from(expected.len()).unwrap());
        }
        let page = server_task::page(&mut session, &all, 1, 2).await.unwrap();
        assert_eq!(page.tasks.iter().map(|stored| stored.task.id.number().unwrap()).collect::<Vec<_>>(), [3, 2]);
        let counts: BTreeMap<TaskState, i64> = page.counts.into_iter().collect();
        assert_eq!(counts, BTreeMap::from([(TaskState::Queued, 3), (TaskState::Executing, 1)]));
        assert_eq!(page.tasks[0].task.arguments["DeploymentId"], "Deployments-3");
    }
}
