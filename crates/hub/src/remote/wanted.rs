//! What is asked for.

use std::str::FromStr;

use hf_hub::{Repo, RepoType};

use crate::{
    Error, Result,
    cache::{check_name, is_plain},
};

/// Endings of files that another toolkit keeps its models in.
const CHECKPOINTS: [&str; 3] = [".bin", ".pt", ".pth"];

/// Longest name of a revision, in bytes.
const MAX_REVISION: usize = 200;

/// A model of a hub, and the name it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    repository: String,
    revision: String,
    file: Option<String>,
    name: String,
}

impl FromStr for Wanted {
    type Err = Error;

    /// `OWNER/NAME`, or `OWNER/NAME@REVISION`: a branch, a tag or a commit, `main`
    /// if none is named.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |problem: &str| Error::Name { name: text.to_owned(), problem: problem.into() };
        let (repository, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (owner, name) = repository
            .split_once('/')
            .ok_or_else(|| wrong("a repository is named OWNER/NAME, or OWNER/NAME@REVISION"))?;
        if !is_plain(owner) || !is_plain(name) {
            return Err(wrong(
                "a repository is named OWNER/NAME, both of letters, digits, `-`, `_` and `.`; an \
                 address is none",
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        let is_revision = (1..=MAX_REVISION).contains(&revision.len())
            && revision.chars().all(plain)
            && !revision.split('/').any(|part| part.is_empty() || part.starts_with('.'));
        if !is_revision {
            return Err(wrong("after `@` stands a branch, a tag or a commit"));
        }
        let [repository, revision, name] = [repository, revision, name].map(str::to_owned);
        Ok(Self { repository, revision, file: None, name })
    }
}

impl Wanted {
    /// One file of the repository, a checkpoint of another toolkit.
    ///
    /// # Errors
    /// If it cannot be one by its name.
    pub fn with_file(self, file: &str) -> Result<Self> {
        let parts_are_plain = file.split('/').all(is_plain);
        if !parts_are_plain || !is_checkpoint(file) {
            let problem = format!(
                "the file of a checkpoint ends in {}; leave --file out for a model of this program",
                CHECKPOINTS.join(", ")
            );
            return Err(Error::Name { name: file.to_owned(), problem });
        }
        Ok(Self { file: Some(file.to_owned()), ..self })
    }

    /// Another name in the cache than the repository's own.
    ///
    /// # Errors
    /// If it cannot be one.
    pub fn with_name(self, name: &str) -> Result<Self> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), ..self })
    }

    /// Owner and name of the repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The checkpoint, if one is named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Its name in the cache.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The repository at a revision, as `hf-hub` takes it.
    pub(super) fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(self.repository.clone(), RepoType::Model, revision.to_owned())
    }

    /// The repository, its revision and a file, for messages.
    pub(super) fn place(&self, file: Option<&str>) -> String {
        let file = file.map(|file| format!(", `{file}`")).unwrap_or_default();
        format!("{}@{}{file}", self.repository, self.revision)
    }
}

/// Whether a file of that name may be a checkpoint of another toolkit.
pub(super) fn is_checkpoint(name: &str) -> bool {
    CHECKPOINTS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_an_owner_a_name_and_a_revision() {
        let wanted: Wanted = "flair/ner-english@v1.0".parse().unwrap();
        assert_eq!((wanted.repository(), wanted.revision()), ("flair/ner-english", "v1.0"));
        assert_eq!((wanted.name(), wanted.file()), ("ner-english", None));
        let wanted: Wanted = "flair/ner-english".parse().unwrap();
        assert_eq!(wanted.revision(), "main");
        assert_eq!(wanted.repo("refs/pr/1").url_revision(), "refs%2Fpr%2F1");
        assert_eq!(wanted.with_name("ner").unwrap().name(), "ner");
        for wrong in [
            "",
            "ner-english",
            "flair/",
            "/ner",
            "flair/ner/english",
            "https://huggingface.co/flair/ner-english",
            "flair/../ner",
            "../ner",
            "flair/ner@",
            "flair/ner@a b",
            "flair/ner@../main",
            "flair/ner@a//b",
            "flair/ner?x",
            "flair/ner@main?x",
            "flair/ner@main#x",
            "flair/ner@ma%2Fin",
        ] {
            let error = wrong.parse::<Wanted>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_file_is_a_checkpoint_by_its_name() {
        let wanted: Wanted = "flair/ner".parse().unwrap();
        for file in ["pytorch_model.bin", "a.pt", "sub/final-model.pt", "b.pth"] {
            assert_eq!(wanted.clone().with_file(file).unwrap().file(), Some(file));
        }
        for file in ["README.md", ".pt", "../a.pt", "/a.pt", "a/../b.pt", "a.pt/", "a b.pt", ""] {
            assert!(wanted.clone().with_file(file).unwrap_err().is_usage(), "{file}");
        }
    }
}
