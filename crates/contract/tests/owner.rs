//! Whose results lie in the folders of a study: the same file's, whatever is moved, and no other's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use contract::atomic::Folder;
use contract::owner::{self, check, claim, claim_report};
use contract::{Coded, Config, Exit, hash, plan, receipt};

const RECORD: &str = "data/lung/.study.yaml";

/// A project folder.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A study's file: its name and the folder of its manifest.
    fn write(&self, file: &str, study: &str, ct: &str) {
        let (ct, root) = (self.path(ct), self.0.path().display());
        std::fs::create_dir_all(&ct).unwrap();
        std::fs::write(ct.join("a.png"), ct.display().to_string()).unwrap();
        std::fs::write(ct.join("m.csv"), "path,patient_id,label\na.png,p,0\n").unwrap();
        std::fs::write(self.path("model.pt"), "model").unwrap();
        let manifest = ct.join("m.csv");
        let text = format!(
            "study: {study}\npaths: {{data: {root}/data, reports: {root}/reports}}\n\
             preprocess: {{manifest: {}, model: {root}/model.pt}}\n",
            manifest.display()
        );
        std::fs::write(self.path(file), text).unwrap();
    }

    fn load(&self, file: &str, set: &[&str]) -> Config {
        let set: Vec<String> = set.iter().map(|set| (*set).to_owned()).collect();
        Config::load(&self.path(file), &set).unwrap()
    }

    /// Two files of one name, the first of which ran its first task.
    fn with_two() -> Self {
        let project = Self::new();
        project.write("first.yaml", "lung", "a");
        project.write("second.yaml", "lung", "b");
        project.run("first.yaml");
        project
    }

    fn run(&self, file: &str) {
        let config = self.load(file, &[]);
        claim_report(&config).unwrap();
        let task = plan::preprocess(&config);
        let folder = Folder::create(&task.output).unwrap();
        receipt::seal(&task, folder, "program", BTreeMap::new(), &mut hash::Cache::default()).unwrap();
    }
}

fn refused(config: &Config) -> String {
    let error = claim(config).unwrap_err();
    assert_eq!(error.exit(), Exit::Config);
    error.to_string()
}

#[test]
fn a_second_study_of_one_name_is_refused_with_remedies_that_work() {
    let project = Project::with_two();
    let before = std::fs::read(project.path(RECORD)).unwrap();
    let text = refused(&project.load("second.yaml", &[]));
    let parts =
        ["data/lung holds the results of another study", "first.yaml", "second.yaml", "--set study=NAME", RECORD];
    parts.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    assert_eq!(std::fs::read(project.path(RECORD)).unwrap(), before);
    assert!(check(&project.load("first.yaml", &[])).is_ok());
    // Each remedy.
    assert!(check(&project.load("second.yaml", &["study=other"])).is_ok());
    let elsewhere =
        ["data", "reports"].map(|part| format!("paths.{part}={}", project.path("else").join(part).display()));
    assert!(check(&project.load("second.yaml", &elsewhere.each_ref().map(String::as_str))).is_ok());
    for record in [RECORD, "reports/.lung.study.yaml"] {
        std::fs::remove_file(project.path(record)).unwrap();
    }
    claim(&project.load("second.yaml", &[])).unwrap();
    assert!(refused(&project.load("first.yaml", &[])).contains("second.yaml"), "now they are the second's");
}

#[test]
fn the_report_alone_is_guarded_too() {
    let project = Project::with_two();
    std::fs::create_dir_all(project.path("reports/lung")).unwrap();
    let data = format!("paths.data={}", project.path("else").display());
    let text = refused(&project.load("second.yaml", &[&data]));
    assert!(text.contains("reports/lung holds") && text.contains("reports/.lung.study.yaml"), "{text}");
    assert!(!text.contains(RECORD), "{text}");
}

#[test]
fn the_owner_edits_moves_and_copies() {
    let project = Project::with_two();
    // Edited: other settings, another CT.
    assert!(check(&project.load("first.yaml", &["train.epochs=3", "dataset.folds=2"])).is_ok());
    project.write("first.yaml", "lung", "b");
    assert!(check(&project.load("first.yaml", &[])).is_ok());
    // A copy with the same settings is the same study, and does not become the owner.
    std::fs::copy(project.path("first.yaml"), project.path("copy.yaml")).unwrap();
    claim(&project.load("copy.yaml", &[])).unwrap();
    assert!(std::fs::read_to_string(project.path(RECORD)).unwrap().contains("file: ../../first.yaml"));
    // By a link, and by a way round.
    std::os::unix::fs::symlink("first.yaml", project.path("link.yaml")).unwrap();
    let set = "train.epochs=3";
    assert!(check(&project.load("link.yaml", &[set])).is_ok());
    assert!(check(&project.load("a/../first.yaml", &[set])).is_ok());
}

#[test]
fn a_project_that_is_moved_keeps_its_studies() {
    let project = Project::with_two();
    let moved = Project::new();
    for name in ["a", "b", "data", "first.yaml", "second.yaml", "model.pt"] {
        std::fs::rename(project.path(name), moved.path(name)).unwrap();
    }
    moved.write("first.yaml", "lung", "a");
    moved.write("second.yaml", "lung", "b");
    assert!(check(&moved.load("first.yaml", &[])).is_ok());
    assert!(refused(&moved.load("second.yaml", &[])).contains(&moved.path("first.yaml").display().to_string()));
}

#[test]
fn a_file_that_was_renamed_owns_what_was_made_of_the_same_ct() {
    let project = Project::with_two();
    std::fs::rename(project.path("first.yaml"), project.path("third.yaml")).unwrap();
    let text = refused(&project.load("second.yaml", &[]));
    assert!(text.contains("first.yaml, which is gone"), "{text}");
    claim(&project.load("third.yaml", &[])).unwrap();
    assert!(refused(&project.load("second.yaml", &[])).contains("third.yaml"));
}

#[test]
fn a_folder_that_was_renamed_is_of_the_study_of_that_name() {
    let project = Project::with_two();
    project.write("third.yaml", "lung2", "a");
    std::fs::rename(project.path("data/lung"), project.path("data/lung2")).unwrap();
    claim(&project.load("third.yaml", &[])).unwrap();
    project.write("fourth.yaml", "lung2", "a");
    assert!(check(&project.load("fourth.yaml", &[])).is_ok(), "the same settings");
    assert!(refused(&project.load("fourth.yaml", &["train.epochs=3"])).contains("third.yaml"));
}

#[test]
fn a_name_from_the_command_line_counts_as_one_of_the_file() {
    let project = Project::with_two();
    project.write("third.yaml", "x", "a");
    let named = project.load("second.yaml", &["study=x"]);
    claim(&named).unwrap();
    std::fs::create_dir_all(project.path("data/x")).unwrap();
    assert!(refused(&project.load("third.yaml", &[])).contains("second.yaml"));
    assert!(owner::check(&named).is_ok());
}

#[test]
fn a_study_that_was_renamed_in_its_file_leaves_its_folder_to_the_same_ct() {
    let project = Project::with_two();
    project.write("first.yaml", "other", "a");
    assert!(refused(&project.load("second.yaml", &[])).contains("which is a study of another name by now"));
    project.write("third.yaml", "lung", "a");
    assert!(check(&project.load("third.yaml", &["train.epochs=3"])).is_ok());
}

#[test]
fn folders_without_a_record_or_with_a_broken_one_are_free() {
    let project = Project::with_two();
    std::fs::write(project.path(RECORD), "study: [").unwrap();
    std::fs::remove_file(project.path("reports/.lung.study.yaml")).unwrap();
    assert!(check(&project.load("second.yaml", &[])).is_ok());
}
