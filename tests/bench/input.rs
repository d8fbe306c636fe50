//! Inputs that are the same in every run.

use std::path::Path;

/// Numbers that look random (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("it is below a usize")
    }

    /// Letters and digits.
    pub fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        (0..length)
            .map(|_| char::from(LETTERS[self.below(LETTERS.len())]))
            .collect()
    }

    pub fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8))
            .flat_map(|_| self.number().to_le_bytes())
            .collect();
        bytes.truncate(length);
        bytes
    }
}

/// Contents of a package: text of 2,000 words, a quarter noise; deflate halves it.
pub struct Contents {
    dice: Dice,
    words: Vec<String>,
}

impl Contents {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let words = (0..2000)
            .map(|_| {
                let length = 2 + dice.below(9);
                dice.word(length)
            })
            .collect();
        Self { dice, words }
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 2048);
        while bytes.len() < length {
            if self.dice.below(4) == 0 {
                bytes.extend(self.dice.noise(1024));
                continue;
            }
            let end = bytes.len() + 1024;
            while bytes.len() < end {
                // Some words are more common than others, as in any text.
                let spread = self.dice.below(self.words.len()) + 1;
                let word = self.dice.below(spread);
                bytes.extend_from_slice(self.words[word].as_bytes());
                bytes.push(if bytes.len() % 80 < 8 { b'\n' } else { b' ' });
            }
        }
        bytes.truncate(length);
        bytes
    }

    /// Files in folders of fifty, of all sizes up to twice the average.
    pub fn tree(&mut self, folder: &Path, files: usize, total: usize) {
        let mut left = total;
        for number in 0..files {
            let parent = folder.join(format!("folder-{:02}", number / 50));
            std::fs::create_dir_all(&parent).expect("a folder can be made");
            let length = if number + 1 == files {
                left
            } else {
                self.dice.below(2 * total / files).min(left)
            };
            left -= length;
            let contents = self.bytes(length);
            std::fs::write(parent.join(format!("file-{number:04}.dat")), contents)
                .expect("a file can be written");
        }
    }
}

/// Files and bytes below a folder.
pub fn count(folder: &Path) -> (usize, u64) {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let entry = entry.expect("the folder can be read");
        let about = entry.metadata().expect("an entry can be looked at");
        let (files, bytes) = if about.is_dir() {
            count(&entry.path())
        } else {
            (1, about.len())
        };
        sum = (sum.0 + files, sum.1 + bytes);
    }
    sum
}

/// All contents below a folder are those of the other.
pub fn same_tree(expected: &Path, found: &Path) {
    assert_eq!(
        count(expected),
        count(found),
        "files and bytes of {}",
        found.display()
    );
    for entry in std::fs::read_dir(expected).expect("the folder is there") {
        let entry = entry.expect("the folder can be read");
        let twin = found.join(entry.file_name());
        if entry.path().is_dir() {
            same_tree(&entry.path(), &twin);
        } else {
            same_file(&entry.path(), &twin);
        }
    }
}

pub fn same_file(expected: &Path, found: &Path) {
    let read =
        |path: &Path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        read(expected) == read(found),
        "{} is not {}",
        found.display(),
        expected.display()
    );
}
