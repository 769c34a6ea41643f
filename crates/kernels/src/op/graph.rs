//! Operations as graphs of Candle's own, for devices without kernels of ours.

use candle_core::{DType, Result, Tensor};

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

/// As [`super::softmax_loss`], of classes that are in range.
pub(super) fn softmax_loss(
    scores: &Tensor,
    gold: Vec<u32>,
    weights: Option<&[f32]>,
) -> Result<Tensor> {
    let (rows, device) = (gold.len(), scores.device());
    let most = scores.max_keepdim(1)?.detach();
    let scores = scores.broadcast_sub(&most)?;
    let log_z = scores.exp()?.sum(1)?.log()?;
    let of_gold: Option<Vec<f32>> =
        weights.map(|weights| gold.iter().map(|&class| weights[class as usize]).collect());
    let gold = Tensor::from_vec(gold, (rows, 1), device)?;
    let losses = (log_z - scores.gather(&gold, 1)?.squeeze(1)?)?;
    match of_gold {
        Some(weights) => (losses * Tensor::from_vec(weights, rows, device)?)?.sum_all(),
        None => losses.sum_all(),
    }
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
                &softmax_loss(&x, gold.clone(), weights.as_deref()).unwrap(),
                &op::softmax_loss(&x, gold.clone(), weights).unwrap(),
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
