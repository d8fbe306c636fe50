//! Where ours answers otherwise than the original on purpose: `better.txt` and the answers beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

/// The cases that ours answers better, each with what takes the place of the recorded answer.
pub struct Better {
    answers: BTreeMap<String, Map<String, Value>>,
}

impl Better {
    /// Reads `better.txt` and the folder `better` in `folder`.
    ///
    /// # Errors
    /// When a line is not `<id> <spec line>` or stands twice, an id has no answer, or an answer has no line.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let list = folder.join("better.txt");
        let text = std::fs::read_to_string(&list).map_err(|why| format!("{}: {why}", list.display()))?;
        let mut answers = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let place = format!("{} line {}", list.display(), number + 1);
            let id = named(line).map_err(|why| format!("{place}: {why}"))?;
            if answers
                .insert(
                    id.to_owned(),
                    answer(&folder.join("better").join(format!("{id}.json")))?,
                )
                .is_some()
            {
                return Err(format!("{place}: {id} stands there twice"));
            }
        }
        let kept = folder.join("better");
        let problem = |why| format!("{}: {why}", kept.display());
        if answers.is_empty() && !kept.exists() {
            return Ok(Self { answers });
        }
        for entry in std::fs::read_dir(&kept).map_err(problem)? {
            let name = entry.map_err(problem)?.file_name();
            let name = name.to_string_lossy().into_owned();
            if name
                .strip_suffix(".json")
                .is_none_or(|id| !answers.contains_key(id))
            {
                return Err(format!(
                    "{}/{name}: no line of better.txt names it",
                    kept.display()
                ));
            }
        }
        Ok(Self { answers })
    }

    /// Puts what ours gives into the case, when its id is listed.
    pub fn apply(&self, id: &str, case: &mut Value) {
        let (Some(answer), Some(case)) = (self.answers.get(id), case.as_object_mut()) else {
            return;
        };
        for (name, value) in answer {
            if name == "without" {
                for taken in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    case.remove(taken);
                }
            } else {
                case.insert(name.clone(), value.clone());
            }
        }
    }

    /// The ids that none of the given ones is.
    pub fn unknown(&self, ids: &BTreeSet<String>) -> Vec<&str> {
        let listed = self.answers.keys().filter(|id| !ids.contains(*id));
        listed.map(String::as_str).collect()
    }
}

/// The id of a line, which names a specification and a line of it.
fn named(line: &str) -> Result<&str, String> {
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(id), Some(spec), Some(place), None)
            if !id.is_empty() && !spec.is_empty() && !place.is_empty() =>
        {
            Ok(id)
        }
        _ => Err(format!("'{line}' is not '<id> <spec> <line>'")),
    }
}

fn answer(file: &Path) -> Result<Map<String, Value>, String> {
    let text = std::fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
    serde_json::from_str(&text).map_err(|why| format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(list: &str, answers: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("better.txt"), list).unwrap();
        std::fs::create_dir(folder.path().join("better")).unwrap();
        for (name, text) in answers {
            std::fs::write(folder.path().join("better").join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn members_take_the_place_of_recorded_ones() {
        let folder = folder(
            "a observed 9.33\n",
            &[("a.json", r#"{"exit": 0, "without": ["gone"]}"#)],
        );
        let better = Better::read(folder.path()).unwrap();
        let mut case = json!({"id": "a", "exit": 1, "gone": ["x"], "stdout": ""});
        better.apply("a", &mut case);
        assert_eq!(case, json!({"id": "a", "exit": 0, "stdout": ""}));
        assert_eq!(better.unknown(&BTreeSet::from(["b".to_owned()])), ["a"]);
    }

    #[test]
    fn a_list_that_does_not_fit_its_answers_is_refused() {
        for (list, answers) in [
            ("a observed\n", vec![("a.json", "{}")]),
            ("a observed 9.33\n", vec![]),
            ("a observed 9.33\n", vec![("a.json", "[]")]),
            ("a observed 9.33\na observed 9.33\n", vec![("a.json", "{}")]),
            ("", vec![("a.json", "{}")]),
        ] {
            let folder = folder(list, &answers);
            assert!(Better::read(folder.path()).is_err(), "{list} {answers:?}");
        }
    }
}
