//! Models that are part of the program, one crate each.

/// A file of a model: its name and content.
pub(crate) type File = (&'static str, &'static [u8]);

/// A language model inside another model: its content hash and its files.
pub(crate) type Inner = (&'static str, &'static [File]);

/// A built-in model: its name, its files, and the language models it reads,
/// which it may share with others.
pub(crate) type BuiltIn = (&'static str, &'static [File], &'static [Inner]);

/// The pair of German language models.
#[cfg(any(feature = "de-ner", feature = "de-pos"))]
const DE_LM: &[Inner] = &[
    (glossator_model_de_lm::FORWARD_HASH, glossator_model_de_lm::FORWARD),
    (glossator_model_de_lm::BACKWARD_HASH, glossator_model_de_lm::BACKWARD),
];

/// The pair of English language models.
#[cfg(any(feature = "en-ner", feature = "en-pos"))]
const EN_LM: &[Inner] = &[
    (glossator_model_en_lm::FORWARD_HASH, glossator_model_en_lm::FORWARD),
    (glossator_model_en_lm::BACKWARD_HASH, glossator_model_en_lm::BACKWARD),
];

/// The built-in models, in order of names.
pub(crate) const MODELS: &[BuiltIn] = &[
    #[cfg(feature = "de-lm")]
    ("de-lm-backward", glossator_model_de_lm::BACKWARD, &[]),
    #[cfg(feature = "de-lm")]
    ("de-lm-forward", glossator_model_de_lm::FORWARD, &[]),
    #[cfg(feature = "de-ner")]
    ("de-ner", glossator_model_de_ner::FILES, DE_LM),
    #[cfg(feature = "de-pos")]
    ("de-pos", glossator_model_de_pos::FILES, DE_LM),
    #[cfg(feature = "en-de")]
    ("en-de", glossator_model_en_de::FILES, &[]),
    #[cfg(feature = "en-lm")]
    ("en-lm-backward", glossator_model_en_lm::BACKWARD, &[]),
    #[cfg(feature = "en-lm")]
    ("en-lm-forward", glossator_model_en_lm::FORWARD, &[]),
    #[cfg(feature = "en-ner")]
    ("en-ner", glossator_model_en_ner::FILES, EN_LM),
    #[cfg(feature = "en-pos")]
    ("en-pos", glossator_model_en_pos::FILES, EN_LM),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bundle;

    #[test]
    fn nothing_that_a_model_lists_is_ignored_and_its_language_models_are_whole() {
        for (name, files, models) in MODELS {
            let bundle = Bundle::built_in_with(name, files, models);
            let inside: usize = models.iter().map(|(_, files)| files.len()).sum();
            assert_eq!(bundle.files().unwrap().len(), files.len() + inside, "{name}");
            assert_eq!(bundle.language_models().unwrap().len(), models.len(), "{name}");
            for (hash, files) in *models {
                let found = Bundle::built_in("inner", files).content_hash().unwrap();
                assert_eq!(*hash, found, "the hash that stands beside these files");
                assert_eq!(bundle.language_model(hash).unwrap().content_hash().unwrap(), found);
            }
        }
    }
}
