//! report.html in a real browser: made by the real binary, opened and used in headless Chromium by tools/browser/check.mjs.
//!
//! Needs node, the packages of tools/browser (`make browser`) and Chromium: CHUMOKU_CHROMIUM, or one of the usual names on PATH.
//! CHUMOKU_PICTURES names a folder for pictures of the page; CHUMOKU_REPORT another report to use, where colours are not compared.

mod fake;

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use contract::attention::{bilinear, over, side};
use fake::{Fake, SIZE, map, picture};
use serde_json::{Value, json};
use tempfile::TempDir;

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::var_os("CHUMOKU_CHROMIUM").map(PathBuf::from).or_else(|| names.into_iter().find_map(on_path))
}

/// node, Chromium and the folder of the script; or what is missing.
fn tools() -> Result<(PathBuf, PathBuf, PathBuf), &'static str> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/browser");
    let node = on_path("node").ok_or("no node on PATH")?;
    let chromium = chromium().ok_or("no Chromium: CHUMOKU_CHROMIUM names none and none is on PATH")?;
    if !folder.join("node_modules/playwright-core").is_dir() {
        return Err("no packages in tools/browser: run make browser");
    }
    Ok((node, chromium, folder))
}

/// The colours that attention must have at some pixels of every slice.
fn colours(fake: &Fake) -> Value {
    let map = map();
    let map_side = side(&map).unwrap();
    let places: Vec<(usize, usize)> =
        (4..SIZE).step_by(11).flat_map(|row| [9, 20, 32, 43, 55].map(|x| (row, x))).collect();
    let of_slice = |(index, slice): (usize, &fake::Slice)| {
        let (image, _) = picture(index, slice.label);
        let colour = |(row, column): &(usize, usize)| {
            let value = bilinear(&map, map_side, (*row, *column), (SIZE, SIZE));
            json!([row, column, over(image[row * SIZE + column], value)])
        };
        (slice.id.clone(), places.iter().map(colour).collect::<Value>())
    };
    let slices: serde_json::Map<String, Value> = fake.slices().iter().enumerate().map(of_slice).collect();
    json!({ "size": SIZE, "slices": slices })
}

#[test]
fn the_report_is_used_in_chromium() {
    let (node, chromium, folder) = match tools() {
        Ok(tools) => tools,
        Err(missing) => {
            // Past the test harness, which keeps what a passing test prints.
            writeln!(std::io::stderr(), "skipped: the report in a browser: {missing}").unwrap();
            return;
        }
    };
    let root = TempDir::new().unwrap();
    let methods = vec![("conventional", "gamma"), ("proposed", "alpha"), ("abn", "abn"), ("plain", "resnet18")];
    let fake = Fake { methods, slices_per_patient: 5, seeds: vec![0, 1], ..Fake::default() };
    fake.write(root.path());
    let mut report = assert_cmd::Command::cargo_bin("chumoku-report").unwrap();
    report.current_dir(root.path()).args(["--config", "study.yaml", "--progress", "none"]).assert().success();
    fs::write(root.path().join("colours.json"), colours(&fake).to_string()).unwrap();

    let mut check = Command::new(node);
    check.arg(folder.join("check.mjs")).arg(chromium);
    match env::var_os("CHUMOKU_REPORT") {
        Some(other) => check.arg(other),
        None => check
            .arg(root.path().join("reports/fake/report.html"))
            .arg("--colours")
            .arg(root.path().join("colours.json")),
    };
    if let Some(pictures) = env::var_os("CHUMOKU_PICTURES") {
        check.arg("--pictures").arg(pictures);
    }
    let output = check.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
}
