//! Ids that differ only by zeros in front of a number, by the case of letters or by blanks: often one patient under two spellings.

use std::collections::BTreeMap;

/// Groups named in one remark.
const GROUPS: usize = 5;

/// An id without what spreadsheets and people change: `P 007` and `p7` are `p7`.
pub fn normal_form(id: &str) -> String {
    let id = super::value::whole_id(id.trim()).unwrap_or(id);
    let letters: Vec<char> = id.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect();
    let mut out = String::with_capacity(letters.len());
    for (at, letter) in letters.iter().enumerate() {
        let in_number = at > 0 && letters[at - 1].is_ascii_digit() && out.ends_with(|last: char| last.is_ascii_digit());
        let number_goes_on = letters.get(at + 1).is_some_and(char::is_ascii_digit);
        if *letter == '0' && !in_number && number_goes_on {
            continue;
        }
        out.push(*letter);
    }
    out
}

/// Of ids in the order of their rows, those that differ and have one normal form: each with its first row.
pub fn groups<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<Vec<(&'a str, usize)>> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (row, id) in ids.into_iter().enumerate() {
        first.entry(id).or_insert(row);
    }
    let mut groups: BTreeMap<String, Vec<(&str, usize)>> = BTreeMap::new();
    for (id, row) in first {
        groups.entry(normal_form(id)).or_default().push((id, row));
    }
    let mut found: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    found.iter_mut().for_each(|group| group.sort_by_key(|(_, row)| *row));
    found.sort_by_key(|group| group[0].1);
    found
}

/// A remark on such ids, if there are any; `name` says which id in which row is meant.
pub fn remark<'a>(
    column: &str,
    ids: impl IntoIterator<Item = &'a str>,
    name: &dyn Fn(&str, usize) -> String,
) -> Option<String> {
    let groups = groups(ids);
    let named = groups.iter().take(GROUPS).map(|group| {
        let names: Vec<String> = group.iter().map(|(id, row)| name(id, *row)).collect();
        names.join(" and ")
    });
    let named: Vec<String> = named.collect();
    let more = groups.len().saturating_sub(GROUPS);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    (!groups.is_empty()).then(|| {
        format!(
            "column \"{column}\" has ids that differ only by zeros, case or blanks ({}{more}); they count as different patients: \
             where they are one, write one id",
            named.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_case_and_blanks_do_not_count() {
        for id in ["p7", "P7", "P07", "p 007", " P7 ", "P\u{a0}7"] {
            assert_eq!(normal_form(id), "p7", "{id}");
        }
        for (id, expected) in
            [("0007", "7"), ("000", "0"), ("7.0", "7"), ("100", "100"), ("A-01-02", "a-1-2"), ("1002", "1002")]
        {
            assert_eq!(normal_form(id), expected, "{id}");
        }
    }

    #[test]
    fn groups_name_the_first_row_of_each() {
        assert_eq!(groups(["a", "07", "A", "7", "b", "07"]), [vec![("a", 0), ("A", 2)], vec![("07", 1), ("7", 3)]]);
        assert!(groups(["a", "b", "a"]).is_empty());
    }
}
