//! Attention over unpadded sentences as two operations: the weights, and the
//! contexts they make. Between them the weights are an ordinary tensor, to be
//! looked at or trained on.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{graph, reading, values};
use crate::{
    Isa,
    attention::{self, ContextBack, Score, WeightsBack},
};

/// How many queries and keys each sentence of a batch has.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    pub(super) queries: Vec<usize>,
    pub(super) keys: Vec<usize>,
}

impl Blocks {
    pub(super) fn new(queries: &[usize], keys: &[usize]) -> Result<Self> {
        if queries.len() != keys.len() {
            candle_core::bail!("queries of {} sentences, keys of {}", queries.len(), keys.len());
        }
        Ok(Self { queries: queries.to_vec(), keys: keys.to_vec() })
    }

    /// Weights of all sentences.
    fn weights(&self) -> usize {
        self.queries.iter().zip(&self.keys).map(|(q, k)| q * k).sum()
    }

    fn of_queries(&self, dim: usize) -> impl Iterator<Item = usize> {
        self.queries.iter().map(move |n| n * dim)
    }

    fn of_keys(&self, dim: usize) -> impl Iterator<Item = usize> {
        self.keys.iter().map(move |n| n * dim)
    }

    fn of_weights(&self) -> impl Iterator<Item = usize> {
        self.queries.iter().zip(&self.keys).map(|(q, k)| q * k)
    }

    /// Checks that there are rows of `dim` values for all queries and keys.
    pub(super) fn check(&self, queries: usize, keys: usize, dim: usize) -> Result<()> {
        let want = [&self.queries, &self.keys].map(|lens| lens.iter().sum::<usize>() * dim);
        if dim == 0 || [queries, keys] != want {
            candle_core::bail!("attention over rows of {dim}: {queries} and {keys} values");
        }
        Ok(())
    }
}

/// The parts of a slice, of the lengths given.
fn parts(mut all: &[f32], lengths: impl Iterator<Item = usize>) -> Vec<&[f32]> {
    let part = |length| all.split_off(..length).unwrap_or_default();
    lengths.map(part).collect()
}

/// The same, to be written.
fn parts_mut(mut all: &mut [f32], lengths: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    let part = |length| all.split_off_mut(..length).unwrap_or_default();
    lengths.map(part).collect()
}

/// [`attention::weights`] of every sentence.
struct Weights {
    blocks: Blocks,
    /// The factor of inner products; none: an additive score.
    factor: Option<f32>,
}

impl Weights {
    fn score<'a>(&self, vector: &'a [f32]) -> Score<'a> {
        self.factor.map_or(Score::Additive(vector), Score::Dot)
    }

    fn forward(&self, q: &[f32], k: &[f32], vector: &[f32], dim: usize) -> Result<Vec<f32>> {
        self.blocks.check(q.len(), k.len(), dim)?;
        let score = self.score(vector);
        let mut out = vec![0.0; self.blocks.weights()];
        let queries = parts(q, self.blocks.of_queries(dim));
        let keys = parts(k, self.blocks.of_keys(dim));
        let work = queries.into_par_iter().zip(keys);
        work.zip(parts_mut(&mut out, self.blocks.of_weights())).for_each(|((q, k), out)| {
            attention::weights(score, q, k, dim, out);
        });
        Ok(out)
    }

    /// Gradients of queries, keys and vector.
    fn backward(
        &self,
        q: &Tensor,
        k: &Tensor,
        vector: &[f32],
        weights: &Tensor,
        grad: &Tensor,
    ) -> Result<[Vec<f32>; 3]> {
        let (blocks, dim) = (&self.blocks, q.dim(1)?);
        let mut d_queries = vec![0.0; q.elem_count()];
        let mut d_keys = vec![0.0; k.elem_count()];
        let mut vectors = vec![0.0; blocks.keys.len() * vector.len()];
        let mut back = |q: &[f32], k: &[f32], w: &[f32], g: &[f32]| {
            let outs = parts_mut(&mut d_queries, blocks.of_queries(dim))
                .into_par_iter()
                .zip(parts_mut(&mut d_keys, blocks.of_keys(dim)))
                .zip(parts_mut(&mut vectors, blocks.keys.iter().map(|_| vector.len())));
            let inputs = parts(q, blocks.of_queries(dim))
                .into_par_iter()
                .zip(parts(k, blocks.of_keys(dim)))
                .zip(parts(w, blocks.of_weights()))
                .zip(parts(g, blocks.of_weights()));
            outs.zip(inputs).for_each(
                |(((d_queries, d_keys), d_vector), (((queries, keys), weights), gradient))| {
                    Isa::detect().run(WeightsBack {
                        score: self.score(vector),
                        queries,
                        keys,
                        dim,
                        weights,
                        gradient,
                        d_queries,
                        d_keys,
                        d_vector,
                    });
                },
            );
            Ok(())
        };
        reading(q, |q| reading(k, |k| reading(weights, |w| reading(grad, |g| back(q, k, w, g)))))?;
        // Sentence by sentence: bits do not depend on threads.
        let mut d_vector = vec![0.0; vector.len()];
        for part in vectors.chunks_exact(vector.len().max(1)) {
            d_vector.iter_mut().zip(part).for_each(|(sum, d)| *sum += d);
        }
        Ok([d_queries, d_keys, d_vector])
    }
}

impl CustomOp2 for Weights {
    fn name(&self) -> &'static str {
        "glossator-attention-dot"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dim = q_layout.shape().dims2()?.1;
        let out =
            self.forward(values(q, q_layout, "queries")?, values(k, k_layout, "keys")?, &[], dim)?;
        let len = out.len();
        Ok((CpuStorage::F32(out), len.into()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dq, dk, _] = self.backward(q, k, &[], res, grad)?;
        Ok((
            Some(Tensor::from_vec(dq, q.shape(), q.device())?),
            Some(Tensor::from_vec(dk, k.shape(), k.device())?),
        ))
    }
}

impl CustomOp3 for Weights {
    fn name(&self) -> &'static str {
        "glossator-attention-additive"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dim = q_layout.shape().dims2()?.1;
        let vector = values(v, v_layout, "vector")?;
        if vector.len() != dim {
            candle_core::bail!("a vector of {} for attention over rows of {dim}", vector.len());
        }
        let (q, k) = (values(q, q_layout, "queries")?, values(k, k_layout, "keys")?);
        let out = self.forward(q, k, vector, dim)?;
        let len = out.len();
        Ok((CpuStorage::F32(out), len.into()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        vector: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dq, dk, dv] = reading(vector, |vector| self.backward(q, k, vector, res, grad))?;
        Ok((
            Some(Tensor::from_vec(dq, q.shape(), q.device())?),
            Some(Tensor::from_vec(dk, k.shape(), k.device())?),
            Some(Tensor::from_vec(dv, vector.shape(), vector.device())?),
        ))
    }
}

/// [`attention::context`] of every sentence.
struct Context {
    blocks: Blocks,
}

impl CustomOp2 for Context {
    fn name(&self) -> &'static str {
        "glossator-attention-context"
    }

    fn cpu_fwd(
        &self,
        weights: &CpuStorage,
        weights_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (blocks, dim) = (&self.blocks, x_layout.shape().dims2()?.1);
        let weights = values(weights, weights_layout, "weights")?;
        let x = values(x, x_layout, "values")?;
        let rows: usize = blocks.queries.iter().sum();
        blocks.check(rows * dim, x.len(), dim)?;
        if weights.len() != blocks.weights() {
            candle_core::bail!("{} weights of attention for {}", weights.len(), blocks.weights());
        }
        let mut out = vec![0.0; rows * dim];
        let work = parts(weights, blocks.of_weights()).into_par_iter();
        work.zip(parts(x, blocks.of_keys(dim)))
            .zip(parts_mut(&mut out, blocks.of_queries(dim)))
            .for_each(|((weights, x), out)| attention::context(weights, x, dim, out));
        Ok((CpuStorage::F32(out), (rows, dim).into()))
    }

    fn bwd(
        &self,
        weights: &Tensor,
        x: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (blocks, dim) = (&self.blocks, x.dim(1)?);
        let mut d_weights = vec![0.0; weights.elem_count()];
        let mut d_values = vec![0.0; x.elem_count()];
        let mut back = |w: &[f32], x: &[f32], g: &[f32]| {
            let outs = parts_mut(&mut d_weights, blocks.of_weights())
                .into_par_iter()
                .zip(parts_mut(&mut d_values, blocks.of_keys(dim)));
            let inputs = parts(w, blocks.of_weights())
                .into_par_iter()
                .zip(parts(x, blocks.of_keys(dim)))
                .zip(parts(g, blocks.of_queries(dim)));
            outs.zip(inputs).for_each(|((d_weights, d_values), ((weights, values), gradient))| {
                let back = ContextBack { weights, values, dim, gradient, d_weights, d_values };
                Isa::detect().run(back);
            });
            Ok(())
        };
        reading(weights, |w| reading(x, |x| reading(grad, |g| back(w, x, g))))?;
        Ok((
            Some(Tensor::from_vec(d_weights, weights.shape(), weights.device())?),
            Some(Tensor::from_vec(d_values, x.shape(), x.device())?),
        ))
    }
}

/// How queries and keys are compared, in a graph.
#[derive(Clone, Copy, Debug)]
pub enum AttentionScore<'a> {
    /// [`Score::Dot`] with its factor.
    Dot(f32),
    /// [`Score::Additive`] with its vector, `[dim]`.
    Additive(&'a Tensor),
}

/// [`attention::weights`] of unpadded sentences: `queries`, `[Σ query_lengths,
/// dim]`, and `keys`, `[Σ key_lengths, dim]`, sentence after sentence. Returns
/// the weights of each query of each sentence, `[Σ queries · keys]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention_weights(
    score: AttentionScore<'_>,
    queries: &Tensor,
    keys: &Tensor,
    query_lengths: &[usize],
    key_lengths: &[usize],
) -> Result<Tensor> {
    let blocks = Blocks::new(query_lengths, key_lengths)?;
    if !graph::has_kernels(queries) {
        return graph::attention_weights(score, queries, keys, &blocks);
    }
    let (queries, keys) = (queries.contiguous()?, keys.contiguous()?);
    match score {
        AttentionScore::Dot(factor) => {
            queries.apply_op2(&keys, Weights { blocks, factor: Some(factor) })
        }
        AttentionScore::Additive(vector) => {
            let op = Weights { blocks, factor: None };
            queries.apply_op3(&keys, &vector.contiguous()?, op)
        }
    }
}

/// [`attention::context`] of unpadded sentences: `weights` as
/// [`attention_weights`] gives them, `values` `[Σ key_lengths, dim]`; returns
/// `[Σ query_lengths, dim]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention_context(
    weights: &Tensor,
    values: &Tensor,
    query_lengths: &[usize],
    key_lengths: &[usize],
) -> Result<Tensor> {
    let blocks = Blocks::new(query_lengths, key_lengths)?;
    if !graph::has_kernels(weights) {
        return graph::attention_context(weights, values, &blocks);
    }
    weights.contiguous()?.apply_op2(&values.contiguous()?, Context { blocks })
}

struct Tanh;

impl CustomOp1 for Tanh {
    fn name(&self) -> &'static str {
        "glossator-tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = values(x, layout, "input")?.to_vec();
        attention::tanh(&mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let slope = |(y, d): (&f32, &f32)| d * (1.0 - y * y);
        let back = |y: &[f32], d: &[f32]| -> Result<Vec<f32>> {
            Ok(y.par_iter().zip(d).with_min_len(1 << 14).map(slope).collect())
        };
        let gradient = reading(res, |y| reading(grad, |d| back(y, d)))?;
        Ok(Some(Tensor::from_vec(gradient, x.shape(), x.device())?))
    }
}

/// Hyperbolic tangent, with the bits of [`attention::tanh`].
///
/// # Errors
/// If Candle cannot make a tensor.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    if !graph::has_kernels(x) {
        return x.tanh();
    }
    x.contiguous()?.apply_op1(Tanh)
}
