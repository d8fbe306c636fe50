//! The two agents of the quickstart, set up with the commands that people use.

use std::path::PathBuf;
use std::time::Duration;

use super::programs::{Process, Program, Programs};
use super::{Failure, Home, text, until};

/// Who connects to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Listening,
    Polling,
}

impl Mode {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Polling => "polling",
        }
    }
}

/// One agent.
pub(crate) struct Agent {
    pub(crate) name: &'static str,
    pub(crate) environment: &'static str,
    pub(crate) role: &'static str,
    pub(crate) mode: Mode,
    pub(crate) home: Home,
    pub(crate) port: u16,
}

impl Agent {
    /// Where it puts what is deployed.
    pub(crate) fn applications(&self) -> PathBuf {
        self.home.join("Applications")
    }

    /// Makes its instance, starts it and registers it.
    pub(crate) async fn start(
        &self,
        programs: &Programs,
        url: &str,
        communications: u16,
        key: &str,
    ) -> Result<Process, Failure> {
        std::fs::create_dir_all(&self.home)
            .map_err(|error| format!("{} cannot be made: {error}.", self.home.display()))?;
        let config = text(&self.home.join("tentacle.config"));
        let environment = [(
            "TentacleMachineConfigurationHomeDirectory",
            text(&self.home.join("machine")),
        )];
        let config_option = format!("--config={config}");
        let run = async |arguments: &[&str]| {
            let mut all = arguments.to_vec();
            all.push(&config_option);
            programs
                .run_to_end(Program::Agent, &all, &environment, &self.home)
                .await
        };
        run(&[
            "create-instance",
            &format!("--instance={}", self.name),
            &format!("--home={}", text(&self.home)),
        ])
        .await?;
        run(&["new-certificate", "--if-blank"]).await?;
        let applications = format!("--app={}", text(&self.applications()));
        match self.mode {
            Mode::Listening => {
                let port = format!("--port={}", self.port);
                run(&["configure", &applications, &port, "--listenIpAddress=127.0.0.1"]).await?;
            }
            Mode::Polling => run(&["configure", &applications, "--noListen=True"]).await?,
        }
        let mut register = vec![
            "register-with".to_string(),
            format!("--server={url}"),
            format!("--apiKey={key}"),
            format!("--name={}", self.name),
            format!("--environment={}", self.environment),
            format!("--role={}", self.role),
            "--force".to_string(),
        ];
        register.extend(match self.mode {
            Mode::Listening => vec![
                "--comms-style=TentaclePassive".to_string(),
                "--publicHostName=127.0.0.1".to_string(),
                format!("--tentacle-comms-port={}", self.port),
            ],
            Mode::Polling => {
                vec![
                    "--comms-style=TentacleActive".to_string(),
                    format!("--server-comms-port={communications}"),
                ]
            }
        });
        run(&register.iter().map(String::as_str).collect::<Vec<_>>()).await?;

        let log = self.home.join("agent.log");
        let mut process = programs.start(
            Program::Agent,
            &["agent", &config_option, "--noninteractive"],
            &environment,
            &log,
        )?;
        if self.mode == Mode::Listening {
            let address = format!("127.0.0.1:{}", self.port);
            until(
                Duration::from_secs(30),
                &format!("{} answering on {address}", self.name),
                async || {
                    if process.check().is_err() {
                        return Some(());
                    }
                    tokio::net::TcpStream::connect(&address)
                        .await
                        .is_ok()
                        .then_some(())
                },
            )
            .await?;
        }
        process.check()?;
        Ok(process)
    }
}
