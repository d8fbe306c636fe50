//! Plays the cases of a file on two threads.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::case_file::id;

const THREADS: usize = 2;
/// Longer than any case takes; one that is not back by then never will be.
const PATIENCE: Duration = Duration::from_secs(240);

thread_local! {
    /// Where this thread's last panic was.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are failures of a case: they are reported with it, not where they happen.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string().replace('\n', " ");
        PANIC.with_borrow_mut(|last| *last = text);
    }));
}

/// Plays the cases; the failed ones come back in the order of the file, each with its difference.
/// A case that does not come back ends the process with a line that names it.
pub fn play(
    cases: &[Value],
    player: &(dyn Fn(&Value) -> Result<(), String> + Sync),
) -> Vec<(String, String)> {
    let next = AtomicUsize::new(0);
    let mut outcomes: Vec<Option<Result<(), String>>> = vec![None; cases.len()];
    let mut playing = BTreeSet::new();
    let (report, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (report, next) = (report.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { return };
                    let began = report.send((index, None));
                    let outcome = catch_unwind(AssertUnwindSafe(|| player(case)))
                        .unwrap_or_else(|_| Err(PANIC.with_borrow(String::clone)));
                    if began.is_err() || report.send((index, Some(outcome))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(report);
        loop {
            match reports.recv_timeout(PATIENCE) {
                Ok((index, None)) => {
                    playing.insert(index);
                }
                Ok((index, outcome)) => {
                    playing.remove(&index);
                    outcomes[index] = outcome;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    // A thread that hangs cannot be ended, only its process can.
                    let names: Vec<&str> = playing.iter().map(|index| id(&cases[*index])).collect();
                    eprintln!("no answer within {} s: {}", PATIENCE.as_secs(), names.join(", "));
                    std::process::exit(1);
                }
            }
        }
    });
    let failed = cases
        .iter()
        .zip(outcomes)
        .filter_map(|(case, outcome)| match outcome {
            Some(Ok(())) => None,
            Some(Err(difference)) => Some((id(case).to_owned(), difference)),
            None => Some((id(case).to_owned(), "was not played".to_owned())),
        });
    failed.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_and_panics_come_back_in_order() {
        let cases: Vec<Value> = (0..20).map(|number| json!({"id": number.to_string()})).collect();
        catch_panics();
        let failed = play(&cases, &|case| match id(case) {
            "3" => Err("three".to_owned()),
            "11" => panic!("eleven"),
            _ => Ok(()),
        });
        let _ = std::panic::take_hook();
        assert_eq!(failed.len(), 2);
        assert_eq!(failed[0], ("3".to_owned(), "three".to_owned()));
        assert!(failed[1].0 == "11" && failed[1].1.contains("eleven"));
    }
}
