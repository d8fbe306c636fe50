//! What plain references of a template were found to stand for: a large file has the same ones over and over.

use std::ops::Range;

const PLACES: usize = 128;

/// So many references are looked up before any is remembered: most templates have fewer.
const FEW: usize = 8;

/// References by their last characters, the latest in each place: where one stands, and its text.
#[derive(Default)]
pub(crate) struct Recent<'r> {
    places: Vec<Option<(Range<usize>, &'r str)>>,
    added: usize,
}

impl<'r> Recent<'r> {
    /// The text of the reference that stands here, when the same was added.
    pub(crate) fn get(&self, template: &str, range: &Range<usize>) -> Option<&'r str> {
        let reference = &template[range.clone()];
        let (known, text) = self.places.get(place(reference))?.as_ref()?;
        (template[known.clone()] == *reference).then_some(*text)
    }

    /// Remembers the text of the reference that stands here.
    pub(crate) fn add(&mut self, template: &str, range: &Range<usize>, text: &'r str) {
        self.added += 1;
        if self.added > FEW {
            self.places.resize(PLACES, None);
            self.places[place(&template[range.clone()])] = Some((range.clone(), text));
        }
    }
}

fn place(reference: &str) -> usize {
    let bytes = reference.as_bytes();
    let last = match (bytes.last_chunk::<8>(), bytes.last_chunk::<4>()) {
        (Some(last), _) => u64::from_le_bytes(*last),
        (None, Some(last)) => u32::from_le_bytes(*last).into(),
        (None, None) => 0,
    };
    // Of the product only the upper bits depend on all characters.
    usize::try_from(last.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48).unwrap_or_default() % PLACES
}
