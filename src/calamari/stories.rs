//! Stories of the runner as a process, the way the Server starts it.

use security::{Secret, sensitive_file};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Workspace {
    folder: tempfile::TempDir,
    variables: Vec<Value>,
    secrets: Vec<Value>,
}

struct Outcome {
    code: i32,
    output: String,
    error: String,
}

impl Workspace {
    fn new() -> Self {
        let workspace = Self {
            folder: tempfile::tempdir().expect("a folder"),
            variables: Vec::new(),
            secrets: Vec::new(),
        };
        let applications = workspace.path("applications").display().to_string();
        workspace
            .with("Octopus.Action.Name", "Step A")
            .with("Octopus.Environment.Name", "Production")
            .with("OctopusRetentionPolicySet", "E/P/S")
            .with("Octopus.Tentacle.Agent.ApplicationDirectoryPath", &applications)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push(json!({"k": name, "v": value}));
        self
    }

    fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.push(json!({"k": name, "v": value, "s": true}));
        self
    }

    fn script(self, text: &str) -> Self {
        self.with("Octopus.Action.Script.ScriptBody", text)
            .with("Octopus.Action.Script.Syntax", "Bash")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let password = sensitive_file::generate_password();
        let plain = serde_json::to_vec(&self.variables).expect("JSON");
        let sealed = sensitive_file::encrypt(&password, &serde_json::to_vec(&self.secrets).expect("JSON"));
        std::fs::write(self.path("variables.json"), plain).expect("written");
        std::fs::write(self.path("sensitive.bin"), sealed).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_calamari"))
            .args(arguments)
            .args([
                "--variables=variables.json",
                "--sensitiveVariables=sensitive.bin",
                "--sensitiveVariablesPassword=-",
            ])
            .current_dir(self.folder.path())
            .env("TentacleHome", self.folder.path())
            .env("TentacleJournal", self.path("DeploymentJournal.xml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut input = child.stdin.take().expect("a pipe");
        writeln!(input, "{}", password.expose()).expect("written");
        child
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let output = self.start(arguments).wait_with_output().expect("ended");
        Outcome {
            code: output.status.code().expect("ended by itself"),
            output: String::from_utf8(output.stdout).expect("text"),
            error: String::from_utf8(output.stderr).expect("text"),
        }
    }

    fn deploy(&self, package: &str, files: &[(&str, &str)]) -> Outcome {
        let mut writer = zip::ZipWriter::new(std::fs::File::create(self.path(package)).expect("created"));
        for (name, contents) in files {
            writer
                .start_file(*name, zip::write::SimpleFileOptions::default())
                .expect("started");
            writer.write_all(contents.as_bytes()).expect("written");
        }
        writer.finish().expect("finished");
        self.run(&["deploy-package", "--package", package])
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.path("DeploymentJournal.xml")).unwrap_or_default()
    }

    fn application(&self, version: &str) -> PathBuf {
        self.path("applications/Production/Acme.Web").join(version)
    }

    fn assert_no_helper_files(&self) {
        for entry in std::fs::read_dir(self.folder.path()).expect("a folder") {
            let name = entry.expect("readable").file_name();
            assert!(
                !name.to_string_lossy().starts_with("Bootstrap"),
                "{name:?} is left"
            );
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// E13
#[test]
fn values_arrive_as_they_are_and_nothing_in_them_is_executed() {
    let values = [
        "\"; touch hacked; #",
        "$(touch hacked)",
        "`touch hacked`",
        "%0a",
        "'@",
        "a\nb\n",
        "ż \\ ' $HOME",
        "",
    ];
    let mut workspace = Workspace::new();
    let mut script = String::new();
    for (position, value) in values.iter().enumerate() {
        workspace = workspace.with(&format!("Value {position}"), value);
        script.push_str(&format!(
            "get_octopusvariable 'value {position}' > out{position}\n"
        ));
    }
    let workspace = workspace
        .with("Text", "in text")
        .script(&format!("{script}echo '#{{Text}}'; exit 7"));
    let outcome = workspace.run(&["run-script"]);
    assert_eq!(outcome.code, 7, "{}", outcome.error);
    assert!(outcome.output.contains("\nin text\n"));
    for (position, value) in values.iter().enumerate() {
        let arrived = std::fs::read_to_string(workspace.path(&format!("out{position}"))).expect("written");
        assert_eq!(arrived, *value);
    }
    assert!(!workspace.path("hacked").exists());
}

#[test]
fn helper_functions_write_what_the_server_reads() {
    let workspace = Workspace::new().with("Who", "me").script(
        "echo one > a.txt; new_octopusartifact a.txt 'Shown name'; set_octopusvariable Later 'a b'; write_highlight \"for #{Who}\"\n\
         set_octopusvariable Octopus.Release.Number 9; update_progress 50 half; fail_step 'not good'",
    );
    let outcome = workspace.run(&["run-script"]);
    assert_eq!(outcome.code, 1);
    for expected in [
        "##octopus[setVariable name='TGF0ZXI=' value='YSBi']",
        "##octopus[stdout-highlight]\nfor me\n##octopus[stdout-default]",
        "name='U2hvd24gbmFtZQ==' length='NA==']",
        "##octopus[progress percentage='NTA=' message='aGFsZg==']",
        "##octopus[resultMessage message='bm90IGdvb2Q=']",
        // E21
        "names that begin with Octopus. are reserved",
    ] {
        assert!(
            outcome.output.contains(expected),
            "{expected}\n{}",
            outcome.output
        );
    }
    assert!(
        !outcome.output.contains("T2N0b3B1cy5SZWxlYXNlLk51bWJlcg=="),
        "{}",
        outcome.output
    );
    workspace.assert_no_helper_files();
}

/// E01, E02, E05, E09, E10, E11
#[test]
fn secrets_never_show_however_they_are_printed() {
    let workspace = Workspace::new().secret("Password", "S3cr3t-p@ss").script(
        "set -x\nvalue=\"$(get_octopusvariable password)\"\nset +x\necho \"plain $value\"; echo \"error $value\" >&2\n\
         printf 'S3cr'; sleep 0.1; printf '3t-p@ss split\\n'\n\
         for ((i = 0; i < ${#value}; i++)); do printf '%s' \"${value:i:1}\"; done; echo ' bytewise'\n\
         printf '%s' \"$value\" | base64; printf '%s' \"$value\" | od -An -tx1 | tr -d ' \\n'; echo\n\
         set_octopusvariable Token fresh-s3cret -sensitive; echo \"then fresh-s3cret\"\n\
         ps -ef >ps.txt 2>/dev/null; env >env.txt\n\
         echo \"the end\"; printf 'last %s' \"$value\"",
    );
    let outcome = workspace.run(&["run-script"]);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    let all = format!("{}{}", outcome.output, outcome.error);
    assert!(
        !all.contains("S3cr3t") && !all.contains("UzNjcjN0") && !all.contains("533363723374"),
        "{all}"
    );
    assert!(!outcome.output.contains("then fresh"), "{all}");
    for expected in [
        "plain ********",
        "******** split",
        "******** bytewise",
        "then ********",
        "the end\nlast ********\n",
    ] {
        assert!(outcome.output.contains(expected), "{expected}\n{all}");
    }
    assert!(outcome.error.contains("error ********"));
    for file in ["ps.txt", "env.txt"] {
        let text = std::fs::read_to_string(workspace.path(file)).expect(file);
        assert!(!text.contains("S3cr3t"), "{file}");
    }
    workspace.assert_no_helper_files();
}

/// E06
#[test]
fn a_prompt_without_line_end_is_shown_while_the_script_waits() {
    let workspace = Workspace::new()
        .secret("Password", "waiting-for-input")
        .script("printf 'waiting-for-'; while [ ! -e go ]; do sleep 0.05; done; echo done");
    let mut child = workspace.start(&["run-script"]);
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut seen = Vec::new();
    let started = Instant::now();
    while !seen.ends_with(b"waiting-for-") {
        let mut byte = [0];
        assert_eq!(
            output.read(&mut byte).expect("readable"),
            1,
            "{}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    std::fs::write(workspace.path("go"), "").expect("written");
    assert!(child.wait().expect("ended").success());
}

#[test]
fn a_wrong_password_stops_the_step_before_anything_runs() {
    let workspace = Workspace::new().script("touch ran");
    workspace.run(&["version"]);
    let file = sensitive_file::encrypt(&Secret::from("another"), b"[]");
    std::fs::write(workspace.path("other.bin"), file).expect("written");
    let outcome = workspace.run(&["run-script", "--sensitiveVariables=other.bin"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.error.contains("Cannot decrypt variables"),
        "{}",
        outcome.error
    );
    assert!(!workspace.path("ran").exists());
}

#[test]
fn sigterm_ends_the_script_with_all_that_it_started() {
    let workspace = Workspace::new()
        .script("sleep 300 & echo $! > child.pid; (setsid true); trap '' INT; echo started; wait");
    let mut child = workspace.start(&["run-script"]);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line == "started")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    let started = Instant::now();
    let status = child.wait().expect("ended");
    assert_eq!(status.code(), Some(143));
    assert!(started.elapsed() < Duration::from_secs(10));
    let grandchild = std::fs::read_to_string(workspace.path("child.pid")).expect("a pid");
    let grandchild = grandchild
        .trim()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a pid");
    // What was killed may be on its way out for a moment.
    let state =
        || std::fs::read_to_string(format!("/proc/{}/stat", grandchild.as_raw_pid())).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(started.elapsed() < Duration::from_secs(10), "{}", state());
        std::thread::sleep(Duration::from_millis(5));
    }
    workspace.assert_no_helper_files();
}

#[test]
fn what_a_script_leaves_running_does_not_hold_the_step() {
    let started = Instant::now();
    let workspace = Workspace::new().script("sleep 30 & echo $! > left.pid; echo done");
    let outcome = workspace.run(&["run-script"]);
    assert_eq!(outcome.code, 0);
    assert!(outcome.output.contains("\ndone\n"));
    assert!(started.elapsed() < Duration::from_secs(20));
    let left = std::fs::read_to_string(workspace.path("left.pid")).expect("a pid");
    let left = left
        .trim()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a pid");
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("still running");
}

#[test]
fn a_package_is_unpacked_and_its_scripts_run_in_order() {
    let workspace = Workspace::new()
        .with(
            "Octopus.Action.EnabledFeatures",
            "Octopus.Features.CustomScripts, Octopus.Features.ConfigurationTransforms",
        )
        .with(
            "Octopus.Action.CustomScripts.PreDeploy.sh",
            "echo configured before #{Greeting}",
        )
        .with(
            "Octopus.Action.CustomScripts.PostDeploy.sh",
            "echo configured after",
        )
        .with("Greeting", "hello");
    let files = [
        ("index.html", "<p>"),
        ("css/site.css", "p {}"),
        (
            "PreDeploy.sh",
            "echo packaged before; set_octopusvariable Mood good",
        ),
        (
            "deploy.sh",
            "echo \"packaged deploy: $(get_octopusvariable Mood)\"",
        ),
        ("PostDeploy.sh", "echo packaged after"),
        ("DeployFailed.sh", "echo never"),
    ];
    let outcome = workspace.deploy("Acme.Web.1.2.3.zip", &files);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    let order: Vec<usize> = [
        "configured before hello",
        "packaged before",
        "packaged deploy: good",
        "packaged after",
        "configured after",
    ]
    .iter()
    .map(|line| {
        outcome
            .output
            .find(&format!("\n{line}\n"))
            .unwrap_or_else(|| panic!("{line}: {}", outcome.output))
    })
    .collect();
    assert!(order.is_sorted());
    assert_eq!(names(&workspace.application("1.2.3")), ["css", "index.html"]);
    assert!(workspace.journal().contains("WasSuccessful=\"True\""));
    let second = workspace.deploy("Acme.Web.1.2.3.zip", &files);
    assert_eq!(second.code, 0);
    assert!(workspace.application("1.2.3_1").join("index.html").exists());
}

#[test]
fn a_package_that_is_there_already_is_not_deployed_again_when_the_step_says_so() {
    let workspace = Workspace::new()
        .with("Octopus.Action.Package.SkipIfAlreadyInstalled", "True")
        .with("Octopus.Action.Package[].PackageId", "Acme.Web")
        .with("Octopus.Action.Package[].PackageVersion", "1.2.3");
    assert_eq!(workspace.deploy("Acme.Web.1.2.3.zip", &[("a", "1")]).code, 0);
    let second = workspace.deploy("Acme.Web.1.2.3.zip", &[("a", "1")]);
    assert_eq!(second.code, 0);
    assert!(second.output.contains("already been installed"));
    assert_eq!(
        names(&workspace.path("applications/Production/Acme.Web")),
        ["1.2.3"]
    );
}

#[test]
fn a_message_may_go_on_over_lines_and_half_a_message_swallows_nothing() {
    let outcome = Workspace::new().deploy(
        "Acme.Web.1.2.3.zip",
        &[
            (
                "PreDeploy.sh",
                "value=$(printf 'a long value' | base64 -w 6)\n\
                 echo \"##octopus[setVariable name='V3JhcHBlZA==' value='$value']\"\n\
                 printf '##octopus[setVariable name=\"WA==\"\\nplain\\n##octopus[setVariable name=\"WQ==\" value=\"Mg==\"]\\n'",
            ),
            (
                "Deploy.sh",
                "echo \"W=[$(get_octopusvariable Wrapped)] X=[$(get_octopusvariable X)] Y=[$(get_octopusvariable Y)]\"",
            ),
        ],
    );
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    for expected in ["\nplain\n", "W=[a long value] X=[] Y=[2]"] {
        assert!(
            outcome.output.contains(expected),
            "{expected}\n{}",
            outcome.output
        );
    }
}

#[test]
fn a_script_that_fails_fails_the_step_and_deploy_failed_runs() {
    for (script, says) in [
        ("exit 3", "non-zero exit code: 3"),
        ("kill -9 $$", "killed by signal 9"),
    ] {
        let workspace = Workspace::new();
        let outcome = workspace.deploy(
            "Acme.Web.1.2.3.zip",
            &[
                ("PreDeploy.sh", script),
                ("PostDeploy.sh", "echo never"),
                (
                    "DeployFailed.sh",
                    "echo \"cleaning up: $(get_octopusvariable OctopusLastErrorMessage)\"",
                ),
            ],
        );
        assert_eq!(outcome.code, 1);
        assert!(
            outcome.error.contains("PreDeploy.sh") && outcome.error.contains(says),
            "{}",
            outcome.error
        );
        assert!(
            outcome.output.contains("cleaning up: Script"),
            "{}",
            outcome.output
        );
        assert!(!outcome.output.contains("never"));
        assert!(workspace.journal().contains("WasSuccessful=\"False\""));
        assert_eq!(
            names(&workspace.application("1.2.3")),
            ["PostDeploy.sh", "PreDeploy.sh"]
        );
    }
}

#[test]
fn a_package_that_is_cut_off_fails_the_step_and_leaves_nothing() {
    let workspace = Workspace::new();
    workspace.deploy("Whole.1.0.0.zip", &[("a.txt", "some text"), ("b.txt", "more")]);
    let whole = std::fs::read(workspace.path("Whole.1.0.0.zip")).expect("bytes");
    std::fs::write(workspace.path("Acme.Web.1.0.0.zip"), &whole[..whole.len() - 30]).expect("written");
    let outcome = workspace.run(&["deploy-package", "--package=Acme.Web.1.0.0.zip"]);
    assert_eq!(outcome.code, 100);
    assert!(
        outcome.error.contains("Acme.Web.1.0.0.zip") && outcome.error.contains("push the package again"),
        "{}",
        outcome.error
    );
    assert!(names(&workspace.path("applications/Production/Acme.Web")).is_empty());
    let hostile = Workspace::new();
    let outcome = hostile.deploy("Acme.Web.1.0.0.zip", &[("good.txt", ""), ("../../evil.sh", "x")]);
    assert_eq!(outcome.code, 100);
    assert!(outcome.error.contains("../../evil.sh"), "{}", outcome.error);
    assert!(!hostile.path("applications/evil.sh").exists());
}

#[test]
fn what_cannot_be_had_here_is_refused_before_anything_happens() {
    let workspace = Workspace::new().with("Octopus.Action.EnabledFeatures", "Octopus.Features.IISWebSite");
    let outcome = workspace.deploy("Acme.Web.1.2.3.zip", &[("a", "1")]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.error.contains("IISWebSite needs Windows"),
        "{}",
        outcome.error
    );
    assert!(!workspace.path("applications").exists());
    for (name, value, told) in [
        ("Octopus.Action.Script.Syntax", "CSharp", "written in C#"),
        (
            "Octopus.Action.Script.Syntax",
            "FSharp",
            "which is no script language",
        ),
    ] {
        let foreign = Workspace::new()
            .with("Octopus.Action.Script.ScriptBody", "x")
            .with(name, value);
        let outcome = foreign.run(&["run-script"]);
        assert_eq!(outcome.code, 1);
        assert!(outcome.error.contains(told), "{}", outcome.error);
    }
}

/// E15
#[test]
fn a_circular_variable_fails_only_the_script_that_reads_it() {
    let circle = Workspace::new().with("A", "#{B}").with("B", "#{A}");
    let outcome = circle.script("echo fine").run(&["run-script"]);
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    let circle = Workspace::new().with("A", "#{B}").with("B", "#{A}");
    let outcome = circle.script("get_octopusvariable A").run(&["run-script"]);
    assert_eq!(outcome.code, 101);
    assert!(outcome.error.contains("circular"), "{}", outcome.error);
}

#[test]
fn two_thousand_variables_are_handed_over_within_seconds() {
    let mut workspace = Workspace::new();
    for number in 0..2000 {
        workspace = workspace.with(
            &format!("Group[{number}].Name"),
            &format!("#{{Group[{}].Base}} value", number % 7),
        );
    }
    let started = Instant::now();
    let outcome = workspace
        .with("Group[3].Base", "three")
        .script("get_octopusvariable 'Group[1998].Name'")
        .run(&["run-script"]);
    assert!(outcome.output.contains("three value"), "{}", outcome.output);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn python_has_the_same_functions() {
    let workspace = Workspace::new()
        .secret("Password", "S3cr3t-p@ss")
        .with("Octopus.Action.Script.ScriptParameters", "one \"two three\"")
        .with("Octopus.Action.Script.Syntax", "Python")
        .with(
            "Octopus.Action.Script.ScriptBody",
            "import os, sys\n\
             print(sys.argv[1:], get_octopusvariable('password'), octopusvariables['Octopus.Action.Name'])\n\
             print([name for name in os.listdir('.') if name.startswith('Bootstrap')])\n\
             open('a b.txt', 'w').write('123'); createartifact('a b.txt')\n\
             set_octopusvariable('Later', 5); printhighlight('ż'); updateprogress(50); failstep('not good')",
        );
    let outcome = workspace.run(&["run-script"]);
    assert_eq!(outcome.code, 255, "{}", outcome.error);
    for expected in [
        "\n['one', 'two three'] ******** Step A\n[]\n",
        "name='YSBiLnR4dA==' length='Mw==']",
        "##octopus[setVariable name='TGF0ZXI=' value='NQ==']",
        "##octopus[stdout-highlight]\nż\n",
        "##octopus[progress percentage='NTA=']",
        "##octopus[resultMessage message='bm90IGdvb2Q=']",
    ] {
        assert!(
            outcome.output.contains(expected),
            "{expected}\n{}",
            outcome.output
        );
    }
    workspace.assert_no_helper_files();
}

#[test]
fn a_package_is_copied_to_the_folder_that_the_step_names() {
    use std::os::unix::fs::PermissionsExt;
    let workspace = Workspace::new();
    let site = workspace.path("site");
    std::fs::create_dir(&site).expect("made");
    std::fs::write(site.join("kept.txt"), "kept").expect("written");
    std::fs::write(site.join("index.html"), "old").expect("written");
    let workspace = workspace
        .with("Site", &site.display().to_string())
        .with("Octopus.Action.Package.CustomInstallationDirectory", "#{Site}");
    let outcome = workspace.deploy(
        "Acme.Web.1.2.3.zip",
        &[
            ("index.html", "new"),
            ("bin/run", "x"),
            ("PostDeploy.sh", "chmod 700 bin/run; echo in $PWD"),
        ],
    );
    assert_eq!(outcome.code, 0, "{}", outcome.error);
    assert!(outcome.output.contains(&format!("in {}", site.display())));
    assert_eq!(names(&site), ["bin", "index.html", "kept.txt"]);
    assert_eq!(
        std::fs::read_to_string(site.join("index.html")).expect("text"),
        "new"
    );
    let mode = std::fs::metadata(site.join("bin/run"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    for (folder, says) in [("relative/folder", "relative"), ("#{Nope}/x", "evaluat")] {
        let workspace = Workspace::new().with("Octopus.Action.Package.CustomInstallationDirectory", folder);
        let outcome = workspace.deploy("Acme.Web.1.2.3.zip", &[("a", "1")]);
        assert_eq!(outcome.code, 1);
        assert!(outcome.error.contains(says), "{}", outcome.error);
    }
}
