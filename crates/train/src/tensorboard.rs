//! The curves of a run as a TensorBoard event file.
//!
//! Format (tensorflow/core/lib/io/record_writer.cc, tensorflow/core/util/event.proto): records of length (u64), masked CRC-32C of
//! the length, an `Event` in protobuf, masked CRC-32C of the event; all little-endian. The first event names the version.

use std::io;
use std::path::Path;

use contract::atomic;
use serde::Serialize;
use serde_json::Value;

use crate::log::{Row, Timing};

/// Name of the event file. TensorBoard finds it by `tfevents`; a repeated run replaces it.
const FILE: &str = "events.out.tfevents.0.chumoku";
/// What the first event of a file must say.
const VERSION: &str = "brain.Event:2";
/// Added to a CRC after its rotation, so that a CRC over data that hold CRCs stays a good one.
const MASK: u32 = 0xa282_ead8;

/// The column that is the horizontal axis.
const STEP: &str = "epoch";
/// Columns by the start of their name, and the group of curves they belong to.
const GROUPS: [(&str, &str); 3] = [("loss_", "loss/"), ("w_", "weights/"), ("attention_", "attention/")];
/// Short names of the log, written out.
const WORDS: [(&str, &str); 2] = [("att", "attention"), ("per", "perception")];

/// One point of a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Horizontal axis.
    pub step: i64,
    /// Seconds since 1970.
    pub wall_time: f64,
    /// Name of the curve; a `/` groups.
    pub tag: String,
    /// Vertical axis.
    pub value: f32,
}

/// Writes the only event file of `folder`, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, scalars: &[Scalar]) -> io::Result<()> {
    atomic::write(&folder.join(FILE), &encode(scalars))
}

/// Every number of the log and the images/s, a point an epoch. `started`: when the run began, in seconds since 1970.
/// A column that the log gains later gets its curve by itself.
pub fn from_log(rows: &[Row], timing: &[Timing], started: f64) -> Vec<Scalar> {
    let mut wall_time = started;
    let mut scalars = Vec::new();
    for row in rows {
        let clock = timing.iter().find(|clock| clock.epoch == row.epoch);
        wall_time += clock.map_or(0.0, |clock| clock.seconds);
        let step = i64::from(row.epoch);
        scalars.extend(points(row, step, wall_time));
        let rate = clock.map(|clock| clock.images_per_second as f32);
        let tag = "images_per_second".to_owned();
        scalars.extend(rate.map(|value| Scalar { step, wall_time, tag, value }));
    }
    scalars
}

/// A point for each number in `record`; what is absent or not finite has none.
fn points(record: &impl Serialize, step: i64, wall_time: f64) -> Vec<Scalar> {
    let Ok(Value::Object(columns)) = serde_json::to_value(record) else { return Vec::new() };
    let numbers = columns.iter().filter(|(name, _)| *name != STEP).filter_map(|(name, value)| {
        let value = value.as_f64()? as f32;
        Some(Scalar { step, wall_time, tag: tag(name), value })
    });
    numbers.collect()
}

/// The curve of a column: `loss_att` is `loss/attention`, `w_map` is `weights/map`, `lr` is `lr`.
fn tag(column: &str) -> String {
    if column == "loss" {
        return "loss/total".to_owned();
    }
    let grouped = GROUPS.iter().find_map(|(prefix, group)| Some((group, column.strip_prefix(prefix)?)));
    let Some((group, name)) = grouped else { return column.to_owned() };
    let word = WORDS.iter().find(|(short, _)| *short == name).map_or(name, |(_, word)| word);
    format!("{group}{word}")
}

fn encode(scalars: &[Scalar]) -> Vec<u8> {
    let began = scalars.first().map_or(0.0, |scalar| scalar.wall_time);
    let mut file = Vec::new();
    record(&mut file, &event(began, 0, &bytes_field(3, VERSION.as_bytes())));
    for Scalar { step, wall_time, tag, value } in scalars {
        let mut point = bytes_field(1, tag.as_bytes());
        point.push(key(2, Wire::Fixed32));
        point.extend(value.to_le_bytes());
        let summary = bytes_field(1, &point);
        record(&mut file, &event(*wall_time, *step, &bytes_field(5, &summary)));
    }
    file
}

/// An `Event`: wall time is field 1, step field 2, `what` one more field.
fn event(wall_time: f64, step: i64, what: &[u8]) -> Vec<u8> {
    let mut event = vec![key(1, Wire::Fixed64)];
    event.extend(wall_time.to_le_bytes());
    if step != 0 {
        event.push(key(2, Wire::Varint));
        varint(&mut event, step as u64); // a negative i64 is its two's complement
    }
    event.extend(what);
    event
}

/// How protobuf lays out a value.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// What stands before a value. Fields above 15 would need more than a byte; none is used.
fn key(field: u8, wire: Wire) -> u8 {
    field << 3 | wire as u8
}

fn bytes_field(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![key(field, Wire::Bytes)];
    varint(&mut out, bytes.len() as u64);
    out.extend(bytes);
    out
}

/// Seven bits a byte, lowest first; the top bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn record(file: &mut Vec<u8>, event: &[u8]) {
    let length = (event.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked_crc(&length).to_le_bytes());
    file.extend(event);
    file.extend(masked_crc(event).to_le_bytes());
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C bit by bit, reflected polynomial 0x82f63b78 (RFC 3720, B.4).
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
        })
    }

    /// The records of a file after checking both CRCs of each.
    fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
        let unmask =
            |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap()).wrapping_sub(0xa282_ead8).rotate_left(15);
        let mut found = Vec::new();
        while !file.is_empty() {
            let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            assert_eq!(unmask(&file[8..12]), crc(&file[..8]));
            let event = &file[12..12 + length];
            assert_eq!(unmask(&file[12 + length..16 + length]), crc(event));
            found.push(event.to_vec());
            file = &file[16 + length..];
        }
        found
    }

    #[test]
    fn the_checks_own_crc_is_the_standards() {
        // RFC 3720, B.4: 32 bytes of zeros, of ones, and 0..=31.
        assert_eq!(crc(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    #[test]
    fn events_are_the_bytes_that_the_protobuf_encoding_gives_by_hand() {
        // 300 is ac 02 (protobuf.dev/programming-guides/encoding), 1.5 is 3ff8..., 0.5 is 3f000000, 1.0 is 3ff0....
        let scalars = [
            Scalar { step: 300, wall_time: 1.5, tag: "a".to_owned(), value: 0.5 },
            Scalar { step: -1, wall_time: 1.0, tag: "b/c".to_owned(), value: -2.0 },
        ];
        let expected: [&[u8]; 3] = [
            b"\x09\0\0\0\0\0\0\xf8\x3f\x1a\x0dbrain.Event:2",
            b"\x09\0\0\0\0\0\0\xf8\x3f\x10\xac\x02\x2a\x0a\x0a\x08\x0a\x01a\x15\0\0\0\x3f",
            b"\x09\0\0\0\0\0\0\xf0\x3f\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x2a\x0c\x0a\x0a\x0a\x03b/c\x15\0\0\0\xc0",
        ];
        assert_eq!(records(&encode(&scalars)), expected);
    }

    #[test]
    fn every_number_of_a_record_becomes_a_curve() {
        let record = serde_json::json!({
            "epoch": 3, "alpha": null, "lr": 0.25, "loss": 1.5, "loss_att": 0.5, "loss_per": 0.75, "loss_map": f64::NAN,
            "w_att": 1.0, "attention_in_lung": 0.125, "added_later": 2.0, "words": "no number",
        });
        let points = points(&record, 3, 9.0);
        assert!(points.iter().all(|point| point.step == 3 && point.wall_time == 9.0));
        let mut found: Vec<(&str, f32)> = points.iter().map(|point| (point.tag.as_str(), point.value)).collect();
        found.sort_by(|a, b| a.0.cmp(b.0));
        let expected = [
            ("added_later", 2.0),
            ("attention/in_lung", 0.125),
            ("loss/attention", 0.5),
            ("loss/perception", 0.75),
            ("loss/total", 1.5),
            ("lr", 0.25),
            ("weights/attention", 1.0),
        ];
        assert_eq!(found, expected);
    }
}
