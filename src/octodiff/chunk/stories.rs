//! What chunks are good for, and what damaged ones cannot do.

use std::collections::HashMap;
use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::stories::random;

/// Chunks in memory.
#[derive(Default)]
struct Store(HashMap<ChunkHash, Vec<u8>>);

impl Store {
    fn of(files: &[&[u8]]) -> Self {
        let mut store = Self::default();
        for file in files {
            let mut rest = *file;
            for piece in cut(*file).unwrap().pieces() {
                let (chunk, behind) = rest.split_at(piece.length as usize);
                store.0.insert(piece.hash, chunk.to_vec());
                rest = behind;
            }
            assert!(rest.is_empty());
        }
        store
    }
}

impl ChunkSource for Store {
    fn read_chunk(&mut self, piece: &Piece, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let chunk = self.0.get(&piece.hash);
        buffer.extend(chunk.into_iter().flatten());
        Ok(chunk.is_some())
    }
}

/// Sends a file to a store; gives what came out and how many bytes were sent.
fn send(new: &[u8], store: &mut Store) -> Result<(Vec<u8>, usize), Error> {
    let manifest = cut(new)?;
    let selection = manifest.missing(|piece| store.0.contains_key(&piece.hash));
    let mut bundle = Vec::new();
    Bundle::write(&manifest, &selection, new, &mut bundle)?;
    receive(&manifest, &bundle, store).map(|result| (result, bundle.len()))
}

fn receive(manifest: &Manifest, bundle: &[u8], store: &mut Store) -> Result<Vec<u8>, Error> {
    let mut bundle = Bundle::open(manifest, Cursor::new(bundle))?;
    let mut result = Vec::new();
    assemble(manifest, &mut [&mut bundle, store], &mut result, 1 << 24)?;
    Ok(result)
}

#[test]
fn content_that_moved_is_not_sent_again() {
    let old = random(7, 400_000);
    let other = random(8, 300_000);
    let mut store = Store::of(&[&old, &other]);
    let new = [
        &random(9, 5_000)[..],
        &other[100..],
        &old[..200_000],
        b"!",
        &old[200_000..],
    ]
    .concat();
    let (result, sent) = send(&new, &mut store).unwrap();
    assert_eq!(result, new);
    assert!(sent < 120_000, "{sent} bytes of {}", new.len());
}

#[test]
fn chunks_have_bounded_sizes_and_cut_at_content() {
    let file = random(3, 3_000_000);
    let manifest = cut(&file[..]).unwrap();
    assert_eq!(manifest.length(), 3_000_000);
    let (last, others) = manifest.pieces().split_last().unwrap();
    assert!(last.length as usize <= LARGEST);
    assert!(
        others
            .iter()
            .all(|piece| (SMALLEST..=LARGEST).contains(&(piece.length as usize)))
    );
    let average = 3_000_000 / manifest.pieces().len();
    assert!((AVERAGE / 2..AVERAGE * 2).contains(&average), "{average}");
    let shifted = cut(&file[1..]).unwrap();
    let same = shifted.pieces().iter().rev().zip(manifest.pieces().iter().rev());
    assert!(same.take_while(|(one, other)| one == other).count() > others.len() - 8);
}

#[test]
fn how_files_are_cut_does_not_change() {
    // Chunks of two versions of this program that were cut in different ways would share nothing.
    let manifest = cut(&random(1, 100_000)[..]).unwrap();
    let lengths: Vec<u32> = manifest.pieces().iter().map(|piece| piece.length).collect();
    let expected = [
        5020, 8193, 13240, 10919, 9502, 5475, 8585, 9916, 3336, 9468, 2312, 13746, 288,
    ];
    assert_eq!(lengths, expected);
}

#[test]
fn a_repeated_chunk_is_sent_once() {
    let zeros = vec![0; 1_000_000];
    let (result, sent) = send(&zeros, &mut Store::default()).unwrap();
    assert_eq!(result, zeros);
    assert!(sent < 3 * LARGEST, "{sent}");
    assert_eq!(send(b"", &mut Store::default()).unwrap().0, b"");
}

#[test]
fn a_wrong_chunk_is_as_good_as_none() {
    let new = random(7, 100_000);
    let mut store = Store::of(&[&new]);
    let manifest = cut(&new[..]).unwrap();
    let third = manifest.pieces()[2];
    store.0.get_mut(&third.hash).unwrap()[0] ^= 1;
    let selection = manifest.missing(|_| true);
    assert_eq!((selection.count(), selection.length(&manifest)), (0, 0));
    let mut bundle = Vec::new();
    Bundle::write(&manifest, &selection, &new[..], &mut bundle).unwrap();
    let refused = receive(&manifest, &bundle, &mut store).unwrap_err().to_string();
    assert!(refused.contains(&third.hash.to_string()), "{refused}");
}

#[test]
fn a_file_that_changed_meanwhile_is_not_packed() {
    let mut new = random(7, 100_000);
    let manifest = cut(&new[..]).unwrap();
    new[50_000] ^= 1;
    let all = manifest.missing(|_| false);
    assert_eq!(all.length(&manifest), 100_000);
    assert!(Bundle::write(&manifest, &all, &new[..], Vec::new()).is_err());
    assert!(Bundle::write(&manifest, &all, &new[..80_000], Vec::new()).is_err());
}

#[test]
fn the_result_has_a_limit() {
    let manifest = cut(&[0; 100_000][..]).unwrap();
    let mut result = Vec::new();
    let refused = assemble(&manifest, &mut [], &mut result, 99_999).unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
}

#[test]
fn damaged_bundles_are_refused() {
    let new = random(7, 60_000);
    let manifest = cut(&new[..]).unwrap();
    let mut bundle = Vec::new();
    Bundle::write(&manifest, &manifest.missing(|_| false), &new[..], &mut bundle).unwrap();
    for place in 0..bundle.len() {
        // Every byte of the head, some of the chunks.
        if place > 600 && place % 997 != 0 {
            continue;
        }
        let mut damaged = bundle.clone();
        damaged[place] ^= 0x40;
        assert!(
            receive(&manifest, &damaged, &mut Store::default()).is_err(),
            "byte {place}"
        );
        assert!(
            receive(&manifest, &bundle[..place], &mut Store::default()).is_err(),
            "cut at {place}"
        );
    }
    bundle.push(0);
    assert!(
        receive(&manifest, &bundle, &mut Store::default()).is_err(),
        "one byte too many"
    );
}

proptest! {
    #[test]
    fn any_file_arrives(
        seeds in prop::collection::vec((1u64..6, 0usize..40_000), 0..6),
        known in prop::collection::vec((1u64..6, 0usize..40_000), 0..3),
    ) {
        let file = |seeds: &[(u64, usize)]| -> Vec<u8> {
            seeds.iter().flat_map(|(seed, length)| random(*seed, *length)).collect()
        };
        let (new, known) = (file(&seeds), file(&known));
        let mut store = Store::of(&[&known]);
        prop_assert_eq!(send(&new, &mut store).unwrap().0, new.clone());
        let manifest = cut(&new[..]).unwrap();
        let mut bytes = Vec::new();
        manifest.write(&mut bytes).unwrap();
        prop_assert_eq!(Manifest::read(&bytes[..]).unwrap(), manifest.clone());
        let selection = manifest.missing(|piece| store.0.contains_key(&piece.hash));
        prop_assert_eq!(Selection::read(&manifest, &selection.bytes()).unwrap(), selection);
    }

    #[test]
    fn any_bytes_are_a_manifest_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), begins in any::<bool>()) {
        let head: &[u8] = if begins { b"MANTLECDC\x01\x02\x00\x00\x00" } else { b"" };
        let bytes = [head, &bytes].concat();
        prop_assert!(Manifest::read(&bytes[..]).is_err());
        prop_assert!(receive(&cut(&b"new"[..]).unwrap(), &bytes, &mut Store::default()).is_err());
    }
}

/// Good bundles, damaged at random, for as long as `MANTLE_FUZZ_SECONDS` says.
#[test]
fn a_mutated_bundle_makes_the_right_file_or_none() {
    let old = random(7, 60_000);
    let new = [&old[..20_000], &random(9, 3_000), &old[20_000..]].concat();
    let mut store = Store::of(&[&old]);
    let manifest = cut(&new[..]).unwrap();
    let missing = manifest.missing(|piece| store.0.contains_key(&piece.hash));
    let mut bundle = Vec::new();
    Bundle::write(&manifest, &missing, &new[..], &mut bundle).unwrap();
    let mut listed = Vec::new();
    manifest.write(&mut listed).unwrap();
    crate::stories::mutate_for_a_while(|damage| {
        if let Ok(result) = receive(&manifest, &damage(&bundle), &mut store) {
            assert_eq!(result, new);
        }
        if let Ok(read) = Manifest::read(&damage(&listed)[..]) {
            assert_eq!(read, manifest);
        }
    });
}
