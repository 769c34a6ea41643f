//! AVX2 and FMA.

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// Vectors of 8 floats.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Runs a kernel with the features switched on.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn run<K: Kernel>(kernel: K) {
    // SAFETY: this function has the features, promised by the caller.
    unsafe { kernel.run::<Avx2>() }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const ROWS: usize = 3;
    type V = __m256;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m256) {
        // SAFETY: promised by the caller.
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn where_positive(test: __m256, v: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(test, _mm256_setzero_ps()), v) }
    }
    #[inline(always)]
    unsafe fn from_int(v: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe { _mm256_cvtepi32_ps(_mm256_castps_si256(v)) }
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: promised by the caller.
        unsafe {
            let low = |v| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(v)));
            let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xFFFF_0000_u32 as i32));
            let high = |v| _mm256_and_ps(v, mask);
            _mm256_fmadd_ps(high(a), high(b), _mm256_fmadd_ps(low(a), low(b), sum))
        }
    }
    #[inline(always)]
    unsafe fn dot_int8(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: promised by the caller. Two products are at most 2 · 127².
        unsafe {
            let (a, b) = (_mm256_castps_si256(a), _mm256_castps_si256(b));
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
            let dot = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), dot))
        }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        // SAFETY: promised by the caller.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
}
