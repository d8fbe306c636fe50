//! `octodiff`: the command line of the original's delta tool (`octodiff.md` 6), to make and try deltas by hand.
//!
//! The options and exit codes are those of the original. What it does better: an output file appears under its name
//! only when it is whole, and a command that fails leaves nothing behind.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use octodiff::error::File as Kind;
use octodiff::{Error, Patch, Signature, SignatureForm};

use crate::fresh_file::FreshFile;

/// How it is called on the runner's command line.
pub const NAME: &str = "octodiff";

const USAGE: &str = "\
Usage: calamari octodiff <command>

  signature|sig <basis> [<signature>] [--chunk-size=N] [--progress]
      Makes a signature of a basis file; its name without a second word is the basis' with .octosig.
      A chunk has 128 to 31744 bytes, 2048 when nothing is said.
  delta <signature> <new> [<delta>] [--progress]
      Makes a delta of a signature and a new file; its name without a third word is the new file's with .octodelta.
  patch <basis> <delta> <new> [--progress] [--skip-verification]
      Makes the new file of a basis and a delta.
  explain-delta <delta>
      Prints the commands of a delta, a line for each.
  help|?|h
      Prints this.

The exit code is 0 when it is done, 1 for an error of input or output, 2 for a corrupt signature or delta, 3 for
anything else, and 4 for wrong usage and for a result that is not the file that the delta was made of.
";

/// Runs the command that the first argument names. Names of files are relative to `folder`.
pub fn run(arguments: &[String], folder: &Path, output: &mut dyn Write, errors: &mut dyn Write) -> i32 {
    let outcome = dispatch(arguments, folder, output);
    let outcome = outcome.and_then(|code| output.flush().map(|()| code).map_err(Failure::printing));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            // When nobody reads the errors either, the exit code says it.
            let _ = writeln!(errors, "Error: {}", failure.message);
            failure.exit_code
        }
    }
}

struct Failure {
    message: String,
    exit_code: i32,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 4,
        }
    }

    fn unexpected(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 3,
        }
    }

    fn printing(error: io::Error) -> Self {
        Self {
            message: format!("Standard output could not be written: {error}"),
            exit_code: 1,
        }
    }

    fn file(kind: Kind, action: &'static str, source: io::Error, path: &Path) -> Self {
        Self::from(Error::Io {
            file: kind,
            action,
            source,
        })
        .at(path)
    }

    fn at(mut self, path: &Path) -> Self {
        self.message = format!("{} [{}]", self.message, path.display());
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            exit_code: error.exit_code(),
            message: error.to_string(),
        }
    }
}

fn dispatch(arguments: &[String], folder: &Path, output: &mut dyn Write) -> Result<i32, Failure> {
    let (name, rest) = match arguments {
        [] => ("", arguments),
        [name, rest @ ..] => (name.as_str(), rest),
    };
    match name.to_ascii_lowercase().as_str() {
        "signature" | "sig" => {
            let line = Line::read(rest, &[Name::ChunkSize, Name::Progress])?;
            signature(&line, folder, output)
        }
        "delta" => delta(&Line::read(rest, &[Name::Progress])?, folder, output),
        "patch" => {
            let line = Line::read(rest, &[Name::Progress, Name::SkipVerification])?;
            patch(&line, folder, output)
        }
        "explain-delta" => explain(&Line::read(rest, &[])?, folder, output),
        known => {
            output.write_all(USAGE.as_bytes()).map_err(Failure::printing)?;
            return Ok(if ["help", "h", "?"].contains(&known) { 0 } else { 4 });
        }
    }?;
    Ok(0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    ChunkSize,
    Progress,
    SkipVerification,
}

impl Name {
    fn text(self) -> &'static str {
        match self {
            Self::ChunkSize => "chunk-size",
            Self::Progress => "progress",
            Self::SkipVerification => "skip-verification",
        }
    }
}

/// What follows the command.
#[derive(Default)]
struct Line {
    words: Vec<String>,
    chunk_size: Option<u16>,
    progress: bool,
    skip_verification: bool,
}

impl Line {
    /// What is no option of the command is a word, as in the original.
    fn read(arguments: &[String], known: &[Name]) -> Result<Self, Failure> {
        let mut line = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                line.words.extend(arguments.cloned());
                break;
            }
            match option(argument, known) {
                None => line.words.push(argument.clone()),
                Some((Name::Progress, _)) => line.progress = true,
                Some((Name::SkipVerification, _)) => line.skip_verification = true,
                Some((Name::ChunkSize, value)) => {
                    let value = value.or_else(|| arguments.next().map(String::as_str));
                    let value = value.ok_or_else(|| {
                        Failure::usage(
                            "Missing required value for option '--chunk-size'; write --chunk-size=2048",
                        )
                    })?;
                    line.chunk_size = Some(chunk_size(value)?);
                }
            }
        }
        Ok(line)
    }

    fn word(&self, index: usize, what: &str) -> Result<&str, Failure> {
        self.optional(index)
            .ok_or_else(|| Failure::usage(format!("No {what} file was specified\n{USAGE}")))
    }

    fn optional(&self, index: usize) -> Option<&str> {
        self.words
            .get(index)
            .map(String::as_str)
            .filter(|word| !word.trim().is_empty())
    }
}

/// `--name`, `-name` or `/name`, with a value behind `=` or `:`. Flags may end in `+` or `-`.
fn option<'a>(argument: &'a str, known: &[Name]) -> Option<(Name, Option<&'a str>)> {
    let body = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix(['-', '/']))?;
    let (text, value) = match body.find(['=', ':']) {
        Some(end) => (&body[..end], Some(&body[end + 1..])),
        None => (body, None),
    };
    let is = |name: &Name, text: &str| name.text().eq_ignore_ascii_case(text);
    let flag = |name: &&Name| {
        **name != Name::ChunkSize && value.is_none() && is(name, text.trim_end_matches(['+', '-']))
    };
    let name = known
        .iter()
        .find(|name| is(name, text))
        .or_else(|| known.iter().find(flag))?;
    Some((*name, value))
}

fn chunk_size(value: &str) -> Result<u16, Failure> {
    let size: i16 = value.trim().parse().map_err(|_| {
        Failure::unexpected(format!(
            "The chunk size '{value}' is not a number of bytes; write one from 128 to 31744"
        ))
    })?;
    if (octodiff::signature::SMALLEST_CHUNK_SIZE.cast_signed()
        ..=octodiff::signature::LARGEST_CHUNK_SIZE.cast_signed())
        .contains(&size)
    {
        return Ok(size.unsigned_abs());
    }
    Err(Error::ChunkSize { size: size.into() }.into())
}

fn signature(line: &Line, folder: &Path, output: &mut dyn Write) -> Result<(), Failure> {
    let basis = folder.join(line.word(0, "basis")?);
    let target = match line.optional(1) {
        Some(word) => folder.join(word),
        None => with_ending(&basis, ".octosig"),
    };
    let form = SignatureForm {
        chunk_size: line.chunk_size.unwrap_or(octodiff::signature::DEFAULT_CHUNK_SIZE),
        ..SignatureForm::default()
    };
    let input = Input::open(&basis, Kind::Basis)?;
    make(&target, Kind::Signature, &[&basis], |file| {
        octodiff::build_signature(input.shown("Building signatures", line, output), file, &form)?;
        Ok(())
    })
}

fn delta(line: &Line, folder: &Path, output: &mut dyn Write) -> Result<(), Failure> {
    let signature = folder.join(line.word(0, "signature")?);
    let new = folder.join(line.word(1, "new")?);
    let target = match line.optional(2) {
        Some(word) => folder.join(word),
        None => with_ending(&new, ".octodelta"),
    };
    let file = Input::open(&signature, Kind::Signature)?;
    let input = Input::open(&new, Kind::New)?;
    let known = Signature::read(file.shown("Reading signature", line, output))
        .map_err(|error| Failure::from(error).at(&signature))?;
    make(&target, Kind::Delta, &[&signature, &new], |file| {
        octodiff::build_delta(&known, input.shown("Building delta", line, output), file)?;
        Ok(())
    })
}

fn patch(line: &Line, folder: &Path, output: &mut dyn Write) -> Result<(), Failure> {
    let basis = folder.join(line.word(0, "basis")?);
    let delta = folder.join(line.word(1, "delta")?);
    let new = folder.join(line.word(2, "new")?);
    let basis_file = Input::open(&basis, Kind::Basis)?;
    let input = Input::open(&delta, Kind::Delta)?;
    let patch = Patch {
        verify: !line.skip_verification,
        ..Patch::default()
    };
    make(&new, Kind::Result, &[&basis, &delta], |file| {
        let delta = input.shown("Applying delta", line, output);
        octodiff::apply_delta(basis_file.file, delta, file, &patch)?;
        Ok(())
    })
}

fn explain(line: &Line, folder: &Path, output: &mut dyn Write) -> Result<(), Failure> {
    let delta = folder.join(line.word(0, "delta")?);
    let input = Input::open(&delta, Kind::Delta)?;
    octodiff::explain(input.file, output).map_err(|error| Failure::from(error).at(&delta))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes a file that gets its name when it is whole; its folders are made.
fn make(
    target: &Path,
    kind: Kind,
    inputs: &[&PathBuf],
    write: impl FnOnce(&mut File) -> Result<(), Error>,
) -> Result<(), Failure> {
    let written = |error| Failure::file(kind, "written", error, target);
    let itself = |input: &&&PathBuf| match (input.canonicalize(), target.canonicalize()) {
        (Ok(input), Ok(target)) => input == target,
        _ => false,
    };
    if let Some(input) = inputs.iter().find(itself) {
        let text = format!("it is the file that is read, {}; name another", input.display());
        return Err(written(io::Error::new(io::ErrorKind::ResourceBusy, text)));
    }
    let mut file = FreshFile::beside(target).map_err(written)?;
    write(file.file()).map_err(|error| Failure::from(error).at(target))?;
    file.finish().map_err(written)
}

struct Input {
    file: File,
    length: u64,
}

impl Input {
    fn open(path: &Path, kind: Kind) -> Result<Self, Failure> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Self {
                length: metadata.len(),
                file: File::open(path).map_err(|error| Failure::file(kind, "read", error, path))?,
            }),
            Ok(_) => Err(Failure::usage(format!("{} is not a file", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::usage(format!("File not found: {}", path.display())))
            }
            Err(error) => Err(Failure::file(kind, "read", error, path)),
        }
    }

    fn shown<'a>(self, operation: &'static str, line: &Line, output: &'a mut dyn Write) -> Shown<'a> {
        Shown {
            file: self.file,
            length: self.length,
            read: 0,
            operation,
            last: None,
            output: line.progress.then_some(output),
        }
    }
}

/// A file that tells how much of it was read, in steps of 10 %.
struct Shown<'a> {
    file: File,
    length: u64,
    read: u64,
    operation: &'static str,
    last: Option<u64>,
    output: Option<&'a mut dyn Write>,
}

impl Read for Shown<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        if let Some(output) = &mut self.output {
            let part = self.read.min(self.length) * 10 / self.length.max(1) * 10;
            if self.last != Some(part) {
                self.last = Some(part);
                writeln!(output, "{}: {part}%", self.operation)?;
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Desk(tempfile::TempDir);

    impl Desk {
        fn with(files: &[(&str, &[u8])]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in files {
                std::fs::write(folder.path().join(name), bytes).unwrap();
            }
            Self(folder)
        }

        fn run(&self, line: &str) -> (i32, String, String) {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (mut output, mut errors) = (Vec::new(), Vec::new());
            let code = run(&arguments, self.0.path(), &mut output, &mut errors);
            (
                code,
                String::from_utf8(output).unwrap(),
                String::from_utf8(errors).unwrap(),
            )
        }

        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.0.path()).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_file_goes_from_signature_to_delta_to_copy() {
        let desk = Desk::with(&[("old", &[b'a'; 5000]), ("new", &[b'a'; 6000])]);
        assert_eq!(desk.run("sig old"), (0, String::new(), String::new()));
        assert_eq!(desk.run("DELTA --progress old.octosig new").0, 0);
        assert_eq!(desk.run("patch old new.octodelta made/deep/new").0, 0);
        assert_eq!(
            std::fs::read(desk.0.path().join("made/deep/new")).unwrap(),
            [b'a'; 6000]
        );
        assert_eq!(
            desk.names(),
            ["made", "new", "new.octodelta", "old", "old.octosig"]
        );
        let (code, lines, _) = desk.run("explain-delta new.octodelta");
        assert!(code == 0 && lines.starts_with("Copy: 0 to "), "{lines}");
    }

    #[test]
    fn progress_is_told_in_steps() {
        let desk = Desk::with(&[("old", &[1; 900_000]), ("none", b"")]);
        let (_, lines, _) = desk.run("signature old --progress");
        assert!(lines.starts_with("Building signatures: "), "{lines}");
        assert!(lines.ends_with("Building signatures: 100%\n"), "{lines}");
        assert_eq!(
            desk.run("signature --progress none").1,
            "Building signatures: 0%\n"
        );
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let desk = Desk::with(&[("old", &[1; 900]), ("other", &[2; 900])]);
        desk.run("signature old sig --chunk-size 128");
        desk.run("delta sig old delta");
        let before = desk.names();
        let (code, _, errors) = desk.run("patch other delta new/copy");
        assert_eq!(code, 4);
        assert!(
            errors.contains("basis file changed") && errors.contains("new/copy"),
            "{errors}"
        );
        for (line, code) in [
            ("delta old other out", 2),
            ("explain-delta sig", 2),
            ("signature nope", 4),
            ("signature", 4),
            ("patch old delta", 4),
            ("signature old out --chunk-size=127", 4),
            ("signature old out --chunk-size=32768", 3),
            ("signature old out --chunk-size=1e3", 3),
            ("signature old out --chunk-size", 4),
            ("signature old old", 1),
            ("signature old old/inside", 1),
            ("signature old .", 3),
            ("nonsense", 4),
        ] {
            assert_eq!(desk.run(line).0, code, "{line}");
            assert_eq!(desk.names(), before, "{line}");
        }
        assert_eq!(std::fs::read(desk.0.path().join("old")).unwrap(), [1; 900]);
    }

    #[test]
    fn unknown_options_are_words_as_in_the_original() {
        let desk = Desk::with(&[("old", b"abc")]);
        assert_eq!(desk.run("signature old --unknown").0, 0);
        assert_eq!(desk.names(), ["--unknown", "old"]);
        assert_eq!(desk.run("signature /chunk-size:256 old -progress+ x").0, 0);
        assert_eq!(desk.names(), ["--unknown", "old", "x"]);
    }

    #[test]
    fn help_is_there_on_request() {
        let desk = Desk::with(&[]);
        assert_eq!(desk.run("help").0, 0);
        assert_eq!(desk.run("? delta").0, 0);
        let (code, text, _) = desk.run("-h");
        assert_eq!(code, 4);
        assert!(text.contains("explain-delta <delta>"));
    }
}
