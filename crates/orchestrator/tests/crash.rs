//! A study that is killed again and again, at random moments, and started again with the same command ends in the bytes of a study that
//! nobody disturbed. Through the real stage programs; CHUMOKU_CRASHES says how often (20, and 200 in `make crash`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contract::plan::Stage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills before a study may end.
const KILLS_OF_A_STUDY: usize = 5;
/// Kills of a run of the tests.
const KILLS: usize = 20;
/// A checkpoint after each epoch, so that runs are killed in the middle of one, too.
const STUDY: &str = "study: tiny
phantom: {enabled: true, patients_per_class: 2, slices: 2, size: 64}
preprocess: {size: 64, pseudonyms: keep, threads: 1, model: MODEL}
dataset: {folds: 2}
train:
  methods: {proposed: {loss: alpha}}
  epochs: 2
  batch_size: 4
  optimizer: sgd
  curve_slices: 0
  checkpoint_seconds: 0
report: {conventional: proposed, bootstrap: 100, gallery: 1}
";

/// Numbers that repeat: the first eight bytes of a hash.
fn draw(words: &str, below: u64) -> u64 {
    u64::from_str_radix(&contract::hash::bytes(words.as_bytes())[..15], 16).unwrap() % below
}

struct Study(tempfile::TempDir);

impl Study {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/lung-unet.pt");
        let text = STUDY.replace("MODEL", &model.canonicalize().unwrap().display().to_string());
        std::fs::write(folder.path().join("study.yaml"), text).unwrap();
        Self(folder)
    }

    fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chumoku"));
        let log = std::fs::File::options().create(true).append(true).open(self.0.path().join("said")).unwrap();
        command.args(["run", "study.yaml", "--jobs", "2"]).current_dir(self.0.path()).env("OMP_NUM_THREADS", "1");
        command.stdout(log.try_clone().unwrap()).stderr(Stdio::from(log)).spawn().unwrap()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.0.path().join("said")).unwrap()
    }

    fn finish(&self) {
        assert!(self.start().wait().unwrap().success(), "{}", self.said());
    }

    /// Bytes of what has to repeat; what is left of an unfinished attempt fails here.
    fn results(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![PathBuf::from("data"), PathBuf::from("reports")];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(self.0.path().join(&folder)).unwrap() {
                let entry = entry.unwrap();
                let (path, name) = (folder.join(entry.file_name()), entry.file_name().into_string().unwrap());
                let left =
                    [".partial", ".replaced"].iter().any(|end| name.ends_with(end)) || name.starts_with(".writing");
                assert!(!left, "{} is left", path.display());
                if entry.file_type().unwrap().is_dir() {
                    open.push(path);
                } else if ["parquet", "safetensors", "csv", "json", "dcm", "html"].iter().any(|end| name.ends_with(end))
                    && name != "timing.json"
                {
                    found.insert(path, contract::hash::file(&entry.path()).unwrap());
                }
            }
        }
        found
    }
}

/// Processes whose parent is `of`.
fn children(of: u32) -> Vec<u32> {
    let parent = |id: u32| {
        let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // After the name in brackets: state, parent.
        text.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| parent(*id) == Some(of)).collect()
}

fn end(id: u32) {
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(id.try_into().unwrap()), Signal::SIGKILL);
}

fn is_alive(id: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    text.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Kills everything at once, one stage program, or `chumoku` alone, whose programs then end as they like.
fn strike(child: &mut Child, which: u64) {
    let programs = children(child.id());
    match which {
        0 => {
            end(child.id());
            programs.iter().for_each(|id| end(*id));
        }
        1 if !programs.is_empty() => end(programs[draw(&child.id().to_string(), programs.len() as u64) as usize]),
        _ => end(child.id()),
    }
    child.wait().unwrap();
    let waiting = Instant::now();
    while programs.iter().any(|id| is_alive(*id)) {
        assert!(waiting.elapsed() < Duration::from_secs(120), "a program without its parent goes on and on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Lets a run go on for `delay`. True if it ended well by itself.
fn ends_within(child: &mut Child, delay: Duration, study: &Study) -> bool {
    let started = Instant::now();
    while started.elapsed() < delay {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{}", study.said());
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn a_study_killed_at_any_time_ends_in_the_same_bytes() {
    let own = Path::new(env!("CARGO_BIN_EXE_chumoku"));
    if let Some(none) = Stage::ALL.iter().map(|stage| own.with_file_name(stage.program())).find(|path| !path.is_file())
    {
        eprintln!("skipped: no {}; cargo build --release --workspace --bins makes it", none.display());
        return;
    }
    let wanted = std::env::var("CHUMOKU_CRASHES").map_or(KILLS, |text| text.parse().unwrap());
    let reference = Study::new();
    let started = Instant::now();
    reference.finish();
    let whole = started.elapsed();
    let expected = reference.results();
    assert!(expected.len() > 20, "{expected:?}");
    let (mut kills, mut studies, mut sorts) = (0, 0, [0; 3]);
    while kills < wanted {
        let study = Study::new();
        studies += 1;
        for _ in 0..KILLS_OF_A_STUDY.min(wanted - kills) {
            let mut child = study.start();
            let delay = whole.mul_f64(draw(&format!("moment {studies} {kills}"), 1000) as f64 / 2000.0);
            if ends_within(&mut child, delay, &study) {
                break;
            }
            let which = draw(&format!("which {studies} {kills}"), 3);
            sorts[which as usize] += 1;
            strike(&mut child, which);
            kills += 1;
        }
        study.finish();
        assert_eq!(study.results(), expected, "{}", study.said());
        study.finish();
        assert!(study.said().contains("nothing to do"), "{}", study.said());
    }
    println!(
        "{kills} kills (all, one program, chumoku alone: {sorts:?}) in {studies} studies, {whole:.1?} undisturbed"
    );
}
