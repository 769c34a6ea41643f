use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// What the names of text files in a folder end with.
const ENDINGS: [&str; 4] = ["txt", "gz", "xz", "zst"];

/// The file at `path`, or the text files in the folder there, in order.
pub(super) fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).map_err(|source| Error::read(path, source))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    add_folder(path, &mut Vec::new(), &mut files)?;
    if files.is_empty() {
        let problem = "no file in this folder ends in .txt, .gz, .xz or .zst";
        return Err(Error::NoText { path: path.to_path_buf(), problem });
    }
    files.sort();
    Ok(files)
}

/// Adds the files of a folder; `above` are the real paths of the folders it lies
/// in, which a link is not followed back to.
fn add_folder(folder: &Path, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |source| Error::read(folder, source);
    let real = fs::canonicalize(folder).map_err(failed)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        } else if path.is_dir() {
            add_folder(&path, above, files)?;
        } else if is_text(&path) {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}

fn is_text(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_text_files_in_order() {
        let folder = tempfile::tempdir().expect("folder");
        let names = ["b/2.TXT", "b/10.txt", "a.txt.zst", "c.gz", "b.txt", "d.xz"];
        let others = [".hidden.txt", ".git/x.txt", "README.md", "txt", "b/notes"];
        for name in names.iter().chain(&others) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
            fs::write(path, "x").expect("file");
        }
        let found = list(folder.path()).expect("files");
        let found: Vec<_> =
            found.iter().map(|file| file.strip_prefix(folder.path()).expect("below")).collect();
        let want = ["a.txt.zst", "b/10.txt", "b/2.TXT", "b.txt", "c.gz", "d.xz"];
        assert_eq!(found, want.map(Path::new));
    }

    #[test]
    fn a_folder_without_text_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("notes.md"), "x").expect("file");
        let error = list(folder.path()).expect_err("no text");
        assert!(error.to_string().contains("ends in .txt"), "{error}");
        assert!(error.to_string().starts_with(&folder.path().display().to_string()), "{error}");
        assert!(list(&folder.path().join("missing")).is_err_and(|error| error.is_io()));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        let folder = tempfile::tempdir().expect("folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("folder");
        fs::write(inner.join("a.txt"), "x").expect("file");
        std::os::unix::fs::symlink(folder.path(), inner.join("up")).expect("link");
        std::os::unix::fs::symlink(&inner, folder.path().join("same")).expect("link");
        let found = list(folder.path()).expect("files");
        assert_eq!(found, [inner.join("a.txt"), folder.path().join("same/a.txt")]);
    }
}
