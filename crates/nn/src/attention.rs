//! Attention over the states of another sequence.

use candle_core::{Tensor, Var};
use glossator_kernels::{
    attention::{self, Score},
    gemm::Precision,
    op::{self, AttentionScore},
};
use rayon::prelude::*;

use crate::{Linear, PackedLinear, ParamSet, Result, Rng, Weights, init};

/// How well a query and a state fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionKind {
    /// `v · tanh(W q + U h)` (Bahdanau et al., 2015).
    Additive,
    /// `q · h` (Luong et al., 2015).
    Dot,
    /// `q · W h` (Luong et al., 2015).
    General,
    /// The same by the square root of the query's dimension.
    Scaled,
}

/// What an attention looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// How queries and states are compared.
    pub kind: AttentionKind,
    /// Columns of a query.
    pub query_dim: usize,
    /// Columns of a state; of [`AttentionKind::Dot`] those of a query.
    pub state_dim: usize,
}

impl AttentionShape {
    fn has_query(&self) -> bool {
        self.kind == AttentionKind::Additive
    }

    fn has_key(&self) -> bool {
        self.kind != AttentionKind::Dot
    }

    fn factor(&self) -> f32 {
        match self.kind {
            AttentionKind::Scaled => 1.0 / (self.query_dim as f32).sqrt(),
            _ => 1.0,
        }
    }
}

/// Attention, trained.
#[derive(Clone, Debug)]
pub struct Attention {
    shape: AttentionShape,
    query: Option<Linear>,
    key: Option<Linear>,
    vector: Option<Var>,
}

impl Attention {
    /// Makes, as far as the kind has them, the layers `{name}.query` and
    /// `{name}.key` and the vector `{name}.vector`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(
        params: &mut ParamSet,
        name: &str,
        shape: AttentionShape,
        rng: &mut Rng,
    ) -> Result<Self> {
        let dim = shape.query_dim;
        let mut layer =
            |part: &str, from| Linear::new(params, &format!("{name}.{part}"), from, dim, rng);
        let query = shape.has_query().then(|| layer("query", dim)).transpose()?;
        let key = shape.has_key().then(|| layer("key", shape.state_dim)).transpose()?;
        let vector = shape.has_query().then(|| {
            let values = init::xavier(rng, 1, dim);
            params.add(&format!("{name}.vector"), values, dim)
        });
        Ok(Self { shape, query, key, vector: vector.transpose()? })
    }

    /// The same with its products in a number format.
    #[must_use]
    pub fn in_precision(self, precision: Precision) -> Self {
        let set = |layer: Option<Linear>| layer.map(|layer| layer.in_precision(precision));
        Self { query: set(self.query), key: set(self.key), ..self }
    }

    /// What queries are compared with, of states `[rows, state_dim]`: computed
    /// once for all queries.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn keys(&self, states: &Tensor) -> Result<Tensor> {
        match &self.key {
            Some(layer) => layer.forward(states),
            None => Ok(states.clone()),
        }
    }

    /// Contexts `[Σ query_lengths, state_dim]` of unpadded sentences: `queries`
    /// `[Σ query_lengths, query_dim]`, `keys` and `states` `[Σ state_lengths, _]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        states: &Tensor,
        query_lengths: &[usize],
        state_lengths: &[usize],
    ) -> Result<Tensor> {
        let compared = self.query.as_ref().map(|layer| layer.forward(queries)).transpose()?;
        let queries = compared.as_ref().unwrap_or(queries);
        let score = match &self.vector {
            Some(vector) => AttentionScore::Additive(vector),
            None => AttentionScore::Dot(self.shape.factor()),
        };
        let weights = op::attention_weights(score, queries, keys, query_lengths, state_lengths)?;
        Ok(op::attention_context(&weights, states, query_lengths, state_lengths)?)
    }
}

/// Attention with packed weights.
#[derive(Clone, Debug)]
pub struct PackedAttention {
    shape: AttentionShape,
    query: Option<PackedLinear>,
    key: Option<PackedLinear>,
    vector: Vec<f32>,
}

/// States of some sentences and their keys, to be attended to.
#[derive(Clone, Debug)]
pub struct Memory {
    /// `[Σ lengths, query_dim]`; empty if the states are their own keys.
    keys: Vec<f32>,
    /// `[Σ lengths, state_dim]`
    states: Vec<f32>,
    /// First row of each sentence, and the number of all rows.
    firsts: Vec<usize>,
}

impl Memory {
    /// States of a sentence.
    pub fn len_of(&self, sentence: usize) -> usize {
        self.firsts[sentence + 1] - self.firsts[sentence]
    }

    fn rows<'a>(&self, matrix: &'a [f32], sentence: usize, dim: usize) -> &'a [f32] {
        &matrix[self.firsts[sentence] * dim..self.firsts[sentence + 1] * dim]
    }
}

impl PackedAttention {
    /// Takes the weights of the [`Attention`] of that name, to be computed with
    /// in a number format.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn new(
        weights: &mut Weights,
        name: &str,
        shape: AttentionShape,
        precision: Precision,
    ) -> Result<Self> {
        let dim = shape.query_dim;
        let mut layer = |part: &str, from| {
            PackedLinear::new(weights, &format!("{name}.{part}"), from, dim, precision)
        };
        let query = shape.has_query().then(|| layer("query", dim)).transpose()?;
        let key = shape.has_key().then(|| layer("key", shape.state_dim)).transpose()?;
        let vector = match shape.has_query() {
            true => weights.take(&format!("{name}.vector"), &[dim])?,
            false => Vec::new(),
        };
        Ok(Self { shape, query, key, vector })
    }

    /// Keeps the states of sentences, `[Σ lengths, state_dim]`, to be attended to.
    pub fn memory(&self, states: Vec<f32>, lengths: &[usize]) -> Memory {
        let rows = lengths.iter().sum();
        let keys = self.key.as_ref().map(|layer| layer.apply(&states, rows)).unwrap_or_default();
        let firsts = lengths.iter().scan(0, |sum, len| {
            *sum += len;
            Some(*sum)
        });
        Memory { keys, states, firsts: std::iter::once(0).chain(firsts).collect() }
    }

    /// Contexts `[rows, state_dim]` of queries `[rows, query_dim]`, each over the
    /// states of its sentence, and the weights of those states, row after row.
    ///
    /// # Panics
    /// If there is not one sentence a row.
    pub fn attend(
        &self,
        queries: &[f32],
        sentences: &[usize],
        memory: &Memory,
    ) -> (Vec<f32>, Vec<f32>) {
        let (dim, width) = (self.shape.query_dim, self.shape.state_dim);
        assert_eq!(queries.len(), sentences.len() * dim, "a sentence for each query");
        let compared = self.query.as_ref().map(|layer| layer.apply(queries, sentences.len()));
        let queries = compared.as_deref().unwrap_or(queries);
        let score = match self.vector.is_empty() {
            true => Score::Dot(self.shape.factor()),
            false => Score::Additive(&self.vector),
        };
        let keys = if self.key.is_some() { &memory.keys } else { &memory.states };
        let mut contexts = vec![0.0; sentences.len() * width];
        let weights: usize = sentences.iter().map(|&sentence| memory.len_of(sentence)).sum();
        let mut weights = vec![0.0; weights];
        let mut work = Vec::new();
        let mut rest = (queries, &mut contexts[..], &mut weights[..]);
        for same in sentences.chunk_by(|a, b| a == b) {
            let (rows, sentence) = (same.len(), same[0]);
            let (own, queries) = rest.0.split_at(rows * dim);
            let (contexts, others) = rest.1.split_at_mut(rows * width);
            let (weights, more) = rest.2.split_at_mut(rows * memory.len_of(sentence));
            rest = (queries, others, more);
            work.push((sentence, own, contexts, weights));
        }
        work.into_par_iter().for_each(|(sentence, queries, contexts, weights)| {
            attention::weights(score, queries, memory.rows(keys, sentence, dim), dim, weights);
            let states = memory.rows(&memory.states, sentence, width);
            attention::context(weights, states, width, contexts);
        });
        (contexts, weights)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn both_faces_give_the_same_bits() {
        let kinds = [
            AttentionKind::Additive,
            AttentionKind::Dot,
            AttentionKind::General,
            AttentionKind::Scaled,
        ];
        for kind in kinds {
            let state_dim = if kind == AttentionKind::Dot { 5 } else { 7 };
            let shape = AttentionShape { kind, query_dim: 5, state_dim };
            let rng = &mut Rng::new(1, "test", 0);
            let mut params = ParamSet::new();
            let trained = Attention::new(&mut params, "attention", shape, rng).unwrap();
            let mut weights = Weights::from_params(&params).unwrap();
            let packed =
                PackedAttention::new(&mut weights, "attention", shape, Precision::F32).unwrap();
            weights.finish().unwrap();
            let (query_lengths, state_lengths) = ([2, 1, 3], [4, 1, 2]);
            let queries = init::uniform(rng, 6 * 5, 1.0);
            let states = init::uniform(rng, 7 * state_dim, 1.0);
            let tensor = |values: &[f32], dim: usize| {
                Tensor::from_slice(values, (values.len() / dim, dim), &Device::Cpu).unwrap()
            };
            let rows = tensor(&states, state_dim);
            let keys = trained.keys(&rows).unwrap();
            let queries_ = tensor(&queries, 5);
            let out =
                trained.forward(&queries_, &keys, &rows, &query_lengths, &state_lengths).unwrap();
            let memory = packed.memory(states, &state_lengths);
            let (contexts, weights) = packed.attend(&queries, &[0, 0, 1, 2, 2, 2], &memory);
            assert_eq!(out.flatten_all().unwrap().to_vec1::<f32>().unwrap(), contexts, "{kind:?}");
            let (first, _) = packed.attend(&queries[10..15], &[1], &memory);
            assert_eq!(first, contexts[2 * state_dim..3 * state_dim]);
            assert_eq!(weights.len(), 2 * 4 + 1 + 3 * 2);
            assert!((weights[..4].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}
