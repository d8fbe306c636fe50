//! How a database comes to be, and which ones are refused.

use std::collections::BTreeSet;

use security::{KeyRing, MasterKey, StoredRing};
use storage::schema::{self, State};
use storage::{Database, Engine, Error, key_ring};
use tests::database::{NOW, TestDatabase};
use tests::on_both_engines;

on_both_engines! {
    async fn every_statement_is_understood(database: TestDatabase) {
        let (open, _) = database.created().await;
        let statements = storage::statements();
        assert!(statements.len() > 100, "{}", statements.len());
        let mut refused = Vec::new();
        for (file, name, sql) in statements {
            let mut session = open.read().await.unwrap();
            if let Err(error) = session.prepare(sql).await {
                refused.push(format!("{file}::{name}: {error}"));
            }
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    }

    async fn an_empty_database_gets_schema_and_key_ring_at_once(database: TestDatabase) {
        let open = database.open().await;
        assert_eq!(schema::inspect(&open).await.unwrap(), State::Empty);
        let master = MasterKey::generate();
        let ring = StoredRing::generate(&master, "an-installation", NOW);
        schema::create(&open, &ring, "1.0.0", NOW).await.unwrap();
        assert_eq!(schema::inspect(&open).await.unwrap(), State::Current);
        assert_eq!(schema::migrate(&open, "1.0.0", NOW).await.unwrap(), None);

        let loaded = key_ring::load(&mut open.read().await.unwrap()).await.unwrap();
        assert_eq!(loaded, ring);
        assert!(KeyRing::unlock(&master, &loaded).is_ok());
        assert!(KeyRing::unlock(&MasterKey::generate(), &loaded).is_err());
        let installation = storage::installation::find(&mut open.read().await.unwrap()).await.unwrap();
        assert_eq!((installation.id.as_str(), installation.created_at), ("an-installation", NOW));
    }

    async fn a_database_is_made_once(database: TestDatabase) {
        let (open, _) = database.created().await;
        let other = StoredRing::generate(&MasterKey::generate(), "another", NOW);
        assert!(matches!(schema::create(&open, &other, "1.0.0", NOW).await, Err(Error::Foreign)));
        let loaded = key_ring::load(&mut open.read().await.unwrap()).await.unwrap();
        assert_eq!(loaded.installation_id, "an-installation");
    }

    async fn a_newer_database_is_refused_and_both_versions_are_named(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut session = open.write().await.unwrap();
        let newer = "insert into mantle_schema (number, name, product, applied_at) values (9000, 'later', '9.8.7', 0)";
        session.execute(newer, vec![]).await.unwrap();
        session.commit().await.unwrap();
        for error in [schema::inspect(&open).await.unwrap_err(), schema::migrate(&open, "1.0.0", NOW).await.unwrap_err()] {
            let message = error.to_string();
            assert!(matches!(error, Error::Newer { found: 9000, .. }), "{message}");
            assert!(message.contains("9000") && message.contains("9.8.7"), "{message}");
            assert!(message.contains(&schema::newest().to_string()), "{message}");
        }
    }

    async fn a_foreign_database_is_refused_and_left_alone(database: TestDatabase) {
        let open = database.open().await;
        let mut session = open.write().await.unwrap();
        session.execute("create table customer (id bigint)", vec![]).await.unwrap();
        session.commit().await.unwrap();
        let ring = StoredRing::generate(&MasterKey::generate(), "an-installation", NOW);
        assert!(matches!(schema::inspect(&open).await, Err(Error::Foreign)));
        assert!(matches!(schema::create(&open, &ring, "1.0.0", NOW).await, Err(Error::Foreign)));
        assert!(matches!(schema::migrate(&open, "1.0.0", NOW).await, Err(Error::Foreign)));
        let mut session = open.write().await.unwrap();
        session.execute("drop table customer", vec![]).await.unwrap();
        session.commit().await.unwrap();
        assert_eq!(schema::inspect(&open).await.unwrap(), State::Empty, "nothing else was in it");
    }

    /// Databases of every schema so far, kept with rows in every table: all rows are there after the migration, and the
    /// key ring opens with the key of then. That a Server goes on with them is told in tests/images/upgrade.rs.
    async fn databases_of_all_schemas_are_brought_up_to_date(database: TestDatabase) {
        let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/schema");
        let mut seen = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(schemas).unwrap() {
            let kept = entry.unwrap().path();
            let Some(number) = kept.file_name().unwrap().to_str().unwrap().parse::<i64>().ok().filter(|_| kept.is_dir()) else {
                continue;
            };
            let database = TestDatabase::on(database.open().await.engine()).expect("there is one of it");
            database.load(&kept);
            let open = database.open().await;
            assert_eq!(schema::inspect(&open).await.unwrap(), State::Older { number });
            let before = counted(&open).await;
            assert!(before.iter().all(|(_, rows)| *rows > 0), "{before:?}");
            schema::migrate(&open, "1.0.0", NOW).await.unwrap();
            assert_eq!(schema::inspect(&open).await.unwrap(), State::Current);
            let after = counted(&open).await;
            for (table, rows) in before.iter().filter(|(table, _)| table != "mantle_schema") {
                assert!(after.contains(&(table.clone(), *rows)), "{table} had {rows} rows, and now: {after:?}");
            }
            let key = std::fs::read_to_string(kept.join("master_key")).unwrap();
            let master = MasterKey::from_base64(key.trim()).unwrap();
            let ring = key_ring::load(&mut open.read().await.unwrap()).await.unwrap();
            assert!(KeyRing::unlock(&master, &ring).is_ok());
            seen.insert(number);
        }
        let released: std::collections::BTreeSet<i64> = (9..schema::newest()).collect();
        assert_eq!(seen, released, "tests/fixtures/schema/keep keeps a database of each schema before the newest");
    }

    async fn texts_are_ordered_by_their_bytes(database: TestDatabase) {
        let (open, _) = database.created().await;
        let mut session = open.write().await.unwrap();
        for name in ["b", "B", "ä", "a", "Z", "_"] {
            storage::configuration::set(&mut session, name, "{}").await.unwrap();
        }
        let rows = session.fetch_all("select name from configuration order by name", vec![]).await.unwrap();
        let names: Vec<String> = rows.iter().map(|row| row.text("name").unwrap()).collect();
        assert_eq!(names, ["B", "Z", "_", "a", "b", "ä"]);
    }
}

/// The tables of a database and how many rows each has.
async fn counted(database: &Database) -> Vec<(String, i64)> {
    let mut session = database.read().await.unwrap();
    let tables = match database.engine() {
        Engine::Sqlite => {
            "select name from sqlite_master where type = 'table' and name not like 'sqlite%' order by name"
        }
        Engine::Postgres => {
            "select table_name::text as name from information_schema.tables
                             where table_schema = current_schema() order by name"
        }
    };
    let mut counted = Vec::new();
    for row in session.fetch_all(tables, vec![]).await.unwrap() {
        let table = row.text("name").unwrap();
        let count: &'static str = format!("select count(*) as total from {table}").leak();
        let total = session.fetch_one(count, vec![]).await.unwrap();
        counted.push((table, total.integer("total").unwrap()));
    }
    counted
}

/// A file whose statements are not listed would be prepared by nobody.
#[test]
fn every_file_with_statements_is_listed() {
    let listed: BTreeSet<String> = storage::statements()
        .into_iter()
        .map(|(file, _, _)| file.to_string())
        .collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/storage");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().to_string();
        if path.extension().is_none_or(|ending| ending != "rs") || ["lib", "named"].contains(&name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("statements! {") || text.contains("named_documents!(") {
            assert!(
                listed.contains(&name),
                "src/storage/{name}.rs is missing in statements() of src/storage/lib.rs"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mantle.db");
    let content = "not a database, but long enough to look like one. ".repeat(100);
    std::fs::write(&path, &content).unwrap();
    let open = storage::Database::open(&storage::Location::Sqlite(path.clone()))
        .await
        .unwrap();
    assert!(matches!(schema::inspect(&open).await, Err(Error::Foreign)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
}

#[tokio::test]
async fn looking_at_an_embedded_database_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = storage::Database::open(&storage::Location::Sqlite(folder.path().join("mantle.db")))
        .await
        .unwrap();
    assert_eq!(schema::inspect(&open).await.unwrap(), State::Empty);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
