//! `${NAME}` and `${NAME:-default}` in keys that are paths, as in a shell: an empty variable counts as none.
//!
//! Expansion comes after all layers. No receipt's configuration holds a path but `train.init` of the report's, so another place of the same
//! bytes starts no rerun; and the variable's content is recorded nowhere but in the path it makes.

/// The text with its variables replaced by what `lookup` knows of them.
///
/// # Errors
/// A variable has neither value nor default, or is not written as one of the two forms.
pub(super) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    if text == "~" || text.starts_with("~/") {
        return Err(format!("\"{text}\" begins with ~, which only a shell replaces; write ${{HOME}} for your home"));
    }
    let bare = |(at, _): &(usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if text.match_indices('$').any(|found| bare(&found)) {
        return Err(format!("expected variables as ${{NAME}} or ${{NAME:-default}}, got \"{text}\""));
    }
    let mut done = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        let end = after.find('}').ok_or_else(|| format!("expected a }} after ${{ in \"{text}\""))?;
        let (name, default) = match after[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&after[..end], None),
        };
        if !is_variable(name) || default.is_some_and(|default| default.contains("${")) {
            return Err(format!("expected ${{NAME}} or ${{NAME:-default}}, got ${{{}}}", &after[..end]));
        }
        let value = lookup(name).filter(|value| !value.is_empty()).or_else(|| default.map(str::to_owned));
        let value = value.ok_or_else(|| {
            format!("the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
        })?;
        done.push_str(before);
        done.push_str(&value);
        rest = &after[end + 1..];
    }
    done.push_str(rest);
    Ok(done)
}

fn is_variable(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_a_shell_does() {
        // What `CT=/ct EMPTY= sh -c 'echo "..."'` prints.
        let lookup = |name: &str| match name {
            "CT" => Some("/ct".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("${CT}/a", "/ct/a"),
            ("a/${NONE:-b}/${CT}", "a/b//ct"),
            ("${EMPTY:-c}", "c"),
            ("${NONE:-}x", "x"),
            ("a$/b$1", "a$/b$1"),
        ] {
            assert_eq!(expand(text, lookup).as_deref(), Ok(expected));
        }
        assert!(expand("${NONE}/a", lookup).unwrap_err().contains("variable NONE is not set"));
        assert!(expand("${EMPTY}", lookup).unwrap_err().contains("variable EMPTY is not set"));
        assert!(expand("$CT/a", lookup).unwrap_err().contains("expected variables as ${NAME}"));
        assert!(expand("${NONE:-${CT}}", lookup).unwrap_err().contains("expected ${NAME}"));
        assert!(expand("~/ct", lookup).unwrap_err().contains("write ${HOME}"));
        assert!(expand("${CT", lookup).unwrap_err().contains("expected a }"));
        assert!(expand("${1}", lookup).unwrap_err().contains("got ${1}"));
    }
}
