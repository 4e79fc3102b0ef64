//! A column of a user's table, whatever the file was.

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// Its type, for messages.
    pub kind: String,
    /// Its values.
    pub values: Values,
}

/// The values of a column by row; `None` is a null.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Text: all columns of files of text.
    Texts(Vec<Option<String>>),
    /// Integers of any width.
    Integers(Vec<Option<i128>>),
    /// Floats and decimals.
    Numbers {
        /// The numbers.
        values: Vec<Option<f64>>,
        /// Up to here all integers are exact.
        exact: f64,
    },
    /// Truth values.
    Truths(Vec<Option<bool>>),
    /// Lists of numbers.
    Lists(Vec<Option<Vec<f64>>>),
    /// Bytes.
    Bytes(Vec<Option<Vec<u8>>>),
    /// Not asked for, or of a type that is not read: dates, structures, lists of text.
    Unread,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// A null.
    Missing,
    /// Text.
    Text(&'a str),
    /// An integer.
    Integer(i128),
    /// A number, and up to where integers of its type are exact.
    Number(f64, f64),
    /// A truth value.
    Truth(bool),
    /// A list of numbers.
    List(&'a [f64]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A value of a type that is not read.
    Unread,
}

impl Column {
    /// The value in a row.
    pub fn cell(&self, row: usize) -> Cell<'_> {
        let found = match &self.values {
            Values::Texts(values) => values.get(row).and_then(|value| value.as_deref().map(Cell::Text)),
            Values::Integers(values) => values.get(row).copied().flatten().map(Cell::Integer),
            Values::Numbers { values, exact } => {
                let number = values.get(row).copied().flatten();
                number.filter(|number| !number.is_nan()).map(|number| Cell::Number(number, *exact))
            }
            Values::Truths(values) => values.get(row).copied().flatten().map(Cell::Truth),
            Values::Lists(values) => values.get(row).and_then(|value| value.as_deref().map(Cell::List)),
            Values::Bytes(values) => values.get(row).and_then(|value| value.as_deref().map(Cell::Bytes)),
            Values::Unread => Some(Cell::Unread),
        };
        found.unwrap_or(Cell::Missing)
    }
}

impl Values {
    /// Appends more rows of the same column.
    pub fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::Texts(all), Self::Texts(more)) => all.extend(more),
            (Self::Integers(all), Self::Integers(more)) => all.extend(more),
            (Self::Numbers { values, .. }, Self::Numbers { values: more, .. }) => values.extend(more),
            (Self::Truths(all), Self::Truths(more)) => all.extend(more),
            (Self::Lists(all), Self::Lists(more)) => all.extend(more),
            (Self::Bytes(all), Self::Bytes(more)) => all.extend(more),
            // The first chunk, or a column that is not read.
            (all, more) => *all = more,
        }
    }
}

impl Cell<'_> {
    /// The value as text: of a whole number that is a float the integer, of bytes the text that they are.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.trim().to_owned()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Number(number, exact) if number.fract() == 0.0 && number.abs() <= exact => {
                Some(format!("{number:.0}"))
            }
            Self::Number(number, _) => Some(number.to_string()),
            Self::Truth(true) => Some("True".to_owned()),
            Self::Truth(false) => Some("False".to_owned()),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(|text| text.trim().to_owned()),
            Self::Missing | Self::List(_) | Self::Unread => None,
        }
    }
}
