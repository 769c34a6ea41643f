//! What a processor can do at most: products in registers alone.

use std::time::{Duration, Instant};

use crate::{
    Isa,
    gemm::{Bf16, F32, Format, Int8, Precision},
    simd::{Kernel, Simd},
};

/// Chains of sums: enough to hide how long one product takes.
const CHAINS: usize = 12;
/// Products of every chain between two looks at the clock.
const ROUNDS: usize = 1 << 16;
/// How long is measured.
const TIME: Duration = Duration::from_millis(200);

/// Operations a second (a multiplication and an addition are two) of one thread
/// that multiplies numbers of a format without touching memory.
///
/// # Panics
/// If this processor lacks the instruction set.
pub fn peak(isa: Isa, precision: Precision) -> f64 {
    assert!(Isa::available().contains(&isa), "this processor has no {isa:?}");
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx && precision != Precision::F32 {
        return fastest(|| crate::gemm::amx::busy(precision, ROUNDS));
    }
    let per_round = 2 * CHAINS * isa.lanes() * precision.per_word();
    fastest(|| {
        match precision {
            Precision::F32 => isa.run(Busy(F32)),
            Precision::Bf16 => isa.run_short(Busy(Bf16)),
            Precision::Int8 => isa.run_short(Busy(Int8)),
        }
        ROUNDS * per_round
    })
}

/// The highest rate of work that tells how many operations it did.
fn fastest(mut work: impl FnMut() -> usize) -> f64 {
    let (begin, mut best) = (Instant::now(), 0.0_f64);
    while begin.elapsed() < TIME {
        let start = Instant::now();
        let operations = work();
        best = best.max(operations as f64 / start.elapsed().as_secs_f64());
    }
    best
}

struct Busy<F>(F);

impl<F: Format> Kernel for Busy<F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the features are promised by the caller; the array is as
        // long as a vector can be.
        unsafe {
            let mut sums = [S::splat(0.0); CHAINS];
            let (a, b) = std::hint::black_box((S::splat(1e-30), S::splat(1e-30)));
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = F::dot::<S>(*sum, a, b);
                }
            }
            let mut out = [0.0; 16];
            for sum in sums {
                S::store(out.as_mut_ptr(), sum);
                std::hint::black_box(&out);
            }
        }
    }
}
