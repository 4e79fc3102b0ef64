//! The plan of a study as a Snakefile: a rule a task, receipts as the files by which rules find each other.

use std::ffi::OsStr;
use std::path::Path;

use contract::layout::RECEIPT;
use contract::plan::{Input, Part, Task};

use crate::graph::Graph;
use crate::programs::Programs;
use crate::slurm::{script, submit};
use crate::stage;

/// The Snakefile of the study at `file` with the overrides `set`.
pub fn text(graph: &Graph, programs: &Programs, file: &Path, set: &[String]) -> String {
    let mut text =
        "# Made by `chumoku run STUDY.yaml --export snakemake`; after a change of the study make it anew.\n".to_owned();
    let wanted: Vec<String> = graph.tasks().iter().map(receipt).collect();
    // The last task needs all others.
    text.push_str(&format!("rule all:\n    input: {}\n", wanted.last().map_or("", String::as_str)));
    for (at, task) in graph.tasks().iter().enumerate() {
        let made = graph.needs(at).iter().map(|other| wanted[*other].clone());
        let makes = |path: &Path| graph.makers(at, path).next().is_some();
        let is_given = |input: &&Input| input.part != Part::Listed && !makes(&input.path) && input.path.is_file();
        let given = task.inputs.iter().filter(is_given).map(|input| python(&input.path.to_string_lossy()));
        let inputs: Vec<String> = made.chain(given).collect();
        let arguments = stage::arguments(file, set, task);
        let program: &OsStr = programs.path(task.stage).as_os_str();
        let words = std::iter::once(program).chain(arguments.iter().map(|word| word.as_os_str()));
        // Braces are Snakemake's.
        let command = words.map(script::quoted).collect::<Vec<_>>().join(" ").replace('{', "{{").replace('}', "}}");
        let name: String = task.id.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect();
        text.push_str(&format!("\nrule t{at}_{name}:\n"));
        if !inputs.is_empty() {
            text.push_str(&format!("    input: {}\n", inputs.join(", ")));
        }
        text.push_str(&format!("    output: {}\n", wanted[at]));
        text.push_str(&format!("    threads: {}\n", submit::cores(task).unwrap_or(1)));
        text.push_str(&format!("    shell: {}\n", python(&command)));
    }
    text
}

fn receipt(task: &Task) -> String {
    python(&task.output.join(RECEIPT).to_string_lossy())
}

/// A string of Python: those of JSON are.
fn python(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
