//! Taggers of entities: `stanza.models.ner.model.NERTagger`.

use std::collections::BTreeSet;

use glossator_hub::{FORMAT, StoredPrecision};
use glossator_nn::CellKind;
use glossator_pickle::Value;
use glossator_text::{Dictionary, tags::Scheme};

use super::{
    language_model::{first_states, recurrent},
    parts::{self, Parts},
    vocabulary::{self, PADDING, PREFIX, UNKNOWN},
};
use crate::{
    ContextualConfig, EmbeddingConfig, Quirk, Result, TaggerConfig,
    convert::{
        Conversion, ConvertOptions, Draft, Source,
        folder::{Model, TaggerDraft},
        source::{Tensors, Values, Weight},
    },
    embeddings::{WordsConfig, prefix},
    lookup::Lookup,
    quirk::Quirks,
    tagger::{KIND, Labels, TaggerModel},
};

/// A tagger in the making.
struct Reader<'s, 'a> {
    source: &'s Source<'a>,
    config: Value<'a>,
    vocabularies: Value<'a>,
    tensors: Tensors<'s, 'a>,
    weights: Vec<Weight>,
    embeddings: Vec<EmbeddingConfig>,
    dictionaries: Vec<Option<Dictionary>>,
    language_models: Vec<Draft>,
    /// Values of all embeddings together.
    dim: usize,
    conversion: Conversion,
}

pub(super) fn draft(
    source: &Source<'_>,
    root: Value<'_>,
    options: &ConvertOptions,
) -> Result<Draft> {
    let state = source.need(root.get("model"), "weights (`model`)")?;
    let mut reader = Reader {
        source,
        config: source.need(root.get("config"), "settings (`config`)")?,
        vocabularies: source.need(root.get("vocab"), "vocabularies (`vocab`)")?,
        tensors: Tensors::new(source, state),
        weights: Vec::new(),
        embeddings: Vec::new(),
        dictionaries: Vec::new(),
        language_models: Vec::new(),
        dim: 0,
        conversion: Conversion::default(),
    };
    reader.refuse_unknown_parts()?;
    let mut parts = Parts::read(&parts::files(source, root, options))?;
    reader.words(&mut parts)?;
    reader.characters(parts)?;
    let tags = reader.tags()?;
    let model = reader.layers(tags, options)?;
    let Reader { weights, dictionaries, language_models, mut conversion, .. } = reader;
    conversion.quirks = model.quirks.iter().copied().collect();
    let draft = TaggerDraft { model, dictionaries, language_models };
    Ok(Draft::new(Model::Tagger(Box::new(draft)), weights, conversion))
}

impl Reader<'_, '_> {
    fn flag(&self, name: &str, default: bool) -> bool {
        self.config.get(name).and_then(|value| value.as_bool()).unwrap_or(default)
    }

    fn number(&self, name: &str) -> i64 {
        self.config.get(name).and_then(|value| value.as_i64()).unwrap_or(0)
    }

    /// Refuses what has no counterpart here.
    fn refuse_unknown_parts(&self) -> Result<()> {
        let problem = |what: &str| {
            Err(self.source.problem(format!("it has {what}, which has no counterpart here")))
        };
        if self.config.get("bert_model").is_some_and(|name| name.as_str().is_some()) {
            return problem("a transformer");
        }
        if self.flag("connect_output_layers", false) && self.number("predict_tagset") > 0 {
            return problem("an output layer that reads another one");
        }
        let has_characters = self.flag("char", false) && self.number("char_emb_dim") > 0;
        if has_characters && !self.flag("charlm", false) {
            return problem("a recurrent network of its own for the characters of words");
        }
        if has_characters && self.flag("char_lowercase", false) {
            return problem("language models that read lower case only");
        }
        Ok(())
    }

    fn vocabulary(&self, name: &str) -> Result<Option<Vec<String>>> {
        let found = self.vocabularies.get(name);
        found.map(|found| vocabulary::items(self.source, found)).transpose()
    }

    /// Word vectors: those that were given, and what training added to them.
    fn words(&mut self, parts: &mut Parts) -> Result<()> {
        let dim = usize::try_from(self.number("word_emb_dim")).unwrap_or(0);
        if dim == 0 {
            return Ok(());
        }
        let given = match self.vocabulary("word")? {
            Some(words) => Some(self.table(&words, dim, parts)?),
            None => None,
        };
        let added = match (self.vocabulary("delta")?, self.tensors.find("delta_emb.weight")?) {
            (Some(words), Some(tensor)) if tensor.shape == [words.len(), dim] => {
                Some((words, self.source.read(&tensor)?))
            }
            (_, None) => None,
            (_, Some(tensor)) => {
                let problem = format!("`delta_emb.weight` has the shape {:?}", tensor.shape);
                return Err(self.source.problem(problem));
            }
        };
        let is_lower = self.flag("lowercase", true);
        let lowers = |name: &str| self.vocabularies.get(name)?.get("lower")?.as_bool();
        if !is_lower && ["word", "delta"].iter().any(|name| lowers(name) == Some(true)) {
            let problem = "it looks for words in lower case in one of its two tables of vectors \
                           only, which has no counterpart here";
            return Err(self.source.problem(problem));
        }
        let table = Summed { dim, given, added };
        let (dictionary, values) = table.rows(is_lower);
        let words = dictionary.len() - 1;
        self.conversion.found.push(format!("word vectors: {words} words, {dim} dimensions"));
        self.weights.push(Weight {
            name: format!("{}.words.weight", prefix(self.embeddings.len())),
            shape: vec![dictionary.len(), dim],
            values: Values::Made(values),
        });
        self.embeddings.push(EmbeddingConfig::Words(WordsConfig {
            dim,
            cased: true,
            min_count: 1,
            lookup: if is_lower { Lookup::Lower } else { Lookup::Exact },
            ..WordsConfig::default()
        }));
        self.dictionaries.push(Some(dictionary));
        self.dim += dim;
        Ok(())
    }

    /// The given vectors of a vocabulary: the tagger's own, or those of a file.
    fn table(&self, words: &[String], dim: usize, parts: &mut Parts) -> Result<Table> {
        let words_of = |words: &[String], values| (words.to_vec(), values);
        if let Some(tensor) = self.tensors.find("word_emb.weight")? {
            if tensor.shape != [words.len(), dim] {
                let problem = format!("`word_emb.weight` has the shape {:?}", tensor.shape);
                return Err(self.source.problem(problem));
            }
            return Ok(words_of(words, self.source.read(&tensor)?));
        }
        let Some(vectors) = parts.vectors.take() else {
            return Err(self.source.problem(format!(
                "its word vectors lie in another file{}; name it with `--with`",
                self.named("wordvec_pretrain_file")
            )));
        };
        if vectors.words != words || vectors.dim != dim {
            return Err(self.source.problem(format!(
                "it needs vectors of {dim} dimensions of {} words; those that were given have \
                 {} dimensions and {} words, or others",
                words.len(),
                vectors.dim,
                vectors.words.len()
            )));
        }
        Ok((vectors.words, vectors.values))
    }

    /// What a setting names, for messages.
    fn named(&self, key: &str) -> String {
        let name = self.config.get(key).and_then(|name| name.as_str());
        name.map(|name| format!(" (`{name}`)")).unwrap_or_default()
    }

    /// The language models, whose states behind the words are the vectors.
    fn characters(&mut self, parts: Parts) -> Result<()> {
        if !self.flag("char", false) || self.number("char_emb_dim") == 0 {
            return Ok(());
        }
        for (draft, key) in
            [(parts.forward, "charlm_forward_file"), (parts.backward, "charlm_backward_file")]
        {
            let Some(draft) = draft else {
                return Err(self.source.problem(format!(
                    "one of its language models lies in another file{}; name it with `--with`",
                    self.named(key)
                )));
            };
            let Model::LanguageModel(model, _) = &draft.model else {
                unreachable!("a language model is drafted as one")
            };
            self.dim += model.language_model.dim();
            self.conversion.found.extend(draft.conversion.found.iter().cloned());
            self.embeddings.push(EmbeddingConfig::Contextual(ContextualConfig {
                model: self.language_models.len().to_string(),
                ..ContextualConfig::default()
            }));
            self.dictionaries.push(None);
            self.language_models.push(draft);
        }
        Ok(())
    }

    /// The tags of the set that the model predicts, and the number of that set.
    fn tags(&self) -> Result<(Vec<String>, usize)> {
        let vocabulary = self.source.need(self.vocabularies.get("tag"), "vocabulary of tags")?;
        let sets = self.source.need(vocabulary.get("_id2unit"), "list of tags")?;
        // Of several sets each has a list of its own.
        if sets.entries().len() == 0 {
            return Ok((vocabulary::items(self.source, vocabulary)?, 0));
        }
        let set = usize::try_from(self.number("predict_tagset")).unwrap_or(usize::MAX);
        let found = sets.entries().find(|(key, _)| key.as_i64() == i64::try_from(set).ok());
        let (_, tags) = self.source.need(found, "set of tags that it predicts")?;
        let text = |tag: Value<'_>| self.source.need(tag.as_str().map(str::to_owned), "tag");
        Ok((tags.items().map(text).collect::<Result<_>>()?, set))
    }

    /// The layers behind the embeddings, and the model.
    fn layers(
        &mut self,
        (tags, set): (Vec<String>, usize),
        options: &ConvertOptions,
    ) -> Result<TaggerModel> {
        let reprojection = self.tensors.find("input_transform.weight")?.is_some();
        if reprojection {
            self.weights.extend(self.tensors.linear("input_transform", "reprojection")?);
        }
        let (stack, weights) = recurrent(self.source, &self.tensors, "taggerlstm")?;
        self.weights.extend(weights);
        if stack.input != self.dim {
            return Err(self.source.problem(format!(
                "its embeddings give {} values a word, but its first layer reads {}",
                self.dim, stack.input
            )));
        }
        let (source, tensors) = (self.source, &self.tensors);
        let learned_state = first_states(source, tensors, "taggerlstm", &stack, &mut self.weights)?;
        let labels = self.output(&tags, set)?;
        let is_bioes = labels.iter().any(|tag| tag.starts_with("S-") || tag.starts_with("E-"));
        let scheme = if is_bioes { Scheme::Bioes } else { Scheme::Iob2 };
        let quirks = match options.without_quirks {
            true => Quirks::new(),
            false => BTreeSet::from([Quirk::AnyTransition, Quirk::MendedTags]),
        };
        if let Some(problem) = Labels::new(&labels, Some(scheme)).with_quirks(&quirks).problem() {
            return Err(self.source.problem(problem));
        }
        let part = |name: &str| {
            let value = self.config.get(name).and_then(|value| value.as_f64()).unwrap_or(0.0);
            if (0.0..1.0).contains(&value) { value as f32 } else { 0.0 }
        };
        let tagger = TaggerConfig {
            hidden_dim: stack.units,
            layers: stack.layers,
            bidirectional: stack.bidirectional,
            cell: CellKind::Lstm,
            learned_state,
            crf: true,
            scheme,
            reprojection,
            word_dropout: part("word_dropout"),
            locked_dropout: part("dropout"),
            embeddings: std::mem::take(&mut self.embeddings),
            ..TaggerConfig::default()
        };
        self.conversion.found.insert(
            0,
            format!(
                "a tagger of entities: {} tags, lstm {} units in {} layer(s){}, a CRF",
                labels.len(),
                stack.units,
                stack.layers,
                if stack.bidirectional { ", both directions" } else { "" }
            ),
        );
        Ok(TaggerModel {
            kind: KIND.to_owned(),
            format: FORMAT,
            layer: "ner".to_owned(),
            scheme: Some(scheme),
            labels,
            further_layers: Vec::new(),
            precision: StoredPrecision::F32,
            compute: None,
            quirks,
            tagger,
        })
    }

    /// Adds scores and transitions of the tags that words can have, which it gives.
    fn output(&mut self, tags: &[String], set: usize) -> Result<Vec<String>> {
        // Before there were several sets of tags, parts had other names.
        let is_old = self.tensors.find("tag_clf.weight")?.is_some();
        let (linear, transitions) = match is_old {
            true => ("tag_clf".to_owned(), "crit._transitions".to_owned()),
            false => (format!("tag_clfs.{set}"), format!("crits.{set}._transitions")),
        };
        let transitions = self.tensors.get(&transitions, 2)?;
        let [mut weight, mut bias] = self.tensors.linear(&linear, "output")?;
        let n = tags.len();
        if transitions.shape != [n, n] || weight.shape[0] != n || bias.shape[0] != n {
            return Err(self.source.problem(format!(
                "it has {n} tags, but scores for {} and transitions of {:?}",
                weight.shape[0], transitions.shape
            )));
        }
        self.conversion.left_out.push(format!(
            "scores of {} tags that no word of its training had: {}",
            PREFIX,
            tags[..PREFIX.min(n)].join(", ")
        ));
        let kept = || PREFIX..n;
        for part in [&mut weight, &mut bias] {
            part.keep_rows(kept().map(Some).collect());
        }
        self.weights.extend([weight, bias]);
        let all = self.source.read(&transitions)?;
        let pairs = kept().flat_map(|from| kept().map(move |to| (from, to)));
        let mut values: Vec<f32> = pairs.map(|(from, to)| all[from * n + to]).collect();
        // Sentences begin and end with any tag.
        let labels = n.saturating_sub(PREFIX);
        values.resize((labels + 2) * labels, 0.0);
        self.weights.push(Weight {
            name: "crf.transitions".to_owned(),
            shape: vec![labels + 2, labels],
            values: Values::Made(values),
        });
        Ok(tags[PREFIX.min(n)..].to_vec())
    }
}

/// Words and vectors, `[words, dim]`.
type Table = (Vec<String>, Vec<f32>);

/// Given vectors, and those that are added to them.
struct Summed {
    dim: usize,
    given: Option<Table>,
    added: Option<Table>,
}

impl Summed {
    /// The words that can be found, and the sum of their vectors, the unknown
    /// word's first. To a word that was not trained nothing is added.
    fn rows(&self, is_lower: bool) -> (Dictionary, Vec<f32>) {
        let mut dictionary = Dictionary::with_unknown();
        let mut values = Vec::new();
        let row = |table: &Option<Table>, number: usize| {
            let (_, values) = table.as_ref()?;
            Some(values[number * self.dim..][..self.dim].to_vec())
        };
        let mut add = |given: usize, added: usize| {
            let (given, added) = (row(&self.given, given), row(&self.added, added));
            let zero = || vec![0.0; self.dim];
            let (given, added) = (given.unwrap_or_else(zero), added.unwrap_or_else(zero));
            values.extend(given.iter().zip(&added).map(|(a, b)| a + b));
        };
        let numbers = |table: &Option<Table>| {
            let words = table.iter().flat_map(|(words, _)| words.iter().cloned().zip(0..));
            words.skip(PREFIX).collect::<std::collections::HashMap<String, usize>>()
        };
        let (given, added) = (numbers(&self.given), numbers(&self.added));
        add(UNKNOWN, UNKNOWN);
        let words = |table: &Option<Table>| {
            table.as_ref().map_or(&[][..], |(words, _)| &words[PREFIX..]).to_vec()
        };
        for word in words(&self.given).into_iter().chain(words(&self.added)) {
            let found = !is_lower || word.to_lowercase() == word;
            if !found || dictionary.get(&word).is_some() {
                continue;
            }
            let unknown = if given.contains_key(&word) { PADDING } else { UNKNOWN };
            add(
                given.get(&word).copied().unwrap_or(UNKNOWN),
                added.get(&word).copied().unwrap_or(unknown),
            );
            dictionary.add(&word);
        }
        (dictionary, values)
    }
}
