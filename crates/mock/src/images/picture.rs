//! The drawing: a mirrored pattern of cells on a gradient, colours and cells by the seed.

use std::fmt;

use aurora_sdk::Error;
use png::{BitDepth, ColorType, Compression, Encoder};

use crate::refusal::wrong_value;
use crate::seed::Seed;

/// Cells along one side.
const CELLS: u32 = 8;

/// Sides that are drawn, pixels.
const MIN_SIDE: u32 = 16;
const MAX_SIDE: u32 = 2048;

type Colour = [u8; 3];

/// Width and height, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// Reads `size`; "auto" and nothing are 1024x1024.
    pub(super) fn of(text: Option<&str>) -> Result<Self, Error> {
        let text = match text {
            None | Some("" | "auto") => "1024x1024",
            Some(text) => text,
        };
        let sides = text.split_once('x').and_then(|(width, height)| {
            let size = Self {
                width: width.parse().ok()?,
                height: height.parse().ok()?,
            };
            let drawn = MIN_SIDE..=MAX_SIDE;
            (drawn.contains(&size.width) && drawn.contains(&size.height)).then_some(size)
        });
        sides.ok_or_else(|| {
            let expected = format!("auto or WIDTHxHEIGHT, each from {MIN_SIDE} to {MAX_SIDE}");
            wrong_value("size", &expected)
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// One drawing.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    size: Size,
    top: Colour,
    bottom: Colour,
    /// The left half of each row of cells: a colour where the cell is filled.
    rows: Vec<[Option<Colour>; 4]>,
}

impl Picture {
    pub(super) fn new(seed: Seed, size: Size) -> Self {
        let mut numbers = seed.numbers();
        let mut colour = |least: u32| {
            [(); 3].map(|()| u8::try_from(least + numbers.below(96)).unwrap_or(u8::MAX))
        };
        let (top, bottom) = (colour(150), colour(110));
        let inks = [colour(0), colour(60)];
        let rows = (0..CELLS)
            .map(|_| {
                [(); 4].map(|()| {
                    let [dark, light] = inks;
                    match numbers.below(4) {
                        0 => Some(dark),
                        1 => Some(light),
                        _ => None,
                    }
                })
            })
            .collect();
        Self {
            size,
            top,
            bottom,
            rows,
        }
    }

    /// The same picture with only `done` of `all` parts of its rows filled.
    pub(super) fn unfinished(&self, done: u64, all: u64) -> Self {
        let mut picture = self.clone();
        let kept = self.rows.len() as u64 * done / all.max(1);
        let kept = usize::try_from(kept).unwrap_or_default();
        for row in picture.rows.iter_mut().skip(kept) {
            *row = [None; 4];
        }
        picture
    }

    /// The picture as PNG: eight bits, red, green, blue.
    pub(super) fn to_png(&self) -> Result<Vec<u8>, Error> {
        let Size { width, height } = self.size;
        let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
        for y in 0..height {
            let ground = self.ground(y);
            let row = self.rows.get((y * CELLS / height) as usize);
            for column in 0..CELLS {
                let mirrored = column.min(CELLS - 1 - column) as usize;
                let cell = row.and_then(|row| row.get(mirrored)).copied().flatten();
                // Rounded so that the columns fill the width exactly.
                let pixels_here = (column + 1) * width / CELLS - column * width / CELLS;
                let run = cell.unwrap_or(ground).repeat(pixels_here as usize);
                pixels.extend_from_slice(&run);
            }
        }
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, width, height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Fast);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels))
            .map_err(Error::internal)?;
        Ok(png)
    }

    fn ground(&self, y: u32) -> Colour {
        let mut colour = self.top;
        for (channel, end) in colour.iter_mut().zip(self.bottom) {
            let height = self.size.height;
            let mixed = (u32::from(*channel) * (height - y) + u32::from(end) * y) / height;
            *channel = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
        colour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_png_of_its_size_and_the_same_again() {
        let size = Size::of(Some("48x32")).unwrap();
        let png = Picture::new(Seed::of(&[b"cat"]), size).to_png().unwrap();

        let mut reader = png::Decoder::new(std::io::Cursor::new(&png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();

        assert_eq!((frame.width, frame.height), (48, 32));
        assert_eq!(
            png,
            Picture::new(Seed::of(&[b"cat"]), size).to_png().unwrap()
        );
        assert_ne!(
            png,
            Picture::new(Seed::of(&[b"dog"]), size).to_png().unwrap()
        );
    }

    #[test]
    fn sizes_beyond_reason_are_refused() {
        for size in ["0x10", "9999x16", "1024", "x", "-1x5", "1024x1024x1"] {
            assert!(Size::of(Some(size)).is_err(), "{size}");
        }
    }
}
