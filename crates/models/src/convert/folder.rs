//! Writing a converted model.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use glossator_hub::{Bundle, FORMAT, StoredPrecision, TensorWriter};
use glossator_text::Dictionary;

use super::{Conversion, Error, Source, output, source::Weight};
use crate::{
    LanguageModelConfig, Result,
    embeddings::{EmbeddingConfig, dictionary_file},
    language_model::{DICTIONARY, KIND, LanguageModelModel},
    stored::WEIGHTS,
    tagger::TaggerModel,
};

/// A converted model whose weights still lie in the checkpoint.
pub(super) struct Draft {
    pub(super) model: Model,
    /// Tensors, in order of names.
    pub(super) weights: Vec<Weight>,
    pub(super) conversion: Conversion,
}

/// What is known of a model but its weights.
pub(super) enum Model {
    LanguageModel(Box<LanguageModelModel>, Dictionary),
    Tagger(Box<TaggerDraft>),
}

/// A tagger whose embeddings name their language models by place in a list.
pub(super) struct TaggerDraft {
    pub(super) model: TaggerModel,
    /// Dictionaries of the embeddings that have one.
    pub(super) dictionaries: Vec<Option<Dictionary>>,
    pub(super) language_models: Vec<Draft>,
}

impl Draft {
    pub(super) fn new(model: Model, mut weights: Vec<Weight>, conversion: Conversion) -> Self {
        weights.sort_by(|a, b| a.name.cmp(&b.name));
        Self { model, weights, conversion }
    }

    /// That of a language model, which scores characters if it has the layer for it.
    pub(super) fn of_language_model(
        config: LanguageModelConfig,
        dictionary: Dictionary,
        has_decoder: bool,
        weights: Vec<Weight>,
    ) -> Self {
        let found = vec![config.describe(dictionary.len())];
        let model = LanguageModelModel {
            kind: KIND.to_owned(),
            format: FORMAT,
            precision: StoredPrecision::F32,
            compute: None,
            vectors_only: !has_decoder,
            language_model: config,
            development: None,
        };
        let model = Model::LanguageModel(Box::new(model), dictionary);
        Self::new(model, weights, Conversion { found, ..Conversion::default() })
    }

    /// Writes the model's folder.
    pub(super) fn write(&self, source: &Source<'_>, folder: &Path) -> Result<()> {
        output::write(folder, |made| {
            let failed = |source| Error::Write { path: folder.to_owned(), source };
            fs::create_dir(made).map_err(failed)?;
            self.fill(source, made)
        })
    }

    fn fill(&self, source: &Source<'_>, folder: &Path) -> Result<()> {
        self.write_weights(source, &folder.join(WEIGHTS))?;
        write(&folder.join("README.md"), self.card(source).as_bytes())?;
        match &self.model {
            Model::LanguageModel(model, dictionary) => {
                write_json(&folder.join(DICTIONARY), dictionary)?;
                write_json(&folder.join("config.json"), model)
            }
            Model::Tagger(draft) => draft.fill(source, folder),
        }
    }

    /// Tensor by tensor, so that no more than one is in memory.
    fn write_weights(&self, source: &Source<'_>, path: &Path) -> Result<()> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let layout = self.weights.iter().map(|weight| (weight.name.as_str(), &weight.shape[..]));
        let file = BufWriter::new(fs::File::create(path).map_err(failed)?);
        let mut writer = TensorWriter::new(file, layout).map_err(failed)?;
        for weight in &self.weights {
            writer.write(&source.values(weight)?).map_err(failed)?;
        }
        let file = writer.finish().map_err(failed)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(())
    }

    fn card(&self, source: &Source<'_>) -> String {
        let file = source.path();
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        let kind = match &self.model {
            Model::LanguageModel(..) => "Language model",
            Model::Tagger(_) => "Tagger",
        };
        let Conversion { found, left_out, quirks } = &self.conversion;
        let mut card = format!("# {kind}, converted from `{file}`\n\n");
        let mut list = |title: &str, items: &mut dyn Iterator<Item = String>| {
            let mut items = items.peekable();
            if items.peek().is_some() {
                card += &format!("{title}\n\n");
                items.for_each(|item| card += &format!("- {item}\n"));
                card.push('\n');
            }
        };
        list("It consists of:", &mut found.iter().cloned());
        list("Left out:", &mut left_out.iter().cloned());
        let quirk = |quirk: &crate::Quirk| quirk.description().to_owned();
        list(
            "It computes as the toolkit that made it, also where one made here would not:",
            &mut quirks.iter().map(quirk),
        );
        card +=
            "Data, scores and licence are those of the original; its file does not tell them.\n";
        card
    }
}

impl TaggerDraft {
    fn fill(&self, source: &Source<'_>, folder: &Path) -> Result<()> {
        let mut hashes = Vec::new();
        for (number, language_model) in self.language_models.iter().enumerate() {
            let made = folder.join(format!("lm/{number}"));
            let failed = |source| Error::Write { path: made.clone(), source };
            fs::create_dir_all(&made).map_err(failed)?;
            language_model.fill(source, &made)?;
            let hash = Bundle::folder(&made).content_hash()?;
            let named = folder.join("lm").join(&hash);
            match named.is_dir() {
                // The same model stands in the checkpoint twice.
                true => fs::remove_dir_all(&made).map_err(failed)?,
                false => fs::rename(&made, &named).map_err(failed)?,
            }
            hashes.push(hash);
        }
        let mut model = self.model.clone();
        for embedding in &mut model.tagger.embeddings {
            let named = match embedding {
                EmbeddingConfig::Contextual(config) => Some(&mut config.model),
                EmbeddingConfig::Pooled(config) => Some(&mut config.model),
                EmbeddingConfig::Characters(_) | EmbeddingConfig::Words(_) => None,
            };
            let hash = |name: &String| hashes.get(name.parse::<usize>().ok()?).cloned();
            if let Some(name) = named
                && let Some(hash) = hash(name)
            {
                *name = hash;
            }
        }
        for (index, dictionary) in self.dictionaries.iter().enumerate() {
            if let Some(dictionary) = dictionary {
                write_json(&folder.join(dictionary_file(index)), dictionary)?;
            }
        }
        write_json(&folder.join("config.json"), &model)
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_vec_pretty(value).map_err(io::Error::from);
    write(path, &json.map_err(|source| Error::Write { path: path.to_owned(), source })?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let mut file = fs::File::create(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(())
}
