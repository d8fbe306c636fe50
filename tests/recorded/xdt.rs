//! XML transforms: the result as XML, failure, and the number of warnings and errors.

use calamari::transformation::{self, File, Options};
use calamari::variables::Variables;
use serde_json::Value;

use crate::configuration_file::{Line, level, lines, same_xml};
use crate::difference::same;
use crate::folder_case::bytes;

const STRICT: &str = "Octopus.Action.Package.TreatConfigTransformationWarningsAsErrors";

/// Transforms the source with and without warnings that count as errors, or with the variables of the case.
///
/// # Errors
/// The first difference.
pub fn play(case: &Value) -> Result<(), String> {
    if let Some(outcome) = case.get("outcome") {
        let given = case["variables"].as_array().into_iter().flatten();
        let given: Vec<(&str, &str)> = given
            .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
            .collect();
        return run(case, "outcome", &given, outcome, &lines(&outcome["log"]));
    }
    let lenient = &case["lenient"];
    let log = lines(&lenient["log"]);
    run(case, "lenient", &[(STRICT, "False")], lenient, &log)?;
    let strict = &case["strict"];
    // The log stands there only when the result differs; then warnings are errors.
    let log = match strict.get("log") {
        Some(log) => lines(log),
        None => log,
    };
    // What is written is the same when nothing failed.
    let mut strict = strict.clone();
    if strict["ok"] == true && strict.get("output").is_none() {
        strict["output"] = lenient["output"].clone();
    }
    run(case, "strict", &[], &strict, &log)
}

fn run(
    case: &Value,
    what: &str,
    given: &[(&str, &str)],
    recorded: &Value,
    log: &[Line],
) -> Result<(), String> {
    let mut variables = Variables::default();
    for (name, value) in given {
        variables.set(name, value);
    }
    let options = Options::read(&variables).map_err(|why| why.to_string())?;
    let source = bytes(&case["source"])?;
    let transform = bytes(&case["transform"])?;
    let outcome = transformation::apply(
        File {
            name: "source.xml",
            bytes: &source,
        },
        File {
            name: "transform.xml",
            bytes: &transform,
        },
        options,
    );
    let told: Vec<Line> = options
        .lines()
        .into_iter()
        .chain(outcome.lines)
        .map(|line| (level(line.level), line.text))
        .collect();
    same(
        &format!("{what}: ok"),
        outcome.result.is_ok(),
        recorded["ok"] == true,
    )?;
    if let Ok(written) = &outcome.result
        && let Some(output) = recorded.get("output").filter(|output| !output.is_null())
    {
        same_xml(
            &format!("{what}: output"),
            written.as_ref().unwrap_or(&source),
            &bytes(output)?,
        )?;
    }
    counts(what, &told, log)?;
    if options.quiet {
        let quiet = told.iter().all(|line| !line.1.starts_with("Executing "));
        same(&format!("{what}: without verbose lines"), quiet, true)?;
    }
    Ok(())
}

/// Warnings by number. Of what failed an instruction only that something did: one failure has several lines there.
fn counts(what: &str, ours: &[Line], recorded: &[Line]) -> Result<(), String> {
    for level in ["info", "warn", "error"] {
        let of = |log: &[Line]| log.iter().filter(|line| line.0 == level).count();
        let (ours, theirs) = (of(ours), of(recorded));
        let words = |line: &&Line| line.0 == level && line.1.contains("Exception");
        if recorded.iter().any(|line| words(&line)) {
            same(&format!("{what}: lines of level {level}"), ours > 0, theirs > 0)?;
        } else {
            same(&format!("{what}: number of lines of level {level}"), ours, theirs)?;
        }
    }
    Ok(())
}
