//! A study's files: what they extend, where their faults are, variables of the environment, and their schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::config::{Config, schema};

fn pipelines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines")
}

/// A folder with these files, and what the first of them is.
fn load(files: &[(&str, &str)], set: &[&str]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
    let shown = format!("{}/", folder.path().display());
    Config::load(&folder.path().join(files[0].0), &set).map_err(|error| error.to_string().replace(&shown, ""))
}

/// The list that `ablation.yaml` and `covid-ct-ablation.yaml` had each before they extended a file: finished studies hang on it.
const CONTROLS: &str = "
    conventional: {loss: gamma SEEDS}
    proposed: {loss: alpha SEEDS}
    resnet18: {loss: resnet18}
    abn: {loss: abn}
    gamma-tenth: {loss: gamma, gamma: 0.1}
    gamma-ten: {loss: gamma, gamma: 10.0}
    alpha-keep-att: {loss: alpha-keep-att}
    alpha-map-only: {loss: alpha-map-only}
    alpha-map-vs-cls: {loss: alpha-map-vs-cls}
    alpha-matched: {loss: alpha, normalize_weights: true}
    alpha-constant: {loss: alpha, schedule: constant, alpha_early: 0.5}
    alpha-linear: {loss: alpha, schedule: linear}
    alpha-cosine: {loss: alpha, schedule: cosine}
";

#[test]
fn extended_studies_resolve_to_the_bytes_of_whole_ones() {
    for (name, seeds) in [("ablation", ", seeds: [0, 1, 2, 3, 4]"), ("covid-ct-ablation", "")] {
        let text = std::fs::read_to_string(pipelines().join(format!("{name}.yaml"))).unwrap();
        let own =
            text.replace("    conventional: {seeds: [0, 1, 2, 3, 4]}\n    proposed: {seeds: [0, 1, 2, 3, 4]}\n", "");
        let own = own.replace("extends: parts/controls.yaml\n", "").replace("  methods:\n", "");
        let whole = own.replace("train:\n", &format!("train:\n  methods:{}", CONTROLS.replace(" SEEDS", seeds)));
        assert_eq!(whole.matches("loss:").count(), 13, "{whole}");
        let now = Config::load(&pipelines().join(format!("{name}.yaml")), &[]).unwrap();
        let before = load(&[("s.yaml", &whole)], &[]).unwrap();
        // As text, for the order of keys is hashed too.
        assert_eq!(now.values.to_string(), before.values.to_string(), "{name}");
    }
}

#[test]
fn maps_merge_lists_replace_and_later_files_win() {
    let files = [
        ("a.yaml", "extends: b/b.yaml\nstudy: s\ntrain: {epochs: 3, methods: {two: {gamma: 5}, three: {loss: abn}}}"),
        (
            "b/b.yaml",
            "extends: ../c.yaml\ntrain: {epochs: 2, lr: 0.5, seeds: [7]}\nreport: {proposed: two, conventional: one}",
        ),
        (
            "c.yaml",
            "train: {lr: 0.1, seeds: [1, 2], methods: {one: {loss: gamma}, two: {loss: alpha, gamma: 2}}}\nphantom:\n",
        ),
    ];
    let config = load(&files, &["train.methods.one.gamma=9"]).unwrap();
    let names: Vec<&str> = config.methods.iter().map(|method| method.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    let method = |name: &str| config.method(name).unwrap();
    let train = &method("two").train;
    assert_eq!((train.epochs, train.lr, train.gamma, method("two").seeds.as_slice()), (3, 0.5, 5.0, [7].as_slice()));
    assert_eq!(method("one").train.gamma, 9.0);
    assert_eq!(config.values.get("extends"), None);
}

#[test]
fn what_cannot_be_extended_is_refused_where_it_is_asked_for() {
    let circle = [("a.yaml", "study: s\nextends: b.yaml"), ("b.yaml", "extends: a.yaml")];
    assert!(load(&circle, &[]).unwrap_err().starts_with("b.yaml:1:10: extends: a.yaml builds on this file itself"));
    let error = load(&[("a.yaml", "extends: none.yaml")], &[]).unwrap_err();
    assert!(error.starts_with("a.yaml:1:10: extends: cannot read none.yaml: No such file"), "{error}");
    assert!(load(&[("a.yaml", "extends: [b.yaml]")], &[]).unwrap_err().contains("expected a YAML file"));
    assert!(load(&[("a.yaml", "study: s")], &["extends=b.yaml"]).unwrap_err().contains("belongs in the study's file"));
}

#[test]
fn every_fault_of_all_files_has_its_place() {
    let files = [
        ("own.yaml", "extends: base.yaml\nstudy: s\ntrain:\n  epoch: 12\n  lr: 0.1   # fine\n  loss: gama\n"),
        (
            "base.yaml",
            "train:\n  lr: fast\n  flip: 2\nclasses: [no, yes]\nphantom:\n  sites:\n    - {name: A, weight: 0}\n",
        ),
    ];
    let text = load(&files, &["train.gamma=-1"]).unwrap_err();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let expected = [
        "8 faults in the configuration",
        "--set train.gamma=-1: train.gamma: expected a number of at least 0, got -1",
        "base.yaml:3:9: train.flip: expected a number from 0 to 1, got 2",
        "base.yaml:4:11: classes.0: expected a text, got false; put a name in quotes",
        "base.yaml:4:15: classes.1: expected a text, got true; put a name in quotes",
        "base.yaml:7:7: phantom.sites.0.correlation is missing",
        "base.yaml:7:25: phantom.sites.0.weight: expected a number above 0, got 0",
        "own.yaml:4:3: unknown key train.epoch: did you mean train.epochs?",
        "own.yaml:6:9: train.loss: expected one of gamma, alpha, alpha-keep-att, alpha-map-only, alpha-map-vs-cls, abn, resnet18, \
         got \"gama\": did you mean gamma?",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn keys_given_twice_are_all_named() {
    let text = load(&[("a.yaml", "study: s\ntrain:\n  lr: 1\n  lr: 2\nstudy: t\n")], &[]).unwrap_err();
    assert!(text.contains("a.yaml:4:3: train.lr is given twice, first at 3:3; keep one"), "{text}");
    assert!(text.contains("a.yaml:5:1: study is given twice, first at 1:1; keep one"), "{text}");
}

#[test]
fn what_keys_ask_of_each_other_has_a_place_too() {
    let text = load(&[("a.yaml", "study: s\nreport:\n  positive: 2\n  proposed: none\n")], &[]).unwrap_err();
    assert!(text.contains("a.yaml:3:13: report.positive: expected the label of a class, 0 to 1, got 2"), "{text}");
    assert!(
        text.contains("a.yaml:4:13: report.proposed: expected a name of train.methods (conventional, proposed)"),
        "{text}"
    );
    let text = load(&[("a.yaml", "study: s\npaths: {data: x, reports: x/../x}\n")], &[]).unwrap_err();
    assert!(text.contains("a.yaml:2:27: paths.reports: expected another folder than paths.data, x"), "{text}");
    let text = load(&[("a.yaml", "study: s\npaths: {data: x, reports: x/s/3_runs}\n")], &[]).unwrap_err();
    assert!(text.contains("paths.reports: expected another folder than paths.data"), "{text}");
    let text = load(
        &[(
            "a.yaml",
            "study: s\ninstructions: avx2\ntrain:\n  methods: {conventional: {precision: bf16}, proposed: {}}\n",
        )],
        &[],
    );
    let text = text.unwrap_err();
    assert!(
        text.contains("a.yaml:4:39: train.methods.conventional.precision: expected f32 when instructions is avx2"),
        "{text}"
    );
    assert!(load(&[("a.yaml", "study: s\npaths: {data: x, reports: x-reports}\n")], &[]).is_ok());
    // What is read must not lie in what is written, nor the other way round.
    for (yaml, fault) in [
        ("preprocess: {input: data/s/1_masks/ct}", Some("a.yaml:2:21: preprocess.input: expected a folder apart from")),
        (
            "preprocess: {input: data/s}",
            Some("preprocess.input: expected a folder apart from what the study writes in data/s"),
        ),
        (
            "preprocess: {input: data/s/0_raw}\nphantom: {enabled: true}",
            Some("preprocess.input: expected a folder apart"),
        ),
        ("preprocess: {input: data/s/0_raw}", None),
        ("preprocess: {manifest: list.csv}", None),
    ] {
        let loaded = load(&[("a.yaml", &format!("study: s\n{yaml}\n"))], &[]);
        assert_eq!(loaded.as_ref().is_err(), fault.is_some(), "{yaml}");
        assert!(fault.is_none_or(|fault| loaded.as_ref().unwrap_err().contains(fault)), "{loaded:?}");
    }
}

#[test]
fn paths_alone_hold_variables_and_hashes_do_not_see_them() {
    // Cargo gives its tests the variable CARGO_PKG_NAME.
    let yaml = "study: s\nclasses: ['${CARGO_PKG_NAME}', b]\npaths: {data: '${NOBODY_SETS_THIS:-here}/d'}\npreprocess: {input: '${CARGO_PKG_NAME}/ct'}";
    let config = load(&[("a.yaml", yaml)], &["train.init=${CARGO_PKG_NAME}.safetensors"]).unwrap();
    assert_eq!(config.preprocess.input.as_deref(), Some(Path::new("contract/ct")));
    assert_eq!(config.paths.data, Path::new("here/d"));
    assert_eq!(config.methods[0].train.init.as_deref(), Some(Path::new("contract.safetensors")));
    assert_eq!(config.classes[0], "${CARGO_PKG_NAME}");
    let hashed = |config: &Config| contract::plan::preprocess(config).config;
    let other = load(&[("a.yaml", &yaml.replace("/ct", "/other"))], &[]).unwrap();
    assert_eq!(hashed(&config), hashed(&other));
    let text = load(&[("a.yaml", "study: s\npreprocess:\n  input: ${NOBODY_SETS_THIS}/ct")], &[]).unwrap_err();
    assert!(
        text.starts_with("a.yaml:3:10: preprocess.input: the environment variable NOBODY_SETS_THIS is not set"),
        "{text}"
    );
}

#[test]
fn one_value_has_one_spelling_and_what_changes_no_output_is_no_setting() {
    let run = |config: &Config| contract::plan::train(config, "proposed", 0, 0).config.to_string();
    let slices = |config: &Config| contract::plan::preprocess(config).config.to_string();
    let report = |config: &Config| contract::plan::report(config, 3).config.to_string();
    let [one, other] =
        ["train: {gamma: 1, lr: 1e-3}\npreprocess: {window_width_hu: 1500}", "train: {gamma: 1.0, lr: 0.001}"]
            .map(|yaml| load(&[("a.yaml", &format!("study: s\n{yaml}\n"))], &[]).unwrap());
    assert_eq!((run(&one), slices(&one)), (run(&other), slices(&other)));
    let saved = load(&[("a.yaml", "study: s\n")], &["train.checkpoint_epochs=5", "preprocess.threads=3"]).unwrap();
    let plain = load(&[("a.yaml", "study: s\n")], &[]).unwrap();
    assert_eq!((run(&saved), slices(&saved), report(&saved)), (run(&plain), slices(&plain), report(&plain)));
    // Checks decide whether there are slices, and are no part of them.
    let unchecked = load(&[("a.yaml", "study: s\n")], &["preprocess.check_units=false"]).unwrap();
    assert_ne!(slices(&unchecked), slices(&plain));
    assert_eq!(contract::plan::slices_hash(&unchecked), contract::plan::slices_hash(&plain));
    // The tables have the methods in the study's order, which flattened settings do not show.
    let order = |methods: &str| {
        let yaml = format!("study: s\ntrain: {{methods: {{{methods}}}}}\n");
        contract::config::flatten(&contract::plan::report(&load(&[("a.yaml", &yaml)], &[]).unwrap(), 3).config)
    };
    assert_ne!(
        order("conventional: {loss: gamma}, proposed: {loss: alpha}"),
        order("proposed: {loss: alpha}, conventional: {loss: gamma}")
    );
}

#[test]
fn the_schema_in_the_repository_is_up_to_date() {
    let file = std::fs::read_to_string(pipelines().join(schema::FILE)).unwrap();
    assert!(file == schema::text(), "run `chumoku schema > pipelines/{}`", schema::FILE);
}

#[test]
fn every_key_of_the_schema_has_a_meaning_and_the_check_knows_every_word_of_it() {
    /// Keywords that judge.rs reads, and those that say nothing of a value.
    const KNOWN: [&str; 22] = [
        "type",
        "properties",
        "additionalProperties",
        "propertyNames",
        "required",
        "items",
        "minItems",
        "uniqueItems",
        "minProperties",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "pattern",
        "oneOf",
        "anyOf",
        "enum",
        "const",
        "format",
        "description",
        "default",
        "title",
        "$schema",
    ];
    fn visit(node: &serde_json::Value, path: &str) {
        for (word, value) in node.as_object().unwrap() {
            assert!(KNOWN.contains(&word.as_str()), "{path}: {word}");
            if word == "properties" {
                for (key, below) in value.as_object().unwrap() {
                    let below_path = format!("{path}.{key}");
                    assert!(
                        below["description"].as_str().is_some_and(|text| text.len() > 3),
                        "{below_path}: no description"
                    );
                    visit(below, &below_path);
                }
            } else if ["items", "additionalProperties", "propertyNames"].contains(&word.as_str()) && value.is_object() {
                visit(value, &format!("{path}.{word}"));
            }
        }
    }
    visit(schema::schema(), "");
    let train = &schema::schema()["properties"]["train"]["properties"];
    assert_eq!(train["lr"]["default"], 0.0005);
    assert_eq!(train["flip"]["maximum"], 1.0);
}

#[test]
fn a_study_is_accepted_where_pythons_jsonschema_accepts_it() {
    // Verdicts of jsonschema 4.25.1 under the same schema: tools/schema_cases.py.
    let cases: BTreeMap<String, bool> = serde_json::from_str(include_str!("schema_cases.json")).unwrap();
    assert!(cases.len() >= 50);
    for (yaml, accepted) in cases {
        assert_eq!(
            load(&[("a.yaml", &yaml)], &[]).is_ok(),
            accepted,
            "{yaml}: {:?}",
            load(&[("a.yaml", &yaml)], &[]).err()
        );
    }
}
