//! `chumoku status`, `logs` and `verify` over a study whose outputs are small but whose receipts are real.

mod kept;

use contract::hash;
use kept::{Study, TRAIN};
use serde_json::Value;

#[test]
fn the_status_of_each_task_has_a_reason_a_size_and_a_time() {
    let study = Study::new();
    let (code, out, err) = study.chumoku(&["status", "study.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("s: 7 tasks, 7 up to date; "), "{out}");
    std::fs::remove_dir_all(study.path("data/s/3_runs/proposed/fold-1")).unwrap();
    std::fs::create_dir_all(study.path("data/s/3_runs/proposed/fold-1/seed-0.partial")).unwrap();
    std::fs::write(study.path("data/s/3_runs/proposed/fold-1/seed-0.partial/half"), "half").unwrap();
    let log = study.path("data/s/logs/train-proposed-fold-0-seed-0.log");
    let running = std::fs::File::open(&log).unwrap();
    running.lock().unwrap();
    let (_, out, _) = study.chumoku(&["status", "study.yaml"]);
    assert!(out.starts_with("s: 7 tasks, 4 up to date, 1 running, 1 would run, 1 may run; "), "{out}");
    let line = |id: &str| out.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    assert!(line(TRAIN).contains("would run") && line(TRAIN).contains("no output in data/s/3_runs"), "{out}");
    assert!(line(TRAIN).ends_with("an unfinished attempt of 0.0 kB lies there"), "{out}");
    assert!(line("train/proposed/fold-0/seed-0").contains("running"), "{out}");
    assert!(line("report").ends_with(&format!("depends on {TRAIN}")), "{out}");
    let json = study.json(&["status", "study.yaml", "--json", "--set", "dataset.seed=4"]);
    assert_eq!(json["counts"]["may_run"], 5 - 1 - 1, "{json:#}");
    let dataset = &json["tasks"][1];
    assert_eq!(
        dataset["reasons"][0],
        serde_json::json!({"what": "key", "key": "dataset.seed", "old": "0", "new": "4"})
    );
    // "folds.parquet of dataset" and "splits_final.json of dataset", and the receipt.
    let receipt = std::fs::metadata(study.path("data/s/2_folds/receipt.yaml")).unwrap().len();
    assert_eq!(dataset["bytes"], 24 + 28 + receipt);
    assert!(dataset["made"].as_str().unwrap().starts_with("20") && json["running"].is_null());
}

#[test]
fn logs_are_found_by_task_with_and_without_the_study() {
    let study = Study::new();
    let (code, out, _) = study.chumoku(&["logs", TRAIN, "study.yaml"]);
    assert!(code == Some(0) && out.contains(&format!("{TRAIN} in ")), "{out}");
    assert_eq!(study.chumoku(&["logs", TRAIN]).1, out);
    for (arguments, code, words) in [
        (&["logs", TRAIN, "study.yaml", "--previous"][..], 4, "previous.log"),
        (&["logs", "trian", "study.yaml"], 2, "it has: preprocess, dataset, "),
        (&["logs", "trian"], 2, "no study in data has a log of task trian"),
    ] {
        let (got, _, err) = study.chumoku(arguments);
        assert!(got == Some(code) && err.contains(words), "{arguments:?}: {err}");
    }
}

#[test]
fn verify_foresees_what_the_next_run_puts_back() {
    let study = Study::new();
    // Killed between the two renames of a replacement, and before the first.
    std::fs::rename(study.path("data/s/2_folds"), study.path("data/s/2_folds.replaced")).unwrap();
    std::fs::rename(
        study.path("data/s/3_runs").join("proposed/fold-1/seed-0"),
        study.path("data/s/3_runs").join("proposed/fold-1/seed-0.partial"),
    )
    .unwrap();
    let (code, out, err) = study.chumoku(&["verify", "study.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(out, "s: 7 receipts and 38 files checked, all as the receipts say\n");
    let (_, out, _) = study.chumoku(&["run", "study.yaml", "--dry-run"]);
    assert!(out.starts_with("s: 0 of 7 tasks would run"), "{out}");
}

#[test]
fn verify_names_each_file_that_is_not_what_a_receipt_says() {
    let study = Study::new();
    let (code, out, err) = study.chumoku(&["verify", "study.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    // 5 of preprocess, 2 of dataset, 6 of each of four runs, 7 of report.
    assert_eq!(out, "s: 7 receipts and 38 files checked, all as the receipts say\n");
    std::fs::write(study.path("data/s/2_folds/folds.parquet"), "other").unwrap();
    std::fs::remove_file(study.path("data/s/1_masks/qa.csv")).unwrap();
    std::fs::write(study.path("data/s/1_masks/more.csv"), "more").unwrap();
    std::fs::remove_file(study.path("model.pt")).unwrap();
    std::fs::write(study.path("bin/chumoku-report"), "built anew").unwrap();
    let (code, out, err) = study.chumoku(&["verify", "study.yaml"]);
    assert_eq!(code, Some(5), "{out}{err}");
    for line in [
        "dataset: output data/s/2_folds/folds.parquet was changed: ",
        "preprocess: output data/s/1_masks/qa.csv is gone\n",
        "preprocess: data/s/1_masks/more.csv is in no receipt\n",
        "preprocess: input model (model.pt) cannot be read: ",
        "report: program chumoku-report changed: ",
        "train/conventional/fold-0/seed-0: input folds (data/s/2_folds/folds.parquet) changed: ",
    ] {
        assert!(out.contains(line), "{line} in {out}");
    }
    // Five above, and for the report that qa.csv and folds.parquet, and for the four runs that folds.parquet is not what they read.
    assert!(err.starts_with("error: 11 of the things above") && out.lines().count() == 12, "{out}{err}");
    let advice = "put back model.pt; move or delete what no task wrote: data/s/1_masks/more.csv; `chumoku run study.yaml` makes again what the others touch\n";
    assert!(err.ends_with(advice), "{err}");
    let json = study.json(&["verify", "study.yaml", "--json"]);
    assert_eq!(json["differences"].as_array().unwrap().len(), 11);
}

#[test]
fn verify_says_what_to_do_where_a_run_would_do_nothing() {
    let study = Study::new();
    std::fs::write(study.path("data/s/2_folds/notes.txt"), "mine").unwrap();
    std::fs::create_dir_all(study.path("data/s/3_runs/former/fold-0/seed-0")).unwrap();
    std::fs::create_dir_all(study.path("data/s/3_runs/proposed/fold-0/seed-0.partial")).unwrap();
    let (code, out, err) = study.chumoku(&["verify", "study.yaml"]);
    assert!(
        code == Some(5) && err.ends_with("; move or delete what no task wrote: data/s/2_folds/notes.txt\n"),
        "{err}"
    );
    assert!(
        out.contains("note: data/s/3_runs/former belongs to no task of this study") && !out.contains("partial"),
        "{out}"
    );
    std::fs::remove_file(study.path("data/s/2_folds/notes.txt")).unwrap();
    std::fs::create_dir_all(study.path("data/s.rerun/data")).unwrap();
    std::fs::write(study.path("data/s.rerun/data/thesis.tex"), "mine").unwrap();
    let (code, _, err) = study.chumoku(&["verify", "study.yaml", "--rerun"]);
    assert!(code == Some(2) && err.contains("data/s.rerun, which is there and was made by no rerun"), "{err}");
    assert!(study.path("data/s.rerun/data/thesis.tex").exists());
    let lock = std::fs::File::create(study.path("data/s/.lock")).unwrap();
    lock.lock().unwrap();
    std::fs::remove_dir_all(study.path("reports")).unwrap();
    for command in [&["verify", "study.yaml"][..], &["crate", "study.yaml", "--out", "new"]] {
        let (code, out, err) = study.chumoku(command);
        assert!(code == Some(1) && out.is_empty() && err.contains("\"s\" is already being run by "), "{out}{err}");
    }
    drop(lock);
    std::fs::remove_dir_all(study.path("data")).unwrap();
    // A study of synthetic CT that never ran: its CT is a task's work, not the user's.
    let (code, out, err) = study.chumoku(&["verify", "study.yaml", "--set", "phantom.enabled=true"]);
    assert!(code == Some(4) && out.contains("\nreport: no output in reports/s yet\n"), "{out}{err}");
    let advice = "(no task of it ever ran); run `chumoku run study.yaml --set phantom.enabled=true` first\n";
    assert!(err.ends_with(advice), "{err}");
}

#[test]
fn receipts_that_do_not_chain_are_seen_though_each_holds() {
    let study = Study::new();
    let tasks = study.tasks();
    // Folds are made anew, with other bytes, and the file is then put back as the others read it.
    let folds = study.path("data/s/2_folds/folds.parquet");
    let before = std::fs::read(&folds).unwrap();
    let receipt = study.path("data/s/2_folds/receipt.yaml");
    let text = std::fs::read_to_string(&receipt).unwrap();
    let forged = text.replace(&hash::bytes(&before), &hash::bytes(b"other folds"));
    assert_ne!(text, forged);
    std::fs::write(&receipt, forged).unwrap();
    let json = study.json(&["verify", "study.yaml", "--json"]);
    let chained: Vec<&Value> =
        json["differences"].as_array().unwrap().iter().filter(|one| one["difference"]["what"] == "chain").collect();
    assert_eq!(chained.len(), tasks.len() - 2, "four runs and the report: {json:#}");
    assert_eq!(chained[0]["difference"]["from"], "dataset");
    assert_eq!(chained[0]["difference"]["made"], hash::bytes(b"other folds"));
}
