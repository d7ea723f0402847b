//! Ogg Opus (RFC 7845): packets of silence.

/// Opus counts at 48 kHz, whatever was put in.
const PACKET_SAMPLES: u64 = 960;

/// Samples that decoders drop at the start.
const PRE_SKIP: u16 = 312;

/// A packet of 20 ms of silence: CELT, full band, one channel.
const SILENCE: [u8; 3] = [0xF8, 0xFF, 0xFE];

/// One page a second.
const PACKETS_PER_PAGE: u64 = 50;

const SERIAL: u32 = 0x4155_524F;

const FIRST: u8 = 2;
const LAST: u8 = 4;

/// Silence as long as `samples` at the rate of the other formats.
pub(super) fn file(samples: u32) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x01".to_vec();
    head.extend_from_slice(&PRE_SKIP.to_le_bytes());
    head.extend_from_slice(&super::RATE.to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]); // gain, channel mapping
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&11_u32.to_le_bytes());
    tags.extend_from_slice(b"aurora-mock");
    tags.extend_from_slice(&0_u32.to_le_bytes());

    let end = u64::from(PRE_SKIP) + u64::from(samples) * 2;
    let packets = end.div_ceil(PACKET_SAMPLES);
    let mut file = Vec::new();
    page(&mut file, FIRST, 0, 0, &[&head]);
    page(&mut file, 0, 0, 1, &[&tags]);
    let mut done = 0;
    for number in 2_u32.. {
        let count = PACKETS_PER_PAGE.min(packets - done);
        done += count;
        let last = done == packets;
        let position = if last { end } else { done * PACKET_SAMPLES };
        let silence: Vec<&[u8]> = (0..count).map(|_| SILENCE.as_slice()).collect();
        page(
            &mut file,
            if last { LAST } else { 0 },
            position,
            number,
            &silence,
        );
        if last {
            break;
        }
    }
    file
}

/// One page (RFC 3533 §6) of packets shorter than 255 bytes.
fn page(file: &mut Vec<u8>, flags: u8, position: u64, number: u32, packets: &[&[u8]]) {
    let mut head = b"OggS\0".to_vec();
    head.push(flags);
    head.extend_from_slice(&position.to_le_bytes());
    head.extend_from_slice(&SERIAL.to_le_bytes());
    head.extend_from_slice(&number.to_le_bytes());
    let mut rest = vec![u8::try_from(packets.len()).unwrap_or_default()];
    rest.extend(
        packets
            .iter()
            .map(|packet| u8::try_from(packet.len()).unwrap_or_default()),
    );
    for packet in packets {
        rest.extend_from_slice(packet);
    }
    // The checksum covers the page with zeros in its own place.
    let check = crc32(crc32(crc32(0, &head), &[0; 4]), &rest);
    file.extend(head);
    file.extend_from_slice(&check.to_le_bytes());
    file.extend(rest);
}

/// Ogg's CRC-32: polynomial 0x04C11DB7, not reflected, no inversion.
fn crc32(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc & 0x8000_0000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x04C1_1DB7
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_their_checksums_and_the_last_one_ends_the_stream() {
        let file = file(24_000 * 3);

        let mut rest = file.as_slice();
        let mut flags = Vec::new();
        while !rest.is_empty() {
            assert_eq!(&rest[..5], b"OggS\0");
            let count = usize::from(rest[26]);
            let body: usize = rest[27..27 + count]
                .iter()
                .map(|len| usize::from(*len))
                .sum();
            let (page, left) = rest.split_at(27 + count + body);
            let mut blank = page.to_vec();
            blank[22..26].fill(0);
            assert_eq!(page[22..26], crc32(0, &blank).to_le_bytes());
            flags.push(page[5]);
            rest = left;
        }

        assert_eq!(flags.first(), Some(&FIRST));
        assert_eq!(flags.last(), Some(&LAST));
        assert_eq!(flags.len(), 2 + 4);
    }
}
