//! The CSV files of a report. Percent with one decimal, other numbers with three; what is undefined is empty.
//! Tables 1 and 2 are written as JSON as well, the same rows under the same names.

use serde_json::{Map, Value, json};

use crate::assess::{Assessment, MethodResult, Part};
use crate::comparison::{Comparison, Level};
use crate::estimate::Estimate;
use crate::format;
use crate::measure::Measure;
use crate::metrics::Metric;
use crate::ordered::Ordered;
use crate::paper;
use crate::pool::{REVERSED_PATIENTS, REVERSED_SLICES};
use crate::quantity::Quantity;
use crate::tables::PATIENT_COLUMNS;

/// A row of a CSV table before it is written: source, method, fold, seed, slices, patients, values.
struct Line<'a> {
    method: &'a str,
    fold: String,
    seed: String,
    count: u64,
    values: &'a Ordered<Estimate>,
}

fn lines<'a>(assessment: &'a Assessment, slices: bool) -> Vec<Line<'a>> {
    const ALL: &str = "all";
    let level = |part: &'a Part| if slices { (part.slices, &part.slice) } else { (part.patients, &part.patient) };
    let counts = if slices { &assessment.slices } else { &assessment.patients };
    let total = counts.0.iter().map(|(_, count)| count).sum();
    let mut lines = Vec::new();
    for (method, result) in &assessment.methods.0 {
        let values = if slices { &result.slice } else { &result.patient };
        lines.push(Line { method, fold: ALL.to_owned(), seed: ALL.to_owned(), count: total, values });
        let per_seed = result.per_seed.iter().filter(|_| result.seeds.len() > 1);
        for part in per_seed.chain(&result.per_fold) {
            let (count, values) = level(part);
            let fold = part.fold.map_or(ALL.to_owned(), |fold| fold.to_string());
            lines.push(Line { method, fold, seed: part.seed.to_string(), count, values });
        }
    }
    lines
}

/// Rows under names.
struct Sheet {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    fn csv(self) -> String {
        csv_text(self.head, self.rows)
    }

    /// An object a row: numbers as such, null where a cell is empty, anything else as text.
    fn json(self) -> Value {
        let value = |cell: String| match (cell.is_empty(), serde_json::from_str::<serde_json::Number>(&cell)) {
            (true, _) => Value::Null,
            (false, Ok(number)) => Value::Number(number),
            (false, Err(_)) => Value::String(cell),
        };
        let Self { head, rows } = self;
        let row = |cells: Vec<String>| head.iter().cloned().zip(cells.into_iter().map(value)).collect::<Map<_, _>>();
        Value::Array(rows.into_iter().map(|cells| Value::Object(row(cells))).collect())
    }
}

/// tables.json: the rows of Tables 1 and 2, the study's and the paper's, under the names of the CSV files' columns.
pub fn tables_json(assessment: &Assessment) -> String {
    let tables = json!({"table1": slices(assessment).json(), "table2": patients(assessment).json()});
    format!("{tables:#}\n")
}

fn csv_text(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let quote = |cell: &String| {
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(",") + "\n";
    std::iter::once(&head).chain(&rows).map(line).collect()
}

/// Low and high end in the quantity's unit; empty where there is no interval.
fn ends(quantity: impl Into<Quantity>, estimate: Option<&Estimate>) -> [String; 2] {
    let (quantity, ends) = (quantity.into(), estimate.and_then(Estimate::ends));
    ends.map_or([String::new(), String::new()], |(low, high)| [low, high].map(|end| format::number(quantity, end)))
}

/// table1.csv: slices. Percent with one decimal, AUC with three; an undefined value is empty.
pub fn table1(assessment: &Assessment) -> String {
    slices(assessment).csv()
}

fn slices(assessment: &Assessment) -> Sheet {
    let mut head = ["source", "method", "fold", "seed", "slices"].map(str::to_owned).to_vec();
    for metric in Metric::TABLE {
        let unit = if metric.is_percent() { "_percent" } else { "" };
        head.extend([
            format!("{}{unit}", metric.key()),
            format!("{}_low", metric.key()),
            format!("{}_high", metric.key()),
        ]);
    }
    let row = |line: Line| {
        let mut row = vec!["study".to_owned(), line.method.to_owned(), line.fold, line.seed, line.count.to_string()];
        for metric in Metric::TABLE {
            let estimate = line.values.get(metric.key());
            row.push(estimate.and_then(Estimate::defined).map_or(String::new(), |value| format::number(metric, value)));
            row.extend(ends(metric, estimate));
        }
        row
    };
    let mut rows: Vec<Vec<String>> = lines(assessment, true).into_iter().map(row).collect();
    for known in paper::TABLE_1 {
        let mut row = ["paper", known.method, "all", "", &paper::SLICES.to_string()].map(str::to_owned).to_vec();
        let percent = [known.accuracy, known.sensitivity, known.specificity].map(|value| format::fixed(value, 1));
        for value in percent.into_iter().chain([format::fixed(known.auc, 3)]) {
            row.extend([value, String::new(), String::new()]);
        }
        rows.push(row);
    }
    Sheet { head, rows }
}

/// table2.csv: patients, fractions with Wilson's interval in percent; an undefined value is empty.
pub fn table2(assessment: &Assessment) -> String {
    patients(assessment).csv()
}

fn patients(assessment: &Assessment) -> Sheet {
    let mut head = ["source", "method", "fold", "seed", "patients"].map(str::to_owned).to_vec();
    for (name, _) in PATIENT_COLUMNS {
        head.extend([name.to_owned(), format!("{name}_low_percent"), format!("{name}_high_percent")]);
    }
    let row = |line: Line| {
        let mut row = vec!["study".to_owned(), line.method.to_owned(), line.fold, line.seed, line.count.to_string()];
        for (_, metric) in PATIENT_COLUMNS {
            let estimate = line.values.get(metric.key());
            let fraction = estimate.filter(|estimate| estimate.value.is_ok()).and_then(|estimate| estimate.fraction);
            row.push(fraction.map_or(String::new(), |(correct, total)| format!("{correct}/{total}")));
            row.extend(ends(metric, estimate));
        }
        row
    };
    let mut rows: Vec<Vec<String>> = lines(assessment, false).into_iter().map(row).collect();
    for known in paper::TABLE_2 {
        let mut row = ["paper", known.method, "all", "", &paper::PATIENTS.to_string()].map(str::to_owned).to_vec();
        for (correct, total) in [known.diagnosis, known.sensitivity, known.specificity] {
            row.extend([format!("{correct}/{total}"), String::new(), String::new()]);
        }
        rows.push(row);
    }
    Sheet { head, rows }
}

/// Value, low and high end.
fn three(quantity: Quantity, estimate: Option<&Estimate>) -> Vec<String> {
    let value = estimate.and_then(Estimate::defined).map_or(String::new(), |value| format::number(quantity, value));
    [vec![value], ends(quantity, estimate).to_vec()].concat()
}

/// Heads of the cells of [`versus`].
const VERSUS: [&str; 6] = ["difference", "difference_low", "difference_high", "p", "p_holm", "seeds_of_the_difference"];

/// A comparison's difference with its ends, p, p after Holm's correction, and seeds. p with six decimals.
fn versus(entry: Option<&Comparison>) -> Vec<String> {
    let Some(entry) = entry else { return vec![String::new(); VERSUS.len()] };
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format::number(entry.quantity, value));
    let p = |value: Option<f64>| value.map_or(String::new(), |p| format::fixed(p, 6));
    let ends = entry.interval.as_ref().ok();
    vec![
        number(entry.difference.as_ref().ok().copied()),
        number(ends.map(|ends| ends.0)),
        number(ends.map(|ends| ends.1)),
        p(entry.p),
        p(entry.p_holm),
        entry.seeds.iter().map(i64::to_string).collect::<Vec<_>>().join(" "),
    ]
}

/// The comparison of a method with the one that all are compared with.
fn with_first<'a>(
    assessment: &'a Assessment,
    name: &str,
    level: Level,
    quantity: impl Into<Quantity>,
) -> Option<&'a Comparison> {
    assessment.comparison((assessment.first_pair()?.0, name), level, quantity)
}

/// attention.csv: a row a method and measure, with its difference to the method compared with. None if nothing was measured.
pub fn attention(assessment: &Assessment) -> Option<String> {
    let measured = |(_, result): &&(String, MethodResult)| result.attention.is_some();
    assessment.methods.0.iter().find(measured)?;
    let row = |(name, result): &(String, MethodResult), measure: Measure| {
        let estimate = result.attention.as_ref()?.get(measure.key())?;
        let unit = if measure.is_percent() { "percent" } else { "" };
        let own = [name, measure.key(), unit, &estimate.n.to_string()].map(str::to_owned).to_vec();
        let versus = versus(with_first(assessment, name, Level::Attention, measure));
        Some([own, three(measure.into(), Some(estimate)), versus].concat())
    };
    let rows = assessment.methods.0.iter().flat_map(|method| Measure::ALL.map(|measure| row(method, measure)));
    let head = ["method", "measure", "unit", "slices", "value", "low", "high"].into_iter().chain(VERSUS);
    Some(csv_text(head.map(str::to_owned).collect(), rows.flatten().collect()))
}

/// reversed.csv: a row a method and metric: as it was, reversed, the fall, and the fall's difference to the method compared
/// with. None if the study did not ask for it.
pub fn reversed(assessment: &Assessment) -> Option<String> {
    let asked = |(_, result): &&(String, MethodResult)| result.reversed.is_some();
    assessment.methods.0.iter().find(asked)?;
    let row = |(name, result): &(String, MethodResult), level: Level, metric: Metric| {
        let reversed = result.reversed.as_ref()?;
        let sets = match level {
            Level::FallSlice => [&result.slice, &reversed.slice, &reversed.fall_slice],
            _ => [&result.patient, &reversed.patient, &reversed.fall_patient],
        };
        let kind = if level == Level::FallSlice { "slice" } else { "patient" };
        let unit = if metric.is_percent() { "percent" } else { "" };
        let own = [name, kind, metric.key(), unit].map(str::to_owned).to_vec();
        let values = sets.map(|values| three(metric.into(), values.get(metric.key()))).concat();
        Some([own, values, versus(with_first(assessment, name, level, metric))].concat())
    };
    let slices = REVERSED_SLICES.map(|metric| (Level::FallSlice, metric));
    let all: Vec<_> = slices.into_iter().chain(REVERSED_PATIENTS.map(|metric| (Level::FallPatient, metric))).collect();
    let rows =
        assessment.methods.0.iter().flat_map(|method| all.iter().map(|(level, metric)| row(method, *level, *metric)));
    let mut head = ["method", "level", "metric", "unit"].map(str::to_owned).to_vec();
    for set in ["standard", "reversed", "fall"] {
        head.extend([set.to_owned(), format!("{set}_low"), format!("{set}_high")]);
    }
    head.extend(VERSUS.map(|name| format!("fall_{name}")));
    Some(csv_text(head, rows.flatten().collect()))
}

/// comparisons.csv: every comparison. None if there is none.
pub fn comparisons(assessment: &Assessment) -> Option<String> {
    assessment.comparisons.first()?;
    let row = |entry: &Comparison| {
        let unit = if entry.quantity.is_percent() { "percent" } else { "" };
        let own = [&entry.a, &entry.b, entry.level.title(), entry.quantity.key(), unit].map(str::to_owned).to_vec();
        [own, versus(Some(entry)), vec![entry.test.to_owned()]].concat()
    };
    let head = ["a", "b", "level", "metric", "unit"].into_iter().chain(VERSUS).chain(["test"]);
    Some(csv_text(head.map(str::to_owned).collect(), assessment.comparisons.iter().map(row).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(csv_text(vec!["a\rb".into()], vec![vec!["1".into()]]), "\"a\rb\"\n1\n");
        assert_eq!(csv_text(vec!["a,b".into()], vec![vec!["\"".into()]]), "\"a,b\"\n\"\"\"\"\n");
    }

    #[test]
    fn json_has_the_cells_by_name() {
        let cells = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let rows = vec![cells(["a", "83.1", "299/346", ""])];
        let found = Sheet { head: cells(["method", "accuracy_percent", "diagnosis", "auc"]), rows }.json();
        assert_eq!(found, json!([{"method": "a", "accuracy_percent": 83.1, "diagnosis": "299/346", "auc": null}]));
    }
}
