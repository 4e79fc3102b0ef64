//! A manifest's own split: a column with `train`, `val` or `test` in every row.

use std::collections::BTreeMap;
use std::path::Path;

use contract::config::{Config, Pseudonyms, SplitVal};
use contract::id::{self, Key};
use contract::layout::Layout;
use contract::schema::column;
use contract::splits::column::{Part, part};
use contract::user_table::{Audience, Place, UserTable, UserTableError};

use crate::audit::some_of;
use crate::error::Error;
use crate::slices::Slice;

/// The fold that is held out: rows with `test`.
pub const TEST: usize = 0;
/// The fold that is trained on and never held out.
pub const TRAIN: usize = 1;

/// What preprocess made of the paths of a manifest: the ids of their series. The paths themselves it hides where they spell a patient's id.
pub struct Series(Option<Key>);

impl Series {
    /// By the key of the study's pseudonyms, if it has them; without a key paths are compared as they are.
    pub fn new(config: &Config) -> Self {
        let keyed = config.preprocess.pseudonyms == Pseudonyms::Keyed;
        Self(keyed.then(|| Key::load(&Layout::new(config).pseudonym_key()).ok()).flatten())
    }

    fn of(&self, source: &str) -> String {
        self.0.as_ref().map_or_else(|| id::short(source), |key| key.pseudonym("series", source))
    }
}

/// The fold of every slice by its id: [`TEST`] or [`TRAIN`]; `val` rows train, or are left out.
///
/// # Errors
/// The manifest has no such column, a row has another value, or a slice is in no row or in two.
pub fn read(
    path: &Path,
    split: &str,
    val: SplitVal,
    (slices, series): (&[Slice], &Series),
) -> Result<BTreeMap<String, usize>, Error> {
    let failed = |message: String| Error::Manifest { path: path.to_owned(), message };
    let unusable = |error: UserTableError| unusable(path, error);
    let table = UserTable::read(path, &[column::PATH, split], Audience::Log).map_err(unusable)?;
    let [path_at, split_at] = table.require([column::PATH, split]).map_err(unusable)?;
    let mut row_of: BTreeMap<String, usize> = BTreeMap::new();
    for row in 0..table.rows() {
        let source = table.filled(row, path_at).map_err(unusable)?;
        if row_of.insert(source, row).is_some() {
            return Err(failed(format!("{}: names an image twice; each path may occur once", table.place(row))));
        }
    }
    let by_series: BTreeMap<String, usize> = row_of.iter().map(|(source, row)| (series.of(source), *row)).collect();
    let row_of = |slice: &Slice| {
        let of_series = slice.slice_id.split('/').nth(1).and_then(|id| by_series.get(id));
        of_series.or_else(|| row_of.get(&slice.source)).copied()
    };
    let lost = slices.iter().filter(|slice| row_of(slice).is_none());
    let lost: Vec<String> = lost.map(|slice| slice.slice_id.clone()).collect();
    if !lost.is_empty() {
        return Err(failed(format!("no row for {}; run preprocess again after changing the manifest", some_of(lost))));
    }
    let mut fold_of = BTreeMap::new();
    for slice in slices {
        let Some(row) = row_of(slice) else { continue };
        let fold = match part(&table, row, split_at, val).map_err(unusable)? {
            Part::Test => TEST,
            Part::Train => TRAIN,
            Part::Dropped => continue,
        };
        fold_of.insert(slice.slice_id.clone(), fold);
    }
    Ok(fold_of)
}

/// How messages call a fold of the column.
pub fn name(fold: i32) -> String {
    let part = if usize::try_from(fold) == Ok(TEST) { Part::Test } else { Part::Train };
    format!("split {}", part.words())
}

fn unusable(path: &Path, error: UserTableError) -> Error {
    let message = match error {
        UserTableError::Io { source, .. } => source.to_string(),
        UserTableError::Fault { place: Place::File, message, .. } => message,
        UserTableError::Fault { place, message, .. } => format!("{place}: {message}"),
    };
    Error::Manifest { path: path.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices() -> Vec<Slice> {
        let slice = |(at, path): (usize, &str)| Slice {
            slice_id: format!("s{at}"),
            patient_id: format!("p{at}"),
            label: 0,
            source: path.to_owned(),
            image: at.to_string(),
        };
        ["a.png", "dir/b, 1.png", "c.png"].into_iter().enumerate().map(slice).collect()
    }

    fn read_text(text: &str, val: SplitVal) -> Result<BTreeMap<String, usize>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, "split", val, (&slices(), &Series(None)))
    }

    /// Rows in another order than the slices, one row that preprocess left out, a path with a comma.
    const GOOD: &str = "path,patient_id,label,split\nc.png,p2,0,VAL\n\"dir/b, 1.png\",p1,0,Test\nlost.png,p9,1,odd\na.png,p0,0,train\n";

    #[test]
    fn rows_meet_slices_by_path() {
        let folds = read_text(GOOD, SplitVal::Train).unwrap();
        assert_eq!(
            folds.into_iter().collect::<Vec<_>>(),
            [("s0".to_owned(), 1), ("s1".to_owned(), 0), ("s2".to_owned(), 1)]
        );
        let folds = read_text(GOOD, SplitVal::Drop).unwrap();
        assert_eq!(folds.into_keys().collect::<Vec<_>>(), ["s0", "s1"]);
    }

    #[test]
    fn rows_meet_slices_whose_path_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let key = Key::load_or_create(&key).unwrap();
        let mut slices = slices();
        for slice in &mut slices {
            slice.slice_id = format!("p/{}/0000", key.pseudonym("series", &slice.source));
            slice.source = "hidden".to_owned();
        }
        let path = folder.path().join("manifest.csv");
        std::fs::write(&path, GOOD.replace(',', ";").replace("\"dir/b; 1.png\"", "dir/b, 1.png")).unwrap();
        let folds = read(&path, "split", SplitVal::Train, (&slices, &Series(Some(key)))).unwrap();
        let of = |at: usize| folds[&slices[at].slice_id];
        assert_eq!([of(0), of(1), of(2)], [TRAIN, TEST, TRAIN]);
    }

    #[test]
    fn faults_are_named() {
        let cases = [
            ("path,label\na.png,0\n", "column \"split\" is missing (found: path, label)"),
            (
                "path,split\na.png,train\n\"dir/b, 1.png\",hold\nc.png,train\n",
                "line 3: column \"split\": expected train, val or test, got \"hold\"; write one of the three",
            ),
            ("path,split\na.png,train\n\"dir/b, 1.png\",\nc.png,train\n", "got \"\""),
            ("path,split\na.png,train\nc.png,train\n", "no row for s1"),
            ("path,split\na.png,train\na.png,test\n\"dir/b, 1.png\",test\nc.png,train\n", "twice"),
        ];
        for (text, part) in cases {
            let error = read_text(text, SplitVal::Train).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(contract::Coded::exit(&error), contract::Exit::Input);
        }
    }
}
