//! Every cell against the `f64` reference, finite differences and PyTorch.

mod common;

use std::{collections::HashMap, path::Path};

use common::{close, values, wide};

use glossator_kernels::{
    Direction, Isa, Result, Schedule,
    cells::{
        self, Batch, Cell, CellKind, Features, Input, Pass, Precision, Scanned, Sink, Upstream,
        Weights,
    },
    reference::CellReference,
};

struct Case {
    kind: CellKind,
    input_dim: usize,
    hidden_dim: usize,
    lengths: Vec<usize>,
    lanes: usize,
    direction: Direction,
}

/// The arguments of a case: input, the weights, initial states.
struct Arguments {
    input: Vec<f32>,
    weights: [Vec<f32>; 5],
    initial: Vec<f32>,
}

impl Case {
    fn arguments(&self) -> Arguments {
        let spec = self.kind.cell().spec();
        let rows = spec.gates * self.hidden_dim;
        let tokens: usize = self.lengths.iter().sum();
        let scale = 1.5 / (self.hidden_dim as f32).sqrt();
        let vectors = spec.vectors * self.hidden_dim;
        let weights = [rows * self.input_dim, rows * self.hidden_dim, rows, rows, vectors];
        let mut seed = 0;
        Arguments {
            input: values(tokens * self.input_dim, 11),
            weights: weights.map(|len| {
                seed += 1;
                values(len, seed).iter().map(|v| v * scale).collect()
            }),
            initial: values(spec.states * self.lengths.len() * self.hidden_dim, 12),
        }
    }

    fn weights<'a>(&self, values: &'a [Vec<f32>; 5]) -> Weights<'a> {
        Weights {
            input_dim: self.input_dim,
            hidden_dim: self.hidden_dim,
            weight_ih: &values[0],
            weight_hh: &values[1],
            bias_ih: &values[2],
            bias_hh: &values[3],
            vectors: &values[4],
        }
    }

    /// Hidden and final states by the reference.
    fn reference(
        &self,
        cell: &CellReference,
        input: &[f64],
        initial: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let (d, h, n) = (self.input_dim, self.hidden_dim, self.lengths.len());
        let states = self.kind.cell().spec().states;
        let mut hidden = vec![0.0; self.lengths.iter().sum::<usize>() * h];
        let mut last = vec![0.0; states * n * h];
        let mut first = 0;
        for (s, &len) in self.lengths.iter().enumerate() {
            let mut rows: Vec<&[f64]> = input[first * d..(first + len) * d].chunks(d).collect();
            if self.direction == Direction::Backward {
                rows.reverse();
            }
            let start: Vec<Vec<f64>> =
                (0..states).map(|k| initial[(k * n + s) * h..][..h].to_vec()).collect();
            let (scanned, end) = cell.scan(&rows.concat(), &start);
            for (t, row) in scanned.chunks(h).enumerate() {
                let t = if self.direction == Direction::Backward { len - 1 - t } else { t };
                hidden[(first + t) * h..][..h].copy_from_slice(row);
            }
            for (k, state) in end.iter().enumerate() {
                last[(k * n + s) * h..][..h].copy_from_slice(state);
            }
            first += len;
        }
        (hidden, last)
    }
}

/// Collects all a scan gives out.
struct Collect {
    hidden: Vec<f32>,
    last: Vec<f32>,
    sequences: usize,
}

impl Sink for Collect {
    fn token(&mut self, token: usize, hidden: &[f32]) {
        self.hidden[token * hidden.len()..][..hidden.len()].copy_from_slice(hidden);
    }

    fn end(&mut self, sequence: usize, state: &[&[f32]]) {
        for (k, state) in state.iter().enumerate() {
            let row = k * self.sequences + sequence;
            self.last[row * state.len()..][..state.len()].copy_from_slice(state);
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in CellKind::ALL {
        for direction in [Direction::Forward, Direction::Backward] {
            for (input_dim, hidden_dim, lengths, lanes) in [
                (3, 5, vec![4], 1),
                (4, 16, vec![2, 5, 0, 1, 3], 2),
                (1, 33, vec![1; 9], 64),
                (7, 20, vec![6, 1, 2, 3, 3], 100),
                (2, 9, vec![257], 1),
                (2, 13, vec![2, 257, 1], 3),
                (3, 11, (0..64).map(|s| s * 7 % 5).collect(), 64),
            ] {
                cases.push(Case { kind, input_dim, hidden_dim, lengths, lanes, direction });
            }
        }
    }
    cases
}

#[test]
fn forward_equals_the_reference_on_every_instruction_set() {
    for case in cases() {
        let cell = case.kind.cell();
        let args = case.arguments();
        let weights = case.weights(&args.weights);
        let schedule = Schedule::new(&case.lengths, case.lanes, case.direction);
        let reference = CellReference::new(case.kind, &weights);
        let (hidden, last) = case.reference(&reference, &wide(&args.input), &wide(&args.initial));
        for &isa in Isa::available() {
            let packed = cell.pack(&weights, isa, Precision::F32).unwrap();
            let batch = Batch { schedule: &schedule, initial: Some(&args.initial) };
            let saved = cell.forward(&packed, Features::Rows(&args.input), batch).unwrap();
            close("hidden", &saved.hidden, &hidden, 3e-6);
            close("last", &saved.last, &last, 3e-6);

            let gates = packed.project(&args.input, schedule.tokens()).unwrap();
            let mut sink = Collect {
                hidden: vec![0.0; hidden.len()],
                last: vec![0.0; last.len()],
                sequences: case.lengths.len(),
            };
            cell.infer(&packed, Input::Rows(&gates), batch, &mut sink).unwrap();
            assert_eq!(sink.hidden, saved.hidden, "inference and training differ");
            assert_eq!(sink.last, saved.last, "inference and training differ");
        }
    }
}

/// A case's states by inference in a number format, on so many lanes.
fn infer(case: &Case, isa: Isa, precision: Precision, lanes: usize) -> Collect {
    let (cell, args) = (case.kind.cell(), case.arguments());
    let packed = cell.pack(&case.weights(&args.weights), isa, precision).unwrap();
    let schedule = Schedule::new(&case.lengths, lanes, case.direction);
    let batch = Batch { schedule: &schedule, initial: Some(&args.initial) };
    let gates = packed.project(&args.input, schedule.tokens()).unwrap();
    let (sequences, states) = (case.lengths.len(), case.kind.cell().spec().states);
    let mut sink = Collect {
        hidden: vec![0.0; schedule.tokens() * case.hidden_dim],
        last: vec![0.0; states * sequences * case.hidden_dim],
        sequences,
    };
    cell.infer(&packed, Input::Rows(&gates), batch, &mut sink).unwrap();
    sink
}

#[test]
fn short_numbers_stay_near_the_reference_on_every_instruction_set() {
    for case in cases() {
        let args = case.arguments();
        let reference = CellReference::new(case.kind, &case.weights(&args.weights));
        let (hidden, last) = case.reference(&reference, &wide(&args.input), &wide(&args.initial));
        for (precision, tolerance) in [(Precision::Bf16, 0.02), (Precision::Int8, 0.04)] {
            for &isa in Isa::available() {
                let got = infer(&case, isa, precision, case.lanes);
                close("hidden", &got.hidden, &hidden, tolerance);
                close("last", &got.last, &last, tolerance);
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_lanes_and_refills_in_any_number_format() {
    for case in cases() {
        for precision in Precision::ALL {
            let alone = infer(&case, Isa::detect(), precision, 1);
            for lanes in [2, 3, 100] {
                let together = infer(&case, Isa::detect(), precision, lanes);
                assert_eq!(alone.hidden, together.hidden, "{precision:?} {lanes}");
                assert_eq!(alone.last, together.last, "{precision:?} {lanes}");
            }
        }
    }
}

#[test]
fn a_table_of_characters_equals_its_rows() {
    for kind in CellKind::ALL {
        a_table_equals_its_rows(cases().iter().filter(|case| case.kind == kind).nth(1).unwrap());
    }
}

fn a_table_equals_its_rows(case: &Case) {
    let cell = case.kind.cell();
    let args = case.arguments();
    let packed = cell.pack(&case.weights(&args.weights), Isa::detect(), Precision::F32).unwrap();
    let schedule = Schedule::new(&case.lengths, case.lanes, case.direction);
    let batch = Batch { schedule: &schedule, initial: None };
    let table = values(9 * case.input_dim, 5);
    let weights = case.weights(&args.weights);
    assert!(cell.tabulate(&weights, Isa::detect(), &table[1..]).is_err());
    let table = cell.tabulate(&weights, Isa::detect(), &table).unwrap();
    assert_eq!(table, packed.project(&values(9 * case.input_dim, 5), 9).unwrap());
    let ids: Vec<u32> = (0..schedule.tokens() as u32).map(|t| t * 7 % 9).collect();
    let dim = packed.gate_dim();
    let rows: Vec<f32> =
        ids.iter().flat_map(|&id| table[id as usize * dim..][..dim].to_vec()).collect();
    let scan = |input| {
        let len = schedule.tokens() * case.hidden_dim;
        let mut sink = Collect { hidden: vec![0.0; len], last: vec![0.0; 2 * len], sequences: 5 };
        cell.infer(&packed, input, batch, &mut sink).map(|()| sink.hidden)
    };
    let picked = scan(Input::Table { table: &table, ids: &ids }).unwrap();
    assert_eq!(picked, scan(Input::Rows(&rows)).unwrap());
    let wrong = vec![9; ids.len()];
    assert!(scan(Input::Table { table: &table, ids: &wrong }).is_err());
}

/// Gradients of a pass by name.
struct Gradients {
    input: Vec<f32>,
    weight_ih: Vec<f32>,
    weight_hh: Vec<f32>,
    bias_ih: Vec<f32>,
    bias_hh: Vec<f32>,
    vectors: Vec<f32>,
    initial: Vec<f32>,
}

/// The way back of a whole pass.
fn backward(
    cell: &dyn Cell,
    weights: &Weights<'_>,
    features: Features<'_>,
    batch: Batch<'_>,
    scanned: Scanned,
    upstream: Upstream<'_>,
) -> Result<Gradients> {
    let Scanned { hidden, saved, .. } = scanned;
    let pass = Pass { features, batch, hidden: &hidden, is_constant: false };
    let cells::Gradients { input, weights: flat, initial } =
        cell.backward(weights, pass, saved, upstream)?;
    let parts = Weights::from_flat(&flat, cell.spec(), weights.input_dim, weights.hidden_dim)?;
    Ok(Gradients {
        input,
        weight_ih: parts.weight_ih.to_vec(),
        weight_hh: parts.weight_hh.to_vec(),
        bias_ih: parts.bias_ih.to_vec(),
        bias_hh: parts.bias_hh.to_vec(),
        vectors: parts.vectors.to_vec(),
        initial,
    })
}

#[test]
fn a_table_of_characters_is_trained_as_its_rows() {
    for case in cases() {
        let (cell, args) = (case.kind.cell(), case.arguments());
        let (d, tokens) = (case.input_dim, case.lengths.iter().sum::<usize>());
        let weights = case.weights(&args.weights);
        let packed = cell.pack(&weights, Isa::detect(), Precision::F32).unwrap();
        let schedule = Schedule::new(&case.lengths, case.lanes, case.direction);
        let batch = Batch { schedule: &schedule, initial: Some(&args.initial) };
        let table = values(9 * d, 5);
        let ids: Vec<u32> = (0..tokens as u32).map(|t| t * 7 % 9).collect();
        let rows: Vec<f32> =
            ids.iter().flat_map(|&id| table[id as usize * d..][..d].to_vec()).collect();
        let run = |features: Features<'_>| {
            let scanned = cell.forward(&packed, features, batch).unwrap();
            let (hidden, last) = (scanned.hidden.clone(), scanned.last.clone());
            let upstream = Upstream { hidden: &hidden, last: &last };
            let g = backward(cell, &weights, features, batch, scanned, upstream).unwrap();
            (hidden, g)
        };
        let (hidden, picked) = run(Features::Table { table: &table, ids: &ids });
        let (same, want) = run(Features::Rows(&rows));
        assert_eq!(hidden, same);
        let mut sums = vec![0.0; table.len()];
        for (id, row) in ids.iter().zip(want.input.chunks(d)) {
            sums[*id as usize * d..][..d]
                .iter_mut()
                .zip(row)
                .for_each(|(s, &g)| *s += f64::from(g));
        }
        close("input", &picked.input, &sums, 1e-5);
        close("weight_ih", &picked.weight_ih, &wide(&want.weight_ih), 1e-5);
        close("bias", &picked.bias_ih, &wide(&want.bias_ih), 1e-5);
        assert_eq!(picked.weight_hh, want.weight_hh);
        let wrong = vec![9; tokens];
        assert!(
            cell.forward(&packed, Features::Table { table: &table, ids: &wrong }, batch).is_err()
        );
    }
}

/// Results and gradients of a case on an instruction set.
fn run(case: &Case, isa: Isa, args: &Arguments) -> (Vec<f32>, Vec<f32>, Gradients) {
    run_in(case, isa, Precision::F32, args)
}

/// The same with products in a number format.
fn run_in(
    case: &Case,
    isa: Isa,
    precision: Precision,
    args: &Arguments,
) -> (Vec<f32>, Vec<f32>, Gradients) {
    let cell = case.kind.cell();
    let weights = case.weights(&args.weights);
    let schedule = Schedule::new(&case.lengths, case.lanes, case.direction);
    let batch = Batch { schedule: &schedule, initial: Some(&args.initial) };
    let packed = cell.pack(&weights, isa, precision).unwrap();
    let saved = cell.forward(&packed, Features::Rows(&args.input), batch).unwrap();
    let (hidden, last) = (saved.hidden.clone(), saved.last.clone());
    let (dh, dl) = (values(hidden.len(), 21), values(last.len(), 22));
    let upstream = Upstream { hidden: &dh, last: &dl };
    let gradients =
        backward(cell, &weights, Features::Rows(&args.input), batch, saved, upstream).unwrap();
    (hidden, last, gradients)
}

#[test]
fn gradients_of_products_in_halves_are_near_those_in_floats() {
    for case in cases() {
        let args = case.arguments();
        for &isa in Isa::available() {
            let (hidden, _, exact) = run(&case, isa, &args);
            let (near_hidden, _, near) = run_in(&case, isa, Precision::Bf16, &args);
            close("hidden", &near_hidden, &wide(&hidden), 0.02);
            for (name, near, exact) in [
                ("input", near.input, exact.input),
                ("weight_ih", near.weight_ih, exact.weight_ih),
                ("weight_hh", near.weight_hh, exact.weight_hh),
                ("bias_ih", near.bias_ih, exact.bias_ih),
                ("bias_hh", near.bias_hh, exact.bias_hh),
                ("vectors", near.vectors, exact.vectors),
                ("initial", near.initial, exact.initial),
            ] {
                if exact.is_empty() {
                    continue;
                }
                let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
                let (near, exact) = (wide(&near), wide(&exact));
                let error: Vec<f64> = near.iter().zip(&exact).map(|(a, b)| a - b).collect();
                let share = norm(&error) / norm(&exact);
                // A sum on the other side of zero has another slope there.
                let most = if case.kind == CellKind::ElmanRelu { 0.2 } else { 0.03 };
                assert!(share < most, "{name} of {:?} {isa:?}: {share}", case.kind);
                let is_product = name.starts_with("weight");
                assert!(norm(&error) > 0.0 || !is_product, "{name}: nothing was rounded");
            }
        }
    }
}

#[test]
fn gradients_equal_finite_differences_of_the_reference() {
    for case in cases() {
        let args = case.arguments();
        let runs: Vec<Gradients> =
            Isa::available().iter().map(|&isa| run(&case, isa, &args).2).collect();
        let (mut input, mut initial) = (wide(&args.input), wide(&args.initial));
        let mut cell = CellReference::new(case.kind, &case.weights(&args.weights));
        let states = case.kind.cell().spec().states;
        let tokens: usize = case.lengths.iter().sum();
        let hidden = values(tokens * case.hidden_dim, 21);
        let last = values(states * case.lengths.len() * case.hidden_dim, 22);
        let loss = |cell: &CellReference, input: &[f64], initial: &[f64]| {
            let (h, l) = case.reference(cell, input, initial);
            let dot =
                |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum::<f64>();
            dot(&h, &hidden) + dot(&l, &last)
        };
        let step = 1e-5;
        let slope = |up: f64, down: f64| (up - down) / (2.0 * step);
        macro_rules! check {
            ($name:literal, $field:ident, $place:expr) => {
                // Every value of small arguments, a sample of large ones.
                let len = $place.len();
                let most = if tokens > 100 { 15 } else { 150 };
                for i in (0..len).step_by(len.div_ceil(most).max(1)) {
                    let kept = $place[i];
                    $place[i] = kept + step;
                    let up = loss(&cell, &input, &initial);
                    $place[i] = kept - step;
                    let down = loss(&cell, &input, &initial);
                    $place[i] = kept;
                    for (got, isa) in runs.iter().zip(Isa::available()) {
                        let name = format!("{} {isa:?}", $name);
                        assert_eq!(got.$field.len(), len, "{name}");
                        close(&name, &got.$field[i..=i], &[slope(up, down)], 3e-5);
                    }
                }
            };
        }
        check!("input", input, input);
        check!("initial", initial, initial);
        check!("weight_ih", weight_ih, cell.values[0]);
        check!("weight_hh", weight_hh, cell.values[1]);
        check!("bias_ih", bias_ih, cell.values[2]);
        check!("bias_hh", bias_hh, cell.values[3]);
        check!("vectors", vectors, cell.values[4]);
    }
}

#[test]
fn the_sets_with_fused_multiply_add_give_equal_bits_forward() {
    if !Isa::available().contains(&Isa::Avx512) {
        return;
    }
    for case in cases() {
        let args = case.arguments();
        let (hidden, last, ours) = run(&case, Isa::Avx512, &args);
        let (other_hidden, other_last, other) = run(&case, Isa::Avx2, &args);
        assert_eq!(hidden, other_hidden);
        assert_eq!(last, other_last);
        // The order of the gates, over which gradients are summed, depends on the lanes.
        close("weight_ih", &ours.weight_ih, &wide(&other.weight_ih), 3e-6);
        close("weight_hh", &ours.weight_hh, &wide(&other.weight_hh), 3e-6);
        close("bias_ih", &ours.bias_ih, &wide(&other.bias_ih), 3e-6);
        close("bias_hh", &ours.bias_hh, &wide(&other.bias_hh), 3e-6);
        close("initial", &ours.initial, &wide(&other.initial), 3e-6);
        close("input", &ours.input, &wide(&other.input), 3e-6);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let case = &cases().into_iter().filter(|case| case.kind == CellKind::Lstm).nth(1).unwrap();
    let cell = case.kind.cell();
    let args = case.arguments();
    let weights = case.weights(&args.weights);
    let fitting = Schedule::new(&case.lengths, case.lanes, case.direction);
    let longer = Schedule::new(&[case.lengths.iter().sum::<usize>() + 1], 1, case.direction);
    let packed = cell.pack(&weights, Isa::detect(), Precision::F32).unwrap();
    let error = |weights: &Weights<'_>, schedule: &Schedule, cut: usize| {
        let batch = Batch { schedule: &fitting, initial: None };
        let mut saved = cell.forward(&packed, Features::Rows(&args.input), batch).unwrap();
        saved.hidden.truncate(saved.hidden.len() - cut);
        let input = vec![0.0; schedule.tokens() * weights.input_dim];
        let hidden = vec![0.0; schedule.tokens() * weights.hidden_dim];
        let last = vec![0.0; 2 * schedule.sequences() * weights.hidden_dim];
        let batch = Batch { schedule, initial: None };
        let upstream = Upstream { hidden: &hidden, last: &last };
        let result = backward(cell, weights, Features::Rows(&input), batch, saved, upstream);
        result.err().map(|error| error.to_string())
    };
    assert_eq!(error(&weights, &fitting, 0), None);
    let found = |weights: &Weights<'_>, schedule: &Schedule, cut| {
        error(weights, schedule, cut).unwrap().split(':').next().unwrap().to_owned()
    };
    assert_eq!(found(&weights, &longer, 0), "saved gates");
    assert_eq!(found(&weights, &fitting, 1), "saved hidden states");
    let short = &args.weights[1][1..];
    assert_eq!(found(&Weights { weight_hh: short, ..weights }, &fitting, 0), "weight_hh");
    let short = &args.weights[0][1..];
    assert_eq!(found(&Weights { weight_ih: short, ..weights }, &fitting, 0), "weight_ih");
    let short = &args.weights[2][1..];
    assert_eq!(found(&Weights { bias_ih: short, ..weights }, &fitting, 0), "bias_ih");
    let dim = case.hidden_dim - 1;
    let other = cut_weights(&args.weights, case.input_dim, dim);
    assert_eq!(found(&other, &fitting, 0), "saved units");
    let absurd = Weights { hidden_dim: 1 << (usize::BITS - 2), weight_ih: &[], ..weights };
    assert!(cell.pack(&absurd, Isa::detect(), Precision::F32).is_err());
}

#[test]
fn what_belongs_to_another_cell_is_an_error() {
    for kind in CellKind::ALL {
        let case = cases().into_iter().find(|case| case.kind == kind).unwrap();
        let (args, cell) = (case.arguments(), kind.cell());
        let weights = case.weights(&args.weights);
        let packed = cell.pack(&weights, Isa::detect(), Precision::F32).unwrap();
        let schedule = Schedule::new(&case.lengths, case.lanes, case.direction);
        let batch = Batch { schedule: &schedule, initial: None };
        let features = Features::Rows(&args.input);
        for other in CellKind::ALL.into_iter().filter(|other| *other != kind) {
            let other = other.cell();
            assert!(other.forward(&packed, features, batch).is_err());
            let input = vec![0.0; schedule.tokens() * packed.gate_dim()];
            let mut sink = Collect { hidden: vec![], last: vec![], sequences: 0 };
            assert!(other.infer(&packed, Input::Rows(&input), batch, &mut sink).is_err());
            let scanned = cell.forward(&packed, features, batch).unwrap();
            let (dh, dl) = (vec![0.0; scanned.hidden.len()], vec![0.0; scanned.last.len()]);
            let upstream = Upstream { hidden: &dh, last: &dl };
            assert!(backward(other, &weights, features, batch, scanned, upstream).is_err());
        }
    }
}

#[test]
fn rectified_units_do_not_hide_what_is_no_number() {
    let case = cases().into_iter().find(|case| case.kind == CellKind::ElmanRelu).unwrap();
    let mut args = case.arguments();
    // Infinities of both signs: their sum is no number.
    args.input[..2].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY]);
    args.weights[0].fill(1.0);
    for &isa in Isa::available() {
        let (hidden, ..) = run(&case, isa, &args);
        assert!(hidden.iter().any(|h| h.is_nan()), "{isa:?}");
    }
}

/// The first values of the given weights as those of another shape.
fn cut_weights(values: &[Vec<f32>; 5], input_dim: usize, hidden_dim: usize) -> Weights<'_> {
    let rows = 4 * hidden_dim;
    Weights {
        input_dim,
        hidden_dim,
        weight_ih: &values[0][..rows * input_dim],
        weight_hh: &values[1][..rows * hidden_dim],
        bias_ih: &values[2][..rows],
        bias_hh: &values[3][..rows],
        vectors: &[],
    }
}

/// Tensors of a fixture, by name.
struct Fixture(HashMap<String, Vec<f32>>, HashMap<String, Vec<usize>>, Vec<(String, Vec<usize>)>);

impl Fixture {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
        let bytes = std::fs::read(path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (mut floats, mut whole, mut shapes) = (HashMap::new(), HashMap::new(), Vec::new());
        for (name, view) in tensors.tensors() {
            shapes.push((name.clone(), view.shape().to_vec()));
            let data = view.data();
            if view.dtype() == safetensors::Dtype::I64 {
                let read = |b: &[u8]| i64::from_le_bytes(b.try_into().unwrap()) as usize;
                whole.insert(name, data.chunks(8).map(read).collect());
            } else {
                let read = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
                floats.insert(name, data.chunks(4).map(read).collect());
            }
        }
        Self(floats, whole, shapes)
    }

    fn wide(&self, name: &str) -> Vec<f64> {
        self.0[name].iter().map(|&v| f64::from(v)).collect()
    }

    fn shape(&self, name: &str) -> &[usize] {
        &self.2.iter().find(|(n, _)| n == name).unwrap().1
    }
}

/// One direction of one layer of a PyTorch case.
struct TorchLayer<'a> {
    fixture: &'a Fixture,
    case: &'a str,
    suffix: String,
    row: usize,
    direction: Direction,
}

impl TorchLayer<'_> {
    /// Weights, with their input and hidden sizes.
    fn weights(&self) -> ([Vec<f32>; 4], usize, usize) {
        let name = |part: &str| format!("{}.{part}_{}", self.case, self.suffix);
        let get = |part| self.fixture.0[&name(part)].clone();
        let values = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(get);
        let dim = |part| self.fixture.shape(&name(part))[1];
        (values, dim("weight_ih"), dim("weight_hh"))
    }

    /// `[states, sequences, hidden]` of `[layers * directions, sequences, hidden]` of each
    /// state, such as `h0` and `c0`.
    fn states(&self, prefix: &str, suffix: &str, len: usize) -> Vec<f32> {
        let part = |state: &str| {
            let all = self.fixture.0.get(&format!("{}.{prefix}{state}{suffix}", self.case));
            all.map_or(&[][..], |all| &all[self.row * len..][..len])
        };
        [part("h"), part("c")].concat()
    }
}

/// Runs all layers of a case forward and backward, comparing everything.
fn conforms_to_torch(
    kind: CellKind,
    fixture: &Fixture,
    case: &str,
    n_layers: usize,
    directions: &[Direction],
) {
    let lengths = &fixture.1[&format!("{case}.lengths")];
    let tokens: usize = lengths.iter().sum();
    let cell = kind.cell();
    let layer = |n: usize, d: usize| TorchLayer {
        fixture,
        case,
        suffix: format!("l{n}{}", if d == 1 { "_reverse" } else { "" }),
        row: n * directions.len() + d,
        direction: directions[d],
    };
    let mut inputs = vec![fixture.0[&format!("{case}.input")].clone()];
    let mut runs = Vec::new();
    for n in 0..n_layers {
        let input = inputs[n].clone();
        let mut columns = Vec::new();
        for d in 0..directions.len() {
            let layer = layer(n, d);
            let (values, input_dim, hidden_dim) = layer.weights();
            let weights = torch_weights(&values, input_dim, hidden_dim);
            let schedule = Schedule::new(lengths, 2, layer.direction);
            let initial = layer.states("", "0", lengths.len() * hidden_dim);
            let packed = cell.pack(&weights, Isa::detect(), Precision::F32).unwrap();
            let batch = Batch { schedule: &schedule, initial: Some(&initial) };
            let saved = cell.forward(&packed, Features::Rows(&input), batch).unwrap();
            let last = layer.states("", "n", lengths.len() * hidden_dim);
            close("last", &saved.last, &wide(&last), 1e-6);
            columns.push(saved.hidden.clone());
            runs.push((n, d, schedule, initial, saved, hidden_dim));
        }
        let dim = columns[0].len() / tokens;
        let rows = (0..tokens).flat_map(|t| {
            columns.iter().flat_map(|c| c[t * dim..(t + 1) * dim].to_vec()).collect::<Vec<_>>()
        });
        let rows = rows.collect();
        inputs.push(rows);
    }
    close("output", &inputs[n_layers], &fixture.wide(&format!("{case}.output")), 1e-6);

    let mut above = fixture.0[&format!("{case}.grad_output")].clone();
    let mut below = Vec::new();
    while let Some((n, d, schedule, initial, saved, dim)) = runs.pop() {
        let layer = layer(n, d);
        let (values, input_dim, _) = layer.weights();
        let weights = torch_weights(&values, input_dim, dim);
        let width = dim * directions.len();
        let hidden: Vec<f32> =
            above.chunks(width).flat_map(|row| row[d * dim..(d + 1) * dim].to_vec()).collect();
        let last = layer.states("grad_", "n", lengths.len() * dim);
        let batch = Batch { schedule: &schedule, initial: Some(&initial) };
        let upstream = Upstream { hidden: &hidden, last: &last };
        let got =
            backward(cell, &weights, Features::Rows(&inputs[n]), batch, saved, upstream).unwrap();
        let want = |part: &str| fixture.wide(&format!("{case}.grad.{part}_{}", layer.suffix));
        close("weight_ih", &got.weight_ih, &want("weight_ih"), 2e-5);
        close("weight_hh", &got.weight_hh, &want("weight_hh"), 2e-5);
        close("bias_ih", &got.bias_ih, &want("bias_ih"), 2e-5);
        close("bias_hh", &got.bias_hh, &want("bias_hh"), 2e-5);
        let initial = layer.states("grad.", "0", lengths.len() * dim);
        close("initial", &got.initial, &wide(&initial), 2e-5);
        below = if d + 1 == directions.len() {
            got.input
        } else {
            below.iter().zip(&got.input).map(|(a, b)| a + b).collect()
        };
        if d == 0 {
            above = below.clone();
        }
    }
    close("input", &above, &fixture.wide(&format!("{case}.grad.input")), 2e-5);
}

fn torch_weights(values: &[Vec<f32>; 4], input_dim: usize, hidden_dim: usize) -> Weights<'_> {
    let [weight_ih, weight_hh, bias_ih, bias_hh] = values;
    Weights { input_dim, hidden_dim, weight_ih, weight_hh, bias_ih, bias_hh, vectors: &[] }
}

#[test]
fn cells_that_pytorch_has_equal_its_own() {
    let both = [Direction::Forward, Direction::Backward];
    for (kind, file) in [
        (CellKind::Lstm, "lstm"),
        (CellKind::Gru, "gru"),
        (CellKind::Elman, "elman"),
        (CellKind::ElmanRelu, "elman_relu"),
    ] {
        let fixture = Fixture::read(&format!("{file}.safetensors"));
        conforms_to_torch(kind, &fixture, "a", 1, &both[..1]);
        conforms_to_torch(kind, &fixture, "b", 2, &both);
    }
    let fixture = Fixture::read("lstm_wide.safetensors");
    conforms_to_torch(CellKind::Lstm, &fixture, "c", 1, &both[..1]);
}

#[test]
fn bits_do_not_depend_on_threads() {
    // Recurrent weights that fit a core's cache, and some that do not.
    for (hidden_dim, lengths) in [(20, vec![6, 1, 2, 3, 3]), (640, vec![5, 2, 4, 5])] {
        let formats = [Precision::F32, Precision::Bf16];
        for (kind, precision) in
            CellKind::ALL.into_iter().flat_map(|kind| formats.map(|f| (kind, f)))
        {
            let direction = Direction::Backward;
            let case = Case {
                kind,
                input_dim: 9,
                hidden_dim,
                lengths: lengths.clone(),
                lanes: 4,
                direction,
            };
            let args = case.arguments();
            let weights = case.weights(&args.weights);
            let schedule = Schedule::new(&case.lengths, case.lanes, direction);
            let batch = Batch { schedule: &schedule, initial: Some(&args.initial) };
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let cell = kind.cell();
                    let packed = cell.pack(&weights, Isa::detect(), precision).unwrap();
                    let saved = cell.forward(&packed, Features::Rows(&args.input), batch).unwrap();
                    let (hidden, last) = (saved.hidden.clone(), saved.last.clone());
                    let upstream = Upstream { hidden: &hidden, last: &last };
                    let g = backward(
                        cell,
                        &weights,
                        Features::Rows(&args.input),
                        batch,
                        saved,
                        upstream,
                    )
                    .unwrap();
                    let all = [
                        g.input,
                        g.weight_ih,
                        g.weight_hh,
                        g.bias_ih,
                        g.bias_hh,
                        g.initial,
                        hidden.clone(),
                    ];
                    all.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
                })
            };
            let one = run(1);
            assert_eq!(one, run(2));
            assert_eq!(one, run(5));
        }
    }
}
