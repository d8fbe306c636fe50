//! From an environment in any spelling to canonical settings (`containers.md` 1.3 and 1.4).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use crate::problem::Problems;
use crate::secret::SecretValue;
use crate::table::{self, Program, Setting, State};
use crate::value::{Checker, parse_boolean};
use crate::{AgentSettings, ServerSettings};

/// Set by `entrypoint`, which has shown the notes already.
const UNDER_ENTRYPOINT: &str = "MANTLE_UNDER_ENTRYPOINT";
/// No secret is longer, not even a certificate with its chain.
const LARGEST_SECRET_FILE: u64 = 1 << 20;
/// Variables of other programs that look like misspelt ones of ours.
const OTHERS_NAMES: &[&str] = &["FTP_PROXY"];

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteLevel {
    /// Probably a mistake.
    Warning,
    /// Worth knowing.
    Info,
    /// Only for somebody who looks for it.
    Debug,
}

/// One line about the settings that is no problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub level: NoteLevel,
    /// A sentence that stands alone.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The environment of one program: its settings under canonical names, and everything that is no setting.
#[derive(Debug)]
pub struct Environment {
    program: Program,
    given: BTreeMap<&'static str, Given>,
    others: Vec<(OsString, OsString)>,
    notes: Vec<Note>,
    problems: Vec<String>,
}

/// A setting as it was given: the spelling, and the value or the path of the file that holds it.
#[derive(Debug)]
struct Given {
    spelling: String,
    source: Source,
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    Value(SecretValue),
    File(String),
}

impl Environment {
    /// Sorts the variables of one program. Problems are kept until [`server`](Self::server) or
    /// [`agent`](Self::agent) asks, so that they are told together with those of the values.
    pub fn new(program: Program, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let mut environment = Environment {
            program,
            given: BTreeMap::new(),
            others: Vec::new(),
            notes: Vec::new(),
            problems: Vec::new(),
        };
        for (name, value) in variables {
            environment.take(name, value);
        }
        environment.note_values();
        environment
    }

    /// The environment of this process.
    pub fn of_process(program: Program) -> Environment {
        let mut environment = Environment::new(program, std::env::vars_os());
        if std::env::var_os(UNDER_ENTRYPOINT).is_some() {
            environment.notes.clear();
        }
        environment
    }

    /// What is worth saying about the settings, in the order in which they were found.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The canonical settings as variables for a child: `NAME=value`, or `NAME_FILE=path` as it was given.
    pub fn canonical(&self) -> Vec<(String, String)> {
        let variables = self.given.iter().map(|(name, given)| match &given.source {
            Source::Value(value) => ((*name).to_owned(), value.expose().to_owned()),
            Source::File(path) => (format!("{name}_FILE"), path.clone()),
        });
        variables.collect()
    }

    /// The same for one child: only the settings that it needs.
    pub fn canonical_of(&self, names: &[&str]) -> Vec<(String, String)> {
        let wanted = |name: &String| {
            names.contains(&name.as_str()) || names.iter().any(|wanted| *name == format!("{wanted}_FILE"))
        };
        self.canonical()
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .collect()
    }

    /// Everything that is no setting in any spelling: what a child inherits beside its settings.
    pub fn others(&self) -> &[(OsString, OsString)] {
        &self.others
    }

    /// Whether a setting was given, by its canonical name.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The Server's settings, or everything that is wrong with them.
    pub fn server(&self) -> Result<ServerSettings, Problems> {
        let (values, mut checker) = self.values();
        let settings = ServerSettings::from_values(&values, &mut checker);
        Problems::check(checker.problems)?;
        Ok(settings)
    }

    /// The agent's settings, or everything that is wrong with them.
    pub fn agent(&self) -> Result<AgentSettings, Problems> {
        let (values, mut checker) = self.values();
        let settings = AgentSettings::from_values(&values, &mut checker);
        Problems::check(checker.problems)?;
        Ok(settings)
    }

    fn take(&mut self, name: OsString, value: OsString) {
        let Some(text) = name.to_str().map(str::to_owned) else {
            self.others.push((name, value));
            return;
        };
        let twin = table::file_twin(&text);
        let Some(setting) = table::find(&text).or(twin) else {
            self.note_stranger(&text);
            self.others.push((name, value));
            return;
        };
        if value.is_empty() || !setting.program.includes(self.program) {
            return;
        }
        let Ok(value) = value.into_string() else {
            self.problems
                .push(format!("{text}: its value is not UTF-8 text."));
            return;
        };
        if is_service_link(&text, &value) {
            self.note(
                NoteLevel::Debug,
                format!("{text} is a service link of Kubernetes and is ignored."),
            );
            return;
        }
        let is_file = twin.is_some() && table::find(&text).is_none();
        let source = if is_file {
            Source::File(value)
        } else {
            Source::Value(SecretValue::new(value))
        };
        self.give(
            setting,
            Given {
                spelling: text,
                source,
            },
        );
    }

    fn give(&mut self, setting: &'static Setting, given: Given) {
        let Some(earlier) = self.given.get(setting.name) else {
            self.given.insert(setting.name, given);
            return;
        };
        let mut names = [earlier.spelling.as_str(), given.spelling.as_str()];
        names.sort_unstable();
        let [one, other] = names;
        match (&earlier.source, &given.source) {
            (Source::Value(_), Source::File(_)) | (Source::File(_), Source::Value(_)) => {
                self.problems
                    .push(format!("{one} and {other} are both set; set only one of them."));
            }
            (earlier, given) if earlier != given => self.problems.push(format!(
                "{one} and {other} are the same setting but have different values; set only one of them."
            )),
            _ => {}
        }
    }

    fn note(&mut self, level: NoteLevel, text: String) {
        self.notes.push(Note { level, text });
    }

    /// A variable that is no setting, but perhaps meant to be one.
    fn note_stranger(&mut self, name: &str) {
        if table::fold(name).starts_with("OCTOPUSK8STENTACLE") {
            self.problems.push(format!(
                "{name} is set, but the Kubernetes agent is not part of this product."
            ));
        }
        let base = table::without_file(name).unwrap_or(name);
        if let Some(setting) = table::find(base).filter(|setting| setting.program.includes(self.program)) {
            let known = setting.name;
            self.note(
                NoteLevel::Warning,
                format!("{name} is ignored: {known} is no secret and is not read from a file."),
            );
        } else if let Some(known) = near_miss(base, self.program) {
            self.note(
                NoteLevel::Warning,
                format!("{name} is not a setting; did you mean {known}?"),
            );
        }
    }

    fn note_values(&mut self) {
        let mut found = Vec::new();
        for (name, given) in &self.given {
            let spelling = &given.spelling;
            let level_and_reason = match table::find(name).map(|setting| setting.state) {
                Some(State::NoEffect(reason)) => Some((NoteLevel::Info, reason)),
                Some(State::Marker(reason)) => Some((NoteLevel::Debug, reason)),
                _ => None,
            };
            if let Some((level, reason)) = level_and_reason {
                found.push(Note {
                    level,
                    text: format!("{spelling} is accepted without effect: {reason}."),
                });
            }
        }
        let polling = ["ServerPort", "ServerCommsAddress"]
            .iter()
            .any(|name| self.has(name));
        if polling && self.has("ListeningPort") {
            let text =
                "ListeningPort is ignored: the agent polls, since ServerPort or ServerCommsAddress is set.";
            found.push(Note {
                level: NoteLevel::Warning,
                text: text.to_owned(),
            });
        }
        if polling && self.has("PublicHostNameConfiguration") {
            let text = "PublicHostNameConfiguration is ignored: nobody calls an agent that polls.";
            found.push(Note {
                level: NoteLevel::Info,
                text: text.to_owned(),
            });
        }
        self.notes.append(&mut found);
    }

    /// Canonical names with the values themselves, files read, and what was wrong so far.
    fn values(&self) -> (BTreeMap<&'static str, SecretValue>, Checker) {
        let mut checker = Checker {
            problems: self.problems.clone(),
        };
        let mut values = BTreeMap::new();
        for (name, given) in &self.given {
            let spelling = &given.spelling;
            let value = match &given.source {
                Source::Value(value) => value.clone(),
                Source::File(path) => match read_secret(Path::new(path)) {
                    Ok(value) => value,
                    Err(reason) => {
                        checker.problem(format!("{spelling}: the file {path} {reason}."));
                        continue;
                    }
                },
            };
            match table::find(name).map(|setting| setting.state) {
                Some(State::NotBuilt(reason)) if parse_boolean(value.expose()) != Some(false) => {
                    checker.problem(format!("{spelling} is set, but {reason}."));
                }
                Some(State::Built) => {
                    values.insert(*name, value);
                }
                _ => {}
            }
        }
        (values, checker)
    }
}

/// `SERVER_PORT=tcp://10.0.0.7:8080` is what Kubernetes tells about a service named `server`.
fn is_service_link(name: &str, value: &str) -> bool {
    let ends = name.len() >= 5 && name.is_char_boundary(name.len() - 5);
    ends && name[name.len() - 5..].eq_ignore_ascii_case("_PORT")
        && (value.starts_with("tcp://") || value.starts_with("udp://"))
}

/// The known name that differs by one letter, or by two if it is a long one.
fn near_miss(name: &str, program: Program) -> Option<&'static str> {
    if OTHERS_NAMES.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        return None;
    }
    let folded = table::fold(name);
    let mine = table::TABLE
        .iter()
        .filter(|setting| setting.program.includes(program));
    let near = mine.flat_map(table::spellings).filter_map(|spelling| {
        let known = table::fold(spelling);
        let allowed = match known.len() {
            0..5 => return None,
            5..10 => 1,
            _ => 2,
        };
        let distance = strsim::osa_distance(&folded, &known);
        (distance <= allowed).then_some((distance, spelling))
    });
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, spelling)| spelling)
}

/// The content without one trailing line end; the error ends a sentence that begins with the path.
fn read_secret(path: &Path) -> Result<SecretValue, String> {
    let length = std::fs::metadata(path)
        .map_err(|error| format!("cannot be read ({error})"))?
        .len();
    if length > LARGEST_SECRET_FILE {
        return Err(format!("is too long for a secret ({length} bytes)"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read ({error})"))?;
    let mut text = String::from_utf8(bytes).map_err(|_| "does not hold UTF-8 text".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        Err("is empty".to_owned())
    } else {
        Ok(SecretValue::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn environment(program: Program, variables: &[(&str, &str)]) -> Environment {
        Environment::new(
            program,
            variables.iter().map(|(name, value)| (name.into(), value.into())),
        )
    }

    fn server_problems(variables: &[(&str, &str)]) -> Vec<String> {
        let result = environment(Program::Server, variables).server();
        result
            .err()
            .map(|problems| problems.lines().to_vec())
            .unwrap_or_default()
    }

    #[test]
    fn a_seed_name_in_any_case_becomes_the_linux_name() {
        for spelling in [
            "SqlDbConnectionString",
            "sqlDbConnectionString",
            "SQLDBCONNECTIONSTRING",
            "DB_CONNECTION_STRING",
        ] {
            let environment = environment(Program::Server, &[(spelling, "Host=db;Database=m;Username=u")]);
            let expected = (
                "DB_CONNECTION_STRING".to_owned(),
                "Host=db;Database=m;Username=u".to_owned(),
            );
            assert_eq!(environment.canonical(), [expected], "{spelling}");
        }
    }

    #[test]
    fn one_value_twice_is_fine_and_two_values_name_both_variables_and_no_value() {
        assert!(server_problems(&[("masterKey", "same"), ("MASTER_KEY", "same")]).is_empty());
        let problems = server_problems(&[("masterKey", "one-secret"), ("MASTER_KEY", "other-secret")]);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("MASTER_KEY and masterKey") && !problems[0].contains("secret"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_secret_comes_from_a_file_without_its_line_end_and_the_child_gets_the_path() {
        let folder = std::env::temp_dir().join(format!("settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("password");
        std::fs::write(&file, "Corr3ct-horse\n").unwrap();
        let path = file.to_str().unwrap();
        let good = environment(Program::Server, &[("OctopusAdminPassword_FILE", path)]);
        let password = good.server().unwrap().administrator.password.unwrap();
        assert_eq!(password.expose(), "Corr3ct-horse");
        assert_eq!(
            good.canonical(),
            [("ADMIN_PASSWORD_FILE".to_owned(), path.to_owned())]
        );

        let both = server_problems(&[("ADMIN_PASSWORD", "x"), ("ADMIN_PASSWORD_FILE", path)]);
        assert_eq!(
            both,
            ["ADMIN_PASSWORD and ADMIN_PASSWORD_FILE are both set; set only one of them."]
        );
        std::fs::write(&file, "\n").unwrap();
        let empty = server_problems(&[("ADMIN_PASSWORD_FILE", path)]);
        assert_eq!(empty, [format!("ADMIN_PASSWORD_FILE: the file {path} is empty.")]);
        std::fs::remove_dir_all(&folder).unwrap();
        let missing = server_problems(&[("ADMIN_PASSWORD_FILE", path)]);
        assert!(
            missing[0].contains("ADMIN_PASSWORD_FILE") && missing[0].contains(path),
            "{missing:?}"
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = server_problems(&[
            ("HTTP_PORT", "eighty"),
            ("TASK_CAP", "-1"),
            ("BUILTIN_WORKER", "perhaps"),
            ("ENABLE_METRICS", "true"),
            (
                "DB_CONNECTION_STRING",
                "Server=db;Initial Catalog=Octopus;Password=P@ssw0rd",
            ),
        ]);
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(!problems.join("").contains("P@ssw0rd"));
    }

    #[test]
    fn service_links_near_misses_and_ignored_settings_are_notes() {
        let agent = environment(
            Program::Agent,
            &[
                ("SERVER_PORT", "tcp://10.0.0.7:8080"),
                ("TargetEnvironments", "Dev"),
                ("ACCEPT_EULA", "Y"),
            ],
        );
        let notes: Vec<_> = agent
            .notes()
            .iter()
            .map(|note| (note.level, note.text.as_str()))
            .collect();
        assert_eq!(
            notes,
            [
                (
                    NoteLevel::Debug,
                    "SERVER_PORT is a service link of Kubernetes and is ignored."
                ),
                (
                    NoteLevel::Warning,
                    "TargetEnvironments is not a setting; did you mean TargetEnvironment?"
                ),
                (
                    NoteLevel::Info,
                    "ACCEPT_EULA is accepted without effect: there is nothing to accept."
                ),
            ]
        );
        assert!(!agent.has("ServerPort"));
        for usual in [
            "HOME",
            "PATH",
            "HOSTNAME",
            "TERM",
            "PWD",
            "SHLVL",
            "LANG",
            "FTP_PROXY",
            "JAVA_HOME",
        ] {
            assert!(
                environment(Program::Both, &[(usual, "x")]).notes().is_empty(),
                "{usual}"
            );
        }
    }

    #[test]
    fn an_empty_value_is_no_value_and_no_setting_reaches_the_others() {
        let variables = [
            ("MASTER_KEY", ""),
            ("ServerApiKey", "API-X"),
            ("serverapikey_file", "/x"),
            ("JAVA_HOME", "/j"),
        ];
        let environment = environment(Program::Server, &variables);
        assert!(environment.canonical().is_empty());
        assert_eq!(environment.others(), [("JAVA_HOME".into(), "/j".into())]);
    }

    #[test]
    fn what_is_not_built_is_refused_unless_it_is_switched_off() {
        assert!(server_problems(&[("EnableMetrics", "N")]).is_empty());
        assert_eq!(
            server_problems(&[("ADMIN_OIDCIDENTITY_ISSUER", "https://id")]),
            [
                "ADMIN_OIDCIDENTITY_ISSUER is set, but signing in through an identity provider is not built yet."
            ]
        );
    }

    proptest! {
        #[test]
        fn no_environment_breaks_the_reader(pairs in proptest::collection::vec(("[A-Za-z_]{0,24}", ".{0,40}"), 0..12)) {
            let variables = pairs.iter().map(|(name, value)| (name.into(), value.into()));
            let environment = Environment::new(Program::Both, variables);
            let _outcome = (environment.server().is_ok(), environment.agent().is_ok());
            prop_assert!(environment.others().iter().all(|(name, _)| !table::is_setting(name.to_str().unwrap())));
        }
    }
}
