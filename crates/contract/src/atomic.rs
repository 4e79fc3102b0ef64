//! Outputs appear whole or not at all: write aside, sync, rename.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How the names of files begin that are being written.
const UNFINISHED: &str = ".writing-";

/// A file that appears under its name only on [`FileWriter::commit`]; dropped before, it leaves nothing.
pub struct FileWriter {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl FileWriter {
    /// Opens a temporary file in the folder of `path`, which is made if it is missing.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            // tempfile makes 0600 by default, which would lock colleagues out of a shared study.
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Syncs and renames to the final name.
    pub fn commit(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Where the bytes are before the commit, for writers that want a path.
    pub fn temporary(&self) -> &Path {
        self.file.path()
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = FileWriter::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// The suffix of a folder that is still being filled.
pub const PARTIAL: &str = ".partial";

/// A folder that is filled under a `.partial` name and takes its final name on [`Folder::commit`].
pub struct Folder {
    /// Where it is filled.
    path: PathBuf,
    /// The name it gets.
    target: PathBuf,
}

impl Folder {
    /// Starts afresh: what an earlier attempt left under the partial name is removed.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = Self::resume(path)?;
        fs::remove_dir_all(&folder.path)?;
        fs::create_dir_all(&folder.path)?;
        Ok(folder)
    }

    /// Goes on with what an earlier attempt left, if anything.
    pub fn resume(path: &Path) -> io::Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        fs::create_dir_all(&partial)?;
        for entry in fs::read_dir(&partial)? {
            let entry = entry?;
            // A process that was killed while it wrote leaves its half of a file.
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { path: partial, target: path.to_owned() })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the final folder. The old one is removed only when the new one is complete.
    pub fn commit(self) -> io::Result<()> {
        for relative in crate::hash::walk(&self.path)? {
            File::open(self.path.join(relative))?.sync_all()?;
        }
        if self.target.exists() {
            fs::remove_dir_all(&self.target)?;
        }
        fs::rename(&self.path, &self.target)
    }

    /// Removes what was written, for a stage that failed and cannot go on from there.
    pub fn discard(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
