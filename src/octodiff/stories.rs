//! What deltas do, told by files of every kind.

use std::io::{Cursor, Read};

use proptest::prelude::*;
use sha1::{Digest, Sha1};

use crate::error::Error;
use crate::*;

/// The generator of the recorded cases.
pub(crate) fn random(seed: u64, count: usize) -> Vec<u8> {
    let mut x = seed;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend(x.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

fn form(chunk_size: u16, checksum: RollingChecksum) -> SignatureForm {
    SignatureForm { chunk_size, checksum }
}

fn signature_of(basis: &[u8], form: &SignatureForm) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert_eq!(
        build_signature(basis, &mut bytes, form).unwrap(),
        basis.len() as u64
    );
    bytes
}

fn delta_of(basis: &[u8], new: &[u8], form: &SignatureForm) -> Vec<u8> {
    let signature = Signature::read(&signature_of(basis, form)[..]).unwrap();
    let mut delta = Cursor::new(Vec::new());
    assert_eq!(
        build_delta(&signature, new, &mut delta).unwrap(),
        new.len() as u64
    );
    delta.into_inner()
}

fn patched(basis: &[u8], delta: &[u8]) -> Result<Vec<u8>, Error> {
    let mut result = Vec::new();
    let patch = Patch {
        largest_result: 64 << 20,
        ..Patch::default()
    };
    apply_delta(Cursor::new(basis), delta, &mut result, &patch).map(|_| result)
}

fn commands(delta: &[u8]) -> Vec<Command> {
    let mut reader = DeltaReader::open(delta).unwrap();
    std::iter::from_fn(|| reader.next_command().unwrap()).collect()
}

fn copy(start: i64, length: i64) -> Command {
    Command::Copy { start, length }
}

fn data(length: u64) -> Command {
    Command::Data { length }
}

/// Gives a file in the smallest pieces.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(3);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn a_signature_has_the_bytes_of_the_specification() {
    let expected = "4F43544F534947010453484131 0741646C65723332 3E3E3E 0300 27014D02 \
                    A9993E364706816ABA3E25717850C26C9CD0D89D";
    let actual: String = signature_of(b"abc", &SignatureForm::default())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_eq!(actual, expected.replace(' ', ""));
}

#[test]
fn a_signature_is_read_and_written_back() {
    for length in [0, 1, 2047, 2048, 2049, 5 * 2048] {
        for checksum in [RollingChecksum::Adler32, RollingChecksum::Adler32V2] {
            let basis = random(7, length);
            let bytes = signature_of(&basis, &form(2048, checksum));
            let signature = Signature::read(Dripping(&bytes)).unwrap();
            assert_eq!(signature.chunks().len(), length.div_ceil(2048));
            let mut again = Vec::new();
            signature.write(&mut again).unwrap();
            assert_eq!(again, bytes);
            let mut dripped = Vec::new();
            build_signature(Dripping(&basis), &mut dripped, &form(2048, checksum)).unwrap();
            assert_eq!(dripped, bytes, "how a file arrives makes no difference");
        }
    }
}

#[test]
fn chunk_sizes_have_bounds() {
    for size in [0, 127, 31_745, u16::MAX] {
        let refused =
            build_signature(&b""[..], Vec::new(), &form(size, RollingChecksum::Adler32)).unwrap_err();
        assert!(matches!(refused, Error::ChunkSize { .. }), "{refused}");
    }
}

#[test]
fn what_both_files_hold_is_copied() {
    let small = form(128, RollingChecksum::Adler32);
    let basis = random(7, 682);
    let other = random(9, 77);
    let story = |new: Vec<u8>| {
        let delta = delta_of(&basis, &new, &small);
        assert_eq!(patched(&basis, &delta).unwrap(), new);
        commands(&delta)
    };
    assert_eq!(story(basis.clone()), [copy(0, 682)]);
    assert_eq!(story(Vec::new()), []);
    assert_eq!(story(other.clone()), [data(77)]);
    assert_eq!(story([&other[..], &basis].concat()), [data(77), copy(0, 682)]);
    assert_eq!(story([&basis[..], &other].concat()), [copy(0, 682), data(77)]);
    assert_eq!(
        story([&basis[..256], &basis[300..]].concat()),
        [copy(0, 256), data(84), copy(384, 298)]
    );
    assert_eq!(
        story([&basis[..261], b"!", &basis[262..]].concat()),
        [copy(0, 256), data(128), copy(384, 298)]
    );
    assert_eq!(
        story([&basis[256..512], &basis[..256]].concat()),
        [copy(256, 256), copy(0, 256)]
    );
    assert_eq!(
        story([&basis[..], &basis].concat()),
        [copy(0, 682), copy(0, 682)],
        "the tail in the middle too"
    );
}

#[test]
fn repeated_chunks_become_one_copy() {
    let basis = vec![b'A'; 12_288];
    let delta = delta_of(&basis, &basis, &SignatureForm::default());
    assert_eq!(commands(&delta), [copy(0, 12_288)]);
}

#[test]
fn a_short_last_chunk_is_copied_only_where_that_is_shorter() {
    let basis = vec![b'A'; 6_149];
    let new = vec![b'A'; 12_309];
    let delta = delta_of(&basis, &new, &SignatureForm::default());
    assert_eq!(commands(&delta), [copy(0, 6_144), copy(0, 6_149), data(16)]);
    assert_eq!(patched(&basis, &delta).unwrap(), new);
}

#[test]
fn files_larger_than_the_buffer_hold_together() {
    for length in [4 * 1024 * 1024 - 1, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1] {
        let basis = random(31, length);
        for checksum in [RollingChecksum::Adler32, RollingChecksum::Adler32V2] {
            let shifted = [&b"!"[..], &basis].concat();
            let delta = delta_of(&basis, &shifted, &form(31_744, checksum));
            assert_eq!(commands(&delta), [data(1), copy(0, length as i64)]);
        }
        let strange = random(32, length);
        let new = [&strange[..], &basis].concat();
        let delta = delta_of(&basis, &new, &SignatureForm::default());
        assert_eq!(commands(&delta), [data(length as u64), copy(0, length as i64)]);
        assert_eq!(patched(&basis, &delta).unwrap(), new);
    }
}

#[test]
fn a_wrong_basis_is_noticed_unless_nobody_wants_to_know() {
    let basis = random(7, 700);
    let delta = delta_of(&basis, &basis, &form(128, RollingChecksum::Adler32));
    let refused = patched(&random(8, 700), &delta).unwrap_err();
    assert_eq!(refused.exit_code(), 4);
    assert!(refused.to_string().contains("basis file changed"), "{refused}");
    let careless = Patch {
        verify: false,
        ..Patch::default()
    };
    let mut result = Vec::new();
    let patched = apply_delta(Cursor::new(random(8, 100)), &delta[..], &mut result, &careless).unwrap();
    assert_eq!((patched.length, result.len()), (100, 100));
}

#[test]
fn a_small_delta_cannot_fill_the_disk() {
    let basis = vec![0; 1024 * 1024];
    let mut bomb = delta_of(&basis, b"", &SignatureForm::default());
    let copy = [&[0x60][..], &0i64.to_le_bytes(), &(1i64 << 20).to_le_bytes()].concat();
    bomb.extend(copy.repeat(10_000));
    let refused = patched(&basis, &bomb).unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
}

#[test]
fn damaged_files_are_told_apart() {
    let basis = random(7, 700);
    let good = delta_of(&basis, &basis, &form(128, RollingChecksum::Adler32));
    let metadata = &good[..42];
    let code = |delta: &[u8]| patched(&basis, delta).unwrap_err().exit_code();
    let with = |tail: &[u8]| [metadata, tail].concat();
    assert_eq!(code(b""), 2);
    assert_eq!(code(&good[..12]), 1, "cut inside a name");
    assert_eq!(code(&good[..41]), 2, "cut inside the end of the metadata");
    assert_eq!(code(&good[..50]), 1, "cut inside a copy");
    assert_eq!(
        code(&with(&[0x80, 100, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3])),
        2,
        "data longer than the file"
    );
    assert_eq!(
        code(&with(&[0x80, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])),
        2,
        "negative data"
    );
    let negative =
        |start: i64, length: i64| with(&[&[0x60][..], &start.to_le_bytes(), &length.to_le_bytes()].concat());
    assert_eq!(code(&negative(-1, 10)), 1);
    assert_eq!(code(&negative(0, -10)), 3);
    let mut newer = good.clone();
    newer[9] = 2;
    assert_eq!(code(&newer), 2);
    let passed_over = [metadata, &[1, 2, 3], &good[42..]].concat();
    assert_eq!(patched(&basis, &passed_over).unwrap(), basis);
}

#[test]
fn a_delta_explains_itself() {
    let basis = random(21, 128);
    let lines = |new: &[u8]| {
        let mut lines = Vec::new();
        explain(
            &delta_of(&basis, new, &form(128, RollingChecksum::Adler32))[..],
            &mut lines,
        )
        .unwrap();
        String::from_utf8(lines).unwrap()
    };
    assert_eq!(
        lines(&[&b"abc"[..], &basis].concat()),
        "Data: (3 bytes): 61-62-63\nCopy: 0 to 80\n"
    );
    let shown = ["41"; 20].join("-");
    assert_eq!(lines(&[b'A'; 20]), format!("Data: (20 bytes): {shown}\n"));
    assert_eq!(lines(&[b'A'; 21]), format!("Data: (21 bytes): {shown}...\n"));
    assert!(
        lines(&vec![b'A'; 5 << 20])
            .starts_with(&format!("Data: (4194304 bytes): {shown}...\nData: (1048576 "))
    );
}

#[test]
fn checksums_that_collide_on_purpose_cost_no_time() {
    // A signature whose only chunk has the checksum of zeros and another hash; a file of nothing but zeros.
    let mut signature = signature_of(&vec![0; 31_744], &form(31_744, RollingChecksum::Adler32));
    *signature.last_mut().unwrap() ^= 1;
    let signature = Signature::read(&signature[..]).unwrap();
    let new = vec![0; 8 << 20];
    let mut delta = Cursor::new(Vec::new());
    let begun = std::time::Instant::now();
    build_delta(&signature, &new[..], &mut delta).unwrap();
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!(patched(b"", &delta.into_inner()).unwrap(), new);
}

/// The size of the delta that the specification's algorithm makes (`octodiff.md` 5), written down without any hurry.
fn plain_size(signature: &Signature, new: &[u8]) -> usize {
    let mut chunks = signature.chunks().to_vec();
    chunks.sort_by_key(|chunk| (chunk.checksum, chunk.start));
    let lengths = || chunks.iter().map(|chunk| chunk.length as usize);
    let (longest, shortest) = (lengths().max().unwrap_or(0), lengths().min().unwrap_or(0));
    let (mut size, mut matched, mut copied) = (42, 0, None);
    for at in 0..new.len() {
        let window = if new.len() - at < longest {
            shortest
        } else {
            longest
        };
        if at < matched || window == 0 || at + window > new.len() {
            continue;
        }
        let block = &new[at..at + window];
        let checksum = signature.checksum.of(block);
        let behind = &chunks[chunks.partition_point(|chunk| chunk.checksum < checksum)..];
        let mut equal = behind.iter().take_while(|chunk| chunk.checksum == checksum);
        let Some(chunk) = equal.find(|chunk| <[u8; 20]>::from(Sha1::digest(block)) == chunk.hash) else {
            continue;
        };
        if at > matched {
            size += 9 + at - matched;
        }
        if at > matched || copied != Some(chunk.start) {
            size += 17;
        }
        copied = Some(chunk.start + window as u64);
        matched = at + window;
    }
    if matched < new.len() {
        size += 9 + new.len() - matched;
    }
    size
}

fn edits() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let piece = (0usize..4000, 0usize..1500, any::<bool>(), 1u64..9);
    (0usize..5000, 1u64..4, prop::collection::vec(piece, 0..8)).prop_map(|(length, seed, pieces)| {
        // Half of the files repeat themselves.
        let basis = if seed == 3 {
            random(seed, 150).into_iter().cycle().take(length).collect()
        } else {
            random(seed, length)
        };
        let mut new = Vec::new();
        for (start, length, from_basis, seed) in pieces {
            if from_basis {
                let start = start.min(basis.len());
                new.extend(&basis[start..(start + length).min(basis.len())]);
            } else {
                new.extend(random(seed, length % 300));
            }
        }
        (basis, new)
    })
}

proptest! {
    #[test]
    fn any_new_file_comes_back((basis, new) in edits(), chunk_size in 128u16..600, second in any::<bool>()) {
        let checksum = if second { RollingChecksum::Adler32V2 } else { RollingChecksum::Adler32 };
        let delta = delta_of(&basis, &new, &form(chunk_size, checksum));
        prop_assert_eq!(patched(&basis, &delta).unwrap(), new.clone());
        let signature = Signature::read(&signature_of(&basis, &form(chunk_size, checksum))[..]).unwrap();
        prop_assert!(delta.len() <= plain_size(&signature, &new), "larger than the plain algorithm's");
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        metadata in any::<bool>(),
    ) {
        let delta = if metadata {
            [&delta_of(b"", b"", &SignatureForm::default())[..], &bytes].concat()
        } else {
            bytes.clone()
        };
        let _ = patched(b"basis", &delta);
        let _ = explain(&delta[..], Vec::new());
        let signature = if metadata {
            [&signature_of(b"", &SignatureForm::default())[..], &bytes].concat()
        } else {
            bytes
        };
        if let Ok(signature) = Signature::read(&signature[..]) {
            let mut delta = Cursor::new(Vec::new());
            build_delta(&signature, &b"new"[..], &mut delta).unwrap();
            prop_assert_eq!(patched(b"", &delta.into_inner()).unwrap(), b"new");
        }
    }
}

/// Calls a story with one damage after the other, for as long as `MANTLE_FUZZ_SECONDS` says.
pub(crate) fn mutate_for_a_while(mut story: impl FnMut(&dyn Fn(&[u8]) -> Vec<u8>)) {
    let seconds = std::env::var("MANTLE_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1u64);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut seed = 1u64;
    while std::time::Instant::now() < until {
        seed += 1;
        let dice = random(seed.wrapping_mul(2_654_435_761), 64);
        story(&|file| {
            let mut file = file.to_vec();
            for roll in dice.chunks_exact(4).take(1 + usize::from(dice[63] % 6)) {
                let place = usize::from(u16::from_le_bytes([roll[0], roll[1]])) % (file.len() + 1);
                match roll[2] % 5 {
                    0 => file.truncate(place),
                    1 => file.insert(place, roll[3]),
                    2 if place < file.len() => file[place] = roll[3],
                    3 if place < file.len() => file[place] ^= 1 << (roll[3] % 8),
                    _ => {
                        let end = (place + usize::from(roll[3])).min(file.len());
                        file.drain(place..end);
                    }
                }
            }
            file
        });
    }
}

#[test]
fn mutated_files_never_end_in_a_panic_or_in_a_wrong_file() {
    let basis = random(7, 3000);
    let new = [&basis[..1100], &random(9, 90), &basis[900..]].concat();
    let small = form(128, RollingChecksum::Adler32);
    let (signature, delta) = (signature_of(&basis, &small), delta_of(&basis, &new, &small));
    mutate_for_a_while(|damage| {
        if let Ok(result) = patched(&basis, &damage(&delta)) {
            assert_eq!(result, new);
        }
        let _ = explain(&damage(&delta)[..], Vec::new());
        if let Ok(signature) = Signature::read(&damage(&signature)[..]) {
            let mut delta = Cursor::new(Vec::new());
            build_delta(&signature, &new[..], &mut delta).unwrap();
            let _ = patched(&basis, &delta.into_inner());
        }
    });
}
