//! Files that a tagger of Stanza needs beside its own.

use std::path::{Path, PathBuf};

use glossator_pickle::{Checkpoint, Value};

use super::{Kind, language_model, vocabulary};
use crate::{
    ReadingDirection, Result,
    convert::{ConvertOptions, Draft, Error, Source, folder::Model, source::Values},
};

/// Settings that name a file, and the folder beside the tagger's that Stanza keeps
/// such files in.
const NAMED: [(&[&str], &str); 3] = [
    (&["charlm_forward_file"], "forward_charlm"),
    (&["charlm_backward_file"], "backward_charlm"),
    (&["wordvec_pretrain_file"], "pretrain"),
];

/// The other files of a tagger: those that were given, else those its settings name.
pub(super) fn files(
    source: &Source<'_>,
    root: Value<'_>,
    options: &ConvertOptions,
) -> Vec<PathBuf> {
    if !options.others.is_empty() {
        return options.others.clone();
    }
    let folder = source.path().parent().map(Path::to_owned).unwrap_or_default();
    let named = |keys: &[&str]| {
        let name = keys.iter().find_map(|key| root.get("config")?.get(key)?.as_str());
        name.filter(|name| !name.is_empty()).map(PathBuf::from)
    };
    let find = |(keys, beside): &(&[&str], &str)| {
        let name = named(keys)?;
        let file = name.file_name().unwrap_or_default();
        [folder.join("..").join(beside).join(file), folder.join(file), folder.join(&name)]
            .into_iter()
            .find(|path| path.is_file())
    };
    NAMED.iter().filter_map(find).collect()
}

/// Word vectors: the words by number, and their vectors.
pub(super) struct Vectors {
    pub(super) words: Vec<String>,
    pub(super) dim: usize,
    pub(super) values: Vec<f32>,
}

/// What the other files hold.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) forward: Option<Draft>,
    pub(super) backward: Option<Draft>,
    pub(super) vectors: Option<Vectors>,
}

impl Parts {
    /// Reads the files, whole.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self> {
        let mut parts = Self::default();
        for file in files {
            let failed = |source| Error::Read { path: file.clone(), source };
            let checkpoint = Checkpoint::open(file).map_err(failed)?;
            let source = Source::new(file, &checkpoint);
            match Kind::of(source.root()) {
                Some(Kind::LanguageModel(root)) => parts.add(&source, root)?,
                Some(Kind::Vectors(root)) => parts.vectors = Some(vectors(&source, root)?),
                _ => {
                    return Err(
                        source.problem("it is neither a language model nor word vectors of Stanza")
                    );
                }
            }
        }
        Ok(parts)
    }

    fn add(&mut self, source: &Source<'_>, root: Value<'_>) -> Result<()> {
        let mut draft = language_model::draft(source, root)?;
        let Model::LanguageModel(model, _) = &mut draft.model else {
            unreachable!("a language model is drafted as one")
        };
        // A tagger needs no decoder.
        model.vectors_only = true;
        draft.weights.retain(|weight| !weight.name.starts_with("decoder."));
        let place = match model.language_model.direction {
            ReadingDirection::Forward => &mut self.forward,
            ReadingDirection::Backward => &mut self.backward,
        };
        // Its file is closed before the tagger's folder is written.
        for weight in &mut draft.weights {
            weight.values = Values::Made(source.values(weight)?);
        }
        match place.replace(draft) {
            None => Ok(()),
            Some(_) => Err(source.problem("another language model reads in the same direction")),
        }
    }
}

fn vectors(source: &Source<'_>, root: Value<'_>) -> Result<Vectors> {
    let words = vocabulary::items(source, source.need(root.get("vocab"), "vocabulary")?)?;
    let found = source.need(root.get("emb"), "vectors (`emb`)")?;
    let (shape, values) = match source.tensor(found)? {
        Some(tensor) => (tensor.shape.clone(), source.read(&tensor)?),
        None => source.need(source.array(found)?, "matrix as its vectors")?,
    };
    match shape[..] {
        [rows, dim] if rows == words.len() && dim > 0 => Ok(Vectors { words, dim, values }),
        _ => Err(source
            .problem(format!("it has {} words, but vectors of the shape {shape:?}", words.len()))),
    }
}
