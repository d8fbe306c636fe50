//! Every `#{` of a text, with what the parser found there. A large file has many, so that each takes 32 bytes.

use crate::text;

/// So many bytes of a text have one entry in the table by which a `#{` is found.
const STRETCH: usize = 64;

#[derive(Default)]
pub(crate) struct Starts {
    /// In order.
    pub all: Vec<Start>,
    /// For each stretch of the text how many are before it.
    stretches: Vec<u32>,
}

/// A `#{`, and what stands there.
pub(crate) struct Start {
    pub position: u32,
    /// Where the hashes before it begin.
    hashes: u32,
    /// Where a text ends that reaches these hashes.
    text_end: u32,
    pub state: State,
    /// Where the construct ends, or how far it could be read.
    pub end: u32,
    /// Where a body that reaches it ends, under each kind of block.
    pub body_ends: [u32; 3],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It was not looked at yet.
    Unseen,
    Construct,
    Broken,
}

impl Starts {
    /// Finds them. In a text of 4 GiB there is none: it does not parse.
    pub(crate) fn of(text: &str) -> Self {
        if u32::try_from(text.len()).is_err() {
            return Self::default();
        }
        let mut starts = Self {
            all: positions(text),
            stretches: Vec::new(),
        };
        let mut before = 0;
        starts.stretches = (0..=text.len() / STRETCH)
            .map(|stretch| {
                let end = stretch * STRETCH;
                while starts
                    .all
                    .get(before)
                    .is_some_and(|start| (start.position as usize) < end)
                {
                    before += 1;
                }
                narrow(before)
            })
            .collect();
        starts
    }

    /// Those from this position on.
    pub(crate) fn from(&self, position: usize) -> &[Start] {
        let Some(before) = self.stretches.get(position / STRETCH) else {
            return &[];
        };
        let later = &self.all[*before as usize..];
        let passed = later
            .iter()
            .take_while(|start| (start.position as usize) < position);
        &later[passed.count()..]
    }

    /// The one at this position, when it was looked at.
    pub(crate) fn found(&self, position: usize) -> Option<&Start> {
        self.from(position)
            .first()
            .filter(|start| start.position as usize == position && start.state != State::Unseen)
    }

    /// Where the text that begins here ends.
    pub(crate) fn text_end(&self, text: &str, position: usize) -> usize {
        match self.from(position).first() {
            Some(start) if position <= start.hashes as usize => start.text_end as usize,
            Some(_) => text::text_end(text, position),
            None => text.len(),
        }
    }
}

/// Where texts end is found once for each `#{`: many constructs may end before the same long text.
fn positions(text: &str) -> Vec<Start> {
    let mut starts = Vec::new();
    let mut after = text.len();
    for (position, _) in text.rmatch_indices("#{") {
        let hashes = text[..position].trim_end_matches('#').len();
        // What these hashes mean depends on no more than the character after the brace.
        let beyond = text[position + 2..].chars().next().map_or(0, char::len_utf8);
        if text::text_end(&text[..position + 2 + beyond], hashes) == position {
            after = position;
        }
        starts.push(Start {
            position: narrow(position),
            hashes: narrow(hashes),
            text_end: narrow(after),
            state: State::Unseen,
            end: 0,
            body_ends: [0; 3],
        });
    }
    starts.reverse();
    starts
}

/// A position in a text that is shorter than 4 GiB.
pub(crate) fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
