//! The files of a case: as they are laid out before, and as they are afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::placeholder::Placeholders;
use crate::difference::{same, same_json};
use crate::document::same_xml;

/// A file or link below the folder of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file: its bytes and permission bits.
    File(Vec<u8>, u32),
    /// A symbolic link and where it points.
    Link(String),
}

/// Files and links by path below the folder.
pub type Tree = BTreeMap<String, Entry>;

/// Everything below a folder but folders.
///
/// # Errors
/// When something cannot be read.
pub fn read(folder: &Path) -> Result<Tree, String> {
    let mut tree = Tree::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        let path = folder.join(&below);
        let problem = |why: std::io::Error| format!("{}: {why}", path.display());
        for entry in fs::read_dir(&path).map_err(problem)? {
            let entry = entry.map_err(problem)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            let kind = entry.file_type().map_err(problem)?;
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(problem)?;
                tree.insert(name, Entry::Link(target.to_string_lossy().into_owned()));
            } else if kind.is_file() {
                let mode = entry.metadata().map_err(problem)?.permissions().mode() & 0o7777;
                let bytes = fs::read(entry.path()).map_err(problem)?;
                tree.insert(name, Entry::File(bytes, mode));
            }
        }
    }
    Ok(tree)
}

/// Makes files as a case describes them.
///
/// # Errors
/// When one cannot be made, or its content is not in the recording.
pub fn write(folder: &Path, files: &Value, places: &Placeholders) -> Result<(), String> {
    for (name, content) in files.as_object().into_iter().flatten() {
        let path = folder.join(places.fill(name));
        write_one(&path, content, places).map_err(|why| format!("input {name}: {why}"))?;
    }
    Ok(())
}

fn write_one(path: &Path, content: &Value, places: &Placeholders) -> Result<(), String> {
    let problem = |why: std::io::Error| why.to_string();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(problem)?;
    }
    if let Some(target) = content["link"].as_str() {
        return symlink(places.fill(target), path).map_err(problem);
    }
    let bytes = bytes(content, places)?.ok_or("its content is not in the recording")?;
    fs::write(path, bytes).map_err(problem)?;
    if let Some(mode) = mode(content)? {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(problem)?;
    }
    if let Some(seconds) = content["mtime"].as_u64() {
        let file = fs::File::open(path).map_err(problem)?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).map_err(problem)?;
    }
    Ok(())
}

/// The bytes of a recorded file, none when the recording has only its hash.
fn bytes(content: &Value, places: &Placeholders) -> Result<Option<Vec<u8>>, String> {
    let text = content.as_str().or(content["text"].as_str());
    if let Some(text) = text {
        return Ok(Some(places.fill(text).into_bytes()));
    }
    if let Some(text) = content["utf8bom"].as_str() {
        return Ok(Some(format!("\u{feff}{}", places.fill(text)).into_bytes()));
    }
    if let Some(text) = content["base64"].as_str() {
        return STANDARD.decode(text).map(Some).map_err(|why| why.to_string());
    }
    let Some(hash) = content["sha256"].as_str() else {
        return Err(format!("{content} is no file content"));
    };
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("input").join(hash);
    Ok(fs::read(kept).ok())
}

fn mode(content: &Value) -> Result<Option<u32>, String> {
    match &content["mode"] {
        Value::String(octal) => u32::from_str_radix(octal, 8)
            .map(Some)
            .map_err(|why| format!("mode {octal}: {why}")),
        Value::Number(digits) => u32::from_str_radix(&digits.to_string(), 8)
            .map(Some)
            .map_err(|why| format!("mode {digits}: {why}")),
        _ => Ok(None),
    }
}

/// Compares the files that are new or changed with the recorded ones.
///
/// # Errors
/// The first file that is missing, too many, or different.
pub fn same_files(ours: &Tree, recorded: &Value, places: &Placeholders) -> Result<(), String> {
    let mut left: BTreeMap<&String, &Entry> = ours.iter().collect();
    for (name, content) in recorded.as_object().into_iter().flatten() {
        if is_helper(name) {
            continue;
        }
        let Some(found) = left.keys().find(|own| places.fits(name, own)).copied() else {
            return Err(format!("file {name} is missing"));
        };
        let own = left.remove(found).ok_or("a name is looked up once")?;
        same_file(name, own, content, places)?;
    }
    match left.keys().next() {
        Some(name) => Err(format!("file {name} was not recorded")),
        None => Ok(()),
    }
}

/// Helper files of scripts stay behind there, and never do in ours (`observed.md` 9.33).
fn is_helper(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    (last.starts_with("Bootstrap.") || last.starts_with("Configure.")) && last.contains("<tail>")
}

fn same_file(name: &str, own: &Entry, content: &Value, places: &Placeholders) -> Result<(), String> {
    let what = format!("file {name}");
    if content["omitted"] == true {
        return Ok(());
    }
    if let Some(target) = content["link"].as_str() {
        return same(&what, own, &Entry::Link(places.fill(target)));
    }
    let Entry::File(own, own_mode) = own else {
        return Err(format!("{what}: ours is {own:?}, recorded is a file"));
    };
    if let Some(mode) = mode(content)? {
        same(
            &format!("mode of {what}"),
            format!("{own_mode:o}"),
            format!("{mode:o}"),
        )?;
    }
    if let Some(hash) = content["sha256"].as_str() {
        let digest = hex::encode(Sha256::digest(own));
        return same(&format!("hash of {what}"), digest.as_str(), hash);
    }
    let recorded = bytes(content, places)?.ok_or_else(|| format!("{what} has no content"))?;
    if *own == recorded {
        return Ok(());
    }
    let (Ok(own), Ok(recorded)) = (std::str::from_utf8(own), std::str::from_utf8(&recorded)) else {
        return Err(format!(
            "{what}: its {} bytes differ from the {} recorded",
            own.len(),
            recorded.len()
        ));
    };
    if places.fits(recorded, own) {
        return Ok(());
    }
    same_data(&what, own, recorded, places)
}

/// Journals and configuration files are compared as data.
fn same_data(what: &str, own: &str, recorded: &str, places: &Placeholders) -> Result<(), String> {
    let bare = |text: &str| text.trim_start_matches('\u{feff}').trim_start().to_owned();
    let (own_bare, bare) = (bare(own), bare(recorded));
    if bare.starts_with('<') && crate::document::parts(&bare).is_ok() {
        return same_xml(what, own, recorded, &|recorded, ours| places.fits(recorded, ours));
    }
    if (bare.starts_with('{') || bare.starts_with('['))
        && let Ok(mut theirs) = serde_json::from_str::<Value>(&bare)
    {
        let ours = serde_json::from_str::<Value>(&own_bare).map_err(|why| format!("{what}: {why}"))?;
        let ours = plain(ours);
        theirs = plain(theirs);
        resolve(&mut theirs, &ours, places);
        return same_json(what, &ours, &theirs);
    }
    crate::difference::same_text(what, own, recorded)
}

/// `{"Value": x}` is x: which of the two forms the identities have is not proven.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) if members.len() == 1 && members.contains_key("Value") => members
            .into_iter()
            .next()
            .map_or(Value::Null, |(_, value)| plain(value)),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, plain(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}

/// Puts our text where a recorded one with placeholders fits it.
fn resolve(recorded: &mut Value, ours: &Value, places: &Placeholders) {
    match (recorded, ours) {
        (Value::Object(members), Value::Object(own)) => {
            for (name, value) in members {
                if let Some(own) = own.get(name) {
                    resolve(value, own, places);
                }
            }
        }
        (Value::Array(items), Value::Array(own)) => {
            for (value, own) in items.iter_mut().zip(own) {
                resolve(value, own, places);
            }
        }
        (Value::String(text), Value::String(own)) if places.fits(text, own) => text.clone_from(own),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places() -> Placeholders {
        Placeholders::new(Path::new("/w"), Path::new("/h"), Path::new("/c/calamari"))
    }

    fn file(text: &str) -> Entry {
        Entry::File(text.as_bytes().to_vec(), 0o644)
    }

    #[test]
    fn what_is_written_is_read_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let files = json!({"a/b.txt": "x<work>", "c": {"utf8bom": "d"}, "e": {"base64": "/w=="},
            "l": {"link": "<work>/a"}, "m": {"text": "s", "mode": "755", "mtime": 1}});
        write(folder.path(), &files, &places()).unwrap();
        let tree = read(folder.path()).unwrap();
        assert_eq!(tree["a/b.txt"], file("x/w"));
        assert_eq!(tree["l"], Entry::Link("/w/a".to_owned()));
        assert_eq!(tree["m"], Entry::File(b"s".to_vec(), 0o755));
        same_files(&tree, &files, &places()).unwrap();
        assert!(same_files(&tree, &json!({}), &places()).is_err());
    }

    #[test]
    fn journals_are_data() {
        let ours = Tree::from([
            ("j.xml".to_owned(), file("<a x='1' y='20310502'/>")),
            ("j.json".to_owned(), file(r#"{"b": "12345678", "a": "P"}"#)),
        ]);
        let recorded = json!({"j.xml": {"utf8bom": "<a y=\"<time>\" x=\"1\" />"},
            "j.json": "{\"a\":{\"Value\":\"P\"},\"b\":\"<key>\"}"});
        same_files(&ours, &recorded, &places()).unwrap();
    }
}
