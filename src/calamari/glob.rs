//! Which files a pattern means (13): `*`, `?`, `**` over folders, `[ab]`, `[a-c]`, `{a,b}`.
//!
//! A pattern without any of these is compared exactly; with one of them, no part of it looks at case. Folders never match.

use crate::failure::Failure;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What a pattern found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The files, sorted.
    pub files: Vec<PathBuf>,
    /// Whether a relative pattern led to files outside of the folder, which are left out.
    pub left_the_folder: bool,
}

/// One part of a pattern, between two slashes.
#[derive(Debug)]
enum Part<'a> {
    /// A name, or `.` or `..`.
    Literal(&'a str),
    /// Any number of folders.
    Folders,
    /// A name that looks like this.
    Name(Vec<Piece>),
}

/// One step through a name.
#[derive(Debug)]
enum Piece {
    /// This character, folded.
    Character(char),
    /// Any character.
    Any,
    /// Any number of any characters.
    Run,
    /// One of these characters, folded, or this text (a name may hold the brackets themselves).
    OneOf(Vec<(char, char)>, Vec<char>),
    /// One of these texts, folded.
    Choice(Vec<Vec<char>>),
}

/// More entries than this are not looked at for one pattern.
const MOST_ENTRIES: usize = 2_000_000;

/// The files below a folder that a pattern means. An absolute pattern may lead anywhere.
///
/// # Errors
/// A pattern that means nothing, a folder that cannot be listed, or too many entries.
pub fn find(folder: &Path, pattern: &str) -> Result<Found, Failure> {
    let folder = &plain(folder);
    let found = search(folder, pattern)?;
    if found.files.is_empty() && !found.left_the_folder && pattern.contains('\\') {
        // Patterns written on Windows.
        return search(folder, &pattern.replace('\\', "/"));
    }
    Ok(found)
}

/// Whether a pattern is compared exactly.
pub fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '{', '}', '[', ']'])
}

fn search(folder: &Path, pattern: &str) -> Result<Found, Failure> {
    let absolute = pattern.starts_with('/');
    let mut walk = Walk { pattern, entries: 0 };
    let mut places = BTreeSet::from([if absolute {
        PathBuf::from("/")
    } else {
        folder.to_owned()
    }]);
    if is_literal(pattern) {
        let file = folder.join(pattern);
        let files = if pattern.ends_with('/') || !file.is_file() {
            Vec::new()
        } else {
            vec![plain(&file)]
        };
        return Ok(inside(folder, absolute, files));
    }
    let mut parts = Vec::new();
    for text in pattern.split('/').filter(|part| !part.is_empty()) {
        parts.push(part(text, pattern)?);
    }
    let last = parts.len().saturating_sub(1);
    for (position, part) in parts.iter().enumerate() {
        let mut next = BTreeSet::new();
        for place in &places {
            match part {
                Part::Folders => walk.folders_below(place, &mut next)?,
                Part::Literal(".") => {
                    next.insert(place.clone());
                }
                Part::Literal("..") => {
                    next.insert(plain(&place.join("..")));
                }
                Part::Literal(text) => walk.named(place, &literal(text), position == last, &mut next)?,
                Part::Name(pieces) => walk.named(place, pieces, position == last, &mut next)?,
            }
        }
        places = next;
    }
    let ends_in_files = !pattern.ends_with('/')
        && !matches!(
            parts.last(),
            None | Some(Part::Folders | Part::Literal("." | ".."))
        );
    let files = if ends_in_files {
        places.into_iter().collect()
    } else {
        Vec::new()
    };
    Ok(inside(folder, absolute, files))
}

/// Leaves out what a relative pattern has no business with.
fn inside(folder: &Path, absolute: bool, files: Vec<PathBuf>) -> Found {
    let before = files.len();
    let files: Vec<PathBuf> = files
        .into_iter()
        .filter(|file| absolute || file.starts_with(folder))
        .collect();
    Found {
        left_the_folder: files.len() < before,
        files,
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// A search on its way.
struct Walk<'a> {
    pattern: &'a str,
    entries: usize,
}

impl Walk<'_> {
    /// The entries of a folder with their names; a folder that is not there has none.
    fn entries_of(&mut self, folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
        let failed = |error: std::io::Error| Failure::at(folder, "list the folder", &error);
        let listed = match std::fs::read_dir(folder) {
            Ok(listed) => listed,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(error)),
        };
        let mut entries = Vec::new();
        for entry in listed {
            let entry = entry.map_err(failed)?;
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(Failure::expected(format!(
                    "The pattern '{}' leads through more than {MOST_ENTRIES} files; make it narrower",
                    self.pattern
                )));
            }
            entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
        Ok(entries)
    }

    /// The folder itself and all below it. Links are not followed: they may go in circles.
    fn folders_below(&mut self, folder: &Path, into: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            for (_, path) in self.entries_of(&folder)? {
                if std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                    waiting.push(path);
                }
            }
            into.insert(folder);
        }
        Ok(())
    }

    /// The entries whose names look like this: files in the last part, folders before it.
    fn named(
        &mut self,
        folder: &Path,
        pieces: &[Piece],
        last: bool,
        into: &mut BTreeSet<PathBuf>,
    ) -> Result<(), Failure> {
        for (name, path) in self.entries_of(folder)? {
            let name: Vec<char> = folded(&name);
            if matches(pieces, &name) && (if last { path.is_file() } else { path.is_dir() }) {
                into.insert(path);
            }
        }
        Ok(())
    }
}

fn folded(text: &str) -> Vec<char> {
    octostache::fold(text).chars().collect()
}

fn literal(text: &str) -> Vec<Piece> {
    folded(text).into_iter().map(Piece::Character).collect()
}

fn part<'a>(text: &'a str, pattern: &str) -> Result<Part<'a>, Failure> {
    if text == "**" {
        return Ok(Part::Folders);
    }
    if is_literal(text) {
        return Ok(Part::Literal(text));
    }
    let characters: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut position = 0;
    while position < characters.len() {
        let rest = &characters[position..];
        let closed = |end: char| rest.iter().position(|character| *character == end);
        match rest[0] {
            '?' => pieces.push(Piece::Any),
            '*' => {
                // Several in a row would only make the search longer.
                if !matches!(pieces.last(), Some(Piece::Run)) {
                    pieces.push(Piece::Run);
                }
            }
            '[' => {
                if let Some(end) = closed(']') {
                    pieces.extend(group(&rest[1..end], pattern)?);
                    position += end;
                } else {
                    pieces.push(Piece::Character('['));
                }
            }
            '{' => {
                if let Some(end) = closed('}') {
                    pieces.extend(choice(&rest[1..end]));
                    position += end;
                } else {
                    pieces.push(Piece::Character('{'));
                }
            }
            other => pieces.extend(literal(&other.to_string())),
        }
        position += 1;
    }
    Ok(Part::Name(pieces))
}

/// What stands between brackets: one character means itself in its brackets, several mean one of them.
fn group(inner: &[char], pattern: &str) -> Result<Vec<Piece>, Failure> {
    let text: String = inner.iter().collect();
    let whole = format!("[{text}]");
    if inner.len() < 2 {
        return Ok(literal(&whole));
    }
    let ranges = if inner.contains(&'-') {
        match folded(&text)[..] {
            [first, '-', last] if inner.len() == 3 && inner[0] < inner[2] => vec![(first, last)],
            _ => {
                return Err(Failure::expected(format!(
                    "The pattern '{pattern}' has the group {whole}; a group with '-' must be two characters with it between them, the lower one first, like [a-c]"
                )));
            }
        }
    } else {
        folded(&text).into_iter().map(|one| (one, one)).collect()
    };
    Ok(vec![Piece::OneOf(ranges, folded(&whole))])
}

/// What stands between braces: one text means itself in its braces, several mean one of them. With an empty first one, or
/// braces inside, nothing matches.
fn choice(inner: &[char]) -> Vec<Piece> {
    let text: String = inner.iter().collect();
    if !text.contains(',') {
        return literal(&format!("{{{text}}}"));
    }
    let choices: Vec<&str> = text.split(',').collect();
    let broken = choices[0].is_empty() || text.contains('{');
    let choices = choices
        .into_iter()
        .filter(|choice| !choice.is_empty() && !broken)
        .map(folded);
    vec![Piece::Choice(choices.collect())]
}

/// Whether a name looks like this. The places in the name that can be reached are followed together, so that the time is
/// bounded by the length of the one times the other.
fn matches(pieces: &[Piece], name: &[char]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; name.len() + 1];
        for position in (0..=name.len()).filter(|position| reached[*position]) {
            let rest = &name[position..];
            match piece {
                Piece::Character(wanted) => {
                    if rest.first() == Some(wanted) {
                        next[position + 1] = true;
                    }
                }
                Piece::Any => {
                    if !rest.is_empty() {
                        next[position + 1] = true;
                    }
                }
                Piece::Run => {
                    next[position..].fill(true);
                    break;
                }
                Piece::OneOf(ranges, whole) => {
                    if rest
                        .first()
                        .is_some_and(|one| ranges.iter().any(|(first, last)| (*first..=*last).contains(one)))
                    {
                        next[position + 1] = true;
                    }
                    if rest.starts_with(whole) {
                        next[position + whole.len()] = true;
                    }
                }
                Piece::Choice(choices) => {
                    for choice in choices.iter().filter(|choice| rest.starts_with(choice)) {
                        next[position + choice.len()] = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn found(folder: &Path, pattern: &str) -> Vec<String> {
        find(folder, pattern)
            .unwrap()
            .files
            .iter()
            .map(|file| file.strip_prefix(folder).unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn wildcards_ignore_case_and_plain_names_do_not() {
        let tree = tree(&[
            "a.txt",
            "B.TXT",
            ".hidden",
            "s/a.txt",
            "S/upper.txt",
            "s/t/deep.txt",
        ]);
        let tree = tree.path();
        assert_eq!(found(tree, "A.txt"), Vec::<String>::new());
        assert_eq!(found(tree, "A.*"), ["a.txt"]);
        assert_eq!(found(tree, "*"), [".hidden", "B.TXT", "a.txt"]);
        assert_eq!(found(tree, "s/*"), ["S/upper.txt", "s/a.txt"]);
        assert_eq!(
            found(tree, "s/**/*.txt"),
            ["S/upper.txt", "s/a.txt", "s/t/deep.txt"]
        );
        assert_eq!(found(tree, "**"), Vec::<String>::new());
        assert_eq!(found(tree, "s/"), Vec::<String>::new());
        assert_eq!(found(tree, "s"), Vec::<String>::new());
    }

    #[test]
    fn brackets_and_braces_may_mean_themselves() {
        let tree = tree(&["[ab]c", "ac", "x[y]", "{e}/in", "e/in", "d/in"]);
        let tree = tree.path();
        assert_eq!(found(tree, "[ab]c"), ["[ab]c", "ac"]);
        assert_eq!(found(tree, "x[y]"), ["x[y]"]);
        assert_eq!(found(tree, "{e}/in"), ["{e}/in"]);
        assert_eq!(found(tree, "{d,e}/in"), ["d/in", "e/in"]);
        assert_eq!(found(tree, "{,ac}"), Vec::<String>::new());
        assert_eq!(found(tree, "{ac,}"), ["ac"]);
        assert!(find(tree, "[c-a]").unwrap_err().message.contains("[c-a]"));
    }

    #[test]
    fn a_relative_pattern_stays_in_its_folder() {
        let tree = tree(&["out.txt", "case/in.txt"]);
        let case = tree.path().join("case");
        assert_eq!(found(&case, "../case/in.txt"), ["in.txt"]);
        for pattern in ["../out.txt", "../*.txt"] {
            let found = find(&case, pattern).unwrap();
            assert_eq!((found.files.len(), found.left_the_folder), (0, true), "{pattern}");
        }
        let absolute = format!("{}/*.txt", tree.path().display());
        assert_eq!(find(&case, &absolute).unwrap().files.len(), 1);
    }

    #[test]
    fn a_backslash_is_a_separator_when_no_name_has_it() {
        let tree = tree(&["s/a.txt", "back\\slash.txt"]);
        assert_eq!(found(tree.path(), "s\\a.txt"), ["s/a.txt"]);
        assert_eq!(found(tree.path(), "**\\*.txt"), ["back\\slash.txt"]);
    }

    #[test]
    fn links_in_circles_end() {
        let tree = tree(&["a/b.txt"]);
        std::os::unix::fs::symlink(tree.path(), tree.path().join("a/again")).unwrap();
        assert_eq!(found(tree.path(), "**/b.txt"), ["a/b.txt"]);
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[ab*?\\[\\]{},./\\\\-]{0,40}") {
            let tree = tree(&["a", "b/a", "ab/ba/aab"]);
            let _ = find(tree.path(), &pattern);
        }

        #[test]
        fn stars_do_not_explode(count in 1..30_usize) {
            let pattern = "a*".repeat(count);
            let pieces = part(&pattern, "").unwrap();
            let Part::Name(pieces) = pieces else { panic!() };
            let mut name = vec!['A'; 2_000];
            prop_assert!(matches(&pieces, &name));
            name[0] = 'B';
            prop_assert!(!matches(&pieces, &name));
        }
    }
}
