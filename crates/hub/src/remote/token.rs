//! The user's token.

use std::{fmt, path::PathBuf};

use hf_hub::Cache;

use crate::{Error, Result};

/// What a hub knows a user by. It is not shown, neither by `Debug` nor in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token.
    ///
    /// # Errors
    /// If it has characters that cannot be sent.
    pub fn new(token: &str) -> Result<Self> {
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "it is empty, or has characters that no token has; look at HF_TOKEN, or \
                           at the file that `hf auth login` wrote";
            return Err(Error::Name { name: "token".to_owned(), problem: problem.to_owned() });
        }
        Ok(Self(token.to_owned()))
    }

    /// That of `HF_TOKEN`, else that of the file `token` in `HF_HOME`, else in
    /// `~/.cache/huggingface`.
    ///
    /// # Errors
    /// If it has characters that cannot be sent.
    pub fn from_env() -> Result<Option<Self>> {
        let file = || cache()?.token();
        var("HF_TOKEN").or_else(file).as_deref().map(Self::new).transpose()
    }

    /// The header that shows it.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

/// The cache of `hf-hub`, beside which the file with the token lies. Its own way to
/// find it panics where there is no home.
pub(super) fn cache() -> Option<Cache> {
    let user = || Some(PathBuf::from(var("HOME")?).join(".cache/huggingface"));
    let home = var("HF_HOME").map(PathBuf::from).or_else(user)?;
    Some(Cache::new(home.join("hub")))
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" hf_secret\n").unwrap();
        assert_eq!(token.header(), "Bearer hf_secret");
        assert!(!format!("{token:?}").contains("secret"));
        for wrong in ["", " ", "hf_sec ret", "hf_secret\r\nX: y", "hf_secrét"] {
            let error = format!("{:?}", Token::new(wrong).unwrap_err());
            assert!(error.contains("HF_TOKEN") && !error.contains("sec"), "{error}");
        }
    }
}
