//! The class that a label of a user's table means: the class of that name, else the class of that index.
//!
//! Names win. Where all classes are called by numbers, a number is a name and never an index. Where some are, a number that is the
//! name of one class and the index of another is refused, and so is an index where a class is called by
//! another number than its own: a column has names or indices, not both.

use crate::user_table::value;

/// The class index of a label.
///
/// # Errors
/// It is no class, is missing, or could be two; the message names the classes and what to write.
pub fn parse(label: &str, classes: &[String]) -> Result<usize, String> {
    let label = label.trim();
    let refused = |why: &str| format!("label \"{label}\" {why} (classes: {})", known(classes));
    let numbers: Vec<Option<i64>> = classes.iter().map(|class| value::integer(class.trim()).ok()).collect();
    let number = value::integer(label).ok();
    let exact = classes.iter().position(|class| class == label);
    if numbers.iter().all(Option::is_some) {
        let same = |(at, other): (usize, &Option<i64>)| (*other == number && number.is_some()).then_some(at);
        let found = exact.or_else(|| one(numbers.iter().enumerate().filter_map(same)));
        return found.ok_or_else(|| {
            refused("is not a class of the study; its classes are called by numbers, so labels are their names")
        });
    }
    if let Some(number) = number {
        let named = numbers.iter().position(|other| *other == Some(number));
        let index = usize::try_from(number).ok().filter(|index| *index < classes.len());
        return match (named, index) {
            (Some(named), Some(index)) if named != index => {
                Err(refused("is the name of one class and the index of another; write the names of the classes"))
            }
            (Some(found), _) => Ok(found),
            (None, Some(_)) if classes.iter().enumerate().any(is_other_number) => Err(refused(
                "is an index, and a class of the study is called by a number; write the names of the classes",
            )),
            (None, Some(found)) => Ok(found),
            (None, None) => Err(refused("is not a class of the study; write a class's index, from 0, or its name")),
        };
    }
    if let Some(found) = exact {
        return Ok(found);
    }
    let folded = label.to_lowercase();
    let alike = one((0..classes.len()).filter(|at| classes[*at].trim().to_lowercase() == folded));
    match (alike, value::is_missing(label)) {
        (Some(_), true) => {
            Err(refused("could be a class or a missing value; write the class's name as the study has it"))
        }
        (None, true) => Err(refused("is a missing value; write the class, or leave the line out")),
        (Some(found), false) => Ok(found),
        (None, false) => Err(refused("is not a class of the study; write a class's index, from 0, or its name")),
    }
}

/// True for a class that is called by another number than its index.
fn is_other_number((index, class): (usize, &String)) -> bool {
    class.trim().parse::<f64>().is_ok_and(|number| number != index as f64)
}

/// Whether classes are called by numbers, which then are names and not indices.
pub fn are_numbers(classes: &[String]) -> bool {
    !classes.is_empty() && classes.iter().all(|class| value::integer(class.trim()).is_ok())
}

/// The only one.
fn one(mut found: impl Iterator<Item = usize>) -> Option<usize> {
    found.next().filter(|_| found.next().is_none())
}

/// The classes as messages list them: by name where numbers are names, else by index and name.
fn known(classes: &[String]) -> String {
    let class = |(index, class): (usize, &String)| format!("{index} {class}");
    match are_numbers(classes) {
        true => classes.join(", "),
        false => classes.iter().enumerate().map(class).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(label: &str, classes: &[&str]) -> Result<usize, String> {
        parse(label, &classes.iter().map(|class| (*class).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn names_and_indices() {
        let classes = ["none", "covid"];
        for (label, expected) in
            [("0", 0), ("1", 1), ("1.0", 1), ("none", 0), ("covid", 1), ("COVID", 1), (" Covid ", 1)]
        {
            assert_eq!(read(label, &classes), Ok(expected), "{label}");
        }
        assert!(
            read("2", &classes)
                .is_err_and(|text| text.contains("\"2\" is not a class") && text.contains("0 none, 1 covid"))
        );
        assert!(read("None", &classes).is_err_and(|text| text.contains("or a missing value")));
        assert!(read("NaN", &classes).is_err_and(|text| text.contains("is a missing value")));
        for label in ["", "0.5", "-1", "True", "1,000"] {
            assert!(read(label, &classes).is_err(), "{label}");
        }
        assert_eq!(read("na", &["na", "covid"]), Ok(0), "a name as it is written");
        assert!(read("COVID", &["covid", "Covid"]).is_err(), "two classes alike");
    }

    #[test]
    fn numbers_that_are_names_are_names() {
        assert_eq!([read("1", &["1", "2"]), read("2", &["1", "2"])], [Ok(0), Ok(1)]);
        assert_eq!([read("1", &["1", "0"]), read("0", &["1", "0"])], [Ok(0), Ok(1)]);
        assert_eq!(read("5.0", &["1", "2", "3", "4", "5"]), Ok(4));
        let error = read("0", &["1", "2"]).unwrap_err();
        assert!(error.contains("called by numbers") && error.ends_with("(classes: 1, 2)"), "{error}");
        assert_eq!(read("1.0", &["1", "01"]), Err("label \"1.0\" is not a class of the study; its classes are called by numbers, so labels are their names (classes: 1, 01)".to_owned()));
    }

    #[test]
    fn a_number_that_could_be_either_is_refused() {
        let classes = ["healthy", "2", "1"];
        assert_eq!(read("healthy", &classes), Ok(0));
        // 1 as an index and 2 as a name would be one class: names or indices, not both.
        for (label, classes) in [("0", &classes[..]), ("1", &["healthy", "2"]), ("0", &["healthy", "1.5"])] {
            assert!(read(label, classes).is_err_and(|text| text.contains("write the names")), "{label}");
        }
        for label in ["1", "2"] {
            assert!(read(label, &classes).is_err_and(|text| text.contains("the index of another")), "{label}");
        }
        assert_eq!([read("1", &["healthy", "1"]), read("0", &["healthy", "1"])], [Ok(1), Ok(0)]);
    }
}
