//! One agent of a story, set up with the commands that people use.

use std::path::PathBuf;

use crate::program::{Process, run_to_end};

/// Who connects to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The Server connects.
    Listening,
    /// The agent connects.
    Polling,
}

/// An agent.
pub struct Agent {
    /// Its name, which is also its machine's.
    pub name: &'static str,
    /// Its folder.
    pub home: PathBuf,
    process: Option<Process>,
}

/// The Server as an agent knows it.
pub struct ServerAddress {
    /// Of the API.
    pub url: String,
    /// For polling agents.
    pub communications: u16,
    /// Of the administrator.
    pub key: String,
}

impl Agent {
    /// Makes its instance and registers it in the environment `Story` with the role `web`.
    pub fn register(
        name: &'static str,
        mode: Mode,
        home: PathBuf,
        server: &ServerAddress,
        port: u16,
    ) -> Self {
        std::fs::create_dir_all(&home).expect("the story's folder is writable");
        let agent = Self {
            name,
            home,
            process: None,
        };
        let run = |words: &[String]| run_to_end("agent", &agent.arguments(words), &agent.environment());
        run(&[
            "create-instance".into(),
            format!("--instance={name}"),
            format!("--home={}", agent.home.display()),
        ]);
        run(&["new-certificate".into(), "--if-blank".into()]);
        let applications = format!("--app={}", agent.home.join("Applications").display());
        let (listen, register): (Vec<String>, Vec<String>) = match mode {
            Mode::Listening => (
                vec![format!("--port={port}"), "--listenIpAddress=127.0.0.1".into()],
                vec![
                    "--comms-style=TentaclePassive".into(),
                    "--publicHostName=127.0.0.1".into(),
                    format!("--tentacle-comms-port={port}"),
                ],
            ),
            Mode::Polling => (
                vec!["--noListen=True".into()],
                vec![
                    "--comms-style=TentacleActive".into(),
                    format!("--server-comms-port={}", server.communications),
                ],
            ),
        };
        run(&[vec!["configure".to_owned(), applications], listen].concat());
        let common = vec![
            "register-with".to_owned(),
            format!("--server={}", server.url),
            format!("--apiKey={}", server.key),
            format!("--name={name}"),
            "--environment=Story".into(),
            "--role=web".into(),
            "--force".into(),
        ];
        run(&[common, register].concat());
        agent
    }

    /// Starts it.
    pub fn start(&mut self) {
        let words = self.arguments(&["agent".into(), "--noninteractive".into()]);
        self.process = Some(Process::start(
            "agent",
            &words,
            &self.environment(),
            &self.home.join("agent.log"),
        ));
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    fn arguments(&self, words: &[String]) -> Vec<String> {
        let mut all = words.to_vec();
        all.push(format!(
            "--config={}",
            self.home.join("tentacle.config").display()
        ));
        all
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![(
            "TentacleMachineConfigurationHomeDirectory",
            self.home.join("machine").display().to_string(),
        )]
    }
}
