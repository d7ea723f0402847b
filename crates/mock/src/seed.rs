//! Ids and numbers that look random and depend on the request alone.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// A hash that ids and numbers are drawn from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed([u8; 32]);

impl Seed {
    /// The seed of `parts`; where one part ends and the next begins counts.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Another seed, by a label.
    pub(crate) fn derive(&self, label: &str) -> Self {
        Self::of(&[&self.0, label.as_bytes()])
    }

    /// `prefix` and 24 hexadecimal digits.
    pub(crate) fn id(&self, prefix: &str) -> String {
        let mut id = prefix.to_owned();
        for byte in self.0.iter().take(12) {
            // Writing to a string cannot fail.
            write!(id, "{byte:02x}").unwrap_or_default();
        }
        id
    }

    /// Numbers without end.
    pub(crate) fn numbers(&self) -> Numbers {
        Numbers(
            self.0
                .iter()
                .take(8)
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }
}

/// A sequence of numbers (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The next number from 0 up to `bound`, which it never reaches; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let high = ((self.draw() >> 32) * u64::from(bound)) >> 32;
        // Smaller than a u32 by construction.
        u32::try_from(high).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_have_equal_ids_and_others_do_not() {
        let id = Seed::of(&[b"ab", b"c"]).id("x-");

        assert_eq!(id, Seed::of(&[b"ab", b"c"]).id("x-"));
        assert_ne!(id, Seed::of(&[b"a", b"bc"]).id("x-"));
        assert_eq!(id.len(), 26);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut numbers = Seed::of(&[]).numbers();

        assert!((0..1000).all(|_| numbers.below(7) < 7));
        assert_eq!(numbers.below(0), 0);
    }
}
