//! Minimal gated unit (Zhou et al., 2016).
//!
//! ```text
//! f = sigmoid(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
//! n = tanh(W_in x_t + b_in + W_hn (f * h_{t-1}) + b_hn)
//! h_t = (1 - f) * h_{t-1} + f * n
//! ```
//!
//! Gate order in stored weights: f, n. A step takes two products, one after the
//! other.

use super::{
    Spec,
    formula::{Form, Formula, Phase, Unit, UnitBack, sigmoid_slope, tanh_slope},
};
use crate::{activation::Activation, simd::Simd};

/// Kernels of the MGU.
#[derive(Clone, Copy, Debug)]
pub struct Mgu;

impl Formula for Mgu {
    // Kept: f, n, and on the way back the gradient of f past the products.
    const FORM: &'static Form = &Form {
        spec: Spec { name: "mgu", gates: 2, states: 1, vectors: 0, remember: Some((0, false)) },
        phases: &[
            Phase { gates: &[0], from_input: &[true], slots: &[0] },
            Phase { gates: &[1], from_input: &[true], slots: &[1] },
        ],
        kept: 3,
        input_slots: &[0, 1],
        carries: true,
        peepholes: &[],
    };

    #[inline(always)]
    unsafe fn forward<S: Simd, A: Activation>(phase: usize, unit: &Unit) {
        // SAFETY: promised by the caller.
        unsafe {
            let h = S::load(unit.hidden);
            if phase == 0 {
                let f = A::sigmoid::<S>(unit.sum::<S>(0));
                unit.keep::<S>(0, f);
                S::store(unit.gated, S::mul(f, h));
            } else {
                let (f, n) = (unit.kept::<S>(0), A::tanh::<S>(unit.sum::<S>(0)));
                unit.keep::<S>(1, n);
                // Nothing yet: no slot is left unwritten.
                unit.keep::<S>(2, n);
                S::store(unit.hidden, S::fma(f, S::sub(n, h), h));
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(phase: usize, unit: &UnitBack<S>, hidden: &mut S::V, _: &mut S::V) {
        // SAFETY: promised by the caller.
        unsafe {
            let f = unit.kept(0);
            if phase == 1 {
                let (dh, n) = (*hidden, unit.kept(1));
                let dn = S::mul(S::mul(dh, f), tanh_slope::<S>(n));
                unit.leave(1, dn);
                unit.leave(2, S::mul(dh, S::sub(n, unit.hidden)));
                unit.multiply(0, dn);
                *hidden = S::mul(dh, S::sub(S::splat(1.0), f));
            } else {
                let df = S::fma(unit.gated, unit.hidden, unit.kept(2));
                let df = S::mul(df, sigmoid_slope::<S>(f));
                unit.leave(0, df);
                unit.multiply(0, df);
                *hidden = S::fma(unit.gated, f, *hidden);
            }
        }
    }
}
