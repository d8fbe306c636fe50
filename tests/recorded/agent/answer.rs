//! What binds of the answers of the agent's program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::RegexSet;
use serde_json::Value;

use super::placeholder::{fits, resolve};
use super::program::Ended;
use super::stub::{self, Request};
use crate::difference::{same, same_json, same_text};
use crate::document::{Part, parts};

/// Commands whose answer binds.
const ANSWERING: [&str; 4] = [
    "show-thumbprint",
    "list-instances",
    "show-configuration",
    "version",
];

/// Lines that the specifications quote.
static QUOTED: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"^Command '.*' is not supported$",
        r"^Unrecognized command line arguments: ",
        r"^Agent will trust Octopus Servers with the thumbprint: ",
        r"^Agent will poll Octopus Server at ",
        r"^Agent listening on: ",
        r"^Agent will not listen on any TCP ports$",
        r"^These changes require a restart of the Tentacle\.$",
    ])
    .expect("the expressions are ours and checked by the tests")
});

/// Success or failure, and 2 where it is 2. A signal that is no request to end ends both without a result.
///
/// # Errors
/// When the two differ.
pub fn same_end(recorded: &Value, ended: &Ended) -> Result<(), String> {
    let ours = match (ended.code, ended.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "nothing".to_owned(),
    };
    let agree = match recorded {
        Value::String(words) => words.split(" or ").any(|word| word == ours) || ended.code == Some(0),
        Value::Number(code) if code.as_i64() == Some(0) || code.as_i64() == Some(2) => {
            ours == code.to_string()
        }
        _ => !matches!(ended.code, Some(0 | 2)),
    };
    if agree {
        return Ok(());
    }
    let said = ended.stderr.lines().next().unwrap_or_default();
    Err(format!("exit: ours {ours}, recorded {recorded} ({said})"))
}

/// What answering commands print, and the lines that a specification quotes.
///
/// # Errors
/// The first difference.
pub fn same_output(case: &Value, ended: &Ended) -> Result<(), String> {
    let command = case["argv"][0].as_str().unwrap_or_default();
    let command = command.trim_start_matches(['-', '/']).to_lowercase();
    let recorded = case["stdout"].as_str();
    if let Some(recorded) = recorded
        && case["exit"] == 0
        && ANSWERING.contains(&command.as_str())
    {
        same_answer(recorded, &ended.stdout)?;
    }
    for (name, ours) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        let text = case[name].as_str().unwrap_or_default();
        for line in text.lines().filter(|line| QUOTED.is_match(line)) {
            if !ours.lines().any(|own| fits(line, own)) {
                let said = ended.stderr.lines().next().unwrap_or_default();
                return Err(format!(
                    "{name} lacks {line:?}, which a specification quotes ({said})"
                ));
            }
        }
    }
    Ok(())
}

fn same_answer(recorded: &str, ours: &str) -> Result<(), String> {
    if fits(recorded, ours) {
        return Ok(());
    }
    if let (Ok(mut theirs), Ok(own)) = (
        serde_json::from_str::<Value>(recorded),
        serde_json::from_str::<Value>(ours),
    ) {
        resolve(&mut theirs, &own);
        return same_json("stdout", &own, &theirs);
    }
    same_text("stdout", ours, recorded)
}

/// Settings files and index as data, exports as text; nothing that was not recorded may have changed.
///
/// # Errors
/// The first difference.
pub fn same_files(
    recorded: &Value,
    start: &BTreeMap<String, Vec<u8>>,
    end: &BTreeMap<String, Vec<u8>>,
) -> Result<(), String> {
    let mut named = BTreeSet::new();
    for (path, content) in recorded.as_object().into_iter().flatten() {
        if path.starts_with('~') || content["dir"] == true {
            continue;
        }
        named.insert(path.as_str());
        if content.is_null() {
            same(&format!("{path} exists"), end.contains_key(path), false)?;
        } else if let Some(text) = content["text"].as_str().filter(|_| is_settings(path)) {
            let bytes = end.get(path).ok_or_else(|| format!("{path} is missing"))?;
            same_settings(path, &String::from_utf8_lossy(bytes), text)?;
        }
    }
    for (path, bytes) in end {
        if is_settings(path) && start.get(path) != Some(bytes) && !named.contains(path.as_str()) {
            return same_settings_or_new(path, start.get(path), bytes);
        }
    }
    let gone = start
        .keys()
        .find(|path| is_settings(path) && !end.contains_key(*path));
    match gone.filter(|path| !named.contains(path.as_str())) {
        Some(path) => Err(format!("{path} is gone, which was not recorded")),
        None => Ok(()),
    }
}

fn is_settings(path: &str) -> bool {
    path.ends_with(".config")
}

/// A file that was written again with the same settings is no change.
fn same_settings_or_new(path: &str, before: Option<&Vec<u8>>, after: &[u8]) -> Result<(), String> {
    let before = before.ok_or_else(|| format!("{path} was not recorded"))?;
    let (after, before) = (String::from_utf8_lossy(after), String::from_utf8_lossy(before));
    same_settings(path, &after, &before).map_err(|why| format!("was not recorded: {why}"))
}

fn same_settings(path: &str, ours: &str, recorded: &str) -> Result<(), String> {
    let (Ok(mut own), Ok(theirs)) = (settings(ours), settings(&escaped(recorded))) else {
        return same_text(path, ours, recorded);
    };
    for (name, value) in theirs {
        let Some(found) = own.remove(&name) else {
            return Err(format!("{path}: {name} is missing, recorded {value:?}"));
        };
        same_value(&format!("{path}, {name}"), &found, &unescaped(&value))?;
    }
    match own.into_iter().next() {
        Some((name, value)) => Err(format!("{path}: {name} = {value:?} was not recorded")),
        None => Ok(()),
    }
}

/// Placeholders have brackets that XML cannot have in its text.
fn escaped(recorded: &str) -> String {
    let mut text = recorded.to_owned();
    for name in [
        "encrypted-pfx",
        "thumbprint",
        "subscription",
        "base64",
        "key",
        "n",
        "port",
    ] {
        text = text.replace(&format!("<{name}"), &format!("\u{1}{name}"));
    }
    text
}

fn unescaped(value: &str) -> String {
    value.replace('\u{1}', "<")
}

/// Key and value of each setting; the attributes of index entries likewise.
fn settings(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    let mut key = None;
    for part in parts(text)? {
        match part {
            Part::Start(_, attributes) => {
                let named = attributes.into_iter().find(|(name, _)| name == "key");
                key = named.map(|(_, value)| value);
                if let Some(key) = &key {
                    found.insert(key.clone(), String::new());
                }
            }
            Part::Text(text) => {
                let name = key.clone().unwrap_or_else(|| format!("text {}", found.len() + 1));
                found.insert(name, text);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn same_value(what: &str, ours: &str, recorded: &str) -> Result<(), String> {
    if fits(recorded, ours) {
        return Ok(());
    }
    if let (Ok(mut theirs), Ok(own)) = (
        serde_json::from_str::<Value>(recorded),
        serde_json::from_str::<Value>(ours),
    ) {
        resolve(&mut theirs, &own);
        return same_json(what, &own, &theirs);
    }
    same(what, ours, recorded)
}

/// Requests that write, in order, with their bodies, and the credentials of each request. What is read binds by what is
/// made of it: ours may ask for less, but for nothing that was not asked for then.
///
/// # Errors
/// The first difference.
pub fn same_requests(recorded: &Value, ours: &[Request]) -> Result<(), String> {
    let recorded: Vec<&Value> = recorded.as_array().into_iter().flatten().collect();
    let target = |request: &&Value| stub::target(request["target"].as_str().unwrap_or_default()).to_owned();
    let is_read = |method: &str, target: &str| method == "GET" && target != "/handshake";
    let theirs: BTreeSet<String> = recorded
        .iter()
        .filter(|request| is_read(stub::method(request), &target(request)))
        .map(target)
        .collect();
    let own: BTreeSet<String> = ours
        .iter()
        .filter(|request| is_read(&request.method, &request.target))
        .map(|request| request.target.clone())
        .collect();
    if let Some(more) = own.difference(&theirs).next() {
        return Err(format!("GET {more} was not recorded"));
    }
    let mut writes = ours
        .iter()
        .filter(|request| !is_read(&request.method, &request.target));
    for request in recorded
        .iter()
        .filter(|request| !is_read(stub::method(request), &target(request)))
    {
        let what = format!("{} {}", stub::method(request), target(request));
        let Some(own) = writes.next() else {
            return Err(format!("{what} was not sent"));
        };
        same("request", format!("{} {}", own.method, own.target), what.clone())?;
        let listener = request["listener"].as_str().unwrap_or("api:80");
        same(&format!("listener of {what}"), own.listener.as_str(), listener)?;
        same_body(&what, own, request)?;
    }
    if let Some(more) = writes.next() {
        return Err(format!("{} {} was not recorded", more.method, more.target));
    }
    for request in ours {
        let mut theirs = recorded
            .iter()
            .filter(|recorded| stub::method(recorded) == request.method && target(recorded) == request.target)
            .peekable();
        if theirs.peek().is_some() && !theirs.any(|theirs| same_credentials(request, theirs)) {
            let what = format!("{} {}", request.method, request.target);
            return Err(format!("{what} has other credentials than recorded"));
        }
    }
    Ok(())
}

fn same_body(what: &str, own: &Request, recorded: &Value) -> Result<(), String> {
    let Some(theirs) = recorded.get("body").filter(|body| !body.is_null()) else {
        return Ok(());
    };
    let own: Value = serde_json::from_str(&own.body).map_err(|why| format!("the body of {what}: {why}"))?;
    let mut theirs = theirs.clone();
    resolve(&mut theirs, &own);
    same_json(&format!("body of {what}"), &own, &theirs)
}

fn same_credentials(own: &Request, recorded: &Value) -> bool {
    ["X-Octopus-ApiKey", "Authorization", "X-Octopus-Csrf-Token"]
        .iter()
        .all(|name| {
            let ours = own.headers.get(&name.to_lowercase()).map_or("", String::as_str);
            let theirs = recorded["headers"][name].as_str().unwrap_or_default();
            theirs.is_empty() == ours.is_empty() && fits(theirs, ours)
        })
}

/// Status line and header names of the answers to probes.
///
/// # Errors
/// The first difference.
pub fn same_probes(recorded: &Value, ours: &[Result<String, String>]) -> Result<(), String> {
    let mut first = "";
    for (probe, own) in recorded.as_array().into_iter().flatten().zip(ours) {
        let mut theirs = probe["response"].as_str().unwrap_or_default();
        if theirs.contains("<same as the first probe>") {
            theirs = first;
        } else if first.is_empty() {
            first = theirs;
        }
        let what = format!("answer to {:?}", probe["request"].as_str().unwrap_or_default());
        let own = own.as_ref().map_err(|why| format!("{what}: {why}"))?;
        same(&what, head(own), head(theirs))?;
    }
    Ok(())
}

/// The status line, and the names of the headers in any order and case.
fn head(answer: &str) -> (String, BTreeSet<String>) {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default().to_owned();
    let names = lines.filter_map(|line| line.split_once(':'));
    (status, names.map(|(name, _)| name.to_lowercase()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str =
        "<octopus-settings><set key=\"A\">[{\"x\":1,\"y\":null}]</set><set key=\"B\" /></octopus-settings>";

    #[test]
    fn settings_are_data() {
        let recorded = "\u{feff}<octopus-settings><set key=\"B\" /><set key=\"A\">[{\"y\":null,\"x\":1}]</set></octopus-settings>";
        same_settings("f", SETTINGS, recorded).unwrap();
        let recorded = "<octopus-settings><set key=\"B\"><encrypted-pfx></set></octopus-settings>";
        let found = same_settings("f", SETTINGS, recorded).unwrap_err();
        assert!(found.contains("A"), "{found}");
        assert!(same_settings("f", "<s><set key=\"B\"/></s>", SETTINGS).is_err());
    }

    #[test]
    fn probes_bind_by_status_and_names() {
        let recorded = serde_json::json!([{"request": "x", "response": "HTTP/1.0 200 OK\r\nA: 1\r\nB: 2\r\n\r\n<page>"},
            {"request": "y", "response": "<same as the first probe>"}]);
        let own = || Ok("HTTP/1.0 200 OK\r\nb: 9\r\na: 1\r\n\r\nours".to_owned());
        same_probes(&recorded, &[own(), own()]).unwrap();
        assert!(same_probes(&recorded, &[own(), Ok(String::new())]).is_err());
    }
}
