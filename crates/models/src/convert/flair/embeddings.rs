//! Embeddings: by their settings (from 0.12 on), or as the modules they were in
//! memory (before).

use glossator_pickle::{TensorRef, Value};
use glossator_text::Dictionary;

use super::{dictionary, language_model};
use crate::{
    Pooling, Result, Spacing,
    convert::{
        Conversion, Draft, Source,
        folder::Model,
        source::{Tensors, Values, Weight},
    },
    embeddings::{
        CharactersConfig, ContextualConfig, EmbeddingConfig, PooledConfig, WordsConfig, prefix,
    },
    limits::{MAX_DIM, MAX_PARTS},
};

/// Embeddings in the order in which the tagger sees them.
#[derive(Default)]
pub(super) struct Embeddings {
    pub(super) configs: Vec<EmbeddingConfig>,
    pub(super) dictionaries: Vec<Option<Dictionary>>,
    pub(super) language_models: Vec<Draft>,
    pub(super) weights: Vec<Weight>,
    pub(super) conversion: Conversion,
    /// For each column of the vectors here the one of the original.
    pub(super) columns: Vec<usize>,
}

/// An embedding that is no stack.
struct Leaf<'s, 'a> {
    /// Its settings, or its module.
    value: Value<'a>,
    tensors: Tensors<'s, 'a>,
    /// Names of its vectors, by which they are sorted: of pooled ones that of the
    /// word itself, and that of its memory.
    names: Vec<String>,
}

/// An attribute of a module, or an entry of settings.
fn attribute<'a>(value: Value<'a>, name: &str) -> Option<Value<'a>> {
    value.get(name).or_else(|| value.get("_modules")?.get(name))
}

/// The name of an embedding's class.
fn class(value: Value<'_>) -> &str {
    let class = value.get("__cls__").and_then(|class| class.as_str());
    class.or_else(|| value.class().map(|(_, name)| name)).unwrap_or_default()
}

impl Embeddings {
    /// Those of a tagger, whose tensors are called `embeddings.…`.
    pub(super) fn read(
        source: &Source<'_>,
        value: Value<'_>,
        tensors: &Tensors<'_, '_>,
    ) -> Result<Self> {
        let mut leaves = Vec::new();
        flatten(source, value, tensors.under("embeddings."), 0, &mut 0, &mut leaves)?;
        // Each vector of a token lies under its name, and names are sorted.
        let names = leaves.iter().enumerate().flat_map(|(leaf, Leaf { names, .. })| {
            names.iter().enumerate().map(move |(part, name)| (name.as_str(), leaf, part))
        });
        let mut sorted: Vec<(&str, usize, usize)> = names.collect();
        sorted.sort();
        let mut order: Vec<usize> = Vec::new();
        for (_, leaf, _) in &sorted {
            if !order.contains(leaf) {
                order.push(*leaf);
            }
        }
        let mut embeddings = Self::default();
        let mut widths = vec![0; leaves.len()];
        for leaf in &order {
            widths[*leaf] = embeddings.add(source, &leaves[*leaf])?;
        }
        // Where each part begins in the original.
        let mut starts = vec![[0; 2]; leaves.len()];
        let mut start = 0;
        let width = |leaf: usize| widths[leaf] / leaves[leaf].names.len();
        for &(_, leaf, part) in &sorted {
            starts[leaf][part] = start;
            start += width(leaf);
        }
        for leaf in order {
            for start in &starts[leaf][..leaves[leaf].names.len()] {
                embeddings.columns.extend(*start..start + width(leaf));
            }
        }
        Ok(embeddings)
    }

    /// Adds an embedding, and returns its columns.
    fn add(&mut self, source: &Source<'_>, leaf: &Leaf<'_, '_>) -> Result<usize> {
        let index = self.configs.len();
        let (config, dictionary, width) = match class(leaf.value) {
            "FlairEmbeddings" | "CharLMEmbeddings" => {
                let (config, width) = self.contextual(source, leaf.value, &leaf.tensors)?;
                (EmbeddingConfig::Contextual(config), None, width)
            }
            "PooledFlairEmbeddings" => {
                let (config, words, width) = self.pooled(source, leaf, index)?;
                (EmbeddingConfig::Pooled(config), Some(words), width)
            }
            "WordEmbeddings" => {
                let (config, words) = self.words(source, leaf, index)?;
                let width = config.dim;
                (EmbeddingConfig::Words(config), Some(words), width)
            }
            "CharacterEmbeddings" => {
                let (config, characters) = self.characters(source, leaf, index)?;
                let width = config.dim();
                (EmbeddingConfig::Characters(config), Some(characters), width)
            }
            other => {
                return Err(source.problem(format!(
                    "it has {other}, which have no counterpart here; known are FlairEmbeddings, \
                     PooledFlairEmbeddings, WordEmbeddings, CharacterEmbeddings and stacks of them"
                )));
            }
        };
        self.configs.push(config);
        self.dictionaries.push(dictionary);
        Ok(width)
    }

    fn contextual(
        &mut self,
        source: &Source<'_>,
        value: Value<'_>,
        tensors: &Tensors<'_, '_>,
    ) -> Result<(ContextualConfig, usize)> {
        let model = attribute(value, "model_params").or_else(|| attribute(value, "lm"));
        let model = source.need(model, "language model in its FlairEmbeddings")?;
        let own = tensors.under("lm.");
        // Before it was part of the module, only the module itself had the weights.
        let inside = Tensors::new(source, model.get("state_dict").unwrap_or(model));
        let own = if own.find("encoder.weight")?.is_some() { own } else { inside };
        let mut draft = language_model::of_parts(source, model, &own)?;
        let Model::LanguageModel(language_model, _) = &mut draft.model else {
            unreachable!("a language model is drafted as one")
        };
        // What a tagger needs no decoder for is the same without.
        language_model.vectors_only = true;
        draft.weights.retain(|weight| !weight.name.starts_with("decoder."));
        let width = language_model.language_model.dim();
        self.conversion.found.extend(draft.conversion.found.iter().cloned());
        let flag = |name: &str, default: bool| {
            attribute(value, name).and_then(|value| value.as_bool()).unwrap_or(default)
        };
        let config = ContextualConfig {
            model: self.language_models.len().to_string(),
            spacing: if flag("tokenized_lm", true) { Spacing::Tokens } else { Spacing::Original },
            lower: flag("is_lower", false),
            inside: !flag("with_whitespace", true),
        };
        self.language_models.push(draft);
        Ok((config, width))
    }

    fn pooled(
        &mut self,
        source: &Source<'_>,
        leaf: &Leaf<'_, '_>,
        index: usize,
    ) -> Result<(PooledConfig, Dictionary, usize)> {
        let inner = attribute(leaf.value, "contextual_embeddings")
            .or_else(|| attribute(leaf.value, "context_embeddings"));
        let inner = source.need(inner, "embeddings in its PooledFlairEmbeddings")?;
        let tensors = leaf.tensors.under("context_embeddings.");
        let (own, width) = self.contextual(source, inner, &tensors)?;
        let pooling = attribute(leaf.value, "pooling");
        let pooling = match pooling.and_then(|name| name.as_str()).unwrap_or("min") {
            "min" => Pooling::Min,
            "max" => Pooling::Max,
            "mean" => Pooling::Mean,
            "fade" => Pooling::Fade,
            other => return Err(source.problem(format!("it pools by `{other}`"))),
        };
        let capitalized = attribute(leaf.value, "only_capitalized");
        let ContextualConfig { model, spacing, lower, inside } = own;
        let config = PooledConfig {
            model,
            spacing,
            lower,
            inside,
            pooling,
            only_capitalized: capitalized.and_then(|flag| flag.as_bool()).unwrap_or(false),
            min_count: 1,
        };
        self.conversion.left_out.push(
            "the memory of its pooled embeddings: it grows while the original reads, and what it \
             gives depends on all that was read before"
                .to_owned(),
        );
        self.weights.push(Weight {
            name: format!("{}.memory.weight", prefix(index)),
            shape: vec![1, width],
            values: Values::Made(vec![0.0; width]),
        });
        Ok((config, Dictionary::with_unknown(), 2 * width))
    }

    fn words(
        &mut self,
        source: &Source<'_>,
        leaf: &Leaf<'_, '_>,
        index: usize,
    ) -> Result<(WordsConfig, Dictionary)> {
        if attribute(leaf.value, "field").is_some_and(|field| !field.is_none()) {
            let problem = "its WordEmbeddings are of another layer, not of the words themselves";
            return Err(source.problem(problem));
        }
        let vectors = attribute(leaf.value, "precomputed_word_embeddings");
        let vocabulary = vocabulary(source, vectors.unwrap_or(leaf.value))?;
        let table = leaf.tensors.find("embedding.weight")?;
        let inside = Tensors::new(source, leaf.value);
        let table = match table {
            Some(table) => Some(table),
            None => inside.find("embedding.weight")?,
        };
        let (rows, dim, values) = match (table, vectors) {
            (Some(table), _) => self.table(source, leaf, &table, &vocabulary)?,
            (None, Some(vectors)) => given(source, vectors, &vocabulary)?,
            (None, None) => return Err(source.problem("its WordEmbeddings have no vectors")),
        };
        let mut words = Dictionary::with_unknown();
        for (place, word) in vocabulary.iter().enumerate() {
            // What no word can be called stands for a row that no word has, or
            // that would be taken for the unknown word's.
            match word {
                Some(word) if word != "<unk>" && words.get(word).is_none() => words.add(word),
                _ => words.add(&format!("\u{0}{place}")),
            };
        }
        self.conversion.found.push(format!("word vectors: {} words, {dim} dimensions", rows - 1));
        self.weights.push(Weight {
            name: format!("{}.words.weight", prefix(index)),
            shape: vec![rows, dim],
            values,
        });
        let config = WordsConfig { dim, cased: true, min_count: 1, ..WordsConfig::default() };
        Ok((config, words))
    }

    /// The rows of a table of vectors, the unknown word's first.
    fn table(
        &self,
        source: &Source<'_>,
        leaf: &Leaf<'_, '_>,
        table: &TensorRef,
        vocabulary: &[Option<String>],
    ) -> Result<(usize, usize, Values)> {
        let [rows, dim] = matrix(source, &table.shape, vocabulary.len())?;
        // What comes behind the words stands for the unknown one.
        let unknown_row = (rows > vocabulary.len()).then_some(vocabulary.len());
        let is_stable = attribute(leaf.value, "stable").and_then(|flag| flag.as_bool());
        if is_stable != Some(true) {
            let known = (0..vocabulary.len()).map(Some);
            let rows = std::iter::once(unknown_row).chain(known).collect();
            return Ok((vocabulary.len() + 1, dim, Values::Rows(table.clone(), rows)));
        }
        // Normalised vectors are normalised once and for all.
        let affine = |name: &str, default: f32| match leaf.tensors.find(name)? {
            Some(tensor) if tensor.shape == [dim] => source.read(&tensor),
            _ => Ok(vec![default; dim]),
        };
        let (scale, shift) = (affine("layer_norm.weight", 1.0)?, affine("layer_norm.bias", 0.0)?);
        let read = source.read(table)?;
        let mut values = Vec::with_capacity((vocabulary.len() + 1) * dim);
        let zeros = vec![0.0; dim];
        let unknown = unknown_row.map_or(&zeros[..], |row| &read[row * dim..][..dim]);
        let words = read.chunks_exact(dim).take(vocabulary.len());
        for row in std::iter::once(unknown).chain(words) {
            values.extend(normalised(row).zip(&scale).zip(&shift).map(|((x, a), b)| x * a + b));
        }
        Ok((vocabulary.len() + 1, dim, Values::Made(values)))
    }

    fn characters(
        &mut self,
        source: &Source<'_>,
        leaf: &Leaf<'_, '_>,
        index: usize,
    ) -> Result<(CharactersConfig, Dictionary)> {
        let found = attribute(leaf.value, "path_to_char_dict")
            .or_else(|| attribute(leaf.value, "char_dictionary"));
        let found = source.need(found, "dictionary in its CharacterEmbeddings")?;
        let characters = dictionary::characters(source, found)?;
        let prefix = prefix(index);
        let table = leaf.tensors.weight(
            "char_embedding.weight",
            2,
            &format!("{prefix}.characters.weight"),
        )?;
        let (stack, weights) = leaf.tensors.recurrent("char_rnn", &format!("{prefix}.rnn"))?;
        let [rows, embedding_dim] = [table.shape[0], table.shape[1]];
        if rows != characters.len() || !stack.bidirectional || stack.layers != 1 {
            let problem = "its CharacterEmbeddings are not of the form that Flair makes";
            return Err(source.problem(problem));
        }
        self.conversion.found.push(format!(
            "character features: {} units in each direction, {} characters",
            stack.units,
            characters.len()
        ));
        self.weights.push(table);
        self.weights.extend(weights);
        let config = CharactersConfig {
            embedding_dim,
            hidden_dim: stack.units,
            ..CharactersConfig::default()
        };
        Ok((config, characters))
    }
}

/// Most stacks within each other.
const MAX_DEPTH: usize = 8;
/// Most stacks and embeddings, one counted wherever it stands.
const MAX_NODES: usize = 4 * MAX_PARTS;

/// The embeddings of a stack, and of stacks in it.
fn flatten<'s, 'a>(
    source: &'s Source<'a>,
    value: Value<'a>,
    tensors: Tensors<'s, 'a>,
    depth: usize,
    nodes: &mut usize,
    leaves: &mut Vec<Leaf<'s, 'a>>,
) -> Result<()> {
    *nodes += 1;
    if *nodes > MAX_NODES || leaves.len() > MAX_PARTS {
        return Err(source.problem(format!("it has more than {MAX_PARTS} embeddings")));
    }
    if class(value) != "StackedEmbeddings" {
        let names = names(source, value)?;
        leaves.push(Leaf { value, tensors, names });
        return Ok(());
    }
    if depth == MAX_DEPTH {
        return Err(source.problem("its embeddings are stacks within stacks without an end"));
    }
    let children = source.need(value.get("embeddings"), "list of embeddings in its stack")?;
    for (place, child) in children.items().enumerate() {
        let tensors = tensors.under(&format!("list_embedding_{place}."));
        flatten(source, child, tensors, depth + 1, nodes, leaves)?;
    }
    Ok(())
}

/// Names of the vectors of an embedding that is no stack.
fn names(source: &Source<'_>, value: Value<'_>) -> Result<Vec<String>> {
    let name = |value| attribute(value, "name").and_then(|name| Some(name.as_str()?.to_owned()));
    let inner = attribute(value, "contextual_embeddings")
        .or_else(|| attribute(value, "context_embeddings"));
    if let Some(inner) = inner {
        let inner = source.need(name(inner), "name of the embeddings that are pooled")?;
        let own = name(value).unwrap_or_else(|| format!("{inner}-context"));
        return Ok(vec![inner, own]);
    }
    let default = match class(value) {
        "CharacterEmbeddings" => Some("Char".to_owned()),
        _ => None,
    };
    Ok(vec![source.need(name(value).or(default), "name of an embedding")?])
}

/// Words by number, of a dictionary of numbers or of gensim's vectors; what has
/// no word is none.
fn vocabulary(source: &Source<'_>, value: Value<'_>) -> Result<Vec<Option<String>>> {
    if let Some(list) = value.get("index_to_key").or_else(|| value.get("index2word")) {
        return Ok(list.items().map(|word| word.as_str().map(str::to_owned)).collect());
    }
    let words = value.get("key_to_index").or_else(|| value.get("vocab"));
    let words = source.need(words, "vocabulary in its WordEmbeddings")?;
    let count = words.entries().count();
    let mut list = vec![None; count];
    for (word, number) in words.entries() {
        let number = number.as_i64().or_else(|| number.get("index")?.as_i64());
        let place = number.and_then(|number| list.get_mut(usize::try_from(number).ok()?));
        let place = source.need(place, "number for each word of its vocabulary")?;
        *place = word.as_str().map(str::to_owned);
    }
    Ok(list)
}

/// Vectors of gensim, behind a zero row.
fn given(
    source: &Source<'_>,
    vectors: Value<'_>,
    vocabulary: &[Option<String>],
) -> Result<(usize, usize, Values)> {
    let array = vectors.get("vectors").or_else(|| vectors.get("syn0"));
    let array = source.need(array, "array of word vectors")?;
    let (shape, values) = source.need(source.array(array)?, "array of word vectors")?;
    let [_, dim] = matrix(source, &shape, vocabulary.len())?;
    let mut all = vec![0.0; dim];
    all.extend(&values[..vocabulary.len() * dim]);
    Ok((vocabulary.len() + 1, dim, Values::Made(all)))
}

/// Rows and columns of the vectors of so many words; of more rows, the others
/// are of no word.
fn matrix(source: &Source<'_>, shape: &[usize], words: usize) -> Result<[usize; 2]> {
    match *shape {
        [_, dim] if dim == 0 || dim > MAX_DIM => {
            Err(source.problem(format!("its word vectors have {dim} dimensions")))
        }
        [rows, dim] if rows >= words => Ok([rows, dim]),
        [rows, _] => Err(source.problem(format!("it has {words} words, but {rows} word vectors"))),
        _ => Err(source.problem("its word vectors are no matrix")),
    }
}

/// Values less their mean, by their standard deviation (Ba et al., 2016).
fn normalised(row: &[f32]) -> impl Iterator<Item = f32> {
    const EPSILON: f64 = 1e-5;
    let n = row.len() as f64;
    let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    let by = 1.0 / (variance + EPSILON).sqrt();
    row.iter().map(move |x| ((f64::from(*x) - mean) * by) as f32)
}
