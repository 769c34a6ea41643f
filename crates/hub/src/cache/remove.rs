//! Removing a model from the cache.

use super::{Place, Source, remove_all};
use crate::{Error, Repository, Result, builtin::MODELS};

impl Repository {
    /// Removes a model of the cache, and what came of one that is not complete.
    /// It is out of its place in one step, so nobody finds a part of it; nothing
    /// outside the cache is touched, where a link leads to either.
    ///
    /// # Errors
    /// If the name is that of no model of the cache, it is being fetched, or it
    /// cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let place = Place::new(self.cache().ok_or(Error::NoCache)?, name)?;
        let taken = place.is_taken();
        if !taken && !place.staging.exists() {
            return Err(self.nothing_to_remove(name));
        }
        let is_model = place.folder.join("config.json").is_file()
            || Source::of(&place.folder).is_ok_and(|source| source.is_some());
        if taken && !is_model {
            let problem = format!(
                "{} is no model's folder, for it has neither config.json nor source.json; remove \
                 it yourself if it is not needed",
                place.folder.display()
            );
            return Err(Error::Taken { name: name.to_owned(), problem });
        }
        let lock = place.lock(|| {
            let problem = "it is being fetched; wait for the end of that, or stop it".to_owned();
            Err(Error::Taken { name: name.to_owned(), problem })
        })?;
        if taken {
            place.move_out(&lock)?;
        }
        remove_all(&place.staging)
    }

    fn nothing_to_remove(&self, name: &str) -> Error {
        if MODELS.iter().any(|(known, ..)| *known == name) {
            let problem = "it is part of the program and cannot be removed".to_owned();
            return Error::Taken { name: name.to_owned(), problem };
        }
        self.not_found(name)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn model(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("config.json"), "{}").unwrap();
    }

    fn cache() -> (tempfile::TempDir, Repository) {
        let root = tempfile::tempdir().unwrap();
        let repository = Repository::new(Some(root.path().join("cache")));
        (root, repository)
    }

    #[test]
    fn a_model_and_what_came_of_it_go() {
        let (root, repository) = cache();
        let cache = root.path().join("cache");
        model(&cache.join("mine"));
        model(&cache.join("other"));
        let parts = cache.join(".fetch/mine/part");
        fs::create_dir_all(&parts).unwrap();
        repository.remove("mine").unwrap();
        assert!(!cache.join("mine").exists() && !parts.exists());
        assert!(cache.join("other/config.json").is_file());
        fs::create_dir_all(&parts).unwrap();
        repository.remove("mine").unwrap();
        assert!(!parts.exists());
        assert!(matches!(repository.remove("mine"), Err(Error::NotFound { .. })));
    }

    #[test]
    fn nothing_outside_the_cache_is_removed() {
        let (root, repository) = cache();
        let outside = root.path().join("outside");
        model(&outside);
        fs::create_dir_all(root.path().join("cache/notes")).unwrap();
        let path = outside.display().to_string();
        for name in ["../outside", "./outside", "", ".", "..", ".fetch", &path] {
            assert!(matches!(repository.remove(name), Err(Error::Name { .. })), "{name}");
        }
        let error = repository.remove("notes").unwrap_err().to_string();
        assert!(error.contains("neither config.json nor source.json"), "{error}");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&outside, root.path().join("cache/link")).unwrap();
            repository.remove("link").unwrap();
            assert!(root.path().join("cache/link").symlink_metadata().is_err());
        }
        assert!(outside.join("config.json").is_file());
        assert!(matches!(Repository::new(None).remove("mine"), Err(Error::NoCache)));
    }

    #[test]
    fn what_is_being_fetched_stays() {
        let (root, repository) = cache();
        let cache = root.path().join("cache");
        model(&cache.join("mine"));
        let lock = Place::new(&cache, "mine").unwrap().lock(|| Ok(())).unwrap();
        assert!(matches!(repository.remove("mine"), Err(Error::Taken { .. })));
        assert!(cache.join("mine/config.json").is_file());
        drop(lock);
        repository.remove("mine").unwrap();
    }
}
