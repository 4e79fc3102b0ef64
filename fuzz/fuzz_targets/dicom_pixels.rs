#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chumoku_fuzz::read("a.dcm", bytes, |path| preprocess::hounsfield::read(path, None));
});
