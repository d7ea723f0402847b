//! The tune: a note for every few letters.

use super::RATE;
use crate::seed::Seed;

/// Samples that one character takes at speed 1: 15 characters a second, as people speak.
const SAMPLES_PER_CHAR: u32 = RATE / 15;

/// The shortest and longest tune: a quarter of a second, five minutes.
const MIN_SAMPLES: u32 = RATE / 4;
const MAX_SAMPLES: u32 = RATE * 300;

/// A quarter of a second each.
const NOTE_SAMPLES: u32 = RATE / 4;

/// A pentatonic scale from A3, in Hz: any order of these sounds fine.
const SCALE: [u32; 8] = [220, 247, 277, 330, 370, 440, 494, 554];

/// An eighth of full scale is loud enough for a test tone.
const LOUDNESS: i64 = 4096;

/// How many samples `text` takes at `speed`.
pub(super) fn samples(text: &str, speed: f64) -> u32 {
    let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let plain = f64::from(chars.saturating_mul(SAMPLES_PER_CHAR)) / speed;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a range that fits"
    )]
    let samples = plain.clamp(f64::from(MIN_SAMPLES), f64::from(MAX_SAMPLES)) as u32;
    samples
}

/// `samples` of a tune. Triangle waves in whole numbers: the same bytes on every machine.
pub(super) fn melody(seed: &Seed, samples: u32) -> Vec<i16> {
    let mut numbers = seed.numbers();
    let mut tune = Vec::with_capacity(samples as usize);
    let mut left = samples;
    while left > 0 {
        let length = left.min(NOTE_SAMPLES);
        let pitch = SCALE
            .get(numbers.below(8) as usize)
            .copied()
            .unwrap_or(RATE / 100);
        tune.extend((0..length).map(|at| sample(pitch, at, length)));
        left -= length;
    }
    tune
}

/// The sample `at` of a note of `length` samples, fading out so that notes do not click.
fn sample(pitch: u32, at: u32, length: u32) -> i16 {
    let rate = i64::from(RATE);
    let phase = i64::from(pitch) * i64::from(at) % rate;
    let wave = (4 * LOUDNESS * (phase - rate / 2).abs() / rate) - LOUDNESS;
    let faded = wave * i64::from(length - at) / i64::from(length.max(1));
    i16::try_from(faded).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tune_is_as_long_as_its_text_and_never_silent() {
        let count = samples("fifteen letters", 1.0);
        let tune = melody(&Seed::of(&[b"x"]), count);

        assert_eq!(tune.len(), 24_000);
        assert!(tune.iter().any(|sample| *sample > 2000));
        assert_eq!(samples("fifteen letters", 2.0), 12_000);
        assert_eq!(samples("a", 4.0), MIN_SAMPLES);
    }
}
