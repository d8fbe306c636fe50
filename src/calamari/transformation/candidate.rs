//! Which transforms apply to which files (15).

use super::report::{Level, Line};
use crate::failure::Failure;
use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// A pattern that names transforms: `Test`, `web.Test.config => web.config`, `*.Prod.config => *.config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// As it was given.
    pub text: String,
    /// The side of the transform, without a leading `*.` of its file name.
    transform: Side,
    /// The side of the target; none when it is every candidate.
    target: Option<Side>,
    /// Whether the step asks for it (and hears when nothing was found).
    explicit: bool,
}

/// One side of an arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Side {
    /// The folder, empty when there is none.
    folder: PathBuf,
    /// The file name, without a leading `*.`.
    name: String,
    /// Whether it began with `*.`.
    any: bool,
}

/// A transform that applies to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The file that is changed.
    pub source: PathBuf,
    /// The transform.
    pub transform: PathBuf,
    /// The pattern that found it, in the words of messages.
    pub pattern: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Selection {
    /// In the order in which they are to be done.
    pub applications: Vec<Application>,
    /// Why something was not found, and with diagnostics every decision.
    pub lines: Vec<Line>,
}

/// Deepest folder that is searched.
const MOST_DEPTH: usize = 128;

impl Definition {
    /// The definitions of a text: divided by commas and line ends.
    ///
    /// # Errors
    /// An arrow without something on both sides.
    pub fn explicit(text: &str) -> Result<Vec<Self>, Failure> {
        let parts = text.split([',', '\r', '\n']).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(Self::read).collect()
    }

    fn read(text: &str) -> Result<Self, Failure> {
        let mut sides = text.split("=>").map(str::trim);
        let left = sides.next().unwrap_or_default();
        let target = match sides.next() {
            None => None,
            Some("") => return Err(lacking(text)),
            Some(_) if left.is_empty() => return Err(lacking(text)),
            Some(right) => Some(Side::read(right)),
        };
        let transform = match target {
            Some(_) => Side::read(left),
            None => Side {
                folder: PathBuf::new(),
                name: left.to_owned(),
                any: false,
            },
        };
        Ok(Self {
            text: text.to_owned(),
            transform,
            target,
            explicit: true,
        })
    }

    /// The one that the product adds: a suffix, taken literally.
    pub fn automatic(suffix: &str) -> Self {
        Self {
            text: suffix.to_owned(),
            transform: Side {
                folder: PathBuf::new(),
                name: suffix.to_owned(),
                any: false,
            },
            target: None,
            explicit: false,
        }
    }

    /// What messages about a failed transform call it.
    fn pattern(&self) -> String {
        let path = self.transform.folder.join(&self.transform.name);
        let wildcard = if self.transform.any { "wildcard " } else { "" };
        format!("{wildcard}pattern '{}'", path.display())
    }
}

fn lacking(text: &str) -> Failure {
    Failure::expected(format!(
        "The configuration transform \"{text}\" lacks a file on one side of the arrow; write \"transform => target\""
    ))
}

impl Side {
    fn read(text: &str) -> Self {
        // Packages made on Windows have the other slash.
        let text = text.replace('\\', "/");
        let (folder, name) = match text.rsplit_once('/') {
            None => ("", text.as_str()),
            Some(("", name)) => ("/", name),
            Some((folder, name)) => (folder, name),
        };
        let folder: PathBuf = Path::new(folder)
            .components()
            .filter(|component| *component != Component::CurDir)
            .collect();
        Self {
            folder,
            name: name.strip_prefix("*.").unwrap_or(name).to_owned(),
            any: name.starts_with("*."),
        }
    }

    /// The path as it was meant.
    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

/// Looks for the transforms of the files below the folders. With `automatic`, `*.config` files are candidates.
///
/// # Errors
/// A folder cannot be read.
pub fn select(
    folders: &[PathBuf],
    definitions: &[Definition],
    automatic: bool,
    diagnostics: bool,
) -> Result<Selection, Failure> {
    let mut search = Search {
        selection: Selection::default(),
        diagnostics,
        done: HashSet::new(),
    };
    let mut applied = vec![false; definitions.len()];
    let mut overlapping = vec![false; definitions.len()];
    if definitions.is_empty() {
        return Ok(search.selection);
    }
    let suffixes = suffixes(definitions, automatic);
    for folder in folders {
        search.explain(|| {
            format!(
                "Recursively searching for files to transform in folder '{}'",
                folder.display()
            )
        });
        for source in files_below(folder, &|name| {
            suffixes.is_empty() || suffixes.iter().any(|suffix| name.ends_with(suffix))
        })? {
            search.explain(|| format!("Found config file '{}'", source.display()));
            for (index, definition) in definitions.iter().enumerate() {
                search.explain(|| format!(" - checking against transform '{}'", definition.text));
                for transform in search.transforms(&source, definition)? {
                    if search.done.insert((transform.clone(), source.clone())) {
                        applied[index] = true;
                        search.selection.applications.push(Application {
                            source: source.clone(),
                            transform,
                            pattern: definition.pattern(),
                        });
                    } else {
                        overlapping[index] = true;
                        search.explain(|| {
                            format!(
                                " - Skipping as target '{}' has already been transformed by transform '{}'",
                                source.display(),
                                transform.display()
                            )
                        });
                    }
                }
            }
        }
    }
    for (index, definition) in definitions.iter().enumerate() {
        if definition.explicit && !applied[index] {
            search.complain(definition, overlapping[index]);
        }
    }
    Ok(search.selection)
}

/// The ends of the names of candidates; none means that every file is one.
fn suffixes(definitions: &[Definition], automatic: bool) -> Vec<String> {
    let mut suffixes = Vec::new();
    if automatic {
        suffixes.push(".config".to_owned());
    }
    for target in definitions
        .iter()
        .filter_map(|definition| definition.target.as_ref())
    {
        let name = if target.any {
            format!(".{}", target.name)
        } else {
            target.name.clone()
        };
        suffixes.push(
            name.rfind('.')
                .map_or(String::new(), |dot| name[dot..].to_owned()),
        );
    }
    suffixes
}

struct Search {
    selection: Selection,
    diagnostics: bool,
    done: HashSet<(PathBuf, PathBuf)>,
}

impl Search {
    fn explain(&mut self, text: impl Fn() -> String) {
        if self.diagnostics {
            self.selection.lines.push(Line {
                level: Level::Verbose,
                text: text(),
            });
        }
    }

    fn complain(&mut self, definition: &Definition, overlapping: bool) {
        let mut say = |text: String| {
            self.selection.lines.push(Line {
                level: Level::Verbose,
                text,
            });
        };
        let pattern = &definition.text;
        if overlapping {
            say(format!(
                "The transform pattern \"{pattern}\" was not performed as it overlapped with another transform."
            ));
            return;
        }
        say(format!(
            "The transform pattern \"{pattern}\" was not performed as no matching files could be found."
        ));
        if !self.diagnostics {
            say(
                "For detailed diagnostic logging, please set a variable \
                 'Octopus.Action.Package.EnableDiagnosticsConfigTransformationLogging' with a value of 'True'."
                    .to_owned(),
            );
        }
    }

    /// The transforms of one file by one definition.
    fn transforms(&mut self, source: &Path, definition: &Definition) -> Result<Vec<PathBuf>, Failure> {
        let Some((folder, name)) = place_of(source, definition) else {
            return Ok(Vec::new());
        };
        let folder = normal(&folder);
        if !folder.is_dir() {
            self.explain(|| {
                format!(
                    " - Skipping as transform folder '{}' does not exist",
                    folder.display()
                )
            });
            return Ok(Vec::new());
        }
        let mut wanted = vec![name.clone()];
        if !name.ends_with(".config") {
            wanted.insert(0, format!("{name}.config"));
        }
        let literal = !definition.explicit;
        let mut found = Vec::new();
        for wanted in &wanted {
            for file in files_in(&folder, &|file| {
                if literal {
                    file == wanted
                } else {
                    fits(wanted, file)
                }
            })? {
                if !found.contains(&file) {
                    found.push(file);
                }
            }
        }
        if found.is_empty() {
            self.explain(|| {
                format!(
                    " - skipping as transform '{name}' could not be found in '{}'",
                    folder.display()
                )
            });
        }
        found.retain(|transform| {
            let reason = if definition
                .target
                .as_ref()
                .is_some_and(|target| !is_target(source, transform, target))
            {
                "does not match the target pattern"
            } else if source == transform {
                "is the transform itself"
            } else {
                return true;
            };
            self.explain(|| format!(" - Skipping as '{}' {reason}", source.display()));
            false
        });
        Ok(found)
    }
}

/// Folder and file name (maybe with wildcards) of the transform of a file; none when the file is no target.
fn place_of(source: &Path, definition: &Definition) -> Option<(PathBuf, String)> {
    let folder = source.parent()?;
    let file = source.file_name()?.to_str()?;
    let transform = &definition.transform;
    let Some(target) = &definition.target else {
        return Some((folder.to_owned(), with_extension(file, &transform.name)));
    };
    if transform.any && !file.ends_with(&target.name) {
        return None;
    }
    // The transform stands relative to the folder above that part of the target.
    let above = if !target.folder.as_os_str().is_empty() && folder.ends_with(&target.folder) {
        let depth = target.folder.components().count();
        folder.ancestors().nth(depth)?
    } else {
        folder
    };
    let name = match (transform.any, target.any) {
        (true, true) => with_extension(&file.replace(&target.name, ""), &transform.name),
        (true, false) => format!("*.{}", transform.name),
        (false, _) => transform.name.clone(),
    };
    Some((above.join(&transform.folder), name))
}

/// The name with another last extension.
fn with_extension(name: &str, extension: &str) -> String {
    let base = name.rfind('.').map_or(name, |dot| &name[..dot]);
    let dot = if extension.starts_with('.') { "" } else { "." };
    format!("{base}{dot}{extension}")
}

/// Whether the file is what the target side means, seen from the transform.
fn is_target(source: &Path, transform: &Path, target: &Side) -> bool {
    let seen = if target.folder.as_os_str().is_empty() {
        PathBuf::from(source.file_name().unwrap_or_default())
    } else {
        relative(transform.parent().unwrap_or(Path::new("/")), source)
    };
    if !target.any {
        return seen == target.path();
    }
    let name = seen
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let suffix = format!(".{}", target.name);
    seen.parent().unwrap_or(Path::new("")) == target.folder && name.ends_with(&suffix)
}

/// The path of a file below the last folder that it shares with another one.
fn relative(from: &Path, file: &Path) -> PathBuf {
    let shared = from
        .components()
        .zip(file.components())
        .take_while(|(one, other)| one == other)
        .count();
    file.components().skip(shared).collect()
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}

/// Whether a name fits a pattern with `*` and `?`.
fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut place) = (0, 0);
    // Where the last star stood, and how much of the name it took.
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        if at < pattern.len() && pattern[at] == '*' {
            star = Some((at, place));
            at += 1;
        } else if at < pattern.len() && (pattern[at] == '?' || pattern[at] == name[place]) {
            at += 1;
            place += 1;
        } else if let Some((star_at, taken)) = star {
            star = Some((star_at, taken + 1));
            at = star_at + 1;
            place = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|character| *character == '*')
}

/// The files of a folder whose names are wanted, by name.
fn files_in(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    read_folder(folder, wanted, &mut files, &mut Vec::new())?;
    Ok(files)
}

/// The same with all folders below; links to folders are not followed.
///
/// # Errors
/// A folder cannot be read.
pub fn files_below(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let mut folders = Vec::new();
        read_folder(&folder, wanted, &mut files, &mut folders)?;
        if depth < MOST_DEPTH {
            open.extend(folders.into_iter().rev().map(|folder| (folder, depth + 1)));
        }
    }
    Ok(files)
}

fn read_folder(
    folder: &Path,
    wanted: &dyn Fn(&str) -> bool,
    files: &mut Vec<PathBuf>,
    folders: &mut Vec<PathBuf>,
) -> Result<(), Failure> {
    let failed = |error| Failure::at(folder, "list the folder", &error);
    let first = files.len();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        if kind.is_dir() {
            folders.push(path);
        } else if entry.file_name().to_str().is_some_and(wanted) && (kind.is_file() || path.is_file()) {
            files.push(path);
        }
    }
    files[first..].sort();
    folders.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(files: &[&str], text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let definitions = Definition::explicit(text).unwrap();
        let selection = select(&[folder.path().to_owned()], &definitions, false, true).unwrap();
        let name = |path: &Path| path.strip_prefix(folder.path()).unwrap().display().to_string();
        let shown = selection.applications.iter();
        shown
            .map(|found| format!("{} > {}", name(&found.transform), name(&found.source)))
            .collect()
    }

    #[test]
    fn patterns_find_their_transforms() {
        let files = [
            "web.config",
            "web.Prod.config",
            "config/app.config",
            "config/app.Prod.config",
            "shared/app.Prod.config",
        ];
        for (pattern, expected) in [
            (
                "Prod",
                vec![
                    "web.Prod.config > web.config",
                    "config/app.Prod.config > config/app.config",
                ],
            ),
            (
                "*.Prod.config => *.config",
                vec![
                    "web.Prod.config > web.config",
                    "config/app.Prod.config > config/app.config",
                ],
            ),
            (
                "shared/*.Prod.config => config/*.config",
                vec!["shared/app.Prod.config > config/app.config"],
            ),
            (
                "shared\\app.Prod => config\\app.config",
                vec!["shared/app.Prod.config > config/app.config"],
            ),
            (
                "../shared/app.Pro?.config => app.config",
                vec!["shared/app.Prod.config > config/app.config"],
            ),
            (
                "*.Prod.config => web.config",
                vec!["web.Prod.config > web.config"],
            ),
            ("web.config => web.config", vec![]),
            ("web.prod.config => web.config", vec![]),
        ] {
            assert_eq!(found(&files, pattern), expected, "{pattern}");
        }
        assert!(Definition::explicit("a => ").is_err());
        assert!(Definition::explicit("=> a").is_err());
    }

    #[test]
    fn the_name_of_an_environment_is_no_pattern() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["web.config", "web.Prod.config", "web.Pro*.config"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let definitions = [Definition::automatic("Pro*")];
        let selection = select(&[folder.path().to_owned()], &definitions, true, false).unwrap();
        let transforms: Vec<&Path> = selection
            .applications
            .iter()
            .map(|found| found.transform.as_path())
            .collect();
        assert_eq!(transforms, [folder.path().join("web.Pro*.config")]);
    }

    proptest! {
        #[test]
        fn any_pattern_is_read_and_tried(text in "[a*?./\\\\=> ,\\n]{0,30}", name in "[a.]{0,12}") {
            for definition in Definition::explicit(&text).unwrap_or_default() {
                fits(&definition.transform.name, &name);
                place_of(&Path::new("/x").join(&name), &definition);
            }
        }
    }
}
