//! Stories of logs: crashes, takeovers, readers that come back.

use std::io::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

struct Volume {
    folder: tempfile::TempDir,
    logs: TaskLogs,
}

const TASK: &str = "ServerTasks-42";

fn volume() -> Volume {
    let folder = tempfile::tempdir().unwrap();
    let logs = TaskLogs::new(folder.path().into());
    Volume { folder, logs }
}

fn text(event: &Event) -> Option<&str> {
    match &event.kind {
        Kind::Line { text, .. } => Some(text),
        _ => None,
    }
}

async fn all(logs: &TaskLogs, after: Position) -> Vec<Event> {
    let (mut tail, mut all) = (logs.tail(TASK, after).unwrap(), Vec::new());
    loop {
        let events = tail.read().await.unwrap();
        if events.is_empty() {
            return all;
        }
        all.extend(events);
    }
}

fn source(ticket: &str, sequence: i64) -> Source {
    Source {
        ticket: ticket.into(),
        sequence,
    }
}

#[tokio::test]
async fn a_status_answer_that_is_read_twice_adds_nothing_even_after_a_takeover() {
    let Volume {
        logs,
        folder: _folder,
    } = volume();
    let lines = |from: i64, to: i64| -> Vec<_> {
        (from..=to)
            .map(|n| (n, Category::Info, format!("line {n}"), source("t", n)))
            .collect()
    };
    let writer = logs.writer(TASK, 1).await.unwrap();
    writer
        .open_block(1, "root", None, "Deploy", Status::Running)
        .unwrap();
    writer.agent_lines("root", lines(1, 3)).unwrap();
    writer.agent_lines("root", lines(2, 5)).unwrap();
    drop(writer);
    let writer = logs.writer(TASK, 2).await.unwrap();
    assert_eq!(writer.last_sequence("t"), 5);
    writer
        .open_block(2, "root", None, "Deploy", Status::Running)
        .unwrap();
    writer.agent_lines("root", lines(1, 6)).unwrap();
    writer.close_block(3, "root", Status::Success).unwrap();
    writer.close_block(3, "root", Status::Failed).unwrap();
    let events = all(&logs, Position::default()).await;
    let texts: Vec<_> = events.iter().filter_map(text).collect();
    assert_eq!(
        texts,
        ["line 1", "line 2", "line 3", "line 4", "line 5", "line 6"]
    );
    assert_eq!(events.len(), 8);
}

#[tokio::test]
async fn a_torn_line_is_cut_and_a_late_writer_is_never_read() {
    let Volume { logs, folder } = volume();
    let late = logs.writer(TASK, 1).await.unwrap();
    late.line(1, "root", Category::Info, "kept").unwrap();
    let path = folder.path().join(TASK).join("00001.jsonl");
    let whole = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"{\"position\":42")
        .unwrap();
    let writer = logs.writer(TASK, 3).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), whole);
    late.line(2, "root", Category::Info, "late").unwrap();
    writer.line(3, "root", Category::Info, "next").unwrap();
    let events = all(&logs, Position::default()).await;
    assert_eq!(
        events.iter().filter_map(text).collect::<Vec<_>>(),
        ["kept", "next"]
    );
    assert_eq!(events[1].position, Position { epoch: 3, line: 1 });
    assert!(matches!(
        logs.writer(TASK, 2).await,
        Err(Error::Superseded { newer: 3, .. })
    ));
    assert_eq!(logs.writer(TASK, 4).await.unwrap().written().blocks.len(), 0);
    assert_eq!(all(&logs, Position::default()).await, events);
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_by_a_line() {
    let Volume {
        logs,
        folder: _folder,
    } = volume();
    let mut tail = logs.tail(TASK, Position::default()).unwrap();
    assert!(tail.next(Duration::ZERO).await.unwrap().is_empty());
    let waiting = tokio::spawn(async move { tail.next(Duration::from_secs(30)).await });
    let writer = logs.writer(TASK, 1).await.unwrap();
    writer.line(1, "root", Category::Info, "hello").unwrap();
    assert_eq!(
        waiting
            .await
            .unwrap()
            .unwrap()
            .iter()
            .filter_map(text)
            .collect::<Vec<_>>(),
        ["hello"]
    );
}

#[tokio::test]
async fn a_reader_finds_its_place_by_the_index_or_without_it() {
    let Volume { logs, folder } = volume();
    let writer = logs.writer(TASK, 1).await.unwrap();
    for n in 1..=4321 {
        writer
            .line(n, "root", Category::Info, format!("line {n}"))
            .unwrap();
    }
    let index = folder.path().join(TASK).join("00001.index");
    assert_eq!(std::fs::metadata(&index).unwrap().len(), 4 * 8);
    for damage in [None, Some(vec![]), Some(vec![9; 32])] {
        if let Some(bytes) = damage {
            std::fs::write(&index, bytes).unwrap();
        }
        for after in [0, 1, 999, 1000, 1001, 3999, 4000, 4320, 4321] {
            let events = all(
                &logs,
                Position {
                    epoch: 1,
                    line: after,
                },
            )
            .await;
            assert_eq!(events.len() as u64, 4321 - after);
            assert!(
                events
                    .first()
                    .is_none_or(|event| event.position.line == after + 1)
            );
        }
    }
}

#[tokio::test]
async fn the_tree_has_blocks_in_blocks_and_the_last_lines() {
    let Volume {
        logs,
        folder: _folder,
    } = volume();
    let writer = logs.writer(TASK, 1).await.unwrap();
    writer
        .open_block(1, "r", None, "Deploy 1.0", Status::Running)
        .unwrap();
    writer
        .open_block(1, "r/1", Some("r"), "Step 1: Script", Status::Pending)
        .unwrap();
    writer
        .open_block(1, "r/2", Some("r"), "Step 2: Package", Status::Pending)
        .unwrap();
    writer
        .open_block(2, "r/1", Some("r"), "Step 1: Script", Status::Running)
        .unwrap();
    for n in 0..5 {
        writer.line(2, "r/1", Category::Info, format!("{n}")).unwrap();
    }
    writer.line(2, "r/1", Category::Verbose, "detail").unwrap();
    writer.progress(3, "r/1", 40, "copying").unwrap();
    writer.close_block(4, "r/1", Status::SuccessWithWarning).unwrap();
    let roots = logs
        .tree(
            TASK,
            View {
                verbose: false,
                tail: 2,
            },
        )
        .await
        .unwrap();
    let [root] = roots.as_slice() else {
        panic!("{roots:?}")
    };
    let names: Vec<_> = root
        .children
        .iter()
        .map(|node| (node.name.as_str(), node.status))
        .collect();
    assert_eq!(
        names,
        [
            ("Step 1: Script", Status::SuccessWithWarning),
            ("Step 2: Package", Status::Pending)
        ]
    );
    let first = &root.children[0];
    assert_eq!(
        (first.started, first.ended, first.progress_percentage),
        (Some(2), Some(4), 40)
    );
    let texts: Vec<_> = first
        .elements
        .iter()
        .map(|element| element.text.as_str())
        .collect();
    assert_eq!(texts, ["3 earlier lines are left out.", "3", "4"]);
    assert!(logs.size(TASK).await.unwrap() > 500);
    logs.delete(TASK).await.unwrap();
    assert!(logs.tree(TASK, View::default()).await.unwrap().is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Line(String),
    Takeover,
    Torn,
    Late,
    Read,
    Reconnect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => "[a-z\\n\"é]{0,30}".prop_map(Step::Line),
        1 => Just(Step::Takeover),
        1 => Just(Step::Torn),
        1 => Just(Step::Late),
        3 => Just(Step::Read),
        1 => Just(Step::Reconnect),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever happens to writers, a reader who reads along and reconnects sees what one sees who comes at the end.
    #[test]
    fn readers_see_no_gap_and_no_repeat(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Volume { logs, folder } = volume();
            let (mut epoch, mut expected, mut seen) = (1, Vec::new(), Vec::new());
            let mut writer = logs.writer(TASK, epoch).await.unwrap();
            let mut late = None;
            let mut tail = logs.tail(TASK, Position::default()).unwrap();
            for (time, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Line(line) => {
                        writer.line(time as i64, "r", Category::Info, line.clone()).unwrap();
                        expected.push(line);
                    }
                    Step::Takeover => {
                        epoch += 1;
                        late = Some(std::mem::replace(&mut writer, logs.writer(TASK, epoch).await.unwrap()));
                    }
                    Step::Torn => {
                        let path = folder.path().join(TASK).join(format!("{epoch:05}.jsonl"));
                        std::fs::File::options().append(true).open(path).unwrap().write_all(b"{\"pos").unwrap();
                        epoch += 1;
                        late = Some(std::mem::replace(&mut writer, logs.writer(TASK, epoch).await.unwrap()));
                    }
                    Step::Late => {
                        if let Some(late) = &late {
                            late.line(0, "r", Category::Info, "late").unwrap();
                        }
                    }
                    Step::Read => seen.extend(tail.read().await.unwrap()),
                    Step::Reconnect => tail = logs.tail(TASK, tail.position()).unwrap(),
                }
            }
            loop {
                let events = tail.read().await.unwrap();
                if events.is_empty() { break }
                seen.extend(events);
            }
            assert_eq!(seen, all(&logs, Position::default()).await);
            assert_eq!(seen.iter().filter_map(text).collect::<Vec<_>>(), expected);
        });
    }
}
