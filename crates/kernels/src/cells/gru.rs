//! Gated recurrent unit that resets after the product, as cuDNN and PyTorch do.
//!
//! ```text
//! r = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
//! z = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
//! n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
//! h_t = (1 - z) * n + z * h_{t-1}
//! ```
//!
//! Gate order in stored weights: r, z, n, as in PyTorch.

use super::{
    Spec,
    formula::{Form, Formula, Phase, Unit, UnitBack, sigmoid_slope, tanh_slope},
};
use crate::{activation::Activation, simd::Simd};

/// Kernels of the GRU.
#[derive(Clone, Copy, Debug)]
pub struct Gru;

impl Formula for Gru {
    // Kept: r, z, n, and the recurrent side of n.
    const FORM: &'static Form = &Form {
        spec: Spec { name: "gru", gates: 3, states: 1, vectors: 0, remember: Some((1, true)) },
        phases: &[Phase { gates: &[0, 1, 2], from_input: &[true, true, false], slots: &[0, 1, 3] }],
        kept: 4,
        input_slots: &[0, 1, 2],
        carries: true,
        peepholes: &[],
    };

    #[inline(always)]
    unsafe fn forward<S: Simd, A: Activation>(_: usize, unit: &Unit) {
        // SAFETY: promised by the caller.
        unsafe {
            let (r, z) = (A::sigmoid::<S>(unit.sum::<S>(0)), A::sigmoid::<S>(unit.sum::<S>(1)));
            let side = unit.sum::<S>(2);
            let n = A::tanh::<S>(S::fma(r, side, unit.input::<S>(2)));
            S::store(unit.hidden, S::fma(z, S::sub(S::load(unit.hidden), n), n));
            for (slot, value) in [r, z, n, side].into_iter().enumerate() {
                unit.keep::<S>(slot, value);
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(_: usize, unit: &UnitBack<S>, hidden: &mut S::V, _: &mut S::V) {
        // SAFETY: promised by the caller.
        unsafe {
            let [r, z, n, side] = [unit.kept(0), unit.kept(1), unit.kept(2), unit.kept(3)];
            let dh = *hidden;
            let dn = S::mul(S::mul(dh, S::sub(S::splat(1.0), z)), tanh_slope::<S>(n));
            let dz = S::mul(S::mul(dh, S::sub(unit.hidden, n)), sigmoid_slope::<S>(z));
            let dr = S::mul(S::mul(dn, side), sigmoid_slope::<S>(r));
            let dside = S::mul(dn, r);
            for (slot, d) in [dr, dz, dn, dside].into_iter().enumerate() {
                unit.leave(slot, d);
            }
            for (n, d) in [dr, dz, dside].into_iter().enumerate() {
                unit.multiply(n, d);
            }
            *hidden = S::mul(dh, z);
        }
    }
}
