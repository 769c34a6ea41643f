//! Scans on the emulated device against the kernels of the processor, which
//! `tests/cells.rs` holds against the `f64` reference and finite differences.

use super::*;
use crate::{
    Direction, Isa,
    cells::{self, Batch, Features, Pass, Weights},
    cuda::{Observed, Together, emulator::Emulator},
};

/// Values in [-1, 1) that look random.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}

/// One scan there and back: hidden and last states, gradients of input, weights
/// and first states.
type Results = [Vec<f32>; 5];

struct Case<'a> {
    shape: Shape<'a>,
    input: Vec<f32>,
    weights: Vec<f32>,
    initial: Vec<f32>,
    d_hidden: Vec<f32>,
    d_last: Vec<f32>,
}

impl<'a> Case<'a> {
    fn new(shape: Shape<'a>) -> Self {
        let (tokens, dim) = (shape.rows(), shape.hidden_dim);
        let scale = 1.5 / (dim as f32).sqrt();
        let spec = shape.form().spec;
        let weights = values(spec.weights(shape.input_dim, dim), 1);
        Self {
            input: values(tokens * shape.input_dim, 2),
            weights: weights.iter().map(|w| w * scale).collect(),
            initial: values(shape.states(), 3),
            d_hidden: values(tokens * dim, 4),
            d_last: values(shape.states(), 5),
            shape,
        }
    }

    fn on_processor(&self) -> Results {
        let Shape { kind, schedule, input_dim, hidden_dim, precision } = self.shape;
        let cell = kind.cell();
        let weights =
            Weights::from_flat(&self.weights, cell.spec(), input_dim, hidden_dim).unwrap();
        let packed = cell.pack(&weights, Isa::detect(), precision).unwrap();
        let batch = Batch { schedule, initial: Some(&self.initial) };
        let features = Features::Rows(&self.input);
        let scanned = cell.forward(&packed, features, batch).unwrap();
        let pass = Pass { features, batch, hidden: &scanned.hidden, is_constant: false };
        let upstream = cells::Upstream { hidden: &self.d_hidden, last: &self.d_last };
        let gradients = cell.backward(&weights, pass, scanned.saved, upstream).unwrap();
        let cells::Gradients { input, weights, initial } = gradients;
        [scanned.hidden, scanned.last, input, weights, initial]
    }

    fn on_device(&self, device: &impl Observed) -> Results {
        let [input, weights, initial, d_hidden, d_last] =
            [&self.input, &self.weights, &self.initial, &self.d_hidden, &self.d_last]
                .map(|values| device.floats(values));
        let arguments = Arguments {
            input: device.address(&input),
            weights: device.address(&weights),
            initial: device.address(&initial),
        };
        let upstream =
            Upstream { hidden: device.address(&d_hidden), last: device.address(&d_last) };
        // SAFETY: all have the sizes that the shape asks for.
        let (out, unkept, gradients) = unsafe {
            let Scanned { out, kept } = forward(device, &self.shape, arguments, true).unwrap();
            let unkept = forward(device, &self.shape, arguments, false).unwrap().out;
            let kept = kept.unwrap();
            let back = backward(device, &self.shape, arguments, &kept, upstream, true);
            (device.download(&out), device.download(&unkept), back.unwrap())
        };
        assert_eq!(bits(&out), bits(&unkept), "what is kept changes nothing");
        // A device may give more memory than was asked for.
        let (hidden, last) = out.split_at(self.shape.rows() * self.shape.hidden_dim);
        let part = |memory, like: &Vec<f32>| {
            let mut values = device.download(memory);
            values.truncate(like.len());
            values
        };
        let Gradients { input, weights, initial } = gradients;
        [
            hidden.to_vec(),
            last[..self.shape.states()].to_vec(),
            part(&input.unwrap(), &self.input),
            part(&weights, &self.weights),
            part(&initial, &self.initial),
        ]
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The norm of the difference of two results, by that of one of them or 1.
fn difference(name: &str, got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len(), "{name}");
    assert!(got.iter().all(|got| got.is_finite()), "{name}");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let wrong = norm(&mut got.iter().zip(want).map(|(&got, &want)| f64::from(got - want)));
    wrong / norm(&mut want.iter().map(|&want| f64::from(want))).max(1.0)
}

/// A device whose blocks run together; a block keeps the weights of `units` units
/// of an LSTM of 64, or more of smaller ones.
fn together(blocks: usize, units: usize) -> Emulator {
    let shared = 4 * 64 * units * 4 + 2 * 32 * 32 * 4 + 32 * 4 * units * 4;
    let together = Together { blocks, threads: 64, shared };
    Emulator { together: Some(together), ..Emulator::default() }
}

const NAMES: [&str; 5] = ["hidden", "last", "input", "weights", "initial"];

/// Input and hidden dimensions, lengths, and lanes.
type Size = (usize, usize, Vec<usize>, usize);

fn small() -> Vec<Size> {
    vec![
        (3, 5, vec![4], 1),
        (4, 16, vec![2, 5, 0, 1, 3], 2),
        (1, 33, vec![1; 9], 64),
        (7, 20, vec![6, 1, 2, 3, 3], 100),
        (2, 9, vec![0, 41, 1], 3),
        (3, 11, (0..64).map(|s| s * 7 % 5).collect(), 64),
        (2, 3, vec![0, 0], 2),
    ]
}

/// Every cell in both directions against the processor.
fn each_case(device: &impl Observed, sizes: &[Size], precision: Precision) {
    let mut wrong = Vec::new();
    for kind in CellKind::ALL {
        let mut most = [0.0_f64; 5];
        let cell = kind.cell().spec().name;
        for direction in [Direction::Forward, Direction::Backward] {
            for &(input_dim, hidden_dim, ref lengths, lanes) in sizes {
                let schedule = &Schedule::new(lengths, lanes, direction);
                let case = Case::new(Shape { kind, schedule, input_dim, hidden_dim, precision });
                let results = case.on_device(device).into_iter().zip(case.on_processor());
                for ((part, (got, want)), most) in NAMES.iter().zip(results).zip(&mut most) {
                    let name = format!("{cell} {direction:?} {hidden_dim} {lengths:?} {part}");
                    let difference = difference(&name, &got, &want);
                    if difference >= bound(kind, precision) {
                        wrong.push(format!("{name}: {difference:e}"));
                    }
                    *most = most.max(difference);
                }
            }
        }
        let most: Vec<String> =
            NAMES.iter().zip(most).map(|(name, most)| format!("{name} {most:.1e}")).collect();
        println!("{cell} {precision:?}: {}", most.join(", "));
    }
    assert!(wrong.is_empty(), "too far off:\n{}", wrong.join("\n"));
}

/// How far results may be from those of the processor.
fn bound(kind: CellKind, precision: Precision) -> f64 {
    match (precision, kind) {
        // Its slope jumps: where a sum is near zero, a gradient is there or not.
        (Precision::F32, CellKind::ElmanRelu) => 2e-3,
        (Precision::F32, _) => 5e-6,
        // Near the middle between two bf16 values, either may be taken.
        (_, CellKind::ElmanRelu) => 2e-2,
        _ => 5e-3,
    }
}

#[test]
fn every_cell_there_and_back_equals_the_processor() {
    each_case(&Emulator::default(), &small(), Precision::F32);
}

#[test]
fn in_bf16_every_cell_is_near_the_processor() {
    each_case(&Emulator::default(), &small(), Precision::Bf16);
}

/// Sizes that blocks share: several groups, lanes that run out, units that fill no block.
fn shared() -> Vec<Size> {
    vec![
        (3, 5, vec![4], 1),
        (4, 16, vec![2, 5, 0, 1, 3], 2),
        (5, 33, vec![6, 1, 2, 3, 3], 100),
        (2, 20, (0..70).map(|s| s * 7 % 5).collect(), 70),
        (3, 9, (0..40).map(|s| s * 5 % 4).collect(), 35),
        (2, 3, vec![0, 0], 2),
    ]
}

#[test]
fn as_one_kernel_every_cell_equals_the_processor() {
    for device in [together(10, 8), together(3, 16)] {
        each_case(&device, &shared(), Precision::F32);
    }
}

#[test]
fn as_one_kernel_in_bf16_every_cell_is_near_the_processor() {
    for device in [together(10, 8), together(3, 16)] {
        each_case(&device, &shared(), Precision::Bf16);
    }
}

/// On a real GPU: `scripts/check-gpu`.
#[cfg(feature = "cuda")]
mod on_a_gpu {
    use super::*;
    use crate::cuda::Cuda;

    /// Batches of 1, 3 and 64 of 1, 2 and 257 tokens, even and ragged, and wide layers.
    fn sizes() -> Vec<Size> {
        let mut sizes = small();
        for batch in [1, 3, 64] {
            for len in [1, 2, 257] {
                sizes.push((16, 45, vec![len; batch], batch));
            }
        }
        sizes.push((24, 100, (0..64).map(|s| s * 37 % 258).collect(), 64));
        sizes.push((32, 256, (0..40).map(|s| s * 7 % 31).collect(), 32));
        sizes.push((40, 1024, (0..70).map(|s| s * 5 % 9).collect(), 64));
        sizes.push((8, 1500, vec![3, 2], 2));
        sizes
    }

    fn every_cell(precision: Precision) {
        for device in [Cuda::first(), Cuda::stepping()] {
            each_case(&device, &sizes(), precision);
        }
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn every_cell_there_and_back_equals_the_processor() {
        every_cell(Precision::F32);
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn in_bf16_every_cell_is_near_the_processor() {
        every_cell(Precision::Bf16);
    }
}

/// Products and launches of a scan without a way back.
fn work_of(kind: CellKind, device: &Emulator) -> [usize; 2] {
    let schedule = &Schedule::new(&[50, 50, 20], 3, Direction::Forward);
    let precision = Precision::F32;
    let shape = Shape { kind, schedule, input_dim: 4, hidden_dim: 6, precision };
    let case = Case::new(shape);
    let [input, weights, initial] =
        [&case.input, &case.weights, &case.initial].map(|values| device.floats(values));
    let arguments = Arguments {
        input: device.address(&input),
        weights: device.address(&weights),
        initial: device.address(&initial),
    };
    // SAFETY: all have the sizes that the shape asks for.
    unsafe { forward(device, &shape, arguments, false) }.unwrap();
    [device.products.get(), device.launches.get()]
}

#[test]
fn a_step_takes_a_product_and_a_kernel_a_phase() {
    for kind in CellKind::ALL {
        let phases = kind.form().phases.len();
        // Besides: the input side; the first states, and theirs as the last ones.
        assert_eq!(work_of(kind, &Emulator::default()), [50 * phases + 1, 50 * phases + 2]);
    }
}

#[test]
fn what_fits_takes_one_kernel() {
    for kind in CellKind::ALL {
        // Besides: the input side; the first states as the last ones.
        assert_eq!(work_of(kind, &together(10, 8)), [1, 2]);
    }
}

#[test]
fn what_does_not_fit_goes_step_by_step() {
    let lstm = |hidden_dim, blocks, units| {
        let schedule = &Schedule::new(&[1; 70], 70, Direction::Forward);
        let (kind, precision) = (CellKind::Lstm, Precision::F32);
        let shape = Shape { kind, schedule, input_dim: 1, hidden_dim, precision };
        resident::Residence::of(&together(blocks, units), &shape)
    };
    assert!(lstm(64, 8, 8).is_some());
    assert!(lstm(64, 7, 8).is_none(), "more blocks than run together");
    assert!(lstm(64, 4, 15).is_none(), "more weights than a block keeps");
    assert!(lstm(64, 4, 16).is_some());
}

#[test]
fn more_rows_than_a_product_can_number_are_refused() {
    let schedule = &Schedule::new(&[1], 1, Direction::Forward);
    let (kind, precision) = (CellKind::Lstm, Precision::F32);
    let shape = Shape { kind, schedule, input_dim: 1 << 31, hidden_dim: 1, precision };
    let arguments = Arguments { input: 0, weights: 0, initial: 0 };
    // SAFETY: nothing is read of what is refused.
    let result = unsafe { forward(&Emulator::default(), &shape, arguments, true) };
    assert!(result.is_err());
}
