//! Charts and the flow of patients through the real binary, held against the files they are drawn from.

mod fake;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use arrow::array::{Array, StringArray};
use assert_cmd::Command;
use fake::Fake;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

/// A fake study whose files `change` may change, and its report.
fn report(fake: &Fake, change: impl FnOnce(&Path)) -> TempDir {
    let root = TempDir::new().unwrap();
    fake.write(root.path());
    change(root.path());
    let arguments = ["--config", "study.yaml", "--progress", "none"];
    Command::cargo_bin("chumoku-report").unwrap().current_dir(root.path()).args(arguments).assert().success();
    root
}

fn file(root: &TempDir, name: &str) -> String {
    fs::read_to_string(root.path().join("reports/fake").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A column of text of a Parquet file.
fn texts(path: &Path, name: &str) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let of = |batch: arrow::array::RecordBatch| {
        let column = batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap().clone();
        (0..column.len()).map(|row| column.value(row).to_owned()).collect::<Vec<_>>()
    };
    reader.flat_map(|batch| of(batch.unwrap())).collect()
}

fn distinct(ids: &[String]) -> usize {
    ids.iter().collect::<BTreeSet<_>>().len()
}

const FIGURES: [&str; 12] = [
    "roc",
    "roc-patients",
    "precision-recall",
    "calibration",
    "scores",
    "confusion-slices-conventional",
    "confusion-patients-proposed",
    "attention-in-lung",
    "training-conventional",
    "training-proposed",
    "flow",
    "confusion-slices-proposed",
];

#[test]
fn every_chart_is_a_file_and_is_described_on_the_page() {
    let root = report(&Fake::default(), |_| ());
    let html = file(&root, "report.html");
    for name in FIGURES {
        let svg = file(&root, &format!("figures/{name}.svg"));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
        assert!(html.contains(&format!("figures/{name}.svg")), "{name} is not named on the page");
    }
    // Those who do not see a chart are told its numbers.
    let labels: Vec<&str> = html
        .split("<div class=\"drawing\" role=\"img\" aria-label=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(labels.len(), html.matches("<figure class=\"chart\">").count());
    let json: serde_json::Value = serde_json::from_str(&file(&root, "metrics.json")).unwrap();
    let auc = json["methods"]["proposed"]["slice"]["auc"]["value"].as_f64().unwrap();
    let roc = labels.iter().find(|label| label.starts_with("ROC curves by slice.")).unwrap();
    assert!(roc.contains(&format!("proposed: AUC {auc:.3} (")), "{roc}");
    let cell = &json["methods"]["proposed"]["patient_confusion"][1][0];
    let matrix = labels.iter().find(|label| label.starts_with("Decisions on patients: proposed")).unwrap();
    assert!(matrix.contains(&format!("covid19 called common_pneumonia: {cell};")), "{matrix}");
    assert!(file(&root, "figures/training-proposed.svg").contains("\nalpha 0.9 to 0.1\n"));
}

#[test]
fn the_flow_counts_what_the_files_hold() {
    let excluded = "slice_id,patient_id,source,lung_fraction,reason\n\
                    p000/s/0009,p000,a.dcm,0.001,little_lung\n\
                    x/s/0000,x,b.dcm,0,empty_mask\n\
                    ,p001,c.dcm,,localizer\n\
                    ,y,d.dcm,,localizer\n";
    let root =
        report(&Fake::default(), |root| fs::write(root.join("data/fake/1_masks/excluded.csv"), excluded).unwrap());
    let html = file(&root, "report.html");
    let masks = root.path().join("data/fake/1_masks/slices.parquet");
    let (kept, patients) = (texts(&masks, "slice_id").len(), distinct(&texts(&masks, "patient_id")));
    let folds = root.path().join("data/fake/2_folds/folds.parquet");
    assert_eq!((kept, patients), (texts(&folds, "slice_id").len(), distinct(&texts(&folds, "patient_id"))));
    let mut tested = Vec::new();
    for fold in 0..2 {
        tested.extend(texts(
            &root.path().join(format!("data/fake/3_runs/proposed/fold-{fold}/seed-0/predictions.parquet")),
            "slice_id",
        ));
    }
    assert_eq!((tested.len(), distinct(&tested)), (kept, kept));
    let lines = [
        format!("<p>{} patients</p><p>{} slices and 2 other files</p>", patients + 2, kept + 2),
        "<b>Left out before segmentation: 2 files</b></p><p>localizer: 2</p><p>all there is of 1 patient: y</p>".to_owned(),
        format!("<p>{} slices of {} patients</p><p>in 17 series</p>", kept + 2, patients + 1),
        "<b>Left out for their lung mask: 2 slices</b></p><p>empty mask: 1</p><p>little lung: 1</p><p>all slices of 1 patient: x</p>"
            .to_owned(),
        format!("<b>Tested</b></p><p>{kept} slices of {patients} patients</p>"),
        format!("<b>covid19</b></p><p>{} patients</p><p>{} slices</p>", patients / 2, kept / 2),
    ];
    for line in lines {
        assert!(html.contains(&line), "{line} is not on the page");
    }
    assert!(file(&root, "figures/flow.svg").contains(&format!("\n{kept} slices of {patients} patients\n")));
    // Each of two folds tests half of everything.
    let row = format!("<td>{0}</td><td>{1}</td><td>{0}</td><td>{1}</td>", patients / 4, kept / 4);
    assert_eq!(html.matches(&format!("{row}<td>{}</td><td>{}</td>", patients / 2, kept / 2)).count(), 2);
}

#[test]
fn several_seeds_are_thin_lines_and_several_classes_have_no_threshold() {
    let root = report(&Fake { seeds: vec![0, 1, 2], classes: 3, ..Fake::default() }, |_| ());
    let html = file(&root, "report.html");
    assert!(html.contains("Thin: each seed; thick: their mean at each specificity."));
    assert!(html.contains("The positive class, covid19, against all others."));
    // Three seeds of each method in its colour.
    for colour in ["#2E78BE", "#D66E14"] {
        let thin = format!("opacity=\"0.6\" stroke=\"{colour}\" stroke-width=\"2\"");
        assert_eq!(file(&root, "figures/roc.svg").matches(&thin).count(), 3, "{colour}");
    }
    assert!(!file(&root, "figures/scores.svg").contains("threshold"));
    assert!(html.contains("The class of the largest score decides"));
    assert!(file(&root, "figures/confusion-slices-proposed.svg").contains("healthy"));
}

#[test]
fn what_cannot_be_drawn_is_said() {
    // One epoch, no attention branch.
    let one_epoch = |root: &Path| {
        for method in ["plain", "plainer"] {
            for fold in 0..2 {
                let path = root.join(format!("data/fake/3_runs/{method}/fold-{fold}/seed-0/log.csv"));
                let log = fs::read_to_string(&path).unwrap();
                fs::write(&path, log.lines().take(2).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            }
        }
        let study = root.join("study.yaml");
        let text = fs::read_to_string(&study).unwrap();
        fs::write(&study, text.replace("report: {", "report: {conventional: plain, proposed: plainer, ")).unwrap();
    };
    let methods = vec![("plain", "resnet18"), ("plainer", "resnet18")];
    let root = report(&Fake { methods, ..Fake::default() }, one_epoch);
    let html = file(&root, "report.html");
    assert_eq!(html.matches("No curves: one epoch only.").count(), 2);
    assert!(html.contains("No curves: no method shown has an attention branch."));
    assert!(!root.path().join("reports/fake/figures/training-plain.svg").exists());
}
