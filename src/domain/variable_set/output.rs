//! Values that actions leave for later ones (`deployments.md` 3.11).

use serde::{Deserialize, Serialize};

use crate::name::same_name;

/// One value that an action set. In clear: whoever keeps it keeps sensitive ones sealed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputVariable {
    /// The action's name.
    pub action: String,
    /// The machine's name; None = the action ran without one.
    pub machine: Option<String>,
    /// The name that the script gave.
    pub name: String,
    /// The value, literally.
    pub value: String,
    /// Whether it is masked in logs.
    pub sensitive: bool,
}

impl std::fmt::Debug for OutputVariable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = if self.sensitive { "***" } else { &self.value };
        write!(
            formatter,
            "{:?} of {} on {:?} = {value:?}",
            self.name, self.action, self.machine
        )
    }
}

/// Everything that actions have set so far, the machines in the order of the plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputVariables(Vec<OutputVariable>);

impl OutputVariables {
    /// Sets a value; the last one of an action on a machine counts. Once sensitive, always sensitive.
    pub fn set(&mut self, mut output: OutputVariable) {
        let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => same_name(one, other),
            (None, None) => true,
            _ => false,
        };
        let old = self.0.iter_mut().find(|old| {
            same_name(&old.action, &output.action)
                && same_name(&old.name, &output.name)
                && same(&old.machine, &output.machine)
        });
        match old {
            Some(old) => {
                output.sensitive |= old.sensitive;
                *old = output;
            }
            None => self.0.push(output),
        }
    }

    /// The variables that an action sees: name, value, whether it is sensitive. `machine` is the name of the
    /// current one; `machines` are the names of the plan's machines in order, the first of which counts elsewhere.
    #[must_use]
    pub fn visible(&self, machine: Option<&str>, machines: &[String]) -> Vec<(String, String, bool)> {
        let mut visible: Vec<(String, String, bool)> = Vec::new();
        let place = |output: &OutputVariable| {
            let named = |name: &String| machines.iter().position(|other| same_name(other, name));
            output
                .machine
                .as_ref()
                .map_or(0, |name| named(name).map_or(usize::MAX, |position| position + 1))
        };
        let mut outputs: Vec<&OutputVariable> = self.0.iter().collect();
        outputs.sort_by_key(|output| place(output));
        for output in &outputs {
            if let Some(own) = &output.machine {
                let name = format!("Octopus.Action[{}].Output[{own}].{}", output.action, output.name);
                visible.push((name, output.value.clone(), output.sensitive));
            }
        }
        let here = |output: &&&OutputVariable| match (&output.machine, machine) {
            (Some(own), Some(current)) => same_name(own, current),
            _ => false,
        };
        let own_first = outputs
            .iter()
            .filter(here)
            .chain(outputs.iter().filter(|output| !here(output)));
        for output in own_first {
            let name = format!("Octopus.Action[{}].Output.{}", output.action, output.name);
            if !visible.iter().any(|(other, ..)| same_name(other, &name)) {
                visible.push((name, output.value.clone(), output.sensitive));
            }
        }
        visible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(values: &[(&str, &str)]) -> OutputVariables {
        let mut outputs = OutputVariables::default();
        for (machine, value) in values {
            outputs.set(OutputVariable {
                action: "A".into(),
                machine: Some((*machine).into()),
                name: "X".into(),
                value: (*value).into(),
                sensitive: false,
            });
        }
        outputs
    }

    fn read(outputs: &OutputVariables, machine: Option<&str>, name: &str) -> Option<String> {
        let machines = ["m1".to_owned(), "m2".to_owned()];
        let visible = outputs.visible(machine, &machines);
        visible
            .into_iter()
            .find(|(other, ..)| same_name(other, name))
            .map(|(_, value, _)| value)
    }

    #[test]
    fn a_machine_sees_its_own_value_and_can_name_another() {
        let outputs = outputs(&[("m2", "2"), ("m1", "1")]);
        assert_eq!(
            read(&outputs, Some("m2"), "Octopus.Action[A].Output.X").as_deref(),
            Some("2")
        );
        assert_eq!(
            read(&outputs, Some("m2"), "octopus.action[a].output[M1].x").as_deref(),
            Some("1")
        );
        assert_eq!(
            read(&outputs, None, "Octopus.Action[A].Output.X").as_deref(),
            Some("1")
        );
    }

    #[test]
    fn the_last_value_of_a_machine_counts() {
        let outputs = outputs(&[("m1", "1"), ("m1", "5")]);
        assert_eq!(
            read(&outputs, Some("m1"), "Octopus.Action[A].Output.X").as_deref(),
            Some("5")
        );
    }
}
