//! The short script that looks at a machine: where its home is, what it is, and which of the wanted files it has.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::preparation::Wanted;
use super::script_body::quote;

/// What is known of a machine after the look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The agent's home.
    pub home: String,
    /// What `uname -m` says.
    pub processor: String,
    /// Where the wanted files are that are there with the right content, by their place in the question.
    pub(super) present: HashMap<usize, String>,
    /// Whether there are any packages.
    pub(super) has_packages: bool,
    /// Path and SHA-1 of other versions of packages that are not there, the newest first.
    pub(super) older: HashMap<usize, Vec<(String, String)>>,
}

/// The script that tells home, processor and which files are there.
pub(super) fn question(wanted: &[Wanted]) -> String {
    let mut script = String::from(
        "#!/bin/bash\n\
         home=\"${TentacleHome:-}\"\n\
         if [ -z \"$home\" ]; then echo 'The agent gives no TentacleHome.' >&2; exit 1; fi\n\
         printf 'mantle-home %s\\n' \"$(printf %s \"$home\" | base64 | tr -d '\\n')\"\n\
         printf 'mantle-processor %s\\n' \"$(uname -m)\"\n\
         for file in \"$home\"/Files/*@S*; do [ -f \"$file\" ] && { echo mantle-packages; break; }; done\n\
         encoded() { printf %s \"$1\" | base64 | tr -d '\n'; }\n\
         hash() { \"$1\" < \"$2\" 2>/dev/null | cut -d' ' -f1; }\n\
         look() {\n\
         \x20 if [ -f \"$home/$2\" ] && [ \"$(hash \"$3\" \"$home/$2\")\" = \"$4\" ]; then\n\
         \x20   printf 'mantle-file %s %s\\n' \"$1\" \"$(encoded \"$home/$2\")\"\n\
         \x20 fi\n\
         }\n\
         package() {\n\
         \x20 for file in \"$home/$2\"*\"$4\"; do\n\
         \x20   if [ -f \"$file\" ] && [ \"$(hash sha1sum \"$file\")\" = \"$5\" ]; then\n\
         \x20     printf 'mantle-file %s %s\\n' \"$1\" \"$(encoded \"$file\")\"; return\n\
         \x20   fi\n\
         \x20 done\n\
         \x20 if [ \"$6\" = older ]; then\n\
         \x20   ls -t -- \"$home/$3\"*\"$4\" 2>/dev/null | head -n 3 | while IFS= read -r file; do\n\
         \x20     printf 'mantle-older %s %s %s\\n' \"$1\" \"$(encoded \"$file\")\" \"$(hash sha1sum \"$file\")\"\n\
         \x20   done\n\
         \x20 fi\n\
         }\n",
    );
    for (position, file) in wanted.iter().enumerate() {
        if let Some(package) = &file.package {
            let older = if package.others.is_empty() {
                "none"
            } else {
                "older"
            };
            let words = [
                &package.this_version,
                &package.any_version,
                &package.extension,
                &file.hash,
            ]
            .map(|word| quote(word));
            writeln!(script, "package {position} {} {older}", words.join(" ")).expect("memory");
            continue;
        }
        let tool = if file.hash.len() == 40 {
            "sha1sum"
        } else {
            "sha256sum"
        };
        // Writing to a text cannot fail.
        writeln!(
            script,
            "look {position} {} {tool} {}",
            quote(&file.place),
            quote(&file.hash)
        )
        .expect("memory");
    }
    script.push_str("echo mantle-end\n");
    script
}

pub(super) fn answer(lines: &[String]) -> Option<Machine> {
    let mut machine = Machine::default();
    let mut whole = false;
    let decoded = |text: &str| String::from_utf8(STANDARD.decode(text).ok()?).ok();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["mantle-home", home] => machine.home = decoded(home)?,
            ["mantle-processor", processor] => machine.processor = processor.into(),
            ["mantle-file", position, path] => {
                machine.present.insert(position.parse().ok()?, decoded(path)?);
            }
            ["mantle-older", position, path, hash] => {
                let older = machine.older.entry(position.parse().ok()?).or_default();
                older.push((decoded(path)?, hash.to_owned()));
            }
            ["mantle-packages"] => machine.has_packages = true,
            ["mantle-end"] => whole = true,
            _ => {}
        }
    }
    (whole && !machine.home.is_empty() && !machine.processor.is_empty()).then_some(machine)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::path::PathBuf;

    use super::super::difference::Version;
    use super::super::preparation::WantedPackage;
    use super::*;

    /// What a machine with this home answers.
    fn said(home: &std::path::Path, files: &[Wanted]) -> Vec<String> {
        let output = std::process::Command::new("/bin/bash")
            .arg("-c")
            .arg(question(files))
            .env("TentacleHome", home)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_machine_says_what_it_has() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("Files")).unwrap();
        std::fs::write(home.path().join("Files/it's"), "one").unwrap();
        std::fs::write(home.path().join("Files/other"), "changed").unwrap();
        let wanted = |place: &str, hash: &str| Wanted {
            title: place.into(),
            file: PathBuf::new(),
            place: place.into(),
            hash: hash.into(),
            package: None,
        };
        let sha1 = "fe05bcdcdc4928012781a5f1a2a77cbb5398e106";
        let sha256 = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        let files = [
            wanted("Files/it's", sha1),
            wanted("Files/it's", sha256),
            wanted("Files/other", sha1),
            wanted("Files/none", sha1),
        ];
        let lines = said(home.path(), &files);
        let machine = answer(&lines).unwrap();
        assert_eq!(machine.home, home.path().to_str().unwrap());
        assert_eq!(machine.processor, std::env::consts::ARCH);
        let present: Vec<_> = (0..4)
            .map(|position| machine.present.contains_key(&position))
            .collect();
        assert_eq!(present, [true, true, false, false]);
        assert_eq!(
            machine.present[&0],
            home.path().join("Files/it's").to_str().unwrap()
        );
        assert!(answer(&lines[..lines.len() - 1]).is_none());
    }

    #[test]
    fn a_machine_says_which_versions_of_a_package_it_has() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("Files")).unwrap();
        for (name, content) in [
            ("A%40b@S1.0@0A.zip", "one"),
            ("A%40b@S1.1@0B.zip", "two"),
            ("A%40b.C@S1.0@0C.zip", "x"),
        ] {
            std::fs::write(home.path().join("Files").join(name), content).unwrap();
        }
        let one = "fe05bcdcdc4928012781a5f1a2a77cbb5398e106";
        let wanted = |version: &str, hash: &str, others: Vec<Version>| Wanted {
            title: String::new(),
            file: PathBuf::new(),
            place: String::new(),
            hash: hash.into(),
            package: Some(WantedPackage {
                any_version: "Files/A%40b@S".into(),
                this_version: format!("Files/A%40b@S{version}@"),
                extension: ".zip".into(),
                in_parts: true,
                others,
            }),
        };
        let other = Version {
            file: PathBuf::new(),
            sha1: one.into(),
        };
        let files = [
            wanted("1.0", one, vec![]),
            wanted("1.2", &"0".repeat(40), vec![other]),
            wanted("1.2", one, vec![]),
        ];
        let lines = said(home.path(), &files);
        let machine = answer(&lines).unwrap();
        let path = |name: &str| home.path().join("Files").join(name).to_str().unwrap().to_owned();
        assert_eq!(machine.present, HashMap::from([(0, path("A%40b@S1.0@0A.zip"))]));
        let mut older = machine.older[&1].clone();
        older.sort();
        assert_eq!(
            older.iter().map(|(there, _)| there.clone()).collect::<Vec<_>>(),
            [path("A%40b@S1.0@0A.zip"), path("A%40b@S1.1@0B.zip")]
        );
        assert_eq!(older[0].1, one);
        assert!(!machine.older.contains_key(&2), "nothing to make it of");
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(lines in proptest::collection::vec("(mantle-(home|processor|packages|file|older|end) )?[a-z0-9= ]{0,20}", 0..8)) {
            prop_assert!(answer(&lines).is_none_or(|machine| !machine.home.is_empty()));
        }
    }
}
