#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chumoku_fuzz::read("a.dcm", bytes, preprocess::dicom::scan_file);
});
