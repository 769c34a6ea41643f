//! Scans on the emulated device against the kernels of the processor, which
//! `tests/cells.rs` holds against the `f64` reference and finite differences.

use super::*;
use crate::{
    Direction, Isa,
    cells::{self, Batch, Features, Pass, Weights},
    cuda::emulator::Emulator,
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

    fn on_device(&self, device: &Emulator) -> Results {
        let [input, weights, initial, d_hidden, d_last] =
            [&self.input, &self.weights, &self.initial, &self.d_hidden, &self.d_last]
                .map(|values| Emulator::floats(values));
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
            (out.floats(), unkept.floats(), back.unwrap())
        };
        assert_eq!(bits(&out), bits(&unkept), "what is kept changes nothing");
        let (hidden, last) = out.split_at(self.shape.rows() * self.shape.hidden_dim);
        let Gradients { input, weights, initial } = gradients;
        [
            hidden.to_vec(),
            last.to_vec(),
            input.unwrap().floats(),
            weights.floats(),
            initial.floats(),
        ]
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The largest difference of two results, of one that is at most 1 or relative.
fn difference(name: &str, got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len(), "{name}");
    let pairs = got.iter().zip(want);
    pairs.fold(0.0, |most: f32, (&got, &want)| {
        assert!(got.is_finite(), "{name}: {got}");
        most.max((got - want).abs() / want.abs().max(1.0))
    })
}

const NAMES: [&str; 5] = ["hidden", "last", "input", "weights", "initial"];

fn each_case(precision: Precision, check: impl Fn(&str, Results, Results)) {
    for kind in CellKind::ALL {
        for direction in [Direction::Forward, Direction::Backward] {
            for (input_dim, hidden_dim, lengths, lanes) in [
                (3, 5, vec![4], 1),
                (4, 16, vec![2, 5, 0, 1, 3], 2),
                (1, 33, vec![1; 9], 64),
                (7, 20, vec![6, 1, 2, 3, 3], 100),
                (2, 9, vec![0, 41, 1], 3),
                (3, 11, (0..64).map(|s| s * 7 % 5).collect(), 64),
                (2, 3, vec![0, 0], 2),
            ] {
                let schedule = &Schedule::new(&lengths, lanes, direction);
                let shape = Shape { kind, schedule, input_dim, hidden_dim, precision };
                let case = Case::new(shape);
                let name = format!("{} {direction:?} {lengths:?}", kind.cell().spec().name);
                check(&name, case.on_device(&Emulator::default()), case.on_processor());
            }
        }
    }
}

#[test]
fn every_cell_there_and_back_equals_the_processor() {
    each_case(Precision::F32, |name, got, want| {
        for ((part, got), want) in NAMES.iter().zip(got).zip(want) {
            let difference = difference(&format!("{name} {part}"), &got, &want);
            assert!(difference < 2e-5, "{name} {part}: {difference}");
        }
    });
}

#[test]
fn in_bf16_every_cell_is_near_the_processor() {
    each_case(Precision::Bf16, |name, got, want| {
        for ((part, got), want) in NAMES.iter().zip(got).zip(want) {
            let difference = difference(&format!("{name} {part}"), &got, &want);
            assert!(difference < 4e-2, "{name} {part}: {difference}");
        }
    });
}

#[test]
fn a_step_takes_a_product_and_a_kernel_a_phase() {
    let schedule = &Schedule::new(&[50, 50, 20], 3, Direction::Forward);
    for kind in CellKind::ALL {
        let precision = Precision::F32;
        let shape = Shape { kind, schedule, input_dim: 4, hidden_dim: 6, precision };
        let (case, device) = (Case::new(shape), Emulator::default());
        let [input, weights, initial] =
            [&case.input, &case.weights, &case.initial].map(|values| Emulator::floats(values));
        let arguments = Arguments {
            input: device.address(&input),
            weights: device.address(&weights),
            initial: device.address(&initial),
        };
        // SAFETY: all have the sizes that the shape asks for.
        unsafe { forward(&device, &shape, arguments, false) }.unwrap();
        let phases = kind.form().phases.len();
        // Besides: the input side; the first states, and theirs as the last ones.
        assert_eq!(device.products.get(), 50 * phases + 1);
        assert_eq!(device.launches.get(), 50 * phases + 2);
    }
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
