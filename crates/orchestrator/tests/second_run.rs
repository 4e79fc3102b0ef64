//! Every kind of study, run twice through the real programs: the second run has nothing to do, every file is as the receipts say, and the study
//! can be shared.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Pixels a side of the pictures.
const SIDE: usize = 96;
/// Patients of each class, and slices of each.
const PATIENTS: usize = 2;
const SLICES: usize = 2;

/// Settings of all studies: as little as can be trained and reported.
const SMALL: &str = "train:
  methods: {proposed: {loss: alpha}}
  epochs: 1
  batch_size: 8
  optimizer: sgd
  curve_slices: 0
report: {conventional: proposed, bootstrap: 100, gallery: 1, browser_patients: 1}
";

/// A kind of study: its name and what makes it one. The CT of `dicom` is what `synthetic` made.
const KINDS: [(&str, &str); 5] = [
    (
        "synthetic",
        "phantom: {enabled: true, reversed: true, patients_per_class: 2, slices: 2, size: 64}
preprocess: {size: 64, pseudonyms: keep, model: MODEL}
dataset: {folds: 2}
",
    ),
    (
        "dicom",
        "preprocess: {input: data/synthetic/0_raw, size: 64, model: MODEL}
dataset: {folds: 2}
",
    ),
    (
        "images",
        "classes: [a, b]
preprocess: {manifest: images.csv, size: 64, model: MODEL}
dataset: {folds: 2}
",
    ),
    (
        "column",
        "classes: [a, b]
preprocess: {manifest: images.csv, size: 64, model: MODEL}
dataset: {split_column: part}
",
    ),
    (
        "volumes",
        "classes: [a, b]
preprocess: {manifest: ct/volumes.csv, size: 64, pseudonyms: keep, model: MODEL}
dataset: {splits: splits.json}
",
    ),
];

/// A drawn chest, 0 to 1 as in a lung window: air, an ellipse of soft tissue, two lungs.
fn chest(number: usize) -> Vec<f64> {
    let shift = number as f64 * 0.3;
    let inside = |x: f64, y: f64, middle: f64, [across, down]: [f64; 2]| {
        ((x - middle) / across).powi(2) + ((y - SIDE as f64 / 2.0) / down).powi(2) < 1.0
    };
    let part = |share: f64| share * SIDE as f64;
    let value = |at: usize| {
        let (x, y) = ((at % SIDE) as f64 - shift, (at / SIDE) as f64);
        // No two pixels in a row are alike, as in CT.
        let grain = (at * 7 % 5) as f64 / 255.0;
        let lung = [0.3, 0.7].iter().any(|middle| inside(x, y, part(*middle), [part(0.135), part(0.235)]));
        match lung {
            true => 0.33 + grain,
            false if inside(x, y, part(0.5), [part(0.45), part(0.34)]) => 0.92 + grain,
            false => 0.23 + grain,
        }
    };
    (0..SIDE * SIDE).map(value).collect()
}

fn picture(path: &Path, number: usize) {
    let bytes: Vec<u8> = chest(number).iter().map(|value| (value * 255.0) as u8).collect();
    image::save_buffer(path, &bytes, SIDE as u32, SIDE as u32, image::ExtendedColorType::L8).unwrap();
}

/// A NIfTI volume of 16-bit HU: the header by hand after nifti1.h, with columns to the left and rows to the back (RAS from LPS).
fn volume(path: &Path, number: usize) {
    let mut bytes = vec![0_u8; 352];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348_i32.to_le_bytes());
    let shape = [3, SIDE as i16, SIDE as i16, SLICES as i16, 1, 1, 1, 1];
    shape.iter().enumerate().for_each(|(at, length)| put(40 + 2 * at, &length.to_le_bytes()));
    put(70, &4_i16.to_le_bytes());
    put(72, &16_i16.to_le_bytes());
    let reals = [(76, [1.0, 3.5, 3.5, 8.0]), (108, [352.0, 1.0, 0.0, 0.0])];
    let rows = [(280, [-3.5, 0.0, 0.0, 160.0]), (296, [0.0, -3.5, 0.0, 160.0]), (312, [0.0, 0.0, 8.0, 0.0])];
    for (at, values) in reals.iter().chain(&rows) {
        values.iter().enumerate().for_each(|(place, value): (usize, &f32)| put(at + 4 * place, &value.to_le_bytes()));
    }
    put(254, &1_i16.to_le_bytes());
    put(344, b"n+1\0");
    for slice in 0..SLICES {
        let hu = chest(number + slice).into_iter().map(|value| (value * 1500.0 - 1350.0) as i16);
        bytes.extend(hu.flat_map(i16::to_le_bytes));
    }
    std::fs::write(path, bytes).unwrap();
}

/// A project with a study of each kind.
struct Project {
    folder: tempfile::TempDir,
    work: PathBuf,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir_all(work.join("ct")).unwrap();
        let project = Self { folder, work };
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/lung-unet.pt");
        let model = model.canonicalize().unwrap().display().to_string();
        for (name, kind) in KINDS {
            project.write(&format!("{name}.yaml"), &format!("study: {name}\n{}{SMALL}", kind.replace("MODEL", &model)));
        }
        project.tables();
        project
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.work.join(name), text).unwrap();
    }

    /// Pictures and volumes with the tables that name them. One picture lies beside its table's folder, one is a link.
    fn tables(&self) {
        let (mut images, mut volumes) =
            ("path,patient_id,label,part\n".to_owned(), "path,patient_id,label\n".to_owned());
        for patient in 0..2 * PATIENTS {
            let label = patient % 2;
            let part = if patient < 2 { "train" } else { "test" };
            for slice in 0..SLICES {
                let name = format!("ct/{patient}-{slice}.png");
                picture(&self.work.join(&name), patient * 10 + slice);
                images.push_str(&format!("{name},p{patient},{label},{part}\n"));
            }
            volume(&self.work.join(format!("ct/{patient}.nii")), patient * 10);
            volumes.push_str(&format!("{patient}.nii,p{patient},{label}\n"));
        }
        std::fs::rename(self.work.join("ct/0-0.png"), self.work.join("object")).unwrap();
        std::os::unix::fs::symlink("../object", self.work.join("ct/0-0.png")).unwrap();
        self.write("images.csv", &images);
        self.write("ct/volumes.csv", &volumes);
        self.write("splits.json", r#"[{"train": ["p0", "p1"], "val": ["p2", "p3"]}]"#);
    }

    /// Runs `chumoku` and expects exit code 0; returns what it printed.
    fn chumoku(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments)
    }

    /// Runs `chumoku` and expects an exit code; returns what it printed.
    fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chumoku"));
        let output = command.args(arguments).current_dir(&self.work).env("OMP_NUM_THREADS", "1").output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    fn has_nothing_to_do(&self, study: &str) {
        let text = self.chumoku(&["run", study]);
        assert!(text.contains("nothing to do"), "{study}: {text}");
    }
}

#[test]
fn a_study_of_any_kind_has_nothing_to_do_the_second_time() {
    let mut project = Project::new();
    for (name, _) in KINDS {
        let study = format!("{name}.yaml");
        project.chumoku(&["run", &study]);
        project.has_nothing_to_do(&study);
        assert!(project.chumoku(&["verify", &study]).contains("all as the receipts say"), "{name}");
        project.chumoku(&["crate", &study, "--out", &format!("crate-{name}")]);
    }
    // What lies beside a manifest and its files is no input.
    project.write("run.log", "a line");
    project.write("ct/run.log", "a line");
    let moved = project.folder.path().join("moved");
    std::fs::rename(&project.work, &moved).unwrap();
    project.work = moved;
    KINDS.iter().for_each(|(name, _)| project.has_nothing_to_do(&format!("{name}.yaml")));
    // The bytes of a file count, by whatever link it is reached.
    picture(&project.work.join("object.png"), 50);
    std::fs::rename(project.work.join("object.png"), project.work.join("object")).unwrap();
    let text = project.chumoku(&["run", "images.yaml", "--dry-run"]);
    assert!(text.contains("preprocess: would run: input ct (images.csv) changed"), "{text}");
    project.has_nothing_to_do("volumes.yaml");
    // Of a file that is gone the row is told, by all who need the file.
    std::fs::remove_file(project.work.join("ct/3-1.png")).unwrap();
    // By hand: below the header, the last of four patients with two rows each.
    let row = "line 9 names a file that is not there";
    for (code, command) in [(4, "run"), (4, "check"), (5, "verify")] {
        let text = project.ends(code, &[command, "images.yaml"]);
        assert!(text.contains(row), "{command}: {text}");
    }
    assert!(project.chumoku(&["status", "images.yaml"]).contains("would run"));
}
