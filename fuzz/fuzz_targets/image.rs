#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chumoku_fuzz::read("a.png", bytes, |path| preprocess::images::read(path, (-1350.0, 150.0)));
});
