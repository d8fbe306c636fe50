//! How often a running script is asked for news (`tentacle-protocol.md` 6.6): 100 ms, growing to at most 500 ms while
//! nothing comes, back to 100 ms when lines arrived. So the log is live.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(500);

/// The pauses between the questions about one script.
#[derive(Debug, Clone)]
pub struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl Pauses {
    /// The pause after an answer; `news` = it brought lines.
    pub fn after(&mut self, news: bool) -> Duration {
        if news {
            self.next = SHORTEST;
        }
        let pause = self.next;
        self.next = (self.next * 5 / 4).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_script_is_asked_less_often_until_it_speaks() {
        let mut pauses = Pauses::default();
        let quiet: Vec<_> = (0..12).map(|_| pauses.after(false).as_millis()).collect();
        assert_eq!(quiet[0], 100);
        assert!(quiet.is_sorted());
        assert_eq!(quiet[11], 500);
        assert_eq!(pauses.after(true).as_millis(), 100);
        assert_eq!(pauses.after(false).as_millis(), 125);
    }
}
