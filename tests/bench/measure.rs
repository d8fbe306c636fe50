//! Time and memory of work, in this process and in children.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What a piece of work took.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// By the clock on the wall.
    pub wall: Duration,
    /// User and system, of this process and the children it waited for.
    pub cpu: Duration,
}

/// Does the work and tells what it took.
pub fn spent(work: impl FnOnce()) -> Spent {
    let (began, before) = (Instant::now(), cpu());
    work();
    Spent {
        wall: began.elapsed(),
        cpu: cpu().saturating_sub(before),
    }
}

/// One that takes turns with others. It prepares, calls [`spent`], and checks what came out.
pub type Contender<'a> = Box<dyn FnMut() -> Spent + 'a>;

/// Lets the contenders take turns; the medians, in their order.
pub fn alternate<const COUNT: usize>(
    rounds: usize,
    mut contenders: [Contender<'_>; COUNT],
) -> [Spent; COUNT] {
    let mut taken: [Vec<Spent>; COUNT] = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (contender, taken) in contenders.iter_mut().zip(&mut taken) {
            taken.push(contender());
        }
    }
    taken.map(|taken| Spent {
        wall: median(taken.iter().map(|one| one.wall)),
        cpu: median(taken.iter().map(|one| one.cpu)),
    })
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Runs a program in a folder to its good end, with nothing to read and nobody who reads what it prints.
pub fn run(folder: &Path, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Spent {
    let mut command = command(folder, &program, arguments);
    spent(|| {
        let status = command.status().expect("the program starts");
        let name = program.as_ref().display();
        assert!(status.success(), "{name} {arguments:?} ended with {status}");
    })
}

/// The same; what it printed.
pub fn output(folder: &Path, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> (Spent, String) {
    let mut command = command(folder, &program, arguments);
    command.stdout(Stdio::piped());
    let mut printed = String::new();
    let spent = spent(|| {
        let output = command.output().expect("the program starts");
        let name = program.as_ref().display();
        assert!(
            output.status.success(),
            "{name} {arguments:?} ended with {}",
            output.status
        );
        printed = String::from_utf8_lossy(&output.stdout).into_owned();
    });
    (spent, printed)
}

fn command(folder: &Path, program: &impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("TentacleHome")
        .env_remove("TentacleJournal")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Peak memory in KiB of the largest process among a program and its children, run by a process `own` that is small
/// itself: a child's peak begins with its parent's size.
pub fn peak(own: &Path, folder: &Path, program: &Path, arguments: &[&str]) -> u64 {
    let program = program.to_string_lossy();
    let arguments = [&["peak", &*program], arguments].concat();
    let (_, printed) = output(folder, own, &arguments);
    printed.trim().parse().expect("a number of KiB")
}

/// The other side of [`peak`].
pub fn report_peak(program: &str, arguments: &[&str]) {
    run(Path::new("."), program, arguments);
    println!("{}", usage(UsageWho::RUSAGE_CHILDREN).max_rss());
}

fn usage(who: UsageWho) -> Usage {
    getrusage(who).expect("a process may ask what it used")
}

fn cpu() -> Duration {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .map(usage)
        .iter()
        .flat_map(|usage| [usage.user_time(), usage.system_time()])
        .map(duration)
        .sum()
}

fn duration(time: TimeVal) -> Duration {
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec())) + Duration::from_micros(part(time.tv_usec()))
}
