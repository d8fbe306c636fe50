//! When packages are brought to machines (`deployments.md` 2.7).

use crate::deployment_process::PackageRequirement;
use crate::planning::{Acquired, Place, PlannedStep, Stage};

/// Puts one acquisition before the first block that needs packages, or that is to come after it.
pub(super) fn place(blocks: Vec<Vec<(PackageRequirement, PlannedStep)>>) -> Vec<Stage> {
    let acquired = acquired(blocks.iter().flatten().map(|(_, step)| step));
    let needs = |(requirement, step): &(PackageRequirement, PlannedStep)| {
        *requirement == PackageRequirement::AfterPackageAcquisition || needs_packages(step)
    };
    let first = blocks.iter().position(|block| block.iter().any(needs));
    let mut stages = Vec::new();
    for (position, block) in blocks.into_iter().enumerate() {
        if first == Some(position) && !acquired.is_empty() {
            stages.push(Stage::Acquire(acquired.clone()));
        }
        stages.push(Stage::Block(block.into_iter().map(|(_, step)| step).collect()));
    }
    stages
}

fn needs_packages(step: &PlannedStep) -> bool {
    step.actions
        .iter()
        .any(|action| action.packages.iter().any(|package| package.acquired))
}

/// Every package once, with every machine that needs it, in the order of first need.
fn acquired<'a>(steps: impl Iterator<Item = &'a PlannedStep>) -> Vec<Acquired> {
    let mut all: Vec<Acquired> = Vec::new();
    for step in steps {
        for action in &step.actions {
            for package in action.packages.iter().filter(|package| package.acquired) {
                let known = all.iter().position(|other| {
                    other.package_id == package.package_id
                        && other.feed_id == package.feed_id
                        && other.version == package.version
                });
                let entry = match known {
                    Some(position) => &mut all[position],
                    None => {
                        all.push(Acquired {
                            package_id: package.package_id.clone(),
                            feed_id: package.feed_id.clone(),
                            version: package.version.clone(),
                            machines: Vec::new(),
                        });
                        all.last_mut().expect("just pushed")
                    }
                };
                if action.place == Place::Target {
                    for machine in &step.machines {
                        if !entry.machines.contains(machine) {
                            entry.machines.push(machine.clone());
                        }
                    }
                }
            }
        }
    }
    all
}
