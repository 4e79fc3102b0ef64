//! Event files read back by TensorBoard's own code in Python.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use train::tensorboard::{self, Scalar};

/// Python with tensorboard, which `make test` provides.
const PYTHON: &str = "CHUMOKU_TENSORBOARD_PYTHON";

#[test]
fn tensorboard_reads_what_was_written() {
    let Some(python) = std::env::var_os(PYTHON) else {
        eprintln!("skipped: {PYTHON} names no Python with tensorboard (make test sets it)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let scalar = |step, wall_time, tag: &str, value| Scalar { step, wall_time, tag: tag.to_owned(), value };
    // A first file that the second one replaces: an event file left behind would be read as well.
    tensorboard::write(folder.path(), &[scalar(1, 5.0, "loss/total", 9.0)]).unwrap();
    let written = [
        scalar(1, 1_700_000_000.5, "loss/total", 0.75),
        scalar(1, 1_700_000_000.5, "lr", 0.5),
        scalar(300, 1_700_000_009.25, "loss/total", -0.125),
    ];
    tensorboard::write(folder.path(), &written).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/read_tensorboard.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "loss/total": [[1, 1_700_000_000.5, 0.75], [300, 1_700_000_009.25, -0.125]], "lr": [[1, 1_700_000_000.5, 0.5]],
    });
    assert_eq!(found, expected);
}
