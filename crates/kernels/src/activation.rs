//! `tanh` and `sigmoid` by one rational function.
//!
//! `tanh` is a quotient of an odd polynomial of degree 13 and an even one of
//! degree 6 on [-7.905, 7.905], beyond which `f32` rounds it to ±1. Largest
//! absolute error against `f64`, measured on a grid by the test below: under
//! 4e-7 for `tanh`, under 3e-7 for `sigmoid`. A value that is not a number
//! comes out as a bound, so callers check their inputs once, at loading.
//!
//! Beside them stand shorter ones for scans in short number formats, which
//! round a hidden state by far more: degrees 5 and 4 on [-5.25, 5.25], and a
//! quotient of 14 bits where the processor has one. Largest absolute error:
//! under 1.3e-4 for `tanh`, under 7e-5 for `sigmoid`.

use crate::simd::Simd;

/// Lanes of the widest vector.
const MAX_LANES: usize = 16;

const LIMIT: f32 = 7.905_311;
const ODD: [f32; 7] = [
    -2.760_768_5e-16,
    2.000_188e-13,
    -8.604_672e-11,
    5.122_297e-8,
    1.485_722_4e-5,
    6.372_619_3e-4,
    4.893_524_6e-3,
];
const EVEN: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3];

const SHORT_LIMIT: f32 = 5.25;
const SHORT_ODD: [f32; 3] = [6.308_39e-4, 0.100_873_34, 0.999_753_56];
const SHORT_EVEN: [f32; 3] = [1.239_011_4e-2, 0.433_513_75, 1.0];

/// Hyperbolic tangent and logistic function, in one accuracy or another.
pub(crate) trait Activation: Copy {
    /// Hyperbolic tangent of every lane.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn tanh<S: Simd>(x: S::V) -> S::V;

    /// Logistic function of every lane: `(1 + tanh(x / 2)) / 2`.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    #[inline(always)]
    unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe {
            let half = S::splat(0.5);
            S::fma(Self::tanh::<S>(S::mul(x, half)), half, half)
        }
    }
}

/// As near as `f32` comes.
#[derive(Clone, Copy)]
pub(crate) struct Exact;

impl Activation for Exact {
    #[inline(always)]
    unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe { tanh::<S>(x) }
    }
}

/// Near enough for short number formats.
#[derive(Clone, Copy)]
pub(crate) struct Short;

impl Activation for Short {
    #[inline(always)]
    unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe {
            let x = S::max(S::min(x, S::splat(SHORT_LIMIT)), S::splat(-SHORT_LIMIT));
            let square = S::mul(x, x);
            let polynomial = |c: [f32; 3]| {
                let value = S::fma(S::splat(c[0]), square, S::splat(c[1]));
                S::fma(value, square, S::splat(c[2]))
            };
            S::near_div(S::mul(x, polynomial(SHORT_ODD)), polynomial(SHORT_EVEN))
        }
    }
}

/// Hyperbolic tangent of every lane.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: promised by the caller.
    unsafe {
        let x = S::max(S::min(x, S::splat(LIMIT)), S::splat(-LIMIT));
        let square = S::mul(x, x);
        let polynomial = |coefficients: &[f32]| {
            let mut value = S::splat(coefficients[0]);
            for &c in &coefficients[1..] {
                value = S::fma(value, square, S::splat(c));
            }
            value
        };
        S::div(S::mul(x, polynomial(&ODD)), polynomial(&EVEN))
    }
}

/// Hyperbolic tangent of every value, in place.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn tanh_all<S: Simd>(values: &mut [f32]) {
    let whole = values.len() / S::LANES * S::LANES;
    let (values, rest) = values.split_at_mut(whole);
    let mut padded = [0.0; MAX_LANES];
    padded[..rest.len()].copy_from_slice(rest);
    // SAFETY: the features are promised by the caller, and every vector lies
    // in its slice.
    unsafe {
        for vector in values.chunks_exact_mut(S::LANES) {
            S::store(vector.as_mut_ptr(), tanh::<S>(S::load(vector.as_ptr())));
        }
        S::store(padded.as_mut_ptr(), tanh::<S>(S::load(padded.as_ptr())));
    }
    rest.copy_from_slice(&padded[..rest.len()]);
}

/// Base 2 logarithm of e.
const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// Natural logarithm of 2, in two parts.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Below, the last bits of a float are the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// Exponential of a value that is not above 0 by more than 80; relative error
/// under 2e-7, and 0 below -87. Plain arithmetic, which loops do in vectors; what
/// is no number stays none.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const SMALLEST: f32 = -87.0;
    const SERIES: [f32; 6] =
        [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5];
    let inside = if x < SMALLEST { SMALLEST } else { x };
    let shifted = inside * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let rest = inside - n * LN_2[0] - n * LN_2[1];
    let mut sum = SERIES[0];
    for c in &SERIES[1..] {
        sum = sum * rest + c;
    }
    let value = sum * rest * rest + rest + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000));
    if x < SMALLEST { 0.0 } else { value * power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Kernel};

    struct Both<'a, A>(&'a [f32], &'a mut [f32], &'a mut [f32], A);

    impl<A: Activation> Kernel for Both<'_, A> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            for i in (0..self.0.len()).step_by(S::LANES) {
                // SAFETY: the slices hold a multiple of 16 floats.
                unsafe {
                    let x = S::load(self.0[i..].as_ptr());
                    S::store(self.1[i..].as_mut_ptr(), A::tanh::<S>(x));
                    S::store(self.2[i..].as_mut_ptr(), A::sigmoid::<S>(x));
                }
            }
        }
    }

    #[test]
    fn exponentials_are_near() {
        for i in -8600..8000 {
            let x = i as f32 / 100.0;
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / want - 1.0).abs() < 2e-7, "exp({x}): {got}, not {want}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert_eq!((exp(0.0), exp(-90.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn any_number_of_values_has_the_same_tangents() {
        struct All<'a>(&'a mut [f32]);
        impl Kernel for All<'_> {
            #[inline(always)]
            unsafe fn run<S: Simd>(self) {
                // SAFETY: promised by the caller.
                unsafe { tanh_all::<S>(self.0) }
            }
        }
        for &isa in Isa::available() {
            let mut all: Vec<f32> = (0..40).map(|i| (i as f32 - 20.0) / 7.0).collect();
            let mut parts = all.clone();
            isa.run(All(&mut all));
            parts.chunks_mut(7).for_each(|part| isa.run(All(part)));
            assert_eq!(all, parts);
        }
    }

    #[test]
    fn errors_are_as_stated() {
        errors_of(Exact, 4e-7, 3e-7);
        errors_of(Short, 1.3e-4, 7e-5);
    }

    fn errors_of<A: Activation>(activation: A, of_tanh: f64, of_sigmoid: f64) {
        let x: Vec<f32> = (0..1 << 16).map(|i| (i - (1 << 15)) as f32 / 1500.0).collect();
        for &isa in Isa::available() {
            let (mut t, mut s) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            isa.run(Both(&x, &mut t, &mut s, activation));
            for i in 0..x.len() {
                let exact = f64::from(x[i]);
                assert!((f64::from(t[i]) - exact.tanh()).abs() < of_tanh, "tanh({exact}) {isa:?}");
                let sigmoid = 1.0 / (1.0 + (-exact).exp());
                assert!((f64::from(s[i]) - sigmoid).abs() < of_sigmoid, "sigmoid({exact}) {isa:?}");
            }
        }
    }
}
