//! Places for the frames of a file that has one position for all of them, as dental and research exporters write a whole CT.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::groups::Groups;
use super::header::Header;
use super::plane;
use super::values::Values;

/// Remark: frames without positions of their own were placed one after the other along the normal, from the position of the file,
/// SpacingBetweenSlices or else SliceThickness apart.
pub const PLACED_BY_SPACING: &str = "frames_placed_by_spacing";

/// Frames that a file without functional groups may have.
pub const MOST_FRAMES: u32 = 1 << 14;

/// Places the frames of a file in their order, unless each has a position of its own.
///
/// # Errors
/// Some frames have a position and others do not, or nothing says how far apart they are.
pub fn place(frames: &mut [Header], data: &InMemDicomObject) -> Result<(), String> {
    let has_own = |frame: &Header| {
        let item = Groups::new(data, frame.frame).own_item(tags::PLANE_POSITION_SEQUENCE);
        item.is_some_and(|item| item.text(tags::IMAGE_POSITION_PATIENT).is_some())
    };
    let without = frames.iter().filter(|frame| !has_own(frame)).count();
    if without == 0 || frames.len() < 2 {
        return Ok(());
    }
    if without < frames.len() {
        return Err(format!(
            "{without} of {} frames have no ImagePositionPatient in their functional groups; export it again, or convert it to \
             NIfTI, for example with dcm2niix",
            frames.len()
        ));
    }
    let step = step(data)?;
    for (index, frame) in frames.iter_mut().enumerate() {
        let normal = frame.plane.normal();
        for (place, part) in frame.plane.position.iter_mut().zip(normal) {
            *place += part * step * index as f64;
        }
        frame.has_position = true;
        frame.remarks.push(PLACED_BY_SPACING);
    }
    Ok(())
}

/// The distance between frames, mm.
fn step(data: &InMemDicomObject) -> Result<f64, String> {
    let measures = Groups::new(data, Some(0)).item(tags::PIXEL_MEASURES_SEQUENCE);
    // The sign of SpacingBetweenSlices is not used outside of nuclear medicine.
    let spacing = measures.numbers(tags::SPACING_BETWEEN_SLICES)?.map(|[spacing]| spacing.abs());
    let step = match spacing.filter(|spacing| *spacing > 0.0) {
        Some(spacing) => Some(spacing),
        None => plane::length(measures, tags::SLICE_THICKNESS)?,
    };
    step.ok_or_else(|| {
        "holds several frames with one position, and neither SpacingBetweenSlices nor SliceThickness says how far apart they are; add \
         it in mm, for example with `dcmodify -i \"(0018,0088)=1.25\" FILE`"
            .to_owned()
    })
}
