//! Long short-term memory (Hochreiter and Schmidhuber, 1997) with forget gates
//! (Gers et al., 2000).
//!
//! ```text
//! a = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh        pre-activations, [4 * hidden]
//! i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)      g = tanh(a_g)
//! c_t = f * c_{t-1} + i * g                        h_t = o * tanh(c_t)
//! ```
//!
//! Gate order in stored weights: i, f, g, o, as in PyTorch.

use super::{
    Spec,
    formula::{Form, Formula, Phase, Unit, UnitBack, sigmoid_slope, tanh_slope},
};
use crate::{
    activation::{Activation, tanh},
    simd::Simd,
};

/// Kernels of the LSTM.
#[derive(Clone, Copy, Debug)]
pub struct Lstm;

impl Formula for Lstm {
    const FORM: &'static Form = &Form {
        spec: Spec { name: "lstm", gates: 4, states: 2, vectors: 0, remember: Some((1, true)) },
        phases: &[Phase { gates: &[0, 1, 2, 3], from_input: &[true; 4], slots: &[0, 1, 2, 3] }],
        kept: 4,
        input_slots: &[0, 1, 2, 3],
        carries: false,
        peepholes: &[],
    };

    #[inline(always)]
    unsafe fn forward<S: Simd, A: Activation>(_: usize, unit: &Unit) {
        // SAFETY: promised by the caller.
        unsafe {
            let (i, f) = (A::sigmoid::<S>(unit.sum::<S>(0)), A::sigmoid::<S>(unit.sum::<S>(1)));
            let (g, o) = (A::tanh::<S>(unit.sum::<S>(2)), A::sigmoid::<S>(unit.sum::<S>(3)));
            let c = S::fma(f, S::load(unit.cell), S::mul(i, g));
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
            let dc = S::fma(S::mul(dh, o), tanh_slope::<S>(t), *cell);
            let di = S::mul(S::mul(dc, g), sigmoid_slope::<S>(i));
            let df = S::mul(S::mul(dc, unit.cell_before), sigmoid_slope::<S>(f));
            let dg = S::mul(S::mul(dc, i), tanh_slope::<S>(g));
            let dout = S::mul(S::mul(dh, t), sigmoid_slope::<S>(o));
            for (n, d) in [di, df, dg, dout].into_iter().enumerate() {
                unit.leave(n, d);
                unit.multiply(n, d);
            }
            *cell = S::mul(dc, f);
        }
    }
}
