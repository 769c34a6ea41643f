//! Gated recurrent unit that resets before the product (Cho et al., 2014).
//!
//! ```text
//! r = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
//! z = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
//! n = tanh(W_in x_t + b_in + W_hn (r * h_{t-1}) + b_hn)
//! h_t = (1 - z) * n + z * h_{t-1}
//! ```
//!
//! Gate order in stored weights: r, z, n. A step takes two products, one after
//! the other.

use super::{
    Spec,
    formula::{Form, Formula, Phase, Unit, UnitBack, sigmoid_slope, tanh_slope},
};
use crate::{activation::Activation, simd::Simd};

/// Kernels of Cho's GRU.
#[derive(Clone, Copy, Debug)]
pub struct ChoGru;

impl Formula for ChoGru {
    // Kept: r, z, n.
    const FORM: &'static Form = &Form {
        spec: Spec { name: "cho-gru", gates: 3, states: 1, vectors: 0, remember: Some((1, true)) },
        phases: &[
            Phase { gates: &[0, 1], from_input: &[true, true], slots: &[0, 1] },
            Phase { gates: &[2], from_input: &[true], slots: &[2] },
        ],
        kept: 3,
        input_slots: &[0, 1, 2],
        carries: true,
        peepholes: &[],
    };

    #[inline(always)]
    unsafe fn forward<S: Simd, A: Activation>(phase: usize, unit: &Unit) {
        // SAFETY: promised by the caller.
        unsafe {
            let h = S::load(unit.hidden);
            if phase == 0 {
                let r = A::sigmoid::<S>(unit.sum::<S>(0));
                unit.keep::<S>(0, r);
                unit.keep::<S>(1, A::sigmoid::<S>(unit.sum::<S>(1)));
                S::store(unit.gated, S::mul(r, h));
            } else {
                let (z, n) = (unit.kept::<S>(1), A::tanh::<S>(unit.sum::<S>(0)));
                unit.keep::<S>(2, n);
                S::store(unit.hidden, S::fma(z, S::sub(h, n), n));
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(phase: usize, unit: &UnitBack<S>, hidden: &mut S::V, _: &mut S::V) {
        // SAFETY: promised by the caller.
        unsafe {
            if phase == 1 {
                let (dh, z, n) = (*hidden, unit.kept(1), unit.kept(2));
                let dn = S::mul(S::mul(dh, S::sub(S::splat(1.0), z)), tanh_slope::<S>(n));
                let dz = S::mul(S::mul(dh, S::sub(unit.hidden, n)), sigmoid_slope::<S>(z));
                unit.leave(1, dz);
                unit.leave(2, dn);
                unit.multiply(0, dn);
                *hidden = S::mul(dh, z);
            } else {
                let (r, dz) = (unit.kept(0), unit.kept(1));
                let dr = S::mul(S::mul(unit.gated, unit.hidden), sigmoid_slope::<S>(r));
                unit.leave(0, dr);
                unit.multiply(0, dr);
                unit.multiply(1, dz);
                *hidden = S::fma(unit.gated, r, *hidden);
            }
        }
    }
}
