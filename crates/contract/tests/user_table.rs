//! Tables as pandas, polars, Excel and R write them, made here. Expected values are those that the tables were made of.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeListArray,
    Float16Array, Float32Array, Float64Array, Int8Array, Int64Array, LargeListArray, LargeStringArray, ListArray,
    RecordBatch, StringArray, StringViewArray, StructArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use contract::user_table::{Audience, Place, UserTable, UserTableError, Values};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// Three ids and the probabilities beside them.
const IDS: [&str; 3] = ["p1", "p2", "p10"];
const PROBS: [f64; 3] = [0.25, 0.5, 1.0];

/// A folder with a file.
fn place(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn read(content: &[u8]) -> Result<UserTable, UserTableError> {
    let (_folder, path) = place("t.csv", content);
    UserTable::read(&path, &[], Audience::Owner)
}

/// Ids and probabilities of a table.
fn both(table: &UserTable) -> Result<(Vec<String>, Vec<Option<f64>>), UserTableError> {
    let [patient, prob] = table.require(["patient_id", "prob"])?;
    Ok((table.ids(patient)?.values, table.numbers(prob, "a number")?))
}

fn expected() -> (Vec<String>, Vec<Option<f64>>) {
    (IDS.map(str::to_owned).to_vec(), PROBS.map(Some).to_vec())
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>, compression: Compression) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)));
    let batch = batch.unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn parquet(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Result<UserTable, UserTableError> {
    let (_folder, path) = place("t.parquet", b"");
    write_parquet(&path, columns, compression);
    UserTable::read(&path, &["patient_id", "prob"], Audience::Owner)
}

fn ids() -> ArrayRef {
    Arc::new(StringArray::from(IDS.to_vec()))
}

fn probs() -> ArrayRef {
    Arc::new(Float64Array::from(PROBS.to_vec()))
}

#[test]
fn one_table_in_many_forms_of_text() {
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let plain = "patient_id,prob\np1,0.25\np2,0.5\np10,1\n";
    let texts: [Vec<u8>; 10] = [
        plain.into(),
        plain.replace(',', ";").into(),
        plain.replace(',', "\t").replace('\n', "\r\n").into(),
        plain.replace(',', ";").replace('.', ",").into(),
        "patient_id,prob\np1,\"0,25\"\np2,\"0,5\"\np10,\"1,0\"\n".into(),
        "\u{feff}\"Patient ID\" ; PROB\np1;0.25\np2;0.5\np10;1.0\n;\n;\n".into(),
        ",patient_id,prob\n0,p1,0.25\n1,p2,0.5\n2,p10,1\n".into(),
        "sep=|\npatient_id|prob\np1|.25\np2|.5\np10|1\n".into(),
        utf16(plain),
        utf16(&plain.replace(',', "\t")),
    ];
    for text in texts {
        let table = read(&text).unwrap();
        assert_eq!(both(&table).unwrap(), expected(), "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn one_table_in_many_types_and_codecs() {
    let category: DictionaryArray<Int32Type> = IDS.into_iter().collect();
    let id_columns: [ArrayRef; 5] = [
        Arc::new(category),
        Arc::new(LargeStringArray::from(IDS.to_vec())),
        Arc::new(StringViewArray::from(IDS.to_vec())),
        Arc::new(BinaryArray::from(IDS.map(str::as_bytes).to_vec())),
        cast(&ids(), &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8))).unwrap(),
    ];
    for column in id_columns {
        let kind = column.data_type().to_string();
        let table = parquet(vec![("patient_id", column), ("prob", probs())], Compression::SNAPPY).unwrap();
        assert_eq!(both(&table).unwrap(), expected(), "{kind}");
    }
    let decimals = Decimal128Array::from(vec![250, 500, 1000]).with_precision_and_scale(10, 3).unwrap();
    let prob_columns: [ArrayRef; 5] = [
        Arc::new(Float32Array::from(PROBS.map(|p| p as f32).to_vec())),
        cast(&probs(), &DataType::Float16).unwrap(),
        Arc::new(decimals),
        Arc::new(StringArray::from(vec!["0.25", " 0.5 ", "1"])),
        cast(&probs(), &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Float64))).unwrap(),
    ];
    for column in prob_columns {
        let kind = column.data_type().to_string();
        let table = parquet(vec![("patient_id", ids()), ("prob", column)], Compression::UNCOMPRESSED).unwrap();
        assert_eq!(both(&table).unwrap(), expected(), "{kind}");
    }
    for codec in [
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        let table = parquet(vec![("patient_id", ids()), ("prob", probs())], codec).unwrap();
        assert_eq!(both(&table).unwrap(), expected(), "{codec}");
    }
}

#[test]
fn lists_of_any_kind_are_lists() {
    let rows = || PROBS.map(|p| Some(vec![Some(1.0 - p), Some(p)]));
    let lists: [ArrayRef; 3] = [
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows())),
        Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(rows())),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(rows(), 2)),
    ];
    for list in lists {
        let table = parquet(vec![("prob", list)], Compression::SNAPPY).unwrap();
        let Values::Lists(found) = &table.columns()[0].values else { panic!("lists") };
        assert_eq!(*found, PROBS.map(|p| Some(vec![1.0 - p, p])).to_vec());
    }
}

#[test]
fn ids_that_are_numbers_are_read_as_integers() {
    let columns: [(ArrayRef, bool); 5] = [
        (Arc::new(Int8Array::from(vec![1, 2, 10])), false),
        (Arc::new(UInt64Array::from(vec![1, 2, 10])), false),
        (Arc::new(Float64Array::from(vec![1.0, 2.0, 10.0])), true),
        (Arc::new(Float16Array::from([1.0, 2.0, 10.0].map(half).to_vec())), true),
        (Arc::new(StringArray::from(vec!["1.0", "2.0", "10.0"])), true),
    ];
    for (column, is_guess) in columns {
        let kind = column.data_type().to_string();
        let table = parquet(vec![("patient_id", column)], Compression::SNAPPY).unwrap();
        let ids = table.ids(0).unwrap();
        assert_eq!(ids.values, ["1", "2", "10"], "{kind}");
        assert_eq!(ids.remarks.iter().any(|remark| remark.contains("floats such as 7.0")), is_guess, "{kind}");
    }
}

/// A float of 16 bits.
fn half(value: f32) -> <arrow::datatypes::Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native {
    let wide: ArrayRef = Arc::new(Float32Array::from(vec![value]));
    let narrow = cast(&wide, &DataType::Float16).unwrap();
    narrow.as_any().downcast_ref::<Float16Array>().unwrap().value(0)
}

#[test]
fn what_is_not_an_id_is_refused_with_its_row() {
    let columns: [(ArrayRef, &str); 6] = [
        (
            Arc::new(StringArray::from(vec![Some("a"), None, Some("b")])),
            "row 2: column \"patient_id\": expected an id in every row, got none",
        ),
        (Arc::new(StringArray::from(vec!["a", "b", " "])), "row 3"),
        (
            Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0])),
            "row 2: column \"patient_id\": expected an id in every row, got none",
        ),
        (
            Arc::new(Float64Array::from(vec![1.0, 2.5, 3.0])),
            "row 2: column \"patient_id\": expected an id in every row, got a number of type Float64",
        ),
        (Arc::new(BooleanArray::from(vec![true, false, true])), "type Boolean"),
        (Arc::new(Date32Array::from(vec![1, 2, 3])), "type Date32"),
    ];
    for (column, words) in columns {
        let table = parquet(vec![("patient_id", column)], Compression::SNAPPY).unwrap();
        let error = table.ids(0).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let inner = StructArray::try_from(vec![("a", one)]).unwrap();
    let table = parquet(vec![("patient_id", Arc::new(inner)), ("prob", probs())], Compression::SNAPPY).unwrap();
    let error = table.ids(0).unwrap_err().to_string();
    assert!(error.contains("Struct"), "{error}");
}

#[test]
fn missing_and_rounded_ids_in_text_are_refused_with_their_line() {
    for (id, words) in [
        ("", "line 3: column \"patient_id\": expected an id in every row, got none; fill it"),
        ("nan", "line 3: column \"patient_id\": expected an id in every row, got \"nan\", which stands for none"),
        ("NA", "got \"NA\""),
        (
            "1.23E+10",
            "line 3: column \"patient_id\": expected an id in every row, got a number that a spreadsheet rounded",
        ),
    ] {
        let table = read(format!("patient_id,prob\na,0.5\n{id},0.5\n").as_bytes()).unwrap();
        let error = both(&table).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn numbers_are_of_one_kind() {
    for (cells, words) in [
        (["0.5", "0,5"], "decimal points and decimal commas"),
        (["0.5", "45%"], "line 3: column \"prob\": expected a number, got \"45%\"; write 0.45 for 45%"),
        (["0.5", "1.234,5"], "thousands"),
        (["high", "0.5"], "line 2: column \"prob\": expected a number, got \"high\""),
    ] {
        let text = format!("patient_id;prob\na;{}\nb;{}\n", cells[0], cells[1]);
        let error = both(&read(text.as_bytes()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn columns_are_found_by_name_or_refused() {
    let error = |text: &str| both(&read(text.as_bytes()).unwrap()).unwrap_err().to_string();
    assert!(
        error("patient_id,prob,prob\na,1,0\n").contains("line 1: column \"prob\" is there twice (columns 2 and 3)")
    );
    assert!(error("patient_id,PROB,Prob\na,1,0\n").contains("twice"));
    assert!(
        error("patient_id,p\na,1\n")
            .contains("column \"prob\" is missing (found: patient_id, p); add or rename a column")
    );
    assert!(error("patient_id prob\na 1\n").contains("separate the columns by commas, not blanks"));
    let table = read(b"prob,patient_id,PROB\n1,a,0\n").unwrap();
    assert_eq!(both(&table).unwrap().1, [Some(1.0)], "the name as it is written counts");
}

#[test]
fn ids_do_not_reach_a_log() {
    let (_folder, path) = place("t.csv", b"P001,0\nP002,1\n");
    let error = UserTable::read(&path, &[], Audience::Log).unwrap().require(["patient_id"]).unwrap_err().to_string();
    assert!(!error.contains("P001") && error.contains("is the first line the head?"), "{error}");
    let text = b"patient_id,label\nP01,0\nP1,0\np1,1\n";
    let (_folder, path) = place("t.csv", text);
    let remark = |audience| UserTable::read(&path, &[], audience).unwrap().ids(0).unwrap().remarks.remove(0);
    let (log, owner) = (remark(Audience::Log), remark(Audience::Owner));
    assert!(log.contains("(line 2 and line 3 and line 4)") && !log.contains("P01"), "{log}");
    assert!(owner.contains("\"P01\" in line 2 and \"P1\" in line 3"), "{owner}");
}

#[test]
fn what_cannot_be_read_is_named_and_never_deleted() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder.parquet")).unwrap();
    write_parquet(&path("whole.parquet"), vec![("patient_id", ids())], Compression::SNAPPY);
    let whole = fs::read(path("whole.parquet")).unwrap();
    fs::write(path("cut.parquet"), &whole[..whole.len() - 40]).unwrap();
    fs::write(
        path("flipped.parquet"),
        whole.iter().map(|byte| byte ^ (0x11 * u8::from(*byte == 0x15))).collect::<Vec<_>>(),
    )
    .unwrap();
    write_parquet(&path("empty.parquet"), vec![("patient_id", ids().slice(0, 0))], Compression::SNAPPY);
    fs::write(path("head.csv"), "patient_id,label\n").unwrap();
    fs::write(path("empty.csv"), "").unwrap();
    fs::write(path("book.xlsx"), b"PK\x03\x04\x14\0[Content_Types].xml").unwrap();
    for (name, words) in [
        ("folder.parquet", "is a folder"),
        ("cut.parquet", "is not a readable Parquet file"),
        ("flipped.parquet", ""),
        ("empty.parquet", "has no rows"),
        ("head.csv", "has no rows"),
        ("empty.csv", "is empty"),
        ("book.xlsx", "Excel workbook"),
        ("gone.csv", "cannot read"),
    ] {
        let error = UserTable::read(&path(name), &[], Audience::Owner).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(name) && !error.contains("delete"), "{error}");
    }
}

#[test]
fn chunks_count_their_rows_on() {
    let (_folder, path) = place("t.parquet", b"");
    write_parquet(&path, vec![("patient_id", ids()), ("prob", probs())], Compression::SNAPPY);
    let mut places = Vec::new();
    UserTable::chunks(&path, &["patient_id"], 2, Audience::Log, |rows| {
        places.push((0..rows.rows()).map(|row| (rows.place(row), rows.text(row, 0).unwrap())).collect::<Vec<_>>());
        Ok::<_, UserTableError>(())
    })
    .unwrap();
    let id = |row: usize| (Place::Row(row as u64 + 1), Some(IDS[row].to_owned()));
    assert_eq!(places, [vec![id(0), id(1)], vec![id(2)]]);
}
