//! The two rolling checksums (`octodiff.md` 4): both are `(b << 16) | a`, `a` the sum of the bytes plus one, `b` the sum of
//! the `a`s on the way.

/// The modulus of `Adler32V2`.
const PRIME: u32 = 65_521;

/// Which checksum a signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RollingChecksum {
    /// Sums modulo 2^16; the default.
    #[default]
    Adler32,
    /// Sums modulo 65521.
    Adler32V2,
}

impl RollingChecksum {
    /// As it stands in signature files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Adler32 => "Adler32",
            Self::Adler32V2 => "Adler32V2",
        }
    }

    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        [Self::Adler32, Self::Adler32V2]
            .into_iter()
            .find(|checksum| checksum.name().as_bytes() == name)
    }

    /// The checksum of a block of at most 64 MiB (chunks have at most 32,767 bytes).
    #[must_use]
    pub fn of(self, block: &[u8]) -> u32 {
        let (a, b) = sums(block);
        match self {
            Self::Adler32 => join(a as u32, b as u32),
            Self::Adler32V2 => join((a % u64::from(PRIME)) as u32, (b % u64::from(PRIME)) as u32),
        }
    }
}

/// The sums without any modulus. Blocks of 32 bytes have no dependency inside, so that the compiler makes vectors of them.
fn sums(block: &[u8]) -> (u64, u64) {
    let (mut a, mut b) = (1u64, 0u64);
    let (lanes, rest) = block.as_chunks::<32>();
    for lane in lanes {
        let (mut sum, mut weighted) = (0u32, 0u32);
        for (position, byte) in lane.iter().enumerate() {
            sum += u32::from(*byte);
            weighted += (32 - position as u32) * u32::from(*byte);
        }
        b += 32 * a + u64::from(weighted);
        a += u64::from(sum);
    }
    for byte in rest {
        a += u64::from(*byte);
        b += a;
    }
    (a, b)
}

fn join(a: u32, b: u32) -> u32 {
    (b << 16) | (a & 0xFFFF)
}

/// A checksum that moves over a file byte by byte.
pub(crate) trait Rolling {
    /// For windows of this many bytes.
    fn of_length(length: usize) -> Self;
    /// Starts anew at a window.
    fn start(&mut self, window: &[u8]);
    /// Moves on by one byte.
    fn roll(&mut self, out: u8, into: u8);
    /// The checksum of the present window.
    fn value(&self) -> u32;
}

/// `Adler32`: 2^16 divides 2^32, so the registers wrap where they like.
pub(crate) struct Wrapping {
    length: u32,
    a: u32,
    b: u32,
}

impl Rolling for Wrapping {
    fn of_length(length: usize) -> Self {
        let length = length as u32;
        Self { length, a: 1, b: 0 }
    }

    fn start(&mut self, window: &[u8]) {
        let (a, b) = sums(window);
        (self.a, self.b) = (a as u32, b as u32);
    }

    #[inline]
    fn roll(&mut self, out: u8, into: u8) {
        let (out, into) = (u32::from(out), u32::from(into));
        self.a = self.a.wrapping_sub(out).wrapping_add(into);
        self.b = self
            .b
            .wrapping_sub(self.length.wrapping_mul(out))
            .wrapping_add(self.a)
            .wrapping_sub(1);
    }

    #[inline]
    fn value(&self) -> u32 {
        join(self.a, self.b)
    }
}

/// `Adler32V2`: all sums stay below the prime, by subtraction, as a division for each byte would be felt.
pub(crate) struct Prime {
    /// What leaves `b` with each byte: length times byte, modulo the prime.
    leaving: Vec<u32>,
    a: u32,
    b: u32,
}

impl Rolling for Prime {
    fn of_length(length: usize) -> Self {
        let leaving = (0..256u64).map(|byte| (byte * length as u64 % u64::from(PRIME)) as u32);
        Self {
            leaving: leaving.collect(),
            a: 1,
            b: 0,
        }
    }

    fn start(&mut self, window: &[u8]) {
        let value = RollingChecksum::Adler32V2.of(window);
        (self.a, self.b) = (value & 0xFFFF, value >> 16);
    }

    #[inline]
    fn roll(&mut self, out: u8, into: u8) {
        let below = |sum: u32| if sum >= PRIME { sum - PRIME } else { sum };
        self.a = below(self.a + PRIME - u32::from(out));
        self.a = below(self.a + u32::from(into));
        self.b = below(self.b + PRIME - self.leaving[usize::from(out)]);
        self.b = below(self.b + self.a);
        self.b = below(self.b + PRIME - 1);
    }

    #[inline]
    fn value(&self) -> u32 {
        join(self.a, self.b)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_check_values_of_the_specification_hold() {
        assert_eq!(RollingChecksum::Adler32.of(b"abc"), 0x024D_0127);
        assert_eq!(RollingChecksum::Adler32.of(&[0xFF; 256]), 0x0080_FF01);
        assert_eq!(RollingChecksum::Adler32V2.of(b"abc"), 0x024D_0127);
        assert_eq!(RollingChecksum::Adler32V2.of(&[0xFF; 256]), 0x0800_FF01);
    }

    fn rolls_as_it_calculates<R: Rolling>(checksum: RollingChecksum, file: &[u8], length: usize) {
        let mut rolling = R::of_length(length);
        rolling.start(&file[..length]);
        for start in 0..=file.len() - length {
            assert_eq!(
                rolling.value(),
                checksum.of(&file[start..start + length]),
                "at {start}"
            );
            if start + length < file.len() {
                rolling.roll(file[start], file[start + length]);
            }
        }
    }

    proptest! {
        #[test]
        fn rolling_gives_what_calculating_gives(file in prop::collection::vec(any::<u8>(), 1..600), part in 0.0..1.0f64) {
            let length = ((file.len() as f64 * part) as usize).max(1);
            rolls_as_it_calculates::<Wrapping>(RollingChecksum::Adler32, &file, length);
            rolls_as_it_calculates::<Prime>(RollingChecksum::Adler32V2, &file, length);
        }
    }

    #[test]
    fn the_largest_window_of_the_largest_bytes_rolls_too() {
        let mut file = vec![0xFF; 70_000];
        file[40_000..50_000].fill(0);
        rolls_as_it_calculates::<Wrapping>(RollingChecksum::Adler32, &file[..40_100], 31_744);
        rolls_as_it_calculates::<Prime>(RollingChecksum::Adler32V2, &file[9_000..45_000], 31_744);
    }
}
