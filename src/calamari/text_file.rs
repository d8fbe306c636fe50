//! Text files that are changed in place: read in their encoding, written back in it, whole or not at all (13).

use crate::charset::{Charset, Named, Unrepresentable};
use crate::failure::Failure;
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::time::{Duration, Instant};

/// How the text of a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// How characters become bytes.
    pub charset: Charset,
    /// Whether a byte order mark stands first.
    pub marked: bool,
}

/// The content of a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile<'b> {
    /// Without a byte order mark, line ends as they are; the bytes themselves where they are UTF-8.
    pub text: Cow<'b, str>,
    /// How it was stored.
    pub storage: Storage,
}

/// Larger files are left to other tools.
const LARGEST: u64 = 256 << 20;

/// How long a file is waited for that another program holds.
const PATIENCE: Duration = Duration::from_secs(5);

impl<'b> TextFile<'b> {
    /// Reads the bytes of a file: its byte order mark decides, else it is UTF-8 when it can be, else Windows-1252.
    pub fn decode(bytes: &'b [u8]) -> Self {
        Self::decode_declared(bytes, None)
    }

    /// The same for a text that may say its encoding itself: that is tried after the mark, when all its bytes fit.
    pub fn decode_declared(bytes: &'b [u8], declared: Option<&str>) -> Self {
        if let Some(charset) = marked(bytes) {
            let (text, _) = charset.decode(&bytes[charset.mark().len()..]);
            let storage = Storage {
                charset,
                marked: true,
            };
            return Self { text, storage };
        }
        let unmarked = |charset, text| Self {
            text,
            storage: Storage {
                charset,
                marked: false,
            },
        };
        if let Some(Named::Known(charset)) = declared.map(Charset::named) {
            // A declaration that could be read as bytes cannot tell of units of two or four bytes.
            let possible = charset == Charset::Utf8 || !charset.is_unicode();
            if possible && let (text, false) = charset.decode(bytes) {
                return unmarked(charset, text);
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => unmarked(Charset::Utf8, Cow::Borrowed(text)),
            Err(_) => {
                let charset = Charset::Legacy(encoding_rs::WINDOWS_1252);
                unmarked(charset, charset.decode(bytes).0)
            }
        }
    }
}

impl Storage {
    /// The bytes of a file with this text.
    ///
    /// # Errors
    /// A character that the encoding does not have.
    pub fn encode(self, text: &str) -> Result<Cow<'_, [u8]>, Unrepresentable> {
        let content = self.charset.encode(text)?;
        Ok(self.with_mark(content))
    }

    /// The bytes of a file with this text; what the encoding lacks becomes a similar character or `?`.
    pub fn encode_best(self, text: &str) -> Vec<u8> {
        self.with_mark(Cow::Owned(self.charset.encode_best(text)))
            .into_owned()
    }

    fn with_mark(self, content: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
        if self.marked {
            Cow::Owned([self.charset.mark(), &content].concat())
        } else {
            content
        }
    }
}

/// Reads a file that is to be changed.
///
/// # Errors
/// It cannot be read, or is larger than 256 MiB.
pub fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::at(path, "read", &error);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > LARGEST {
        return Err(Failure::expected(format!(
            "The file {} has {length} bytes, more than the {LARGEST} that are changed; leave it out of the targets",
            path.display()
        )));
    }
    std::fs::read(path).map_err(failed)
}

/// Gives an existing file a new content: a new file takes its place, with its owner and mode. Where that cannot be
/// (other names for the file, a folder that may not be written to), the file itself is written. A file that another
/// program holds is waited for.
///
/// # Errors
/// It cannot be written; then it is as it was.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        match replace_once(path, content) {
            Err(error) if passes(&error) && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            outcome => return outcome.map_err(|error| Failure::at(path, "write", &error)),
        }
    }
}

fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy
    )
}

fn replace_once(path: &Path, content: &[u8]) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    let (real, metadata) = if metadata.is_symlink() {
        let real = std::fs::canonicalize(path)?;
        let metadata = std::fs::metadata(&real)?;
        (real, metadata)
    } else {
        (path.to_owned(), metadata)
    };
    // Who may not write to a file may not replace it either.
    let mut existing = OpenOptions::new().write(true).open(&real)?;
    let folder = real.parent().unwrap_or(Path::new(""));
    let temporary = folder.join(format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
    if metadata.nlink() == 1
        && let Ok(file) = OpenOptions::new().write(true).create_new(true).open(&temporary)
    {
        match fill(file, content, &metadata, &temporary).and_then(|same| {
            if same {
                std::fs::rename(&temporary, &real)?;
            }
            Ok(same)
        }) {
            Ok(true) => return Ok(()),
            Ok(false) => std::fs::remove_file(&temporary)?,
            Err(error) => {
                std::fs::remove_file(&temporary)?;
                return Err(error);
            }
        }
    }
    existing.write_all(content)?;
    existing.set_len(content.len() as u64)
}

/// Writes the new file; says whether it has the owner of the old one.
fn fill(mut file: File, content: &[u8], old: &std::fs::Metadata, temporary: &Path) -> io::Result<bool> {
    file.write_all(content)?;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && chown(temporary, Some(old.uid()), Some(old.gid())).is_err()
    {
        return Ok(false);
    }
    file.set_permissions(old.permissions())?;
    Ok(true)
}

fn marked(bytes: &[u8]) -> Option<Charset> {
    // The mark of UTF-32 begins with that of UTF-16.
    [
        Charset::Utf8,
        Charset::Utf32Le,
        Charset::Utf32Be,
        Charset::Utf16Le,
        Charset::Utf16Be,
    ]
    .into_iter()
    .find(|charset| bytes.starts_with(charset.mark()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_mark_decides_then_utf_8_then_windows_1252() {
        let read = |bytes: &[u8]| {
            let file = TextFile::decode(bytes);
            let (name, marked) = (file.storage.charset.name(), file.storage.marked);
            (file.text.into_owned(), name, marked)
        };
        let expected = |text: &str, name: &str, marked| (text.to_owned(), name.to_owned(), marked);
        assert_eq!(read(b"\xEF\xBB\xBFa"), expected("a", "utf-8", true));
        assert_eq!(read(b"\xFF\xFEa\0"), expected("a", "utf-16", true));
        assert_eq!(read(b"\xFE\xFF\0a"), expected("a", "utf-16BE", true));
        assert_eq!(read(b"\xFF\xFE\0\0a\0\0\0"), expected("a", "utf-32", true));
        assert_eq!(read(b"\0\0\xFE\xFF\0\0\0a"), expected("a", "utf-32BE", true));
        assert_eq!(read(b"a\0"), expected("a\0", "utf-8", false));
        assert_eq!(read(b"caf\xE9 \x80"), expected("café €", "windows-1252", false));
        assert_eq!(read(b"\xEF\xBB\xBF\xFF"), expected("\u{FFFD}", "utf-8", true));
    }

    #[test]
    fn a_declaration_counts_when_it_can_be_true() {
        let read =
            |bytes: &[u8], declared| TextFile::decode_declared(bytes, Some(declared)).text.into_owned();
        assert_eq!(read(b"\xC4", "koi8-r"), "д");
        assert_eq!(read(b"\xC3\xA9", "iso-8859-1"), "Ã©");
        assert_eq!(read("é".as_bytes(), "utf-16"), "é");
        assert_eq!(read("é".as_bytes(), "us-ascii"), "é");
        assert_eq!(read(b"\xE9", "klingon"), "é");
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.sh");
        std::fs::write(&file, "long old text").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o751)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o751);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());

        let second = folder.path().join("second name");
        std::fs::hard_link(&file, &second).unwrap();
        replace(&file, b"n").unwrap();
        assert_eq!(std::fs::read(&second).unwrap(), b"n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    proptest! {
        #[test]
        fn every_file_comes_back(bytes: Vec<u8>) {
            let file = TextFile::decode(&bytes);
            // Bytes that no character has come back as U+FFFD.
            if !file.text.contains('\u{FFFD}') {
                prop_assert_eq!(file.storage.encode(&file.text), Ok(Cow::Borrowed(&bytes[..])));
            }
        }
    }
}
