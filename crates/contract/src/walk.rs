//! All files of a folder that a user gave: links are followed, each folder counts once, and no error names what lies in it.
//!
//! Folders of CT are often called by the name or the id of a patient. An error says where an entry stands in its folder; the owner sees its
//! name there.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// All regular files below `folder`, relative to it, sorted. Names that start with a dot are passed over, and so are sockets, pipes and
/// devices.
///
/// Links are followed. A folder that is reached in several ways, or by a link that leads back, counts once: where it really lies if that is
/// below `folder`, else by the first of the links in the order of their paths.
///
/// # Errors
/// A folder cannot be read, a link leads nowhere, or a link leads to a folder in which `folder` itself lies. The message names the entry by its
/// [`place`].
pub fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let real = folder.canonicalize()?;
    let mut walk = Walk { root: folder, seen: HashSet::new(), linked: BTreeSet::new(), found: Vec::new() };
    walk.folders(Folder { path: PathBuf::new(), real: real.clone() })?;
    while let Some(link) = walk.linked.pop_first() {
        walk.enter(link, &real)?;
    }
    walk.found.sort();
    Ok(walk.found)
}

/// A folder on the way.
struct Folder {
    /// Its path from the folder that is walked.
    path: PathBuf,
    /// Its one path without links, by which it is known again.
    real: PathBuf,
}

/// A walk on its way.
struct Walk<'a> {
    root: &'a Path,
    /// Folders that were read, by their paths without links.
    seen: HashSet<PathBuf>,
    /// Links to folders, for when all that needs no link is read.
    linked: BTreeSet<PathBuf>,
    found: Vec<PathBuf>,
}

impl Walk<'_> {
    /// Reads a folder and the folders in it that were not read yet, and notes the links among them.
    fn folders(&mut self, first: Folder) -> io::Result<()> {
        let (root, mut open) = (self.root, vec![first]);
        while let Some(folder) = open.pop() {
            if !self.seen.insert(folder.real.clone()) {
                continue;
            }
            let unread = |error| unread(root, &folder.path, error);
            let entries = std::fs::read_dir(root.join(&folder.path)).map_err(unread)?;
            for name in entries.map(|entry| entry.map(|entry| entry.file_name())) {
                let name = name.map_err(unread)?;
                if !is_hidden(&name) {
                    open.extend(self.entry(&folder, &name)?);
                }
            }
        }
        Ok(())
    }

    /// Notes a file or a link; returns a folder that is to be read.
    fn entry(&mut self, folder: &Folder, name: &OsStr) -> io::Result<Option<Folder>> {
        let path = folder.path.join(name);
        // `metadata` follows links: a study's data often is one.
        let kind = std::fs::metadata(self.root.join(&path)).map_err(|error| unread(self.root, &path, error))?;
        if kind.is_file() {
            self.found.push(path);
        } else if kind.is_dir() && self.root.join(&path).is_symlink() {
            self.linked.insert(path);
        } else if kind.is_dir() {
            return Ok(Some(Folder { path, real: folder.real.join(name) }));
        }
        Ok(None)
    }

    /// Reads the folder to which a link leads; `root` is the folder that is walked, without links.
    fn enter(&mut self, link: PathBuf, root: &Path) -> io::Result<()> {
        let real = self.root.join(&link).canonicalize().map_err(|error| unread(self.root, &link, error))?;
        if root != real && root.starts_with(&real) {
            let words = "is a link to a folder in which this one lies, so that it holds all that lies beside it; remove the link; \
                         `find . -type l -ls` in that folder lists all links";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, said(self.root, &link, words)));
        }
        self.folders(Folder { path: link, real })
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Words about the entry `path` of `folder`, by its [`place`].
fn said(folder: &Path, path: &Path, words: &str) -> String {
    format!("its entry {} {words}", place(folder, path))
}

/// What is to be said of the entry `path` of `folder` that cannot be read: its [`place`], why, and what to do; never its name.
pub fn unread(folder: &Path, path: &Path, error: io::Error) -> io::Error {
    if path.as_os_str().is_empty() {
        return error;
    }
    let whole = folder.join(path);
    let words = match error.kind() {
        io::ErrorKind::NotFound if whole.is_symlink() => {
            "is a link that leads nowhere; fetch the file that it stands for (`datalad get`, \
             `git annex get`), or remove the link; `find -L . -type l` in that folder lists all such links"
                .to_owned()
        }
        io::ErrorKind::NotFound => "vanished while it was read; let nothing write there meanwhile".to_owned(),
        io::ErrorKind::PermissionDenied => {
            format!(
                "cannot be read: {error}; make it readable; `find . ! -readable` in that folder lists all such entries"
            )
        }
        _ if whole.is_symlink() => {
            format!(
                "is a link that cannot be followed: {error}; remove it; `find . -type l -ls` in that folder lists all links"
            )
        }
        _ => format!("cannot be read: {error}"),
    };
    io::Error::new(error.kind(), said(folder, path, &words))
}

/// Where the entry `path` of `folder` stands, without its name: `3/12` is the twelfth entry of the third, with the names in the order of their
/// bytes and without those that start with a dot, as `LC_ALL=C ls` lists them.
pub fn place(folder: &Path, path: &Path) -> String {
    let mut at = folder.to_owned();
    let mut numbers = Vec::new();
    for part in path {
        let entries = std::fs::read_dir(&at).into_iter().flatten().flatten();
        let before = entries.map(|entry| entry.file_name()).filter(|name| !is_hidden(name) && name.as_os_str() < part);
        numbers.push((before.count() + 1).to_string());
        at.push(part);
    }
    format!("{} (counted folder by folder as `LC_ALL=C ls` lists them)", numbers.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Folders `a` and `b` with a file each.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("1.dcm"), name).unwrap();
        }
        folder
    }

    fn found(folder: &Path) -> Vec<String> {
        walk(folder).unwrap().iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn links_to_files_and_folders_elsewhere_are_followed() {
        let (folder, store) = (folder(), folder());
        symlink(store.path().join("a/1.dcm"), folder.path().join("a/2.dcm")).unwrap();
        symlink(store.path(), folder.path().join("c")).unwrap();
        assert_eq!(found(folder.path()), ["a/1.dcm", "a/2.dcm", "b/1.dcm", "c/a/1.dcm", "c/b/1.dcm"]);
        let root = store.path().join("root");
        symlink(folder.path(), &root).unwrap();
        assert_eq!(found(&root).len(), 5, "the folder itself is a link, and a link in it leads to where that lies");
    }

    #[test]
    fn each_file_is_found_once_however_many_links_lead_back() {
        let folder = folder();
        for number in 0..40 {
            symlink("..", folder.path().join(format!("a/up-{number}"))).unwrap();
            symlink("../a", folder.path().join(format!("b/over-{number}"))).unwrap();
        }
        symlink("b", folder.path().join("0")).unwrap();
        assert_eq!(found(folder.path()), ["a/1.dcm", "b/1.dcm"], "by the real folder, though 0 comes first");
    }

    #[test]
    fn two_links_to_one_folder_elsewhere_are_one() {
        let (folder, store) = (folder(), folder());
        symlink(store.path(), folder.path().join("y")).unwrap();
        symlink(store.path(), folder.path().join("x")).unwrap();
        symlink(folder.path(), store.path().join("back")).unwrap();
        assert_eq!(found(folder.path()), ["a/1.dcm", "b/1.dcm", "x/a/1.dcm", "x/b/1.dcm"]);
    }

    fn refused(folder: &Path) -> String {
        walk(folder).unwrap_err().to_string()
    }

    #[test]
    fn a_link_to_a_folder_above_is_refused_without_its_name() {
        let folder = folder();
        std::fs::create_dir(folder.path().join("b/DOE^JANE")).unwrap();
        symlink("../../..", folder.path().join("b/DOE^JANE/MRN4711")).unwrap();
        // By hand: b is the second of a and b, DOE^JANE comes after 1.dcm, and the link is alone.
        let error = refused(folder.path());
        assert!(error.starts_with("its entry 2/2/1 (counted"), "{error}");
        assert!(error.contains("is a link to a folder in which this one lies"), "{error}");
        assert!(!error.contains("DOE") && !error.contains("4711"), "{error}");
    }

    #[test]
    fn links_that_lead_nowhere_or_in_circles_are_refused_without_their_names() {
        let folder = folder();
        let link = folder.path().join("a/JANE.dcm");
        symlink("../nowhere", &link).unwrap();
        std::fs::write(folder.path().join("a/.hidden"), "not counted").unwrap();
        let error = refused(folder.path());
        assert!(
            error.starts_with("its entry 1/2 (counted") && error.contains("is a link that leads nowhere"),
            "{error}"
        );
        assert!(error.contains("`find -L . -type l`") && !error.contains("JANE"), "{error}");
        std::fs::remove_file(&link).unwrap();
        symlink("JANE.dcm", &link).unwrap();
        let error = refused(folder.path());
        assert!(
            error.contains("1/2 (") && error.contains("a link that cannot be followed") && !error.contains("JANE"),
            "{error}"
        );
    }

    #[test]
    fn names_that_are_no_text_are_found_and_pipes_are_passed_over() {
        use std::os::unix::ffi::OsStrExt;
        let folder = folder();
        std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.dcm")), "x").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        assert_eq!(walk(folder.path()).unwrap().len(), 3);
    }
}
