//! Looks after machines (`deployments.md` 12.1).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::script_service::IsolationLevel;
use contracts::{ProcessState, ScriptTicket, StartScriptCommand};
use domain::machine::{HealthStatus, Machine};
use domain::machine_policy::{
    HealthCheckRunType, HealthCheckType, MachineConnectivityBehavior, MachinePolicy, ShellHealthCheckPolicy,
};
use files::task_logs::Status;
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use storage::machine::Health;

use super::Work;
use crate::error::{Error, Result};
use crate::execution::polling::Pauses;
use crate::execution::script_body::quote;
use crate::execution::ticket;
use crate::log::block;
use crate::log::output::OutputReader;
use crate::transport::{Answer, Transport, TransportError, retry};

/// How long the check of one machine may take.
const MACHINE_TIME: Duration = Duration::from_secs(300);

/// How long a machine that does not answer is tried: an agent that registers needs a moment to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a machine said about itself.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    operating_system: String,
    shell_version: String,
    processor: String,
    agent_version: String,
    runner: bool,
    whole: bool,
}

/// Checks the machines of the task.
///
/// # Errors
/// When the lease is lost, or the Server's own database or volume fails.
pub async fn run(work: &Work) -> Result<()> {
    let space = work.space()?.clone();
    let mut session = work.context.database.read().await?;
    let mut machines = storage::machine::all(&mut session, &space).await?;
    let policies: Vec<MachinePolicy> = storage::named::all(&mut session, &space).await?;
    drop(session);
    if let Some(Value::Array(ids)) = work.task.arguments.get("MachineIds") {
        machines.retain(|machine| ids.iter().any(|id| id.as_str() == Some(machine.id.as_str())));
    }
    machines.retain(|machine| !machine.is_disabled);
    let together = std::thread::available_parallelism().map_or(2, |count| (2 * count.get()).clamp(2, 32));
    let mut checks = Vec::new();
    for machine in &machines {
        checks.push(check(work, machine, &policies));
    }
    let statuses: Vec<Result<(Status, Option<String>)>> =
        stream::iter(checks).buffer_unordered(together).collect().await;
    let mut error = None;
    for status in statuses {
        error = error.or(status?.1);
    }
    let cancelled = work.stop.cancelling.is_cancelled();
    work.finish(work.ending(error, cancelled).await?).await
}

/// Checks one machine and keeps the verdict; the second part of the answer is what makes the task fail.
async fn check(
    work: &Work,
    machine: &Machine,
    policies: &[MachinePolicy],
) -> Result<(Status, Option<String>)> {
    let root = work.root();
    let own_block = block::child(&root, machine.id.as_str());
    let title = format!("Check the health of {}", machine.name);
    work.log.begin(&own_block, Some(&root), &title)?;
    if work.stop.cancelling.is_cancelled() {
        work.log.end(&own_block, Status::Canceled)?;
        return Ok((Status::Canceled, None));
    }
    let policy = policies
        .iter()
        .find(|policy| policy.id == machine.machine_policy_id);
    let policy = policy.or_else(|| policies.iter().find(|policy| policy.is_default));
    let limit = time_limit(work);
    let looked = tokio::select! {
        looked = tokio::time::timeout(limit, look(work, machine, policy, policies, &own_block)) => looked,
        () = work.stop.lost.cancelled() => return Err(Error::LeaseLost),
        () = work.stop.cancelling.cancelled() => {
            work.log.end(&own_block, Status::Canceled)?;
            return Ok((Status::Canceled, None));
        }
    };
    let health = match looked {
        Ok(health) => health?,
        Err(_) => unavailable(
            machine,
            &format!("The machine did not answer within {} s.", limit.as_secs()),
        ),
    };
    let (status, error) = match health.status {
        HealthStatus::Healthy | HealthStatus::Unknown => {
            work.log.info(&own_block, &health.summary)?;
            (Status::Success, None)
        }
        HealthStatus::HasWarnings => {
            work.log.warning(&own_block, &health.summary)?;
            (Status::SuccessWithWarning, None)
        }
        HealthStatus::Unhealthy | HealthStatus::Unavailable => {
            let may_be_away = policy.is_some_and(|policy| {
                policy.machine_connectivity_policy.machine_connectivity_behavior
                    == MachineConnectivityBehavior::MayBeOfflineAndCanBeSkipped
            });
            if may_be_away && health.status == HealthStatus::Unavailable {
                work.log.warning(&own_block, &health.summary)?;
                (Status::SuccessWithWarning, None)
            } else {
                work.log.error(&own_block, &health.summary)?;
                (
                    Status::Failed,
                    Some(format!(
                        "The machine '{}' is {}: {}",
                        machine.name, health.status, health.summary
                    )),
                )
            }
        }
    };
    let now = work.context.clock.now();
    let mut session = work.write().await?;
    let kept = storage::machine::save_health(&mut session, &machine.id, &health, now).await;
    match kept {
        Ok(()) => session.commit().await?,
        // It was deleted while it was looked at.
        Err(error @ storage::Error::Unavailable { .. }) => return Err(error.into()),
        Err(error) => tracing::info!(machine = %machine.id, %error, "the health of a machine was not kept"),
    }
    work.log.end(&own_block, status)?;
    Ok((status, error))
}

/// How long each machine may take: what whoever started the check said, at most [`MACHINE_TIME`].
fn time_limit(work: &Work) -> Duration {
    let said = work.task.arguments.get("Timeout").and_then(Value::as_str);
    let said = said.and_then(|text| text.parse::<domain::TimeSpan>().ok());
    let said = said
        .and_then(|span| u64::try_from(span.0).ok())
        .filter(|span| *span > 0);
    said.map_or(MACHINE_TIME, |span| Duration::from_millis(span).min(MACHINE_TIME))
}

async fn look(
    work: &Work,
    machine: &Machine,
    policy: Option<&MachinePolicy>,
    policies: &[MachinePolicy],
    block: &str,
) -> Result<Health> {
    let Some(connection) = machine.endpoint.connection() else {
        return Ok(unavailable(
            machine,
            "The machine is reached in a way that this Server cannot use yet.",
        ));
    };
    let transport = match work.means.transports.to(Some(&connection)) {
        Ok(transport) => transport,
        Err(text) => return Ok(unavailable(machine, &text)),
    };
    let only_connect = policy.is_some_and(|policy| {
        let check = &policy.machine_health_check_policy;
        check.health_check_type == HealthCheckType::OnlyConnectivity
            || check.bash_health_check_policy.run_type == HealthCheckRunType::OnlyConnectivity
    });
    let expected = work.means.runners.find(known_processor(machine)).await;
    let place = expected
        .as_ref()
        .map(crate::execution::runner::Runner::place)
        .unwrap_or_default();
    let script = if only_connect {
        "#!/bin/bash\nexit 0\n".to_owned()
    } else {
        question(&place)
    };
    let (lines, code) = match ask(work, machine, &*transport, "facts", &script, None).await? {
        Ok(answer) => answer,
        Err(error) => return Ok(told(machine, &error)),
    };
    if only_connect {
        let summary = "The machine can be reached.".to_owned();
        return Ok(Health {
            status: HealthStatus::Healthy,
            summary,
            ..before(machine)
        });
    }
    let facts = facts(&lines);
    if !facts.whole {
        let said: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .filter(|line| !line.trim().is_empty())
            .take(3)
            .collect();
        let summary = format!(
            "The health check script ended with exit code {code} and said: {}",
            said.join(" / ")
        );
        return Ok(Health {
            status: HealthStatus::Unhealthy,
            summary,
            ..before(machine)
        });
    }
    work.log.verbose(
        block,
        &format!(
            "{}, {}, bash {}",
            facts.operating_system, facts.processor, facts.shell_version
        ),
    )?;
    let mut health = Health {
        status: HealthStatus::Healthy,
        summary: "The machine is healthy.".into(),
        has_latest_calamari: facts.runner,
        operating_system: facts.operating_system,
        shell_name: "Bash".into(),
        shell_version: facts.shell_version,
        architecture: facts.processor,
        agent_version: facts.agent_version,
    };
    match work.means.runners.find(&health.architecture).await {
        Err(text) => {
            health.status = HealthStatus::HasWarnings;
            health.summary = format!("Nothing can be deployed to the machine. {text}");
        }
        Ok(runner) => {
            health.has_latest_calamari &= expected.as_ref() == Ok(&runner);
            if !health.has_latest_calamari {
                health.status = HealthStatus::HasWarnings;
                health.summary =
                    "The runner (calamari) is missing or not the one of this Server. It is sent with the next deployment.".into();
            }
        }
    }
    if let Some(own) = own_script(policy, policies) {
        own_check(work, machine, &*transport, own, block, &mut health).await?;
    }
    Ok(health)
}

/// Runs the script of the machine's policy: a warning or an exit code other than 0 counts.
async fn own_check(
    work: &Work,
    machine: &Machine,
    transport: &dyn Transport,
    script: &str,
    block: &str,
    health: &mut Health,
) -> Result<()> {
    let mut reader = OutputReader::default();
    let (_, code) = match ask(
        work,
        machine,
        transport,
        "policy",
        script,
        Some((block, &mut reader)),
    )
    .await?
    {
        Ok(answer) => answer,
        Err(error) => {
            *health = told(machine, &error);
            return Ok(());
        }
    };
    if code != 0 {
        health.status = HealthStatus::Unhealthy;
        health.summary = format!("The script of the machine policy ended with exit code {code}.");
    } else if reader.has_warned() && health.status == HealthStatus::Healthy {
        health.status = HealthStatus::HasWarnings;
        health.summary = "The script of the machine policy printed warnings.".into();
    }
    Ok(())
}

/// Runs a short script to its end and gives its lines and its exit code.
async fn ask(
    work: &Work,
    machine: &Machine,
    transport: &dyn Transport,
    name: &str,
    script: &str,
    mut shown: Option<(&str, &mut OutputReader)>,
) -> Result<Answer<(Vec<String>, i32)>> {
    // Each executor asks anew: a question can be asked twice.
    let name = ticket::derive(
        work.task.id.as_str(),
        &format!("{name} {}", work.epoch),
        machine.id.as_str(),
        1,
    );
    let ticket = ScriptTicket::parse(&name).map_err(|error| Error::Broken(error.to_string()))?;
    let mut command = StartScriptCommand::new(ticket.clone(), work.task.id.as_str(), script);
    command.isolation = IsolationLevel::No;
    command.wait = Some(Duration::from_millis(500));
    let cancel = &work.stop.lost;
    let patience = work.means.patience.min(PATIENCE);
    let own_block = block::child(&work.root(), machine.id.as_str());
    let tried_again = |why: &TransportError| work.log.tried_again(&own_block, &machine.name, why);
    let mut answer = retry::repeat(patience, cancel, tried_again, || {
        transport.start(&command, cancel)
    })
    .await;
    let (mut lines, mut pauses, mut after) = (Vec::new(), Pauses::default(), 0);
    loop {
        let status = match answer {
            Ok(status) => status,
            Err(error) => return Ok(Err(error)),
        };
        after = status.next_log_sequence.max(after);
        if let Some((block, reader)) = &mut shown {
            work.log.script_lines(block, &name, reader, &status.logs, after)?;
        }
        let news = !status.logs.is_empty();
        lines.extend(status.logs.into_iter().map(|line| line.text));
        if status.state == ProcessState::Complete {
            if let Err(error) = transport.complete(&ticket, cancel).await {
                tracing::info!(machine = %machine.id, %error, "a script was not cleaned up");
            }
            return Ok(Ok((lines, status.exit_code)));
        }
        tokio::time::sleep(pauses.after(news)).await;
        answer = retry::repeat(patience, cancel, tried_again, || {
            transport.status(&ticket, after, cancel)
        })
        .await;
    }
}

fn own_script<'a>(policy: Option<&'a MachinePolicy>, policies: &'a [MachinePolicy]) -> Option<&'a str> {
    fn of(policy: &MachinePolicy) -> &ShellHealthCheckPolicy {
        &policy.machine_health_check_policy.bash_health_check_policy
    }
    let own = of(policy?);
    let chosen = match own.run_type {
        HealthCheckRunType::Inline => own,
        HealthCheckRunType::InheritFromDefault => of(policies.iter().find(|policy| policy.is_default)?),
        HealthCheckRunType::OnlyConnectivity => return None,
    };
    chosen
        .script_body
        .as_deref()
        .filter(|body| !body.trim().is_empty())
}

fn known_processor(machine: &Machine) -> &str {
    if machine.architecture.is_empty() {
        std::env::consts::ARCH
    } else {
        &machine.architecture
    }
}

/// The script that lets a machine speak of itself. It needs nothing but bash and what stands on every system.
fn question(runner: &str) -> String {
    format!(
        "#!/bin/bash\n\
         fact() {{ printf 'mantle-fact %s %s\\n' \"$1\" \"$(printf %s \"$2\" | base64 | tr -d '\\n')\"; }}\n\
         name=$( . /etc/os-release 2>/dev/null && printf %s \"$PRETTY_NAME\" )\n\
         fact os \"${{name:-$(uname -sr)}}\"\n\
         fact processor \"$(uname -m)\"\n\
         fact bash \"$BASH_VERSION\"\n\
         fact agent \"${{TentacleVersion:-}}\"\n\
         if [ -f \"${{TentacleHome:-}}\"/{} ]; then fact runner yes; fi\n\
         echo mantle-end\n",
        quote(runner)
    )
}

fn facts(lines: &[String]) -> Facts {
    let mut facts = Facts::default();
    for line in lines {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("mantle-fact"), Some(name), value) => {
                let value = value
                    .and_then(|value| STANDARD.decode(value).ok())
                    .unwrap_or_default();
                let text: String = String::from_utf8_lossy(&value)
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(200)
                    .collect();
                match name {
                    "os" => facts.operating_system = text,
                    "processor" => facts.processor = text,
                    "bash" => facts.shell_version = text,
                    "agent" => facts.agent_version = text,
                    "runner" => facts.runner = true,
                    _ => {}
                }
            }
            (Some("mantle-end"), None, None) => facts.whole = true,
            _ => {}
        }
    }
    facts
}

fn told(machine: &Machine, error: &TransportError) -> Health {
    match error {
        TransportError::Refused(text) => Health {
            status: HealthStatus::Unhealthy,
            summary: text.clone(),
            ..before(machine)
        },
        other => unavailable(machine, &other.to_string()),
    }
}

fn unavailable(machine: &Machine, summary: &str) -> Health {
    Health {
        status: HealthStatus::Unavailable,
        summary: summary.into(),
        ..before(machine)
    }
}

/// What was known before: a machine that does not answer is still what it was.
fn before(machine: &Machine) -> Health {
    let details = machine.endpoint.tentacle_version_details.as_ref();
    Health {
        status: HealthStatus::Unknown,
        summary: String::new(),
        has_latest_calamari: machine.has_latest_calamari,
        operating_system: machine.operating_system.clone(),
        shell_name: machine.shell_name.clone(),
        shell_version: machine.shell_version.clone(),
        architecture: machine.architecture.clone(),
        agent_version: details
            .and_then(|details| details.version.clone())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_machine_speaks_of_itself_with_and_without_the_runner() {
        let home = tempfile::tempdir().unwrap();
        let ask = || {
            let output = std::process::Command::new("/bin/bash")
                .arg("-c")
                .arg(question("Tools/run'ner"))
                .env("TentacleHome", home.path())
                .env("TentacleVersion", "1.2.3")
                .output()
                .unwrap();
            let lines: Vec<String> = String::from_utf8(output.stdout)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect();
            facts(&lines)
        };
        let found = ask();
        assert!(
            found.whole
                && !found.runner
                && !found.operating_system.is_empty()
                && !found.shell_version.is_empty()
        );
        assert_eq!(
            (found.agent_version.as_str(), found.processor.as_str()),
            ("1.2.3", std::env::consts::ARCH)
        );
        std::fs::create_dir(home.path().join("Tools")).unwrap();
        std::fs::write(home.path().join("Tools/run'ner"), "").unwrap();
        assert!(ask().runner);
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(lines in proptest::collection::vec("(mantle-fact |mantle-end)?[a-z0-9= ]{0,20}", 0..8)) {
            prop_assert!(facts(&lines).operating_system.len() <= 1000);
        }
    }
}
