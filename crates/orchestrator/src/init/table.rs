//! A CSV with patients and labels: which column is which, what classes there are, and the table as Chumoku reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use contract::config::schema;
use contract::schema::column;
use contract::user_table::{Audience, UserTable, UserTableError, value};
use serde_json::Value;

use super::InitArgs;
use super::ask::Asker;
use super::seen::Seen;
use crate::error::Error;

/// A column with more values is no label.
const MOST_CLASSES: usize = 12;

/// Ends the names of the tables that are written here.
pub(super) const CONVERTED: &str = "chumoku.csv";

/// A table in memory, whose columns are text.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    header: Vec<String>,
    /// The values by row; of a column that has no text, none.
    rows: Vec<Vec<Option<String>>>,
    table: UserTable,
}

impl Table {
    /// Reads a table with a header and at least one row.
    ///
    /// # Errors
    /// It cannot be read or has no rows.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let table = UserTable::read(path, &[], Audience::Owner).map_err(|error| Error::Init(error.to_string()))?;
        let header: Vec<String> = table.columns().iter().map(|column| column.name.clone()).collect();
        let row = |row| (0..header.len()).map(|at| table.text(row, at).unwrap_or_default()).collect();
        let rows = (0..table.rows()).map(row).collect();
        Ok(Self { path: path.to_owned(), header, rows, table })
    }

    /// The values of a column.
    pub fn values(&self, at: usize) -> Vec<&str> {
        self.rows.iter().map(|row| field(row, at)).collect()
    }

    /// The folder that paths are relative to.
    pub fn folder(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).to_owned()
    }

    /// The table's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The column whose values are files beside the table: `path`, or the first of which most are.
    pub fn file_column(&self) -> Option<usize> {
        let folder = self.folder();
        let are_files = |at: &usize| {
            let values = self.values(*at);
            let found = values.iter().filter(|value| !value.is_empty() && folder.join(value).is_file()).count();
            found * 2 > values.len()
        };
        self.table.find(column::PATH).ok().flatten().or_else(|| (0..self.header.len()).find(are_files))
    }

    /// What the table is, in words.
    pub fn words(&self) -> String {
        format!("{}: {} rows, columns {}", self.path.display(), self.rows.len(), self.header.join(", "))
    }

    /// Different values of a column, numbers by size.
    fn distinct(&self, at: usize) -> Vec<String> {
        let mut values: Vec<String> =
            self.values(at).into_iter().map(plain).collect::<BTreeSet<_>>().into_iter().collect();
        values.sort_by_key(|value| (value.parse::<i64>().unwrap_or(i64::MAX), value.clone()));
        values
    }

    /// Checks that at least one file of the column is there: else it names them in another way, or is another column.
    fn check_files(&self, file: usize) -> Result<(), Error> {
        let folder = self.folder();
        if self.values(file).iter().any(|value| !value.is_empty() && folder.join(value).is_file()) {
            return Ok(());
        }
        let backslash = self.values(file).iter().any(|value| value.contains('\\'));
        let advice = if backslash { "write paths with / and not \\" } else { "paths are relative to the table" };
        let (column, table, folder) = (&self.header[file], self.path.display(), folder.display());
        Err(Error::Init(format!(
            "{table}: no file of column \"{column}\" is in \"{folder}\"; {advice}, or give --path-column"
        )))
    }

    /// Checks what would make a study of a misread table: ids and labels that are missing, labels that differ only in their spelling.
    fn check(&self, patient: usize, label: usize) -> Result<(), Error> {
        let failed = |error: UserTableError| Error::Init(error.to_string());
        let ids = self.table.ids(patient).map_err(failed)?;
        ids.remarks.iter().for_each(|remark| contract::say!("warning: {remark}"));
        let mut spelt: BTreeMap<String, String> = BTreeMap::new();
        let mut of_patient: BTreeMap<&str, (String, usize)> = BTreeMap::new();
        for (row, id) in ids.values.iter().enumerate() {
            let value = plain(&self.table.filled(row, label).map_err(failed)?);
            let fault = |message| failed(self.table.fault(self.table.place(row), message));
            let folded = value.to_lowercase();
            // A class may be called none, a missing value may be, too.
            if value::is_missing(&value) && value != "none" {
                return Err(fault(format!(
                    "label \"{value}\" stands for a missing value; fill it or leave the row out"
                )));
            }
            let other = spelt.entry(folded).or_insert_with(|| value.clone());
            if *other != value {
                return Err(fault(format!(
                    "labels \"{other}\" and \"{value}\" differ only by case; write one of them"
                )));
            }
            let (known, first) = of_patient.entry(id).or_insert_with(|| (value.clone(), row));
            if *known != value {
                let first = self.table.place(*first);
                return Err(fault(format!(
                    "its patient has label \"{value}\" here and \"{known}\" in {first}; a patient has one label"
                )));
            }
        }
        Ok(())
    }

    /// Names that another column than `ids` has for the labels, one for each and no two the same.
    fn names(&self, label: usize, values: &[String], ids: &[usize]) -> Option<Vec<String>> {
        let of = |at: usize| {
            let mut names: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
            for (label, name) in self.values(label).into_iter().zip(self.values(at)) {
                names.entry(plain(label)).or_default().insert(name);
            }
            let all: BTreeSet<&str> = names.values().flatten().copied().collect();
            let are_names = all.iter().all(|name| !name.is_empty() && name.parse::<f64>().is_err());
            let one = |value: &String| names.get(value.as_str())?.first().map(|name| (*name).to_owned());
            let is_pair = names.values().all(|names| names.len() == 1) && all.len() == values.len();
            if are_names && is_pair { values.iter().map(one).collect() } else { None }
        };
        (0..self.header.len()).filter(|at| *at != label && !ids.contains(at)).find_map(of)
    }

    /// The column of that meaning: as the flag says, as it is called, as it looks, or as the answer says.
    fn column(
        &self,
        name: &str,
        flag: &str,
        given: Option<&str>,
        asker: &Asker,
        looks: &dyn Fn(usize) -> bool,
    ) -> Result<usize, Error> {
        let called = self.table.find(name).map_err(|error| Error::Init(error.to_string()))?.map(|at| &self.header[at]);
        let mut alike = (0..self.header.len()).filter(|at| looks(*at));
        // One that looks so is a good guess, one of several is none.
        let guess = called.or_else(|| alike.next().filter(|_| alike.next().is_none()).map(|at| &self.header[at]));
        let given = given.or(called.map(String::as_str));
        asker.choose(&format!("column of {name}"), given, guess.map(String::as_str), &self.header, flag)
    }
}

/// The table that will be made of a manifest whatever is answered, since the manifest lacks a column of ours.
pub(super) fn converted(seen: &Seen) -> Option<PathBuf> {
    let Seen::Manifest { table } = seen else { return None };
    let lacks = |name: &&str| !table.table.find(name).is_ok_and(|found| found.is_some());
    [column::PATH, column::PATIENT_ID, column::LABEL].iter().any(lacks).then(|| table.path.with_extension(CONVERTED))
}

/// Patients and labels, understood.
pub(super) struct Labelled {
    /// Class names by index.
    pub classes: Vec<String>,
    /// Patients of each class.
    pub patients: Vec<usize>,
    /// Values of the label column, in the order of the classes.
    values: Vec<String>,
    /// Columns: file (of a manifest), patient, label.
    columns: (Option<usize>, usize, usize),
}

impl Labelled {
    /// Finds columns and classes; for synthetic CT those of the flags or the usual two.
    ///
    /// # Errors
    /// A column or the classes cannot be told.
    pub fn of(args: &InitArgs, seen: &Seen, asker: &Asker) -> Result<Self, Error> {
        let Some(table) = seen.table() else {
            let usual = || {
                schema::default("classes")
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            };
            let classes = args.classes.clone().unwrap_or_else(usual);
            return Ok(Self { patients: Vec::new(), values: Vec::new(), columns: (None, 0, 0), classes });
        };
        let named = |at: usize, words: &[&str]| words.iter().any(|word| table.header[at].to_lowercase().contains(word));
        let file = match seen {
            Seen::Manifest { .. } => {
                let given = args.path_column.as_deref();
                Some(table.column(column::PATH, "--path-column", given, asker, &|at| table.file_column() == Some(at))?)
            }
            _ => None,
        };
        file.map_or(Ok(()), |file| table.check_files(file))?;
        let looks = |at: usize| named(at, &["patient", "subject", "case"]);
        let patient =
            table.column(column::PATIENT_ID, "--patient-column", args.patient_column.as_deref(), asker, &looks)?;
        let few = |at: usize| (2..=MOST_CLASSES).contains(&table.distinct(at).len());
        let looks = |at: usize| {
            at != patient && Some(at) != file && few(at) && (named(at, &["label", "class", "diagnos", "target"]))
        };
        let label = table.column(column::LABEL, "--label-column", args.label_column.as_deref(), asker, &looks)?;
        table.check(patient, label)?;
        let values = table.distinct(label);
        if !(2..=MOST_CLASSES).contains(&values.len()) {
            let text = format!(
                "column \"{}\" of {} has {} different values, expected 2 to {MOST_CLASSES} classes; give --label-column",
                table.header[label],
                table.path.display(),
                values.len()
            );
            return Err(Error::Init(text));
        }
        let ids: Vec<usize> = file.into_iter().chain([patient]).collect();
        let classes = classes(args, &values, table.names(label, &values, &ids).as_deref(), asker)?;
        let patients = patients(table, &values, patient, label);
        Ok(Self { classes, patients, values, columns: (file, patient, label) })
    }

    /// Whether preprocess reads the table as it is: its columns and labels are those of the contract.
    fn is_plain(&self, table: &Table) -> bool {
        let (file, patient, label) = self.columns;
        let called = |at: usize, name: &str| table.table.find(name).is_ok_and(|found| found == Some(at));
        let means = |(at, value): (usize, &String)| contract::label::parse(value, &self.classes) == Ok(at);
        called(patient, column::PATIENT_ID)
            && called(label, column::LABEL)
            && file.is_none_or(|file| called(file, column::PATH))
            && self.values.iter().enumerate().all(means)
    }

    /// Where the table as preprocess reads it belongs, unless it is so already: a manifest beside the table, whose folder its paths are
    /// relative to and whose files a run watches; labels beside the study.
    pub fn place(&self, seen: &Seen, out: &Path) -> Option<PathBuf> {
        let table = seen.table().filter(|table| !self.is_plain(table))?;
        let beside = if self.columns.0.is_some() { &table.path } else { out };
        Some(beside.with_extension(CONVERTED))
    }

    /// What a class is called in the table: its index, or its name where an index could be another's name.
    fn word(&self, class: usize) -> String {
        let index = class.to_string();
        if contract::label::parse(&index, &self.classes) == Ok(class) { index } else { self.classes[class].clone() }
    }

    /// Writes the table as preprocess reads it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, seen: &Seen, to: &Path) -> Result<(), Error> {
        let Some(table) = seen.table() else { return Ok(()) };
        let failed =
            |error: csv::Error| Error::Io { path: to.to_owned(), source: std::io::Error::other(error.to_string()) };
        let mut writer = csv::Writer::from_path(to).map_err(failed)?;
        let (file, patient, label) = self.columns;
        let header = [file.map(|_| column::PATH), Some(column::PATIENT_ID), Some(column::LABEL)];
        writer.write_record(header.into_iter().flatten()).map_err(failed)?;
        for row in &table.rows {
            let class = self.values.iter().position(|value| *value == plain(field(row, label))).unwrap_or_default();
            let class = self.word(class);
            let record = [file.map(|file| field(row, file)), Some(field(row, patient)), Some(class.as_str())];
            writer.write_record(record.into_iter().flatten()).map_err(failed)?;
        }
        writer.flush().map_err(|source| Error::Io { path: to.to_owned(), source })
    }
}

/// The value of a row in a column.
fn field(row: &[Option<String>], at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// A label as it is compared: of a whole number that is a float the integer.
fn plain(label: &str) -> String {
    value::integer(label).map_or_else(|_| label.to_owned(), |number| number.to_string())
}

/// Names of the classes: the flag's, the labels' own, or asked where labels are numbers; `known` are a guess at the answers.
fn classes(args: &InitArgs, values: &[String], known: Option<&[String]>, asker: &Asker) -> Result<Vec<String>, Error> {
    if let Some(given) = &args.classes {
        if given.len() == values.len() {
            return Ok(given.clone());
        }
        let text = format!(
            "--classes: expected {} names, for the labels {}, got {}",
            values.len(),
            values.join(", "),
            given.len()
        );
        return Err(Error::Usage(text));
    }
    let name = |(at, value): (usize, &String)| match value.parse::<i64>() {
        Ok(_) => {
            let guess = known.map_or_else(|| format!("class{value}"), |known| known[at].clone());
            asker.ask(&format!("name of class {value}"), None, Some(&guess), "--classes")
        }
        Err(_) => Ok(value.clone()),
    };
    values.iter().enumerate().map(name).collect()
}

/// Patients by the index of their label's value.
fn patients(table: &Table, values: &[String], patient: usize, label: usize) -> Vec<usize> {
    let mut found: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (label, patient) in table.values(label).into_iter().zip(table.values(patient)) {
        found.entry(plain(label)).or_default().insert(patient);
    }
    values.iter().map(|value| found.get(value.as_str()).map_or(0, BTreeSet::len)).collect()
}
