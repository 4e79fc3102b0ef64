//! Pictures, lesions, positions and attention maps of the rows that are shown.

use super::*;

/// The picture and the mask of one slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Grey values, row-major.
    pub image: Vec<u8>,
    /// 0 background, 1 right lung, 2 left lung, row-major.
    pub mask: Vec<u8>,
}

/// Rows of a file: the first and their number.
pub type Rows = (usize, usize);

/// Where a slice lies in its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Id of the series.
    pub series: String,
    /// Position in the series, from 0.
    pub index: i64,
    /// Position along the slice normal, mm; None for image files.
    pub z_mm: Option<f64>,
}

/// The row of each slice in a file with slice ids.
///
/// # Errors
/// The file cannot be read or has no slice ids.
pub fn places(path: &Path) -> Result<BTreeMap<String, usize>, Error> {
    let ids = texts(path, &frame(path, &[column::SLICE_ID], None)?, column::SLICE_ID)?;
    Ok(ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect())
}

/// Where the slices of slices.parquet lie, row by row.
///
/// # Errors
/// The file cannot be read or lacks a column.
pub fn positions(path: &Path) -> Result<Vec<Place>, Error> {
    use column::{SERIES_ID, SLICE_INDEX, Z_MM};
    let frame = frame(path, &[SERIES_ID, SLICE_INDEX, Z_MM], None)?;
    let numbers = integers(path, &frame, SLICE_INDEX)?.into_iter().zip(floats(path, &frame, Z_MM)?);
    let place = |(series, (index, z_mm))| Place { series, index, z_mm };
    Ok(texts(path, &frame, SERIES_ID)?.into_iter().zip(numbers).map(place).collect())
}

/// Pictures and masks of slices.parquet.
///
/// # Errors
/// The file cannot be read, lacks a column, or a picture has not height times width pixels.
pub fn pictures(path: &Path, rows: Rows) -> Result<Vec<Picture>, Error> {
    use column::{HEIGHT, IMAGE, MASK, WIDTH};
    let frame = frame(path, &[HEIGHT, WIDTH, IMAGE, MASK], Some(rows))?;
    let side = |value: i64| usize::try_from(value).unwrap_or(0);
    let sides = integers(path, &frame, HEIGHT)?.into_iter().zip(integers(path, &frame, WIDTH)?);
    let pixels = bytes(path, &frame, IMAGE)?.into_iter().zip(bytes(path, &frame, MASK)?);
    let mut pictures = Vec::with_capacity(frame.height());
    for (row, ((height, width), (image, mask))) in sides.zip(pixels).enumerate() {
        let (height, width) = (side(height), side(width));
        for (name, pixels) in [(IMAGE, &image), (MASK, &mask)] {
            if pixels.len() != height * width || pixels.is_empty() {
                let got = format!("{} bytes for {height} x {width} pixels in row {}", pixels.len(), rows.0 + row);
                let (path, column) = (path.to_owned(), name.to_owned());
                return Err(Error::Column { path, column, expected: "a byte a pixel", got });
            }
        }
        pictures.push(Picture { height, width, image, mask });
    }
    Ok(pictures)
}

fn bytes(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<Vec<u8>>, Error> {
    let column = cast(path, frame, name, &DataType::Binary, "bytes", DataType::is_binary)?;
    let values = column.binary().map_err(|error| damaged(path, &error))?;
    Ok(values.iter().map(|value| value.unwrap_or_default().to_vec()).collect())
}

/// Lesion masks of lesions.parquet, each of its slice's height and width.
///
/// # Errors
/// The file cannot be read or lacks the column.
pub fn lesions(path: &Path, rows: Rows) -> Result<Vec<Vec<u8>>, Error> {
    bytes(path, &frame(path, &[column::LESION], Some(rows))?, column::LESION)
}

/// Attention maps of predictions.parquet; None for a network without one.
///
/// # Errors
/// The file cannot be read or lacks the column.
pub fn attention(path: &Path, rows: Rows) -> Result<Vec<Option<Vec<f32>>>, Error> {
    let frame = frame(path, &[column::ATTENTION], Some(rows))?;
    let maps = float_lists(path, &frame, column::ATTENTION)?;
    let single = |map: Vec<f64>| map.into_iter().map(|value| value as f32).collect();
    Ok(maps.into_iter().map(|map| map.map(single)).collect())
}
