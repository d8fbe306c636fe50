//! Packages and the runner on their way to machines (`deployments.md` 2.7).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use domain::planning::{Acquired, Place, PlannedPackage, Stage, State, Target};
use domain::{BUILT_IN_FEED, same_name};
use files::PackageName;
use files::task_logs::Status;
use futures::stream::{self, StreamExt as _};

use super::difference::Version;
use super::preparation::{Preparation, Prepared, Unprepared, Wanted, WantedPackage};
use super::{Execution, survives_failure, worst};
use crate::error::{Error, Result};
use crate::log::block;

/// What the log calls it.
pub(super) const TITLE: &str = "Acquire packages";

/// The key of the Server among machines.
const SERVER: &str = "Server";

impl Execution {
    pub(super) fn acquisition_block(&self, position: usize) -> String {
        block::child(&self.root, &format!("acquisition {position}"))
    }

    /// Brings packages to all their machines before the steps that need them.
    pub(super) async fn acquire(&self, position: usize, packages: &[Acquired]) -> Result<()> {
        let block = self.acquisition_block(position);
        if self.is_acquired(&block) {
            return Ok(());
        }
        let later = self.plan.stages.iter().skip(position);
        let mut steps = later.flat_map(|stage| match stage {
            Stage::Block(steps) => steps.as_slice(),
            Stage::Acquire(_) => &[],
        });
        let wanted = match self.state() {
            State::Ok => true,
            State::Failed => steps.any(|step| survives_failure(&step.condition)),
            State::Cancelling => false,
        };
        if !wanted {
            let status = if self.is_cancelling() {
                Status::Canceled
            } else {
                Status::Skipped
            };
            self.log.end(&block, status)?;
            return Ok(());
        }
        self.log.begin(&block, Some(&self.root), TITLE)?;
        for package in packages {
            if let Err(text) = self
                .wanted(&package.package_id, &package.version, &package.feed_id)
                .await?
            {
                self.log.error(&block, &text)?;
                self.log.end(&block, Status::Failed)?;
                self.fail(text);
                return Ok(());
            }
        }
        let mut machines: Vec<&Target> = Vec::new();
        for id in packages.iter().flat_map(|package| &package.machines) {
            if let Some(target) = self.plan.target(id)
                && !machines.iter().any(|other| other.id == target.id)
            {
                machines.push(target);
            }
        }
        let mut work = Vec::new();
        for target in machines {
            work.push(self.acquire_on(target, &block));
        }
        let work = stream::iter(work).buffer_unordered(self.plan.acquisition_parallelism);
        let statuses: Vec<Result<Status>> = work.collect().await;
        let statuses = statuses.into_iter().collect::<Result<Vec<Status>>>()?;
        self.log.end(&block, worst(statuses))?;
        Ok(())
    }

    /// Whether a former executor has done it. The machines that it left out stay out.
    fn is_acquired(&self, block: &str) -> bool {
        let done = matches!(
            self.log.status(block),
            Some(Status::Success | Status::SuccessWithWarning)
        );
        if done {
            for target in &self.plan.targets {
                if self.log.status(&block::child(block, target.id.as_str()))
                    == Some(Status::SuccessWithWarning)
                {
                    self.progress().excluded.insert(target.id.clone());
                }
            }
        }
        done
    }

    async fn acquire_on(&self, target: &Target, parent: &str) -> Result<Status> {
        let block = block::child(parent, target.id.as_str());
        self.log.begin(&block, Some(parent), &target.name)?;
        let status = match self.prepared(Some(target), &block).await? {
            Ok(_) => Status::Success,
            Err(why) => self.unprepared(target, &block, why)?,
        };
        self.log.end(&block, status)?;
        Ok(status)
    }

    /// Notes why a machine cannot work: a failure, unless it may be left out.
    pub(super) fn unprepared(&self, target: &Target, block: &str, why: Unprepared) -> Result<Status> {
        match why {
            Unprepared::Cancelled => Ok(Status::Canceled),
            Unprepared::Unreachable(text) if target.can_be_skipped => {
                self.log
                    .warning(block, &format!("{text} It is left out, as the project wants it."))?;
                self.progress().excluded.insert(target.id.clone());
                Ok(Status::SuccessWithWarning)
            }
            Unprepared::Unreachable(text) | Unprepared::Unusable(text) => {
                self.log.error(block, &text)?;
                self.fail(text);
                Ok(Status::Failed)
            }
        }
    }

    /// A machine, or the Server, with the runner and with the packages of all its actions. Done once in an execution.
    pub(super) async fn prepared(
        &self,
        target: Option<&Target>,
        block: &str,
    ) -> Result<std::result::Result<Arc<Prepared>, Unprepared>> {
        let key = target.map_or(SERVER, |target| target.id.as_str());
        let slot = {
            let mut slots = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(key.to_owned()).or_default().clone()
        };
        let mut slot = slot.lock().await;
        if let Some(prepared) = &*slot {
            return Ok(Ok(prepared.clone()));
        }
        let mut packages = Vec::new();
        for package in self.packages_of(target) {
            match self
                .wanted(&package.package_id, &package.version, &package.feed_id)
                .await?
            {
                Ok(mut wanted) => {
                    if let (None, Some(particular)) = (target, &mut wanted.package) {
                        // On the Server it is only copied: nothing is saved.
                        particular.in_parts = false;
                        particular.others.clear();
                    }
                    packages.push(((package.package_id.clone(), package.version.clone()), wanted));
                }
                Err(text) => return Ok(Err(Unprepared::Unusable(text))),
            }
        }
        let look = {
            let mut progress = self.progress();
            progress.looks += 1;
            progress.looks
        };
        let transport = match self.means.transports.to(target.map(|target| &target.connection)) {
            Ok(transport) => transport,
            Err(text) => return Ok(Err(Unprepared::Unusable(text))),
        };
        let machine = target.and_then(|target| self.subject.machine(target));
        let cancel = self.stop.lost.child_token();
        let ended_by = self.stop.cancelling.clone();
        let preparation = Preparation {
            transport: &*transport,
            machine: target.map_or(SERVER, |target| &target.name),
            task: self.task.as_str(),
            look: (self.epoch, look),
            log: &self.log,
            block,
            cancel: &cancel,
            patience: self.means.patience,
        };
        let processor = machine.map_or("", |machine| machine.architecture.as_str());
        let work = preparation.run(&self.means.runners, &self.means.differences, processor, &packages);
        let done = tokio::select! {
            done = work => done?,
            () = ended_by.cancelled() => Err(Unprepared::Cancelled),
        };
        if self.stop.lost.is_cancelled() {
            return Err(Error::LeaseLost);
        }
        Ok(done.map(|prepared| {
            let prepared = Arc::new(prepared);
            if let Some(target) = target
                && prepared.runner_was_missing
            {
                self.progress().renewed.push(target.id.clone());
            }
            *slot = Some(prepared.clone());
            prepared
        }))
    }

    /// Every package that some action needs on a machine, or on the Server, once.
    fn packages_of(&self, target: Option<&Target>) -> Vec<&PlannedPackage> {
        let mut packages: BTreeMap<(&str, &str), &PlannedPackage> = BTreeMap::new();
        for step in self.plan.steps() {
            let here = target.is_none_or(|target| step.machines.contains(&target.id));
            for action in step
                .actions
                .iter()
                .filter(|action| here && action.skipped.is_none())
            {
                if (action.place == Place::Target) == target.is_some() {
                    let acquired = action.packages.iter().filter(|package| package.acquired);
                    packages.extend(
                        acquired.map(|package| {
                            ((package.package_id.as_str(), package.version.as_str()), package)
                        }),
                    );
                }
            }
        }
        packages.into_values().collect()
    }

    /// The file of a package, and where it goes. The name on the machine holds a part of the hash, so a package that was pushed
    /// again with other bytes never meets the old one.
    async fn wanted(
        &self,
        id: &str,
        version: &str,
        feed: &str,
    ) -> Result<std::result::Result<Wanted, String>> {
        let title = format!("the package {id} {version}");
        if !feed.is_empty() && !same_name(feed, BUILT_IN_FEED) {
            return Ok(Err(format!(
                "{title} comes from the feed '{feed}', which this Server cannot read yet. Push it to the built-in feed."
            )));
        }
        let mut session = self.context.database.read().await?;
        let found =
            application::package::find_version(&mut session, &self.subject.space.id, id, version).await?;
        let others = if self.plan.delta_compression {
            application::package::others(&mut session, &self.subject.space.id, id, version).await?
        } else {
            Vec::new()
        };
        drop(session);
        let Some(package) = found else {
            return Ok(Err(format!(
                "The package {id} {version} is not in the built-in feed. Push it and deploy again."
            )));
        };
        let name = PackageName::new(&package.package_id, &package.version, &package.file_extension)?;
        let file = self.context.files.packages.path(&name);
        if !tokio::fs::try_exists(&file).await.unwrap_or(false) {
            return Ok(Err(format!(
                "The file of the package {id} {version} is missing on the Server's repository volume. Push the package again."
            )));
        }
        let escape = |text: &str| text.replace('%', "%25").replace('@', "%40");
        let mark: String = package.hash.chars().take(32).collect();
        let any_version = format!("Files/{}@S", escape(&package.package_id));
        let this_version = format!("{any_version}{}@", escape(&package.version));
        let place = format!("{this_version}{}{}", mark.to_uppercase(), package.file_extension);
        let mut versions = Vec::new();
        for other in others {
            let name = PackageName::new(&other.package_id, &other.version, &other.file_extension)?;
            versions.push(Version {
                file: self.context.files.packages.path(&name),
                sha1: other.hash,
            });
        }
        let particular = WantedPackage {
            any_version,
            this_version,
            extension: package.file_extension.clone(),
            in_parts: self.plan.delta_compression,
            others: versions,
        };
        Ok(Ok(Wanted {
            title,
            file,
            place,
            hash: package.hash.to_lowercase(),
            package: Some(particular),
        }))
    }
}
