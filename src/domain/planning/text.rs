//! A plan as text: for previews, for the log, and for tests.

use std::fmt;

use crate::MachineId;
use crate::planning::{LeftOut, Place, Plan, PlannedAction, PlannedStep, RunCondition, Stage};

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Disabled => "disabled",
            Self::OtherEnvironment => "other environment",
            Self::ExcludedEnvironment => "excluded environment",
            Self::OtherChannel => "other channel",
            Self::OtherTenants => "other tenants",
            Self::SkippedByUser => "skipped by user",
            Self::NoTargets => "no targets",
        })
    }
}

impl fmt::Display for RunCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => formatter.write_str("when nothing has failed"),
            Self::Failure => formatter.write_str("when something has failed"),
            Self::Always => formatter.write_str("always"),
            Self::Expression(expression) => write!(formatter, "when true: {expression}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.title)?;
        for target in &self.targets {
            writeln!(
                formatter,
                "  target {} ({}): {}",
                target.name,
                target.id,
                target.roles.join(", ")
            )?;
        }
        let mut block = 0;
        for stage in &self.stages {
            match stage {
                Stage::Acquire(packages) => {
                    writeln!(formatter, "Acquire packages")?;
                    for package in packages {
                        write!(
                            formatter,
                            "  {} {} from {}",
                            package.package_id, package.version, package.feed_id
                        )?;
                        writeln!(formatter, " to {}", self.places(&package.machines))?;
                    }
                }
                Stage::Block(steps) => {
                    block += 1;
                    writeln!(formatter, "Block {block}")?;
                    for step in steps {
                        self.write_step(step, formatter)?;
                    }
                }
            }
        }
        for (name, reason) in &self.left_out {
            writeln!(formatter, "Left out: {name} ({reason})")?;
        }
        for warning in &self.warnings {
            writeln!(formatter, "Warning: {warning}")?;
        }
        Ok(())
    }
}

impl Plan {
    fn write_step(&self, step: &PlannedStep, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "  Step {}: {}", step.number, step.name)?;
        if !step.roles.is_empty() {
            write!(
                formatter,
                " for {} on {}",
                step.roles.join(", "),
                self.names(&step.machines)
            )?;
        }
        if let Some(window) = &step.window {
            write!(formatter, ", {window} at once")?;
        }
        writeln!(formatter, ", {}", step.condition)?;
        step.actions
            .iter()
            .try_for_each(|action| write_action(action, formatter))
    }

    fn names(&self, machines: &[MachineId]) -> String {
        let name = |id: &MachineId| {
            self.target(id)
                .map_or_else(|| id.to_string(), |target| target.name.clone())
        };
        if machines.is_empty() {
            "no machine".into()
        } else {
            machines.iter().map(name).collect::<Vec<_>>().join(", ")
        }
    }

    fn places(&self, machines: &[MachineId]) -> String {
        if machines.is_empty() {
            "the Server".into()
        } else {
            self.names(machines)
        }
    }
}

fn write_action(action: &PlannedAction, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        formatter,
        "    {} {} ({})",
        action.number, action.name, action.action_type
    )?;
    formatter.write_str(match action.place {
        Place::Target => " on each target",
        Place::ServerForEachTarget => " on the Server for each target",
        Place::Server => " once on the Server",
    })?;
    for package in &action.packages {
        write!(formatter, ", {} {}", package.package_id, package.version)?;
        if !package.reference.is_empty() {
            write!(formatter, " as {}", package.reference)?;
        }
    }
    if action.condition != RunCondition::Success {
        write!(formatter, ", {}", action.condition)?;
    }
    if action.is_required {
        formatter.write_str(", required")?;
    }
    match &action.skipped {
        Some(reason) => writeln!(formatter, ", skipped: {reason}"),
        None => writeln!(formatter),
    }
}
