//! Tables of text: cells between commas, semicolons, tabs or bars; RFC 4180's quotes; lines of every system.

/// Records by which the separator is found.
const SAMPLE: usize = 64;
/// What may stand between cells, and what it is called.
const SEPARATORS: [(char, &str); 4] = [(',', "commas"), (';', "semicolons"), ('\t', "tabs"), ('|', "bars")];

/// A line of a table, or several where a quoted cell has line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Line in the file, from 1, where it begins.
    pub line: u64,
    /// The cells, without quotes and without blanks around.
    pub cells: Vec<String>,
}

/// A table of text: the head and the records below it, all of one length.
#[derive(Debug, PartialEq, Eq)]
pub struct Delimited {
    /// The head.
    pub head: Record,
    /// The records.
    pub records: Vec<Record>,
}

/// What is wrong, and in which line if it is one.
pub type Broken = (Option<u64>, String);

/// Reads a table. Empty lines and lines of only separators hold nothing; comments (`#`) may stand before the head, and so may
/// Excel's `sep=;`.
///
/// # Errors
/// There is no head, a quote is not closed, or a line has another number of cells than the head.
pub fn read(text: &str) -> Result<Delimited, Broken> {
    let (text, before, declared) = start(text.trim_start_matches('\u{feff}'));
    let separator = match declared {
        Some(separator) => separator,
        None => separator(text, before)?,
    };
    let mut records = records(text, before, separator, usize::MAX)?.into_iter();
    let Some(head) = records.next() else { return Err((None, "is empty, expected a head and rows".to_owned())) };
    let records: Vec<Record> = records.collect();
    let expected = head.cells.len();
    if let Some(wrong) = records.iter().find(|record| record.cells.len() != expected) {
        let every = records.iter().all(|record| record.cells.len() == expected + 1);
        return Err((Some(wrong.line), unequal(expected, wrong.cells.len(), every, separator)));
    }
    Ok(Delimited { head, records })
}

/// The words for a line of another length than the head.
fn unequal(expected: usize, got: usize, every: bool, separator: char) -> String {
    let advice = if every {
        "correct or leave out the line; if R wrote row names that have no head, write with row.names = FALSE"
    } else if got > expected && separator == ',' {
        "correct or leave out the line; a cell with a comma, also a decimal comma, needs quotes"
    } else {
        "correct or leave out the line"
    };
    format!("expected {expected} cells as in the head, got {got}; {advice}")
}

/// The text from the head on, the lines before it, and the separator if a line `sep=` names it.
fn start(text: &str) -> (&str, u64, Option<char>) {
    let (mut rest, mut before) = (text, 0);
    loop {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        let tail = tail.strip_prefix("\r\n").or_else(|| tail.strip_prefix(['\n', '\r'])).unwrap_or(tail);
        let trimmed = line.trim().trim_matches('"');
        let declared = trimmed.strip_prefix("sep=").or_else(|| trimmed.strip_prefix("SEP="));
        // A tab after `sep=` is lost with the blanks around.
        let declared = declared.map(|separator| separator.chars().next().unwrap_or('\t'));
        let is_before = trimmed.is_empty() || trimmed.starts_with('#') || declared.is_some();
        if !is_before || rest.is_empty() {
            return (rest, before, None);
        }
        (rest, before) = (tail, before + 1);
        if declared.is_some() {
            return (rest, before, declared);
        }
    }
}

/// The separator by which all of the first records have as many cells as the head, and the head most; a comma where none does.
///
/// # Errors
/// Two do equally well.
fn separator(text: &str, before: u64) -> Result<char, Broken> {
    let mut fits: Vec<(usize, usize)> = Vec::new();
    let mut widest = (1, 0);
    for (place, (separator, _)) in SEPARATORS.iter().enumerate() {
        let Ok(sample) = records(text, before, *separator, SAMPLE) else { continue };
        let width = sample.first().map_or(0, |head| head.cells.len());
        if width > widest.0 {
            widest = (width, place);
        }
        if width > 1 && sample.iter().all(|record| record.cells.len() == width) {
            fits.push((width, place));
        }
    }
    fits.sort_unstable_by_key(|(width, _)| std::cmp::Reverse(*width));
    match fits[..] {
        [] => Ok(SEPARATORS[widest.1].0),
        [(first, one), (second, other), ..] if first == second => {
            let (one, other) = (SEPARATORS[one].1, SEPARATORS[other].1);
            Err((None, format!("could be separated by {one} or by {other}; put cells that have them into quotes")))
        }
        [(_, place), ..] => Ok(SEPARATORS[place].0),
    }
}

/// The first `most` records that are not empty.
///
/// # Errors
/// A quote is not closed, or text follows it within its cell.
fn records(text: &str, before: u64, separator: char, most: usize) -> Result<Vec<Record>, Broken> {
    let mut scanner = Scanner { rest: text, line: before + 1, separator };
    let mut records = Vec::new();
    while records.len() < most && !scanner.rest.is_empty() {
        let record = scanner.record()?;
        if record.cells.iter().any(|cell| !cell.is_empty()) {
            records.push(record);
        }
    }
    Ok(records)
}

/// What of a text is not read yet.
struct Scanner<'a> {
    rest: &'a str,
    line: u64,
    separator: char,
}

impl Scanner<'_> {
    fn record(&mut self) -> Result<Record, Broken> {
        let mut record = Record { line: self.line, cells: Vec::new() };
        loop {
            let cell = self.cell()?;
            record.cells.push(cell);
            if let Some(rest) = self.rest.strip_prefix(self.separator) {
                self.rest = rest;
                continue;
            }
            self.end_of_line();
            return Ok(record);
        }
    }

    /// Passes the end of the line that is next, unless the text ends.
    fn end_of_line(&mut self) {
        let rest = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix(['\n', '\r']));
        if let Some(rest) = rest {
            self.rest = rest;
            self.line += 1;
        }
    }

    /// The cell that is next, up to what ends it.
    fn cell(&mut self) -> Result<String, Broken> {
        let separator = self.separator;
        let is_blank = |letter: char| letter.is_whitespace() && letter != separator && !matches!(letter, '\n' | '\r');
        if let Some(quoted) = self.rest.trim_start_matches(is_blank).strip_prefix('"') {
            self.rest = quoted;
            return self.quoted(&is_blank);
        }
        let end = self.rest.find([separator, '\n', '\r']);
        let (cell, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Ok(clean(cell).to_owned())
    }

    /// The rest of a cell whose opening quote was read.
    fn quoted(&mut self, is_blank: &dyn Fn(char) -> bool) -> Result<String, Broken> {
        let opened = self.line;
        let mut cell = String::new();
        loop {
            let Some((part, rest)) = self.rest.split_once('"') else {
                let message = "a quote opens here and is never closed; close it, or leave it out".to_owned();
                return Err((Some(opened), message));
            };
            cell.push_str(part);
            self.line += breaks(part);
            // Two quotes are one that belongs to the cell.
            if let Some(rest) = rest.strip_prefix('"') {
                cell.push('"');
                self.rest = rest;
                continue;
            }
            self.rest = rest.trim_start_matches(is_blank);
            let ends = self.rest.is_empty() || self.rest.starts_with([self.separator, '\n', '\r']);
            return if ends {
                Ok(clean(&cell).to_owned())
            } else {
                let message = "text follows a closing quote; quotes within a cell are written twice".to_owned();
                Err((Some(self.line), message))
            };
        }
    }
}

/// A cell without blanks and invisible marks around.
fn clean(cell: &str) -> &str {
    cell.trim_matches(|letter: char| letter.is_whitespace() || matches!(letter, '\u{feff}' | '\u{200b}'))
}

/// Line breaks in a text.
fn breaks(text: &str) -> u64 {
    let lone = text.replace("\r\n", "\n");
    lone.matches(['\n', '\r']).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<String>> {
        let table = read(text).unwrap();
        std::iter::once(table.head).chain(table.records).map(|record| record.cells).collect()
    }

    #[test]
    fn separators_and_line_ends_are_found() {
        let expected = vec![vec!["a".to_owned(), "b".to_owned()], vec!["1".to_owned(), "0,5".to_owned()]];
        for text in [
            "a,b\n1,\"0,5\"\n",
            "a;b\r\n1;0,5\r\n",
            "a\tb\r1\t0,5\r",
            "a|b\n1|0,5",
            "sep=;\na;b\n1;0,5\n",
            "\"sep=;\"\r\na;b\r\n1;0,5\r\n;\r\n;\r\n\r\n",
            "# made by a program\n\n a ; b \n\n \"1\" ; 0,5 \n",
            "\u{feff}\"a\",\"b\"\n\"1\",\"0,5\"\n",
        ] {
            assert_eq!(rows(text), expected, "{text:?}");
        }
    }

    #[test]
    fn quotes_hold_separators_quotes_and_line_breaks() {
        let table = read("a,b\n\"x, \"\"y\"\"\nz\",1\nq,2\n").unwrap();
        assert_eq!(table.records[0], Record { line: 2, cells: vec!["x, \"y\"\nz".to_owned(), "1".to_owned()] });
        assert_eq!(table.records[1].line, 4);
        assert_eq!(rows("a,b\n5\" disk,1\n")[1][0], "5\" disk");
    }

    #[test]
    fn lines_are_counted_as_editors_do() {
        let table = read("# x\nsep=,\na,b\r\n\r\n1,2\r\n").unwrap();
        assert_eq!((table.head.line, table.records[0].line), (3, 5));
    }

    #[test]
    fn broken_tables_are_told_with_their_line() {
        let cases = [
            ("a,b\n1\n", Some(2), "expected 2 cells as in the head, got 1"),
            ("a,b\n1,2\n1,0,5\n", Some(3), "needs quotes"),
            ("a\tb\nx\t1\t2\ny\t1\t2\n", Some(2), "row.names = FALSE"),
            ("a,b\n\"1,2\n3,4\n", Some(2), "never closed"),
            ("a,b\n\"1\\\"x\",2\n", Some(2), "text follows a closing quote"),
            ("", None, "is empty"),
            ("\n\r\n", None, "is empty"),
            ("a,b;c\n1,2;3\n", None, "by commas or by semicolons"),
        ];
        for (text, line, word) in cases {
            let (at, message) = read(text).unwrap_err();
            assert!(at == line && message.contains(word), "{text:?}: {at:?} {message}");
        }
    }
}
