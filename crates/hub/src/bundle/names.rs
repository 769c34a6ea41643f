//! Which files belong to a model.

/// The folder that holds a tagger's language models.
const LANGUAGE_MODELS: &str = "lm/";

/// Whether a file of that name belongs to a model: a plain one, or a plain one
/// of a language model, `lm/<hash>/<file>`.
pub(crate) fn is_part(name: &str) -> bool {
    is_plain(nested(name).map_or(name, |(_, file)| file))
}

/// Whether a folder of that name may hold files of a model.
pub(super) fn is_folder(name: &str) -> bool {
    name == "lm" || name.strip_prefix(LANGUAGE_MODELS).is_some_and(is_hash)
}

/// Hash and file of a name inside a language model's folder.
pub(super) fn nested(name: &str) -> Option<(&str, &str)> {
    let (hash, file) = name.strip_prefix(LANGUAGE_MODELS)?.split_once('/')?;
    is_hash(hash).then_some((hash, file))
}

/// A configuration, a dictionary, a tokenizer, weights or a card. What else a
/// user puts into the folder is no part of the model.
fn is_plain(name: &str) -> bool {
    let plain = !name.contains(['/', '\\']);
    let stem = name.strip_suffix(".json").unwrap_or_default();
    let kind = |kind: &str| stem == kind || stem.starts_with(&format!("{kind}-"));
    let known = name == "README.md"
        || name.ends_with(".safetensors")
        || ["config", "dictionary", "tokenizer"].into_iter().any(kind);
    plain && known
}

/// Whether these are the 64 lower-case digits of a SHA-256.
fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_and_those_of_language_models_are_parts() {
        let hash = "0123456789abcdef".repeat(4);
        assert!(is_part("config.json") && is_part("model.safetensors") && is_part("README.md"));
        assert!(is_part(&format!("lm/{hash}/config.json")));
        assert!(is_folder("lm") && is_folder(&format!("lm/{hash}")));
        let upper = hash.to_uppercase();
        for name in [
            "log.jsonl",
            "lm",
            "lm/config.json",
            "sub/config.json",
            "../config.json",
            "/config.json",
            "a\\b.json",
            &format!("lm/{hash}"),
            &format!("lm/{hash}/run.toml"),
            &format!("lm/{hash}/../config.json"),
            &format!("lm/{hash}//config.json"),
            &format!("lm/{hash}/lm/{hash}/config.json"),
            &format!("lm/{hash}/a\\b.json"),
            &format!("lm/{upper}/config.json"),
            &format!("lm/{}/config.json", &hash[1..]),
            &format!("lm/{hash}0/config.json"),
            &format!("./lm/{hash}/config.json"),
            &format!("lm/../lm/{hash}/config.json"),
        ] {
            assert!(!is_part(name), "{name}");
        }
        for name in ["", ".", "..", "lm/", "lm/..", "lmx", &hash, &format!("lm/{hash}/lm")] {
            assert!(!is_folder(name), "{name}");
        }
    }
}
