//! Up to date, or why not; whole outputs or none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use contract::atomic::Folder;
use contract::hash::Cache;
use contract::plan::{Input, Stage, Task};
use contract::receipt::{Decision, TaskError, decide, seal};
use serde_json::json;

fn task(folder: &Path) -> Task {
    Task {
        stage: Stage::Dataset,
        id: "dataset".to_owned(),
        inputs: vec![Input::whole("slices", folder.join("in"))],
        config: json!({"dataset": {"folds": 3}}),
        output: folder.join("out"),
        arguments: Vec::new(),
    }
}

fn made(folder: &Path) -> Task {
    std::fs::write(folder.join("in"), "rows").unwrap();
    let task = task(folder);
    let output = Folder::create(&task.output).unwrap();
    std::fs::write(output.path().join("folds"), "a,b").unwrap();
    seal(&task, output, "program", BTreeMap::new(), &mut Cache::default()).unwrap();
    task
}

fn reasons(task: &Task, program: &str) -> Vec<String> {
    match decide(task, program, &mut Cache::default()).unwrap() {
        Decision::UpToDate => Vec::new(),
        Decision::Run(reasons) => reasons,
    }
}

#[test]
fn nothing_changed_means_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let task = made(folder.path());
    assert!(reasons(&task, "program").is_empty());
    std::fs::write(folder.path().join("in"), "rows").unwrap(); // touched, same content
    assert!(reasons(&task, "program").is_empty());
}

#[test]
fn each_change_is_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = made(folder.path());
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("program chumoku-dataset changed: program -> other (both version {version})");
    assert_eq!(reasons(&task, "other"), [expected]);
    task.config = json!({"dataset": {"folds": 5}});
    assert_eq!(reasons(&task, "program"), ["config dataset.folds changed: 3 -> 5"]);
    let task = made(folder.path());
    std::fs::write(folder.path().join("in"), "more rows").unwrap();
    let path = folder.path().join("in");
    let (old, new) = (&contract::hash::bytes(b"rows")[..8], &contract::hash::bytes(b"more rows")[..8]);
    assert_eq!(reasons(&task, "program"), [format!("input slices ({}) changed: {old} -> {new}", path.display())]);
    let task = made(folder.path());
    std::fs::write(task.output.join("folds"), "tampered").unwrap();
    let file = task.output.join("folds");
    let (old, new) = (&contract::hash::bytes(b"a,b")[..8], &contract::hash::bytes(b"tampered")[..8]);
    assert_eq!(reasons(&task, "program"), [format!("output {} was changed: {old} -> {new}", file.display())]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(reasons(&task, "program"), [format!("output {} is gone", file.display())]);
    std::fs::write(task.output.join("receipt.yaml"), "task: [").unwrap();
    assert!(reasons(&task, "program")[0].contains("receipt.yaml cannot be read: "));
}

#[test]
fn a_missing_input_names_itself_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = decide(&task(folder.path()), "program", &mut Cache::default()).err().unwrap().to_string();
    assert!(
        error.contains("input \"slices\" of dataset") && error.contains("run the stages before this one"),
        "{error}"
    );
}

#[test]
fn a_folder_that_is_not_committed_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let task = made(folder.path());
    let unfinished = Folder::create(&task.output).unwrap();
    std::fs::write(unfinished.path().join("folds"), "half").unwrap();
    unfinished.discard();
    assert_eq!(std::fs::read_to_string(task.output.join("folds")).unwrap(), "a,b");
    assert!(reasons(&task, "program").is_empty());
}

#[test]
fn what_no_task_wrote_is_moved_aside_and_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let task = made(folder.path());
    std::fs::create_dir(task.output.join("tex")).unwrap();
    std::fs::write(task.output.join("tex/notes"), "mine").unwrap();
    let kept = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
    made(folder.path());
    assert_eq!(kept("out.kept-1/tex/notes").as_deref(), Some("mine"));
    assert!(!folder.path().join("out.kept-1/folds").exists() && !task.output.join("tex").exists());
    made(folder.path());
    assert!(!folder.path().join("out.kept-2").exists(), "nothing to keep");
    // Somebody's CT, where a study would put its own.
    std::fs::remove_dir_all(&task.output).unwrap();
    std::fs::create_dir(&task.output).unwrap();
    std::fs::write(task.output.join("folds"), "CT").unwrap();
    made(folder.path());
    assert_eq!(kept("out.kept-2/folds").as_deref(), Some("CT"));
    assert_eq!(kept("out/folds").as_deref(), Some("a,b"));
    // Links are moved, and never what they lead to.
    std::fs::create_dir(folder.path().join("archive")).unwrap();
    std::fs::write(folder.path().join("archive/slice"), "CT").unwrap();
    std::os::unix::fs::symlink(folder.path().join("archive"), task.output.join("link")).unwrap();
    std::fs::write(task.output.join(".hidden"), "mine").unwrap();
    made(folder.path());
    assert!(folder.path().join("out.kept-3/link").is_symlink());
    assert_eq!(kept("out.kept-3/.hidden").as_deref(), Some("mine"));
    std::fs::remove_dir_all(&task.output).unwrap();
    std::os::unix::fs::symlink(folder.path().join("archive"), &task.output).unwrap();
    made(folder.path());
    assert_eq!(kept("archive/slice").as_deref(), Some("CT"));
    assert!(!task.output.is_symlink() && !folder.path().join("out.kept-4").exists());
}

#[test]
fn an_output_that_is_a_link_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    // To a folder that is not there yet, to an empty one, and to what a task made.
    std::os::unix::fs::symlink("disk/out", folder.path().join("out")).unwrap();
    let task = made(folder.path());
    let text = |path: &Path| std::fs::read_to_string(path).ok();
    assert!(task.output.is_symlink() && text(&disk.join("out/folds")).as_deref() == Some("a,b"));
    std::fs::remove_dir_all(disk.join("out")).unwrap();
    std::fs::create_dir(disk.join("out")).unwrap();
    made(folder.path());
    std::fs::write(disk.join("out/notes"), "mine").unwrap();
    made(folder.path());
    assert!(task.output.is_symlink() && reasons(&task, "program").is_empty());
    assert_eq!(text(&disk.join("out.kept-1/notes")).as_deref(), Some("mine"));
    // A replacement that was cut off between its two renames.
    std::fs::rename(disk.join("out"), disk.join("out.replaced")).unwrap();
    contract::receipt::recover(&task).unwrap();
    assert!(task.output.is_symlink() && reasons(&task, "program").is_empty());
    let left: Vec<_> = std::fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_is_there_and_cannot_be_read_is_not_called_gone() {
    let folder = tempfile::tempdir().unwrap();
    let task = made(folder.path());
    std::fs::remove_file(task.output.join("receipt.yaml")).unwrap();
    assert!(reasons(&task, "program")[0].contains("receipt.yaml cannot be read: there is none beside the files"));
    let task = made(folder.path());
    let file = task.output.join("folds");
    std::fs::remove_file(&file).unwrap();
    // What a fault of the disk gives is an error of reading; a folder gives one too, and to root as well.
    std::fs::create_dir(&file).unwrap();
    let error = decide(&task, "program", &mut Cache::default()).err().unwrap().to_string();
    assert!(
        error.starts_with(&format!("cannot read {}: ", file.display())) && error.contains("make it readable"),
        "{error}"
    );
    std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
    let error = contract::hash::walk(folder.path()).err().unwrap().to_string();
    assert!(error.contains("is a link that leads nowhere"), "{error}");
}

#[test]
fn a_task_runs_in_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "rows").unwrap();
    let task = task(folder.path());
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |filled: &Folder| {
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::write(filled.path().join("folds"), "a,b").unwrap();
        running.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, TaskError>(BTreeMap::new())
    };
    // A lock is of an open file, so two threads are as two processes.
    let run = || contract::cli::run_task(&task, false, contract::cli::Start::Fresh, work).unwrap();
    let ran = std::thread::scope(|scope| [scope.spawn(run), scope.spawn(run)].map(|thread| thread.join().unwrap()));
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(ran.iter().filter(|ran| **ran).count(), 1, "the second finds it done");
}

#[test]
fn hashes_are_those_of_the_blake3_paper_and_a_folder_s_is_that_of_its_list() {
    // BLAKE3 of nothing and of the byte 0, from the test vectors of the BLAKE3 team (input lengths 0 and 1).
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("b")).unwrap();
    std::fs::write(path("empty"), []).unwrap();
    std::fs::write(path("b/zero"), [0]).unwrap();
    std::fs::write(path("receipt.yaml"), "not part of it").unwrap();
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    let zero = "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213";
    let paths = [path("empty"), path("b/zero"), path("empty")];
    assert_eq!(contract::hash::files(&paths).unwrap(), [empty, zero, empty]);
    let list = format!("b/zero\0{zero}empty\0{empty}");
    assert_eq!(contract::hash::tree(folder.path()).unwrap(), contract::hash::bytes(list.as_bytes()));
    assert!(contract::hash::files(&[path("empty"), path("none")]).is_err());
}

#[test]
fn a_file_is_read_once_however_many_ask_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "one").unwrap();
    let mut cache = Cache::default();
    let (file, tree) = (cache.path(&path).unwrap(), cache.path(folder.path()).unwrap());
    std::fs::write(&path, "two").unwrap();
    assert_eq!((cache.path(&path).unwrap(), cache.path(folder.path()).unwrap()), (file.clone(), tree.clone()));
    cache.forget(&path);
    assert!(cache.path(&path).unwrap() != file && cache.path(folder.path()).unwrap() != tree);
}

#[test]
fn a_full_disk_ends_with_what_to_do() {
    let full = std::io::Error::from_raw_os_error(28); // ENOSPC of Linux
    let error = contract::receipt::TaskError::Output { path: "out".into(), source: full }.to_string();
    assert!(
        error.starts_with("cannot write out: No space left on device") && error.contains("; make room on that disk"),
        "{error}"
    );
}
