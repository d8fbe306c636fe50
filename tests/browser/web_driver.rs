//! A browser at the other end of the WebDriver protocol: as much of it as the stories need.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::program::target;

/// How long the stories wait for what a page should show.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);
/// The member of an element reference that holds its id (WebDriver 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Headless Chromium with a fresh profile. It ends when this is dropped.
pub struct Browser {
    http: Client,
    session: String,
    driver: Child,
    _profile: TempDir,
}

/// A part of the page that is open.
pub struct Element<'browser> {
    browser: &'browser Browser,
    id: String,
}

impl Browser {
    /// Starts driver and browser with a window of this size in pixels.
    pub fn open(width: u32, height: u32) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        let port = port_of(&mut driver);
        let profile = tempfile::tempdir().expect("the system has a folder for temporary files");
        let http = http();
        let mut browser = Self {
            http,
            session: format!("http://127.0.0.1:{port}/session"),
            driver,
            _profile: profile,
        };
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", browser._profile.path().display()),
        ];
        let options = json!({ "args": arguments, "binary": chromium() });
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let session = browser.command(
            Method::POST,
            "",
            &json!({ "capabilities": { "alwaysMatch": wanted } }),
        );
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    /// Opens an address and waits until it is loaded.
    pub fn go(&self, url: &str) {
        self.command(Method::POST, "/url", &json!({ "url": url }));
    }

    /// The address of the page that is open.
    pub fn address(&self) -> String {
        text(&self.command(Method::GET, "/url", &Value::Null))
    }

    /// The title of the page that is open.
    pub fn title(&self) -> String {
        text(&self.command(Method::GET, "/title", &Value::Null))
    }

    /// What a script answers in the page.
    pub fn run(&self, script: &str) -> Value {
        self.command(
            Method::POST,
            "/execute/sync",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// The first element that matches the CSS selector, as soon as there is one.
    pub fn find(&self, selector: &str) -> Element<'_> {
        self.wait(selector, || {
            let found = self.find_all(selector);
            found.into_iter().next()
        })
    }

    /// All elements that match the CSS selector now.
    pub fn find_all(&self, selector: &str) -> Vec<Element<'_>> {
        let found = self.command(
            Method::POST,
            "/elements",
            &json!({ "using": "css selector", "value": selector }),
        );
        let found = found.as_array().expect("elements come as a list");
        found
            .iter()
            .map(|element| Element {
                browser: self,
                id: text(&element[ELEMENT]),
            })
            .collect()
    }

    /// Waits until the visible text of the page holds the words.
    pub fn wait_for_text(&self, words: &str) {
        self.wait(words, || self.text().contains(words).then_some(()));
    }

    /// Waits until the page at this path is open.
    pub fn wait_for_path(&self, path: &str) {
        self.wait(path, || {
            let address = self.address();
            let rest = address.splitn(4, '/').nth(3)?;
            let loaded = self.run("return document.readyState") == "complete";
            (loaded && rest == path.trim_start_matches('/')).then_some(())
        });
    }

    /// The visible text of the page.
    pub fn text(&self) -> String {
        text(&self.run("return document.body ? document.body.innerText : ''"))
    }

    /// What the page's console has said since the last look: refused resources, broken scripts, policy violations.
    pub fn console(&self) -> Vec<String> {
        let entries = self.command(Method::POST, "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("the log is a list");
        entries.iter().map(|entry| text(&entry["message"])).collect()
    }

    /// Keeps a picture of the window as `<target>/browser/<name>.png`.
    pub fn keep_picture(&self, name: &str) {
        let picture = text(&self.command(Method::GET, "/screenshot", &Value::Null));
        let bytes = STANDARD.decode(picture).expect("a picture comes as base64");
        assert!(bytes.starts_with(b"\x89PNG"), "the picture {name} is no PNG");
        let folder = target().join("browser");
        fs::create_dir_all(&folder).expect("the target folder can be written");
        fs::write(folder.join(name).with_extension("png"), bytes).expect("the picture can be written");
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if Instant::now() > deadline {
                self.keep_picture("what-was-waited-for-in-vain");
                panic!("{} did not show '{what}' but:\n{}", self.address(), self.text());
            }
            thread::sleep(PAUSE);
        }
    }

    fn command(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.session));
        let request = if method == Method::POST {
            request.json(body)
        } else {
            request
        };
        let answer = request.send().expect("the driver answers");
        let status = answer.status();
        let mut answer: Value = answer.json().expect("the driver answers with JSON");
        assert!(status.is_success(), "{method} {path}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium; the driver goes after it. A driver that is gone already has taken Chromium along.
        if self.http.delete(&self.session).send().is_err() {
            eprintln!("The driver could not be asked to end the browser.");
        }
        if self.driver.kill().is_ok() {
            self.driver.wait().expect("the driver is a child of ours");
        }
    }
}

impl Element<'_> {
    /// Brings it to the middle of the window, away from what sticks to the edges, and clicks it.
    pub fn click(&self) {
        let script = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
        self.browser.command(
            Method::POST,
            "/execute/sync",
            &json!({ "script": script, "args": [{ ELEMENT: self.id }] }),
        );
        self.command(Method::POST, "click", &json!({}));
    }

    /// Empties a field.
    pub fn clear(&self) {
        self.command(Method::POST, "clear", &json!({}));
    }

    /// Types at the end of what it holds.
    pub fn write(&self, text: &str) {
        self.command(Method::POST, "value", &json!({ "text": text }));
    }

    /// Its visible text.
    pub fn text(&self) -> String {
        text(&self.command(Method::GET, "text", &Value::Null))
    }

    fn command(&self, method: Method, what: &str, body: &Value) -> Value {
        let path = format!("/element/{}/{what}", self.id);
        self.browser.command(method, &path, body)
    }
}

/// An HTTP client for this machine, past any proxy.
pub fn http() -> Client {
    // Another story of this process may have installed it before.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap_or_else(drop);
    }
    Client::builder()
        .no_proxy()
        .timeout(PATIENCE * 3)
        .build()
        .expect("a client without a proxy can be made")
}

/// The driver says on its output which port it found.
fn port_of(driver: &mut Child) -> u16 {
    let output = driver.stdout.take().expect("the output is piped");
    let mut lines = BufReader::new(output).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // The driver must not stop at a full pipe.
    thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    port.expect("chromedriver says its port")
}

fn chromium() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join("chromium"))
        .find(|program: &PathBuf| Path::is_file(program));
    found.expect("chromium is installed")
}

fn text(value: &Value) -> String {
    value.as_str().expect("the driver answers with text").to_owned()
}
