//! What a cell of a table means: a number, an integer, an id, or nothing. A value that could be read in two ways is no value.

/// What programs write where there is no value, in lower case: pandas, R, Excel, polars, SQL, SAS.
const MISSING: [&str; 19] = [
    "na", "n/a", "#n/a", "#na", "nan", "-nan", "<na>", "null", "none", "nil", "nat", "-", "--", "---", "?", ".",
    "#value!", "#ref!", "#div/0!",
];

/// Whether the text stands for a missing value.
pub fn is_missing(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || MISSING.contains(&text.to_lowercase().as_str())
}

/// A number with a decimal point or a decimal comma.
///
/// # Errors
/// It is none, or could be two; says what to write instead.
pub fn number(text: &str) -> Result<f64, &'static str> {
    if text.contains('%') {
        return Err("write 0.45 for 45%");
    }
    if text.starts_with(['[', '(', '{']) {
        return Err("write one number and not a list; lists need Parquet");
    }
    let commas = text.matches(',').count();
    if commas > 1 || (commas == 1 && text.contains('.')) {
        return Err("write numbers without thousands separators");
    }
    // The standard library also reads "inf" and "nan", which no column of numbers means.
    let is_numeric = text.chars().any(|letter| letter.is_ascii_digit());
    let found = text.replace(',', ".").parse::<f64>().ok();
    found.filter(|value| is_numeric && value.is_finite()).ok_or("write a number")
}

/// An integer, also as a float (`1.0`, `1,00`).
///
/// # Errors
/// It is none, or could be two; says what to write instead.
pub fn integer(text: &str) -> Result<i64, &'static str> {
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    let Some((whole, rest)) = text.split_once(['.', ',']) else { return Err("write an integer") };
    let is_comma = text.contains(',');
    let are_zeros = !rest.is_empty() && rest.bytes().all(|digit| digit == b'0');
    match whole.parse() {
        Ok(_) if is_comma && rest.len() == 3 => Err("write integers without separators"),
        Ok(value) if are_zeros => Ok(value),
        _ => Err("write an integer"),
    }
}

/// `True` and `False` as Python, R, Excel and SQL write them.
pub fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The integer that an id was before a program made a float of it: `7` of `7.0`.
pub fn whole_id(text: &str) -> Option<&str> {
    let (whole, rest) = text.split_once('.')?;
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    (are_digits(whole) && rest == "0").then_some(whole)
}

/// Whether an id is a long number that a spreadsheet rounded: `1.23E+10`.
pub fn is_rounded_id(text: &str) -> bool {
    let Some((digits, power)) = text.split_once(['e', 'E']) else { return false };
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    power.strip_prefix('+').is_some_and(are_digits) && digits.split(['.', ',']).all(are_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_point_or_a_comma() {
        assert_eq!(number("0.5"), Ok(0.5));
        assert_eq!(number("0,5"), Ok(0.5));
        assert_eq!(number("1e-320"), Ok(1e-320));
        for text in ["1.234,5", "1,234,567", "45%", "high", "nan", "inf", "", "0x1", "1e999", "[0.1, 0.9]"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_may_be_floats_and_no_thousands() {
        for (text, value) in [("1", 1), ("+1", 1), ("-3", -3), ("1.0", 1), ("2,0", 2), ("1.000", 1), ("01", 1)] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        for text in ["1,000", "1.5", "1.", "one", "", "1e0", "1.0.0"] {
            assert!(integer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_that_a_spreadsheet_changed_are_known() {
        assert_eq!(whole_id("7.0"), Some("7"));
        assert_eq!([whole_id("7"), whole_id("7.5"), whole_id("a.0"), whole_id("1.2.0")], [None; 4]);
        assert!(is_rounded_id("1.23E+10") && is_rounded_id("1E+05") && is_rounded_id("1,23e+10"));
        // Twelve hexadecimal digits are a pseudonym.
        assert!(!is_rounded_id("123456e78901") && !is_rounded_id("P1E+2") && !is_rounded_id("7"));
    }

    #[test]
    fn nothing_has_many_names() {
        assert!(["", " ", "NA", "NaN", "None", "<NA>", "NULL", "--", "#N/A"].into_iter().all(is_missing));
        assert!(["0", "none-1", "covid", "nana"].into_iter().all(|text| !is_missing(text)));
    }
}
