//! The agent image: configure, register, serve, and deregister on the way out (`containers.md` 3).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use settings::{AgentSettings, CommunicationMode, Environment, ExitCode, Program};

use crate::environment::of_child;
use crate::log::Log;
use crate::registration::{self, Record};
use crate::supervisor::{Child, Supervisor, SupervisorError, Woken};

/// The product's program.
const TENTACLE: &str = "tentacle";
/// Settings file, certificate, trust, state of scripts.
const STATE_FOLDER: &str = "/agent";
const SETTINGS_FILE: &str = "/agent/tentacle.config";
const APPLICATIONS_FOLDER: &str = "/applications";
/// Kept by the agent's program: it can deregister this machine and nothing else.
const DEREGISTRATION_TOKEN: &str = "deregistration-token";
/// What the serving agent reads. No credential is among it.
const FOR_AGENT: &[&str] = &[
    "LOG_FORMAT",
    "SHUTDOWN_GRACE_SECONDS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];
const CREDENTIALS: &[&str] = &["ServerApiKey", "BearerToken", "ServerUsername", "ServerPassword"];
/// What registering reads beside its words.
const FOR_REGISTRATION: &[&str] = &[
    "ForceTakeOver",
    "Ephemeral",
    "PublicHostNameConfiguration",
    "RegistrationRetrySeconds",
    "LOG_FORMAT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];
/// The part of the stop budget that is kept for deregistration when the agent does not end by itself.
const FOR_DEREGISTRATION: Duration = Duration::from_millis(1500);

/// Runs the agent until it ends or is stopped.
pub(crate) fn run(supervisor: &mut Supervisor) -> Result<i32, SupervisorError> {
    let environment = Environment::of_process(Program::Agent);
    let settings = match environment.agent() {
        Ok(settings) => settings,
        Err(problems) => return Ok(crate::refuse(&environment, &problems)),
    };
    let log = Log(settings.log_format);
    environment.notes().iter().for_each(|note| log.note(note));
    let state = PathBuf::from(STATE_FOLDER);
    let agent = Agent {
        environment: &environment,
        settings: &settings,
        log,
        state: &state,
    };
    agent.run(supervisor)
}

struct Agent<'a> {
    environment: &'a Environment,
    settings: &'a AgentSettings,
    log: Log,
    state: &'a Path,
}

/// Where the registration stands.
enum Registration {
    Running(Child),
    Waiting { until: Instant, wait: Duration },
    Done,
}

impl Agent<'_> {
    fn run(&self, supervisor: &mut Supervisor) -> Result<i32, SupervisorError> {
        let registered = Record::load(self.state);
        let trusts = self.settings.server_thumbprint.is_some();
        let missing = self.settings.missing_for_registration();
        if registered.is_none() && !trusts && !missing.is_empty() {
            missing.iter().for_each(|line| self.log.error(line));
            return Ok(ExitCode::Configuration as i32);
        }
        let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = self.settings.name.clone().unwrap_or_else(|| node.clone());
        if self.settings.name.is_none() && registration::is_random_name(&name) {
            let text = format!(
                "TargetName is not set, and the host name {name} looks like a container's random one: \
                 each new container would be another machine. Set TargetName, or give the container a host name."
            );
            self.log.warning(&text);
        }
        let host = match &self.settings.mode {
            CommunicationMode::Listening { host, .. } => registration::public_host(host, &node),
            CommunicationMode::Polling { .. } => Ok(None),
        };
        let host = match host {
            Ok(host) => host,
            Err(problem) => {
                self.log.error(&problem);
                return Ok(ExitCode::Configuration as i32);
            }
        };
        for words in self.configuration() {
            let code = self.command(supervisor, &words, &["TentacleCertificateBase64"])?;
            if supervisor.stop().is_some() || code != ExitCode::Success as i32 {
                return Ok(if supervisor.stop().is_some() {
                    ExitCode::Success as i32
                } else {
                    code
                });
            }
        }
        self.log.info("Configuration successful.");

        let record = Record::of(self.settings, &name);
        if let Some(last) = &registered {
            record
                .changed_since(last)
                .iter()
                .for_each(|line| self.log.info(line));
        }
        let words = self.registration(&name, host.as_deref(), registered.as_ref() == Some(&record));
        self.serve(
            supervisor,
            words,
            &record,
            registered.is_some() || (trusts && !missing.is_empty()),
        )
    }

    /// The commands that a manual would give, in its order; each of them may be repeated.
    fn configuration(&self) -> Vec<Vec<String>> {
        let command = |words: &[String]| {
            let mut all = vec![words[0].clone(), "--instance=Tentacle".to_owned()];
            all.extend_from_slice(&words[1..]);
            all
        };
        let create = [
            "create-instance".to_owned(),
            format!("--config={SETTINGS_FILE}"),
            format!("--home={STATE_FOLDER}"),
        ];
        let certificate = if self.settings.certificate.is_some() {
            vec!["import-certificate".to_owned()]
        } else {
            vec!["new-certificate".to_owned(), "--if-blank".to_owned()]
        };
        let mut configure = vec!["configure".to_owned(), format!("--app={APPLICATIONS_FOLDER}")];
        configure.push(format!("--port={}", self.settings.internal_port));
        let any = "any".to_owned();
        let address = self
            .settings
            .listening_address
            .map_or(any, |address| address.to_string());
        configure.push(format!("--listenIpAddress={address}"));
        let is_polling = matches!(self.settings.mode, CommunicationMode::Polling { .. });
        configure.push(format!(
            "--noListen={}",
            if is_polling { "True" } else { "False" }
        ));
        if let CommunicationMode::Polling {
            connections: Some(connections),
            ..
        } = self.settings.mode
        {
            configure.push(format!("--pollingConnectionCount={connections}"));
        }
        let mut commands = vec![command(&create), command(&certificate), command(&configure)];
        commands.extend(self.trust().map(|words| command(&words)));
        commands
    }

    /// With ServerThumbprint: trust that Server without asking it anything.
    fn trust(&self) -> Option<Vec<String>> {
        let thumbprint = self.settings.server_thumbprint.as_ref()?;
        Some(match &self.settings.mode {
            CommunicationMode::Listening { .. } => {
                vec!["configure".to_owned(), format!("--trust={thumbprint}")]
            }
            CommunicationMode::Polling { address, port, .. } => {
                let url = address.as_ref().or(self.settings.server_url.as_ref());
                let host = url.map(|url| host_of(url)).unwrap_or_default();
                vec![
                    "server-comms".to_owned(),
                    format!("--thumbprint={thumbprint}"),
                    "--style=TentacleActive".to_owned(),
                    format!("--host={host}"),
                    format!("--port={port}"),
                ]
            }
        })
    }

    /// `None` when something for it is missing: an agent that registered before just serves.
    fn registration(&self, name: &str, host: Option<&str>, is_unchanged: bool) -> Option<Vec<String>> {
        let server = self.settings.server_url.as_deref()?;
        if !self.settings.missing_for_registration().is_empty() {
            return None;
        }
        let mut words = registration::words(self.settings, server, name, host);
        if is_unchanged {
            words.push("--keep-existing".to_owned());
        }
        Some(words)
    }

    /// The first registration comes before the agent serves; a repeated one runs beside it, without end.
    fn serve(
        &self,
        supervisor: &mut Supervisor,
        words: Option<Vec<String>>,
        record: &Record,
        at_once: bool,
    ) -> Result<i32, SupervisorError> {
        let started = Instant::now();
        let limit = started + Duration::from_secs(u64::from(self.settings.registration_retry_seconds));
        let mut wait = registration::FIRST_WAIT;
        let mut state = match &words {
            Some(words) => Registration::Running(self.start_registration(supervisor, words)?),
            None => Registration::Done,
        };
        let at_once = at_once || words.is_none();
        let mut agent = if at_once {
            Some(self.start_agent(supervisor)?)
        } else {
            None
        };
        loop {
            let until = match state {
                Registration::Waiting { until, .. } => Some(until),
                _ => None,
            };
            match (supervisor.wait(until), &state) {
                (Woken::Stop, _) => {
                    if let Registration::Running(child) = state {
                        supervisor.signal(child, rustix::process::Signal::KILL);
                    }
                    return self.stop(supervisor, agent);
                }
                (Woken::Ended(child, code), _) if Some(child) == agent => return Ok(code),
                (Woken::Ended(child, code), Registration::Running(running)) if child == *running => {
                    if code == ExitCode::Success as i32 {
                        if let Err(error) = record.save(self.state) {
                            let folder = self.state.display();
                            self.log.error(&format!(
                                "{folder} cannot be written: {error}; mount it writable for this user."
                            ));
                            return Ok(ExitCode::Folder as i32);
                        }
                        state = Registration::Done;
                        if agent.is_none() {
                            agent = Some(self.start_agent(supervisor)?);
                        }
                        continue;
                    }
                    let until = Instant::now() + wait;
                    let is_unreachable = code == ExitCode::ServerUnreachable as i32;
                    if !is_unreachable || (!at_once && until > limit) {
                        return self.give_up(supervisor, agent, code);
                    }
                    self.log.warning(&format!(
                        "The registration is tried again in {} s.",
                        wait.as_secs()
                    ));
                    state = Registration::Waiting { until, wait };
                }
                (Woken::Timeout, Registration::Waiting { wait: last, .. }) => {
                    wait = registration::next_wait(*last);
                    let words = words.as_deref().unwrap_or_default();
                    state = Registration::Running(self.start_registration(supervisor, words)?);
                }
                _ => {}
            }
        }
    }

    /// The registration failed for good: what already serves is ended, so that the mistake is seen.
    fn give_up(
        &self,
        supervisor: &mut Supervisor,
        agent: Option<Child>,
        code: i32,
    ) -> Result<i32, SupervisorError> {
        if let Some(agent) = agent {
            supervisor.signal(agent, rustix::process::Signal::TERM);
            supervisor.finish_until(agent, Instant::now() + self.grace());
        }
        Ok(code)
    }

    /// The agent ends first, within the budget; deregistration is last and best effort.
    fn stop(&self, supervisor: &mut Supervisor, agent: Option<Child>) -> Result<i32, SupervisorError> {
        let asked_at = supervisor.stop().map_or_else(Instant::now, |stop| stop.at);
        let end = asked_at + self.grace();
        let mut code = ExitCode::Success as i32;
        if let Some(agent) = agent {
            self.log.info("Received SIGTERM");
            supervisor.forward_stop(agent);
            let reserve = FOR_DEREGISTRATION.min(self.grace() / 4);
            let ended = supervisor.finish_until(agent, end - reserve);
            code = ended.filter(|code| *code < 128).unwrap_or_default();
        }
        if let Some(at_once) = supervisor.stop().and_then(|stop| stop.at_once) {
            return Ok(at_once);
        }
        if self.settings.deregister_on_stop {
            self.deregister(supervisor, end)?;
        }
        Ok(supervisor.stop().and_then(|stop| stop.at_once).unwrap_or(code))
    }

    fn deregister(&self, supervisor: &mut Supervisor, end: Instant) -> Result<(), SupervisorError> {
        let Some(server) = &self.settings.server_url else {
            return Ok(());
        };
        if Record::load(self.state).is_none() {
            return Ok(());
        }
        let has_token = self.state.join(DEREGISTRATION_TOKEN).exists();
        if !has_token && self.settings.credential.is_none() {
            self.log
                .info("Not deregistered: the Server gave no token for it, and no credential is set.");
            return Ok(());
        }
        let mut words = vec![
            "deregister-from".to_owned(),
            "--instance=Tentacle".to_owned(),
            format!("--server={server}"),
        ];
        if let Some(space) = &self.settings.space {
            words.push(format!("--space={space}"));
        }
        let credentials: &[&str] = if has_token { &[] } else { CREDENTIALS };
        let names = [FOR_REGISTRATION, credentials].concat();
        let child = self.start(supervisor, &words, &names)?;
        if supervisor.finish_until(child, end) != Some(ExitCode::Success as i32) {
            self.log
                .warning("The machine could not be deregistered in time; the Server will see it as offline.");
        }
        Ok(())
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.shutdown_grace_seconds))
    }

    fn start_agent(&self, supervisor: &mut Supervisor) -> Result<Child, SupervisorError> {
        self.log.info(&format!(
            "The agent starts in communication mode '{}'.",
            self.settings.mode.word()
        ));
        let words = ["agent", "--instance=Tentacle", "--noninteractive"].map(str::to_owned);
        self.start(supervisor, &words, FOR_AGENT)
    }

    fn start_registration(
        &self,
        supervisor: &mut Supervisor,
        words: &[String],
    ) -> Result<Child, SupervisorError> {
        self.start(supervisor, words, &[FOR_REGISTRATION, CREDENTIALS].concat())
    }

    fn command(
        &self,
        supervisor: &mut Supervisor,
        words: &[String],
        names: &[&str],
    ) -> Result<i32, SupervisorError> {
        let child = self.start(supervisor, words, names)?;
        Ok(supervisor.finish(child))
    }

    fn start(
        &self,
        supervisor: &mut Supervisor,
        words: &[String],
        names: &[&str],
    ) -> Result<Child, SupervisorError> {
        supervisor.start(
            TENTACLE,
            words,
            &of_child(self.environment, self.environment.canonical_of(names)),
        )
    }
}

/// The host of a checked address.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_host_of_an_address() {
        assert_eq!(
            super::host_of("https://mantle.example.com:10943"),
            "mantle.example.com"
        );
        assert_eq!(super::host_of("http://server/x"), "server");
        assert_eq!(super::host_of("http://[::1]"), "[::1]");
    }
}
