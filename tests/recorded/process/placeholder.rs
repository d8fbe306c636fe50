//! The words in angle brackets that stand for what differs from run to run.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use regex::{Captures, Regex, RegexBuilder};

/// `<ago 5d 1h30m>`: a time before the run.
static AGO: LazyLock<Regex> = LazyLock::new(|| pattern(r"<ago ((?:\d+[dhms] ?)+)>"));
/// Everything that has an unknown value.
static UNKNOWN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"<(?:time|guid|tail|hex32|key|machine|size|n|any|python)>"));

/// What the placeholders of one case stand for.
pub struct Placeholders {
    work: String,
    home: String,
    calamari: String,
    python: String,
    now: Timestamp,
}

impl Placeholders {
    /// Those of a run in `work` with the home folder `home`, of the program `program`, now.
    pub fn new(work: &Path, home: &Path, program: &Path) -> Self {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Self {
            work: text(work),
            home: text(home),
            calamari: program.parent().map(text).unwrap_or_default(),
            python: python_folder(),
            now: Timestamp::now(),
        }
    }

    /// The text with everything in place that is known before the run.
    pub fn fill(&self, recorded: &str) -> String {
        let text = self.known(recorded);
        text.replace("<python>", &self.python)
    }

    /// Whether our text is the recorded one.
    pub fn fits(&self, recorded: &str, ours: &str) -> bool {
        let recorded = self.known(recorded);
        if !UNKNOWN.is_match(&recorded) {
            return recorded == ours;
        }
        let mut expression = String::from("^");
        let mut end = 0;
        for found in UNKNOWN.find_iter(&recorded) {
            expression.push_str(&regex::escape(&recorded[end..found.start()]));
            expression.push_str(shape(found.as_str()));
            end = found.end();
        }
        expression.push_str(&regex::escape(&recorded[end..]));
        expression.push('$');
        let built = RegexBuilder::new(&expression)
            .size_limit(1 << 26)
            .dot_matches_new_line(true)
            .build();
        built.is_ok_and(|expression| expression.is_match(ours))
    }

    fn known(&self, recorded: &str) -> String {
        let text = recorded
            .replace("<work>", &self.work)
            .replace("<home>", &self.home)
            .replace("<calamari>", &self.calamari);
        if !text.contains("<ago ") {
            return text;
        }
        let text = AGO.replace_all(&text, |found: &Captures<'_>| self.ago(&found[1]));
        text.into_owned()
    }

    fn ago(&self, words: &str) -> String {
        let mut seconds = 0;
        let mut number = 0;
        for character in words.chars() {
            let unit = match character {
                'd' => 86_400,
                'h' => 3_600,
                'm' => 60,
                's' => 1,
                _ => {
                    number = number * 10 + i64::from(character.to_digit(10).unwrap_or(0));
                    continue;
                }
            };
            seconds += number * unit;
            number = 0;
        }
        let time = self.now - SignedDuration::from_secs(seconds);
        time.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// The folder of python: what a shell would find.
fn python_folder() -> String {
    let found = Command::new("sh").args(["-c", "command -v python3"]).output();
    let path = found.map(|found| String::from_utf8_lossy(&found.stdout).trim().to_owned());
    let path = path.unwrap_or_default();
    let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
    folder.to_string_lossy().into_owned()
}

fn shape(placeholder: &str) -> &'static str {
    match placeholder {
        "<time>" => r"[0-9]{4}[0-9T:. +\-Z/]{4,40}",
        "<guid>" => r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        "<tail>" => r"[0-9a-fA-F\-]{8,36}",
        "<hex32>" => r"[0-9a-fA-F]{32}",
        "<key>" => r"[0-9A-Za-z+/=]{8,}",
        "<n>" => r"[0-9]+",
        _ => r".*?",
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the expression is ours and checked by the tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_filled_and_unknown_ones_are_shapes() {
        let places = Placeholders::new(Path::new("/w"), Path::new("/h"), Path::new("/c/calamari"));
        assert_eq!(places.fill("<work>/a <home> <calamari> <p>"), "/w/a /h /c <p>");
        assert!(places.fits("x <n>ms in <work>.", "x 12ms in /w."));
        assert!(!places.fits("x <n>ms", "x ms"));
        assert!(places.fits("a@<hex32>.zip", &format!("a@{}.zip", "0A".repeat(16))));
        assert!(places.fits("on <time>", "on 2031-05-02 10:20:30"));
        assert!(places.fits("J_<time>.json", "J_20310502T102030.json"));
        assert!(!places.fits("a <time>", "a "));
    }

    #[test]
    fn a_time_ago_is_the_same_in_inputs_and_answers() {
        let places = Placeholders::new(Path::new("/w"), Path::new("/h"), Path::new("/c/calamari"));
        let text = places.fill("<ago 1d 1h30m>");
        assert!(places.fits("<time>", &text) && places.fits("<ago 1d 1h30m>", &text));
        assert!(!places.fits("<ago 2d>", &text));
    }
}
