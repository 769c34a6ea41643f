//! Vectors of tokens, for those who want them rather than labels.

use std::path::Path;

use glossator_text::{Sentence, batch};
use rayon::prelude::*;

use super::{
    Columns, ContextualConfig, Embedding, TokenBatch, contextual::Contextual, states::States,
    vectors, words::Words,
};
use crate::{Compute, LanguageModel, Result, Tagger, find::find, language_model};

/// The vectors that a language model, a tagger, or a file of word vectors gives
/// to tokens; immutable, and shared by threads as it is.
pub struct Embedder {
    embeddings: Vec<Box<dyn Embedding>>,
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder").field("dim", &self.dim()).finish_non_exhaustive()
    }
}

impl Embedder {
    /// Loads a language model (whose states at the borders of words are the
    /// vectors), a tagger (whose embeddings are, side by side), or a file of
    /// word vectors (of word2vec, GloVe, fastText or finalfusion).
    ///
    /// # Errors
    /// If there is none of that name, or it is damaged or of another kind.
    pub fn load(name: &str) -> Result<Self> {
        Self::load_in(name, None)
    }

    /// As [`Embedder::load`], to be computed in a number format or on a GPU.
    ///
    /// # Errors
    /// As [`Embedder::load`].
    pub fn load_in(name: &str, compute: impl Into<Compute>) -> Result<Self> {
        let compute = compute.into();
        let one = |embedding| Ok(Self { embeddings: vec![embedding] });
        let found = find(name);
        let path = Path::new(name);
        if found.is_err() && path.is_file() {
            return one(Box::new(Words::given(vectors::read(path, None)?)));
        }
        let bundle = found?;
        let kind: serde_json::Value = bundle.json("config.json")?;
        if kind["kind"] == language_model::KIND {
            let model = LanguageModel::from_bundle(&bundle, compute)?;
            return one(Box::new(Contextual::new(&ContextualConfig::default(), model)));
        }
        Ok(Self { embeddings: Tagger::from_bundle(&bundle, compute)?.into_embeddings() })
    }

    /// The states of a language model after every token: for
    /// [`Sentence::by_characters`], after every character. The tokens are read
    /// without what stands between them, from the line break before them (by a
    /// backward model, behind them).
    ///
    /// # Errors
    /// If there is no language model of that name, or it is damaged.
    pub fn states(name: &str, compute: impl Into<Compute>) -> Result<Self> {
        let bundle = find(name)?;
        let model = LanguageModel::from_bundle(&bundle, compute)?;
        Ok(Self { embeddings: vec![Box::new(States(model))] })
    }

    /// Columns of the vectors.
    pub fn dim(&self) -> usize {
        self.embeddings.iter().map(|embedding| embedding.dim()).sum()
    }

    /// Vectors of all tokens of the sentences, `[tokens, dim]`, row after row;
    /// at most `max_tokens` tokens a batch, which changes no value.
    ///
    /// # Errors
    /// If a layer refuses its arguments.
    pub fn embed(&self, sentences: &[Sentence], max_tokens: usize) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = sentences.iter().map(Sentence::len).collect();
        let tokens: usize = lengths.iter().sum();
        let mut vectors = vec![0.0; tokens * self.dim()];
        let (mut rest, mut batches, mut first) = (&mut vectors[..], Vec::new(), 0);
        for batch in batch::by_tokens(&lengths, max_tokens.max(1)) {
            let own = &sentences[first..first + batch.len()];
            first += batch.len();
            let tokens: usize = own.iter().map(Sentence::len).sum();
            let (rows, others) = rest.split_at_mut(tokens * self.dim());
            rest = others;
            batches.push((own, rows));
        }
        batches
            .into_par_iter()
            .try_for_each(|(own, rows)| self.write(&TokenBatch::new(own), rows))?;
        Ok(vectors)
    }

    fn write(&self, batch: &TokenBatch<'_>, rows: &mut [f32]) -> Result<()> {
        write_all(&self.embeddings, batch, rows)
    }
}

/// Writes the vectors of all embeddings side by side, `[tokens, dim]`; those
/// of a pair of language models are computed at the same time.
pub(crate) fn write_all(
    embeddings: &[Box<dyn Embedding>],
    batch: &TokenBatch<'_>,
    rows: &mut [f32],
) -> Result<()> {
    let dims: Vec<usize> = embeddings.iter().map(|embedding| embedding.dim()).collect();
    let columns = Columns::side_by_side(rows, &dims);
    let work: Vec<_> = embeddings.iter().zip(columns).collect();
    work.into_par_iter()
        .with_max_len(1)
        .try_for_each(|(embedding, columns)| embedding.write(batch, columns))
}
