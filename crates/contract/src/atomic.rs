//! Outputs appear whole or not at all: write aside, sync, rename.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::layout::{CHECKPOINT, RECEIPT};

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
        sync_folder_of(&self.path)
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

/// What to do about a file that cannot be read or written, to end a message with.
pub fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room on that disk, and give the same command: it goes on from where it was"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make that folder writable, or set paths.data and paths.reports to folders that are"
        }
        _ => "",
    }
}

/// Makes the names in the folder of `path` survive a loss of power; the files' own sync does not.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// The suffix of a folder that is still being filled.
pub const PARTIAL: &str = ".partial";
/// The suffix of a folder that another one is about to replace.
const REPLACED: &str = ".replaced";

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where the folder `path` is written: if it is a link to a folder that a task made, to an empty one or to one that is not there, then where
/// that leads, so that a folder on another disk stays there. Of a link to anything else the link itself is replaced.
pub(crate) fn real(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    // More links than the kernel follows are a circle.
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&place) else { break };
        place = place.parent().unwrap_or(Path::new("")).join(target);
    }
    let is_foreign =
        || !place.join(RECEIPT).is_file() && fs::read_dir(&place).is_ok_and(|mut files| files.next().is_some());
    if place.is_symlink() || place.is_file() || is_foreign() { path.to_owned() } else { place }
}

/// Where the folder `path` is while it is being filled.
pub fn partial(path: &Path) -> PathBuf {
    with_suffix(&real(path), PARTIAL)
}

/// The folder that was in the place of `path` when a replacement was cut off, if it was.
pub(crate) fn replaced(path: &Path) -> Option<PathBuf> {
    Some(with_suffix(&real(path), REPLACED)).filter(|old| old.is_dir())
}

/// A free name beside the folder `path`, for what was in it and must not be lost.
pub fn kept(path: &Path) -> PathBuf {
    let path = &real(path);
    let names = (1_u64..).map(|number| with_suffix(path, &format!(".kept-{number}")));
    let mut free = names.filter(|name| !name.exists());
    free.next().unwrap_or_else(|| with_suffix(path, ".kept"))
}

/// Ends a replacement of the folder `path` that was cut off between its two renames.
pub fn recover(path: &Path) -> io::Result<()> {
    let path = &real(path);
    let old = with_suffix(path, REPLACED);
    match (old.exists(), path.exists()) {
        (false, _) => Ok(()),
        (true, true) => fs::remove_dir_all(&old),
        (true, false) => fs::rename(&old, path),
    }
}

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

    /// Goes on from the checkpoint that an earlier attempt left, if any. Everything else that it left is removed: it may be half
    /// of a file, or whole and of other settings, which this attempt would not write over.
    pub fn resume(path: &Path) -> io::Result<Self> {
        recover(path)?;
        let (target, partial) = (real(path), partial(path));
        fs::create_dir_all(&partial)?;
        for entry in fs::read_dir(&partial)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else if entry.file_name() != CHECKPOINT {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { path: partial, target })
    }

    /// What an earlier attempt left, as it is.
    pub(crate) fn left(path: &Path) -> Option<Self> {
        let partial = partial(path);
        partial.is_dir().then(|| Self { path: partial, target: real(path) })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes everything through to the disk, names included.
    pub fn sync(&self) -> io::Result<()> {
        let mut folders = BTreeSet::from([self.path.clone()]);
        for relative in crate::hash::walk(&self.path)? {
            let file = self.path.join(relative);
            File::open(&file)?.sync_all()?;
            folders.extend(file.ancestors().skip(1).take_while(|above| *above != self.path).map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }

    /// Replaces the final folder. The old one is removed only when the new one is in its place.
    pub fn commit(self) -> io::Result<()> {
        self.sync()?;
        recover(&self.target)?;
        let old = with_suffix(&self.target, REPLACED);
        let replaces = self.target.exists();
        if replaces {
            fs::rename(&self.target, &old)?;
        }
        if let Err(error) = fs::rename(&self.path, &self.target) {
            recover(&self.target)?;
            return Err(error);
        }
        sync_folder_of(&self.target)?;
        if replaces { fs::remove_dir_all(&old) } else { Ok(()) }
    }

    /// Removes what was written, for a stage that failed and cannot go on from there.
    pub fn discard(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
/// A message if `out` is one of the files that are read: writing would replace the user's own. `None` if it is not.
pub fn is_input<'a>(out: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Option<String> {
    let real = out.canonicalize().ok()?;
    let mut inputs = inputs.into_iter().filter_map(|input| input.canonicalize().ok());
    inputs
        .any(|input| input == real)
        .then(|| format!("{} is input and output; name another file to write to", out.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_are_inputs_are_named_by_whatever_path() {
        let folder = tempfile::tempdir().unwrap();
        let (input, link) = (folder.path().join("a.csv"), folder.path().join("link.csv"));
        std::fs::write(&input, "data").unwrap();
        std::os::unix::fs::symlink(&input, &link).unwrap();
        let dotted = folder.path().join(".").join("a.csv");
        for out in [&input, &link, &dotted] {
            assert!(is_input(out, [input.as_path()]).is_some_and(|message| message.contains("is input and output")));
        }
        assert_eq!(is_input(&folder.path().join("b.csv"), [input.as_path()]), None);
    }
}
