//! Damaged and hostile files: 10,000 seeded mutations for each reader. Whatever the bytes, a reader returns, does not panic,
//! takes no more than [`most_memory`], and names the file in its error.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::random::{self, ChaCha8Rng};
use ndarray::Array3;
use preprocess::geometry::Affine;
use preprocess::{dicom, hounsfield, images, labels, nifti_io};
use rand::RngExt;

/// Counts what is allocated, and the most that was at once.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    PEAK.fetch_max(NOW.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: as of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: as of this function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as of this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests run one after the other, since the allocator counts for the whole program.
static ALONE: Mutex<()> = Mutex::new(());

/// Mutations of each reader's files.
const CASES: usize = 10_000;

/// Memory that a reader may take for a file of so many bytes.
fn most_memory(file: usize) -> usize {
    (64 << 20) + 32 * file
}

/// The longest that one file may take; the machine may be busy with other tests.
const LONGEST: Duration = Duration::from_secs(5);

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(path).expect("a fixture")
}

/// One damage: flipped bits, a cut, extreme numbers, or a part copied over another.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    const EXTREMES: [[u8; 4]; 6] = [
        [0xFF, 0xFF, 0xFF, 0xFF],
        [0xFE, 0xFF, 0xFF, 0xFF],
        [0xFF, 0xFF, 0xFF, 0x7F],
        [0x7F, 0xFF, 0xFF, 0xFF],
        [0, 0, 0, 0],
        [0, 0, 0, 0x80],
    ];
    // Half of the damage is done to the first kilobyte, where headers are.
    let span = if random.random_bool(0.5) { bytes.len().min(1024) } else { bytes.len() };
    if span < 8 {
        return bytes.push(random.random());
    }
    let at = random.random_range(0..span);
    match random.random_range(0..8) {
        0 => bytes.truncate(at),
        1 | 2 => {
            let length = random.random_range(1..=4).min(bytes.len() - at);
            let extreme = EXTREMES[random.random_range(0..EXTREMES.len())];
            bytes[at..at + length].copy_from_slice(&extreme[..length]);
        }
        3 => {
            let from = random.random_range(0..bytes.len());
            let length = random.random_range(1..64).min(bytes.len() - from.max(at));
            bytes.copy_within(from..from + length, at);
        }
        4 => {
            let part: Vec<u8> = bytes[at..].iter().take(random.random_range(1..64)).copied().collect();
            bytes.splice(at..at, part);
        }
        5 => bytes[at] = random.random(),
        _ => bytes[at] ^= 1 << random.random_range(0..8),
    }
}

/// Makes the checksums of a PNG's chunks right again, so that damage gets past them.
fn mend_png(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        if end + 4 > bytes.len() {
            return;
        }
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&checksum.sum().to_be_bytes());
        at = end + 4;
    }
}

/// Resident memory of the program at its most, bytes; `None` where the system does not tell.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kilobytes| kilobytes << 10)
}

/// Runs a reader on mutations of the seeds, written to a file of the name.
fn storm(reader: &str, name: &str, seeds: &[Vec<u8>], read: impl Fn(&Path) -> Result<(), preprocess::Error>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    // What manifests name.
    ["one.png", "two.png"].iter().for_each(|name| std::fs::write(folder.path().join(name), "").expect("written"));
    let mut file = File::create(&path).expect("a file");
    let mut random = random::stream(1, reader, &[]);
    let (mut refused, mut contained, mut most, mut longest) = (0, 0, 0, Duration::ZERO);
    for case in 0..CASES {
        let mut bytes = seeds[case % seeds.len()].clone();
        (0..random.random_range(1..=4)).for_each(|_| mutate(&mut bytes, &mut random));
        if name.ends_with(".png") && random.random_bool(0.8) {
            mend_png(&mut bytes);
        }
        // Not made anew each time: some file systems wait for the disk then.
        file.rewind()
            .and_then(|()| file.write_all(&bytes))
            .and_then(|()| file.set_len(bytes.len() as u64))
            .expect("written");
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let start = Instant::now();
        if let Err(error) = read(&path) {
            refused += 1;
            let error = error.to_string();
            contained += usize::from(error.contains("the decoder gave up"));
            assert!(error.contains(name), "{reader}, case {case}: {error}");
        }
        let (took, peak) = (start.elapsed(), PEAK.load(Ordering::Relaxed).saturating_sub(before));
        let keep = || folder_of_failure(reader, case, &bytes);
        assert!(took < LONGEST, "{reader}, case {case}: {took:?}, see {}", keep().display());
        assert!(peak <= most_memory(bytes.len()), "{reader}, case {case}: {peak} bytes, see {}", keep().display());
        (most, longest) = (most.max(peak), longest.max(took));
    }
    println!(
        "{reader}: {refused} of {CASES} refused, {contained} panics contained, {} KiB at most, {longest:?} at longest",
        most >> 10
    );
}

/// Keeps the bytes of a case that failed.
fn folder_of_failure(reader: &str, case: usize, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("hostile-{}-{case}", reader.replace(' ', "-")));
    std::fs::write(&path, bytes).expect("the case is kept");
    path
}

fn nifti(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    let affine = Affine::of_picture([0.7, 0.7, 2.5]);
    let mask = Array3::from_shape_fn((16, 12, 8), |(i, j, k)| (i + j + k) as u8);
    nifti_io::write(&path, &mask, &nifti_io::header(&affine)).expect("a volume");
    std::fs::read(path).expect("a volume")
}

fn slice(path: &Path) -> Result<(), preprocess::Error> {
    hounsfield::read(path, None).map(|_| ())
}

#[test]
fn ten_thousand_mutations_of_each_reader() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let resident_before = resident();
    let dicom = |name: &str| fixture(&format!("dicom/{name}.dcm"));
    let singles =
        ["implicit", "explicit", "big-endian", "deflated", "jpeg-ls"].map(|name| dicom(&format!("signed-{name}")));
    let enhanced = ["explicit", "rle", "jpeg-ls"].map(|name| dicom(&format!("enhanced-{name}")));
    let scan = |path: &Path| dicom::scan_file(path).map(|_| ());
    storm("dicom header", "a.dcm", &singles, scan);
    storm("enhanced header", "a.dcm", &enhanced, scan);
    storm("enhanced frame", "a.dcm", &enhanced, |path| hounsfield::read(path, Some(3)).map(|_| ()));
    for syntax in ["explicit", "big-endian", "deflated", "rle", "jpeg-57", "jpeg-70", "jpeg-ls", "jpeg-ls-near"] {
        let seeds = ["signed", "unsigned"].map(|sign| dicom(&format!("{sign}-{syntax}")));
        storm(syntax, "a.dcm", &seeds, slice);
    }
    for syntax in ["jpeg-2000", "jpeg-2000-lossy"] {
        let seeds = ["signed", "unsigned"].map(|sign| dicom(&format!("{sign}-{syntax}")));
        storm(syntax, "a.dcm", &seeds, slice);
    }
    let volume = |path: &Path| nifti_io::read(path).map(|_| ());
    storm("nifti", "a.nii", &[nifti("a.nii")], volume);
    storm("nifti gz", "a.nii.gz", &[nifti("a.nii.gz")], volume);
    let picture = |path: &Path| images::read(path, (-1350.0, 150.0)).map(|_| ());
    let png = ["palette", "interlaced", "interlaced-16"].map(|name| fixture(&format!("images/{name}.png")));
    storm("png", "a.png", &png, picture);
    storm("jpeg", "a.jpg", &[fixture("images/grey.jpg"), fixture("images/cmyk.jpg")], picture);
    let classes = ["common".to_owned(), "covid".to_owned()];
    let table = b"patient_id,label\np1,0\np2,covid\n\"p,3\",1\n".to_vec();
    storm("labels", "labels.csv", &[table], |path| labels::read(path, &classes).map(|_| ()));
    let manifest = b"path,patient_id,label\none.png,p1,0\ntwo.png,p2,covid\n".to_vec();
    storm("manifest", "manifest.csv", &[manifest], |path| images::read_manifest(path, &classes).map(|_| ()));
    // The JPEG 2000 decoder takes its memory past the counting allocator.
    if let (Some(before), Some(after)) = (resident_before, resident()) {
        println!("resident memory grew by {} KiB at most", (after - before) >> 10);
        assert!(after - before < most_memory(0), "{before} bytes before, {after} after");
    }
}

/// The same through the program: exit code 4 and the file's name.
#[test]
fn the_program_ends_with_code_4_and_the_name() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let model = support::stand_in(folder.path());
    let cut = |bytes: Vec<u8>, part: usize| bytes[..bytes.len() * part / 10].to_vec();
    let mut long = fixture("dicom/signed-explicit.dcm");
    let at = long.windows(6).position(|bytes| bytes == [0xE0, 0x7F, 0x10, 0, b'O', b'W']).expect("the pixels");
    long[at + 8..at + 12].copy_from_slice(&[0xF0, 0xFF, 0xFF, 0x7F]);
    let mut huge = nifti("a.nii.gz");
    huge.truncate(60);
    let mut lying = nifti("a.nii");
    lying[42..48].copy_from_slice(&[0xFF, 0x03, 0xFF, 0x03, 0xFF, 0x03]);
    for (name, bytes) in [
        ("cut.dcm", cut(fixture("dicom/signed-jpeg-2000.dcm"), 6)),
        ("long.dcm", long),
        ("frames.dcm", cut(fixture("dicom/enhanced-rle.dcm"), 9)),
        ("gzip.nii.gz", huge),
        ("lying.nii", lying),
        ("cut.png", cut(fixture("images/interlaced-16.png"), 5)),
        ("cmyk.jpg", fixture("images/cmyk.jpg")),
        ("empty.dcm", Vec::new()),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let output = folder.path().join("mask.nii");
        let arguments = [Path::new("segment"), &path, &output, Path::new("--model"), &model.path];
        let arguments = arguments.iter().map(|argument| argument.display().to_string());
        let outcome = support::preprocess(arguments.chain(["--model-sha256".to_owned(), model.sha256.clone()]));
        assert_eq!(outcome.code, 4, "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(name) && !outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        assert!(!output.exists(), "{name}");
    }
}
