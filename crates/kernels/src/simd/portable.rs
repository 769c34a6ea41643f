//! Plain Rust; the compiler uses what the target surely has.

use super::Simd;

/// Vectors of 8 floats.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn zip(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    const LANES: usize = 8;
    const ROWS: usize = 2;
    type V = [f32; 8];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller promises 8 readable floats.
        unsafe { from.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller promises 8 writable floats.
        unsafe { to.cast::<Self::V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn where_positive(test: Self::V, v: Self::V) -> Self::V {
        zip(test, v, |test, v| if test > 0.0 { v } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn from_int(v: Self::V) -> Self::V {
        v.map(|v| v.to_bits() as i32 as f32)
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: Self::V, a: Self::V, b: Self::V) -> Self::V {
        let low = |v: f32| f32::from_bits(v.to_bits() << 16);
        let high = |v: f32| f32::from_bits(v.to_bits() & 0xFFFF_0000);
        std::array::from_fn(|i| high(a[i]) * high(b[i]) + (low(a[i]) * low(b[i]) + sum[i]))
    }
    #[inline(always)]
    unsafe fn dot_int8(sum: Self::V, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| {
            let (a, b) = (a[i].to_bits().to_le_bytes(), b[i].to_bits().to_le_bytes());
            let product = |p: usize| i32::from(a[p] as i8) * i32::from(b[p] as i8);
            let dot = product(0) + product(1) + product(2) + product(3);
            f32::from_bits((sum[i].to_bits() as i32 + dot) as u32)
        })
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}
