//! The loss of a CRF over a batch of sentences on a device, with its gradients.

use candle_core::{Error, Result, bail};

use super::{Address, Device, Kernel, Module};
use crate::crf::Mask;

/// Sentences and their gold tags.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) mask: &'a Mask,
    /// Tokens of each sentence.
    pub(crate) lengths: &'a [usize],
    /// A tag a token.
    pub(crate) gold: &'a [usize],
}

/// A loss, `[1]`, and its gradients, shaped as what they are of.
pub(crate) struct Loss<M> {
    pub(crate) loss: M,
    pub(crate) emissions: M,
    pub(crate) transitions: M,
}

/// `Crf` in `crf.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Arguments {
    emissions: Address,
    transitions: Address,
    allowed: Address,
    firsts: Address,
    gold: Address,
    alpha: Address,
    beta: Address,
    losses: Address,
    counts: Address,
    d_emissions: Address,
    d_transitions: Address,
    loss: Address,
    tags: u32,
    sentences: u32,
}

/// Threads of the block of a sentence, at most.
const MOST: usize = 256;
/// Threads that a GPU runs together.
const WARP: usize = 32;

impl Batch<'_> {
    /// Numbers of the gold tags, all of them allowed.
    fn gold(&self) -> Result<Vec<u32>> {
        let mut rest = self.gold;
        let tokens: usize = self.lengths.iter().sum();
        if rest.len() != tokens {
            bail!("{} gold tags for {tokens} tokens", rest.len());
        }
        for &len in self.lengths {
            let (tags, others) = rest.split_at(len);
            rest = others;
            if !self.mask.allows(tags).map_err(Error::wrap)? {
                return Err(Error::wrap(crate::Error::Forbidden { what: "the gold tags" }));
            }
        }
        Ok(self.gold.iter().map(|&tag| tag as u32).collect())
    }
}

/// Negative log-likelihood of the gold tags, in nats, summed over sentences.
///
/// # Safety
/// `emissions` are `[tokens, tags]` and `transitions` `[tags + 2, tags]` values of
/// this device.
///
/// # Errors
/// If there is not one gold tag a token, or the mask forbids them.
pub(crate) unsafe fn loss<D: Device>(
    device: &D,
    batch: Batch<'_>,
    emissions: Address,
    transitions: Address,
) -> Result<Loss<D::Memory>> {
    let (tags, sentences) = (batch.mask.n_tags(), batch.lengths.len());
    let gold = batch.gold()?;
    let (tokens, values) = (gold.len(), (tags + 2) * tags);
    let mut firsts = vec![0_u32];
    firsts.extend(batch.lengths.iter().scan(0, |sum, &len| {
        *sum += len as u32;
        Some(*sum)
    }));
    let allowed: Vec<u32> = batch.mask.allowed().iter().map(|&is| u32::from(is)).collect();
    // Doubles take two places.
    let [alpha, beta] = [device.alloc(2 * tokens * tags)?, device.alloc(2 * tokens * tags)?];
    let losses = device.alloc(2 * sentences)?;
    let counts = device.alloc(2 * sentences * values)?;
    let (firsts, gold) = (device.upload(&firsts)?, device.upload(&gold)?);
    let allowed = device.upload(&allowed)?;
    let result = Loss {
        loss: device.alloc(1)?,
        emissions: device.alloc(tokens * tags)?,
        transitions: device.alloc(values)?,
    };
    let arguments = Arguments {
        emissions,
        transitions,
        allowed: device.address(&allowed),
        firsts: device.address(&firsts),
        gold: device.address(&gold),
        alpha: device.address(&alpha),
        beta: device.address(&beta),
        losses: device.address(&losses),
        counts: device.address(&counts),
        d_emissions: device.address(&result.emissions),
        d_transitions: device.address(&result.transitions),
        loss: device.address(&result.loss),
        tags: tags as u32,
        sentences: sentences as u32,
    };
    let threads = tags.next_multiple_of(WARP).clamp(WARP, MOST);
    // SAFETY: sizes are those of the batch, which was checked.
    unsafe {
        if sentences > 0 {
            device.launch(Kernel(Module::Crf, "crf_sentence"), sentences, threads, &arguments)?;
        }
        device.launch_each(Kernel(Module::Crf, "crf_sum"), values.max(1), &arguments)?;
    }
    Ok(result)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::{
        crf::{self, Crf},
        cuda::{Observed, emulator::Emulator},
    };

    /// Numbers that look random, in [-1, 1).
    fn values(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    fn on_device(
        device: &impl Observed,
        batch: Batch<'_>,
        emissions: &[f32],
        transitions: &[f32],
    ) -> [Vec<f32>; 3] {
        let [e, t] = [device.floats(emissions), device.floats(transitions)];
        // SAFETY: the values are as many as the batch asks for.
        let got = unsafe { loss(device, batch, device.address(&e), device.address(&t)) }.unwrap();
        let part = |memory, len| {
            let mut values = device.download(memory);
            values.truncate(len);
            values
        };
        [
            part(&got.loss, 1),
            part(&got.emissions, emissions.len()),
            part(&got.transitions, transitions.len()),
        ]
    }

    #[test]
    fn equals_the_processor_with_and_without_a_mask() {
        equals_the_processor(&Emulator::default());
    }

    #[cfg(feature = "cuda")]
    #[test]
    #[ignore = "needs a GPU"]
    fn on_a_gpu_equals_the_processor_with_and_without_a_mask() {
        equals_the_processor(&crate::cuda::Cuda::first());
    }

    fn equals_the_processor(device: &impl Observed) {
        for (n, scale) in [(1, 1.0), (3, 1.0), (5, 30.0), (40, 4.0)] {
            // Odd numbers may only follow the number before them.
            let mask =
                Mask::new(n, |from, to| to.is_none_or(|to| to % 2 == 0 || from == Some(to - 1)));
            for mask in [Mask::all(n), mask] {
                let lengths = [4, 0, 1, 9];
                let gold: Vec<usize> = [0, 1, 0, 0, 0, 0, 1, 2, 0, 0, 1, 2, 2, 0]
                    .into_iter()
                    .map(|tag: usize| tag % n.max(1))
                    .collect();
                let gold = if n < 3 { vec![0; 14] } else { gold };
                let emissions: Vec<f32> = values(14 * n).iter().map(|v| v * scale).collect();
                let transitions = values((n + 2) * n);
                let batch = Batch { mask: &mask, lengths: &lengths, gold: &gold };
                let [loss, d_emissions, d_transitions] =
                    on_device(device, batch, &emissions, &transitions);
                let crf = Crf::new(&transitions, &mask).unwrap();
                let (mut want, mut want_emissions) = (0.0, Vec::new());
                let mut want_transitions = vec![0.0; (n + 2) * n];
                let mut first = 0;
                for len in lengths {
                    let own = &emissions[first * n..(first + len) * n];
                    let one = crf::gradient(&crf, own, &gold[first..first + len]).unwrap();
                    want += one.loss;
                    want_emissions.extend(one.emissions);
                    for (sum, d) in want_transitions.iter_mut().zip(one.transitions) {
                        *sum += d;
                    }
                    first += len;
                }
                assert!(
                    (f64::from(loss[0]) - want).abs() < 1e-5 * want.max(1.0),
                    "{n}: {loss:?} {want}"
                );
                let near = |got: f32, want: f64| (f64::from(got) - want).abs() < 1e-6;
                assert!(
                    d_emissions
                        .iter()
                        .zip(want_emissions)
                        .all(|(&d, want)| near(d, f64::from(want)))
                );
                assert!(d_transitions.iter().zip(want_transitions).all(|(&d, want)| near(d, want)));
            }
        }
    }

    #[test]
    fn what_is_no_number_makes_a_loss_that_is_none() {
        no_number_makes_no_loss(&Emulator::default());
    }

    #[cfg(feature = "cuda")]
    #[test]
    #[ignore = "needs a GPU"]
    fn on_a_gpu_what_is_no_number_makes_a_loss_that_is_none() {
        no_number_makes_no_loss(&crate::cuda::Cuda::first());
    }

    fn no_number_makes_no_loss(device: &impl Observed) {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut emissions = values(12);
            emissions[4] = bad;
            let mask = Mask::all(3);
            let batch = Batch { mask: &mask, lengths: &[4], gold: &[0, 1, 2, 0] };
            assert!(!on_device(device, batch, &emissions, &values(15))[0][0].is_finite());
        }
    }

    #[test]
    fn gold_tags_that_are_forbidden_or_too_few_are_an_error() {
        let mask = Mask::new(2, |_, to| to != Some(1));
        let device = Emulator::default();
        for gold in [&[0, 1][..], &[0], &[0, 0, 0]] {
            let batch = Batch { mask: &mask, lengths: &[2], gold };
            // SAFETY: nothing is read before the error.
            assert!(unsafe { loss(&device, batch, 0, 0) }.is_err(), "{gold:?}");
        }
    }
}
