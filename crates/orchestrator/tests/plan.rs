//! What `--dry-run` says is what runs: random graphs and random changes, against a model that keeps all contents in memory and knows
//! nothing of hashes, receipts or files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use contract::atomic::Folder;
use contract::hash::Cache;
use contract::plan::{Input, Stage, Task};
use contract::receipt;
use orchestrator::Error;
use orchestrator::graph::{Forecast, Graph, forecasts};
use orchestrator::programs::Programs;
use orchestrator::schedule::{self, Executor};
use proptest::prelude::*;

/// Files that nobody makes.
const OUTSIDE: usize = 2;
/// Files of an output. The first follows all that its task reads and its settings; the second only whether they are many bytes, even or
/// odd, so that it often comes out the same.
const FILES: [&str; 2] = ["all", "part/parity"];

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Outside(usize),
    File(usize, usize),
    Folder(usize),
}

#[derive(Debug, Clone)]
enum Change {
    Touch,
    Byte(usize),
    Setting(usize),
    Program(usize),
    Damage(usize, usize),
    Lose(usize, usize),
    LoseReceipt(usize),
    SpoilReceipt(usize),
}

/// What a task read and wrote when it last ran.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    setting: u32,
    program: u32,
    inputs: BTreeMap<Source, String>,
}

/// The world: what is in the files and the settings, and the memory of the runs.
struct World {
    folder: tempfile::TempDir,
    stages: Vec<Stage>,
    sources: Vec<Vec<Source>>,
    settings: Vec<u32>,
    programs: [u32; 5],
    outside: [u32; OUTSIDE],
    runs: Vec<Option<Run>>,
    outputs: Vec<[Option<String>; 2]>,
}

fn contents(setting: u32, inputs: &BTreeMap<Source, String>) -> [String; 2] {
    let read = inputs.values().map(String::as_str).collect::<Vec<_>>().join("|");
    let sum: u32 = read.bytes().map(u32::from).sum();
    [format!("({setting}:{read})"), format!("{}", (sum + setting) % 2)]
}

impl World {
    fn new(shape: &[(usize, Vec<(usize, usize)>)]) -> Self {
        let source = |at: usize, (which, file): (usize, usize)| match which % (at + OUTSIDE) {
            outside if outside < OUTSIDE => Source::Outside(outside),
            task if file == FILES.len() => Source::Folder(task - OUTSIDE),
            task => Source::File(task - OUTSIDE, file),
        };
        let sources = shape.iter().enumerate().map(|(at, (_, inputs))| {
            let all: BTreeSet<Source> = inputs.iter().map(|input| source(at, *input)).collect();
            all.into_iter().collect()
        });
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            stages: shape.iter().map(|(stage, _)| Stage::ALL[*stage]).collect(),
            sources: sources.collect(),
            settings: vec![0; shape.len()],
            programs: [0; 5],
            outside: [0; OUTSIDE],
            runs: vec![None; shape.len()],
            outputs: vec![[None, None]; shape.len()],
        };
        world.write();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn output(&self, task: usize) -> PathBuf {
        self.path(&format!("out-{task}"))
    }

    fn file(&self, task: usize, file: usize) -> PathBuf {
        self.output(task).join(FILES[file])
    }

    /// Writes what the world gives from outside.
    fn write(&self) {
        for (at, value) in self.outside.iter().enumerate() {
            std::fs::write(self.path(&format!("outside-{at}")), format!("outside {at} is {value}")).unwrap();
        }
        std::fs::create_dir_all(self.path("bin")).unwrap();
        for (stage, value) in Stage::ALL.iter().zip(self.programs) {
            std::fs::write(self.path("bin").join(stage.program()), format!("program {value}")).unwrap();
        }
    }

    fn place(&self, source: Source) -> PathBuf {
        match source {
            Source::Outside(at) => self.path(&format!("outside-{at}")),
            Source::File(task, file) => self.file(task, file),
            Source::Folder(task) => self.output(task),
        }
    }

    fn graph(&self) -> Graph {
        let task = |at: usize| Task {
            stage: self.stages[at],
            id: format!("task-{at}"),
            inputs: self.sources[at]
                .iter()
                .map(|source| Input::whole(format!("{source:?}"), self.place(*source)))
                .collect(),
            config: serde_json::json!({ "setting": self.settings[at] }),
            output: self.output(at),
            arguments: Vec::new(),
        };
        Graph::new((0..self.stages.len()).map(task).collect())
    }

    fn programs(&self) -> Programs {
        Programs::find(&self.path("bin"), Stage::ALL).unwrap()
    }

    fn content(&self, source: Source) -> String {
        let of = |task: usize, file: usize| self.outputs[task][file].clone().unwrap_or_default();
        match source {
            Source::Outside(at) => format!("outside {at} is {}", self.outside[at]),
            Source::File(task, file) => of(task, file),
            Source::Folder(task) => format!("[{} {}]", of(task, 0), of(task, 1)),
        }
    }

    /// Says which tasks have to run, by their contents alone, and lets them.
    fn expect(&mut self) -> BTreeSet<usize> {
        let mut ran = BTreeSet::new();
        for at in 0..self.stages.len() {
            let inputs: BTreeMap<Source, String> =
                self.sources[at].iter().map(|source| (*source, self.content(*source))).collect();
            let program = self.programs[Stage::ALL.iter().position(|stage| *stage == self.stages[at]).unwrap()];
            let run = Run { setting: self.settings[at], program, inputs };
            let made = contents(run.setting, &run.inputs).map(Some);
            let whole = self.outputs[at].iter().all(Option::is_some);
            if self.runs[at].as_ref() != Some(&run) || !whole {
                self.outputs[at] = made;
                self.runs[at] = Some(run);
                ran.insert(at);
            }
        }
        ran
    }

    fn change(&mut self, change: &Change) {
        let tasks = self.stages.len();
        match *change {
            Change::Touch => {}
            Change::Byte(at) => self.outside[at % OUTSIDE] += 1,
            Change::Setting(at) => self.settings[at % tasks] += 1,
            Change::Program(at) => self.programs[at % 5] += 1,
            Change::Damage(at, file) => {
                std::fs::write(self.file(at % tasks, file), "damaged").unwrap();
                self.outputs[at % tasks][file] = None;
            }
            Change::Lose(at, file) => {
                std::fs::remove_file(self.file(at % tasks, file)).unwrap();
                self.outputs[at % tasks][file] = None;
            }
            Change::LoseReceipt(at) => {
                std::fs::remove_file(self.output(at % tasks).join("receipt.yaml")).unwrap();
                self.runs[at % tasks] = None;
            }
            Change::SpoilReceipt(at) => {
                std::fs::write(self.output(at % tasks).join("receipt.yaml"), "task: [").unwrap();
                self.runs[at % tasks] = None;
            }
        }
        // Rewrites what did not change as well: other times, the same bytes.
        self.write();
    }
}

struct Fake<'a> {
    programs: &'a Programs,
    world: &'a World,
    ran: Mutex<BTreeSet<usize>>,
}

impl Executor for Fake<'_> {
    fn execute(&self, at: usize, task: &Task, reasons: &[String]) -> Result<(), Error> {
        assert!(!reasons.is_empty());
        assert!(self.ran.lock().unwrap().insert(at), "{} ran twice", task.id);
        let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        let read = |source: &Source| match source {
            Source::Folder(of) => format!("[{} {}]", text(self.world.file(*of, 0)), text(self.world.file(*of, 1))),
            other => text(self.world.place(*other)),
        };
        let inputs = self.world.sources[at].iter().map(|source| (*source, read(source))).collect();
        let mut cache = Cache::default();
        receipt::decide(task, self.programs.hash(task.stage), &mut cache)?;
        let folder = Folder::create(&task.output).unwrap();
        for (file, content) in FILES.iter().zip(contents(self.world.settings[at], &inputs)) {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        receipt::seal(task, folder, self.programs.hash(task.stage), BTreeMap::new(), &mut cache)?;
        Ok(())
    }
}

/// All files below a folder with their bytes.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = contract::hash::walk(folder).unwrap();
    files.into_iter().map(|file| (file.clone(), std::fs::read(folder.join(file)).unwrap())).collect()
}

/// Forecast, run, and the model's opinion of both.
fn step(world: &mut World, jobs: usize) -> Result<(), TestCaseError> {
    let (graph, programs) = (world.graph(), world.programs());
    let before = snapshot(world.folder.path());
    let forecast = forecasts(&graph, &programs).unwrap();
    prop_assert_eq!(before, snapshot(world.folder.path()), "a forecast changes nothing");
    let fake = Fake { programs: &programs, world, ran: Mutex::default() };
    let outcome = schedule::run(&graph, &programs, jobs, &fake).unwrap();
    let ran = fake.ran.into_inner().unwrap();
    prop_assert_eq!(outcome.ran, ran.len());
    prop_assert_eq!(&ran, &world.expect(), "what ran, and what had to");
    let said = |wanted: fn(&Forecast) -> bool| -> BTreeSet<usize> {
        (0..forecast.len()).filter(|at| wanted(&forecast[*at])).collect()
    };
    let (sure, open) = (said(|one| matches!(one, Forecast::Run(_))), said(|one| matches!(one, Forecast::Depends(_))));
    prop_assert!(sure.is_subset(&ran), "said to run: {sure:?}, ran: {ran:?}");
    prop_assert!(ran.iter().all(|at| sure.contains(at) || open.contains(at)), "up to date, they said: {ran:?}");
    // Without open ones the forecast is exact.
    prop_assert!(!open.is_empty() || sure == ran);
    Ok(())
}

fn change() -> impl Strategy<Value = Change> {
    let (task, file) = (0..8_usize, 0..FILES.len());
    prop_oneof![
        Just(Change::Touch),
        task.clone().prop_map(Change::Byte),
        task.clone().prop_map(Change::Setting),
        (0..5_usize).prop_map(Change::Program),
        (task.clone(), file.clone()).prop_map(|(task, file)| Change::Damage(task, file)),
        (task.clone(), file).prop_map(|(task, file)| Change::Lose(task, file)),
        task.clone().prop_map(Change::LoseReceipt),
        task.prop_map(Change::SpoilReceipt),
    ]
}

fn shape() -> impl Strategy<Value = Vec<(usize, Vec<(usize, usize)>)>> {
    let inputs = prop::collection::vec((0..12_usize, 0..=FILES.len()), 1..4);
    prop::collection::vec((0..Stage::ALL.len(), inputs), 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_a_forecast_says_is_what_runs(shape in shape(), changes in prop::collection::vec(change(), 1..5), jobs in 1..4_usize) {
        let mut world = World::new(&shape);
        step(&mut world, jobs)?;
        prop_assert!(world.expect().is_empty(), "a second run has nothing to do");
        for change in &changes {
            world.change(change);
            step(&mut world, jobs)?;
        }
    }
}

/// A chain of two and a bystander: 0 reads outside 0, 1 reads the parity of 0, 2 reads outside 1.
fn chain() -> World {
    let mut world = World::new(&[(1, vec![(0, 0)]), (2, vec![(2, 1)]), (3, vec![(1, 0)])]);
    step(&mut world, 1).unwrap();
    world
}

fn ran(world: &mut World) -> BTreeSet<usize> {
    let (graph, programs) = (world.graph(), world.programs());
    let fake = Fake { programs: &programs, world, ran: Mutex::default() };
    schedule::run(&graph, &programs, 2, &fake).unwrap();
    fake.ran.into_inner().unwrap()
}

#[test]
fn a_wave_reaches_what_reads_other_bytes_and_stops_at_the_same() {
    let mut world = chain();
    world.change(&Change::Touch);
    assert!(ran(&mut world).is_empty(), "touched, not changed");
    // One more in the last digit: another parity.
    world.change(&Change::Byte(0));
    assert_eq!(ran(&mut world), BTreeSet::from([0, 1]));
    // Two more: the same parity, so task 1 reads what it read before.
    world.outside[0] += 2;
    world.write();
    assert_eq!(ran(&mut world), BTreeSet::from([0]));
    world.change(&Change::Byte(1));
    assert_eq!(ran(&mut world), BTreeSet::from([2]), "the bystander alone");
}

#[test]
fn every_reason_names_the_old_and_the_new() {
    let mut world = chain();
    world.change(&Change::Byte(0));
    world.change(&Change::Setting(0));
    world.change(&Change::Program(1));
    world.change(&Change::Lose(0, 1));
    let text = orchestrator::graph::forecast("s", &world.graph(), &world.programs(), true).unwrap();
    let hash = |text: &str| contract::hash::bytes(text.as_bytes())[..8].to_owned();
    let folder = world.folder.path().display();
    for line in [
        format!(
            "    input Outside(0) ({folder}/outside-0) changed: {} -> {}\n",
            hash("outside 0 is 0"),
            hash("outside 0 is 1")
        ),
        "    config setting changed: 0 -> 1\n".to_owned(),
        format!(
            "    program chumoku-preprocess changed: {} -> {} (both version ",
            hash("program 0"),
            hash("program 1")
        ),
        format!("    output {folder}/out-0/part/parity is gone\n"),
        "[2/3] task-1: may run: depends on task-0\n".to_owned(),
        "[3/3] task-2: up to date\n".to_owned(),
        "s: 1 of 3 tasks would run, and 1 more if ".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[test]
fn an_input_that_changes_under_a_task_is_not_vouched_for() {
    let world = chain();
    let (graph, programs) = (world.graph(), world.programs());
    let task = &graph.tasks()[0];
    let mut cache = Cache::default();
    receipt::decide(task, "other program", &mut cache).unwrap();
    let folder = Folder::create(&task.output).unwrap();
    std::fs::write(world.path("outside-0"), "meanwhile").unwrap();
    let error = receipt::seal(task, folder, "other program", BTreeMap::new(), &mut cache).unwrap_err().to_string();
    assert!(
        error.contains("input \"Outside(0)\" of task-0") && error.contains("changed while the task ran"),
        "{error}"
    );
    assert!(!matches!(forecasts(&graph, &programs).unwrap()[0], Forecast::UpToDate), "and the old output stays");
}

#[test]
fn what_a_killed_process_had_complete_is_taken_and_half_of_it_is_not() {
    let world = chain();
    let (graph, programs) = (world.graph(), world.programs());
    let task = &graph.tasks()[0];
    let partial = contract::atomic::partial(&task.output);
    // Killed between receipt and rename.
    std::fs::rename(&task.output, &partial).unwrap();
    assert!(forecasts(&graph, &programs).unwrap().iter().all(|one| *one == Forecast::UpToDate), "foreseen");
    graph.recover().unwrap();
    assert!(!partial.exists() && forecasts(&graph, &programs).unwrap().iter().all(|one| *one == Forecast::UpToDate));
    // Killed between the two renames of a replacement.
    let replaced = PathBuf::from(format!("{}.replaced", task.output.display()));
    std::fs::rename(&task.output, &replaced).unwrap();
    assert!(forecasts(&graph, &programs).unwrap().iter().all(|one| *one == Forecast::UpToDate), "foreseen");
    graph.recover().unwrap();
    assert!(!replaced.exists() && forecasts(&graph, &programs).unwrap()[0] == Forecast::UpToDate);
    // A receipt over a damaged file vouches for nothing.
    std::fs::rename(&task.output, &partial).unwrap();
    std::fs::write(partial.join(FILES[0]), "half").unwrap();
    graph.recover().unwrap();
    assert!(!task.output.exists() && partial.exists());
    // What an earlier attempt left beside its checkpoint is gone when the next begins.
    for name in ["checkpoint.safetensors", ".writing-x", "predictions.parquet"] {
        std::fs::write(partial.join(name), "left").unwrap();
    }
    drop(Folder::resume(&task.output).unwrap());
    let left: Vec<_> = std::fs::read_dir(&partial).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["checkpoint.safetensors"]);
}
