//! `chumoku predict` beside stage programs that are shell scripts; the predictions are real Parquet.

mod fake;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, Int64Array, ListBuilder, PrimitiveBuilder, StringArray};
use arrow::datatypes::Float32Type;
use contract::atomic::Folder;
use contract::table::TableWriter;
use contract::{Config, hash, plan, receipt, schema};
use serde_json::Value;

/// Notes its call, and leaves what a step leaves; `$FAKE` makes a step fail or leave no attention.
const SCRIPT: &str = r#"#!/bin/sh
echo "$(basename "$0") $*" >> calls
echo "note: $1 works" >&2
echo "words of $1"
if [ "$FAKE" = "fail $1" ]; then echo "error: no luck" >&2; exit 4; fi
case $1 in
  prepare) printf 'slice_id,reason\na,little_lung\n' > "$3/excluded.csv"; touch "$3/slices.parquet";;
  predict) while [ "$1" != --out ]; do shift; done; cp predictions.parquet "$2";;
  paint) mkdir "$3/overlays"; [ "$FAKE" = "no attention" ] || touch "$3/attention.nii.gz";;
esac
"#;

/// Predictions of slices with these softmax values.
fn predictions(path: &Path, probs: &[&[f32]]) {
    let lists = |lists: &[Option<&[f32]>]| -> ArrayRef {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<Float32Type>::new());
        lists.iter().for_each(|list| builder.append_option(list.map(|list| list.iter().map(|value| Some(*value)))));
        Arc::new(builder.finish())
    };
    let count = probs.len();
    let ids = StringArray::from_iter_values((0..count).map(|index| format!("patient/series/{index:04}")));
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; count])) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids),
        text("patient"),
        Arc::new(Int32Array::from(vec![-1; count])),
        text("proposed"),
        Arc::new(Int32Array::from(vec![-1; count])),
        Arc::new(Int64Array::from(vec![-1; count])),
        lists(&probs.iter().map(|prob| Some(*prob)).collect::<Vec<_>>()),
        lists(&vec![None; count]),
        lists(&vec![None; count]),
        Arc::new(Float32Array::from(vec![None::<f32>; count])),
    ];
    let mut table = TableWriter::create(path, schema::predictions(), &[]).unwrap();
    table.write(&schema::predictions(), columns).unwrap();
    table.commit().unwrap();
}

struct Study(tempfile::TempDir);

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Study {
    /// Two methods, two folds, two seeds, all trained.
    fn new() -> Self {
        let study = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(study.path("JANE-DOE")).unwrap();
        std::fs::write(study.path("JANE-DOE/1.dcm"), "CT").unwrap();
        let yaml = "study: s\ndataset: {folds: 2}\ntrain: {seeds: [0, 7]}\n";
        std::fs::write(study.path("study.yaml"), yaml).unwrap();
        for (method, fold, seed) in ["conventional", "proposed"]
            .iter()
            .flat_map(|method| [(method, 0, 0), (method, 0, 7), (method, 1, 0), (method, 1, 7)])
        {
            let run = study.path(&format!("data/s/3_runs/{method}/fold-{fold}/seed-{seed}"));
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("weights.safetensors"), "abc").unwrap();
        }
        predictions(&study.path("predictions.parquet"), &[&[0.5, 0.5], &[0.25, 0.75], &[0.0, 1.0]]);
        study
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn predict(&self, fake: &str, more: &[&str]) -> Answer {
        let mut command = Command::new(fake::installed(SCRIPT).join("chumoku"));
        command.current_dir(self.0.path()).env("FAKE", fake).args(["predict", "study.yaml", "JANE-DOE"]).args(more);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

#[test]
fn the_patients_probability_is_the_mean_over_slices_of_all_networks_of_the_proposed_method() {
    let study = Study::new();
    let answer = study.predict("", &["--set", "preprocess.threads=1", "--series", "4"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    // By hand: (0.5 + 0.25 + 0) / 3 and (0.5 + 0.75 + 1) / 3; three slices and one left out.
    let name = format!("{}-proposed", &hash::path(&study.path("JANE-DOE")).unwrap()[..12]);
    let expected = format!(
        "common_pneumonia 0.250\ncovid19          0.750\nslices           3 of 4; the others show too little lung (excluded.csv)\n\
         models           4 of method proposed (folds 0, 1; seeds 0, 7)\n\
         files            data/s/predict/{name}: prediction.json, attention.nii.gz, overlays/\n"
    );
    assert_eq!(answer.out, expected);
    assert!(answer.err.contains("note: prepare works\nnote: predict works\nnote: paint works\n"), "{}", answer.err);
    let out = format!("data/s/predict/{name}.partial");
    let set = "--config study.yaml --set preprocess.threads=1 --series 4 --progress plain";
    let run =
        |fold: u32, seed: u32| format!("--weights data/s/3_runs/proposed/fold-{fold}/seed-{seed}/weights.safetensors ");
    let weights = [(0, 0), (0, 7), (1, 0), (1, 7)].map(|(fold, seed)| run(fold, seed)).concat();
    assert_eq!(
        study.calls(),
        [
            format!("chumoku-preprocess prepare JANE-DOE {out} {set}"),
            format!(
                "chumoku-train predict {weights}--slices {out}/slices.parquet --out {out}/predictions.parquet --device cpu"
            ),
            format!("chumoku-preprocess paint JANE-DOE {out} {set}"),
        ]
    );
    let text = study.file(&format!("data/s/predict/{name}/prediction.json"));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["probabilities"], serde_json::json!({ "common_pneumonia": 0.25, "covid19": 0.75 }));
    assert_eq!(json["slices"], serde_json::json!({ "used": 3, "of": 4 }));
    assert_eq!(json["models"].as_array().unwrap().len(), 4);
    // BLAKE3 of "abc", from the test vectors of the reference implementation (b3sum).
    let abc = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    assert_eq!(json["models"][3], serde_json::json!({ "fold": 1, "seed": 7, "weights_blake3": abc }));
    assert_eq!(json["files"]["attention"], "attention.nii.gz");
    // Nothing in the study's folder says whose CT it was.
    assert!(!text.contains("JANE"));
    assert!(!study.path("data/s/logs").exists() && !study.path(&out).exists());
}

#[test]
fn one_network_can_be_asked_and_networks_without_attention_leave_none() {
    let study = Study::new();
    let arguments = ["--method", "conventional", "--fold", "1", "--seed", "7", "--out", "mine/", "--progress", "none"];
    let answer = study.predict("no attention", &arguments);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    assert!(answer.out.contains("models           1 of method conventional (folds 1; seeds 7)\n"), "{}", answer.out);
    assert!(answer.out.ends_with("files            mine: prediction.json, overlays/\n"), "{}", answer.out);
    assert_eq!(study.calls()[1].matches("--weights").count(), 1);
    assert!(study.calls()[1].contains("conventional/fold-1/seed-7"));
    let json: Value = serde_json::from_str(&study.file("mine/prediction.json")).unwrap();
    assert_eq!(json["files"]["attention"], Value::Null);
    // A prediction is replaced, anything else is not.
    std::fs::write(study.path("mine/more.txt"), "old").unwrap();
    assert_eq!(study.predict("", &arguments).code, Some(0));
    assert!(!study.path("mine/more.txt").exists() && study.path("mine/attention.nii.gz").is_file());
    for taken in ["JANE-DOE", ".", "study.yaml"] {
        let answer = study.predict("", &["--out", taken]);
        assert!(answer.code == Some(2) && answer.err.contains("name a new folder"), "{taken}: {}", answer.err);
    }
    assert!(study.path("JANE-DOE/1.dcm").is_file() && study.path("study.yaml").is_file());
}

#[test]
fn what_is_missing_or_fails_leaves_nothing_and_has_its_code() {
    let study = Study::new();
    for (fake, arguments, code, part) in [
        ("", &["--method", "best"][..], 2, "--method best is not in train.methods (conventional, proposed)"),
        ("", &["--fold", "2"], 2, "no run of method proposed fits: --fold is one of 0 to 1, --seed one of 0, 7"),
        ("", &["--set", "preprocess.sizes=3"], 3, "did you mean"),
        ("", &["--set", "dataset.folds=3"], 6, "fold-2/seed-0/weights.safetensors"),
        ("", &["--set", "dataset.folds=3"], 6, "run `chumoku run study.yaml --set dataset.folds=3` first"),
        ("", &["--set", "study=zz"], 6, "run `chumoku run study.yaml --set study=zz` first"),
        ("", &["--set", "classes=[a, b, c]"], 6, "expected 3 softmax values a slice, one a class, got 2"),
        (
            "fail prepare",
            &[],
            4,
            "stage preprocess failed in task predict/prepare with exit code 4 (bad or missing input)",
        ),
        ("fail predict", &[], 4, "stage train failed in task predict/predict with exit code 4"),
        ("fail paint", &[], 4, "its last lines:\n  note: paint works\n  error: no luck\n"),
    ] {
        let answer = study.predict(fake, arguments);
        assert_eq!(answer.code, Some(code), "{arguments:?}: {}", answer.err);
        assert!(answer.err.contains(part), "{arguments:?}: {}", answer.err);
        assert_eq!(answer.out, "");
        let left = std::fs::read_dir(study.path("data/s/predict")).map_or(0, |entries| entries.count());
        assert_eq!(left, 0, "{arguments:?}");
    }
    std::fs::remove_dir_all(study.path("JANE-DOE")).unwrap();
    let answer = study.predict("", &[]);
    assert!(answer.code == Some(4) && answer.err.contains("cannot read JANE-DOE"), "{}", answer.err);
}

#[test]
fn settings_that_changed_since_the_training_are_told() {
    let study = Study::new();
    std::fs::write(study.path("model.pt"), "model").unwrap();
    let root = study.0.path().display();
    let yaml = format!(
        "{}paths: {{data: {root}/data}}\npreprocess: {{model: {root}/model.pt, input: {root}/JANE-DOE}}\n",
        study.file("study.yaml")
    );
    std::fs::write(study.path("study.yaml"), yaml).unwrap();
    std::fs::write(study.path("JANE-DOE/labels.csv"), "patient_id,label\n").unwrap();
    // What preprocess would have left.
    let config = Config::load(&study.path("study.yaml"), &[]).unwrap();
    let task = plan::preprocess(&config);
    receipt::seal(&task, Folder::create(&task.output).unwrap(), "", [].into(), &mut Default::default()).unwrap();
    let answer = study.predict("", &["--set", "preprocess.threads=3"]);
    assert!(answer.code == Some(0) && !answer.err.contains("warning"), "{}", answer.err);
    let answer = study.predict("", &["--set", "preprocess.size=128"]);
    let refusal = "settings of preprocess changed: preprocess.size; the networks were trained on other pictures";
    assert!(answer.code == Some(3) && answer.err.contains(refusal), "{}", answer.err);
    let command = "run `chumoku run study.yaml --set preprocess.size=128`";
    assert!(answer.err.contains(command), "{}", answer.err);
    let answer = study.predict("", &["--set", "preprocess.min_lung_fraction=0.5"]);
    let warning =
        "warning: settings of preprocess changed: preprocess.min_lung_fraction; the networks were trained with others";
    let command = "run `chumoku run study.yaml --set preprocess.min_lung_fraction=0.5`";
    assert!(answer.code == Some(0) && answer.err.contains(warning), "{}", answer.err);
    assert!(answer.err.contains(command), "{}", answer.err);
    std::fs::write(study.path("model.pt"), "another").unwrap();
    assert!(study.predict("", &[]).err.contains("settings of preprocess changed: model;"));
}
