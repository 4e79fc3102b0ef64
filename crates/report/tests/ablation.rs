//! Studies of many methods, of three classes, and with the confounder reversed, through the real binary.

mod fake;

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use fake::{Fake, Run, write_predictions};
use serde_json::Value;
use tempfile::TempDir;

fn study(root: &Path) -> Output {
    let mut command = Command::cargo_bin("chumoku-report").unwrap();
    command.current_dir(root).args(["--config", "study.yaml", "--progress", "none"]).output().unwrap()
}

/// The study's report: its tables and sentences, metrics.json, and the folder.
fn report(fake: &Fake) -> (String, Value, TempDir) {
    let root = TempDir::new().unwrap();
    fake.write(root.path());
    let output = study(root.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_str(&file(&root, "metrics.json")).unwrap();
    (file(&root, "tables.md") + &sentences(&file(&root, "summary.txt")), json, root)
}

/// The paragraphs of a text, a line each.
fn sentences(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ") + "\n").collect()
}

fn file(root: &TempDir, name: &str) -> String {
    fs::read_to_string(root.path().join("reports/fake").join(name)).unwrap()
}

/// Four methods with attention and one without, in 3 folds; the fourth's maps have collapsed.
fn ablation() -> Fake {
    let methods = vec![
        ("conventional", "gamma"),
        ("proposed", "alpha"),
        ("kept", "alpha-keep-att"),
        ("unsupervised", "abn"),
        ("plain", "resnet18"),
    ];
    let five = vec![0, 1, 2, 3, 4];
    let own_seeds = vec![("conventional", five.clone()), ("proposed", five)];
    Fake {
        methods,
        own_seeds,
        seeds: vec![0, 1, 2],
        folds: 3,
        patients_per_class: 9,
        reversed: true,
        ..Fake::default()
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number, got {value}"))
}

fn entries<'a>(json: &'a Value, level: &str, metric: &str) -> Vec<&'a Value> {
    let fits = |entry: &&Value| entry["level"] == level && entry["metric"] == metric;
    json["comparisons"].as_array().unwrap().iter().filter(fits).collect()
}

#[test]
fn each_method_is_compared_on_the_seeds_it_has_in_common() {
    let (text, json, root) = report(&ablation());
    let aucs = entries(&json, "slice", "auc");
    let names: Vec<&str> = aucs.iter().map(|entry| entry["b"].as_str().unwrap()).collect();
    assert_eq!(names, ["proposed", "kept", "unsupervised", "plain"]);
    let per_seed = |method: &str| -> Vec<f64> {
        let parts = json["methods"][method]["per_seed"].as_array().unwrap();
        parts.iter().map(|part| number(&part["slice"]["auc"]["value"])).collect()
    };
    let conventional = per_seed("conventional");
    for entry in &aucs {
        let other = per_seed(entry["b"].as_str().unwrap());
        let common = other.len();
        assert_eq!(entry["seeds"], serde_json::json!((0..common).collect::<Vec<_>>()));
        let differences: Vec<f64> = conventional.iter().zip(&other).map(|(a, b)| b - a).collect();
        let mean = differences.iter().sum::<f64>() / common as f64;
        assert!((number(&entry["difference"]) - mean).abs() < 1e-12, "{entry}");
        let count = |holds: fn(&&f64) -> bool| differences.iter().filter(holds).count();
        assert_eq!(entry["seeds_b_higher"], count(|value| **value > 0.0));
        assert_eq!(entry["seeds_equal"], count(|value| **value == 0.0));
        assert_eq!(entry["seeds_a_higher"], count(|value| **value < 0.0));
    }
    assert_eq!((conventional.len(), per_seed("plain").len()), (5, 3));
    let spread = &json["methods"]["conventional"]["seed_spread"]["slice_auc"];
    let highest = conventional.iter().copied().fold(0.0, f64::max);
    assert_eq!((spread["seeds"].as_u64(), number(&spread["max"])), (Some(5), highest));
    // Tables 1 and 2 stay those of the pair in question; the others are in the table of all.
    let (table1, rest) = text.split_once("Table 2.").unwrap();
    assert!(table1.contains("proposed - conventional") && !table1.contains("kept"));
    assert!(rest.contains("All methods: fake") && rest.contains("Seeds: fake") && rest.contains("kept"));
    for name in ["tables.md", "tables.tex", "report.html"] {
        let text = file(&root, name);
        for title in ["All methods", "Seeds", "Attention", "Confounder reversed", "Decisions"] {
            assert!(text.contains(title), "{title} is not in {name}");
        }
    }
    assert!(
        file(&root, "report.html")
            .contains("0, 1, 2, 3, 4 (conventional, proposed); 0, 1, 2 (kept, unsupervised, plain)")
    );
}

#[test]
fn p_is_corrected_over_the_methods_by_holm() {
    let (text, json, root) = report(&ablation());
    for (level, metric) in [("slice", "auc"), ("patient", "accuracy"), ("fall_slice", "auc")] {
        let family = entries(&json, level, metric);
        let mut tested: Vec<(f64, f64)> =
            family.iter().filter_map(|entry| Some((entry["p"].as_f64()?, number(&entry["p_holm"])))).collect();
        tested.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(tested.len() >= 3, "{level} {metric}");
        // Holm 1979: the smallest p times their number; the largest is not below its own p.
        assert!((tested[0].1 - (tested[0].0 * tested.len() as f64).min(1.0)).abs() < 1e-12);
        assert!(tested.windows(2).all(|pair| pair[0].1 <= pair[1].1) && tested.iter().all(|(p, holm)| holm >= p));
    }
    assert!(text.contains("p, Holm"));
    // The sentence names each method once, on the side that its corrected p puts it.
    let sentence = text.lines().find(|line| line.starts_with("Slice AUC, 4 methods against conventional")).unwrap();
    let (higher, rest) = sentence.split_once("no significant difference from").unwrap_or((sentence, ""));
    for entry in entries(&json, "slice", "auc") {
        let (name, differs) = (entry["b"].as_str().unwrap(), number(&entry["p_holm"]) < 0.05);
        assert_eq!((higher.contains(name), rest.contains(name)), (differs, !differs), "{sentence}");
    }
    assert!(!text.contains("raise report.bootstrap"));
    // 2 / 101 times 4 is above 0.05.
    let set = ["--set", "report.bootstrap=100", "--config", "study.yaml", "--progress", "none"];
    let few = Command::cargo_bin("chumoku-report").unwrap().current_dir(root.path()).args(set).output().unwrap();
    let few = sentences(&String::from_utf8(few.stdout).unwrap());
    assert!(
        few.contains(
            "With 100 resamples no p of the bootstrap is below 0.020, so corrected for 4 methods none can pass"
        )
    );
    assert!(few.contains("correction: no significant difference from conventional for any of them."), "{few}");
    assert!(file(&root, "comparisons.csv").starts_with("a,b,level,metric,unit,difference,"));
    let two = Fake { reversed: true, ..Fake::default() };
    let (text, json, _root) = report(&two);
    assert!(json["comparisons"].as_array().unwrap().iter().all(|entry| entry["p_holm"].is_null()));
    assert!(!text.contains("Holm") && !text.contains("All methods"));
    assert!(!text.contains("Slice AUC, ") && text.contains("With the confounder reversed"));
}

#[test]
fn attention_is_the_mean_over_slices_and_seeds() {
    let (text, json, root) = report(&ablation());
    // The fake's share is 0.6 + 0.1 skill + 0.01 seed + 0.01 skill times the patient's last digit. 18 patients p000..p017 have
    // last digits 0..9 and 0..7, mean 73 / 18.
    let digits = 73.0 / 18.0;
    let share = |skill: f64, seed: f64| 0.6 + 0.1 * skill + 0.01 * seed + 0.01 * skill * digits;
    let of = |method: &str, measure: &str| json["methods"][method]["attention"][measure].clone();
    for (method, skill, seed) in [("conventional", 0.0, 2.0), ("proposed", 1.0, 2.0), ("kept", 2.0, 1.0)] {
        let found = of(method, "attention_in_lung");
        assert!((number(&found["value"]) - share(skill, seed)).abs() < 1e-6, "{method}: {found}");
        assert_eq!(found["n"], 72);
    }
    let kept = entries(&json, "attention", "attention_in_lung").into_iter().find(|entry| entry["b"] == "kept").unwrap();
    // On the seeds both have, 0, 1, 2.
    assert!((number(&kept["difference"]) - (share(2.0, 1.0) - share(0.0, 1.0))).abs() < 1e-6, "{kept}");
    assert!(number(&kept["low"]) < number(&kept["difference"]) && number(&kept["difference"]) < number(&kept["high"]));
    // Lesions are in half of the slices, curves in every second one.
    assert_eq!(
        (of("proposed", "lesion_share")["n"].as_u64(), of("proposed", "deletion_auc")["n"].as_u64()),
        (Some(36), Some(36))
    );
    assert!(entries(&json, "attention", "lung_share").is_empty());
    assert!(of("plain", "attention_in_lung")["value"].is_null());
    assert!(json["methods"]["proposed"]["slice"]["attention_in_lung"].is_null());
    assert_eq!(json["methods"]["unsupervised"]["collapsed_seeds"], serde_json::json!([0, 1, 2]));
    assert!(json["methods"]["proposed"]["collapsed_seeds"].is_null());
    assert!(text.contains("The attention maps of unsupervised have collapsed"));
    assert!(text.contains("No attention map: plain."));
    let csv = file(&root, "attention.csv");
    assert!(csv.contains("\nkept,attention_in_lung,percent,72,89.1,"), "{csv}");
    assert!(file(&root, "report.html").contains("attention maps of unsupervised have collapsed"));
}

/// The AUC by its definition, over the rows of one seed: the share of pairs in the right order, ties one half.
fn auc(rows: &[report::predictions::Row]) -> f64 {
    let side = |label: i64| rows.iter().filter(move |row| row.label == label).map(|row| row.prob[1]);
    let pair = |(positive, negative): (f64, f64)| match positive.total_cmp(&negative) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let scores: Vec<f64> = side(1).flat_map(|p| side(0).map(move |n| pair((p, n)))).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

#[test]
fn the_fall_is_the_standard_less_the_reversed_set() {
    let (text, json, root) = report(&ablation());
    let mut falls = Vec::new();
    for (method, seeds) in [("conventional", 5), ("proposed", 5), ("plain", 3)] {
        let mean = |file: &str, seeds: usize| {
            let of_seed = |seed: usize| {
                let rows = (0..3).flat_map(|fold| {
                    let path = format!("data/fake/3_runs/{method}/fold-{fold}/seed-{seed}/{file}");
                    report::read::predictions(&root.path().join(path), 1).unwrap()
                });
                auc(&rows.collect::<Vec<_>>())
            };
            (0..seeds).map(of_seed).sum::<f64>() / seeds as f64
        };
        let fall = |seeds| mean("predictions.parquet", seeds) - mean("predictions-reversed.parquet", seeds);
        let reversed = &json["methods"][method]["reversed"];
        assert!((number(&reversed["fall_slice"]["auc"]["value"]) - fall(seeds)).abs() < 1e-9, "{method}");
        assert!(number(&reversed["fall_slice"]["auc"]["low"]) < number(&reversed["fall_slice"]["auc"]["high"]));
        assert_eq!(reversed["patient"]["accuracy"]["total"], 18);
        // One slice of each of 18 patients is left out.
        assert_eq!(reversed["slice"]["auc"]["n"], 54);
        falls.push(fall(3));
    }
    let plain = entries(&json, "fall_slice", "auc").into_iter().find(|entry| entry["b"] == "plain").unwrap();
    assert!((number(&plain["difference"]) - (falls[2] - falls[0])).abs() < 1e-9, "on the seeds both have: {plain}");
    assert!(text.contains("Confounder reversed: fake"));
    // Five methods: the least, the one compared with if it is another, the most.
    let fall = |method: &str| number(&json["methods"][method]["reversed"]["fall_slice"]["auc"]["value"]);
    let methods = ["conventional", "proposed", "kept", "unsupervised", "plain"];
    let most = methods.into_iter().max_by(|a, b| fall(a).total_cmp(&fall(b))).unwrap();
    let sentence = text.lines().find(|line| line.starts_with("With the confounder reversed")).unwrap();
    assert!(
        sentence.contains(&format!(
            "{:.3} for {most} (most). Against conventional: significantly more is lost by",
            fall(most)
        )),
        "{sentence}"
    );
    assert!(file(&root, "report.html").contains("With the confounder reversed the slice AUC falls by"));
    assert_eq!(file(&root, "reversed.csv").lines().count(), 1 + 5 * 3);
}

#[test]
fn a_study_without_a_second_set_says_nothing_of_it() {
    let (text, json, root) = report(&Fake::default());
    assert!(json["methods"]["proposed"]["reversed"].is_null() && !text.contains("reversed"));
    assert!(!root.path().join("reports/fake/reversed.csv").exists());
    assert!(!file(&root, "report.html").contains("reversed"));
}

#[test]
fn a_second_set_with_other_patients_or_none_is_named() {
    let fake = ablation();
    let root = TempDir::new().unwrap();
    fake.write(root.path());
    let run = Run { method: "kept", fold: 1, seed: 2, skill: 0, attention: true, classes: 2 };
    let path = root.path().join("data/fake/3_runs/kept/fold-1/seed-2/predictions-reversed.parquet");
    let slices = fake.slices();
    let tested: Vec<_> = slices.iter().filter(|slice| slice.fold == 1 && !slice.id.ends_with("/0000")).collect();
    let fails = |words: &[&str]| {
        let output = study(root.path());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{error}");
        words.iter().for_each(|word| assert!(error.contains(word), "{word} is not in {error}"));
    };
    write_predictions(&path, &tested[1..], &run);
    fails(&[&tested[0].id, "same slices on both sides"]);
    write_predictions(&path, &tested, &Run { seed: 0, ..run });
    fails(&["expected rows of method kept, fold 1, seed 2"]);
    // All runs lack the same patient.
    let whole: Vec<_> = tested.into_iter().filter(|slice| slice.patient != "p002").collect();
    for (method, _) in &fake.methods {
        let seeds = if ["conventional", "proposed"].contains(method) { 0..5 } else { 0..3 };
        for seed in seeds {
            let path = format!("data/fake/3_runs/{method}/fold-1/seed-{seed}/predictions-reversed.parquet");
            write_predictions(&root.path().join(path), &whole, &Run { method, seed, ..run });
        }
    }
    fails(&["patient p002 is in predictions.parquet and not in predictions-reversed.parquet"]);
    fs::remove_file(&path).unwrap();
    fails(&["kept/fold-1/seed-2/predictions-reversed.parquet", "No such file"]);
}

#[test]
fn three_classes() {
    let fake = Fake { classes: 3, folds: 3, seeds: vec![0, 1], patients_per_class: 6, ..Fake::default() };
    let (text, json, root) = report(&fake);
    let result = &json["methods"]["proposed"];
    let classes = ["common_pneumonia", "covid19", "healthy"];
    for level in ["slice", "patient"] {
        let by_class = &result["auc_by_class"][level];
        let each = classes.map(|class| number(&by_class[class]["value"]));
        assert_eq!(number(&result[level]["auc"]["value"]), each[1], "the positive class against the rest");
        let mean = each.iter().sum::<f64>() / 3.0;
        assert!((number(&result[level]["auc_macro"]["value"]) - mean).abs() < 1e-12, "{level}");
    }
    let count = |key: &str| -> Vec<u64> {
        let rows = result[key].as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap().iter().map(|cell| cell.as_u64().unwrap())).collect()
    };
    let (slices, patients) = (count("confusion"), count("patient_confusion"));
    assert_eq!((slices.iter().sum::<u64>(), patients.iter().sum::<u64>()), (2 * 72, 18));
    let right = |counts: &[u64]| counts[0] + counts[4] + counts[8];
    assert_eq!(result["patient"]["accuracy"]["correct"], right(&patients));
    assert!((number(&result["slice"]["accuracy"]["value"]) - right(&slices) as f64 / 144.0).abs() < 1e-12);
    // Sensitivity and specificity are of report.positive, class 1, against the rest.
    assert!((number(&result["slice"]["sensitivity"]["value"]) - slices[4] as f64 / 48.0).abs() < 1e-12);
    let negatives = slices[0] + slices[2] + slices[6] + slices[8];
    assert!((number(&result["slice"]["specificity"]["value"]) - negatives as f64 / 96.0).abs() < 1e-12);
    let row = format!("healthy  {}", slices[6]);
    let squeezed = |text: &str| text.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed(&text).contains(&squeezed(&format!("{row} {} {}", slices[7], slices[8]))), "{text}");
    assert!(text.contains("called healthy") && text.contains("AUC against the rest") && text.contains("auc_macro"));
    for name in ["tables.md", "report.html"] {
        assert!(file(&root, name).contains("called healthy") && file(&root, name).contains("macro AUC"), "{name}");
    }
}
