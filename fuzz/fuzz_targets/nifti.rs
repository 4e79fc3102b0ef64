#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    chumoku_fuzz::read("a.nii", bytes, preprocess::nifti_io::read);
});
