//! FLAC (RFC 9639) with verbatim subframes: valid, lossless and not compressed.

use super::RATE;

/// Samples in a frame; code 0b1100 of RFC 9639 §9.1.1.
const BLOCK: u16 = 4096;

/// A FLAC file.
pub(super) fn file(tune: &[i16]) -> Vec<u8> {
    let mut file = Vec::with_capacity(tune.len() * 2 + tune.len() / 200 + 64);
    file.extend_from_slice(b"fLaC");
    stream_info(&mut file, tune.len() as u64);
    for (number, block) in (0_u32..).zip(tune.chunks(BLOCK.into())) {
        frame(&mut file, number, block);
    }
    file
}

/// The last and only metadata block (RFC 9639 §8.2); frame sizes and checksum 0 mean unknown.
fn stream_info(file: &mut Vec<u8>, samples: u64) {
    file.extend_from_slice(&[0x80, 0, 0, 34]);
    file.extend_from_slice(&BLOCK.to_be_bytes());
    file.extend_from_slice(&BLOCK.to_be_bytes());
    file.extend_from_slice(&[0; 6]);
    // 20 bits rate, 3 bits channels - 1, 5 bits bits per sample - 1, 36 bits samples.
    let facts = u64::from(RATE) << 44 | 15 << 36 | samples;
    file.extend_from_slice(&facts.to_be_bytes());
    file.extend_from_slice(&[0; 16]);
}

/// One frame (RFC 9639 §9): every part of it happens to be whole bytes.
fn frame(file: &mut Vec<u8>, number: u32, block: &[i16]) {
    let length = u16::try_from(block.len()).unwrap_or(BLOCK);
    // Block size code and rate code 0b0111, 24 kHz. 0b0111 as block size: length - 1 follows.
    let sizes = if length == BLOCK { 0xC7 } else { 0x77 };
    let mut frame = Vec::with_capacity(block.len() * 2 + 16);
    frame.extend_from_slice(&[0xFF, 0xF8, sizes, 0x08]);
    // Frame numbers are coded like UTF-8; five minutes end long before the surrogates.
    let number = char::from_u32(number).unwrap_or_default();
    frame.extend_from_slice(number.encode_utf8(&mut [0; 4]).as_bytes());
    if length != BLOCK {
        frame.extend_from_slice(&(length.saturating_sub(1)).to_be_bytes());
    }
    frame.push(crc8(&frame));
    frame.push(0x02); // verbatim subframe
    for sample in block {
        frame.extend_from_slice(&sample.to_be_bytes());
    }
    let check = crc16(&frame);
    frame.extend_from_slice(&check.to_be_bytes());
    file.extend(frame);
}

/// CRC-8, polynomial 0x07.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            if crc & 0x80 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x07
            }
        })
    })
}

/// CRC-16, polynomial 0x8005.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x8005
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        // Check values of CRC-8/SMBUS and CRC-16/UMTS.
        assert_eq!(crc8(b"123456789"), 0xF4);
        assert_eq!(crc16(b"123456789"), 0xFEE8);
    }

    #[test]
    fn samples_come_back_from_the_frames() {
        let tune: Vec<i16> = (0..5000).map(|at: i16| at - 2500).collect();
        let file = file(&tune);

        let first = &file[42..42 + 7 + 8192 + 2];
        assert_eq!(&file[..4], b"fLaC");
        assert_eq!(crc8(&first[..5]), first[5]);
        assert_eq!(crc16(first), 0, "a checksum over itself is 0");
        let decoded: Vec<i16> = first[7..7 + 8192]
            .chunks(2)
            .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        assert_eq!(decoded, tune[..4096]);
    }
}
