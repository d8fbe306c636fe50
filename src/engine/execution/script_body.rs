//! What the agent's shell is given: a few lines that start the runner (`calamari`'s manual).

use security::Secret;

/// The name of the file of plain variables in the workspace.
pub const VARIABLES: &str = "variables.json";
/// The name of the file of sensitive variables in the workspace.
pub const SENSITIVE_VARIABLES: &str = "sensitive.bin";

/// What the runner is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Runs the script in the variables.
    RunScript,
    /// Deploys the package that lies at this path on the machine.
    DeployPackage(&'a str),
}

/// The script that starts the runner at `runner`. The password reaches it on its standard input by a here-document, never
/// by argument or environment: the script is readable by its owner only and is deleted with the workspace.
#[must_use]
pub fn start_runner(runner: &str, command: Command<'_>, password: Option<&Secret>) -> String {
    let runner = quote(runner);
    let command = match command {
        Command::RunScript => "run-script".to_owned(),
        Command::DeployPackage(path) => format!("deploy-package --package={}", quote(path)),
    };
    let secrets = match password {
        Some(password) => format!(
            " \\\n    --sensitiveVariables={SENSITIVE_VARIABLES} --sensitiveVariablesPassword=- <<'EOF'\n{}\nEOF",
            password.expose()
        ),
        None => " </dev/null".to_owned(),
    };
    format!(
        "#!/bin/bash\n\
         cd \"$(dirname \"$0\")\" || exit 1\n\
         runner={runner}\n\
         [ -x \"$runner\" ] || chmod 700 \"$runner\" || exit 1\n\
         exec \"$runner\" {command} \\\n    --variables={VARIABLES}{secrets}\n"
    )
}

/// A text as one word of a shell, whatever is in it.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_password_stands_in_the_here_document_only() {
        let script = start_runner(
            "/home/a/calamari",
            Command::DeployPackage("/files/it's.zip"),
            Some(&"pass".into()),
        );
        assert_eq!(
            script,
            "#!/bin/bash\ncd \"$(dirname \"$0\")\" || exit 1\nrunner='/home/a/calamari'\n\
             [ -x \"$runner\" ] || chmod 700 \"$runner\" || exit 1\n\
             exec \"$runner\" deploy-package --package='/files/it'\\''s.zip' \\\n    --variables=variables.json \\\n    \
             --sensitiveVariables=sensitive.bin --sensitiveVariablesPassword=- <<'EOF'\npass\nEOF\n"
        );
    }

    #[test]
    fn bash_runs_what_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let runner = folder.path().join("run'ner");
        std::fs::write(&runner, "#!/bin/bash\necho \"$@\"\ncat\n").unwrap();
        for password in [None, Some(Secret::from("a$b`c\\"))] {
            let body = start_runner(runner.to_str().unwrap(), Command::RunScript, password.as_ref());
            let script = folder.path().join("Bootstrap.sh");
            std::fs::write(&script, body).unwrap();
            let output = Process::new("/bin/bash").arg(&script).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let expected = match password {
                None => "run-script --variables=variables.json\n",
                Some(_) => {
                    "run-script --variables=variables.json --sensitiveVariables=sensitive.bin --sensitiveVariablesPassword=-\na$b`c\\\n"
                }
            };
            assert_eq!(text, expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_quoted_text_is_one_word(text in "[^\0]{0,40}") {
            let output = Process::new("/bin/bash").arg("-c").arg(format!("printf %s {}", quote(&text))).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
