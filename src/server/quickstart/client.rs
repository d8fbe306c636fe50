//! The REST API as the quickstart uses it.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use super::programs::Process;
use super::{Failure, until, word};

/// A client of the default space.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .no_proxy()
            .build()
            .map_err(|error| format!("no HTTP client: {error}."))?;
        Ok(Self {
            http,
            url: url.to_string(),
            key: key.to_string(),
        })
    }

    pub(crate) async fn wait_until_ready(
        &self,
        server: &mut Process,
        patience: Duration,
    ) -> Result<(), Failure> {
        let ready = format!("{}/healthz/ready", self.url);
        until(patience, "the start of the Server", async || {
            if server.check().is_err() {
                return Some(());
            }
            let answer = self.http.get(&ready).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await?;
        server.check()
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.http.get(self.at(path)), path).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.http.post(self.at(path)).json(body), path).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.http.put(self.at(path)).json(body), path).await
    }

    /// The first item of a collection.
    pub(crate) async fn first(&self, collection: &str) -> Result<Value, Failure> {
        let page = self.get(collection).await?;
        page["Items"]
            .get(0)
            .cloned()
            .ok_or_else(|| format!("the Server has no {collection}."))
    }

    pub(crate) async fn push(&self, file_name: &str, content: Vec<u8>) -> Result<(), Failure> {
        let part = reqwest::multipart::Part::bytes(content).file_name(file_name.to_string());
        let form = reqwest::multipart::Form::new().part("file", part);
        self.send(
            self.http.post(self.at("packages/raw")).multipart(form),
            "packages/raw",
        )
        .await
        .map(drop)
    }

    /// Shows the live log of a task until it ends, and gives its state.
    pub(crate) async fn follow(&self, task: &str, patience: Duration) -> Result<String, Failure> {
        let followed = tokio::time::timeout(patience, self.show_log(task)).await;
        followed.map_err(|_| format!("{task} did not end within {} s.", patience.as_secs()))??;
        let task = self.get(&format!("tasks/{task}")).await?;
        word(&task, "State")
    }

    async fn show_log(&self, task: &str) -> Result<(), Failure> {
        let path = format!("tasks/{task}/log/stream");
        let request = self
            .http
            .get(self.at(&path))
            .header("X-Octopus-ApiKey", &self.key);
        let answer = request
            .send()
            .await
            .map_err(|error| format!("{path} does not answer: {error}."))?;
        let mut chunks = answer.bytes_stream();
        let mut pending = String::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| format!("the live log of {task} broke off: {error}."))?;
            pending.push_str(&String::from_utf8_lossy(&chunk));
            while let Some(end) = pending.find('\n') {
                let line: String = pending.drain(..=end).collect();
                if let Some(data) = line.trim_end().strip_prefix("data:")
                    && let Ok(event) = serde_json::from_str::<Value>(data.trim())
                {
                    show(&event);
                }
            }
        }
        Ok(())
    }

    async fn send(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Value, Failure> {
        let answer = request
            .header("X-Octopus-ApiKey", &self.key)
            .send()
            .await
            .map_err(|error| format!("{path} does not answer: {error}."))?;
        let status = answer.status();
        let text = answer
            .text()
            .await
            .map_err(|error| format!("the answer of {path} broke off: {error}."))?;
        if !status.is_success() {
            return Err(format!("{path} answered {status}: {text}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("the answer of {path} is not JSON: {error}."))
    }

    fn at(&self, path: &str) -> String {
        format!("{}/api/Spaces-1/{path}", self.url)
    }
}

/// One event of the log; details stay in the portal.
fn show(event: &Value) {
    let text = event["Text"].as_str().unwrap_or_default();
    match event["Kind"].as_str() {
        Some("Open") if event["Status"] == "Pending" => {}
        Some("Open") => println!("    {text}"),
        Some("Line") if matches!(event["Category"].as_str(), Some("Verbose" | "Trace")) => {}
        Some("Line") => println!("      {text}"),
        _ => {}
    }
}
