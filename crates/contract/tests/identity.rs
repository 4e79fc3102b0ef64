//! Pseudonyms and random streams: stable, keyed, independent.

use contract::id::Key;
use contract::random::stream;
use rand::RngExt;

#[test]
fn pseudonyms_are_stable_for_a_key_and_differ_between_keys() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.key"), folder.path().join("b.key"));
    let first = Key::load_or_create(&a).unwrap().pseudonym("patient", "MRN-0042");
    assert_eq!(first, Key::load_or_create(&a).unwrap().pseudonym("patient", "MRN-0042"));
    assert_ne!(first, Key::load_or_create(&b).unwrap().pseudonym("patient", "MRN-0042"));
    assert_ne!(first, Key::load_or_create(&a).unwrap().pseudonym("series", "MRN-0042"));
    assert!(first.len() == 12 && first.chars().all(|c| c.is_ascii_hexdigit()));
    std::fs::write(&a, "not a key").unwrap();
    assert!(Key::load_or_create(&a).err().unwrap().to_string().contains("is not a key of 64 hex digits"));
}

#[test]
fn streams_depend_on_seed_purpose_and_counters_alone() {
    let draw = |seed, domain, counters: &[u64]| stream(seed, domain, counters).random_range(0..u64::MAX);
    assert_eq!(draw(1, "order", &[2, 3]), draw(1, "order", &[2, 3]));
    let different =
        [draw(1, "order", &[2, 3]), draw(2, "order", &[2, 3]), draw(1, "augment", &[2, 3]), draw(1, "order", &[3, 2])];
    let unique: std::collections::BTreeSet<u64> = different.into_iter().collect();
    assert_eq!(unique.len(), 4);
}
