//! Empties the custom installation folder before the package is copied there, but for what the step excludes (6.8).

use super::installation_folder::CUSTOM;
use crate::failure::Failure;
use crate::runner::Runner;
use std::path::{Path, PathBuf};

const WANTED: &str = "Octopus.Action.Package.CustomInstallationDirectoryShouldBePurgedBeforeDeployment";
const EXCLUSIONS: &str = "Octopus.Action.Package.CustomInstallationDirectoryPurgeExclusions";

/// More patterns than this come out of no list that a person wrote.
const MOST_PATTERNS: usize = 10_000;

/// Deletes everything in the folder that no exclusion protects; links are removed, not followed. A missing folder is fine.
/// `extracted` is where the package lies that is going to be copied there.
///
/// # Errors
/// The folder is one that must not be emptied, or something cannot be deleted.
pub fn purge(runner: &Runner, folder: &Path, extracted: &Path) -> Result<(), Failure> {
    if !runner.variables.flag(WANTED, false)? {
        return Ok(());
    }
    runner
        .log
        .info(&format!("Purging the directory '{}'", folder.display()));
    if !folder.exists() {
        return Ok(());
    }
    let resolved = folder
        .canonicalize()
        .map_err(|error| Failure::at(folder, "find", &error))?;
    let mut kept: Vec<(&str, PathBuf)> = vec![
        ("the package that is installed", extracted.to_owned()),
        ("the folder of the step", runner.working_directory.clone()),
    ];
    for (what, name) in [
        ("the home folder", "env:HOME"),
        ("the agent's folder", "env:TentacleHome"),
    ] {
        kept.extend(runner.variables.filled(name)?.map(|path| (what, path.into())));
    }
    let held = kept
        .iter()
        .find(|(_, path)| path.canonicalize().is_ok_and(|path| path.starts_with(&resolved)));
    let held = match (resolved.parent(), held) {
        (None, _) => Some("the system"),
        (_, held) => held.map(|(what, _)| *what),
    };
    if let Some(what) = held {
        return Err(Failure::expected(format!(
            "The folder {} is not purged: {what} is in it; choose another {CUSTOM}",
            folder.display()
        )));
    }
    let lines = runner.variables.collection().paths(EXCLUSIONS)?;
    if !lines.is_empty() {
        runner.log.info(&format!(
            "Leaving files and directories that match any of: '{}'",
            lines.join(", ")
        ));
    }
    let mut exclusions = Vec::new();
    for line in &lines {
        exclusions.extend(alternatives(line).iter().map(|pattern| Pattern::read(pattern)));
        if exclusions.len() > MOST_PATTERNS {
            return Err(Failure::expected(format!(
                "{EXCLUSIONS} has more than {MOST_PATTERNS} patterns; write fewer"
            )));
        }
    }
    empty(&resolved, &mut Vec::new(), &exclusions).map(|_| ())
}

/// Whether nothing is left in the folder.
fn empty(folder: &Path, path: &mut Vec<String>, exclusions: &[Pattern]) -> Result<bool, Failure> {
    let failed = |error| Failure::at(folder, "purge the folder", &error);
    let mut all_gone = true;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        path.push(entry.file_name().to_string_lossy().into_owned());
        let gone = if exclusions.iter().any(|pattern| pattern.matches(path)) {
            false
        } else if entry.file_type().map_err(failed)?.is_dir() {
            let gone = empty(&entry.path(), path, exclusions)?;
            if gone {
                std::fs::remove_dir(entry.path()).map_err(failed)?;
            }
            gone
        } else {
            std::fs::remove_file(entry.path()).map_err(failed)?;
            true
        };
        all_gone &= gone;
        path.pop();
    }
    Ok(all_gone)
}

/// A pattern, part by part. Parts without wildcards count case, others do not.
struct Pattern {
    parts: Vec<String>,
}

impl Pattern {
    fn read(text: &str) -> Self {
        let mut parts: Vec<String> = text
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        // A folder protects all below it, so that `logs/**` says no more than `logs`.
        while parts.len() > 1 && parts.last().is_some_and(|last| last == "**") {
            parts.pop();
        }
        Self { parts }
    }

    fn matches(&self, path: &[String]) -> bool {
        // Whether the parts before here can match as many parts of the path, for each number of them.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut next = vec![false; path.len() + 1];
            if part == "**" {
                if let Some(first) = reached.iter().position(|reached| *reached) {
                    next[first..].fill(true);
                }
            } else {
                for (place, name) in path.iter().enumerate() {
                    next[place + 1] = reached[place] && part_matches(part, name);
                }
            }
            reached = next;
        }
        !self.parts.is_empty() && reached[path.len()]
    }
}

fn part_matches(part: &str, name: &str) -> bool {
    if !part.contains(['*', '?', '[']) {
        return part == name;
    }
    let pattern: Vec<char> = part.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    // A star that was passed, and the character of the name up to which it reaches.
    let mut star: Option<(usize, usize)> = None;
    let (mut at, mut place) = (0, 0);
    while place < name.len() {
        match one_character(&pattern[at..], name[place]) {
            Some(length) => {
                at += length;
                place += 1;
            }
            None if pattern.get(at) == Some(&'*') => {
                star = Some((at, place));
                at += 1;
            }
            None => match star {
                Some((star_at, reach)) => {
                    star = Some((star_at, reach + 1));
                    (at, place) = (star_at + 1, reach + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// How much of the pattern matches this one character; none when it does not, or at a star.
fn one_character(pattern: &[char], character: char) -> Option<usize> {
    match pattern.first()? {
        '*' => None,
        '?' => Some(1),
        '[' => {
            let Some(close) = pattern.iter().position(|end| *end == ']') else {
                return (character == '[').then_some(1);
            };
            let set = &pattern[1..close];
            let listed = set.contains(&character)
                || set
                    .windows(3)
                    .any(|range| range[1] == '-' && (range[0]..=range[2]).contains(&character));
            listed.then_some(close + 1)
        }
        literal => (*literal == character).then_some(1),
    }
}

/// A pattern with `{a,b}` written out.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        let found = pattern
            .find('{')
            .and_then(|start| Some((start, start + pattern[start..].find('}')?)));
        match found {
            Some((start, end)) if done.len() + open.len() <= MOST_PATTERNS => {
                for choice in pattern[start + 1..end].split(',') {
                    open.push(format!("{}{choice}{}", &pattern[..start], &pattern[end + 1..]));
                }
            }
            _ => done.push(pattern),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let path: Vec<String> = path.split('/').map(str::to_owned).collect();
        alternatives(pattern)
            .iter()
            .any(|pattern| Pattern::read(pattern).matches(&path))
    }

    #[test]
    fn patterns_protect_what_they_say() {
        for (pattern, path) in [
            ("logs", "logs"),
            ("logs/", "logs"),
            ("logs/**", "logs"),
            ("**/*.log", "logs/deep/2.log"),
            ("**/*.log", "2.LOG"),
            ("data/*.db", "data/x.db"),
            ("[ak]*.txt", "Keep2.TXT"),
            ("{logs,data}", "data"),
            ("**", "anything/at/all"),
            ("a/**/b", "a/b"),
            ("a?c*", "abcdef"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("logs", "Logs"),
            ("*.log", "logs/1.log"),
            ("data\\x.db", "data/x.db"),
            ("a*c", "abd"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_tried_without_panic(pattern in "[a*?\\[\\]{},/-]{0,30}", path in "[a-c/]{1,20}") {
            matches(&pattern, &path);
        }
    }
}
