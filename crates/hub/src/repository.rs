//! Finding a model by name.

use std::path::{Path, PathBuf};

use crate::{Bundle, Error, Result, Source, builtin::MODELS, cache::CONVERTED};

/// Where a model of a [`Repository`] lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Part of the program.
    BuiltIn,
    /// A folder of the cache.
    Cache(PathBuf),
}

/// A model that a [`Repository`] lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name to ask for it by.
    pub name: String,
    /// Where it lies.
    pub origin: Origin,
}

/// The models at hand: those built in, those of the cache, and any folder.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    cache: Option<PathBuf>,
}

impl Repository {
    /// A repository with this cache folder, which need not exist.
    pub fn new(cache: Option<PathBuf>) -> Self {
        Self { cache }
    }

    /// The cache that the environment names: `GLOSSATOR_CACHE`, else
    /// `glossator` in `XDG_CACHE_HOME`, else in `~/.cache`.
    pub fn from_env() -> Self {
        let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let user = || {
            let cache = var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")));
            cache.map(|cache| cache.join("glossator"))
        };
        Self::new(var("GLOSSATOR_CACHE").or_else(user))
    }

    /// The cache folder.
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// The folder of the cache for models that were converted, if there is a
    /// cache; no model has its name.
    pub fn converted(&self) -> Option<PathBuf> {
        Some(self.cache.as_ref()?.join(CONVERTED))
    }

    /// Finds a model: one built in, then one of the cache, then a folder. A
    /// name that starts with a dot or a slash is always a path.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn find(&self, name: &str) -> Result<Bundle> {
        if name.is_empty() {
            return Err(self.not_found(name));
        }
        let is_path = name.starts_with(['/', '.']);
        let built_in = MODELS.iter().find(|(known, ..)| *known == name);
        if let Some((name, files, models)) = built_in.filter(|_| !is_path) {
            return Ok(Bundle::built_in_with(name, files, models));
        }
        let plain = !is_path && !name.contains(['/', '\\']);
        let cached = self.cache.as_ref().filter(|_| plain).map(|cache| cache.join(name));
        let folder = PathBuf::from(name);
        match cached.into_iter().chain([folder]).find(|folder| folder.is_dir()) {
            Some(folder) => Ok(Bundle::folder(folder)),
            None if is_path => Err(Error::NoFolder { path: name.to_owned() }),
            None => Err(self.not_found(name)),
        }
    }

    /// The file of that path, where a model's folder is expected: no model of
    /// this format, but perhaps one of another, or an archive. By the name of the
    /// cache, it is a checkpoint that was fetched.
    pub fn find_file(&self, name: &str) -> Option<PathBuf> {
        let path = Path::new(name);
        match self.find(name) {
            Ok(bundle) => Source::checkpoint(bundle.path()?),
            Err(_) => path.is_file().then(|| path.to_owned()),
        }
    }

    /// All models but those known by path only, in order of names.
    pub fn list(&self) -> Vec<Entry> {
        let built_in = MODELS
            .iter()
            .map(|(name, ..)| Entry { name: (*name).to_owned(), origin: Origin::BuiltIn });
        let cached = self.cache.iter().filter_map(|cache| cache.read_dir().ok()).flatten();
        let cached = cached.filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            // One that lost a file is a damaged model, not none.
            let is_model = ["config.json", "source.json", "model.safetensors"]
                .map(|file| path.join(file).is_file());
            is_model.contains(&true).then_some(Entry { name, origin: Origin::Cache(path) })
        });
        let mut entries: Vec<Entry> = built_in.chain(cached).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    pub(crate) fn not_found(&self, name: &str) -> Error {
        let names: Vec<&str> = MODELS.iter().map(|(name, ..)| *name).collect();
        let builtin = if names.is_empty() { "none is".to_owned() } else { names.join(", ") };
        Error::NotFound { name: name.to_owned(), builtin, cache: self.cache.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_lost_its_configuration_is_listed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("mine")).unwrap();
        std::fs::write(root.path().join("mine/model.safetensors"), "x").unwrap();
        let repository = Repository::new(Some(root.path().to_owned()));
        assert!(repository.list().iter().any(|entry| entry.name == "mine"));
        assert!(repository.verify("mine").is_err());
    }

    #[test]
    fn the_cache_comes_before_a_folder_and_a_path_is_a_path() {
        let root = tempfile::tempdir().unwrap();
        let model = root.path().join("mine");
        std::fs::create_dir(&model).unwrap();
        std::fs::write(model.join("config.json"), "{}").unwrap();
        let repository = Repository::new(Some(root.path().to_owned()));
        assert_eq!(repository.find("mine").unwrap().path(), Some(&*model));
        let error = repository.find("./mine").unwrap_err().to_string();
        assert!(error.contains("no such folder") && !error.contains("cache"), "{error}");
        assert!(repository.list().iter().any(|entry| entry.name == "mine"));
        assert!(repository.find("").is_err());
        let error = repository.find("absent").unwrap_err().to_string();
        assert!(error.contains("no model `absent`"), "{error}");
    }
}
