//! A Server for one story: the real routes on a real socket, over a database of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use application::user::Administrator;
use application::{Clock, Context, Secret};
use axum::ServiceExt as _;
use domain::permission::{Permission, Permissions};
use domain::user::{ApiKey, User};
use domain::{ApiKeyId, Timestamp, UserId};
use files::{Files, Volumes};
use serde_json::Value;
use storage::Notifier;
use storage::user::{StoredKey, StoredUser};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::database::{NOW, TestDatabase};
use crate::machines::TestMachines;

/// The key of the administrator of every such Server.
pub const API_KEY: &str = "API-STORYSTORYSTORYSTORY1";

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// Lets time pass.
    pub fn advance(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(NOW))
    }
}

impl Clock for TestClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A Server that answers until it is dropped.
pub struct TestServer {
    /// `http://127.0.0.1:…`, without a slash at the end.
    pub url: String,
    /// What its use cases work with.
    pub context: Arc<Context>,
    /// Its time.
    pub clock: Arc<TestClock>,
    /// Its volumes.
    pub folder: TempDir,
    http: reqwest::Client,
    serving: tokio::task::JoinHandle<()>,
}

/// What a Server said.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; null when it is no JSON.
    pub body: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
}

impl TestServer {
    /// Starts one over an empty database. Its clock stands still.
    pub async fn start(database: &TestDatabase) -> Self {
        let clock = Arc::new(TestClock::default());
        Self::with_clock(database, clock.clone(), clock).await
    }

    /// Starts one that takes its time from `time`.
    pub async fn with_clock(database: &TestDatabase, time: Arc<dyn Clock>, clock: Arc<TestClock>) -> Self {
        let (database, keys) = database.created().await;
        let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
        let files = Files::open(Volumes {
            repository: folder.path().join("repository"),
            artifacts: folder.path().join("artifacts"),
            task_logs: folder.path().join("taskLogs"),
            cache: folder.path().join("cache"),
        });
        let notifier = Notifier::start(&database).await.expect("a notifier starts");
        let context = Arc::new(Context {
            notifier,
            database,
            files: files.expect("volumes can be made in a new folder"),
            keys,
            installation_id: "5d6d7a3f-0000-4000-8000-000000000001".into(),
            product_version: "1.0.0".into(),
            node_name: "story".into(),
            server_thumbprint: "0123456789ABCDEF0123456789ABCDEF01234567".into(),
            server_uri: None,
            started_at: time.now(),
            clock: time,
            draining: false.into(),
            builtin_worker: true,
            machines: std::sync::OnceLock::new(),
            hashing: Context::hashing_turns(),
        });
        application::space::create_default(&context)
            .await
            .expect("the default space is made");
        let administrator = Administrator {
            username: "admin".into(),
            password: None,
            email: "admin@example.com".into(),
            api_key: Some(Secret::from(API_KEY)),
        };
        application::user::create_administrator(&context, administrator)
            .await
            .expect("the administrator is made");
        let (url, serving) = serve(Arc::clone(&context)).await;
        // Others may have installed it already; it is the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client needs no more than this");
        Self {
            url,
            context,
            clock,
            folder,
            http,
            serving,
        }
    }

    /// Gives the Server a view of machines, as the engine would. Without it no machine can be registered.
    ///
    /// # Panics
    /// When it has one already.
    #[must_use]
    pub fn with_machines(&self) -> Arc<TestMachines> {
        let machines = Arc::new(TestMachines::default());
        assert!(
            self.context.machines.set(machines.clone()).is_ok(),
            "the Server has a view of machines already"
        );
        machines
    }

    /// The key of a new service account that has these permissions and no others.
    pub async fn key_with(&self, username: &str, permissions: &[Permission]) -> String {
        let key = security::api_key::generate();
        let user = User {
            id: UserId::from_text(format!("Users-{username}")),
            username: username.into(),
            display_name: username.into(),
            is_active: true,
            is_service: true,
            ..User::default()
        };
        let key_row = StoredKey {
            key: ApiKey {
                id: ApiKeyId::from_text(format!("APIKeys-{username}")),
                user_id: user.id.clone(),
                purpose: "A story".into(),
                created: Timestamp(self.context.clock.now()),
                expires: None,
            },
            mac: self.context.keys.mac_api_key(key.expose()),
            hint: security::api_key::hint(key.expose()),
        };
        let stored = StoredUser {
            user,
            password_hash: None,
            permissions: permissions.iter().copied().collect::<Permissions>(),
        };
        let mut session = self
            .context
            .database
            .write()
            .await
            .expect("the database can be written");
        storage::user::insert(&mut session, &stored)
            .await
            .expect("the name is free");
        storage::user::insert_key(&mut session, &key_row)
            .await
            .expect("the key is new");
        session.commit().await.expect("the database can be written");
        key.expose().to_string()
    }

    /// A request with another key than the administrator's.
    pub fn with_key(&self, method: reqwest::Method, path: &str, key: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, path).header("X-Octopus-ApiKey", key)
    }

    /// Asks as the administrator.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    /// Posts JSON as the administrator.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(reqwest::Method::POST, path).json(&body))
            .await
    }

    /// Puts JSON as the administrator.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(reqwest::Method::PUT, path).json(&body))
            .await
    }

    /// Deletes as the administrator.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::DELETE, path)).await
    }

    /// Pushes a package as one part of a form, as the clients do.
    pub async fn push(&self, query: &str, part: &str, file_name: &str, bytes: Vec<u8>) -> Answer {
        let file = reqwest::multipart::Part::bytes(bytes).file_name(file_name.to_string());
        let form = reqwest::multipart::Form::new().part(part.to_string(), file);
        let path = format!("/api/Spaces-1/packages/raw{query}");
        self.send(self.request(reqwest::Method::POST, &path).multipart(form))
            .await
    }

    /// A request of the administrator, to be sent with [`TestServer::send`].
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .header("X-Octopus-ApiKey", API_KEY)
    }

    /// A request of nobody.
    pub fn anonymous(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the Server answers");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await.expect("the answer has an end").to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status,
            body,
            bytes,
            headers,
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Answer {
    /// The body of an answer that says it went well.
    #[track_caller]
    #[must_use]
    pub fn fine(self) -> Value {
        assert!(
            self.status < 300,
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        self.body
    }

    /// All messages of an answer with this status.
    #[track_caller]
    #[must_use]
    pub fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        let listed = self.body["Errors"].as_array().cloned().unwrap_or_default();
        let mut messages: Vec<String> = listed
            .iter()
            .filter_map(|one| one.as_str().map(str::to_string))
            .collect();
        messages.extend(self.body["ErrorMessage"].as_str().map(str::to_string));
        messages.join("\n")
    }
}

async fn serve(context: Arc<Context>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a loopback port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    let service = api::router(context).map_request(api::normalise);
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move {
        axum::serve(listener, service)
            .await
            .expect("serving ends with the story");
    });
    (format!("http://{address}"), serving)
}
