//! Vectors of `f32` for the instruction sets we have kernels for.
//!
//! A kernel is written once over [`Simd`] and run through [`Isa::run`], which
//! compiles it for each instruction set and picks one at run time.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::{fmt, sync::OnceLock};

/// Vectors across a tile of a product; a panel is this many vectors wide.
pub(crate) const TILE_VECTORS: usize = 4;

/// An instruction set that kernels exist for.
///
/// In `f32` the x86 sets use fused multiply-add throughout and give equal bits,
/// but for the backward pass of a cell: it sums over the gates in packed order,
/// which depends on the lanes. In `int8` all sets give equal sums; in `bf16`
/// each rounds in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// As [`Isa::Avx512Bf16`], products of short numbers on the tiles of AMX.
    Amx,
    /// As [`Isa::Avx512Vnni`], with products of `bf16`.
    Avx512Bf16,
    /// As [`Isa::Avx512`], with products of 8-bit integers (VNNI).
    Avx512Vnni,
    /// AVX-512 F, BW, DQ and VL: 16 lanes.
    Avx512,
    /// AVX2 and FMA: 8 lanes.
    Avx2,
    /// Plain Rust, 8 lanes: any processor, slow.
    Portable,
}

impl Isa {
    /// The fastest set of this processor.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All sets this processor can run, the fastest first.
    pub fn available() -> &'static [Self] {
        static SETS: OnceLock<Vec<Isa>> = OnceLock::new();
        SETS.get_or_init(|| {
            let mut sets = Vec::new();
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.extend(avx512::available());
                sets.push(Self::Avx2);
            }
            sets.push(Self::Portable);
            sets
        })
    }

    /// Lanes of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Amx | Self::Avx512Bf16 | Self::Avx512Vnni | Self::Avx512 => 16,
            Self::Avx2 | Self::Portable => 8,
        }
    }

    /// What is added to 8-bit integers of a left operand before they are
    /// multiplied, for some instructions take them without a sign.
    pub(crate) fn offset(self) -> u8 {
        match self {
            Self::Avx512Bf16 | Self::Avx512Vnni => 128,
            Self::Amx | Self::Avx512 | Self::Avx2 | Self::Portable => 0,
        }
    }

    /// Runs a kernel compiled for this set; it multiplies `f32` only, for which
    /// the sets of 16 lanes are one.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            // SAFETY: kernels run with the set of a `Packed`, and `Packed::zeros`
            // made sure that this processor has it.
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Avx512Bf16 | Self::Avx512Vnni | Self::Avx512 => unsafe {
                avx512::run(kernel)
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::run(kernel) },
            // SAFETY: plain Rust needs no processor feature.
            _ => unsafe { kernel.run::<portable::Portable>() },
        }
    }

    /// As [`Isa::run`], for a kernel that multiplies short numbers.
    #[inline]
    pub(crate) fn run_short<K: Kernel>(self, kernel: K) {
        match self {
            // SAFETY: as in `run`.
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Avx512Bf16 => unsafe { avx512::run_bf16(kernel) },
            // SAFETY: as in `run`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => unsafe { avx512::run_vnni(kernel) },
            _ => self.run(kernel),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amx => "amx",
            Self::Avx512Bf16 => "avx512-bf16",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        })
    }
}

/// A computation written over any vector width.
pub(crate) trait Kernel {
    /// Runs it. Implementations are `#[inline(always)]`, so that they are
    /// compiled with the features of the caller.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn run<S: Simd>(self);
}

/// A vector of `f32` and its operations.
///
/// # Safety
/// Every function needs the processor features of the implementation, and
/// valid pointers to [`Simd::LANES`] floats.
pub(crate) trait Simd: Copy {
    /// Lanes of a vector.
    const LANES: usize;
    /// Most rows of a tile: its accumulators and one row of a panel fit the registers.
    const ROWS: usize;
    /// The vector.
    type V: Copy;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    /// `a * b + c`
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`, to 13 bits at least.
    unsafe fn near_div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: promised by the caller.
        unsafe { Self::div(a, b) }
    }
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `v` in the lanes where `test` is above zero, else zero.
    unsafe fn where_positive(test: Self::V, v: Self::V) -> Self::V;
    /// The bits of every lane as a 32-bit integer, converted.
    unsafe fn from_int(v: Self::V) -> Self::V;
    /// In every lane, `sum` plus the products of the two `bf16` of `a` and `b`.
    unsafe fn dot_bf16(sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// In every lane, all bits being integers, `sum` plus the products of the
    /// four 8-bit integers of `a`, offset by [`Isa::offset`], and of `b`, which
    /// are within ±127.
    unsafe fn dot_int8(sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// Asks for a cache line soon.
    unsafe fn prefetch(from: *const f32);
}
