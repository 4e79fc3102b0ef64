//! Line and column of every key and value of a YAML file, by the parser that reads the values.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, Spanned};

use super::fault::{Fault, Source};

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64, u64);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.0, self.1)
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self(location.line(), location.column())
    }
}

/// A key of a map, or an item of a list by its index.
#[derive(Debug)]
struct Entry {
    name: String,
    key: Place,
    value: Place,
    below: Places,
}

/// Entries of a map or a list in the order of the file; none of a scalar.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Entry>);

impl Places {
    /// Reads the positions of a file, of keys that occur twice all of them.
    pub fn read(text: &str) -> Result<Self, serde_yaml::Error> {
        serde_yaml::from_str_with_options(
            text,
            serde_yaml::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough },
        )
    }

    /// Calls `note` with the dotted path of each entry and the places of its key and its value.
    pub fn each(&self, prefix: &str, note: &mut impl FnMut(String, Place, Place)) {
        for entry in &self.0 {
            let path = join(prefix, &entry.name);
            entry.below.each(&path, note);
            note(path, entry.key, entry.value);
        }
    }

    /// A fault for each key that its map has already.
    pub fn duplicates(&self, file: &str) -> Vec<Fault> {
        let mut first: BTreeMap<String, Place> = BTreeMap::new();
        let mut faults = Vec::new();
        self.each("", &mut |path, key, _| match first.get(&path) {
            Some(before) if before < &key => {
                let message = format!("{path} is given twice, first at {before}; keep one");
                faults.push(Fault { place: Source { name: file.to_owned(), at: Some(key) }, message });
            }
            _ => drop(first.insert(path, key)),
        });
        faults
    }
}

/// The dotted path of `name` below `prefix`.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Places;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a map, a list or a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_unit<E>(self) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_none<E>(self) -> Result<Places, E> {
        Ok(Places::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Places, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Places, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Places::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Places, A::Error> {
        let mut entries = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Places>>()? {
            let place = item.referenced.into();
            entries.push(Entry { name: entries.len().to_string(), key: place, value: place, below: item.value });
        }
        Ok(Places(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Places, A::Error> {
        let mut found = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let value = entries.next_value::<Spanned<Places>>()?;
            let (key_at, value_at) = (key.referenced.into(), value.referenced.into());
            found.push(Entry { name: key.value, key: key_at, value: value_at, below: value.value });
        }
        Ok(Places(found))
    }
}
