//! Tables that users bring: predictions, manifests, labels, splits, lesions; as CSV of any program or as Parquet.
//!
//! What is meant without doubt is read, whoever wrote it: separators, encodings and compression are found by content, types by their
//! values. All else is refused with the column, the line or row, what was found and what to do; nothing here ever advises to delete
//! a file. What had to be guessed is a remark. The stages' own files are not read here but by [`crate::table`].

pub mod alike;
mod bytes;
mod column;
mod columnar;
mod delimited;
pub mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use column::{Cell, Column, Values};
use columnar::Columnar;

/// Rows of a Parquet file that are decoded at a time.
const ROWS_AT_A_TIME: usize = 8192;
/// Names of columns in one message.
const NAMED: usize = 30;

/// Who reads the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The owner of the table, at a terminal: ids may be shown.
    Owner,
    /// Whoever sees the log of a study: ids are shown as lines.
    Log,
}

/// Where in a table something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nowhere in particular.
    File,
    /// A line of a file of text, from 1; the head is one.
    Line(u64),
    /// A row of a Parquet file, from 1.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Row(row) => write!(formatter, "row {row}"),
        }
    }
}

/// Why a user's table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UserTableError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path}{}{message}", separated(*place, message))]
    Fault {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What was found, what was expected, and what to do.
        message: String,
    },
}

/// What stands between the file and the message: nothing but a blank where the message says what the file is.
fn separated(place: Place, message: &str) -> String {
    match place {
        Place::File if message.starts_with("column ") => ": ".to_owned(),
        Place::File => " ".to_owned(),
        place => format!(", {place}: "),
    }
}

/// A table in memory.
#[derive(Debug)]
pub struct UserTable {
    path: PathBuf,
    audience: Audience,
    columns: Vec<Column>,
    places: Places,
}

/// Where the rows are.
#[derive(Debug)]
enum Places {
    /// The line of the head, and of each row.
    Lines(u64, Vec<u64>),
    /// The first row, from 1, and their number.
    Rows(u64, usize),
}

/// Ids of a column, and what is to be told about them.
#[derive(Debug, PartialEq, Eq)]
pub struct Ids {
    /// An id for each row.
    pub values: Vec<String>,
    /// What had to be guessed, and what looks like a mistake.
    pub remarks: Vec<String>,
}

impl UserTable {
    /// Reads a table with a head and at least one row. Of a Parquet file only the columns `wanted` are read, all if none is named.
    ///
    /// # Errors
    /// The file cannot be read, is no table, or has no row.
    pub fn read(path: &Path, wanted: &[&str], audience: Audience) -> Result<Self, UserTableError> {
        let table = if Self::is_parquet(path)? {
            Self::read_parquet(path, wanted, audience)?
        } else {
            Self::read_text(path, audience)?
        };
        match table.rows() {
            0 => Err(table.fault(Place::File, "has no rows; expected a row for each item below the head".to_owned())),
            _ => Ok(table),
        }
    }

    /// Whether the file is Parquet, by its content.
    ///
    /// # Errors
    /// It is no file, or cannot be read.
    pub fn is_parquet(path: &Path) -> Result<bool, UserTableError> {
        let failed = |source| UserTableError::Io { path: path.to_owned(), source };
        if path.is_dir() {
            let message =
                "is a folder, expected one file; name a file in it, or write the table as one file".to_owned();
            return Err(UserTableError::Fault { path: path.to_owned(), place: Place::File, message });
        }
        let mut start = Vec::new();
        std::fs::File::open(path).and_then(|file| file.take(4).read_to_end(&mut start)).map_err(failed)?;
        Ok(bytes::is_parquet(&start))
    }

    /// Reads a Parquet file in chunks of `rows` rows, so that memory holds one; `take` gets each.
    ///
    /// # Errors
    /// It is not Parquet, is damaged, or `take` fails.
    pub fn chunks<E: From<UserTableError>>(
        path: &Path,
        wanted: &[&str],
        rows: usize,
        audience: Audience,
        mut take: impl FnMut(&Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |message| UserTableError::Fault { path: path.to_owned(), place: Place::File, message };
        if !Self::is_parquet(path)? {
            return Err(failed("is not a readable Parquet file; write it as Parquet".to_owned()).into());
        }
        let mut file = Columnar::open(path, rows, &|head| chosen(head, wanted)).map_err(failed)?;
        let schema = columnar::schema(path).map_err(failed)?;
        let mut first = 1;
        while let Some((columns, rows)) = file.next_rows(&schema).map_err(|error| failed(damaged(&error)))? {
            take(&Self { path: path.to_owned(), audience, columns, places: Places::Rows(first, rows) })?;
            first += rows as u64;
        }
        if first == 1 {
            let columns = file.empty(&schema);
            take(&Self { path: path.to_owned(), audience, columns, places: Places::Rows(first, 0) })?;
        }
        Ok(())
    }

    fn read_parquet(path: &Path, wanted: &[&str], audience: Audience) -> Result<Self, UserTableError> {
        let mut all: Option<Self> = None;
        Self::chunks(path, wanted, ROWS_AT_A_TIME, audience, |chunk| {
            let columns = chunk.columns.clone();
            match &mut all {
                None => {
                    let places = Places::Rows(1, chunk.rows());
                    all = Some(Self { path: path.to_owned(), audience, columns, places });
                }
                Some(all) => {
                    all.places = Places::Rows(1, all.rows() + chunk.rows());
                    all.columns.iter_mut().zip(columns).for_each(|(all, more)| all.values.append(more.values));
                }
            }
            Ok::<_, UserTableError>(())
        })?;
        let empty = Self { path: path.to_owned(), audience, columns: Vec::new(), places: Places::Rows(1, 0) };
        Ok(all.unwrap_or(empty))
    }

    fn read_text(path: &Path, audience: Audience) -> Result<Self, UserTableError> {
        let fault = |place, message| UserTableError::Fault { path: path.to_owned(), place, message };
        let bytes = std::fs::read(path).map_err(|source| UserTableError::Io { path: path.to_owned(), source })?;
        let text = bytes::text(bytes).map_err(|message| fault(Place::File, message))?;
        let table =
            delimited::read(&text).map_err(|(line, message)| fault(line.map_or(Place::File, Place::Line), message))?;
        let lines = table.records.iter().map(|record| record.line).collect();
        let mut texts: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(table.records.len()); table.head.cells.len()];
        for record in table.records {
            let cells = record.cells.into_iter().map(|cell| (!cell.is_empty()).then_some(cell));
            texts.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
        }
        let column = |(name, texts)| Column { name, kind: "text".to_owned(), values: Values::Texts(texts) };
        let columns = table.head.cells.into_iter().zip(texts).map(column).collect();
        Ok(Self { path: path.to_owned(), audience, columns, places: Places::Lines(table.head.line, lines) })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match &self.places {
            Places::Lines(_, lines) => lines.len(),
            Places::Rows(_, rows) => *rows,
        }
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Where a row is.
    pub fn place(&self, row: usize) -> Place {
        match &self.places {
            Places::Lines(_, lines) => lines.get(row).map_or(Place::File, |line| Place::Line(*line)),
            Places::Rows(first, _) => Place::Row(first + row as u64),
        }
    }

    /// An error at a place.
    pub fn fault(&self, place: Place, message: String) -> UserTableError {
        UserTableError::Fault { path: self.path.clone(), place, message }
    }

    /// An error about a value: what was expected in its column, what was found, and what to do.
    pub fn wrong(&self, row: usize, column: usize, expected: &str, remedy: &str) -> UserTableError {
        let found = &self.columns[column];
        let got = match found.cell(row) {
            Cell::Unread | Cell::List(_) => format!("a value of type {}", found.kind),
            Cell::Missing => "no value".to_owned(),
            Cell::Text(text) => format!("\"{text}\""),
            cell => cell.text().unwrap_or_else(|| format!("a value of type {}", found.kind)),
        };
        self.fault(self.place(row), format!("column \"{}\": expected {expected}, got {got}; {remedy}", found.name))
    }

    /// The column of a name: the one that has it, else the one that has it but for case, blanks and dashes.
    ///
    /// # Errors
    /// Several columns could be meant.
    pub fn find(&self, name: &str) -> Result<Option<usize>, UserTableError> {
        let alike = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..self.columns.len()).filter(|place| same(&self.columns[*place].name)).collect()
        };
        let mut found = alike(&|other| other.trim() == name);
        if found.is_empty() {
            found = alike(&|other| plain(other) == plain(name));
        }
        match found[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [first, second, ..] => {
                let message = format!(
                    "column \"{name}\" is there twice (columns {} and {}); keep one of them",
                    first + 1,
                    second + 1
                );
                Err(self.fault(self.head(), message))
            }
        }
    }

    /// The columns of these names.
    ///
    /// # Errors
    /// One is missing, or is there twice.
    pub fn require<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], UserTableError> {
        let mut places = [None; N];
        for (place, name) in places.iter_mut().zip(names) {
            *place = self.find(name)?;
        }
        let any = places.iter().any(Option::is_some);
        let mut found = [0; N];
        for ((found, place), name) in found.iter_mut().zip(places).zip(names) {
            *found = place.ok_or_else(|| self.missing(name, any))?;
        }
        Ok(found)
    }

    /// The error for a column that is not there. A head of which nothing is known may be a row with ids: `any` says whether it is a head.
    pub fn missing(&self, name: &str, any: bool) -> UserTableError {
        let shown = any || self.audience == Audience::Owner || matches!(self.places, Places::Rows(..));
        let found = if shown {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).take(NAMED).collect();
            let more = self.columns.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("found: {}{more}", names.join(", "))
        } else {
            format!("{} columns, none of a known name", self.columns.len())
        };
        let blanks = matches!(&self.columns[..], [one] if one.name.split_whitespace().count() > 1);
        let advice = if blanks { "separate the columns by commas, not blanks" } else { any_advice(any, &self.places) };
        self.fault(self.head(), format!("column \"{name}\" is missing ({found}); {advice}"))
    }

    fn head(&self) -> Place {
        match &self.places {
            Places::Lines(line, _) => Place::Line(*line),
            Places::Rows(..) => Place::File,
        }
    }

    /// The text of a value, blanks around taken off; `None` if there is nothing.
    ///
    /// # Errors
    /// The column's type has no text.
    pub fn text(&self, row: usize, column: usize) -> Result<Option<String>, UserTableError> {
        match self.columns[column].cell(row) {
            Cell::Missing => Ok(None),
            cell => match cell.text() {
                Some(text) if text.is_empty() => Ok(None),
                Some(text) => Ok(Some(text)),
                None => Err(self.wrong(row, column, "text or a number", "write the column as text")),
            },
        }
    }

    /// The text of a value that must be there.
    ///
    /// # Errors
    /// It is empty, or the column's type has no text.
    pub fn filled(&self, row: usize, column: usize) -> Result<String, UserTableError> {
        let empty = || {
            let message = format!(
                "column \"{}\": expected a value in every row, got none; fill it or leave the row out",
                self.columns[column].name
            );
            self.fault(self.place(row), message)
        };
        self.text(row, column)?.ok_or_else(empty)
    }

    /// The ids of a column, which must be in every row.
    ///
    /// # Errors
    /// One is missing, is what a spreadsheet made of a long number, or is no text or integer.
    pub fn ids(&self, column: usize) -> Result<Ids, UserTableError> {
        let mut values = Vec::with_capacity(self.rows());
        for row in 0..self.rows() {
            values.push(self.id(row, column)?);
        }
        let name = &self.columns[column].name;
        let mut remarks = Vec::new();
        let is_float = matches!(self.columns[column].values, Values::Numbers { .. });
        if is_float || values.iter().all(|id| value::whole_id(id).is_some()) {
            values.iter_mut().for_each(|id| *id = value::whole_id(id).unwrap_or(id).to_owned());
            remarks.push(format!(
                "column \"{name}\" has floats such as 7.0, which were read as integers such as 7; write ids as text or integers"
            ));
        }
        let shown = |id: &str, row: usize| match self.audience {
            Audience::Owner => format!("\"{id}\" in {}", self.place(row)),
            Audience::Log => self.place(row).to_string(),
        };
        remarks.extend(alike::remark(name, values.iter().map(String::as_str), &shown));
        Ok(Ids { values, remarks })
    }

    fn id(&self, row: usize, column: usize) -> Result<String, UserTableError> {
        const EXPECTED: &str = "an id in every row";
        let Column { name, kind, .. } = &self.columns[column];
        let refused = |got: &str, remedy: &str| {
            self.fault(self.place(row), format!("column \"{name}\": expected {EXPECTED}, got {got}; {remedy}"))
        };
        const FILL: &str = "fill it or leave the row out";
        match self.columns[column].cell(row) {
            Cell::Missing => Err(refused("none", FILL)),
            Cell::Number(number, exact) if number.fract() != 0.0 || number.abs() > exact => Err(refused(
                &format!("a number of type {kind} that is no exact integer"),
                "write ids as text or integers",
            )),
            Cell::Truth(_) | Cell::List(_) | Cell::Unread => {
                Err(refused(&format!("a value of type {kind}"), "write ids as text or integers"))
            }
            cell => {
                let text =
                    cell.text().ok_or_else(|| refused("bytes that are no text", "write ids as text or integers"))?;
                if value::is_missing(&text) {
                    let got =
                        if text.is_empty() { "none".to_owned() } else { format!("\"{text}\", which stands for none") };
                    return Err(refused(&got, FILL));
                }
                if value::is_rounded_id(&text) {
                    let remedy = "the digits are lost: format the column as text in the spreadsheet, and fill it again";
                    return Err(refused("a number that a spreadsheet rounded, such as 1.23E+10", remedy));
                }
                Ok(text)
            }
        }
    }

    /// An integer that must be there; `expected` is for messages.
    ///
    /// # Errors
    /// It is missing or no integer.
    pub fn integer(&self, row: usize, column: usize, expected: &str) -> Result<i64, UserTableError> {
        const FIX: &str = "correct it or leave the row out";
        let found = match self.columns[column].cell(row) {
            Cell::Integer(number) => i64::try_from(number).map_err(|_| FIX),
            Cell::Number(number, exact) if number.fract() == 0.0 && number.abs() <= exact => Ok(number as i64),
            Cell::Text(text) if !value::is_missing(text) => value::integer(text.trim()),
            _ => Err(FIX),
        };
        found.map_err(|remedy| self.wrong(row, column, expected, remedy))
    }

    /// Bytes, or a list of integers in 0..=255 or of truth values.
    ///
    /// # Errors
    /// There are none, or a value of another type.
    pub fn bytes(&self, row: usize, column: usize) -> Result<Vec<u8>, UserTableError> {
        let byte = |value: &f64| (value.fract() == 0.0 && (0.0..=255.0).contains(value)).then_some(*value as u8);
        let found = match self.columns[column].cell(row) {
            Cell::Bytes(bytes) => Some(bytes.to_vec()),
            Cell::List(values) => values.iter().map(byte).collect(),
            _ => None,
        };
        found
            .ok_or_else(|| self.wrong(row, column, "bytes", "write a byte a pixel, as binary or as a list of integers"))
    }

    /// The numbers of a column; `None` where there is none.
    ///
    /// # Errors
    /// A value is no number, or some have decimal points and others decimal commas.
    pub fn numbers(&self, column: usize, expected: &str) -> Result<Vec<Option<f64>>, UserTableError> {
        let mut signs: BTreeSet<char> = BTreeSet::new();
        let mut numbers = Vec::with_capacity(self.rows());
        for row in 0..self.rows() {
            numbers.push(match self.columns[column].cell(row) {
                Cell::Missing => None,
                Cell::Integer(number) => Some(number as f64),
                Cell::Number(number, _) => Some(number),
                Cell::Text(text) if value::is_missing(text) => None,
                Cell::Text(text) => {
                    let number = value::number(text.trim());
                    let number = number.map_err(|remedy| self.wrong(row, column, expected, remedy))?;
                    signs.extend(text.chars().filter(|letter| matches!(letter, '.' | ',')));
                    if signs.len() > 1 {
                        let remedy = "the column has decimal points and decimal commas: write one of them";
                        return Err(self.wrong(row, column, expected, remedy));
                    }
                    Some(number)
                }
                _ => return Err(self.wrong(row, column, expected, "write the column as numbers")),
            });
        }
        Ok(numbers)
    }
}

/// What to do about a column that is not there. Where no name of the head is known, the first line may be a row.
fn any_advice(any: bool, places: &Places) -> &'static str {
    match places {
        Places::Lines(..) if !any => {
            "is the first line the head? if it is a row, write a head above it; if it is the head, rename its columns"
        }
        _ => "add or rename a column",
    }
}

/// The columns of the head that are wanted; all where none is named.
fn chosen(head: &[String], wanted: &[&str]) -> Vec<usize> {
    let is_wanted = |name: &String| wanted.is_empty() || wanted.iter().any(|wanted| plain(name) == plain(wanted));
    (0..head.len()).filter(|place| is_wanted(&head[*place])).collect()
}

/// A column's name without case, blanks and dashes.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

fn damaged(error: &str) -> String {
    if error.starts_with("column ") {
        return format!("has a fault: {error}; write the column as text or numbers");
    }
    format!("is damaged ({error}); write it again, or copy it again from where it is whole")
}
