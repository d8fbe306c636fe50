//! Finds the chunk of the basis that a window of the new file equals.

use std::collections::HashMap;

use crate::signature::{Chunk, Signature};

/// The chunks by checksum and hash. Looking up is logarithmic whatever the signature holds: it may come from a stranger who
/// gave a million chunks one checksum.
pub(crate) struct Index<'a> {
    chunks: &'a [Chunk],
    /// Numbers of chunks by checksum, hash, start.
    order: Vec<u32>,
    /// Where in `order` the chunks of a checksum begin.
    first: HashMap<u32, u32>,
    /// Two bits for each checksum: nearly every position of a new file ends here, most at the first bit.
    filter: Vec<u64>,
    shift: u32,
    /// Length of the longest chunk; 0 when there is none.
    pub(crate) longest: usize,
    /// Length of the shortest chunk; 0 when there is none.
    pub(crate) shortest: usize,
}

impl<'a> Index<'a> {
    pub(crate) fn of(signature: &'a Signature) -> Self {
        // Behind a length that is not positive nobody knows where in the basis a chunk is.
        let known = signature.chunks().iter().position(|chunk| chunk.length <= 0);
        let chunks = &signature.chunks()[..known.unwrap_or(signature.chunks().len())];
        let mut order: Vec<u32> = (0..chunks.len() as u32).collect();
        order.sort_unstable_by_key(|number| {
            let chunk = &chunks[*number as usize];
            (chunk.checksum, chunk.hash, *number)
        });
        let bits = (chunks.len() * 32).next_power_of_two().clamp(1 << 13, 1 << 25);
        let mut index = Self {
            chunks,
            first: HashMap::with_capacity(chunks.len()),
            filter: vec![0; bits / 64],
            shift: 32 - bits.trailing_zeros(),
            longest: chunks.iter().map(length).max().unwrap_or_default(),
            shortest: chunks.iter().map(length).min().unwrap_or_default(),
            order,
        };
        for (place, number) in index.order.iter().enumerate() {
            let checksum = chunks[*number as usize].checksum;
            index.first.entry(checksum).or_insert(place as u32);
            for factor in FACTORS {
                let (word, bit) = spot(checksum, factor, index.shift);
                index.filter[word] |= bit;
            }
        }
        index
    }

    /// Whether it is worth asking [`Index::knows`].
    #[inline]
    pub(crate) fn may_know(&self, checksum: u32) -> bool {
        FACTORS.into_iter().all(|factor| {
            let (word, bit) = spot(checksum, factor, self.shift);
            self.filter[word] & bit != 0
        })
    }

    /// Whether a chunk has this checksum.
    pub(crate) fn knows(&self, checksum: u32) -> bool {
        self.first.contains_key(&checksum)
    }

    /// The first chunk of the basis with this checksum and hash.
    pub(crate) fn find(&self, checksum: u32, hash: &[u8; 20], length: usize) -> Option<u32> {
        let from = *self.first.get(&checksum)? as usize;
        let behind = &self.order[from..];
        let place = behind.partition_point(|number| {
            let chunk = &self.chunks[*number as usize];
            (chunk.checksum, &chunk.hash) < (checksum, hash)
        });
        behind
            .get(place)
            .copied()
            .filter(|number| self.is(*number, hash, length))
    }

    /// Whether the chunk of this number has this hash and length.
    pub(crate) fn is(&self, number: u32, hash: &[u8; 20], length: usize) -> bool {
        self.chunk(number)
            .is_some_and(|chunk| self::length(chunk) == length && chunk.hash == *hash)
    }

    pub(crate) fn chunk(&self, number: u32) -> Option<&Chunk> {
        self.chunks.get(number as usize)
    }
}

pub(crate) fn length(chunk: &Chunk) -> usize {
    usize::try_from(chunk.length).unwrap_or_default()
}

/// Spread checksums over the filter; their low half hardly varies.
const FACTORS: [u32; 2] = [0x9E37_79B1, 0x85EB_CA77];

/// A checksum's word and bit of the filter.
#[inline]
fn spot(checksum: u32, factor: u32, shift: u32) -> (usize, u64) {
    let place = checksum.wrapping_mul(factor) >> shift;
    ((place / 64) as usize, 1 << (place % 64))
}
