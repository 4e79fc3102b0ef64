//! What the tests of the program share: a stand-in lung model, DICOM slices and studies made on the spot.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::mem::InMemElement;
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use ndarray::{Array2, Array3, Axis};
use nifti::NiftiHeader;
use sha2::{Digest, Sha256};
use tch::{CModule, Kind, Tensor};

/// What a run of the program gave.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `chumoku-preprocess`.
pub fn preprocess<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chumoku-preprocess"));
    let output = command.args(arguments).env("OMP_NUM_THREADS", "1").output().expect("the program starts");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A TorchScript file and its SHA-256.
pub struct Model {
    pub path: PathBuf,
    pub sha256: String,
}

fn save(module: &CModule, path: PathBuf) -> Model {
    module.save(&path).expect("the model is written");
    let bytes = std::fs::read(&path).expect("the model is read");
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Model { path, sha256 }
}

fn trace(run: impl Fn(&Tensor) -> Tensor) -> CModule {
    let example = [Tensor::zeros([1, 1, 256, 256], (Kind::Float, tch::Device::Cpu))];
    CModule::create_by_tracing("StandIn", "forward", &example, &mut |inputs: &[Tensor]| vec![run(&inputs[0])])
        .expect("the model is traced")
}

/// A model by threshold: what is between -943 and -537 HU is lung, right in the left half of the picture.
pub fn stand_in(folder: &Path) -> Model {
    let left = Tensor::arange(256, (Kind::Float, tch::Device::Cpu)).ge(128.0).to_kind(Kind::Float).view([1, 1, 1, 256]);
    let module = trace(|input| {
        let lung = input.gt(0.05).logical_and(&input.lt(0.3)).to_kind(Kind::Float);
        let background = input * 0.0 + 0.5;
        Tensor::cat(&[background, &lung * (1.0 - &left), &lung * &left], 1)
    });
    save(&module, folder.join("stand-in.pt"))
}

/// A model of another kind: one output class.
pub fn other_model(folder: &Path) -> Model {
    save(&trace(|input| input * 2.0), folder.join("other.pt"))
}

/// A round body with two lungs in HU; without lungs if `empty`.
pub fn chest(rows: usize, columns: usize, empty: bool) -> Array2<f32> {
    let (height, width) = (rows as f64, columns as f64);
    let in_ellipse = |x: f64, y: f64, centre: f64, half_width: f64, half_height: f64| {
        let (across, down) = ((x - width * centre) / (width * half_width), (y - height * 0.5) / (height * half_height));
        across.powi(2) + down.powi(2) < 1.0
    };
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        let (x, y) = (column as f64, row as f64);
        // The right lung is the wider one, so that sides can be told apart.
        let lung = in_ellipse(x, y, 0.33, 0.13, 0.2) || in_ellipse(x, y, 0.67, 0.09, 0.2);
        match lung && !empty {
            true => -850.0,
            false if in_ellipse(x, y, 0.5, 0.4, 0.3) => 40.0,
            false => -1000.0,
        }
    })
}

/// Tissue all over and air in the middle, of the network's own size: no edge that resizing could blur to the density of lung.
pub fn without_lungs() -> Array2<f32> {
    let air = |(row, column): (usize, usize)| row.abs_diff(128) < 20 && column.abs_diff(128) < 20;
    Array2::from_shape_fn((256, 256), |at| if air(at) { -1000.0 } else { 40.0 })
}

/// A DICOM slice to be written.
#[derive(Clone)]
pub struct Slice {
    pub patient: &'static str,
    pub series: &'static str,
    pub instance: u32,
    pub z: f64,
    pub hu: Array2<f32>,
    pub high_bit: bool,
    pub position: bool,
    pub orientation: &'static str,
    pub modality: &'static str,
    pub image_type: &'static str,
    pub series_number: Option<u32>,
    pub name: &'static str,
    pub birth_date: &'static str,
    /// NumberOfFrames.
    pub frames: Option<&'static str>,
    /// ImagePositionPatient but for z.
    pub corner: [f64; 2],
    /// Elements of text in place of, or beside, those that the other fields give; an empty one is left out.
    pub text: Vec<(Tag, VR, String)>,
}

impl Slice {
    pub fn new(patient: &'static str, series: &'static str, instance: u32, z: f64) -> Self {
        Self {
            patient,
            series,
            instance,
            z,
            hu: chest(96, 128, false),
            high_bit: true,
            position: true,
            orientation: "1\\0\\0\\0\\1\\0",
            modality: "CT",
            image_type: "ORIGINAL\\PRIMARY\\AXIAL",
            series_number: None,
            name: "Doe^Jane",
            birth_date: "19700101",
            frames: None,
            corner: [-64.0, -48.0],
            text: Vec::new(),
        }
    }

    /// The slice with an element of text, or without it if `text` is empty.
    pub fn with(mut self, tag: Tag, vr: VR, text: impl std::fmt::Display) -> Self {
        self.text.push((tag, vr, text.to_string()));
        self
    }

    fn put_text(&self, object: &mut InMemDicomObject) {
        for (tag, vr, text) in &self.text {
            match text.is_empty() {
                true => drop(object.remove_element(*tag)),
                false => drop(object.put(InMemElement::new(*tag, *vr, PrimitiveValue::from(text.as_str())))),
            }
        }
    }

    /// Writes the slice; stored values are HU + 1024, corners are padding of -2000.
    pub fn write(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        let (rows, columns) = self.hu.dim();
        let mut stored: Vec<i16> = self.hu.iter().map(|hu| (*hu + 1024.0) as i16).collect();
        stored[0] = -2000;
        let mut object = InMemDicomObject::new_empty();
        let mut put = |tag: Tag, vr: VR, value: PrimitiveValue| {
            object.put(InMemElement::new(tag, vr, value));
        };
        let uid = format!("{}.{}", self.series, self.instance);
        put(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.into());
        put(tags::SOP_INSTANCE_UID, VR::UI, uid.as_str().into());
        put(tags::SERIES_INSTANCE_UID, VR::UI, self.series.into());
        put(tags::PATIENT_ID, VR::LO, self.patient.into());
        put(tags::PATIENT_NAME, VR::PN, self.name.into());
        put(tags::PATIENT_BIRTH_DATE, VR::DA, self.birth_date.into());
        if let Some(number) = self.series_number {
            put(tags::SERIES_NUMBER, VR::IS, number.to_string().as_str().into());
        }
        put(tags::MODALITY, VR::CS, self.modality.into());
        put(tags::IMAGE_TYPE, VR::CS, self.image_type.into());
        put(tags::INSTANCE_NUMBER, VR::IS, self.instance.to_string().as_str().into());
        if self.position {
            put(
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                format!("{}\\{}\\{}", self.corner[0], self.corner[1], self.z).as_str().into(),
            );
        }
        put(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, self.orientation.into());
        if let Some(frames) = self.frames {
            put(tags::NUMBER_OF_FRAMES, VR::IS, frames.into());
        }
        put(tags::PIXEL_SPACING, VR::DS, "2\\1.5".into());
        put(tags::SLICE_THICKNESS, VR::DS, "5".into());
        put(tags::RESCALE_SLOPE, VR::DS, "1".into());
        put(tags::RESCALE_INTERCEPT, VR::DS, "-1024".into());
        put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into());
        for (tag, value) in [
            (tags::ROWS, rows as u16),
            (tags::COLUMNS, columns as u16),
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::PIXEL_REPRESENTATION, 1),
        ] {
            put(tag, VR::US, value.into());
        }
        if self.high_bit {
            put(tags::HIGH_BIT, VR::US, 15_u16.into());
        }
        put(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(-2000_i16));
        let words: Vec<u16> = stored.iter().map(|value| value.cast_unsigned()).collect();
        put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into()));
        self.put_text(&mut object);
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(uid);
        object.with_meta(meta).expect("a meta table").write_to_file(path).expect("the slice is written");
    }
}

/// Opens a DICOM file, changes it and writes it again.
pub fn change(path: &Path, change: impl FnOnce(&mut DefaultDicomObject)) {
    let mut object = dicom_object::open_file(path).expect("the slice is read");
    change(&mut object);
    object.write_to_file(path).expect("the slice is written");
}

/// Puts a text into a data set.
pub fn put(data: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    data.put(InMemElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// Gives a text, or takes out an element, in a DICOM file.
pub fn set(path: &Path, tag: Tag, value: Option<&str>) {
    change(path, |object| match value {
        Some(value) => {
            let vr = object.element(tag).map_or(VR::DS, |element| element.vr());
            put(object, tag, vr, value);
        }
        None => {
            object.remove_element(tag);
        }
    });
}

/// The data set of a DICOM file in an uncompressed transfer syntax, without preamble and file meta information.
pub fn data_set(path: &Path, syntax: &str) -> Vec<u8> {
    let object = dicom_object::open_file(path).expect("the slice is read");
    let syntax = TransferSyntaxRegistry.get(syntax).expect("a transfer syntax");
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, syntax).expect("the data set is written");
    bytes
}

/// Cuts a file to `bytes`.
pub fn truncate(path: &Path, bytes: usize) {
    let whole = std::fs::read(path).expect("the file is read");
    std::fs::write(path, &whole[..bytes.min(whole.len())]).expect("the file is written");
}

/// A study in a folder of its own.
pub struct Study {
    pub folder: tempfile::TempDir,
    pub model: Model,
    settings: Vec<String>,
}

impl Study {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let model = stand_in(folder.path());
        let settings = vec![format!("model: {}", model.path.display()), format!("model_sha256: {}", model.sha256)];
        let settings =
            [settings, vec!["size: 64".to_owned(), "pseudonyms: keep".to_owned(), "threads: 1".to_owned()]].concat();
        Self { folder, model, settings }
    }

    /// Sets a key of `preprocess`.
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.settings.retain(|line| !line.starts_with(&format!("{key}:")));
        self.settings.push(format!("{key}: {value}"));
        self
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file of text.
    pub fn text(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        std::fs::write(&path, text).expect("the file is written");
        path
    }

    /// Runs the stage on `data/t/0_raw`, or on what the settings say.
    pub fn run(&self, more: &[&str]) -> Outcome {
        let (data, lines) = (self.path("data"), self.settings.join("\n  "));
        let yaml = format!(
            "study: t\nclasses: [common, covid]\npaths: {{data: {}}}\npreprocess:\n  {lines}\n",
            data.display()
        );
        let yaml = self.text("study.yaml", &yaml);
        let arguments = ["--config".to_owned(), yaml.display().to_string(), "--progress=none".to_owned()];
        preprocess(arguments.into_iter().chain(more.iter().map(|argument| (*argument).to_owned())))
    }

    /// Runs and expects a failure of this code whose message holds all the texts, and no output.
    pub fn fails(&self, code: i32, texts: &[&str]) {
        let outcome = self.run(&[]);
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        for text in texts {
            assert!(outcome.stderr.contains(text), "\"{text}\" is not in: {}", outcome.stderr);
        }
        assert!(!self.path("data/t/1_masks").exists() && !self.path("data/t/1_masks.partial").exists());
    }
}

/// Every order of the axes of a volume.
pub const AXES: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// `world`, whose axes run right to left, front to back and feet to head, stored along `axes` and against those whose bit in `flips` is set:
/// with the affine that leaves every voxel where it was, the volume's centre at 0.
pub fn stored(world: &Array3<f32>, spacing: [f64; 3], axes: [usize; 3], flips: usize) -> (NiftiHeader, Array3<f32>) {
    let mut stored = world.view().permuted_axes(axes);
    let mut rows = [[0.0_f32; 4]; 3];
    for (axis, along) in axes.into_iter().enumerate() {
        let flipped = flips >> axis & 1 == 1;
        if flipped {
            stored.invert_axis(Axis(axis));
        }
        // RAS: columns and rows of the world run to -x and -y.
        let sign = if (along == 2) == flipped { -1.0 } else { 1.0 };
        rows[along][axis] = (sign * spacing[along]) as f32;
        rows[along][3] = (-sign * spacing[along] * (world.shape()[along] - 1) as f64 / 2.0) as f32;
    }
    let [srow_x, srow_y, srow_z] = rows;
    let header = NiftiHeader { srow_x, srow_y, srow_z, sform_code: 1, ..NiftiHeader::default() };
    (header, stored.as_standard_layout().into_owned())
}
