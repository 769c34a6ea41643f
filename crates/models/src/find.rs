//! Finding a model by name.

use glossator_hub::{Bundle, Repository};

use crate::Result;
#[cfg(feature = "convert")]
use crate::convert;

/// Finds a model: one built in, one of the cache, a folder, or a checkpoint of
/// another toolkit, which is converted into the cache first (feature `convert`).
///
/// # Errors
/// If there is none of that name, or it cannot be converted.
pub(crate) fn find(name: &str) -> Result<Bundle> {
    let repository = Repository::from_env();
    #[cfg(feature = "convert")]
    if let Some(file) = repository.find_file(name).filter(|file| convert::is_checkpoint(file)) {
        return convert::cached(&file, &repository);
    }
    Ok(repository.find(name)?)
}

/// The kind of a model as its `config.json` has it: `tagger`, `language-model` or
/// `translator`; none of one that cannot be found or read, or whose file says none. A
/// checkpoint of another toolkit is converted into the cache first.
pub fn kind_of(name: &str) -> Option<String> {
    let config: serde_json::Value = find(name).ok()?.json("config.json").ok()?;
    config["kind"].as_str().map(str::to_owned)
}
