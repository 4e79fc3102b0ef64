//! What the targets share: bytes become a file, a reader reads it, and its error must name it.

use std::path::Path;

/// Writes `bytes` to a file of this name in a folder of the process, and reads it.
pub fn read<T>(name: &str, bytes: &[u8], read: impl FnOnce(&Path) -> Result<T, preprocess::Error>) {
    let folder = std::env::temp_dir().join(format!("chumoku-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file");
    if let Err(error) = read(&path) {
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// The classes of a study of two.
pub fn classes() -> Vec<String> {
    ["common", "covid"].map(str::to_owned).to_vec()
}
