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
/// The two x86 sets use fused multiply-add throughout and give equal bits, but
/// for the backward pass of a cell: it sums over the gates in packed order,
/// which depends on the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512F: 16 lanes.
    Avx512,
    /// AVX2 and FMA: 8 lanes.
    Avx2,
    /// Plain Rust, 8 lanes: any processor, slow.
    Portable,
}

impl Isa {
    /// The widest set of this processor.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All sets this processor can run, widest first.
    pub fn available() -> &'static [Self] {
        static SETS: OnceLock<Vec<Isa>> = OnceLock::new();
        SETS.get_or_init(|| {
            let mut sets = Vec::new();
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                if is_x86_feature_detected!("avx512f") {
                    sets.push(Self::Avx512);
                }
                sets.push(Self::Avx2);
            }
            sets.push(Self::Portable);
            sets
        })
    }

    /// Lanes of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Avx512 => 16,
            Self::Avx2 | Self::Portable => 8,
        }
    }

    /// Runs a kernel compiled for this set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            // SAFETY: kernels run with the set of a `Packed`, and `Packed::zeros`
            // made sure that this processor has it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::run(kernel) },
            // SAFETY: plain Rust needs no processor feature.
            _ => unsafe { kernel.run::<portable::Portable>() },
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// Asks for a cache line soon.
    unsafe fn prefetch(from: *const f32);
}
