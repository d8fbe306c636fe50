//! Scripts of PowerShell as processes; they run where `pwsh` is installed.

use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a script with its variables; none where there is no PowerShell.
fn run(folder: &Path, script: &str, variables: &[(&str, &str)]) -> Option<Output> {
    let installed = Command::new("pwsh").arg("-Version").output().is_ok();
    if !installed {
        return None;
    }
    let mut all = vec![
        json!({"k": "Octopus.Action.Script.ScriptBody", "v": script}),
        json!({"k": "Octopus.Action.Script.Syntax", "v": "PowerShell"}),
    ];
    all.extend(
        variables
            .iter()
            .map(|(name, value)| json!({"k": name, "v": value})),
    );
    let file = folder.join("variables.json");
    std::fs::write(&file, serde_json::to_vec(&all).expect("JSON")).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_calamari"))
        .args(["run-script", "--variables=variables.json"])
        .current_dir(folder)
        .output();
    Some(output.expect("started"))
}

#[test]
fn values_functions_and_the_exit_code_are_those_of_every_language() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "Write-Host \"[$($OctopusParameters['it''s a name'])] [$MyShort]\"\n\
                  Set-OctopusVariable -name 'Out' -value 'zż' -sensitive\n\
                  Write-Warning 'careful'\nexit 3\n";
    let values = [("It's A Name", "a \"b\" $c `d\n'e"), ("My.Short", "short")];
    let Some(output) = run(folder.path(), script, &values) else {
        return;
    };
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(3), "{text}");
    for part in [
        "[a \"b\" $c `d\n'e] [short]",
        "##octopus[setVariable name='T3V0' value='esW8' sensitive='VHJ1ZQ==']",
        "##octopus[stdout-warning]\ncareful\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 2, "the variables and the script are all that is left");
}

#[test]
fn an_error_nobody_catches_is_told_and_fails_the_script() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(output) = run(folder.path(), "throw 'no luck'", &[]) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.contains("no luck"), "{error}");
}
