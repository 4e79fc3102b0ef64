//! Contact sheets: pages of small pictures with their masks, to see in a minute whether the masks of a study are right.
//!
//! A series has up to [`ROW`] pictures, evenly through it; its first one bears the number of its line in `qa.csv` (1 is the first
//! series). A frame tells of flags: red for a picture without lung, yellow for any other.

use std::path::{Path, PathBuf};

use contract::schema::flag;
use image::{Rgb, RgbImage};
use ndarray::{Array2, s};

use crate::error::Error;
use crate::{overlay, survey};

/// Pictures of a row, and of one series at most.
pub const ROW: usize = 10;
/// Rows of a page.
const ROWS: usize = 12;
/// Side of a picture with its frame, pixels.
const TILE: usize = 112;
/// Width of the frame, pixels.
const FRAME: usize = 2;
const RED: [u8; 3] = [213, 94, 0];
const YELLOW: [u8; 3] = [240, 228, 66];
const BLACK: [u8; 3] = [0, 0, 0];
/// Size of a dot of the digits, pixels.
const DOT: usize = 2;

/// Rows of three dots of the digits 0 to 9, the highest bit at the left.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 3, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// Which of `count` slices are shown: all, or [`ROW`] evenly from the first to the last.
pub fn shown(count: usize) -> Vec<usize> {
    if count <= ROW { (0..count).collect() } else { (0..ROW).map(|place| place * (count - 1) / (ROW - 1)).collect() }
}

/// A small picture.
#[derive(Debug, Clone)]
pub struct Tile(RgbImage);

impl Tile {
    /// Makes one of a windowed slice and its mask, both square and of one size.
    pub fn new(picture: &Array2<u8>, mask: &Array2<u8>, flags: &[&str]) -> Self {
        let inner = TILE - 2 * FRAME;
        let at = survey::centres(picture.nrows(), inner);
        let small =
            |image: &Array2<u8>| Array2::from_shape_fn((inner, inner), |(row, column)| image[(at[row], at[column])]);
        let drawn = overlay::draw_grey(&small(picture), &small(mask));
        let frame = match flags {
            [] => BLACK,
            flags if flags.contains(&flag::EMPTY_MASK) => RED,
            _ => YELLOW,
        };
        let mut tile = RgbImage::from_pixel(TILE as u32, TILE as u32, Rgb(frame));
        image::imageops::replace(&mut tile, &drawn, FRAME as i64, FRAME as i64);
        Self(tile)
    }
}

/// Pages that are written as they fill.
pub struct Sheets {
    folder: PathBuf,
    page: RgbImage,
    /// Places used on the page.
    used: usize,
    pages: usize,
    series: usize,
}

impl Sheets {
    /// Pages in `folder`, which is made when the first one is written.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), page: blank(), used: 0, pages: 0, series: 0 }
    }

    /// Adds the pictures of the next series. One that does not fit in the rest of a row starts a new one.
    ///
    /// # Errors
    /// A page cannot be written.
    pub fn add(&mut self, tiles: &[Tile]) -> Result<(), Error> {
        self.series += 1;
        if self.used % ROW + tiles.len() > ROW {
            self.used = self.used.next_multiple_of(ROW);
        }
        if self.used + tiles.len() > ROW * ROWS {
            self.write()?;
        }
        for (index, tile) in tiles.iter().enumerate() {
            let (row, column) = (self.used / ROW * TILE, self.used % ROW * TILE);
            image::imageops::replace(&mut self.page, &tile.0, column as i64, row as i64);
            if index == 0 {
                number(&mut self.page, self.series, (row + FRAME, column + FRAME));
            }
            self.used += 1;
        }
        Ok(())
    }

    /// Writes what is left and says how many pages there are.
    ///
    /// # Errors
    /// The page cannot be written.
    pub fn finish(mut self) -> Result<usize, Error> {
        if self.used > 0 {
            self.write()?;
        }
        Ok(self.pages)
    }

    fn write(&mut self) -> Result<(), Error> {
        self.pages += 1;
        let path = self.folder.join(format!("sheet-{:04}.png", self.pages));
        let height = (self.used.div_ceil(ROW) * TILE) as u32;
        let page = image::imageops::crop_imm(&self.page, 0, 0, self.page.width(), height).to_image();
        overlay::write_png(&path, &page)?;
        (self.page, self.used) = (blank(), 0);
        Ok(())
    }
}

fn blank() -> RgbImage {
    RgbImage::new((ROW * TILE) as u32, (ROWS * TILE) as u32)
}

/// Writes a number in white on black, its upper left corner at (row, column).
fn number(page: &mut RgbImage, value: usize, (row, column): (usize, usize)) {
    let digits: Vec<usize> = value.to_string().bytes().map(|digit| usize::from(digit - b'0')).collect();
    let (height, width) = (7 * DOT, (4 * digits.len() + 1) * DOT);
    let mut dots = Array2::from_elem((height, width), 0_u8);
    for (place, digit) in digits.into_iter().enumerate() {
        for (line, bits) in DIGITS[digit].into_iter().enumerate() {
            for dot in (0..3).filter(|dot| bits & (4 >> dot) != 0) {
                let (top, left) = ((line + 1) * DOT, (4 * place + dot + 1) * DOT);
                dots.slice_mut(s![top..top + DOT, left..left + DOT]).fill(255);
            }
        }
    }
    for ((down, right), value) in dots.indexed_iter() {
        page.put_pixel((column + right) as u32, (row + down) as u32, Rgb([*value; 3]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_are_shown_from_end_to_end() {
        assert_eq!(shown(3), [0, 1, 2]);
        assert_eq!(shown(19), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
        assert_eq!(shown(300).last(), Some(&299));
    }

    #[test]
    fn pages_fill_row_by_row() {
        let folder = tempfile::tempdir().expect("a folder");
        let grey = Array2::from_elem((64, 64), 100_u8);
        let plain = Tile::new(&grey, &Array2::zeros((64, 64)), &[]);
        let empty = Tile::new(&grey, &Array2::zeros((64, 64)), &[flag::EMPTY_MASK]);
        let mut sheets = Sheets::new(folder.path());
        sheets.add(&vec![plain; 6]).expect("added");
        sheets.add(&vec![empty; 6]).expect("added");
        for _ in 0..ROWS {
            sheets.add(&vec![Tile::new(&grey, &grey, &[flag::ONE_LUNG]); ROW]).expect("added");
        }
        assert_eq!(sheets.finish().expect("written"), 2);
        let first = image::open(folder.path().join("sheet-0001.png")).expect("a page").to_rgb8();
        assert_eq!(first.dimensions(), ((ROW * TILE) as u32, (ROWS * TILE) as u32));
        let corner = |row: usize, column: usize| first.get_pixel((column * TILE) as u32, (row * TILE) as u32).0;
        assert_eq!([corner(0, 0), corner(0, 7), corner(1, 0), corner(2, 0)], [BLACK, BLACK, RED, YELLOW]);
        let second = image::open(folder.path().join("sheet-0002.png")).expect("a page").to_rgb8();
        assert_eq!(second.height(), 2 * TILE as u32);
    }
}
