//! How long a sound file lasts.

/// Bytes a second of an MP3 of 128 kbit/s, the guess for what is not a WAV.
const USUAL_RATE: f64 = 16_000.0;

/// Seconds of a WAV file to a millisecond, `None` for anything else.
///
/// A `data` length beyond the end, as streamed files have it, counts up to the end.
pub(super) fn of_wav(file: &[u8]) -> Option<f64> {
    let mut rest = file
        .strip_prefix(b"RIFF")?
        .get(4..)?
        .strip_prefix(b"WAVE")?;
    let mut rate = None;
    loop {
        let (name, after) = rest.split_at_checked(4)?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        match name {
            b"fmt " => {
                let bytes_a_second = after.get(8..)?.first_chunk::<4>()?;
                rate = Some(u32::from_le_bytes(*bytes_a_second)).filter(|rate| *rate > 0);
            }
            b"data" => {
                let bytes = u32::try_from(length.min(after.len())).ok()?;
                return rate.map(|rate| millis(f64::from(bytes) / f64::from(rate)));
            }
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = after.get(length.checked_add(length % 2)?..)?;
    }
}

/// Seconds that a compressed file of `bytes` may last.
pub(super) fn guess(bytes: usize) -> f64 {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    millis(f64::from(bytes) / USUAL_RATE)
}

fn millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_tells_its_length_and_others_do_not() {
        let mut wav = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        wav.extend_from_slice(&[1, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0]);
        wav.extend_from_slice(b"data\xFF\xFF\xFF\xFF");
        wav.extend(vec![0; 4000]);

        assert_eq!(of_wav(&wav), Some(0.5));
        assert!((0..wav.len() - 4000).all(|end| of_wav(&wav[..end]).is_none()));
        assert_eq!(of_wav(b"ID3"), None);
    }
}
