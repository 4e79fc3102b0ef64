//! Pieces of Markdown.

/// What Markdown would take for marks, wherever it stands.
const MARKS: [char; 8] = ['\\', '`', '*', '[', ']', '<', '>', '|'];

/// A name that a study or a file gave, so that Markdown takes no part of it for a mark.
pub(super) fn plain(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (place, c) in text.chars().enumerate() {
        // Inside a word an underscore is one; at its ends it is a mark.
        if MARKS.contains(&c) || (c == '_' && (place == 0 || place == last)) {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

/// A table. Cells hold Markdown.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    format!("{}|{}\n{}", line(&head), " --- |".repeat(head.len()), rows.iter().map(|row| line(row)).collect::<String>())
}

/// A list.
pub(super) fn list(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("- {line}\n")).collect()
}

/// "a", "a and b", "a, b and c".
pub(super) fn join(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulldown_cmark::{Event, Parser};

    #[test]
    fn a_name_stays_what_it_is() {
        for name in ["covid19", "common_pneumonia", "_a_", "a*b*c", "a|b", "<b>x</b>", "[x](y)", "a\\*b", "`c`"] {
            let mut text = String::new();
            for event in Parser::new(&plain(name)) {
                match event {
                    Event::Text(part) => text.push_str(&part),
                    Event::Start(_) | Event::End(_) => {}
                    other => panic!("{name} became {other:?}"),
                }
            }
            assert_eq!(text, name);
        }
    }

    #[test]
    fn names_are_joined_as_in_speech() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            [join(&names[..0]), join(&names[..1]), join(&names[..2]), join(&names)],
            ["", "a", "a and b", "a, b and c"]
        );
    }
}
