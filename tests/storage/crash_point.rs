//! A program that dies before or after a write of the journal: the next executor finds what was written, and nothing
//! else. The dying program is this test binary, started again for one test only.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use domain::server_task::TaskState;
use storage::journal::EntryKind;
use storage::lease::claim;
use storage::{Database, Location, node, server_task};
use tests::database::NOW;
use tests::on_both_engines;

use crate::lease::entry;
use crate::queue::{enqueue, success, task};

/// The database of the program that is to die; without it there is nothing to do.
const DATABASE: &str = "MANTLE_STORY_DATABASE";
/// Points in the order in which they are passed, with how many entries the journal then has.
const POINTS: [(&str, usize); 8] = [
    ("journal::dispatched::before", 0),
    ("journal::dispatched::after", 1),
    ("journal::accepted::before", 1),
    ("journal::accepted::after", 2),
    ("journal::finished::before", 2),
    ("journal::finished::after", 3),
    ("task::finish::before", 3),
    ("task::finish::after", 3),
];

on_both_engines! {
    async fn whoever_takes_over_finds_what_was_written(database: TestDatabase) {
        let (open, _) = database.created().await;
        for (number, (point, entries)) in (1..).zip(POINTS) {
            enqueue(&open, [task(number)]).await;
            die_at(point, &database.location).await;

            let mut session = open.write().await.unwrap();
            node::register(&mut session, "alpha", "alpha-2", "1.0.0", 5, NOW).await.unwrap();
            session.commit().await.unwrap();
            let claimed = claim(&open, "alpha-2", "alpha", NOW + 1).await.unwrap();
            if point == "task::finish::after" {
                assert!(claimed.is_none(), "the task has ended");
                let ended = server_task::find(&mut open.read().await.unwrap(), "ServerTasks-8").await.unwrap();
                assert_eq!(ended.unwrap().task.state, TaskState::Success);
                continue;
            }
            let next = claimed.expect(point).lease;
            assert_eq!((next.task().number(), next.epoch()), (Some(number), 2), "{point}");
            let journal = next.journal().await.unwrap();
            let kinds: Vec<_> = journal.iter().map(|line| line.entry.kind).collect();
            assert_eq!(kinds, EntryKind::ALL[..entries], "{point}");
            next.finish(&success(), NOW + 1).await.unwrap();
        }
    }
}

async fn die_at(point: &str, location: &Location) {
    let place = match location {
        Location::Sqlite(path) => path.display().to_string(),
        Location::Postgres(url) => url.clone(),
    };
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "crash_point::the_program_that_dies"]);
    program
        .env(DATABASE, place)
        .env("FAILPOINTS", format!("{point}=return"));
    let output = tokio::task::spawn_blocking(move || program.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.signal().is_some(),
        "{point}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Claims the next task and walks it to its end, unless it dies on the way.
#[tokio::test]
async fn the_program_that_dies() {
    let Ok(place) = std::env::var(DATABASE) else {
        return;
    };
    let scenario = fail::FailScenario::setup();
    let location = match place.contains("://") {
        true => Location::Postgres(place),
        false => Location::Sqlite(place.into()),
    };
    let database = Database::open(&location).await.unwrap();
    let lease = claim(&database, "alpha-1", "alpha", NOW)
        .await
        .unwrap()
        .unwrap()
        .lease;
    for kind in EntryKind::ALL {
        assert!(lease.append(&entry(kind), NOW).await.unwrap());
    }
    lease.finish(&success(), NOW).await.unwrap();
    scenario.teardown();
}
