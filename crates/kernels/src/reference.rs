//! The mathematics in `f64` and plain loops: the truth for every kernel.

use crate::cells::{CellKind, Weights};

/// Weights of a cell in `f64`, laid out as [`Weights`].
#[derive(Clone, Debug)]
pub struct CellReference {
    kind: CellKind,
    input_dim: usize,
    hidden_dim: usize,
    /// `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.
    pub values: [Vec<f64>; 4],
}

/// Hidden states `[tokens, hidden_dim]` and final states `[states, hidden_dim]`.
pub type Scanned = (Vec<f64>, Vec<Vec<f64>>);

impl CellReference {
    /// The weights widened to `f64`.
    pub fn new(kind: CellKind, weights: &Weights<'_>) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        Self {
            kind,
            input_dim: weights.input_dim,
            hidden_dim: weights.hidden_dim,
            values: [
                wide(weights.weight_ih),
                wide(weights.weight_hh),
                wide(weights.bias_ih),
                wide(weights.bias_hh),
            ],
        }
    }

    /// Scans one sequence, `input` being `[tokens, input_dim]` and `initial`
    /// `[states, hidden_dim]`, in the order given.
    pub fn scan(&self, input: &[f64], initial: &[Vec<f64>]) -> Scanned {
        let mut state = initial.to_vec();
        let mut hidden = Vec::new();
        for x in input.chunks(self.input_dim) {
            state = match self.kind {
                CellKind::Lstm => self.lstm(x, &state),
            };
            hidden.extend(&state[0]);
        }
        (hidden, state)
    }

    /// `W x + b` for the input and the recurrent side, summed.
    fn preactivations(&self, x: &[f64], h: &[f64]) -> Vec<f64> {
        let [w_ih, w_hh, b_ih, b_hh] = &self.values;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        (0..b_ih.len())
            .map(|row| {
                dot(&w_ih[row * x.len()..][..x.len()], x)
                    + dot(&w_hh[row * h.len()..][..h.len()], h)
                    + b_ih[row]
                    + b_hh[row]
            })
            .collect()
    }

    fn lstm(&self, x: &[f64], state: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let n = self.hidden_dim;
        let a = self.preactivations(x, &state[0]);
        let (mut h, mut c) = (vec![0.0; n], vec![0.0; n]);
        for unit in 0..n {
            let (i, f) = (sigmoid(a[unit]), sigmoid(a[n + unit]));
            let (g, o) = (a[2 * n + unit].tanh(), sigmoid(a[3 * n + unit]));
            c[unit] = f * state[1][unit] + i * g;
            h[unit] = o * c[unit].tanh();
        }
        vec![h, c]
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
