//! A manifest's own split: a column with `train`, `val` or `test` in every row.

use std::collections::BTreeMap;
use std::path::Path;

use contract::config::SplitVal;
use contract::schema::column;
use polars::prelude::*;

use crate::audit::some_of;
use crate::error::Error;
use crate::slices::Slice;

/// The fold that is held out: rows with `test`.
pub const TEST: usize = 0;
/// The fold that is trained on and never held out.
pub const TRAIN: usize = 1;

/// Names of the columns while joining.
const ROW: &str = "manifest_row";

/// The fold of every slice by its id: [`TEST`] or [`TRAIN`]; `val` rows train, or are left out.
///
/// # Errors
/// The manifest has no such column, a row has another value, or a slice is in no row or in two.
pub fn read(path: &Path, split: &str, val: SplitVal, slices: &[Slice]) -> Result<BTreeMap<String, usize>, Error> {
    let failed = |message: String| Error::Manifest { path: path.to_owned(), message };
    let manifest = manifest(path, split)?;
    let frame = df!(
        column::SLICE_ID => slices.iter().map(|slice| slice.slice_id.as_str()).collect::<Vec<_>>(),
        column::SOURCE => slices.iter().map(|slice| slice.source.as_str()).collect::<Vec<_>>(),
    )?;
    let joined = frame
        .lazy()
        .join(manifest.lazy(), [col(column::SOURCE)], [col(column::PATH)], JoinArgs::new(JoinType::Left))
        .sort([column::SLICE_ID], SortMultipleOptions::default())
        .collect()?;
    let (ids, rows) = (joined.column(column::SLICE_ID)?.str()?, joined.column(ROW)?.idx()?);
    let lost: Vec<String> = ids
        .iter()
        .zip(rows.iter())
        .filter(|(_, row)| row.is_none())
        .filter_map(|(id, _)| id.map(str::to_owned))
        .collect();
    if !lost.is_empty() {
        return Err(failed(format!("no row for {}; run preprocess again after changing the manifest", some_of(lost))));
    }
    if joined.height() != slices.len() {
        return Err(failed("names an image twice; each path may occur once".to_owned()));
    }
    let mut fold_of = BTreeMap::new();
    for ((id, row), value) in ids.iter().zip(rows.iter()).zip(joined.column(split)?.str()?.iter()) {
        let fold = match (value.map(str::trim), val) {
            (Some("test"), _) => TEST,
            (Some("train"), _) | (Some("val"), SplitVal::Train) => TRAIN,
            (Some("val"), SplitVal::Drop) => continue,
            (other, _) => return Err(failed(unexpected(split, row, other.unwrap_or_default()))),
        };
        fold_of.insert(id.unwrap_or_default().to_owned(), fold);
    }
    Ok(fold_of)
}

fn unexpected(split: &str, row: Option<IdxSize>, got: &str) -> String {
    // The first row below the header is line 2.
    let line = row.unwrap_or_default() + 2;
    format!("line {line}: column \"{split}\": expected train, val or test, got \"{got}\"")
}

/// Path, split and row number of every row, all as text.
fn manifest(path: &Path, split: &str) -> Result<DataFrame, Error> {
    let failed = |message: String| Error::Manifest { path: path.to_owned(), message };
    let read = CsvReadOptions::default()
        .with_infer_schema_length(Some(0))
        .with_row_index(Some(RowIndex { name: ROW.into(), offset: 0 }))
        .try_into_reader_with_file_path(Some(path.to_owned()))
        .and_then(|reader| reader.finish())
        .map_err(|error| failed(error.to_string()))?;
    for name in [column::PATH, split] {
        if read.column(name).is_err() {
            let names = read.get_column_names().into_iter().map(|name| name.as_str());
            let found: Vec<&str> = names.filter(|name| *name != ROW).collect();
            return Err(failed(format!("no column \"{name}\" (found: {})", found.join(", "))));
        }
    }
    Ok(read.select([ROW, column::PATH, split])?)
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
        read(&path, "split", val, &slices())
    }

    /// Rows in another order than the slices, one row that preprocess left out, a path with a comma.
    const GOOD: &str = "path,patient_id,label,split\nc.png,p2,0,val\n\"dir/b, 1.png\",p1,0,test\nlost.png,p9,1,odd\na.png,p0,0,train\n";

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
    fn faults_are_named() {
        let cases = [
            ("path,label\na.png,0\n", "no column \"split\" (found: path, label)"),
            (
                "path,split\na.png,train\n\"dir/b, 1.png\",Test\nc.png,train\n",
                "line 3: column \"split\": expected train, val or test, got \"Test\"",
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
