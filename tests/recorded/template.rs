//! Plays the cases of `templates.jsonl`: evaluations, and reads of variables.

use octostache::{
    Evaluation, EvaluationError, Evaluator, HostFilters, Template, VariableCollection, Variables,
};
use serde_json::{Value, json};

/// The filters that a case says its host has.
struct Host(Vec<String>);

impl HostFilters for Host {
    fn apply(&self, name: &str, input: Option<&str>, arguments: &[String]) -> Option<String> {
        let known = self.0.iter().find(|known| known.eq_ignore_ascii_case(name))?;
        if let [only] = arguments
            && only == "decline"
        {
            return None;
        }
        Some(format!(
            "{known}({};{})",
            input.unwrap_or("<none>"),
            arguments.join(",")
        ))
    }
}

/// What a case answers: a value, and what is reported beside it.
struct Answer {
    result: Value,
    error: Option<Option<String>>,
    parse: bool,
}

/// Plays one case.
///
/// # Errors
/// The first difference from the recorded answer.
pub fn play(case: &Value) -> Result<(), String> {
    let answer = answer(case)?;
    let must_fail = case["failed"] == true;
    let fault = case["upstreamFault"] == true;
    match answer {
        Err(_) | Ok(_) if fault => Ok(()),
        Ok(answer) if must_fail => Err(format!(
            "gives {} where it should fail: {}",
            answer.result, case["failure"]
        )),
        Err(error) if !must_fail => Err(format!("fails ({error}) where it should give {}", case["result"])),
        Err(error) => {
            if case["failureKind"] == "recursion"
                && !["self referencing loop", "circular"]
                    .iter()
                    .all(|words| error.contains(words))
            {
                return Err(format!("the failure does not name the circle: {error}"));
            }
            Ok(())
        }
        Ok(answer) => compare(case, &answer),
    }
}

fn compare(case: &Value, answer: &Answer) -> Result<(), String> {
    if answer.result != case["result"] {
        return Err(format!(
            "gives {} where it should give {}",
            answer.result, case["result"]
        ));
    }
    if let Some(error) = &answer.error
        && let Some(expected) = case.get("error")
    {
        let same = match (error, expected.as_str()) {
            (None, None) => true,
            (Some(_), Some(_)) if case["errorKind"] == "parse" => answer.parse,
            (Some(error), Some(expected)) => error == expected,
            _ => false,
        };
        if !same {
            return Err(format!("reports {error:?} where it should report {expected}"));
        }
    }
    Ok(())
}

fn answer(case: &Value) -> Result<Result<Answer, String>, String> {
    let variables = collection(case);
    let host = Host(texts(&case["hostFilters"]));
    let evaluator = Evaluator::new(&variables).host_filters(&host);
    let template = case["template"].as_str().unwrap_or_default();
    let name = case["name"].as_str().unwrap_or_default();
    let plain = |result: Value| Answer {
        result,
        error: None,
        parse: false,
    };
    let separators = case["separators"].as_str();
    let mode = case["mode"].as_str().unwrap_or_default();
    let outcome = match mode {
        "evaluate" => evaluator.evaluate(template).map(evaluated),
        "lenient" => evaluator
            .evaluate_template(&Template::parse_keep_going(template))
            .map(evaluated),
        "truthy" => evaluator.holds(template).map(|holds| plain(json!(holds))),
        "get" => evaluator.get(name).map(|found| match found {
            Some(evaluation) => evaluated(evaluation),
            None => Answer {
                result: case["default"].clone(),
                error: Some(None),
                parse: false,
            },
        }),
        "raw" => Ok(plain(json!(variables.raw(name)))),
        "require" => variables.required(name).map(|text| plain(json!(text))),
        "strings" => match separators {
            None => variables.strings(name),
            Some(separators) => variables.split(name, &separators.chars().collect::<Vec<_>>()),
        }
        .map(|texts| plain(json!(texts))),
        "paths" => variables.paths(name).map(|texts| plain(json!(texts))),
        "flag" => variables
            .flag(name, case["default"] == true)
            .map(|flag| plain(json!(flag))),
        "int32" => variables.int32(name).map(|number| plain(json!(number))),
        "indexes" => variables.indexes(name).map(|texts| plain(json!(texts))),
        "names" => Ok(plain(variables.iter().map(|(name, _)| json!(name)).collect())),
        "save" => Ok(plain(json!(variables.to_file_text()))),
        "load" => {
            let file = case["file"].as_str().unwrap_or_default();
            return Ok(VariableCollection::from_file_text(file)
                .map(|loaded| {
                    plain(
                        loaded
                            .iter()
                            .map(|(name, text)| (name.to_owned(), json!(text)))
                            .collect(),
                    )
                })
                .map_err(|error| error.to_string()));
        }
        "setStrings" => {
            let values = texts(&case["values"]);
            let mut changed = variables.clone();
            changed.set_strings(name, values.iter().map(String::as_str), separators.unwrap_or(","));
            Ok(plain(json!(changed.raw(name))))
        }
        other => return Err(format!("the mode '{other}' is not known")),
    };
    Ok(outcome.map_err(|error: EvaluationError| error.to_string()))
}

fn evaluated(evaluation: Evaluation) -> Answer {
    let error = evaluation.error();
    let parse = evaluation.parse_error.is_some();
    Answer {
        result: json!(evaluation.into_value()),
        error: Some(error),
        parse,
    }
}

fn collection(case: &Value) -> VariableCollection {
    let mut collection = VariableCollection::new();
    for (name, text) in case["variables"].as_object().into_iter().flatten() {
        collection.set(name, text.as_str());
    }
    collection
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}
