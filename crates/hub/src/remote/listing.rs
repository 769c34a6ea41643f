//! What a repository holds at a revision, and what of it is wanted.

use std::io::Read;

use serde::Deserialize;
use ureq::http::StatusCode;

use super::{
    Hub, Wanted,
    client::{cause_of_io, network},
    digest::{Hash, is_hash},
    wanted::is_checkpoint,
};
use crate::{Error, Result, SourceKind, bundle};

/// Longest list that is read, in bytes.
const MAX_LEN: u64 = 32 << 20;

/// The checkpoint of a repository, if it is not the only one.
const CHECKPOINT: &str = "pytorch_model.bin";

/// The files of a repository at one commit.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    /// The commit.
    #[serde(rename = "sha")]
    pub(super) commit: String,
    siblings: Vec<Sibling>,
}

/// A file as the hub lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

/// A file that lies beside the repository.
#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

/// A file to fetch.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    /// Its name in the repository.
    pub(super) path: String,
    /// Its name in the model's folder.
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) hash: Hash,
}

impl Hub {
    /// Lists a repository; this resolves its revision.
    ///
    /// # Errors
    /// If there is no answer, or none that can be used.
    pub(super) fn list(&self, wanted: &Wanted) -> Result<Listing> {
        let request = self.api.repo(wanted.repo(wanted.revision())).info_request();
        let url = request.uri_ref().map(ToString::to_string).unwrap_or_default();
        let answer = self.get(&format!("{url}?blobs=true"), None, |_| Ok(()))?;
        if answer.1.status() != StatusCode::OK {
            return Err(self.refused(wanted, None, &answer));
        }
        let (uri, response) = answer;
        let mut json = Vec::new();
        let read = response.into_body().into_reader().take(MAX_LEN).read_to_end(&mut json);
        read.map_err(|error| network(&uri, cause_of_io(&error)))?;
        let unusable =
            |problem: String| network(&uri, format!("its answer cannot be used: {problem}"));
        let listing: Listing =
            serde_json::from_slice(&json).map_err(|error| unusable(error.to_string()))?;
        if !is_hash(&listing.commit, 40) {
            return Err(unusable("it names no commit".to_owned()));
        }
        Ok(listing)
    }
}

impl Listing {
    /// The files that are fetched, `config.json` first: those of a model of this
    /// program, or else the checkpoint of another.
    ///
    /// # Errors
    /// If there is neither, or it is not clear which.
    pub(super) fn choose(&self, wanted: &Wanted) -> Result<(SourceKind, Vec<Remote>)> {
        if let Some(file) = wanted.file() {
            return Ok((SourceKind::Checkpoint, vec![self.checkpoint(wanted, file)?]));
        }
        if self.has_model() {
            let parts = self.siblings.iter().filter(|sibling| is_part(&sibling.rfilename));
            let mut files = parts
                .map(|sibling| sibling.remote(wanted, &sibling.rfilename))
                .collect::<Result<Vec<_>>>()?;
            files.sort_by(|a, b| {
                let key = |file: &Remote| (file.name != "config.json", file.name.clone());
                key(a).cmp(&key(b))
            });
            files.dedup_by(|a, b| a.name == b.name);
            return Ok((SourceKind::Model, files));
        }
        let file = self.only_checkpoint(wanted)?;
        Ok((SourceKind::Checkpoint, vec![self.checkpoint(wanted, file)?]))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.siblings.iter().map(|sibling| sibling.rfilename.as_str())
    }

    fn has_model(&self) -> bool {
        let has_weights = |name: &str| !name.contains('/') && name.ends_with(".safetensors");
        self.names().any(|name| name == "config.json") && self.names().any(has_weights)
    }

    fn only_checkpoint(&self, wanted: &Wanted) -> Result<&str> {
        let refused = |problem: String| Error::Refused { place: wanted.place(None), problem };
        let found: Vec<&str> = self.names().filter(|name| is_checkpoint(name)).collect();
        match &*found {
            [] => Err(refused(
                "it holds no model: neither config.json and *.safetensors, nor a checkpoint \
                 (*.bin, *.pt, *.pth)"
                    .to_owned(),
            )),
            [file] => Ok(file),
            several if several.contains(&CHECKPOINT) => Ok(CHECKPOINT),
            several => {
                let list = several.iter().take(10).copied().collect::<Vec<_>>().join(", ");
                let problem = format!("it has several checkpoints; choose one by --file: {list}");
                Err(refused(problem))
            }
        }
    }

    fn checkpoint(&self, wanted: &Wanted, file: &str) -> Result<Remote> {
        let name = file.rsplit('/').next().unwrap_or(file);
        match self.siblings.iter().find(|sibling| sibling.rfilename == file) {
            // What the hub calls it is no better than what a user does.
            Some(sibling) if wanted.clone().with_file(file).is_ok() => sibling.remote(wanted, name),
            Some(_) => Err(Error::Refused {
                place: wanted.place(Some(file)),
                problem: "a file of that name is not fetched".to_owned(),
            }),
            None => Err(Error::Refused {
                place: wanted.place(Some(file)),
                problem: "there is no such file at that revision".to_owned(),
            }),
        }
    }
}

impl Sibling {
    /// With length and hash, which it must have.
    fn remote(&self, wanted: &Wanted, name: &str) -> Result<Remote> {
        let lfs = self.lfs.as_ref().map(|lfs| (lfs.size, Hash::Sha256(lfs.sha256.clone())));
        let blob = || Some((self.size?, Hash::Blob(self.blob_id.clone()?)));
        let (size, hash) = lfs
            .or_else(blob)
            .filter(|(_, hash)| match hash {
                Hash::Sha256(hash) => is_hash(hash, 64),
                Hash::Blob(hash) => is_hash(hash, 40),
            })
            .ok_or_else(|| Error::Refused {
                place: wanted.place(Some(&self.rfilename)),
                problem: "the hub names no length and hash of it, so it could not be checked"
                    .to_owned(),
            })?;
        Ok(Remote { path: self.rfilename.clone(), name: name.to_owned(), size, hash })
    }
}

/// Whether a file belongs to a model, and may have its name on every system.
fn is_part(name: &str) -> bool {
    let is_odd = |c: char| c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*');
    bundle::is_part(name) && !name.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let file = |name: &&str| json!({ "rfilename": name, "size": 1, "blobId": "0".repeat(40) });
        let files: Vec<_> = names.iter().map(file).collect();
        serde_json::from_value(json!({ "sha": "0".repeat(40), "siblings": files })).unwrap()
    }

    fn chosen(names: &[&str], file: Option<&str>) -> Result<(SourceKind, Vec<String>)> {
        let mut wanted: Wanted = "owner/name".parse().unwrap();
        if let Some(file) = file {
            wanted = wanted.with_file(file)?;
        }
        let (kind, files) = listing(names).choose(&wanted)?;
        Ok((kind, files.into_iter().map(|file| file.name).collect()))
    }

    #[test]
    fn a_model_is_its_parts_with_the_configuration_first() {
        let inner = format!("lm/{}/config.json", "0".repeat(64));
        let names = [
            ".gitattributes",
            "README.md",
            "a.safetensors",
            "config.json",
            "b:c.safetensors",
            "../x.json",
            "log.jsonl",
            "pytorch_model.bin",
            &inner,
        ];
        let (kind, files) = chosen(&names, None).unwrap();
        assert_eq!(kind, SourceKind::Model);
        assert_eq!(files, ["config.json", "README.md", "a.safetensors", &inner]);
    }

    #[test]
    fn a_checkpoint_is_one_file() {
        let checkpoint = |names: &[&str], file| {
            let (kind, files) = chosen(names, file)?;
            assert_eq!((kind, files.len()), (SourceKind::Checkpoint, 1));
            Ok::<_, Error>(files.into_iter().next().unwrap())
        };
        assert_eq!(checkpoint(&["README.md", "de.pt"], None).unwrap(), "de.pt");
        assert_eq!(checkpoint(&["a.pt", CHECKPOINT, "b.pt"], None).unwrap(), CHECKPOINT);
        assert_eq!(checkpoint(&["config.json", CHECKPOINT], None).unwrap(), CHECKPOINT);
        assert_eq!(checkpoint(&["a.pt", "sub/b.pt"], Some("sub/b.pt")).unwrap(), "b.pt");
        for (names, file, want) in [
            (&["README.md"][..], None, "holds no model"),
            (&["a.pt", "b.pt"], None, "--file: a.pt, b.pt"),
            (&["a.pt"], Some("b.pt"), "no such file"),
            (&["a b.pt"], None, "not fetched"),
        ] {
            let error = checkpoint(names, file).unwrap_err().to_string();
            assert!(error.contains("owner/name@main") && error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_file_without_length_or_hash_is_not_fetched() {
        for file in [
            json!({ "rfilename": "a.pt" }),
            json!({ "rfilename": "a.pt", "size": 1 }),
            json!({ "rfilename": "a.pt", "size": 1, "blobId": "../0" }),
            json!({ "rfilename": "a.pt", "size": 1, "lfs": { "sha256": "00", "size": 1 } }),
        ] {
            let listing = json!({ "sha": "0".repeat(40), "siblings": [file] });
            let listing: Listing = serde_json::from_value(listing).unwrap();
            let error = listing.choose(&"o/n".parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains("could not be checked"), "{error}");
        }
    }
}
