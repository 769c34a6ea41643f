//! Simple recurrent network (Elman, 1990).
//!
//! ```text
//! h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
//! ```
//!
//! [`ElmanRelu`] takes the positive part in place of the hyperbolic tangent
//! (Le et al., 2015).

use super::{
    Spec,
    formula::{Form, Formula, Phase, Unit, UnitBack, tanh_slope},
};
use crate::{activation::Activation, simd::Simd};

/// Kernels of Elman's network.
#[derive(Clone, Copy, Debug)]
pub struct Elman;

/// The same with rectified linear units.
#[derive(Clone, Copy, Debug)]
pub struct ElmanRelu;

const fn form(name: &'static str) -> Form {
    Form {
        spec: Spec { name, gates: 1, states: 1, vectors: 0, remember: None },
        phases: &[Phase { gates: &[0], from_input: &[true], slots: &[0] }],
        kept: 1,
        input_slots: &[0],
        carries: false,
        peepholes: &[],
    }
}

impl Formula for Elman {
    const FORM: &'static Form = &form("elman");

    #[inline(always)]
    unsafe fn forward<S: Simd, A: Activation>(_: usize, unit: &Unit) {
        // SAFETY: promised by the caller.
        unsafe {
            let h = A::tanh::<S>(unit.sum::<S>(0));
            S::store(unit.hidden, h);
            unit.keep::<S>(0, h);
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(_: usize, unit: &UnitBack<S>, hidden: &mut S::V, _: &mut S::V) {
        // SAFETY: promised by the caller.
        unsafe {
            let d = S::mul(*hidden, tanh_slope::<S>(unit.kept(0)));
            unit.leave(0, d);
            unit.multiply(0, d);
        }
    }
}

impl Formula for ElmanRelu {
    const FORM: &'static Form = &form("elman-relu");

    #[inline(always)]
    unsafe fn forward<S: Simd, A: Activation>(_: usize, unit: &Unit) {
        // SAFETY: promised by the caller.
        unsafe {
            // What is no number comes out of the second operand.
            let h = S::max(S::splat(0.0), unit.sum::<S>(0));
            S::store(unit.hidden, h);
            unit.keep::<S>(0, h);
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(_: usize, unit: &UnitBack<S>, hidden: &mut S::V, _: &mut S::V) {
        // SAFETY: promised by the caller.
        unsafe {
            let d = S::where_positive(unit.kept(0), *hidden);
            unit.leave(0, d);
            unit.multiply(0, d);
        }
    }
}
