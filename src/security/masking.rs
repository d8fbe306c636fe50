//! Hides sensitive values in everything that is printed (`security.md` 3.4; runner specification 3.4).

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands in the place of a sensitive value.
pub const MASK: &str = "********";

/// What stands in the place of a text that could not be searched.
pub const NOT_MASKED: &str = "[masked: internal error]";

/// Values shorter than this many characters are not masked: they would hide half the log.
pub const SHORTEST_VALUE: usize = 4;

/// Encoded forms shorter than this are too likely to be something else.
const SHORTEST_FORM: usize = 5;

/// A line of a multi-line value is masked by itself from this length on.
const SHORTEST_LINE: usize = 8;

const NOT_PERCENT_ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Finds sensitive values in text, as they are and in the encodings in which values are usually printed. A text on which it
/// fails becomes [`NOT_MASKED`]: rather a line less than a secret more.
#[derive(Default)]
pub struct Masker {
    /// Every form that is hidden.
    known: HashSet<Arc<[u8]>>,
    /// Those known at the start, and those that were added later; each is more than twice as large as the next.
    groups: Vec<Group>,
    longest: usize,
    has_failed: AtomicBool,
}

/// Forms that are looked for together: the filter says quickly that there are none in a text, as in most lines.
struct Group {
    forms: Vec<Arc<[u8]>>,
    filter: Beginnings,
    automaton: AhoCorasick,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Masker").finish_non_exhaustive()
    }
}

impl Masker {
    /// Adds values to hide from now on. Those shorter than [`SHORTEST_VALUE`] and
    /// the words of a switch are left out.
    pub fn add<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) {
        let mut fresh = Vec::new();
        for form in values.into_iter().flat_map(forms) {
            let form: Arc<[u8]> = form.into();
            if self.known.insert(Arc::clone(&form)) {
                self.longest = self.longest.max(form.len());
                fresh.push(form);
            }
        }
        if fresh.is_empty() {
            return;
        }
        // Groups of about the same size become one: there are few of them, and no form is learned often.
        while let Some(last) = self.groups.pop_if(|last| last.forms.len() < 2 * fresh.len()) {
            fresh.extend(last.forms);
        }
        self.groups.push(Group::of(fresh));
    }

    /// Length of the longest form in bytes: text that may go on has to be held back by one less.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The text with every sensitive value replaced by [`MASK`]. Values that overlap are hidden as one.
    pub fn mask<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(found) = self.search(text) else {
            return Cow::Borrowed(NOT_MASKED.as_bytes());
        };
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len());
        let mut position = 0;
        for (start, end) in found {
            masked.extend_from_slice(&text[position..start]);
            masked.extend_from_slice(MASK.as_bytes());
            position = end;
        }
        masked.extend_from_slice(&text[position..]);
        Cow::Owned(masked)
    }

    /// The same for a text.
    pub fn mask_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask(text.as_bytes()) {
            Cow::Borrowed(same) if same.as_ptr() == text.as_ptr() => Cow::Borrowed(text),
            other => Cow::Owned(String::from_utf8_lossy(&other).into_owned()),
        }
    }

    /// Whether a text was left out since the last call because it could not be searched.
    pub fn take_failure(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed) && self.has_failed.swap(false, Ordering::Relaxed)
    }

    /// How much of a text that may go on can be printed: no value that begins in it can reach beyond. All of it when that
    /// cannot be said: [`mask`](Self::mask) does not show it then.
    pub fn safe_length(&self, text: &[u8]) -> usize {
        let Some(found) = self.search(text) else {
            return text.len();
        };
        let mut safe = text.len().saturating_sub(self.longest.saturating_sub(1));
        for (start, end) in found {
            if start < safe && end > safe {
                safe = start;
            }
        }
        safe
    }

    /// Where values stand; none when that cannot be said.
    fn search(&self, text: &[u8]) -> Option<Vec<(usize, usize)>> {
        let found = catch_unwind(AssertUnwindSafe(|| self.find(text))).ok();
        if found.is_none() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        found
    }

    /// Where values stand, in order, without overlaps.
    fn find(&self, text: &[u8]) -> Vec<(usize, usize)> {
        break_off(text);
        let mut found: Vec<(usize, usize)> = Vec::new();
        for group in self.groups.iter().filter(|group| group.filter.may_be_in(text)) {
            found.extend(
                group
                    .automaton
                    .find_overlapping_iter(text)
                    .map(|hit| (hit.start(), hit.end())),
            );
        }
        found.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::with_capacity(found.len());
        for (start, end) in found {
            match merged.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }
}

impl Group {
    fn of(forms: Vec<Arc<[u8]>>) -> Self {
        // The kind that is made soonest: few lines get past the filter.
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .build(&forms)
            .expect("an automaton of patterns below 4 GiB can always be built");
        Self {
            filter: Beginnings::of(&forms),
            automaton,
            forms,
        }
    }
}

/// How forms begin, as bits at the places that their hashes name: no bit, no form; a bit may be there by chance.
struct Beginnings {
    /// Of the first four bytes of every form.
    four: Vec<u64>,
    /// The same of those that have less than eight.
    short: Vec<u64>,
    /// Of the first eight bytes of the others.
    eight: Vec<u64>,
    /// The size of each, as the number of bits that a place has.
    bits: u32,
}

impl Beginnings {
    fn of(forms: &[Arc<[u8]>]) -> Self {
        // Some bits for each form keep chance small; four million are half a megabyte.
        let bits = (forms.len() * 32).next_power_of_two().ilog2().clamp(10, 22);
        let none = || vec![0; 1 << (bits - 6)];
        let (four, short, eight) = (none(), none(), none());
        let mut all = Self {
            four,
            short,
            eight,
            bits,
        };
        for form in forms {
            // Values have four characters at least, and encoded forms five bytes.
            let begins = form.first_chunk().expect("no form is shorter than four bytes");
            let place = all.place(u32::from_le_bytes(*begins).into());
            set(&mut all.four, place);
            match form.first_chunk() {
                Some(begins) => {
                    let place = all.place(u64::from_le_bytes(*begins));
                    set(&mut all.eight, place);
                }
                None => set(&mut all.short, place),
            }
        }
        all
    }

    /// Whether a form may stand in the text.
    fn may_be_in(&self, text: &[u8]) -> bool {
        text.windows(4).enumerate().any(|(start, begins)| {
            let begins = begins
                .first_chunk()
                .map_or(0, |begins| u32::from_le_bytes(*begins));
            let place = self.place(begins.into());
            is_set(&self.four, place)
                && (is_set(&self.short, place)
                    || text[start..]
                        .first_chunk()
                        .is_some_and(|begins| is_set(&self.eight, self.place(u64::from_le_bytes(*begins)))))
        })
    }

    fn place(&self, begins: u64) -> u64 {
        begins.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.bits)
    }
}

fn set(table: &mut [u64], place: u64) {
    table[(place >> 6) as usize] |= 1 << (place & 63);
}

fn is_set(table: &[u64], place: u64) -> bool {
    table[(place >> 6) as usize] & (1 << (place & 63)) != 0
}

/// A point where a story lets the masker fail, `FAILPOINTS="security::masking=return(word)"`, at texts with that word.
/// Nothing in a released program.
fn break_off(text: &[u8]) {
    if fail::has_failpoints() {
        let text = String::from_utf8_lossy(text);
        fail::eval("security::masking", |word| {
            assert!(!text.contains(&word.unwrap_or_default()), "at {text}");
        });
    }
}

/// A value in every form in which it is hidden.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let word = value.trim();
    let common = word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false");
    if common || word.chars().count() < SHORTEST_VALUE {
        return Vec::new();
    }
    let mut forms: Vec<Vec<u8>> = Vec::new();
    let trimmed = value.trim_end_matches(['\r', '\n']);
    let mut wholes = vec![trimmed.to_owned()];
    if trimmed.contains(['\r', '\n']) {
        wholes.push(trimmed.replace(['\r', '\n'], ""));
        wholes.push(trimmed.replace("\r\n", "\n"));
        wholes.extend(
            trimmed
                .lines()
                .map(str::trim)
                .filter(|line| line.chars().count() >= SHORTEST_LINE)
                .map(str::to_owned),
        );
    }
    // Pasted with a blank, printed without it.
    if trimmed != word {
        wholes.push(word.to_owned());
    }
    // Without its line ends a value may be a short one.
    wholes.retain(|whole| whole.chars().count() >= SHORTEST_VALUE);
    for whole in &wholes {
        forms.push(whole.as_bytes().to_vec());
        for encoded in encodings(whole) {
            if encoded.len() >= SHORTEST_FORM && encoded != *whole {
                forms.push(encoded.into_bytes());
            }
        }
    }
    // The value with its line end, as a tool that encodes a whole file prints it.
    if trimmed.len() != value.len() {
        forms.extend(base64_forms(value.as_bytes()).into_iter().map(String::into_bytes));
    }
    forms
}

fn encodings(value: &str) -> Vec<String> {
    let percent = utf8_percent_encode(value, &NOT_PERCENT_ENCODED).to_string();
    let json = serde_json::Value::from(value).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let xml = value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let xml_quoted = xml.replace('"', "&quot;");
    let mut all = base64_forms(value.as_bytes());
    all.extend([
        lower_case_escapes(&percent),
        percent.replace("%20", "+"),
        percent,
        json.replace('/', "\\/"),
        json,
        xml_quoted.replace('\'', "&apos;"),
        xml_quoted.replace('\'', "&#39;"),
        xml_quoted,
        xml,
        value.replace('\'', "'\\''"),
        value.replace('\'', "''"),
        shell_backslashes(value),
        shell_dollar_quoted(value),
        powershell_backticks(value),
        hex::encode(value),
        hex::encode_upper(value),
    ]);
    all
}

/// Base64 of the value wherever it stands in what was encoded: the three alignments, without the characters that depend on
/// what is around it; both alphabets.
fn base64_forms(value: &[u8]) -> Vec<String> {
    let mut forms = vec![STANDARD_NO_PAD.encode(value), URL_SAFE_NO_PAD.encode(value)];
    for before in 0..3 {
        let mut shifted = vec![0; before];
        shifted.extend_from_slice(value);
        let skip = [0, 2, 3][before];
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let drop = usize::from(shifted.len() % 3 != 0);
            if encoded.len() > skip + drop {
                forms.push(encoded[skip..encoded.len() - drop].to_owned());
            }
        }
    }
    forms
}

fn lower_case_escapes(percent: &str) -> String {
    let mut text = String::with_capacity(percent.len());
    let mut left = 0;
    for character in percent.chars() {
        if character == '%' {
            left = 3;
        }
        text.push(if left > 0 {
            character.to_ascii_lowercase()
        } else {
            character
        });
        left = usize::saturating_sub(left, 1);
    }
    text
}

/// As `printf %q` and the trace of bash print it.
fn shell_backslashes(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && !"_-./:=@%+^,".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// The inside of `$'…'`.
fn shell_dollar_quoted(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('\'', "\\'")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\t', "\\t")
}

fn powershell_backticks(value: &str) -> String {
    value.replace('`', "``").replace('$', "`$").replace('"', "`\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masker(values: &[&str]) -> Masker {
        let mut masker = Masker::default();
        masker.add(values.iter().copied());
        masker
    }

    fn masked(masker: &Masker, text: &str) -> String {
        masker.mask_text(text).into_owned()
    }

    /// E01, E07
    #[test]
    fn values_are_hidden_and_short_ones_are_not() {
        let masker = masker(&["s3cr3t!", "abc", "  ab ", "true"]);
        assert_eq!(
            masked(&masker, "the s3cr3t! is abc, true"),
            "the ******** is abc, true"
        );
    }

    #[test]
    fn values_with_blanks_around_them_are_hidden_without_them_too() {
        let masker = masker(&[" hunter2-secret "]);
        assert_eq!(masked(&masker, "<hunter2-secret>"), "<********>");
        assert_eq!(masked(&masker, "< hunter2-secret >"), "<********>");
    }

    /// E04
    #[test]
    fn encoded_forms_are_hidden() {
        let value = "pa$$w\"o<r>d & 'more'/é";
        let masker = masker(&[value]);
        for text in encodings(value) {
            if text.len() >= SHORTEST_FORM {
                assert_eq!(masked(&masker, &format!("[{text}]")), "[********]", "{text}");
            }
        }
        for before in ["", "x", "xy", "xyz"] {
            let whole = STANDARD_NO_PAD.encode(format!("{before}{value}after"));
            assert!(masked(&masker, &whole).contains(MASK), "{before}");
        }
    }

    /// E03
    #[test]
    fn lines_of_a_key_are_hidden_one_by_one() {
        let key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7b3f\nshort\nq8Zs1234567890\n-----END KEY-----\n";
        let masker = masker(&[key]);
        for line in key.lines().filter(|line| line.len() >= SHORTEST_LINE) {
            assert_eq!(masked(&masker, line), MASK);
        }
    }

    #[test]
    fn values_that_overlap_are_hidden_as_one() {
        let masker = masker(&["abcdef", "defghi"]);
        assert_eq!(masked(&masker, "xabcdefghix"), "x********x");
    }

    #[test]
    fn what_may_be_the_beginning_of_a_value_is_held_back() {
        let masker = masker(&["abcdefgh"]);
        let text = b"some text abcdefg";
        let safe = masker.safe_length(text);
        assert!(safe <= text.len() - 7);
    }

    #[test]
    fn values_can_be_added_at_any_time_and_again() {
        let mut masker = Masker::default();
        let values: Vec<String> = (0..100).map(|number| format!("value-{number:03}")).collect();
        for value in values.iter().chain(&values) {
            masker.add([value.as_str()]);
        }
        assert!(masker.groups.len() < 10, "{}", masker.groups.len());
        assert_eq!(masked(&masker, &values.join(" ")), [MASK; 100].join(" "));
    }

    proptest! {
        #[test]
        fn any_value_can_be_learnt(value in "[aé \r\n]{0,10}", text in "[aé]{0,9}") {
            let masked = masker(&[&value]).mask_text(&text).into_owned();
            prop_assert!(masked == text || text.len() >= SHORTEST_VALUE);
        }

        /// The filter passes every text in which the automaton finds something.
        #[test]
        fn whatever_stands_in_a_text_passes_the_filter(
            values in proptest::collection::vec("[ab]{4,12}", 1..4), text in "[abc]{0,40}"
        ) {
            let masker = masker(&values.iter().map(String::as_str).collect::<Vec<_>>());
            let stands = values.iter().any(|value| text.contains(value.as_str()));
            prop_assert_eq!(!masker.find(text.as_bytes()).is_empty(), stands);
        }

        #[test]
        fn no_value_survives_wherever_it_stands(
            value in "[a-zA-Z0-9+/'\"<&%$ ]{6,24}", before in ".{0,20}", after in ".{0,20}"
        ) {
            prop_assume!(value.trim().len() >= SHORTEST_VALUE && !before.contains(&value) && !MASK.contains(&value));
            let masker = masker(&[&value]);
            let text = format!("{before}{value}{after}");
            prop_assert!(!masker.mask_text(&text).contains(&value));
        }
    }
}
