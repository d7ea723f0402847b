//! RIFF WAVE and raw samples: 16 bits, one channel, little-endian.

use super::RATE;

/// Raw samples.
pub(super) fn samples(tune: &[i16]) -> Vec<u8> {
    tune.iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// A WAV file.
pub(super) fn file(tune: &[i16]) -> Vec<u8> {
    let data = samples(tune);
    let data_len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + data.len());
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&data_len.saturating_add(36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes()); // PCM
    file.extend_from_slice(&1_u16.to_le_bytes()); // channels
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 2).to_le_bytes()); // bytes a second
    file.extend_from_slice(&2_u16.to_le_bytes()); // bytes a sample
    file.extend_from_slice(&16_u16.to_le_bytes()); // bits a sample
    file.extend_from_slice(b"data");
    file.extend_from_slice(&data_len.to_le_bytes());
    file.extend(data);
    file
}
