//! `octodiff.jsonl`: signatures byte for byte, deltas that make the same file and are no larger, and the command line.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use octodiff::{Command, DeltaReader, Patch, RollingChecksum, Signature, SignatureForm};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::difference::{same, same_text};

/// Gives a case to our delta tool.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    match text(case, "kind") {
        "delta" => delta(case),
        "command" => command(case),
        other => Err(format!("there is no kind {other}")),
    }
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

fn number(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("{value} is no number"))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.ok_or_else(|| format!("{text} is not hex"))?;
    Ok(digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
        .collect())
}

/// The bytes that a list of segments stands for.
fn segments(list: &Value, basis: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for segment in list.as_array().into_iter().flatten() {
        match segment[0].as_str().unwrap_or_default() {
            "rand" => bytes.extend(random(&segment[1], number(&segment[2])?)?),
            "fill" => {
                let byte = u8::try_from(number(&segment[1])?).map_err(|why| why.to_string())?;
                bytes.resize(bytes.len() + number(&segment[2])?, byte);
            }
            "repeat" => {
                let pattern = unhex(segment[1].as_str().unwrap_or_default())?;
                bytes.extend(pattern.iter().cycle().take(number(&segment[2])?));
            }
            "hex" => bytes.extend(unhex(segment[1].as_str().unwrap_or_default())?),
            "basis" => {
                let start = number(&segment[1])?.min(basis.len());
                let end = (start + number(&segment[2])?).min(basis.len());
                bytes.extend(&basis[start..end]);
            }
            other => return Err(format!("there is no segment {other}")),
        }
    }
    Ok(bytes)
}

/// The generator of the recordings.
fn random(seed: &Value, count: usize) -> Result<Vec<u8>, String> {
    let mut x = seed.as_u64().ok_or_else(|| format!("{seed} is no seed"))?;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend(x.to_le_bytes());
    }
    bytes.truncate(count);
    Ok(bytes)
}

fn delta(case: &Value) -> Result<(), String> {
    let basis = segments(&case["basis"], &[])?;
    let new = segments(&case["new"], &basis)?;
    same("sum of basis", sha256(&basis).as_str(), text(case, "basisSha256"))?;
    same("sum of new", sha256(&new).as_str(), text(case, "newSha256"))?;
    let form = SignatureForm {
        chunk_size: u16::try_from(number(&case["chunkSize"])?).map_err(|why| why.to_string())?,
        checksum: match text(case, "checksum") {
            "Adler32" => RollingChecksum::Adler32,
            "Adler32V2" => RollingChecksum::Adler32V2,
            other => return Err(format!("there is no checksum {other}")),
        },
    };

    let mut signature = Vec::new();
    octodiff::build_signature(&basis[..], &mut signature, &form).map_err(|why| why.to_string())?;
    same_bytes("signature", &signature, &case["signature"])?;

    let signature = Signature::read(&signature[..]).map_err(|why| why.to_string())?;
    let mut delta = Cursor::new(Vec::new());
    octodiff::build_delta(&signature, &new[..], &mut delta).map_err(|why| why.to_string())?;
    let delta = delta.into_inner();
    let recorded = number(&case["delta"]["length"])?;
    if delta.len() > recorded {
        return Err(format!(
            "delta: ours has {} bytes, recorded {recorded}",
            delta.len()
        ));
    }
    rebuilds("delta", &basis, &delta, &new)?;
    recorded_delta(case, &basis, &new)
}

/// What was recorded is read too, where all of it was kept.
fn recorded_delta(case: &Value, basis: &[u8], new: &[u8]) -> Result<(), String> {
    let Some(delta) = case["delta"]["hex"].as_str() else {
        return Ok(());
    };
    let delta = unhex(delta)?;
    rebuilds("recorded delta", basis, &delta, new)?;
    let mut reader = DeltaReader::open(&delta[..]).map_err(|why| why.to_string())?;
    let mut commands = Vec::new();
    while let Some(command) = reader.next_command().map_err(|why| why.to_string())? {
        commands.push(match command {
            Command::Copy { start, length } => serde_json::json!(["copy", start, length]),
            Command::Data { length } => serde_json::json!(["data", length]),
        });
    }
    same(
        "number of commands",
        commands.len(),
        number(&case["commandCount"])?,
    )?;
    commands.truncate(24);
    same("commands", &Value::from(commands), &case["commands"])?;
    if let Some(lines) = case["explain"].as_array() {
        let mut ours = Vec::new();
        octodiff::explain(&delta[..], &mut ours).map_err(|why| why.to_string())?;
        same_lines("explain", &String::from_utf8_lossy(&ours), lines)?;
    }
    Ok(())
}

fn rebuilds(what: &str, basis: &[u8], delta: &[u8], new: &[u8]) -> Result<(), String> {
    let mut result = Vec::new();
    octodiff::apply_delta(Cursor::new(basis), delta, &mut result, &Patch::default())
        .map_err(|why| format!("{what}: {why}"))?;
    same(&format!("{what}: result"), result == new, true)
}

fn same_bytes(what: &str, ours: &[u8], recorded: &Value) -> Result<(), String> {
    same(
        &format!("length of {what}"),
        ours.len(),
        number(&recorded["length"])?,
    )?;
    if let Some(bytes) = recorded["hex"].as_str() {
        same_text(what, &hex(ours), bytes)?;
    }
    same(
        &format!("sum of {what}"),
        sha256(ours).as_str(),
        text(recorded, "sha256"),
    )
}

/// Recorded lines end with an empty one, the end of the text.
fn same_lines(what: &str, ours: &str, recorded: &[Value]) -> Result<(), String> {
    let recorded: Vec<&str> = recorded.iter().filter_map(Value::as_str).collect();
    same_text(what, ours.trim_end(), recorded.join("\n").trim_end())
}

fn command(case: &Value) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
    let mut inputs = Vec::new();
    for (name, file) in case["files"].as_object().into_iter().flatten() {
        let bytes = match file["hex"].as_str() {
            Some(hex) => unhex(hex)?,
            None => segments(&file["segments"], &[])?,
        };
        fs::write(folder.path().join(name), &bytes).map_err(|why| why.to_string())?;
        inputs.push((name, bytes));
    }
    let arguments = case["args"].as_array().into_iter().flatten();
    let arguments: Vec<String> = arguments.filter_map(Value::as_str).map(str::to_owned).collect();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let exit = calamari::command::octodiff::run(&arguments, folder.path(), &mut output, &mut errors);

    let recorded = if case["hangs"] == true {
        Some(2)
    } else {
        case["exit"].as_i64()
    };
    same("exit", Some(i64::from(exit)), recorded)
        .map_err(|difference| format!("{difference}; {}", String::from_utf8_lossy(&errors)))?;
    if exit != 0 {
        let left = files_below(folder.path())?;
        return match left
            .iter()
            .find(|name| !inputs.iter().any(|(input, _)| *input == *name))
        {
            Some(name) => Err(format!("a failed command left {name} behind")),
            None => Ok(()),
        };
    }
    if arguments
        .first()
        .is_some_and(|command| command == "explain-delta")
    {
        let lines = case["stdout"].as_array().map(Vec::as_slice).unwrap_or_default();
        same_lines("stdout", &String::from_utf8_lossy(&output), lines)?;
    }
    for (name, recorded) in case["created"].as_object().into_iter().flatten() {
        let file = fs::read(folder.path().join(name)).map_err(|why| format!("{name}: {why}"))?;
        if file.starts_with(b"OCTODELTA") {
            made_delta(case, name, &file, &inputs)?;
        } else {
            same_bytes(name, &file, recorded)?;
        }
    }
    Ok(())
}

/// A delta that a command made: it must make the new file, and be no larger than one that was recorded and does.
fn made_delta(case: &Value, name: &str, delta: &[u8], inputs: &[(&String, Vec<u8>)]) -> Result<(), String> {
    let input = |name: &str| {
        inputs
            .iter()
            .find(|(input, _)| *input == name)
            .map(|(_, bytes)| bytes)
    };
    let (Some(basis), Some(new)) = (input("basis"), input("new")) else {
        return Ok(());
    };
    rebuilds(name, basis, delta, new)?;
    let recorded = &case["created"][name];
    let applies = match recorded["hex"].as_str() {
        Some(bytes) => rebuilds(name, basis, &unhex(bytes)?, new).is_ok(),
        None => true,
    };
    let length = number(&recorded["length"])?;
    if applies && delta.len() > length {
        return Err(format!(
            "{name}: ours has {} bytes, recorded {length}",
            delta.len()
        ));
    }
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|why| why.to_string())? {
        let entry = entry.map_err(|why| why.to_string())?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
