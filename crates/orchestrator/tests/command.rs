//! Drives the real `chumoku` beside stage programs that are shell scripts.

mod fake;

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use fake::{Answer, Study, terminate};

#[test]
fn a_whole_study_ends_with_the_tables() {
    let study = Study::new();
    let answer = study.run("", &["run", "study.yaml", "--set", "train.epochs=3"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("[3/7] train/conventional/fold-0/seed-0: runs because no output in"), "{answer:?}");
    assert!(answer.err.contains("train/proposed/fold-1/seed-0: working on train"), "{answer:?}");
    assert!(!answer.err.contains("dataset: runs because of the test"), "the reason is given once: {answer:?}");
    assert!(answer.out.contains("result of dataset\n") && !answer.out.contains("result of report"), "{answer:?}");
    let (_, last) = answer.out.split_once("both tables, and the answer\n\n").unwrap();
    assert!(
        last.starts_with("s: ran 7 of 7 tasks, 0 were up to date (")
            && last.ends_with(" s)\nreport: reports/s/report.html\n"),
        "{answer:?}"
    );
    let calls = study.file("calls");
    let train = "train --config study.yaml --set train.epochs=3 --progress plain --method proposed --fold 1 --seed 0\n";
    assert!(calls.contains(train), "{calls}");
    let log = study.file("data/s/logs/train-proposed-fold-1-seed-0.log");
    assert!(log.starts_with("$ ") && log.contains("working on train\n") && log.contains("result of train\n"), "{log}");
}

#[test]
fn a_failing_stage_is_named_and_its_code_passed_on() {
    let study = Study::new();
    let answer = study.run("fail dataset", &["run", "study.yaml"]);
    assert_eq!(answer.code, Some(5), "{answer:?}");
    let start =
        "error: stage dataset failed in task dataset with exit code 5 (audit failed); log: data/s/logs/dataset.log";
    assert!(answer.err.contains(start), "{answer:?}");
    assert!(answer.err.ends_with("\n  error: no luck\n"), "{answer:?}");
    assert!(!study.file("calls").contains("train"));
}

#[test]
fn a_dry_run_calls_nothing_and_leaves_nothing() {
    let study = Study::new();
    let answer = study.run("", &["run", "study.yaml", "--dry-run", "--explain"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.out.starts_with("s: 7 of 7 tasks would run\n"), "{answer:?}");
    assert!(answer.out.contains("[2/7] dataset: would run: no output in data/s/2_folds yet\n"), "{answer:?}");
    assert_eq!(study.file("calls"), "");
    assert!(!study.path().join("data").exists());
}

#[test]
fn a_second_study_of_one_name_is_refused_before_anything_is_replaced() {
    let study = Study::new();
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0));
    let other = study.file("study.yaml").replace("folds: 2", "folds: 3");
    std::fs::write(study.path().join("other.yaml"), &other).unwrap();
    let (calls, lock) = (study.file("calls"), study.file("data/s/.lock"));
    for command in ["run", "status", "verify"] {
        let answer = study.run("", &[command, "other.yaml"]);
        assert_eq!(answer.code, Some(3), "{answer:?}");
        let text = "data/s holds the results of another study that is called \"s\" too, ";
        assert!(answer.err.contains(text) && answer.err.contains("delete data/s/.study.yaml"), "{answer:?}");
    }
    for arguments in [["run", "--dry-run", "other.yaml"], ["run", "--export=snakemake", "other.yaml"]] {
        assert_eq!(study.run("", &arguments).code, Some(3));
    }
    assert_eq!((study.file("calls"), study.file("data/s/.lock")), (calls, lock));
    let answer = study.run("", &["check", "other.yaml"]);
    assert!(answer.code == Some(3) && answer.out.contains("error    study          data/s holds"), "{answer:?}");
    // Another name, the same file edited, and the first file under another name.
    assert_eq!(study.run("", &["run", "other.yaml", "--set", "study=t", "--dry-run"]).code, Some(0));
    std::fs::write(study.path().join("study.yaml"), other).unwrap();
    let answer = study.run("", &["run", "study.yaml", "--dry-run"]);
    assert!(answer.code == Some(0) && answer.out.contains("would run"), "{answer:?}");
    // The last remedy.
    std::fs::write(study.path().join("other.yaml"), study.file("study.yaml").replace("folds: 3", "folds: 4")).unwrap();
    assert_eq!(study.run("", &["run", "other.yaml"]).code, Some(3));
    std::fs::remove_file(study.path().join("data/s/.study.yaml")).unwrap();
    assert_eq!(study.run("", &["run", "other.yaml"]).code, Some(0));
}

#[test]
fn a_stop_reaches_the_stage_once_and_a_second_run_is_refused() {
    let study = Study::new();
    let child = study.command("hang train", &["run", "study.yaml", "--jobs", "1"]).spawn().unwrap();
    study.wait_for("train --config");
    let second = study.run("", &["run", "study.yaml"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains(&format!("already being run by process {}", child.id())), "{second:?}");
    terminate(&child);
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(130), "{answer:?}");
    assert!(answer.err.contains("the same command goes on from where it was"), "{answer:?}");
    assert_eq!(study.file("calls").matches("told once").count(), 1);
    assert_eq!(study.run("", &["run", "study.yaml"]).code, Some(0), "the lock is free again");
}

#[test]
fn wrong_words_have_their_codes() {
    let study = Study::new();
    for (arguments, code, part) in [
        (&["run", "none.yaml"][..], 3, "none.yaml"),
        (&["run", "study.yaml", "--set", "train.epoch=3"], 3, "did you mean train.epochs?"),
        (&["run", "study.yaml", "--set", "preprocess.model=none.pt"], 6, "none.pt"),
        (&["run", "study.yaml", "--set", "preprocess.input=none"], 4, "set preprocess.input"),
        (&["run", "study.yaml", "--set", "dataset.splits=none.json"], 4, "none.json"),
        (&["run", "study.yaml", "--detach"], 2, "and --detach need --executor slurm"),
        (&["run", "study.yaml", "--slurm", "time=3"], 2, "and --detach need --executor slurm"),
        (&["run", "study.yaml", "--executor", "slurm", "--slurm", "array=3"], 2, "chumoku sets array itself"),
        (&["run", "study.yaml", "--jobs", "0"], 2, "--jobs"),
        (&["walk"], 2, "walk"),
    ] {
        let answer = study.run("", arguments);
        assert_eq!(answer.code, Some(code), "{arguments:?}: {answer:?}");
        assert!(answer.err.contains(part), "{arguments:?}: {answer:?}");
    }
    assert_eq!(study.file("calls"), "");
}

#[test]
fn the_doctor_names_what_is_missing() {
    let study = Study::new();
    let answer = study.run("", &["doctor"]);
    assert_eq!(answer.code, Some(6), "{answer:?}");
    assert!(answer.out.contains("problem  lung model           data/models/lung-unet.pt: no such file"), "{answer:?}");
    assert!(answer.out.contains("ok       chumoku-train"), "{answer:?}");
}

#[test]
fn a_plan_can_be_taken_to_snakemake() {
    let study = Study::new();
    let answer =
        study.run("", &["run", "study.yaml", "--set", "train.methods.proposed={loss: alpha}", "--export", "snakemake"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.out.contains("rule all:\n    input: \"reports/s/receipt.yaml\"\n"), "{answer:?}");
    let train = "rule t5_train_proposed_fold_1_seed_0:\n    input: \"data/s/1_masks/receipt.yaml\", \"data/s/2_folds/receipt.yaml\"\n    \
                 output: \"data/s/3_runs/proposed/fold-1/seed-0/receipt.yaml\"\n    threads: 1\n    shell: \"'/";
    assert!(answer.out.contains(train), "{answer:?}");
    assert!(answer.out.contains("'train.methods.proposed={{loss: alpha}}'"), "braces are Snakemake's: {answer:?}");
    assert!(study.file("calls").is_empty() && !study.path().join("data").exists());
    // Where a test environment has it, Snakemake itself reads the file.
    let Some(snakemake) = std::env::var_os("CHUMOKU_SNAKEMAKE") else {
        return eprintln!("skipped: CHUMOKU_SNAKEMAKE names no snakemake");
    };
    std::fs::write(study.path().join("Snakefile"), &answer.out).unwrap();
    let mut dry = std::process::Command::new(snakemake);
    let output = dry.args(["--dry-run", "--quiet", "rules"]).current_dir(study.path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    // All seven tasks and the rule that wants them.
    assert!(said.lines().any(|line| line.split_whitespace().eq(["total", "8"])), "{said}");
}

#[test]
fn who_reads_may_leave_and_the_work_goes_on() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let left = || Stdio::from(std::io::pipe().unwrap().1);
    for (arguments, to_full, to_left) in [
        (&["run", "study.yaml"][..], 0, 0),
        (&["run", "study.yaml", "--dry-run"], 1, 0),
        (&["schema"], 1, 0),
        (&["doctor"], 1, 6),
        (&["check", "study.yaml"], 1, 6),
    ] {
        let study = Study::new();
        let code = |out: Stdio, err: Stdio| {
            let mut command = study.command("", arguments);
            command.stdout(out).stderr(err).status().unwrap().code()
        };
        assert_eq!(code(full(), Stdio::null()), Some(to_full), "{arguments:?} > /dev/full");
        assert_eq!(code(left(), Stdio::null()), Some(to_left), "{arguments:?} | true");
    }
    for gone in [full, left] {
        let study = Study::new();
        let mut command = study.command("", &["run", "study.yaml"]);
        assert_eq!(command.stdout(gone()).stderr(gone()).status().unwrap().code(), Some(0));
        assert!(study.path().join("reports/s/summary.txt").exists());
        let mut command = Study::new().command("fail dataset", &["run", "study.yaml"]);
        command.current_dir(study.path()).args(["--set", "train.epochs=3"]);
        assert_eq!(
            command.stdout(gone()).stderr(gone()).status().unwrap().code(),
            Some(5),
            "its own code, not a crash's"
        );
    }
}

#[test]
fn a_path_need_not_be_utf_8_and_a_log_quotes_what_has_spaces() {
    let study = Study::new();
    let odd = study.path().join(OsStr::from_bytes(b"bad\xff"));
    std::fs::create_dir(&odd).unwrap();
    std::fs::copy(study.path().join("study.yaml"), odd.join("study.yaml")).unwrap();
    let mut command = study.command("", &["run", "--set", "train.seeds=[0, 1]"]);
    let answer = command.arg(odd.join("study.yaml")).output().unwrap();
    assert_eq!(answer.status.code(), Some(0), "{answer:?}");
    let log = study.file("data/s/logs/dataset.log");
    assert!(log.lines().next().unwrap().ends_with("study.yaml' --set 'train.seeds=[0, 1]' --progress plain"), "{log}");
}
