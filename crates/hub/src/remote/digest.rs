//! Hashes of what comes.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The hash that a hub names a file by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-256 of the content: large files, which lie beside the repository.
    Sha256(String),
    /// SHA-1 of a blob of git, `blob LENGTH\0` and the content: all others.
    Blob(String),
}

/// Both hashes of a content that comes piece by piece.
#[derive(Debug)]
pub(super) struct Hashes {
    sha256: Sha256,
    blob: Sha1,
}

impl Hashes {
    /// Those of a content of that length, of which nothing came yet.
    pub(super) fn new(len: u64) -> Self {
        Self { sha256: Sha256::new(), blob: Sha1::new_with_prefix(format!("blob {len}\0")) }
    }

    /// The next piece.
    pub(super) fn update(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        self.blob.update(piece);
    }

    /// The SHA-256, in hexadecimal.
    ///
    /// # Errors
    /// If the content is not what the hub names; the text says both hashes.
    pub(super) fn check(self, want: &Hash) -> Result<String, String> {
        let sha256 = format!("{:x}", self.sha256.finalize());
        let blob = format!("{:x}", self.blob.finalize());
        let (kind, found, want) = match want {
            Hash::Sha256(want) => ("SHA-256", &sha256, want),
            Hash::Blob(want) => ("hash of git", &blob, want),
        };
        if found == want {
            return Ok(sha256);
        }
        Err(format!("its {kind} is {found}, not {want}"))
    }
}

/// Whether these are so many hexadecimal digits in lower case.
pub(super) fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_sha256sum_and_of_git() {
        let hashes = |text: &str| {
            let mut hashes = Hashes::new(6);
            text.split_inclusive('l').for_each(|piece| hashes.update(piece.as_bytes()));
            hashes
        };
        // `printf 'hello\n' | sha256sum`, and `git hash-object --stdin`.
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let blob = "ce013625030ba8dba906f756967f9e9ca394464a";
        let [want, git] = [Hash::Sha256(sha256.to_owned()), Hash::Blob(blob.to_owned())];
        for want in [&want, &git] {
            assert_eq!(hashes("hello\n").check(want).unwrap(), sha256);
        }
        assert!(hashes("hellO\n").check(&want).unwrap_err().contains("SHA-256"));
        assert!(hashes("hellO\n").check(&git).unwrap_err().contains(blob));
        assert!(is_hash(blob, 40) && !is_hash(blob, 64) && !is_hash(&blob.to_uppercase(), 40));
    }
}
