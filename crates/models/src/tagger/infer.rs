//! The tagger at work.

use std::{collections::HashSet, sync::Arc};

use glossator_hub::Bundle;
use glossator_nn::{Precision, Weights};
use glossator_text::{Document, Layer, Position, Sentence, batch, segment};
use rayon::prelude::*;

use super::{
    Constraints, KIND, Labels, TaggerModel,
    constraints::Change,
    decode::Decoder,
    head::{Head, HeadShape},
    layer_name,
    options::TagOptions,
};
use crate::{
    Compute, Embedding, EmbeddingConfig, Error, Result, TokenBatch,
    embeddings::{Vocabulary, language_models, write_all},
    find::find,
    limits::MAX_PARTS,
    stored,
};

/// Tokens of a group of sentences behind the embeddings.
const GROUP_TOKENS: usize = 512;

/// A trained tagger: immutable, and shared by threads as it is.
///
/// The same text gives the same labels and scores, bit for bit, whatever it is
/// batched with and however many threads run.
pub struct Tagger {
    name: String,
    model: TaggerModel,
    embeddings: Vec<Box<dyn Embedding>>,
    head: Head,
    /// One for each layer, the first one first.
    decoders: Vec<Decoder>,
}

/// A layer that a tagger writes.
#[derive(Clone, Copy, Debug)]
pub struct TaggerLayer<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it labels spans of words, rather than words.
    pub is_spans: bool,
    /// Its tags, in the order of their numbers.
    pub labels: &'a [String],
}

/// What changes for a sentence, in the scores of each layer.
type Changes = Vec<Vec<Change>>;

impl std::fmt::Debug for Tagger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tagger").field("name", &self.name).field("model", &self.model).finish()
    }
}

impl Tagger {
    /// Loads a model by name: a built-in one, one of the cache, or a folder.
    ///
    /// # Errors
    /// If there is none of that name, or it is damaged or of another kind.
    pub fn load(name: &str) -> Result<Self> {
        Self::load_in(name, None)
    }

    /// As [`Tagger::load`], to be computed in a number format or on a GPU.
    /// Emission scores, transitions and probabilities are `f32` and more in any.
    ///
    /// # Errors
    /// As [`Tagger::load`].
    pub fn load_in(name: &str, compute: impl Into<Compute>) -> Result<Self> {
        Self::from_bundle(&find(name)?, compute)
    }

    /// Loads a model from an archive (`tar` of its folder) in memory.
    ///
    /// # Errors
    /// If the archive or the model is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bundle(&Bundle::from_bytes(bytes)?, None)
    }

    /// Loads a model from its files, to be computed as [`Tagger::load_in`] says.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the weights do not fit the configuration.
    pub fn from_bundle(bundle: &Bundle, compute: impl Into<Compute>) -> Result<Self> {
        let compute = compute.into();
        let model: TaggerModel = bundle.config(KIND)?;
        if let Some((key, problem)) = model.tagger.problem() {
            return Err(bundle.damaged("config.json", format!("{key} {problem}")).into());
        }
        if let Some(problem) = layers_problem(&model) {
            return Err(bundle.damaged("config.json", problem).into());
        }
        let own = compute.precision(model.compute.unwrap_or(model.precision));
        let configs = &model.tagger.embeddings;
        let (models, parts) = rayon::join(
            || language_models(configs, bundle, &compute),
            || read_own(configs, bundle),
        );
        // Of several errors, always the same is told.
        let (vocabularies, weights) = parts?;
        let mut weights = weights.on(&compute.device);
        let models = models?;
        let named = |source| Error::of_weights(bundle.name(), source);
        let mut embeddings = Vec::new();
        for ((index, config), vocabulary) in configs.iter().enumerate().zip(vocabularies) {
            let made = config.build(index, vocabulary, &models, &mut weights, own, &model.quirks);
            embeddings.push(made.map_err(named)?);
        }
        Self::assemble(bundle.name(), model, embeddings, weights, own).map_err(named)
    }

    /// A tagger of weights in memory.
    #[cfg(feature = "train")]
    pub(crate) fn from_weights(
        name: &str,
        model: TaggerModel,
        prepared: &[crate::embeddings::Prepared],
        mut weights: Weights,
    ) -> glossator_nn::Result<Self> {
        let mut embeddings = Vec::new();
        for (index, prepared) in prepared.iter().enumerate() {
            embeddings.push(prepared.build(index, &mut weights)?);
        }
        Self::assemble(name, model, embeddings, weights, Precision::F32)
    }

    fn assemble(
        name: &str,
        model: TaggerModel,
        embeddings: Vec<Box<dyn Embedding>>,
        mut weights: Weights,
        precision: Precision,
    ) -> glossator_nn::Result<Self> {
        let config = &model.tagger;
        let n_tags = model.layers().map(|layer| layer.labels.len()).sum();
        let dim = embeddings.iter().map(|e| e.dim()).sum();
        let reprojected = config.reprojected(dim);
        let rnn = config.rnn(reprojected.unwrap_or(dim));
        let head = HeadShape { dim, reprojected, rnn, n_tags };
        let head = Head::new(&mut weights, &head, precision)?;
        let layers = model.layers().enumerate();
        let decoder =
            |(index, layer)| Decoder::new(index, layer, &model.quirks, config.crf, &mut weights);
        let decoders = layers.map(decoder).collect::<glossator_nn::Result<_>>()?;
        weights.finish()?;
        Ok(Self { name: name.to_owned(), embeddings, head, decoders, model })
    }

    /// Name or path it was loaded from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the annotation layer it writes, or of the first one.
    pub fn layer(&self) -> &str {
        &self.model.layer
    }

    /// All layers it writes: more than one if it was trained on `further_layers`.
    pub fn layers(&self) -> impl Iterator<Item = TaggerLayer<'_>> {
        let further = self.model.further_layers.iter().map(|layer| TaggerLayer {
            name: &layer.layer,
            is_spans: layer.scheme.is_some(),
            labels: &layer.labels,
        });
        std::iter::once(self.first_layer()).chain(further)
    }

    fn first_layer(&self) -> TaggerLayer<'_> {
        let TaggerModel { layer, scheme, labels, .. } = &self.model;
        TaggerLayer { name: layer, is_spans: scheme.is_some(), labels }
    }

    /// The layer that is meant by the name of a layer, or of a column with its gold labels:
    /// the one of that name; of a single layer that one, whatever the column is called.
    pub fn layer_of(&self, column: &str) -> Option<TaggerLayer<'_>> {
        if self.decoders.len() == 1 {
            return Some(self.first_layer());
        }
        let name = layer_name(column);
        self.layers().find(|layer| layer_name(layer.name) == name)
    }

    /// That none of several layers is the one that is asked for.
    pub fn no_layer(&self, column: &str) -> Error {
        let names = self.layers().map(|layer| format!("`{}`", layer.name));
        let names = names.collect::<Vec<_>>().join(", ");
        Error::NoLayer { model: self.name.clone(), layer: column.to_owned(), known: names }
    }

    /// Whether it labels spans of words, rather than words (in its first layer).
    pub fn is_spans(&self) -> bool {
        self.model.scheme.is_some()
    }

    /// Its tags, in the order of their numbers (of its first layer).
    pub fn labels(&self) -> &[String] {
        &self.model.labels
    }

    /// Whether it gives this label to words, or this class to spans, in any layer.
    pub fn has_label(&self, label: &str) -> bool {
        self.decoders.iter().any(|decoder| decoder.labels().has(label))
    }

    /// Splits a text into sentences and words, and labels it.
    ///
    /// # Errors
    /// If a layer refuses its arguments.
    pub fn tag(&self, text: &str) -> Result<Document> {
        let mut sentences = segment::document(text, Position::default());
        self.tag_sentences(&mut sentences)?;
        Ok(Document::new(Arc::from(text), sentences))
    }

    /// Labels one sentence of given words.
    ///
    /// # Errors
    /// If a layer refuses its arguments.
    pub fn tag_tokens<S: AsRef<str>>(&self, tokens: &[S]) -> Result<Sentence> {
        let mut sentence = Sentence::from_tokens(tokens);
        self.tag_sentences(std::slice::from_mut(&mut sentence))?;
        Ok(sentence)
    }

    /// Adds the layers to sentences, in batches on all threads of the current pool.
    ///
    /// # Errors
    /// If a layer refuses its arguments.
    pub fn tag_sentences(&self, sentences: &mut [Sentence]) -> Result<()> {
        Self::tag_with(&[self], sentences, &TagOptions::default())
    }

    /// As [`Tagger::tag_sentences`], by several taggers: a language model that they share
    /// reads each sentence once.
    ///
    /// # Errors
    /// If a layer refuses its arguments, if a sentence has no sequence of labels that keeps
    /// to the constraints, or if the call is cancelled. The sentences of some batches then
    /// have their layers, others do not.
    pub fn tag_with(
        taggers: &[&Self],
        sentences: &mut [Sentence],
        options: &TagOptions,
    ) -> Result<()> {
        let lengths: Vec<usize> = sentences.iter().map(Sentence::len).collect();
        let mut batches = Vec::new();
        let mut rest = sentences;
        for batch in batch::by_tokens(&lengths, options.max_tokens.max(1)) {
            let (batch, others) = rest.split_at_mut(batch.len());
            batches.push(batch);
            rest = others;
        }
        // A batch keeps two threads busy, one for each direction of reading.
        let together = rayon::current_num_threads().div_ceil(2);
        for batches in batches.chunks_mut(together) {
            options.cancel.check()?;
            let label = |batch: &mut &mut [Sentence]| Self::tag_batch(taggers, batch, options);
            batches.par_iter_mut().try_for_each(label)?;
        }
        Ok(())
    }

    /// Adds the layers of several taggers to the sentences of one batch.
    fn tag_batch(
        taggers: &[&Self],
        sentences: &mut [Sentence],
        options: &TagOptions,
    ) -> Result<()> {
        let mut batch = TokenBatch::new(sentences.iter());
        if taggers.len() > 1 {
            batch = batch.for_several();
        }
        let labelled = taggers.iter().map(|tagger| {
            let named = |source| Error::Model { model: tagger.name.clone(), source };
            let changes = sentences.iter().map(|s| tagger.changes(&options.constraints, s));
            let changes = changes.collect::<Result<Vec<_>>>()?;
            tagger.label(&batch, options.n_best, &changes).map_err(|error| match error {
                Error::Layer(source) => named(source),
                other => other,
            })
        });
        let labelled = labelled.collect::<Result<Vec<_>>>()?;
        drop(batch);
        for found in labelled {
            for (sentence, layers) in sentences.iter_mut().zip(found) {
                let Some(layers) = layers else {
                    let problem = "no labels keep to the constraints and to the scheme of the tags";
                    return Err(Error::in_sentence(sentence, problem.to_owned()));
                };
                layers.into_iter().for_each(|layer| sentence.set_layer(layer));
            }
        }
        Ok(())
    }

    /// What constraints change for a sentence.
    fn changes(&self, constraints: &Constraints, sentence: &Sentence) -> Result<Changes> {
        let fixed = constraints.fixed().and_then(|column| self.layer_of(column));
        let fixed = fixed.map(|layer| layer.name);
        let changes = self.decoders.iter().map(|decoder| {
            constraints.changes(decoder.labels(), sentence, fixed == Some(decoder.layer()))
        });
        changes.collect()
    }

    /// The layers of each sentence of a batch; none where `changes` leave none.
    fn label(
        &self,
        batch: &TokenBatch<'_>,
        n_best: usize,
        changes: &[Changes],
    ) -> Result<Vec<Option<Vec<Layer>>>> {
        let (vectors, dim) = (self.vectors(batch)?, self.dim());
        if self.head.wants_all() {
            return self.decode_all(&vectors, &batch.lengths, n_best, changes);
        }
        // From here on sentences are cheap, and are shared out in small groups.
        let (mut rest, mut lengths, mut groups) = (&vectors[..], &batch.lengths[..], Vec::new());
        let mut changes = changes;
        for group in batch::by_tokens(&batch.lengths, GROUP_TOKENS) {
            let (own, other_lengths) = lengths.split_at(group.len());
            let (rows, others) = rest.split_at(own.iter().sum::<usize>() * dim);
            let (own_changes, other_changes) = changes.split_at(own.len());
            (rest, lengths, changes) = (others, other_lengths, other_changes);
            groups.push((rows, own, own_changes));
        }
        let decode = |(rows, lengths, changes): (_, _, &[_])| {
            self.decode_all(rows, lengths, n_best, changes)
        };
        let layers = groups.into_par_iter().map(decode);
        Ok(layers.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Layers of some sentences by the vectors of their tokens.
    fn decode_all(
        &self,
        vectors: &[f32],
        lengths: &[usize],
        n_best: usize,
        changes: &[Changes],
    ) -> Result<Vec<Option<Vec<Layer>>>> {
        let emissions = self.head.emissions(vectors, lengths)?;
        let mut rest = &emissions[..];
        let mut labelled = Vec::with_capacity(lengths.len());
        for (length, changes) in lengths.iter().zip(changes) {
            let (own, others) = rest.split_at(length * self.n_tags());
            rest = others;
            let mut from = 0;
            let layers = self.decoders.iter().zip(changes).map(|(decoder, changes)| {
                let mut own = self.columns(own, &mut from, decoder);
                decoder.decode(&mut own, changes, n_best).transpose()
            });
            // A layer that cannot be leaves the sentence without any.
            let layers: Option<Result<Vec<Layer>, _>> =
                layers.collect::<Option<Vec<_>>>().map(|layers| layers.into_iter().collect());
            labelled.push(layers.transpose().map_err(glossator_nn::Error::from)?);
        }
        Ok(labelled)
    }

    /// Emission scores of each sentence, `[tokens, tags of all layers]`.
    #[cfg(feature = "train")]
    pub(crate) fn emissions(&self, sentences: &[Sentence]) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = sentences.iter().map(Sentence::len).collect();
        let batches = batch::by_tokens(&lengths, super::options::BATCH_TOKENS).into_par_iter();
        let emissions = batches.map(|batch| {
            let batch = TokenBatch::new(batch.iter().map(|&i| &sentences[i]));
            let all = self.head.emissions(&self.vectors(&batch)?, &batch.lengths)?;
            let mut rest = &all[..];
            let own = |length: &usize| {
                let (own, others) = rest.split_at(length * self.n_tags());
                rest = others;
                own.to_vec()
            };
            Ok(batch.lengths.iter().map(own).collect())
        });
        Ok(emissions.collect::<Result<Vec<Vec<_>>>>()?.into_iter().flatten().collect())
    }

    /// Length of a token's vector.
    fn dim(&self) -> usize {
        self.embeddings.iter().map(|embedding| embedding.dim()).sum()
    }

    /// Vectors of all embeddings, `[tokens, dim]`.
    fn vectors(&self, batch: &TokenBatch<'_>) -> Result<Vec<f32>> {
        let mut vectors = vec![0.0; batch.tokens.len() * self.dim()];
        write_all(&self.embeddings, batch, &mut vectors)?;
        Ok(vectors)
    }

    /// Tags of all layers.
    fn n_tags(&self) -> usize {
        self.decoders.iter().map(|decoder| decoder.labels().len()).sum()
    }

    /// The columns of one layer, which begin at `from`; moves it to the next one.
    fn columns(&self, emissions: &[f32], from: &mut usize, decoder: &Decoder) -> Vec<f32> {
        let own = *from..*from + decoder.labels().len();
        *from = own.end;
        emissions.chunks_exact(self.n_tags()).flat_map(|row| &row[own.clone()]).copied().collect()
    }

    /// Whether a character means something to all its embeddings that read
    /// characters with a language model.
    pub fn knows(&self, c: char) -> bool {
        self.embeddings.iter().all(|embedding| embedding.knows(c))
    }

    /// What it sees of words.
    pub(crate) fn into_embeddings(self) -> Vec<Box<dyn Embedding>> {
        self.embeddings
    }
}

/// What a tagger computes of a sentence on its way to labels.
#[cfg(all(test, feature = "convert"))]
pub(crate) struct Inside {
    pub(crate) vectors: Vec<f32>,
    pub(crate) emissions: Vec<f32>,
    pub(crate) path: Vec<usize>,
    /// Score of the path, and logarithm of the sum over all paths, of a CRF.
    pub(crate) scores: Option<(f64, f64)>,
}

#[cfg(all(test, feature = "convert"))]
impl Tagger {
    pub(crate) fn inside(&self, sentence: &Sentence) -> Result<Inside> {
        let batch = TokenBatch::new([sentence]);
        let vectors = self.vectors(&batch)?;
        let emissions = self.head.emissions(&vectors, &batch.lengths)?;
        let (path, scores) =
            self.decoders[0].path(&emissions).map_err(glossator_nn::Error::from)?;
        Ok(Inside { vectors, emissions, path, scores })
    }
}

/// What is wrong with the layers of a model, if anything.
fn layers_problem(model: &TaggerModel) -> Option<String> {
    if model.further_layers.len() > MAX_PARTS {
        return Some(format!("it has more than {MAX_PARTS} further layers"));
    }
    let mut names = HashSet::new();
    model.layers().find_map(|layer| {
        let labels = Labels::new(&layer.labels, layer.scheme).with_quirks(&model.quirks);
        let twice = || format!("the layer `{}` stands twice", layer.layer);
        labels.problem().or_else(|| (!names.insert(layer_name(&layer.layer))).then(twice))
    })
}

/// What the embeddings know, and weights, that lie in a tagger's own files.
fn read_own(configs: &[EmbeddingConfig], bundle: &Bundle) -> Result<(Vec<Vocabulary>, Weights)> {
    let weights = stored::weights(bundle, |_| true)?;
    let vocabulary = |(index, config): (_, &EmbeddingConfig)| config.vocabulary(index, bundle);
    let vocabularies = configs.iter().enumerate().map(vocabulary).collect::<Result<_>>()?;
    Ok((vocabularies, weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagger_is_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Tagger>();
    }
}
