//! Converted models that are kept, so that a checkpoint can be named where a
//! model is wanted.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use glossator_hub::{Bundle, Repository};
use sha2::{Digest, Sha256};

use super::{ConvertOptions, Error, convert, others};
use crate::Result;

/// Number of the conversion: one more when a release makes other folders.
const VERSION: u32 = 1;

/// The model that a checkpoint becomes, from the cache if it is there.
///
/// # Errors
/// If there is no cache, or as [`convert`].
pub(crate) fn cached(file: &Path, repository: &Repository) -> Result<Bundle> {
    let Some(converted) = repository.converted() else {
        let problem = "it must be converted, and there is no cache to keep that in; set \
                       GLOSSATOR_CACHE, or convert it with `gloss convert`";
        return Err(Error::Unfit { path: file.to_owned(), problem: problem.to_owned() }.into());
    };
    let hash_of =
        |file: &Path| hash(file).map_err(|source| Error::Open { path: file.to_owned(), source });
    let hash = hash_of(file)?;
    let folder_of = |hash: &str| converted.join(format!("{hash}-{VERSION}"));
    let mut folder = folder_of(&hash);
    // A model of several files is what they all are; one of a single file that was
    // converted need not be opened.
    if !folder.is_dir() {
        let others = others(file)?;
        if !others.is_empty() {
            let mut all = Sha256::new_with_prefix(&hash);
            for other in &others {
                all.update(hash_of(other)?);
            }
            folder = folder_of(&format!("{:x}", all.finalize()));
        }
    }
    if !folder.is_dir() {
        match convert(file, &folder, &ConvertOptions::default()) {
            // Another process was faster.
            Err(_) if folder.join("config.json").is_file() => {}
            result => drop(result?),
        }
    }
    Ok(Bundle::folder(folder).called(file.display().to_string()))
}

/// SHA-256 of a file, in lower-case hexadecimal.
fn hash(file: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(file)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(format!("{:x}", hash.finalize())),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
