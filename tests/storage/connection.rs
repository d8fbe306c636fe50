//! Sessions, values, counters, hints, and databases that do not answer.

use std::collections::BTreeSet;
use std::time::Duration;

use storage::{Database, Error, Location, Notifier, Value, configuration, counter, schedule};
use tests::database::NOW;
use tests::on_both_engines;

on_both_engines! {
    async fn what_is_not_committed_never_was(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut session = open.write().await.unwrap();
        configuration::set(&mut session, "kept", "1").await.unwrap();
        session.commit().await.unwrap();
        let mut session = open.write().await.unwrap();
        configuration::set(&mut session, "kept", "2").await.unwrap();
        drop(session);
        let mut session = open.read().await.unwrap();
        assert_eq!(configuration::find(&mut session, "kept").await.unwrap().as_deref(), Some("1"));
        assert_eq!(configuration::find(&mut session, "other").await.unwrap(), None);
    }

    async fn a_reader_sees_one_state_and_cannot_write(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut reader = open.read().await.unwrap();
        assert_eq!(configuration::find(&mut reader, "a").await.unwrap(), None);
        let mut writer = open.write().await.unwrap();
        configuration::set(&mut writer, "a", "1").await.unwrap();
        writer.commit().await.unwrap();
        assert_eq!(configuration::find(&mut reader, "a").await.unwrap(), None, "its state is from before");
        assert!(configuration::set(&mut reader, "b", "1").await.is_err());
    }

    async fn values_come_back_as_they_went_in(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut session = open.write().await.unwrap();
        session.execute("create table value (t text, i bigint, b boolean, x bytea)", vec![]).await.unwrap();
        let insert = "insert into value (t, i, b, x) values ($1, $2, $3, $4)";
        let values = vec!["ü'\"".into(), i64::MIN.into(), true.into(), vec![0_u8, 255].into()];
        session.execute(insert, values).await.unwrap();
        let nulls = vec![None::<String>.into(), None::<i64>.into(), None::<bool>.into(), None::<Vec<u8>>.into()];
        session.execute(insert, nulls).await.unwrap();
        let rows = session.fetch_all("select * from value order by i is null", vec![]).await.unwrap();
        assert_eq!(rows[0].text("t").unwrap(), "ü'\"");
        assert_eq!(rows[0].integer("i").unwrap(), i64::MIN);
        assert!(rows[0].boolean("b").unwrap());
        assert_eq!(rows[0].bytes("x").unwrap(), [0, 255]);
        assert_eq!(rows[1].optional_text("t").unwrap(), None);
        assert_eq!(rows[1].optional_integer("i").unwrap(), None);
        assert_eq!(rows[1].optional_boolean("b").unwrap(), None);
        assert_eq!(rows[1].optional_bytes("x").unwrap(), None);
        let error = rows[1].text("t").unwrap_err().to_string();
        assert!(error.contains("'t'"), "{error}");
        assert!(rows[0].text("nothing").is_err());
        let filter = "select count(*) as total from value where ($1 is null or t = $1)";
        for (filter_by, total) in [(Value::from(None::<String>), 2), ("ü'\"".into(), 1)] {
            let row = session.fetch_one(filter, vec![filter_by]).await.unwrap();
            assert_eq!(row.integer("total").unwrap(), total);
        }
    }

    async fn a_second_row_of_the_same_key_is_a_duplicate(database: TestDatabase) {
        let (open, _) = database.created().await;
        let insert = "insert into configuration (name, document) values ('secret-name', 'secret-value')";
        let mut session = open.write().await.unwrap();
        session.execute(insert, vec![]).await.unwrap();
        let error = session.execute(insert, vec![]).await.unwrap_err();
        assert!(matches!(error, Error::Duplicate { .. }), "{error}");
        assert!(!error.to_string().contains("secret-value"), "{error}");
    }

    async fn numbers_are_handed_out_once_to_many_at_a_time(database: TestDatabase) {
        let (open, _) = database.created().await;
        let tasks: Vec<_> = (0..4).map(|_| {
            let open = open.clone();
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for _ in 0..25 {
                    numbers.push(counter::next(&open, "Projects").await.unwrap());
                }
                numbers
            })
        }).collect();
        let mut numbers = BTreeSet::new();
        for task in tasks {
            numbers.extend(task.await.unwrap());
        }
        assert_eq!(numbers, (1..=100).collect());
        assert_eq!(counter::next(&open, "Environments").await.unwrap(), 1);
    }

    async fn periodic_work_is_enqueued_once(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut session = open.write().await.unwrap();
        assert!(schedule::take(&mut session, "health", NOW).await.unwrap());
        session.commit().await.unwrap();
        let mut session = open.write().await.unwrap();
        assert!(!schedule::take(&mut session, "health", NOW).await.unwrap());
        assert!(schedule::take(&mut session, "health", NOW + 1).await.unwrap());
        assert!(schedule::take(&mut session, "retention", NOW).await.unwrap());
    }

    async fn a_hint_reaches_who_listens(database: TestDatabase) {
        let (open, _) = database.created().await;
        let (here, mut there) = (Notifier::start(&open).await.unwrap(), None);
        if open.engine() == storage::Engine::Postgres {
            there = Some(Notifier::start(&database.open().await).await.unwrap());
        }
        let mut hints = there.as_ref().unwrap_or(&here).subscribe();
        here.notify("server_task");
        let heard = tokio::time::timeout(Duration::from_secs(10), hints.next()).await.unwrap();
        assert_eq!(heard.as_deref(), Some("server_task"));
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    let location = Location::Postgres("postgres://mantle:hunter2@127.0.0.1:1/deploy".into());
    let error = Database::open(&location).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Unavailable { .. }), "{message}");
    assert!(
        message.contains("'deploy' at 127.0.0.1:1") && !message.contains("hunter2"),
        "{message}"
    );

    let location = Location::Sqlite("/no/such/folder/mantle.db".into());
    let message = Database::open(&location).await.unwrap_err().to_string();
    assert!(
        message.contains("/no/such/folder/mantle.db") && message.contains("folder does not exist"),
        "{message}"
    );
}
