//! From a hub into the cache.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Hub, Wanted, digest::is_hash, listing::Remote};
use crate::{
    Bundle, Error, Origin, Repository, Result, Source, SourceFile, SourceKind,
    cache::{Place, remove_all},
};

/// What a fetch brought, or found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A model's folder; it is found by its name.
    Model(PathBuf),
    /// A file: a checkpoint of another toolkit, to be converted.
    Checkpoint(PathBuf),
}

/// What happens while something is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Somebody else fetches the same; it is waited for.
    Waiting,
    /// All is there already, of this commit.
    Current(&'a str),
    /// So many files and bytes of this commit are wanted.
    Listed {
        /// The commit.
        commit: &'a str,
        /// Files.
        files: usize,
        /// Bytes of all of them.
        bytes: u64,
    },
    /// A file begins, or goes on.
    File {
        /// Its name.
        name: &'a str,
        /// Its length in bytes.
        size: u64,
        /// Bytes that came before.
        there: u64,
    },
    /// So many bytes more came.
    Bytes(u64),
    /// The file begins again: what came before is of no use.
    Again,
}

/// Fetches a model into the cache. Nothing is done if it is there, of the same
/// commit; what is interrupted goes on at the next time. If the revision is a
/// commit that is there, the hub is not asked.
///
/// # Errors
/// If the name belongs to another model, the hub does not give it or cannot be
/// reached, what comes is not what the hub names, or it cannot be written.
pub fn fetch(
    hub: &Hub,
    repository: &Repository,
    wanted: &Wanted,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Fetched> {
    let place = Place::new(repository.cache().ok_or(Error::NoCache)?, wanted.name())?;
    check_built_in(repository, wanted)?;
    let lock = place.lock(|| {
        tell(Event::Waiting);
        Ok(())
    })?;
    let there = owned(&place, wanted)?;
    if let Some(source) = there.as_ref().filter(|source| is_pinned(source, wanted)) {
        tell(Event::Current(&source.commit));
        return Ok(fetched(&place, source));
    }
    let listing = hub.list(wanted)?;
    let (kind, files) = listing.choose(wanted)?;
    let of_listing = |source: &&Source| {
        source.commit == listing.commit
            && source.kind == kind
            && source.files.len() == files.len()
            && files.iter().all(|file| source.files.contains_key(&file.name))
    };
    if let Some(source) = there.as_ref().filter(of_listing) {
        tell(Event::Current(&source.commit));
        return Ok(fetched(&place, source));
    }
    let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    tell(Event::Listed { commit: &listing.commit, files: files.len(), bytes });
    let folder = staged(&place, &listing.commit)?;
    let mut came = BTreeMap::new();
    for file in &files {
        let sha256 = bring(hub, (wanted, &listing.commit), file, &folder, tell)?;
        came.insert(file.name.clone(), SourceFile { size: file.size, sha256 });
        if file.name == "config.json" {
            check_kind(&folder, wanted)?;
        }
    }
    let source = Source {
        endpoint: hub.endpoint(),
        repository: wanted.repository().to_owned(),
        revision: wanted.revision().to_owned(),
        commit: listing.commit,
        kind,
        files: came,
    };
    source.write(&folder)?;
    if place.is_taken() {
        place.move_out(&lock)?;
    }
    fs::rename(&folder, &place.folder).map_err(Error::write(&place.folder))?;
    remove_all(&place.staging)?;
    Ok(fetched(&place, &source))
}

/// Refuses a name that would never be found.
fn check_built_in(repository: &Repository, wanted: &Wanted) -> Result<()> {
    let name = wanted.name();
    let built_in = |entry: crate::Entry| entry.name == name && entry.origin == Origin::BuiltIn;
    if !repository.list().into_iter().any(built_in) {
        return Ok(());
    }
    let problem = "a model of that name is part of the program; give it another name by --as";
    Err(Error::Taken { name: name.to_owned(), problem: problem.to_owned() })
}

/// What is there of the same repository and whole; nothing if it has to come.
fn owned(place: &Place, wanted: &Wanted) -> Result<Option<Source>> {
    if !place.is_taken() {
        return Ok(None);
    }
    let holds = match Source::of(&place.folder) {
        Ok(Some(source)) if source.repository == wanted.repository() => {
            return Ok(Some(source).filter(|source| source.is_whole(&place.folder)));
        }
        Ok(Some(source)) => format!("{} lies under that name", source.repository),
        Ok(None) | Err(_) => format!("{} was not fetched", place.folder.display()),
    };
    let problem = format!("{holds}; choose another name by --as, or say `gloss models rm`");
    Err(Error::Taken { name: place.name.clone(), problem })
}

/// Whether what is wanted is a commit that is there, so that nobody need be asked.
fn is_pinned(source: &Source, wanted: &Wanted) -> bool {
    let same_file = match (wanted.file(), source.kind) {
        (None, kind) => kind == SourceKind::Model,
        (Some(file), kind) => kind == SourceKind::Checkpoint && source.files.contains_key(file),
    };
    is_hash(wanted.revision(), 40) && source.commit == wanted.revision() && same_file
}

fn fetched(place: &Place, source: &Source) -> Fetched {
    match (source.kind, source.files.keys().next()) {
        (SourceKind::Checkpoint, Some(file)) => Fetched::Checkpoint(place.folder.join(file)),
        _ => Fetched::Model(place.folder.clone()),
    }
}

/// The folder in which a commit is collected; that of any other goes.
fn staged(place: &Place, commit: &str) -> Result<PathBuf> {
    fs::create_dir_all(&place.staging).map_err(Error::write(&place.staging))?;
    for entry in place.staging.read_dir().map_err(Error::write(&place.staging))? {
        let entry = entry.map_err(Error::write(&place.staging))?;
        if entry.file_name() != commit {
            remove_all(&entry.path())?;
        }
    }
    let folder = place.staging.join(commit);
    fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
    Ok(folder)
}

/// Brings a file into the folder, and returns its SHA-256.
fn bring(
    hub: &Hub,
    of: (&Wanted, &str),
    file: &Remote,
    folder: &Path,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<String> {
    let path = folder.join(&file.name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::write(parent))?;
    }
    hub.download(of, file, &path, tell)
}

/// Refuses another program's model before its weights come.
fn check_kind(folder: &Path, wanted: &Wanted) -> Result<()> {
    let bundle = Bundle::folder(folder).called(wanted.place(None));
    bundle.kind().map(drop).map_err(|error| Error::Refused {
        place: wanted.place(None),
        problem: format!("{error}; for a checkpoint of another toolkit, name it by --file"),
    })
}
