//! The mathematics in `f64` and plain loops: the truth for every kernel.

use crate::cells::{CellKind, Weights};

/// Weights of a cell in `f64`, laid out as [`Weights`].
#[derive(Clone, Debug)]
pub struct CellReference {
    kind: CellKind,
    input_dim: usize,
    hidden_dim: usize,
    /// `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, `vectors`.
    pub values: [Vec<f64>; 5],
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
                wide(weights.vectors),
            ],
        }
    }

    /// Scans one sequence, `input` being `[tokens, input_dim]` and `initial`
    /// `[states, hidden_dim]`, in the order given.
    pub fn scan(&self, input: &[f64], initial: &[Vec<f64>]) -> Scanned {
        let mut state = initial.to_vec();
        let mut hidden = Vec::new();
        for x in input.chunks(self.input_dim) {
            state = self.step(x, &state);
            hidden.extend(&state[0]);
        }
        (hidden, state)
    }

    fn step(&self, x: &[f64], state: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let n = self.hidden_dim;
        let h = &state[0];
        let ih = self.side(0, x);
        // What a gate adds up, from a hidden state.
        let sum = |gate: usize, h: &[f64]| -> Vec<f64> {
            let hh = self.side(1, h);
            (gate * n..(gate + 1) * n).map(|row| ih[row] + hh[row]).collect()
        };
        let each = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
        match self.kind {
            CellKind::Elman => vec![each(&|u| sum(0, h)[u].tanh())],
            CellKind::ElmanRelu => {
                vec![each(&|u| if sum(0, h)[u] < 0.0 { 0.0 } else { sum(0, h)[u] })]
            }
            CellKind::Lstm | CellKind::PeepholeLstm => {
                let a: Vec<Vec<f64>> = (0..4).map(|gate| sum(gate, h)).collect();
                // What a peephole adds; nothing without peepholes.
                let seen = |p: usize, u: usize, c: f64| {
                    self.values[4].get(p * n + u).map_or(0.0, |weight| weight * c)
                };
                let c = each(&|u| {
                    let before = state[1][u];
                    let i = sigmoid(a[0][u] + seen(0, u, before));
                    let f = sigmoid(a[1][u] + seen(1, u, before));
                    f * before + i * a[2][u].tanh()
                });
                let h = each(&|u| sigmoid(a[3][u] + seen(2, u, c[u])) * c[u].tanh());
                vec![h, c]
            }
            CellKind::Gru => {
                let (r, z) = (sum(0, h), sum(1, h));
                let hh = self.side(1, h);
                vec![each(&|u| {
                    let n = (ih[2 * n + u] + sigmoid(r[u]) * hh[2 * n + u]).tanh();
                    (1.0 - sigmoid(z[u])) * n + sigmoid(z[u]) * h[u]
                })]
            }
            CellKind::ChoGru => {
                let (r, z) = (sum(0, h), sum(1, h));
                let n = sum(2, &each(&|u| sigmoid(r[u]) * h[u]));
                vec![each(&|u| (1.0 - sigmoid(z[u])) * n[u].tanh() + sigmoid(z[u]) * h[u])]
            }
            CellKind::Mgu => {
                let f = sum(0, h);
                let n = sum(1, &each(&|u| sigmoid(f[u]) * h[u]));
                vec![each(&|u| (1.0 - sigmoid(f[u])) * h[u] + sigmoid(f[u]) * n[u].tanh())]
            }
        }
    }

    /// `W x + b` of all gates, for the input side (0) or the recurrent one (1).
    fn side(&self, side: usize, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (&self.values[side], &self.values[2 + side]);
        let dot = |row: &[f64]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
        weight.chunks(x.len()).zip(bias).map(|(row, b)| dot(row) + b).collect()
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
