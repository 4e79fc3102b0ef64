//! The real binary on a tiny study: outputs, exactness, resuming, bad input.

mod common;

use assert_cmd::Command;
use common::Study;
use contract::schema;
use contract::table::{TableReader, float_lists, text};

const FAST: &str = "epochs: 2, batch_size: 4, threads: 1";

/// Trains method `method` on fold 0 with seed 0.
fn train(study: &Study, method: &str, more: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    command.arg("--config").arg(study.yaml()).args([
        "--progress",
        "plain",
        "--method",
        method,
        "--fold",
        "0",
        "--seed",
        "0",
    ]);
    command.args(more).assert()
}

fn bytes(study: &Study, method: &str, name: &str) -> Vec<u8> {
    std::fs::read(study.run_file(method, name)).unwrap()
}

fn stderr(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

#[test]
fn a_run_writes_what_the_contract_names() {
    let study = Study::new(FAST);
    train(&study, "proposed", &[]).success();
    for name in ["weights.safetensors", "predictions.parquet", "log.csv", "config.yaml", "receipt.yaml", "timing.json"]
    {
        assert!(study.run_file("proposed", name).exists(), "{name}");
    }
    assert!(!study.run_file("proposed", "checkpoint.safetensors").exists());
    let reader = TableReader::open(&study.run_file("proposed", "predictions.parquet"), &schema::predictions()).unwrap();
    let batch = reader.batches(100).unwrap().next().unwrap().unwrap();
    let ids: Vec<&str> = text(&batch, "slice_id").collect();
    assert_eq!(
        ids,
        ["p0/s/0000", "p0/s/0001", "p1/s/0000", "p1/s/0001", "p4/s/0000", "p4/s/0001", "p5/s/0000", "p5/s/0001"]
    );
    for prob in float_lists(&batch, "prob") {
        assert!((prob.unwrap().iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
    assert!(float_lists(&batch, "attention").iter().all(|map| map.as_ref().unwrap().len() == 16)); // 64 px: 4 x 4
    let log = String::from_utf8(bytes(&study, "proposed", "log.csv")).unwrap();
    assert_eq!(log.lines().count(), 3);
    assert!(log.lines().nth(1).unwrap().starts_with("1,0.1,0.1,0.9,0.1,")); // E=2: both epochs are late
}

#[test]
fn the_same_seed_is_the_same_bytes_and_a_finished_run_is_not_repeated() {
    let (first, second) = (Study::new(FAST), Study::new(FAST));
    train(&first, "conventional", &[]).success();
    train(&second, "conventional", &[]).success();
    for name in ["weights.safetensors", "predictions.parquet", "log.csv"] {
        assert!(bytes(&first, "conventional", name) == bytes(&second, "conventional", name), "{name}");
    }
    assert!(stderr(train(&first, "conventional", &[]).success()).contains("up to date"));
    let again = stderr(train(&first, "conventional", &["--set", "train.lr=0.02"]).success());
    assert!(again.contains("config train.lr changed: 0.0005 -> 0.02"), "{again}");
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_exit_code_130() {
    let study = Study::new("epochs: 1000, batch_size: 4, threads: 1, checkpoint_seconds: 0");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_chumoku-train"))
        .arg("--config")
        .arg(study.yaml())
        .args(["--progress", "none", "--method", "proposed", "--fold", "0", "--seed", "0"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let partial = study.path().join("data/tiny/3_runs/proposed/fold-0/seed-0.partial/checkpoint.safetensors");
    while !partial.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(partial.exists());
}

#[test]
fn every_preset_and_the_other_settings_train() {
    let methods = "methods: {a: {loss: alpha-keep-att}, b: {loss: alpha-map-only}, c: {loss: alpha-map-vs-cls}, d: {loss: abn}, \
                   e: {loss: resnet18}, f: {loss: alpha, normalize_weights: true, map_loss: dice, channels: 3}, \
                   g: {map_loss: l2, class_weights: balanced}, h: {map_loss: bce, schedule: cosine}}";
    let study = Study::new(&format!("epochs: 1, batch_size: 8, threads: 1, {methods}"));
    let yaml = std::fs::read_to_string(study.yaml()).unwrap() + "report: {conventional: a, proposed: b}\n";
    std::fs::write(study.yaml(), yaml).unwrap();
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    command.arg("--config").arg(study.yaml()).args(["--progress", "none", "--fold", "1"]).assert().success();
    let plain = study.path().join("data/tiny/3_runs/e/fold-1/seed-0/predictions.parquet");
    let reader = TableReader::open(&plain, &schema::predictions()).unwrap();
    let batch = reader.batches(100).unwrap().next().unwrap().unwrap();
    assert!(float_lists(&batch, "attention").iter().all(Option::is_none), "resnet18 has no attention");
}

#[test]
fn predict_repeats_the_runs_own_predictions() {
    let study = Study::new(FAST);
    train(&study, "proposed", &[]).success();
    let out = study.path().join("again.parquet");
    let mut command = Command::cargo_bin("chumoku-train").unwrap();
    command.arg("predict").args(["--threads", "1", "--weights"]).arg(study.run_file("proposed", "weights.safetensors"));
    command.arg("--slices").arg(study.path().join("data/tiny/1_masks/slices.parquet")).arg("--out").arg(&out);
    command.assert().success();
    let read = |path: &std::path::Path| {
        let batch =
            TableReader::open(path, &schema::predictions()).unwrap().batches(100).unwrap().next().unwrap().unwrap();
        let ids: Vec<String> = text(&batch, "slice_id").map(str::to_owned).collect();
        ids.into_iter().zip(float_lists(&batch, "prob")).collect::<std::collections::BTreeMap<_, _>>()
    };
    let all = read(&out);
    assert_eq!(all.len(), 12);
    for (id, prob) in read(&study.run_file("proposed", "predictions.parquet")) {
        let (prob, again) = (prob.unwrap(), all[&id].clone().unwrap());
        // Another batch size may round the last digit differently.
        assert!(prob.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-6), "{id}");
    }
}

#[test]
fn bad_input_ends_with_its_exit_code_and_says_where() {
    let cases: [(&str, &[&str], i32, &str); 6] = [
        ("epochs: 1", &["--set", "train.epoch=3"], 3, "unknown key train.epoch: did you mean train.epochs?"),
        ("epochs: 1, lr: 1.0e30", &[], 3, "train.lr: expected a number from"),
        ("epochs: 1", &["--set", "train.device=cuda"], 6, "set train.device=cpu"),
        ("epochs: 1", &["--set", "train.init=/nowhere.safetensors"], 6, "/nowhere.safetensors"),
        (
            "epochs: 1, optimizer: sgd, lr: 900.0, warmup_epochs: 0, batch_size: 1",
            &["--set", "train.epochs=50"],
            1,
            "in epoch",
        ),
        ("epochs: 1", &["--set", "train.methods.proposed.loss=beta"], 3, "expected one of gamma, alpha,"),
    ];
    for (settings, more, code, message) in cases {
        let study = Study::new(settings);
        let text = stderr(train(&study, "proposed", more).code(code));
        assert!(text.contains(message), "{text}");
        assert!(!study.run_file("proposed", "weights.safetensors").exists());
    }
}

#[test]
fn a_selection_without_a_run_says_what_there_is() {
    let study = Study::new(FAST);
    for (option, value) in [("--seed", "5"), ("--fold", "9")] {
        let mut command = Command::cargo_bin("chumoku-train").unwrap();
        command.arg("--config").arg(study.yaml()).args(["--method", "proposed", option, value]);
        let text = stderr(command.assert().code(4));
        let expected = format!(
            "no run of the study is --method proposed {option} {value}: its folds are 0, 1; its methods are proposed with seeds 0"
        );
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn a_leak_and_a_missing_fold_are_refused() {
    let study = Study::new(FAST);
    let folds = study.path().join("data/tiny/2_folds/folds.parquet");
    common::write_folds(&folds, |_| 1);
    assert!(stderr(train(&study, "proposed", &[]).code(4)).contains("fold 0 does not exist"));
    std::fs::write(&folds, "not parquet").unwrap();
    assert!(stderr(train(&study, "proposed", &[]).code(4)).contains("not a readable Parquet file"));
    let wrong = std::fs::read_to_string(study.yaml()).unwrap();
    std::fs::write(study.yaml(), wrong + "report: {proposed: nobody}\n").unwrap();
    assert!(stderr(train(&study, "proposed", &[]).code(3)).contains("report.proposed"));
}
