//! One volume for `segment`: a DICOM series, a NIfTI, or an image, slice by slice in the usual view.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use nifti::NiftiHeader;

use crate::ct_slice::CtSlice;
use crate::error::Error;
use crate::geometry::Affine;
use crate::hounsfield::{Reading, Stated};
use crate::inputs::depths;
use crate::{choice, dicom, hounsfield, images, nifti_io};

/// Formats that other tools write and this one does not read, by the end of the name.
const FOREIGN: [&str; 5] = [".nrrd", ".nhdr", ".mha", ".mhd", ".mgz"];

/// Where the slices come from.
enum Slices {
    /// Files of an axial series, in the usual order.
    Files { folder: PathBuf, headers: Vec<dicom::Header>, opened: hounsfield::Slices },
    /// Memory, (slice, row, column) only as a view, as stated.
    Whole(Array3<f32>),
    /// One image file.
    Picture(CtSlice),
}

/// A volume and where it is in the patient.
pub struct Source {
    slices: Slices,
    /// Columns, rows and slices as stored, (i, j, k).
    pub shape: [usize; 3],
    /// From voxel indices to the patient.
    pub affine: Affine,
    /// The geometry that the mask takes over.
    pub header: NiftiHeader,
    /// False where pixels have no known size: in images, and in DICOM that does not state it.
    pub has_size: bool,
    /// True for an image file, whose values are what was declared for it.
    pub is_picture: bool,
    /// The place of the series in the order of preference, from 0.
    pub rank: usize,
    /// Position of each axial slice, from the feet, mm.
    z_mm: Vec<Option<f32>>,
    others: Vec<Other>,
}

/// Another series of the folder, which can be opened in place of the preferred one.
pub struct Other {
    folder: PathBuf,
    series: dicom::Series,
    rank: usize,
    offset_hu: f64,
}

impl Other {
    /// The series in a message.
    pub fn describe(&self) -> String {
        describe(&self.series)
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open(self) -> Result<Source, Error> {
        let reading = Reading { rescale: self.series.rescale, offset_hu: self.offset_hu };
        Ok(Source { rank: self.rank, ..Source::of_series(&self.folder, self.series, reading)? })
    }
}

/// A series as the owner knows it: number, description, slices.
fn describe(series: &dicom::Series) -> String {
    let number = series.number.map_or_else(|| "without number".to_owned(), |number| format!("number {number}"));
    let thickness = series.thickness_mm.map_or_else(String::new, |mm| format!(", {mm} mm"));
    let text = if series.description.is_empty() { String::new() } else { format!(", \"{}\"", series.description) };
    format!("series {} with {} slices{thickness}, {number}{text}", series.uid, series.slices.len())
}

/// What to read.
pub struct Request<'a> {
    /// The file or folder.
    pub input: &'a Path,
    /// SeriesInstanceUID or SeriesNumber, if the caller chooses.
    pub series: Option<&'a str>,
    /// HU of black and white in an image file.
    pub image_hu: (f64, f64),
    /// Added to the values of CT to give HU.
    pub hu_offset: f64,
    /// Which series in the order of preference, from 0; the first but where another was chosen before.
    pub rank: usize,
}

impl Source {
    /// Opens the input. A NIfTI or an image is read whole here, DICOM slice by slice later.
    ///
    /// # Errors
    /// The input is missing, damaged, or no CT.
    pub fn open(request: &Request) -> Result<Self, Error> {
        let input = request.input;
        let unreadable = |source| Error::Read { path: input.to_owned(), source };
        let kind = std::fs::metadata(input).map_err(unreadable)?;
        if kind.is_dir() {
            return Self::of_scan(request, input, dicom::scan(input)?);
        }
        if nifti_io::is_volume(input) {
            let volume = nifti_io::read(input)?.shifted(request.hu_offset);
            tell(&volume.remarks);
            return Ok(Self::of_values(volume.values, volume.affine, volume.header));
        }
        refuse_foreign(input)?;
        if dicom::is_dicom(input).map_err(unreadable)? {
            let folder = input.parent().unwrap_or(Path::new(""));
            return Self::of_scan(request, folder, dicom::scan_file(input)?);
        }
        Ok(Self::of_picture(images::open(input, request.image_hu)?))
    }

    fn of_values(values: Array3<f32>, affine: Affine, header: NiftiHeader) -> Self {
        let (i, j, k) = values.dim();
        let shape = [i, j, k];
        let z_mm = depths(shape, &affine).into_iter().map(|z| Some(z as f32)).collect();
        Self {
            slices: Slices::Whole(values),
            shape,
            affine,
            header,
            has_size: true,
            is_picture: false,
            z_mm,
            rank: 0,
            others: Vec::new(),
        }
    }

    fn of_picture(picture: CtSlice) -> Self {
        let (rows, columns) = picture.hu.dim();
        let affine = Affine::of_picture([1.0; 3]);
        Self {
            slices: Slices::Picture(picture),
            shape: [columns, rows, 1],
            affine,
            header: nifti_io::header(&affine),
            has_size: false,
            is_picture: true,
            z_mm: vec![None],
            rank: 0,
            others: Vec::new(),
        }
    }

    /// Takes one series by [`choice::RULE`], or the one asked for, and names the others.
    fn of_scan(request: &Request, folder: &Path, scan: dicom::Scan) -> Result<Self, Error> {
        let Request { input, series: wanted, hu_offset: offset_hu, rank, .. } = *request;
        if !scan.skipped.is_empty() {
            contract::say!("note: {}", scan.describe());
        }
        let many = scan.series.len();
        let mut series = match wanted {
            None => scan.series,
            Some(wanted) => vec![asked_for(scan.series, wanted, input)?],
        };
        choice::sort(&mut series);
        // As in a study: slices of another plane are taken where there are no axial ones. Stable.
        series.sort_by_key(|series| !series.axial().slices_are_axial());
        let open = |(rank, series)| Other { folder: folder.to_owned(), series, rank, offset_hu };
        let mut all: Vec<Other> = series.into_iter().enumerate().map(open).collect();
        if rank >= all.len() {
            let message =
                format!("has {many} series, of which number {} was prepared; prepare this CT first", rank + 1);
            return Err(Error::File { path: input.to_owned(), message });
        }
        let taken = all.remove(rank);
        if many > 1 {
            let why = if wanted.is_some() { "the one asked for" } else { choice::RULE };
            contract::say!(
                "note: {} holds {many} series; one is taken ({why}; --series takes another)",
                input.display()
            );
            contract::say!("note:   taken: {}", taken.describe());
            all.iter().for_each(|other| contract::say!("note:   other: {}", other.describe()));
        }
        Ok(Self { others: all, ..taken.open()? })
    }

    /// The other series of the folder, in the order of preference.
    pub fn take_others(&mut self) -> Vec<Other> {
        std::mem::take(&mut self.others)
    }

    fn of_series(folder: &Path, series: dicom::Series, reading: Reading) -> Result<Self, Error> {
        tell(&series.remarks);
        let (affine, has_size) = (series.affine(), series.voxel_mm3().is_some());
        let (rows, columns) = series.slices.first().map_or((0, 0), |slice| slice.shape);
        let shape = [columns, rows, series.slices.len()];
        let (header, axial) = (nifti_io::header(&affine), affine.axial());
        let mut z_mm: Vec<Option<f32>> = series.depths().into_iter().map(|z| z.map(|z| z as f32)).collect();
        let mut headers = series.slices;
        let paths: Vec<PathBuf> = headers.iter().map(|header| folder.join(&header.file)).collect();
        let opened = hounsfield::Slices::open(paths.iter().map(PathBuf::as_path), reading)?;
        let slices = if axial.slices_are_axial() {
            if axial.slices_run_down() {
                headers.reverse();
                z_mm.reverse();
            }
            Slices::Files { folder: folder.to_owned(), headers, opened }
        } else {
            // Slices of another plane have to be together before they can be cut anew.
            let mut values = Array3::zeros(shape);
            for (slice, header) in headers.iter().enumerate() {
                let stated = read_slice(&opened, folder, header)?;
                values.index_axis_mut(Axis(2), slice).assign(&stated.hu.t());
            }
            z_mm = depths(shape, &affine).into_iter().map(|z| Some(z as f32)).collect();
            Slices::Whole(values)
        };
        let (rank, others) = (0, Vec::new());
        Ok(Self { slices, shape, affine, header, has_size, is_picture: false, z_mm, rank, others })
    }

    /// Number of axial slices.
    pub fn count(&self) -> usize {
        self.shape[self.affine.axial().slice_axis()]
    }

    /// Position of axial slice `index` along the patient, mm; `None` if it is not known.
    pub fn z_mm(&self, index: usize) -> Option<f32> {
        self.z_mm.get(index).copied().flatten()
    }

    /// The file of axial slice `index`, from the feet, if it has one of its own.
    pub fn file(&self, index: usize) -> Option<&Path> {
        match &self.slices {
            Slices::Files { headers, .. } => headers.get(index).map(|header| header.file.as_path()),
            Slices::Whole(_) | Slices::Picture(_) => None,
        }
    }

    /// Axial slice `index`, from the feet, in HU.
    ///
    /// # Errors
    /// Its file is damaged.
    pub fn slice(&self, index: usize) -> Result<CtSlice, Error> {
        let axial = self.affine.axial();
        match &self.slices {
            Slices::Files { folder, headers, opened } => {
                Ok(read_slice(opened, folder, &headers[index])?.turned(|hu| axial.turn_slice(hu)))
            }
            Slices::Whole(values) => {
                Ok(CtSlice::of(axial.view(values).index_axis(Axis(0), index).as_standard_layout().into_owned()))
            }
            Slices::Picture(picture) => Ok(picture.clone()),
        }
    }
}

/// The series of this UID or number.
fn asked_for(series: Vec<dicom::Series>, wanted: &str, input: &Path) -> Result<dicom::Series, Error> {
    let is_it = |series: &dicom::Series| {
        series.uid == wanted || series.number.is_some_and(|number| number.to_string() == wanted)
    };
    let (mut those, others): (Vec<_>, Vec<_>) = series.into_iter().partition(is_it);
    if those.len() == 1 {
        return Ok(those.remove(0));
    }
    those.iter().chain(&others).for_each(|series| contract::say!("note:   found: {}", describe(series)));
    let fit = those.len();
    Err(Error::Usage(format!(
        "--series {wanted}: expected one series of {}, {fit} fit; give one of the SeriesInstanceUIDs above",
        input.display()
    )))
}

fn tell(remarks: &[&str]) {
    remarks.iter().for_each(|remark| contract::say!("note: the volume has a remark: {remark}"));
}

fn read_slice(opened: &hounsfield::Slices, folder: &Path, header: &dicom::Header) -> Result<Stated, Error> {
    let path = folder.join(&header.file);
    let stated = opened.read(&path, header.frame)?;
    if stated.hu.dim() == header.shape {
        return Ok(stated);
    }
    let (found, expected) = (stated.hu.dim(), header.shape);
    Err(Error::File { path, message: format!("expected {expected:?} pixels, decoded {found:?}; the file is corrupt") })
}

fn refuse_foreign(input: &Path) -> Result<(), Error> {
    let name = input.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match FOREIGN.iter().find(|end| name.ends_with(**end)) {
        None => Ok(()),
        Some(end) => Err(Error::File {
            path: input.to_owned(),
            message: format!(
                "{end} files are not read; convert it to NIfTI (.nii.gz), for example with ITK-SNAP or 3D Slicer"
            ),
        }),
    }
}
