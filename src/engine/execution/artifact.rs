//! Files that a script wants to be kept (`deployments.md` 8.9). What cannot be fetched is a warning, never a failure.

use contracts::ScriptTicket;
use domain::artifact::Artifact;
use domain::planning::Target;
use domain::{ArtifactId, Timestamp};
use files::Spooled;
use halibut::DataStream;

use super::Execution;
use super::script::Ended;
use crate::error::{Error, Result};
use crate::fault;
use crate::log::output::Output;
use crate::transport::{Transport, retry};

/// How many files one script may leave.
const MOST: usize = 1000;

/// Why a file was not collected.
struct Unfetched {
    why: String,
    /// The machine does not answer, nor will it for the next file.
    is_away: bool,
}

impl From<String> for Unfetched {
    fn from(why: String) -> Self {
        Self { why, is_away: false }
    }
}

impl Execution {
    /// Fetches the files that a script named, in their order. A script that is followed a second time, by another executor,
    /// leaves each file once.
    pub(super) async fn collect(
        &self,
        transport: &dyn Transport,
        ticket: &ScriptTicket,
        target: Option<&Target>,
        ended: &Ended,
        block: &str,
    ) -> Result<()> {
        let Ended::Exit { effects, .. } = ended else {
            return Ok(());
        };
        let named = effects.iter().filter_map(|effect| match effect {
            Output::Artifact { path, name } => Some((path.as_str(), name.as_str())),
            _ => None,
        });
        for (position, (path, name)) in named.enumerate() {
            if position == MOST {
                let text =
                    format!("The script named more than {MOST} artifacts; the rest stays on the machine.");
                self.log.warning(block, &text)?;
                break;
            }
            let origin = format!("{}/{ticket}/{position}", self.task);
            let mut session = self.context.database.read().await?;
            if storage::artifact::has_origin(&mut session, &origin).await? {
                continue;
            }
            drop(session);
            let shown = self.log.mask().apply(name).into_owned();
            let fetched = match unwanted(path) {
                Some(why) => Err(why.to_owned().into()),
                None => self.fetch(transport, path, block).await?,
            };
            let kept = match fetched {
                Ok(file) => {
                    let length = file.length;
                    let kept = self.keep(file, &shown, target, &origin, block).await?;
                    kept.map(|()| length).map_err(Unfetched::from)
                }
                Err(unfetched) => Err(unfetched),
            };
            match kept {
                Ok(length) => {
                    let text = format!("Collected the artifact '{shown}' ({length} bytes)");
                    self.log.info(block, &text)?;
                }
                // Whoever goes on with the task fetches it.
                Err(_) if self.stop.lost.is_cancelled() => return Err(Error::LeaseLost),
                Err(Unfetched { why, is_away }) => {
                    let text = format!("The artifact '{shown}' ({path}) was not collected: {why}");
                    self.log.warning(block, &text)?;
                    if is_away {
                        let text = "Further artifacts of this script are not asked for.";
                        self.log.warning(block, text)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Brings a file of the machine onto the volume of artifacts, or says why it cannot be had.
    async fn fetch(
        &self,
        transport: &dyn Transport,
        path: &str,
        block: &str,
    ) -> Result<std::result::Result<Spooled, Unfetched>> {
        let (either, _guard) = self.stop.either();
        let told = |why: &crate::transport::TransportError| self.log.tried_again(block, "the machine", why);
        let call = || transport.download(path, &either);
        let stream: DataStream = match retry::repeat(self.means.patience, &either, told, call).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return Ok(Err("there is no such file.".to_owned().into())),
            Err(error) => {
                return Ok(Err(Unfetched {
                    is_away: error.is_passing(),
                    why: error.to_string(),
                }));
            }
        };
        let reader = match stream.reader().await {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(format!("it cannot be read: {error}.").into())),
        };
        let stored = async {
            self.context
                .files
                .artifacts
                .spool()
                .await?
                .fill_from(reader)
                .await
        };
        Ok(stored
            .await
            .map_err(|error: files::Error| error.to_string().into()))
    }

    async fn keep(
        &self,
        file: Spooled,
        name: &str,
        target: Option<&Target>,
        origin: &str,
        block: &str,
    ) -> Result<std::result::Result<(), String>> {
        let number = storage::counter::next(&self.context.database, ArtifactId::KIND).await?;
        let artifact = Artifact {
            id: ArtifactId::numbered(number),
            space_id: self.subject.space.id.clone(),
            filename: name.to_owned(),
            source: target.map(|target| target.name.clone()),
            server_task_id: self.task.clone(),
            log_correlation_id: Some(block.to_owned()),
            created: Timestamp(self.context.clock.now()),
        };
        let artifacts = &self.context.files.artifacts;
        let (task, id) = (self.task.as_str(), artifact.id.as_str());
        if let Err(error) = artifacts.put(task, id, file).await {
            return Ok(Err(error.to_string()));
        }
        fault::point(fault::ARTIFACT_STORED);
        if !self.journal.artifact(&artifact, origin).await?
            && let Err(error) = artifacts.delete(task, id).await
        {
            tracing::warn!(%error, "a second copy of an artifact stays on its volume");
        }
        Ok(Ok(()))
    }
}

/// Why a file is not even asked for: the message comes from a script, and a path that is not plain is none of its files
/// (`security.md` E14). That it is a plain file is seen to where it is read.
fn unwanted(path: &str) -> Option<&'static str> {
    let of_windows = path
        .get(1..3)
        .is_some_and(|start| start == ":\\" || start == ":/")
        || path.starts_with("\\\\");
    if !path.starts_with('/') && !of_windows {
        return Some("its path is not absolute.");
    }
    if path.split(['/', '\\']).any(|part| part == "..") {
        return Some("its path has '..' in it.");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_asked_for() {
        for fine in [
            "/home/a/result.txt",
            "/a/..b/c..",
            "C:\\Work\\a.txt",
            "c:/a",
            "\\\\share\\a",
        ] {
            assert_eq!(unwanted(fine), None, "{fine}");
        }
        for bad in [
            "result.txt",
            "../../etc/passwd",
            "/work/../../etc/passwd",
            "C:\\a\\..\\b",
            "",
            "~/a",
            "C:a",
        ] {
            assert!(unwanted(bad).is_some(), "{bad}");
        }
    }
}
