//! Models that are part of the program, one crate each.

/// A file of a model: its name, `lm/<hash>/<file>` for one of a language model
/// inside, and its content.
pub(crate) type File = (&'static str, &'static [u8]);

/// Names and files of the built-in models, in order of names.
pub(crate) const MODELS: &[(&str, &[File])] = &[
    #[cfg(feature = "en-ner")]
    ("en-ner", glossator_model_en_ner::FILES),
    #[cfg(feature = "en-pos")]
    ("en-pos", glossator_model_en_pos::FILES),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bundle;

    #[test]
    fn nothing_that_a_model_lists_is_ignored_and_its_language_models_are_whole() {
        for (name, files) in MODELS {
            let bundle = Bundle::built_in(name, files);
            assert_eq!(bundle.files().unwrap().len(), files.len(), "{name}");
            for hash in bundle.language_models().unwrap() {
                bundle.language_model(&hash).unwrap();
            }
        }
    }
}
