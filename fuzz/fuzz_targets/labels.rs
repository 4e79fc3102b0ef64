#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chumoku_fuzz::read("a.csv", bytes, |path| preprocess::labels::read(path, &chumoku_fuzz::classes()));
});
