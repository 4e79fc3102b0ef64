//! Layers, unknown keys, checks and the methods of a study.

use contract::config::{Config, ConfigError, Loss, Schedule};
use contract::{Coded, Exit};

fn load(yaml: &str, set: &[&str]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.yaml");
    std::fs::write(&path, yaml).unwrap();
    Config::load(&path, &set.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

fn message(yaml: &str, set: &[&str]) -> String {
    let error = load(yaml, set).err().unwrap();
    assert_eq!(error.exit(), Exit::Config);
    error.to_string()
}

#[test]
fn the_defaults_are_the_papers_where_it_gives_them() {
    let config = load("study: s", &[]).unwrap();
    assert_eq!((config.dataset.folds, config.classes.len(), config.report.positive), (3, 2, 1));
    let proposed = &config.method("proposed").unwrap().train;
    assert_eq!((proposed.loss, proposed.schedule, proposed.index_base), (Loss::Alpha, Schedule::Step, 1));
    assert_eq!((proposed.alpha_early, proposed.alpha_late), (0.9, 0.1));
    assert_eq!(config.method("conventional").unwrap().train.loss, Loss::Gamma);
}

#[test]
fn conventional_and_proposed_differ_by_one_key() {
    let config = load("study: s", &[]).unwrap();
    let flat = |name: &str| contract::config::flatten(&config.method(name).unwrap().values);
    let (a, b) = (flat("conventional"), flat("proposed"));
    let different: Vec<&String> = a.keys().filter(|key| a[*key] != b[*key]).collect();
    assert_eq!(different, ["loss"]);
}

#[test]
fn set_wins_over_the_study_and_the_study_over_the_defaults() {
    let config = load("study: s\ntrain: {epochs: 7, lr: 0.5}", &["train.epochs=9"]).unwrap();
    let train = &config.methods[0].train;
    assert_eq!((train.epochs, train.lr, train.batch_size), (9, 0.5, 16));
}

#[test]
fn a_studys_methods_replace_the_defaults_and_set_adds_to_them() {
    let yaml = "study: s\ntrain: {methods: {plain: {loss: resnet18}}}\nreport: {conventional: plain, proposed: plain}";
    let names = |config: Config| config.methods.iter().map(|method| method.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(load(yaml, &[]).unwrap()), ["plain"]);
    assert_eq!(names(load(yaml, &["train.methods.abn.loss=abn"]).unwrap()), ["plain", "abn"]);
}

#[test]
fn an_unknown_key_names_file_key_and_the_nearest_one() {
    let text = message("study: s\ntrain: {momentun: 0.5}", &[]);
    assert!(text.ends_with("study.yaml:2:9: unknown key train.momentun: did you mean train.momentum?"), "{text}");
    let text = message("study: s", &["dataset.fold=4"]);
    assert_eq!(text, "--set dataset.fold=4: unknown key dataset.fold: did you mean dataset.folds?");
    let text = message("study: s\ntrain: {methods: {a: {los: gamma}}}", &[]);
    assert!(text.contains("yaml:2:23: unknown key train.methods.a.los: did you mean train.methods.a.loss?"), "{text}");
    let text = message("study: s\nepochs: 5", &[]);
    assert!(text.ends_with("yaml:2:1: unknown key epochs: did you mean train.epochs?"), "{text}");
}

#[test]
fn a_missing_study_a_wrong_type_and_a_wrong_range_say_expected_and_got() {
    assert!(message("train: {epochs: 3}", &[]).contains("study: is required"));
    assert!(
        message("study: s\ntrain: {epochs: many}", &[])
            .contains("expected a whole number from 1 to 100000, got \"many\"")
    );
    assert!(
        message("study: s\ndataset: {folds: 1}", &[])
            .contains("study.yaml:2:18: dataset.folds: expected a whole number from 2 to 1000, got 1")
    );
    assert!(message("study: s", &["preprocess.size=32"]).contains("expected a whole number from 64 to 2048, got 32"));
    assert!(message("study: [1", &[]).contains("study.yaml:1:8: not valid YAML: unclosed bracket"));
    assert!(message("study: s", &["train.epochs"]).contains("expected key=value"));
    assert!(message("study: s", &["train.methods.proposed.methods={}"]).contains("did you mean train.methods?"));
    assert!(message("study: s", &["train.methods.proposed.seeds=[1, 1]"]).contains("none twice"));
    assert!(message("study: s", &["train.seeds=[]"]).contains("a list of at least 1, none twice, got []"));
}

#[test]
fn every_shipped_study_is_valid() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_study =
            path.extension().is_some_and(|kind| kind == "yaml") && path.file_name().unwrap() != "defaults.yaml";
        if is_study {
            Config::load(&path, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
