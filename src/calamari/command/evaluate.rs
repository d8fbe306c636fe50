//! `evaluate`: templates tried by hand, and the language checked from outside (`octostache.md` 12).
//!
//! Each line of standard input is `{"template": text, "variables": {name: text or null}, "mode": "strict" or "lenient"}`, each line of
//! standard output its answer, in the same order: `{"value": text or null, "error": text or null, "failed": true or false}`. With
//! `--explain` an answer also lists what was read: `"reads": [{"path", "level", "raw", "value"}]`.

use octostache::{Evaluation, EvaluationError, Evaluator, Read, Template, VariableCollection};
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, Read as _, Write};

/// How it is called on the runner's command line.
pub const NAME: &str = "evaluate";

const USAGE: &str = "\
Usage: calamari evaluate [--explain] < lines

  Each line is {\"template\": text, \"variables\": {name: text or null}, \"mode\": \"strict\" or \"lenient\"}; the answer is a line
  {\"value\": text or null, \"error\": text or null, \"failed\": true or false}, and with --explain also \"reads\".
";

/// A longer line is not read.
const LONGEST_LINE: u64 = 64 << 20;

/// Answers every line of the input. The exit code is 0; 1 when a line was no request or the streams fail; 2 for wrong usage.
pub fn run(
    arguments: &[String],
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    errors: &mut dyn Write,
) -> i32 {
    let explain = match arguments {
        [] => false,
        [only] if only.eq_ignore_ascii_case("--explain") => true,
        _ => {
            // When nobody reads the errors, the exit code says it.
            let _ = errors.write_all(USAGE.as_bytes());
            return 2;
        }
    };
    match answer_all(explain, input, output) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            let _ = writeln!(errors, "Error: the lines could not be read or answered: {error}");
            1
        }
    }
}

/// Whether every line was a request.
fn answer_all(explain: bool, input: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<bool> {
    let mut all = true;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if input.take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if !line.ends_with(b"\n") && line.len() as u64 == LONGEST_LINE {
            return Err(io::Error::other(format!(
                "line {number} has more than {LONGEST_LINE} bytes"
            )));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = match Request::read(&line) {
            Ok(request) => request.answer(explain),
            Err(reason) => {
                all = false;
                json!({"value": null, "error": format!("line {number} is no request: {reason}"), "failed": true})
            }
        };
        serde_json::to_writer(&mut *output, &answer)?;
        // Whoever asks line by line gets each answer before the next question.
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(all)
}

struct Request {
    template: String,
    variables: VariableCollection,
    lenient: bool,
}

impl Request {
    fn read(line: &[u8]) -> Result<Self, String> {
        let mut request: Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let template = match request.remove("template") {
            Some(Value::String(template)) => template,
            _ => return Err("\"template\" must be a text".to_owned()),
        };
        let mut variables = VariableCollection::new();
        match request.get("variables") {
            None | Some(Value::Null) => {}
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    match value {
                        Value::Null => variables.set(name, None),
                        Value::String(text) => variables.set(name, Some(text)),
                        _ => return Err(format!("the variable {name:?} must be a text or null")),
                    }
                }
            }
            Some(_) => return Err("\"variables\" must be an object".to_owned()),
        }
        let lenient = match request.get("mode").unwrap_or(&Value::Null) {
            Value::Null => false,
            Value::String(mode) if mode == "strict" => false,
            Value::String(mode) if mode == "lenient" => true,
            _ => return Err("\"mode\" must be \"strict\" or \"lenient\"".to_owned()),
        };
        Ok(Self {
            template,
            variables,
            lenient,
        })
    }

    fn answer(&self, explain: bool) -> Value {
        let evaluator = Evaluator::new(&self.variables);
        let keep_going = || Template::parse_keep_going(&self.template);
        let (outcome, reads) = match (explain, self.lenient) {
            (false, false) => (evaluator.evaluate(&self.template), None),
            (false, true) => (evaluator.evaluate_template(&keep_going()), None),
            (true, lenient) => {
                let explanation = if lenient {
                    evaluator.explain_template(&keep_going())
                } else {
                    evaluator.explain(&self.template)
                };
                (explanation.outcome, Some(explanation.reads))
            }
        };
        let mut answer = outcome_of(outcome);
        if let Some(reads) = reads {
            answer["reads"] = reads.iter().map(read).collect();
        }
        answer
    }
}

fn outcome_of(outcome: Result<Evaluation, EvaluationError>) -> Value {
    match outcome {
        Ok(evaluation) => {
            let error = evaluation.error();
            json!({"value": evaluation.into_value(), "error": error, "failed": false})
        }
        Err(error) => json!({"value": null, "error": error.to_string(), "failed": true}),
    }
}

fn read(read: &Read) -> Value {
    json!({"path": read.path, "level": read.level, "raw": read.raw, "value": read.value})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(arguments: &[&str], lines: &str) -> (i32, Vec<Value>, String) {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let code = run(&arguments, &mut lines.as_bytes(), &mut output, &mut errors);
        let output = String::from_utf8(output).expect("UTF-8");
        let answers = output
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        (code, answers.collect(), String::from_utf8(errors).expect("UTF-8"))
    }

    #[test]
    fn every_line_is_answered_in_order() {
        let lines = r##"{"template": "#{A}-#{Nope}", "variables": {"A": "#{b}", "B": "1"}}
{"template": "#{A} #{", "variables": {"A": "1"}, "mode": "lenient"}

{"template": "#{A} #{", "variables": {"A": null}, "mode": "strict"}
{"template": "x#{ | null}", "variables": {}}
{"template": "#{A}", "variables": {"A": "#{A}"}}"##;
        let (code, answers, _) = answers(&[], lines);
        assert_eq!(code, 0);
        assert_eq!(answers.len(), 5);
        let missing = "The following tokens were unable to be evaluated: '#{Nope}'";
        assert_eq!(
            answers[0],
            json!({"value": "1-#{Nope}", "error": missing, "failed": false})
        );
        assert_eq!(
            answers[1],
            json!({"value": "1 #{", "error": null, "failed": false})
        );
        assert_eq!(answers[2]["value"], "#{A} #{");
        assert!(
            answers[2]["error"]
                .as_str()
                .is_some_and(|error| error.contains("line 1, column 6"))
        );
        assert_eq!(answers[3], json!({"value": null, "error": null, "failed": false}));
        assert_eq!(
            (&answers[4]["value"], &answers[4]["failed"]),
            (&Value::Null, &json!(true))
        );
        assert!(
            answers[4]["error"]
                .as_str()
                .is_some_and(|error| error.contains("circular"))
        );
    }

    #[test]
    fn ten_thousand_lines_are_one_run() {
        let line =
            r##"{"template": "#{if A == \"x\"}#{B | ToUpper}#{/if}", "variables": {"A": "x", "B": "y"}}"##;
        let (code, answers, _) = answers(&[], &format!("{line}\n").repeat(10_000));
        assert_eq!((code, answers.len()), (0, 10_000));
        assert!(answers.iter().all(|answer| answer["value"] == "Y"));
    }

    #[test]
    fn what_is_no_request_is_told_and_the_rest_is_answered() {
        let lines = "nonsense\n{\"template\": 1}\n{\"template\": \"a\", \"variables\": {\"A\": 5}}\n\
                     {\"template\": \"a\", \"mode\": \"odd\"}\n{\"template\": \"a\"}\n";
        let (code, answers, _) = answers(&[], lines);
        assert_eq!(code, 1);
        let reasons = ["line 1", "\"template\"", "\"A\"", "\"mode\""];
        for (answer, reason) in answers.iter().zip(reasons) {
            assert_eq!(answer["failed"], true);
            assert!(
                answer["error"]
                    .as_str()
                    .is_some_and(|error| error.contains(reason)),
                "{answer}"
            );
        }
        assert_eq!(answers[4]["value"], "a");
    }

    #[test]
    fn reads_are_explained_on_request() {
        let (code, answers, _) = answers(
            &["--explain"],
            r##"{"template": "#{A}", "variables": {"A": "<#{B}>", "B": "1"}}"##,
        );
        assert_eq!(code, 0);
        assert_eq!(
            answers[0]["reads"],
            json!([
                {"path": "A", "level": 0, "raw": "<#{B}>", "value": "<1>"},
                {"path": "B", "level": 1, "raw": "1", "value": "1"},
            ])
        );
        let (code, _, errors) = self::answers(&["--what"], "");
        assert_eq!(code, 2);
        assert!(errors.starts_with("Usage"));
    }
}
