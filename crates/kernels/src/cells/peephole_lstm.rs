//! LSTM whose gates see the cell state (Gers and Schmidhuber, 2000; Graves, 2013).
//!
//! ```text
//! a = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh        pre-activations, [4 * hidden]
//! i = sigmoid(a_i + p_i * c_{t-1})                 f = sigmoid(a_f + p_f * c_{t-1})
//! g = tanh(a_g)                                    c_t = f * c_{t-1} + i * g
//! o = sigmoid(a_o + p_o * c_t)                     h_t = o * tanh(c_t)
//! ```
//!
//! Gate order in stored weights: i, f, g, o; peepholes: i, f, o, `[3, hidden]`.

use super::{
    Spec,
    formula::{Form, Formula, Peephole, Phase, Unit, UnitBack, sigmoid_slope, tanh_slope},
};
use crate::{
    activation::{Activation, tanh},
    simd::Simd,
};

/// Kernels of the LSTM with peepholes.
#[derive(Clone, Copy, Debug)]
pub struct PeepholeLstm;

impl Formula for PeepholeLstm {
    const FORM: &'static Form = &Form {
        spec: Spec {
            name: "peephole-lstm",
            gates: 4,
            states: 2,
            vectors: 3,
            remember: Some((1, true)),
        },
        phases: &[Phase { gates: &[0, 1, 2, 3], from_input: &[true; 4], slots: &[0, 1, 2, 3] }],
        kept: 4,
        input_slots: &[0, 1, 2, 3],
        carries: false,
        peepholes: &[
            Peephole { slot: 0, is_before: true },
            Peephole { slot: 1, is_before: true },
            Peephole { slot: 3, is_before: false },
        ],
    };

    #[inline(always)]
    unsafe fn forward<S: Simd, A: Activation>(_: usize, unit: &Unit) {
        // SAFETY: promised by the caller.
        unsafe {
            let before = S::load(unit.cell);
            let seen = |n: usize, state: S::V, sum: usize| {
                S::fma(unit.vector::<S>(n), state, unit.sum::<S>(sum))
            };
            let i = A::sigmoid::<S>(seen(0, before, 0));
            let f = A::sigmoid::<S>(seen(1, before, 1));
            let g = A::tanh::<S>(unit.sum::<S>(2));
            let c = S::fma(f, before, S::mul(i, g));
            let o = A::sigmoid::<S>(seen(2, c, 3));
            S::store(unit.cell, c);
            S::store(unit.hidden, S::mul(o, A::tanh::<S>(c)));
            for (slot, gate) in [i, f, g, o].into_iter().enumerate() {
                unit.keep::<S>(slot, gate);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(_: usize, unit: &UnitBack<S>, hidden: &mut S::V, cell: &mut S::V) {
        // SAFETY: promised by the caller.
        unsafe {
            let [i, f, g, o] = [unit.kept(0), unit.kept(1), unit.kept(2), unit.kept(3)];
            let (dh, t) = (*hidden, tanh::<S>(unit.cell));
            let dout = S::mul(S::mul(dh, t), sigmoid_slope::<S>(o));
            let dc = S::fma(S::mul(dh, o), tanh_slope::<S>(t), *cell);
            let dc = S::fma(dout, unit.vector(2), dc);
            let di = S::mul(S::mul(dc, g), sigmoid_slope::<S>(i));
            let df = S::mul(S::mul(dc, unit.cell_before), sigmoid_slope::<S>(f));
            let dg = S::mul(S::mul(dc, i), tanh_slope::<S>(g));
            for (n, d) in [di, df, dg, dout].into_iter().enumerate() {
                unit.leave(n, d);
                unit.multiply(n, d);
            }
            let seen = S::fma(di, unit.vector(0), S::mul(df, unit.vector(1)));
            *cell = S::fma(dc, f, seen);
        }
    }
}
