//! Checklists and model cards of studies through the real binary: every item in its place, true numbers, and a question where a fact
//! is missing.

mod fake;

use std::fs;

use assert_cmd::Command;
use fake::Fake;
use serde_json::Value;
use tempfile::TempDir;

/// The report of a fake study made with these overrides.
struct Made {
    root: TempDir,
}

fn made_of(root: TempDir, set: &[&str]) -> Made {
    let mut command = Command::cargo_bin("chumoku-report").unwrap();
    command.current_dir(root.path()).args(["--config", "study.yaml", "--progress", "none"]);
    set.iter().for_each(|value| {
        command.args(["--set", value]);
    });
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Made { root }
}

fn made(fake: &Fake, set: &[&str]) -> Made {
    let root = TempDir::new().unwrap();
    fake.write(root.path());
    made_of(root, set)
}

impl Made {
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.root.path().join("reports/fake").join(name)).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.file("metrics.json")).unwrap()
    }

    /// Status and text of an item of CLAIM.
    fn claim(&self, number: u32) -> (String, String) {
        item(&self.file("claim-2024.md"), &number.to_string())
    }

    fn tripod(&self, number: &str) -> (String, String) {
        item(&self.file("tripod-ai.md"), number)
    }
}

const STATUS: [&str; 3] = ["answered by the run", "partly", "to be answered"];

/// Number, status and text of every item of a checklist.
fn items(text: &str) -> Vec<(String, String, String)> {
    let mut found: Vec<(String, String, String)> = Vec::new();
    for line in text.lines() {
        let head = line.strip_prefix("**").and_then(|line| line.split_once(". ")).zip(line.rsplit_once("** ("));
        match (head, found.last_mut()) {
            (Some(((number, _), (_, status))), _) => {
                found.push((number.to_owned(), status.trim_end_matches(')').to_owned(), String::new()));
            }
            (None, Some(last)) if !line.starts_with('#') => last.2.push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    found
}

fn item(text: &str, number: &str) -> (String, String) {
    let found = items(text).into_iter().find(|(found, ..)| found == number);
    found.map(|(_, status, text)| (status, text)).unwrap_or_else(|| panic!("item {number} is not in {text}"))
}

/// "0.750 (0.500 to 0.900)", percent with one decimal: the form of the tables.
fn shown(value: &Value, percent: bool) -> String {
    let number = |key: &str| {
        let number = value[key].as_f64().unwrap_or_else(|| panic!("no {key} in {value}"));
        if percent { format!("{:.1}", number * 100.0) } else { format!("{number:.3}") }
    };
    let unit = if percent { " %" } else { "" };
    format!("{} ({} to {}){unit}", number("value"), number("low"), number("high"))
}

#[test]
fn every_item_stands_once_and_in_order_and_the_counts_on_top_are_right() {
    let made = made(&Fake::default(), &[]);
    for (file, count, last) in [("claim-2024.md", 44, "44"), ("tripod-ai.md", 52, "27c")] {
        let text = made.file(file);
        let items = items(&text);
        assert_eq!((items.len(), items[count - 1].0.as_str()), (count, last), "{file}");
        // "12a" after "11" and before "12b".
        let key =
            |number: &str| (number.trim_end_matches(char::is_alphabetic).parse::<u32>().unwrap(), number.to_owned());
        assert!(items.windows(2).all(|pair| key(&pair[0].0) < key(&pair[1].0)), "{file}");
        assert!(text.starts_with("# ") && text.contains(&format!("Of {count} items:")), "{file}");
        for status in STATUS {
            let of: Vec<&str> = items.iter().filter(|item| item.1 == status).map(|item| item.0.as_str()).collect();
            assert!(
                !of.is_empty() && text.contains(&format!("- {status} ({}): {}\n", of.len(), of.join(", "))),
                "{file}: {status}"
            );
        }
        for (number, status, text) in &items {
            assert_eq!(text.contains("- To be answered: "), status != STATUS[0], "{file}, item {number}");
            let told = text.lines().any(|line| !line.is_empty() && !line.starts_with("- To be answered: "));
            assert_eq!(told, status != STATUS[2], "{file}, item {number}");
        }
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!text.contains("..") && !text.contains(" ,") && !text.contains("n/a"), "{file}: {text}");
    }
}

#[test]
fn results_are_those_of_metrics_json() {
    let made = made(&Fake { seeds: vec![0, 1, 2], ..Fake::default() }, &[]);
    let json = made.json();
    let ((_, slices), (_, patients)) = (made.claim(37), made.claim(38));
    let both = made.tripod("23a").1;
    for method in ["conventional", "proposed"] {
        let result = &json["methods"][method];
        let card = made.file(&format!("model-card-{method}.md"));
        for (metric, percent) in [("accuracy", true), ("sensitivity", true), ("specificity", true), ("AUC", false)] {
            let key = metric.to_lowercase();
            let of_slices = shown(&result["slice"][&key], percent);
            for text in [&slices, &both] {
                assert!(text.contains(&format!("{metric} {of_slices}")), "{method} {metric} {of_slices}: {text}");
            }
            assert!(card.contains(&format!("| {metric} | {of_slices} |")), "{card}");
        }
        let right = &result["patient"]["accuracy"];
        let fraction = format!("{}/{}", right["correct"], right["total"]);
        for text in [&patients, &both, &card] {
            assert!(text.contains(&fraction), "{method} {fraction}: {text}");
        }
        assert!(slices.contains(&format!("Brier score {}", shown(&result["slice"]["brier"], false))), "{slices}");
        let sd = result["seed_spread"]["slice_auc"]["sd"].as_f64().unwrap();
        let spread = format!("{method}: slice AUC over 3 seeds");
        let robust = made.claim(30).1;
        assert!(robust.contains(&spread) && robust.contains(&format!("standard deviation {sd:.3}")), "{robust}");
        let lungs = &result["attention"]["attention_in_lung"];
        assert!(
            made.claim(31)
                .1
                .contains(&format!("Attention of {method}: {:.1}", lungs["value"].as_f64().unwrap() * 100.0))
        );
    }
    let fits = |entry: &&Value| entry["level"] == "slice" && entry["metric"] == "auc";
    let entry = json["comparisons"].as_array().unwrap().iter().find(fits).unwrap();
    let difference = format!("AUC {:+.3}", entry["difference"].as_f64().unwrap());
    assert!(
        slices.contains("proposed minus conventional, over seed 0, 1, 2") && slices.contains(&difference),
        "{difference}: {slices}"
    );
    // 2 classes of 8 patients with 4 slices each, half of them in each of 2 folds.
    assert!(made.claim(7).1.contains(
        "16 patients with 64 slices after what was left out: 8 patients and 32 slices of common_pneumonia and 8"
    ));
    let side = "4 and 4 patients with 16 and 16 slices";
    assert!(made.claim(36).1.contains(&format!("Fold 1 tests {side} and trains on {side}.")));
    assert!(made.claim(35).1.contains("left out 1 slice or file: 1 for too little lung"), "{}", made.claim(35).1);
}

#[test]
fn what_one_seed_cannot_tell_is_asked() {
    let (one, three) = (made(&Fake::default(), &[]), made(&Fake { seeds: vec![0, 1, 2], ..Fake::default() }, &[]));
    assert!(one.claim(30).1.contains("one seed was run") && !one.claim(30).1.contains("standard deviation"));
    assert!(!three.claim(30).1.contains("one seed was run"));
    assert!(
        one.claim(27).1.contains("No ensemble: one network")
            && three.claim(27).1.contains("networks of all seeds decide together")
    );
    assert!(one.claim(25).1.contains("4 networks trained") && three.claim(25).1.contains("12 networks trained"));
    assert!(
        one.file("model-card-proposed.md").contains("One seed:")
            && !three.file("model-card-proposed.md").contains("One seed:")
    );
}

#[test]
fn only_synthetic_data_are_called_so() {
    let real = made(&Fake::default(), &[]);
    let synthetic = made(&Fake { reversed: true, ..Fake::default() }, &[]);
    for number in [5, 13, 15, 34] {
        assert_eq!(
            (real.claim(number).0.as_str(), synthetic.claim(number).0.as_str()),
            (STATUS[2], STATUS[0]),
            "item {number}"
        );
    }
    for number in ["5b", "14", "17", "18d"] {
        assert_eq!(
            (real.tripod(number).0.as_str(), synthetic.tripod(number).0.as_str()),
            (STATUS[2], STATUS[0]),
            "{number}"
        );
    }
    assert!(synthetic.claim(7).1.contains("drawn by Chumoku's phantom from seed 7"));
    for file in ["claim-2024.md", "tripod-ai.md", "model-card-proposed.md"] {
        let text = real.file(file).to_lowercase();
        // The lung U-Net saw synthetic CT; nothing else is synthetic here.
        let others = text.replace("trained on synthetic ct alone", "").replace("saw synthetic ct alone", "");
        assert!(!others.contains("synthetic ct") && !others.contains("phantom"), "{file}");
    }
    // A study that names files of its own is not synthetic, whatever phantom.enabled says.
    let named = made(&Fake::default(), &["phantom.enabled=true", "preprocess.input=ct"]);
    assert_eq!(named.claim(5).0, STATUS[2]);
}

#[test]
fn a_reversed_confounder_is_told_where_there_is_one() {
    let (plain, reversed) = (made(&Fake::default(), &[]), made(&Fake { reversed: true, ..Fake::default() }, &[]));
    assert!(!plain.claim(30).1.contains("reversed"));
    let fall = &reversed.json()["methods"]["proposed"]["reversed"]["fall_slice"]["auc"];
    let [value, low] = ["value", "low"].map(|key| fall[key].as_f64().unwrap());
    let said = format!("slice AUC falls by {value:+.3} ({low:+.3} to ");
    assert!(reversed.claim(30).1.contains(&said), "{said}: {}", reversed.claim(30).1);
    let relies = format!("proposed relies on the confounder: reversed, the slice AUC falls by {value:+.3}");
    assert_eq!(reversed.file("model-card-proposed.md").contains(&relies), low > 0.0);
}

#[test]
fn networks_without_attention_leave_their_items_open() {
    let methods = vec![("plain", "resnet18"), ("other", "resnet18")];
    let set = ["report.conventional=plain", "report.proposed=other"];
    let without = made(&Fake { methods, ..Fake::default() }, &set);
    assert_eq!(without.claim(31).0, STATUS[2]);
    let card = without.file("model-card-other.md");
    assert!(
        card.contains("`L = L_per` (cross-entropy alone)")
            && card.contains("None: this network has no attention branch.")
    );
    assert!(!card.contains("Attention Branch") && !card.contains("L_map") && !card.contains("alpha"), "{card}");
    assert!(!without.claim(22).1.contains("Attention Branch"));
    // Beside a network with attention both are described.
    let methods = vec![("plain", "resnet18"), ("proposed", "alpha")];
    let mixed = made(&Fake { methods, ..Fake::default() }, &["report.conventional=plain"]).claim(22).1;
    assert!(
        mixed.contains("without attention branch, input 1 x 224 x 224, output 2 softmax values (plain)"),
        "{mixed}"
    );
    assert!(
        mixed.contains("a map M of 14 x 14 cells") && mixed.contains("Loss of proposed: `L = alpha * (L_att + L_map)"),
        "{mixed}"
    );
}

#[test]
fn one_method_has_nothing_to_be_compared_with() {
    let fake = Fake { methods: vec![("proposed", "alpha")], ..Fake::default() };
    let one = made(&fake, &["report.conventional=proposed"]);
    assert!(one.claim(37).1.contains("nothing is compared") && !one.claim(29).1.contains("paired by patient"));
    assert_eq!(one.claim(4).0, STATUS[2]);
}

#[test]
fn a_split_column_is_one_test_set_of_unknown_likeness() {
    let set = ["preprocess.manifest=ct/slices.csv", "dataset.split_column=official_split"];
    let (folds, split) = (made(&Fake::default(), &[]), made(&Fake::default(), &set));
    let assigned = split.claim(19).1;
    assert!(
        assigned.contains("one test set by the manifest's column official_split") && !assigned.contains("Fold 1"),
        "{assigned}"
    );
    assert!(folds.claim(19).1.contains("2 folds, patients drawn by class with seed 0"));
    assert!(
        folds.claim(32).1.contains("2-fold cross-validation") && split.claim(32).1.contains("One held-out test set")
    );
    assert_eq!((folds.claim(33).0.as_str(), split.claim(33).0.as_str()), (STATUS[1], STATUS[2]));
    assert_eq!((folds.tripod("16").0.as_str(), split.tripod("16").0.as_str()), (STATUS[0], STATUS[1]));
    assert!(split.file("model-card-proposed.md").contains("One test set instead of folds"));
}

#[test]
fn image_files_are_no_dicom() {
    let (dicom, images) = (made(&Fake::default(), &[]), made(&Fake::default(), &["preprocess.manifest=ct/slices.csv"]));
    assert!(dicom.claim(7).1.contains("DICOM series") && !dicom.claim(9).1.contains("black is read"));
    assert!(
        images.claim(7).1.contains("Image files or NIfTI volumes named by a manifest")
            && !images.claim(7).1.contains("DICOM")
    );
    assert!(images.claim(9).1.contains("black is read as -1350 HU and white as 150 HU"));
    assert!(
        dicom.claim(8).1.contains("Of several axial series") && !images.claim(8).1.contains("Of several axial series")
    );
}

#[test]
fn masks_and_weights_are_told_from_the_files_beside_them() {
    let root = TempDir::new().unwrap();
    Fake::default().write(root.path());
    let data = root.path().join("data/fake");
    let qa = "patient_id,series_id,label,slices,kept,right_ml,left_ml,empty_mask,one_lung,touches_border,outside_body,sides_swapped,remarks\n\
              p000,a,1,10,9,1,1,1,0,2,0,0,\np001,b,0,12,12,,,0,0,3,0,0,missing_slices\n";
    fs::write(data.join("1_masks/qa.csv"), qa).unwrap();
    let receipt = |task: &str, outputs: &str, environment: &str| {
        format!(
            "task: {task}\nversion: '0'\nprogram: p\ninputs: {{}}\nconfig: null\noutputs: {{{outputs}}}\nenvironment: {{{environment}}}\n"
        )
    };
    fs::write(data.join("1_masks/receipt.yaml"), receipt("preprocess", "", "model_sha256: abc123")).unwrap();
    let run = data.join("3_runs/proposed/fold-1/seed-0/receipt.yaml");
    fs::write(
        run,
        receipt("t", "weights.safetensors: 0123456789abcdef", "device: cuda, threads: '4', libtorch: 2.11.0"),
    )
    .unwrap();
    let made = made_of(root, &["preprocess.model_sha256=abc123"]);
    let masks = made.claim(9).1;
    assert!(
        masks.contains("Of 22 slices in 2 series 21 are kept; remarks: empty_mask 1 and touches_border 5."),
        "{masks}"
    );
    assert!(masks.contains("a U-Net named by the study (sha256 abc123)") && !masks.contains("shipped"), "{masks}");
    let card = made.file("model-card-proposed.md");
    assert!(
        card.contains("| 0123456789ab |") && card.contains("`3_runs/proposed/fold-0/seed-0/weights.safetensors`"),
        "{card}"
    );
    assert!(made.claim(23).1.contains("Trained on: cuda, threads of a run: 4."), "{}", made.claim(23).1);
}

#[test]
fn initial_weights_of_a_file_are_named_without_their_folder() {
    let (drawn, file) =
        (made(&Fake::default(), &[]), made(&Fake::default(), &["train.init=/home/someone/start.safetensors"]));
    assert_eq!((drawn.claim(24).0.as_str(), file.claim(24).0.as_str()), (STATUS[0], STATUS[1]));
    assert!(file.claim(24).1.contains("Initial weights: the file start.safetensors; what it lacks is drawn"));
    for name in ["claim-2024.md", "tripod-ai.md", "model-card-proposed.md"] {
        assert!(!file.file(name).contains("someone"), "{name}");
    }
}

#[test]
fn three_classes_have_their_own_results() {
    let made = made(&Fake { classes: 3, ..Fake::default() }, &[]);
    let result = &made.json()["methods"]["proposed"];
    let card = made.file("model-card-proposed.md");
    for (label, class) in ["common_pneumonia", "covid19", "healthy"].into_iter().enumerate() {
        let row = result["confusion"][label].as_array().unwrap();
        let total: u64 = row.iter().map(|count| count.as_u64().unwrap()).sum();
        assert!(card.contains(&format!("| {class} | {}/{total} (", row[label])), "{card}");
        assert!(card.contains(&shown(&result["auc_by_class"]["slice"][class], false)));
    }
    assert!(made.claim(28).1.contains("specificity (recall of the rest)"));
}

#[test]
fn the_page_shows_every_document_and_takes_no_name_for_a_mark() {
    let made = made(&Fake::default(), &["classes=[\"a|b*c*\", \"<b>x</b>\"]"]);
    let page = made.file("report.html");
    for file in ["claim-2024.md", "tripod-ai.md", "model-card-conventional.md", "model-card-proposed.md"] {
        assert!(page.contains(file), "{file}");
    }
    assert!(page.contains("told apart into a|b*c* and &lt;b&gt;x&lt;/b&gt;") && !page.contains("<b>x</b>"));
}
