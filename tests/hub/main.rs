//! Fetching from a hub, which here is a server on this machine.

mod broken;
mod fetch;
mod server;
mod together;

use std::{fs, path::PathBuf, time::Duration};

use glossator_hub::{
    Error, Repository, Result, StoredPrecision, Tensor,
    remote::{self, Event, Fetched, Hub, HubOptions, Token, Wanted},
    write_tensors,
};
use server::{Commit, FakeHub};
use tempfile::TempDir;

/// What a server that says nothing is given.
const PATIENCE: Duration = Duration::from_secs(1);

/// What any other server is given: as long as it takes.
const LONG: Duration = Duration::from_secs(600);

const CONFIG: &[u8] = br#"{"kind": "tagger", "format": 1}"#;

/// A tensor file of more than one piece.
fn weights(first: f32) -> Vec<u8> {
    let values = (0..50_000).map(|i| first + i as f32).collect();
    let tensor = Tensor { name: "weight".into(), shape: vec![50, 1000], values };
    write_tensors(&[tensor], StoredPrecision::F32).unwrap()
}

/// A model as it lies in a repository, with other files beside it.
fn model() -> Commit {
    model_with(&weights(0.0))
}

fn model_with(weights: &[u8]) -> Commit {
    Commit::new([
        (".gitattributes", &b"*.safetensors filter=lfs"[..]),
        ("README.md", b"# card"),
        ("config.json", CONFIG),
        ("dictionary-0.json", b"[\"a\"]"),
        ("model.safetensors", weights),
        ("notes.txt", b"not of the model"),
    ])
}

/// An empty cache.
struct Cache(TempDir);

impl Cache {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("cache").join(name)
    }

    fn repository(&self) -> Repository {
        Repository::new(Some(self.path("")))
    }

    /// Where a file of a commit is collected.
    fn part(&self, commit: &Commit, file: &str) -> PathBuf {
        self.path(".fetch/name").join(commit.hash()).join(file)
    }

    fn fetch(&self, hub: &FakeHub) -> Result<Fetched> {
        self.fetch_as(hub, "owner/name")
    }

    fn fetch_as(&self, hub: &FakeHub, wanted: &str) -> Result<Fetched> {
        self.fetch_from(&hub.url(), &wanted.parse().unwrap(), LONG, &mut |_| {})
    }

    fn fetch_from(
        &self,
        endpoint: &str,
        wanted: &Wanted,
        timeout: Duration,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Fetched> {
        let token = Some(Token::new("hf_secret").unwrap());
        let hub = Hub::new(HubOptions { endpoint: endpoint.to_owned(), token, timeout })?;
        assert!(!format!("{hub:?}").contains("hf_secret"));
        remote::fetch(&hub, &self.repository(), wanted, tell)
    }

    /// Checks that the model is there, and is that of the commit.
    #[track_caller]
    fn holds(&self, commit: &Commit) {
        for name in ["README.md", "config.json", "dictionary-0.json", "model.safetensors"] {
            assert!(
                fs::read(self.path("name").join(name)).unwrap() == commit.files[name],
                "{name}"
            );
        }
        let verified = self.repository().verify("name").unwrap();
        assert_eq!(verified.source.unwrap().commit, commit.hash());
        assert!(!self.path(".fetch/name").exists());
    }
}

/// The text of an error of the network, which a script is told by its code.
#[track_caller]
fn network(result: Result<Fetched>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Network { .. }) && error.is_io(), "{error}");
    error.to_string()
}

/// The text of an error that is the hub's or the model's.
#[track_caller]
fn refused(result: Result<Fetched>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !error.is_io(), "{error}");
    error.to_string()
}
