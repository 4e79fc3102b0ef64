//! tables.tex through pdfLaTeX, by itself and inside a paper, for a study whose names are as hostile as names can be.

mod fake;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fake::Fake;
use report::render::latex;
use report::tables::{Block, Place, Table};
use tempfile::TempDir;

/// Whether pdfLaTeX is here; a test without it says that it is skipped.
fn has_pdflatex() -> bool {
    let found =
        Command::new("pdflatex").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: no pdflatex on this machine (Debian: texlive-latex-base)");
    }
    found
}

/// Compiles a file of `folder` and returns the log. It must have no error, and no line that is wider than the page by more
/// than a few letters.
fn compile(folder: &Path, name: &str) -> String {
    let output = Command::new("pdflatex")
        .args(["-interaction=nonstopmode", "-halt-on-error", name])
        .current_dir(folder)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && fs::metadata(folder.join(name).with_extension("pdf")).unwrap().len() > 1000,
        "{log}"
    );
    for line in log.lines().filter(|line| line.starts_with("Overfull \\hbox")) {
        let points: f64 = line.split_once('(').unwrap().1.split_once("pt").unwrap().0.parse().unwrap();
        assert!(points < 10.0, "{line}\n{log}");
    }
    assert!(!log.contains("Float too large"), "{log}");
    log
}

/// A paper that takes the tables in, with a language that makes quotes a command where babel has it.
const PAPER: &str = "\\documentclass{article}\n\\begin{document}\n\\listoftables\nText, and Table~\\ref{tab:table1}.\n\
                     \\input{tables}\nMore text.\n\\end{document}\n";

fn both_ways(folder: &Path) {
    compile(folder, "tables.tex");
    fs::write(folder.join("paper.tex"), PAPER).unwrap();
    compile(folder, "paper.tex");
    // The second run reads the captions back from the list of tables.
    let log = compile(folder, "paper.tex");
    assert!(!log.contains("There were undefined references"), "{log}");
}

const HOSTILE: [&str; 3] =
    [r##"a_b%&#${}~^\<>|`'""##, "Ärzte: größer — ‘naïve’, čeština, Łódź, œuvre", "肺炎 注目 µ±α Ж 😀 a--b ,,c''"];

#[test]
fn a_study_with_hostile_names_compiles() {
    if !has_pdflatex() {
        return;
    }
    let root = TempDir::new().unwrap();
    let methods =
        vec![("conventional", "gamma"), ("pro_po-sed__with-a-name-of-many-letters-and_under_scores_in_it", "alpha")];
    Fake { methods, seeds: vec![0, 1], classes: 3, reversed: false, ..Fake::default() }.write(root.path());
    let classes = serde_json::to_string(&HOSTILE).unwrap();
    let proposed = "report.proposed=pro_po-sed__with-a-name-of-many-letters-and_under_scores_in_it";
    let output = assert_cmd::Command::cargo_bin("chumoku-report")
        .unwrap()
        .current_dir(root.path())
        .args(["--config", "study.yaml", "--progress", "none", "--set", proposed, "--set"])
        .arg(format!("classes={classes}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).lines().all(|line| line.chars().count() <= 80));
    both_ways(&root.path().join("reports/fake"));
    keep(&root.path().join("reports/fake"));
}

/// Copies a compiled folder to where a person asked for it, to look at.
fn keep(folder: &Path) {
    let Some(place) = std::env::var_os("CHUMOKU_KEEP_TEX").map(std::path::PathBuf::from) else { return };
    fs::create_dir_all(&place).unwrap();
    for name in ["tables.tex", "tables.pdf", "paper.pdf", "tables.md", "summary.txt"] {
        fs::copy(folder.join(name), place.join(name)).unwrap();
    }
}

/// Every letter below U+2600 that is printed, in a table whose cells, names and notes are all of them.
#[test]
fn every_character_compiles() {
    if !has_pdflatex() {
        return;
    }
    let letters: Vec<char> = (0x20..0x2600).filter_map(char::from_u32).filter(|c| !c.is_control()).collect();
    let row = |chunk: &[char]| vec![chunk.iter().take(8).collect::<String>(), chunk.iter().skip(8).collect()];
    let rows = letters.chunks(16).take(60).map(row).collect();
    let notes = letters.chunks(60).map(|chunk| chunk.iter().flat_map(|c| [*c, ' ']).collect()).collect();
    let title = format!("Table 1. {}", HOSTILE.join(" "));
    let head = HOSTILE[..2].iter().map(|name| (*name).to_owned()).collect();
    let blocks = vec![Block { title: HOSTILE[2].to_owned(), rows }];
    let folder = TempDir::new().unwrap();
    let table = Table { id: "table1", place: Place::Paper, title, head, blocks, notes };
    fs::write(folder.path().join("tables.tex"), latex(&[table])).unwrap();
    let log = String::from_utf8_lossy(
        &Command::new("pdflatex")
            .args(["-interaction=nonstopmode", "-halt-on-error", "tables.tex"])
            .current_dir(folder.path())
            .output()
            .unwrap()
            .stdout,
    )
    .into_owned();
    assert!(folder.path().join("tables.pdf").exists() && !log.contains("\n! "), "{log}");
}
