//! Up to date, or why not; whole outputs or none.

use std::collections::BTreeMap;
use std::path::Path;

use contract::atomic::Folder;
use contract::hash::Cache;
use contract::plan::{Stage, Task};
use contract::receipt::{Decision, decide, seal};
use serde_json::json;

fn task(folder: &Path) -> Task {
    Task {
        stage: Stage::Dataset,
        id: "dataset".to_owned(),
        inputs: vec![("slices".to_owned(), folder.join("in"))],
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
    seal(&task, output, "program", BTreeMap::new()).unwrap();
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
    assert_eq!(reasons(&task, "other"), ["chumoku-dataset was built anew"]);
    task.config = json!({"dataset": {"folds": 5}});
    assert_eq!(reasons(&task, "program"), ["config dataset.folds changed: 3 -> 5"]);
    let task = made(folder.path());
    std::fs::write(folder.path().join("in"), "more rows").unwrap();
    assert!(reasons(&task, "program")[0].starts_with("input slices changed: "));
    let task = made(folder.path());
    std::fs::write(task.output.join("folds"), "tampered").unwrap();
    assert_eq!(reasons(&task, "program"), ["output folds was changed"]);
    std::fs::remove_file(task.output.join("folds")).unwrap();
    assert_eq!(reasons(&task, "program"), ["output folds is gone"]);
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
