//! Models that are part of the program, one crate each.

/// A file of a model: its name and content.
pub(crate) type File = (&'static str, &'static [u8]);

/// Names and files of the built-in models, in order of names.
pub(crate) const MODELS: &[(&str, &[File])] = &[
    #[cfg(feature = "en-ner")]
    ("en-ner", glossator_model_en_ner::FILES),
    #[cfg(feature = "en-pos")]
    ("en-pos", glossator_model_en_pos::FILES),
];
