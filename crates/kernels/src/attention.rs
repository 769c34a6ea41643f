//! Attention of the positions of one sequence over those of another
//! (Bahdanau et al., 2015; Luong et al., 2015).
//!
//! Sequences are unpadded rows, so there are no masks: a sentence is a block of
//! queries and a block of keys. A query's weights depend on nothing but itself
//! and its keys, and are summed in one order on every instruction set, so that a
//! trained model and one for inference give the same bits, whatever the batch.

use rayon::prelude::*;

use crate::{
    Isa, activation,
    simd::{Kernel, Simd},
};

/// How well a query and a key fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score<'a> {
    /// Their inner product, times a factor (Luong et al., 2015; with `1 /
    /// sqrt(dim)` Vaswani et al., 2017).
    Dot(f32),
    /// `v · tanh(query + key)`, `v` being `[dim]` (Bahdanau et al., 2015).
    Additive(&'a [f32]),
}

/// Weights of `keys`, `[n, dim]`, for each of `queries`, `[m, dim]`: a
/// distribution each, `[m, n]`.
///
/// # Panics
/// If a length does not fit its shape.
pub fn weights(score: Score<'_>, queries: &[f32], keys: &[f32], dim: usize, out: &mut [f32]) {
    check(queries, keys, dim, out);
    Isa::detect().run(Weights { score, queries, keys, dim, out });
}

/// Sums of `values`, `[n, dim]`, by `weights`, `[m, n]`: `[m, dim]`.
///
/// # Panics
/// If a length does not fit its shape.
pub fn context(weights: &[f32], values: &[f32], dim: usize, out: &mut [f32]) {
    check(out, values, dim, weights);
    Isa::detect().run(Context { weights, values, dim, out });
}

fn check(queries: &[f32], keys: &[f32], dim: usize, weights: &[f32]) {
    let whole = dim > 0 && queries.len().is_multiple_of(dim) && keys.len().is_multiple_of(dim);
    assert!(whole && queries.len() / dim * (keys.len() / dim) == weights.len(), "attention");
}

/// Gradients of [`weights`] with respect to queries, keys and the vector of an
/// additive score, which are added to, given the weights and their gradient.
pub(crate) struct WeightsBack<'a> {
    pub(crate) score: Score<'a>,
    pub(crate) queries: &'a [f32],
    pub(crate) keys: &'a [f32],
    pub(crate) dim: usize,
    pub(crate) weights: &'a [f32],
    pub(crate) gradient: &'a [f32],
    pub(crate) d_queries: &'a mut [f32],
    pub(crate) d_keys: &'a mut [f32],
    pub(crate) d_vector: &'a mut [f32],
}

/// Gradients of [`context`] with respect to weights and values, which are
/// added to.
pub(crate) struct ContextBack<'a> {
    pub(crate) weights: &'a [f32],
    pub(crate) values: &'a [f32],
    pub(crate) dim: usize,
    pub(crate) gradient: &'a [f32],
    pub(crate) d_weights: &'a mut [f32],
    pub(crate) d_values: &'a mut [f32],
}

struct Weights<'a> {
    score: Score<'a>,
    queries: &'a [f32],
    keys: &'a [f32],
    dim: usize,
    out: &'a mut [f32],
}

impl Kernel for Weights<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { score, queries, keys, dim, out } = self;
        let n = keys.len() / dim;
        let mut buffer = vec![0.0; dim];
        for (query, out) in queries.chunks_exact(dim).zip(out.chunks_exact_mut(n.max(1))) {
            for (out, key) in out.iter_mut().zip(keys.chunks_exact(dim)) {
                *out = match score {
                    Score::Dot(factor) => factor * dot(query, key),
                    Score::Additive(vector) => {
                        sum_into(query, key, &mut buffer);
                        // SAFETY: promised by the caller.
                        unsafe { activation::tanh_all::<S>(&mut buffer) };
                        dot(vector, &buffer)
                    }
                };
            }
            softmax(out);
        }
    }
}

struct Context<'a> {
    weights: &'a [f32],
    values: &'a [f32],
    dim: usize,
    out: &'a mut [f32],
}

impl Kernel for Context<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let n = (self.values.len() / self.dim).max(1);
        let rows = self.out.chunks_exact_mut(self.dim).zip(self.weights.chunks_exact(n));
        for (out, weights) in rows {
            out.fill(0.0);
            for (weight, values) in weights.iter().zip(self.values.chunks_exact(self.dim)) {
                add(out, *weight, values);
            }
        }
    }
}

impl Kernel for WeightsBack<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let dim = self.dim;
        let n = (self.keys.len() / dim).max(1);
        let (mut slopes, mut buffer) = (vec![0.0; n], vec![0.0; dim]);
        let queries = self.queries.chunks_exact(dim).zip(self.d_queries.chunks_exact_mut(dim));
        let weights = self.weights.chunks_exact(n).zip(self.gradient.chunks_exact(n));
        for ((query, d_query), (weights, gradient)) in queries.zip(weights) {
            let mean: f32 = weights.iter().zip(gradient).map(|(w, d)| w * d).sum();
            let both = weights.iter().zip(gradient);
            slopes.iter_mut().zip(both).for_each(|(slope, (w, d))| *slope = w * (d - mean));
            let keys = self.keys.chunks_exact(dim).zip(self.d_keys.chunks_exact_mut(dim));
            for ((key, d_key), &slope) in keys.zip(&slopes) {
                match self.score {
                    Score::Dot(factor) => {
                        add(d_query, factor * slope, key);
                        add(d_key, factor * slope, query);
                    }
                    Score::Additive(vector) => {
                        sum_into(query, key, &mut buffer);
                        // SAFETY: promised by the caller.
                        unsafe { activation::tanh_all::<S>(&mut buffer) };
                        add(self.d_vector, slope, &buffer);
                        for (t, v) in buffer.iter_mut().zip(vector) {
                            *t = v * (1.0 - *t * *t);
                        }
                        add(d_query, slope, &buffer);
                        add(d_key, slope, &buffer);
                    }
                }
            }
        }
    }
}

impl Kernel for ContextBack<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let dim = self.dim;
        let n = (self.values.len() / dim).max(1);
        let weights = self.weights.chunks_exact(n).zip(self.d_weights.chunks_exact_mut(n));
        for ((weights, d_weights), gradient) in weights.zip(self.gradient.chunks_exact(dim)) {
            let values = self.values.chunks_exact(dim).zip(self.d_values.chunks_exact_mut(dim));
            for ((values, d_values), (w, dw)) in values.zip(weights.iter().zip(d_weights)) {
                *dw += dot(values, gradient);
                add(d_values, *w, gradient);
            }
        }
    }
}

/// Running sums of an inner product.
const SUMS: usize = 16;

/// Inner product, always in the same order.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; SUMS];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += a * b;
    }
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}

/// `to + by * from`
#[inline(always)]
fn add(to: &mut [f32], by: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += by * from);
}

#[inline(always)]
fn sum_into(a: &[f32], b: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = a + b);
}

/// A distribution in place of scores.
#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = (*score - top).exp();
        sum += *score;
    }
    let by = 1.0 / sum;
    scores.iter_mut().for_each(|score| *score *= by);
}

/// Hyperbolic tangent of every value, in place.
pub fn tanh(values: &mut [f32]) {
    const CHUNK: usize = 1 << 14;
    struct Tanh<'a>(&'a mut [f32]);
    impl Kernel for Tanh<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            // SAFETY: promised by the caller.
            unsafe { activation::tanh_all::<S>(self.0) }
        }
    }
    values.par_chunks_mut(CHUNK).for_each(|values| Isa::detect().run(Tanh(values)));
}
