//! AVX-512, plain and with products of short numbers.

use std::arch::x86_64::*;

use super::{Isa, Kernel, Simd};

/// No products of short numbers.
const PLAIN: u8 = 0;
/// Those of 8-bit integers.
const VNNI: u8 = 1;
/// Those of `bf16` too.
const BF16: u8 = 2;

/// Vectors of 16 floats, with the products of short numbers that `DOTS` says.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const DOTS: u8>;

/// The sets of AVX-512 that this processor has, the fastest first.
pub(crate) fn available() -> Vec<Isa> {
    let mut sets = Vec::new();
    let plain = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    if plain && is_x86_feature_detected!("avx512vnni") {
        let has_tiles = crate::gemm::amx::is_available();
        if is_x86_feature_detected!("avx512bf16") {
            sets.extend(has_tiles.then_some(Isa::Amx));
            sets.push(Isa::Avx512Bf16);
        }
        sets.push(Isa::Avx512Vnni);
        // Where Intel means products of bf16 to be made on tiles, those of vectors are
        // half as fast as those of floats: 89 against 179 GF/s a core (Emerald Rapids),
        // and a scan of 512 units runs at 155 against 201.
        if !has_tiles && is_of_intel() {
            sets.sort_by_key(|&isa| isa == Isa::Avx512Bf16);
        }
    }
    sets.extend(plain.then_some(Isa::Avx512));
    sets
}

fn is_of_intel() -> bool {
    let name = __cpuid(0);
    [name.ebx, name.edx, name.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel"
}

/// Runs a kernel with the features switched on.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ and VL, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn run<K: Kernel>(kernel: K) {
    // SAFETY: this function has the features, promised by the caller.
    unsafe { kernel.run::<Avx512<PLAIN>>() }
}

/// As [`run`], with VNNI.
///
/// # Safety
/// The processor has that too.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(crate) unsafe fn run_vnni<K: Kernel>(kernel: K) {
    // SAFETY: this function has the features, promised by the caller.
    unsafe { kernel.run::<Avx512<VNNI>>() }
}

/// As [`run_vnni`], with products of `bf16`.
///
/// # Safety
/// The processor has that too.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma")]
pub(crate) unsafe fn run_bf16<K: Kernel>(kernel: K) {
    // SAFETY: this function has the features, promised by the caller.
    unsafe { kernel.run::<Avx512<BF16>>() }
}

impl<const DOTS: u8> Simd for Avx512<DOTS> {
    const LANES: usize = 16;
    const ROWS: usize = 6;
    type V = __m512;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m512) {
        // SAFETY: promised by the caller.
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn near_div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_mul_ps(a, _mm512_rcp14_ps(b)) }
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn where_positive(test: __m512, v: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(test, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(mask, v)
        }
    }
    #[inline(always)]
    unsafe fn from_int(v: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(v)) }
    }
    #[inline(always)]
    unsafe fn dot_bf16(sum: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe {
            if DOTS >= BF16 {
                let pairs = |v: __m512| std::mem::transmute::<__m512, __m512bh>(v);
                return _mm512_dpbf16_ps(sum, pairs(a), pairs(b));
            }
            let low = |v| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(v)));
            let mask = _mm512_castsi512_ps(_mm512_set1_epi32(0xFFFF_0000_u32 as i32));
            let high = |v| _mm512_and_ps(v, mask);
            _mm512_fmadd_ps(high(a), high(b), _mm512_fmadd_ps(low(a), low(b), sum))
        }
    }
    #[inline(always)]
    unsafe fn dot_int8(sum: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: promised by the caller. Two products are at most 2 · 127².
        unsafe {
            let sum = _mm512_castps_si512(sum);
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            if DOTS >= VNNI {
                return _mm512_castsi512_ps(_mm512_dpbusd_epi32(sum, a, b));
            }
            let negative = _mm512_movepi8_mask(a);
            let b = _mm512_mask_sub_epi8(b, negative, _mm512_setzero_si512(), b);
            let pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(a), b);
            let dot = _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
            _mm512_castsi512_ps(_mm512_add_epi32(sum, dot))
        }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        // SAFETY: promised by the caller.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
}
