//! Who may migrate, who has a name, and how others notice that a node has died.

use std::time::Duration;

use storage::{Engine, Error, node};
use tests::database::NOW;
use tests::on_both_engines;

const AT_ONCE: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(20);

on_both_engines! {
    async fn a_name_belongs_to_one_live_node(database: TestDatabase) {
        let (open, _) = database.created().await;
        let first = open.lock_node("alpha", AT_ONCE).await.unwrap();
        let refused = open.lock_node("alpha", AT_ONCE).await.err().unwrap();
        assert!(matches!(refused, Error::Locked(_)), "{refused}");
        let second = open.lock_node("beta", AT_ONCE).await;
        match open.engine() {
            Engine::Sqlite => {
                let message = second.err().unwrap().to_string();
                assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
            }
            Engine::Postgres => {
                assert!(refused.to_string().contains("'alpha'"), "{refused}");
                second.unwrap().release().await;
            }
        }
        assert!(!first.lost().is_cancelled());
        first.release().await;
        open.lock_node("alpha", AT_ONCE).await.unwrap().release().await;
    }

    async fn a_successor_waits_until_its_predecessor_has_ended(database: TestDatabase) {
        let (open, _) = database.created().await;
        let first = open.lock_schema(AT_ONCE).await.unwrap();
        assert!(open.lock_schema(AT_ONCE).await.is_err());
        let waiting = tokio::spawn({
            let open = open.clone();
            async move { open.lock_schema(SOON).await }
        });
        first.release().await;
        waiting.await.unwrap().unwrap().release().await;
    }

    async fn nodes_that_died_are_noticed_by_their_locks(database: TestDatabase) {
        let (open, _) = database.created().await;
        let own = open.lock_node("alpha", AT_ONCE).await.unwrap();
        let mut session = open.write().await.unwrap();
        for (name, owner) in [("alpha", "alpha-2"), ("beta", "beta-1"), ("gamma", "gamma-1")] {
            node::register(&mut session, name, owner, "1.0.0", 5, NOW).await.unwrap();
        }
        session.commit().await.unwrap();
        let beta = match open.engine() {
            Engine::Postgres => Some(open.lock_node("beta", AT_ONCE).await.unwrap()),
            Engine::Sqlite => None,
        };
        let mut dead = node::bury_dead(&open, "alpha-2").await.unwrap();
        dead.sort();
        let expected: &[&str] = if beta.is_some() { &["gamma"] } else { &["beta", "gamma"] };
        assert_eq!(dead, expected);
        assert!(node::bury_dead(&open, "alpha-2").await.unwrap().is_empty(), "the dead are buried once");
        let nodes = node::all(&mut open.read().await.unwrap()).await.unwrap();
        let alive: Vec<&str> = nodes.iter().filter(|node| node.is_alive).map(|node| node.name.as_str()).collect();
        assert_eq!(alive, if beta.is_some() { vec!["alpha", "beta"] } else { vec!["alpha"] });
        own.release().await;
    }

    async fn a_node_is_registered_anew_with_each_start(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut session = open.write().await.unwrap();
        node::register(&mut session, "alpha", "alpha-1", "1.0.0", 5, NOW).await.unwrap();
        assert!(node::set_draining(&mut session, "alpha", true).await.unwrap());
        node::leave(&mut session, "alpha-1", NOW + 1).await.unwrap();
        let left = node::find(&mut session, "alpha").await.unwrap().unwrap();
        assert!(left.is_draining && !left.is_alive);
        node::register(&mut session, "alpha", "alpha-2", "1.1.0", 7, NOW + 2).await.unwrap();
        node::touch(&mut session, "alpha-2", NOW + 3).await.unwrap();
        assert!(node::set_task_cap(&mut session, "alpha", 8).await.unwrap());
        assert!(!node::set_task_cap(&mut session, "beta", 8).await.unwrap());
        let again = node::find(&mut session, "alpha").await.unwrap().unwrap();
        assert_eq!((again.owner.as_str(), again.version.as_str(), again.task_cap), ("alpha-2", "1.1.0", 8));
        assert!(again.is_alive && !again.is_draining);
        assert_eq!((again.started_at, again.last_seen_at), (NOW + 2, NOW + 3));
    }

    async fn a_lock_whose_connection_broke_is_noticed(database: TestDatabase) {
        let (open, _) = database.created().await;
        if open.engine() == Engine::Postgres {
            let lock = open.lock_node("alpha", AT_ONCE).await.unwrap();
            database.psql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' \
                           and database = (select oid from pg_database where datname = current_database())");
            tokio::time::timeout(SOON, lock.lost().cancelled()).await.unwrap();
            open.lock_node("alpha", AT_ONCE).await.unwrap().release().await;
        }
    }
}
