//! Operations as graphs of Candle's own, for devices without kernels of ours.

use candle_core::{D, DType, Result, Tensor};

use super::{
    attention::{AttentionScore, Blocks},
    rows::{NO_ROW, select_rows as rows_of},
};
use crate::{gemm::Precision, layer::EPSILON};

/// Whether an operation has a kernel for the device of a tensor.
pub(super) fn has_kernels(tensor: &Tensor) -> bool {
    tensor.device().is_cpu()
}

/// As [`super::linear`]; int8 is computed as bf16.
pub(super) fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    precision: Precision,
) -> Result<Tensor> {
    let product = match precision {
        Precision::F32 => x.matmul(&weight.t()?)?,
        Precision::Bf16 | Precision::Int8 => {
            let [x, weight] = [x, weight].map(|tensor| tensor.to_dtype(DType::BF16));
            x?.matmul(&weight?.t()?)?.to_dtype(DType::F32)?
        }
    };
    product.broadcast_add(bias)
}

/// As [`super::layer_norm`].
pub(super) fn layer_norm(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    let deviation = (variance + f64::from(EPSILON))?.sqrt()?;
    centred.broadcast_div(&deviation)?.broadcast_mul(scale)?.broadcast_add(shift)
}

/// As [`super::highway`].
pub(super) fn highway(new: &Tensor, old: &Tensor, gate: &Tensor) -> Result<Tensor> {
    // The logistic function by one that has slopes however large its argument is.
    let open = (((gate * 0.5)?.tanh()? * 0.5)? + 0.5)?;
    old + (open * (new - old)?)?
}

/// As [`super::scale`] without rows, and with them as [`super::scale_rows`].
pub(super) fn scale(x: &Tensor, factors: Vec<f32>, rows: Option<Vec<u32>>) -> Result<Tensor> {
    let device = x.device();
    let Some(rows) = rows else { return x * Tensor::from_vec(factors, x.shape(), device)? };
    let (_, dim) = x.dims2()?;
    let items = factors.len() / dim.max(1);
    let table = Tensor::from_vec(factors, (items, dim), device)?;
    x * table.index_select(&Tensor::new(rows, device)?, 0)?
}

/// As [`super::softmax_loss`], of classes that are in range, part of each row's target
/// spread evenly over all classes.
pub(super) fn softmax_loss(
    scores: &Tensor,
    gold: Vec<u32>,
    weights: Option<&[f32]>,
    smoothing: f32,
) -> Result<Tensor> {
    let (rows, device) = (gold.len(), scores.device());
    let most = scores.max_keepdim(1)?.detach();
    let scores = scores.broadcast_sub(&most)?;
    let log_z = scores.exp()?.sum(1)?.log()?;
    let of_gold: Option<Vec<f32>> =
        weights.map(|weights| gold.iter().map(|&class| weights[class as usize]).collect());
    let gold = Tensor::from_vec(gold, (rows, 1), device)?;
    let mut expected = scores.gather(&gold, 1)?.squeeze(1)?;
    if smoothing > 0.0 {
        let smoothing = f64::from(smoothing);
        expected = ((expected * (1.0 - smoothing))? + (scores.mean(1)? * smoothing)?)?;
    }
    let losses = (log_z - expected)?;
    match of_gold {
        Some(weights) => (losses * Tensor::from_vec(weights, rows, device)?)?.sum_all(),
        None => losses.sum_all(),
    }
}

/// As [`super::select_rows`], of rows that are there.
pub(super) fn select_rows(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    let is_whole = ids.iter().all(|&id| id != NO_ROW);
    let (rows, device) = (table.dim(0)?, table.device());
    let ids: Vec<u32> = ids.iter().map(|&id| id.min(rows as u32)).collect();
    let ids = Tensor::new(ids, device)?;
    if is_whole {
        return table.index_select(&ids, 0);
    }
    let mut nothing = table.dims().to_vec();
    nothing[0] = 1;
    Tensor::cat(&[table, &Tensor::zeros(nothing, table.dtype(), device)?], 0)?.index_select(&ids, 0)
}

/// As [`super::output_loss`], of classes that are in range.
pub(super) fn output_loss(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    gold: Vec<u32>,
    smoothing: f32,
    precision: Precision,
) -> Result<Tensor> {
    softmax_loss(&linear(x, weight, bias, precision)?, gold, None, smoothing)
}

/// Sentences side by side: rows of as many as the longest has, zeros behind the others.
struct Padded {
    sentences: usize,
    queries: usize,
    keys: usize,
}

impl Padded {
    fn of(blocks: &Blocks) -> Self {
        let most = |lengths: &[usize]| lengths.iter().copied().max().unwrap_or(0);
        Self {
            sentences: blocks.queries.len(),
            queries: most(&blocks.queries),
            keys: most(&blocks.keys),
        }
    }

    /// Numbers of the rows of unpadded sentences, side by side.
    fn places(lengths: &[usize], width: usize) -> Vec<u32> {
        let mut first = 0;
        let mut places = Vec::with_capacity(lengths.len() * width);
        for &length in lengths {
            let own = (0..width).map(|at| if at < length { first + at as u32 } else { NO_ROW });
            places.extend(own);
            first += length as u32;
        }
        places
    }

    /// The rows that are there, of those side by side.
    fn there(places: &[u32]) -> Vec<u32> {
        let numbers = (0..).zip(places);
        numbers.filter(|(_, place)| **place != NO_ROW).map(|(number, _)| number).collect()
    }

    /// Numbers of the weights, which lie query by query without gaps, side by side.
    fn weights(&self, blocks: &Blocks) -> Vec<u32> {
        let mut next = 0;
        let mut places = Vec::with_capacity(self.sentences * self.queries * self.keys);
        for (&queries, &keys) in blocks.queries.iter().zip(&blocks.keys) {
            for query in 0..self.queries {
                let is_there = query < queries;
                places.extend((0..self.keys).map(|key| match is_there && key < keys {
                    true => {
                        next += 1;
                        next - 1
                    }
                    false => NO_ROW,
                }));
            }
        }
        places
    }
}

/// As [`super::attention_weights`].
pub(super) fn attention_weights(
    score: AttentionScore<'_>,
    queries: &Tensor,
    keys: &Tensor,
    blocks: &Blocks,
) -> Result<Tensor> {
    let (padded, dim) = (Padded::of(blocks), queries.dim(1)?);
    blocks.check(queries.elem_count(), keys.elem_count(), dim)?;
    let Padded { sentences, queries: most_queries, keys: most_keys } = padded;
    let device = queries.device();
    let side_by_side = |rows: &Tensor, lengths: &[usize], width: usize| {
        rows_of(rows, &Padded::places(lengths, width))?.reshape((sentences, width, dim))
    };
    let queries = side_by_side(queries, &blocks.queries, most_queries)?;
    let keys = side_by_side(keys, &blocks.keys, most_keys)?;
    let scores = match score {
        AttentionScore::Dot(factor) => {
            (queries.matmul(&keys.transpose(1, 2)?.contiguous()?)? * f64::from(factor))?
        }
        AttentionScore::Additive(vector) => {
            let sums = queries.unsqueeze(2)?.broadcast_add(&keys.unsqueeze(1)?)?;
            sums.tanh()?.broadcast_mul(vector)?.sum(D::Minus1)?
        }
    };
    let beside =
        |length: usize| (0..most_keys).map(move |key| if key < length { 0.0 } else { -1e30 });
    let beside: Vec<f32> = blocks.keys.iter().flat_map(|&length| beside(length)).collect();
    let beside = Tensor::from_vec(beside, (sentences, 1, most_keys), device)?;
    let scores = scores.broadcast_add(&beside)?;
    let most = scores.max_keepdim(D::Minus1)?.detach();
    let parts = scores.broadcast_sub(&most)?.exp()?;
    let weights = parts.broadcast_div(&parts.sum_keepdim(D::Minus1)?)?;
    rows_of(&weights.flatten_all()?, &Padded::there(&padded.weights(blocks)))
}

/// As [`super::attention_context`].
pub(super) fn attention_context(
    weights: &Tensor,
    values: &Tensor,
    blocks: &Blocks,
) -> Result<Tensor> {
    let (padded, dim) = (Padded::of(blocks), values.dim(1)?);
    let Padded { sentences, queries, keys } = padded;
    let rows: usize = blocks.queries.iter().sum();
    blocks.check(rows * dim, values.elem_count(), dim)?;
    let weights = rows_of(weights, &padded.weights(blocks))?.reshape((sentences, queries, keys))?;
    let values = rows_of(values, &Padded::places(&blocks.keys, keys))?;
    let contexts = weights.matmul(&values.reshape((sentences, keys, dim))?)?;
    let there = Padded::there(&Padded::places(&blocks.queries, queries));
    rows_of(&contexts.reshape((sentences * queries, dim))?, &there)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::op;

    fn var(rows: usize, columns: usize, seed: usize) -> Var {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 252.25 - 2.0;
        let values = (0..rows * columns).map(value).collect::<Vec<f32>>();
        Var::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    fn plain(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Asserts that results and all gradients of a graph are those of the kernel.
    fn alike(name: &str, vars: &[&Var], graph: &Tensor, kernel: &Tensor) {
        let near = |what: &str, got: &Tensor, want: &Tensor| {
            assert_eq!(got.dims(), want.dims(), "{name} {what}");
            for (got, want) in plain(got).into_iter().zip(plain(want)) {
                let error = (got - want).abs();
                assert!(error < 1e-5 * want.abs().max(1.0), "{name} {what}: {got} is not {want}");
            }
        };
        near("result", graph, kernel);
        let back = |result: &Tensor| result.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let [graph, kernel] = [back(graph), back(kernel)];
        for (number, var) in vars.iter().enumerate() {
            let what = format!("gradient {number}");
            near(&what, graph.get(var).unwrap(), kernel.get(var).unwrap());
        }
    }

    #[test]
    fn graphs_equal_the_kernels_with_their_gradients() {
        let [x, old, gate] = [var(5, 7, 1), var(5, 7, 2), var(5, 7, 3)];
        let (weight, row) = (var(4, 7, 4), |seed| var(7, 1, seed));
        let (scale_by, shift) = (row(5).flatten_all().unwrap(), row(6).flatten_all().unwrap());
        let [scale_by, shift] = [scale_by, shift].map(|t| Var::from_tensor(&t).unwrap());
        let bias = Var::from_tensor(&var(4, 1, 7).flatten_all().unwrap()).unwrap();
        let f32 = Precision::F32;
        alike(
            "linear",
            &[&x, &weight, &bias],
            &linear(&x, &weight, &bias, f32).unwrap(),
            &op::linear(&x, &weight, &bias, f32).unwrap(),
        );
        alike(
            "layer norm",
            &[&x, &scale_by, &shift],
            &layer_norm(&x, &scale_by, &shift).unwrap(),
            &op::layer_norm(&x, &scale_by, &shift).unwrap(),
        );
        alike(
            "highway",
            &[&x, &old, &gate],
            &highway(&x, &old, &gate).unwrap(),
            &op::highway(&x, &old, &gate).unwrap(),
        );
        let factors: Vec<f32> = (0..35).map(|i| i as f32 / 10.0).collect();
        alike(
            "scale",
            &[&x],
            &scale(&x, factors.clone(), None).unwrap(),
            &op::scale(&x, factors.clone()).unwrap(),
        );
        let rows = vec![2, 0, 0, 1, 2];
        alike(
            "scale of rows",
            &[&x],
            &scale(&x, factors[..21].to_vec(), Some(rows.clone())).unwrap(),
            &op::scale_rows(&x, factors[..21].to_vec(), rows).unwrap(),
        );
        let gold = vec![6, 0, 3, 3, 1];
        for weights in [None, Some(factors[..7].to_vec())] {
            alike(
                "softmax",
                &[&x],
                &softmax_loss(&x, gold.clone(), weights.as_deref(), 0.0).unwrap(),
                &op::softmax_loss(&x, gold.clone(), weights).unwrap(),
            );
        }
    }

    #[test]
    fn graphs_of_translators_equal_the_kernels_with_their_gradients() {
        let (x, weight, row) = (var(5, 7, 1), var(4, 7, 4), var(1, 4, 7));
        let bias = Var::from_tensor(&row.flatten_all().unwrap()).unwrap();
        for smoothing in [0.0, 0.3] {
            let (gold, f32) = (vec![3, 0, 1, 3, 2], Precision::F32);
            alike(
                "output",
                &[&x, &weight, &bias],
                &output_loss(&x, &weight, &bias, gold.clone(), smoothing, f32).unwrap(),
                &op::output_loss(&x, &weight, &bias, gold, smoothing, f32).unwrap(),
            );
        }
        let (queries, keys) = (vec![3, 1, 0, 2], vec![2, 5, 1, 1]);
        let (q, k, h) = (var(6, 4, 1), var(9, 4, 2), var(9, 3, 3));
        let vector = Var::from_tensor(&var(1, 4, 5).flatten_all().unwrap()).unwrap();
        let blocks = Blocks::new(&queries, &keys).unwrap();
        for score in [AttentionScore::Dot(0.7), AttentionScore::Additive(&vector)] {
            let graph = attention_weights(score, &q, &k, &blocks).unwrap();
            let kernel = op::attention_weights(score, &q, &k, &queries, &keys).unwrap();
            let mut vars = vec![&q, &k];
            if matches!(score, AttentionScore::Additive(_)) {
                vars.push(&vector);
            }
            alike("weights", &vars, &graph, &kernel);
            vars.push(&h);
            alike(
                "context",
                &vars,
                &attention_context(&graph, &h, &blocks).unwrap(),
                &op::attention_context(&kernel, &h, &queries, &keys).unwrap(),
            );
        }
    }

    #[test]
    fn a_highway_has_slopes_where_its_gate_is_wide_open_or_shut() {
        let gate = Var::from_slice(&[-1e4_f32, 1e4], (1, 2), &Device::Cpu).unwrap();
        let [new, old] = [var(1, 2, 1), var(1, 2, 2)];
        let store = highway(&new, &old, &gate).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(plain(store.get(&new).unwrap()), [0.0, 1.0]);
        assert_eq!(plain(store.get(&gate).unwrap()), [0.0, 0.0]);
    }
}
