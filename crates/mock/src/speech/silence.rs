//! MP3 and AAC of silence: one frame, again and again.

/// A frame of MPEG-2 layer III, 24 kHz, one channel, 16 kbit/s: header, side information that says nothing is coded, fill.
const MP3_FRAME: [u8; 48] = {
    let mut frame = [0; 48];
    frame[0] = 0xFF;
    frame[1] = 0xF3; // MPEG-2, layer III, no checksum
    frame[2] = 0x24; // 16 kbit/s, 24 kHz, no padding
    frame[3] = 0xC0; // one channel
    frame
};
const MP3_SAMPLES: usize = 576;

/// An ADTS frame (ISO 14496-3 §1.A.2) of AAC-LC, 24 kHz, one channel: a channel element without bands, then the end mark.
const AAC_FRAME: [u8; 11] = [
    0xFF, 0xF1, 0x58, 0x40, 0x01, 0x7F, 0xFC, 0x00, 0x00, 0x00, 0x07,
];
const AAC_SAMPLES: usize = 1024;

/// An MP3 file.
pub(super) fn mp3(samples: u32) -> Vec<u8> {
    MP3_FRAME.repeat((samples as usize).div_ceil(MP3_SAMPLES))
}

/// An AAC file.
pub(super) fn aac(samples: u32) -> Vec<u8> {
    AAC_FRAME.repeat((samples as usize).div_ceil(AAC_SAMPLES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_long_as_their_headers_say() {
        let mp3 = mp3(24_000);
        let aac = aac(24_000);

        // 72 * bit rate / sample rate for MPEG-2 layer III.
        assert_eq!(MP3_FRAME.len(), 72 * 16_000 / 24_000);
        assert_eq!(mp3.len(), 42 * 48);
        let length =
            usize::from(aac[3] & 3) << 11 | usize::from(aac[4]) << 3 | usize::from(aac[5] >> 5);
        assert_eq!(length, AAC_FRAME.len());
        assert_eq!(aac.len(), 24 * 11);
    }
}
