//! The trained face of a layer against the one for inference.

use candle_core::{Device, Tensor};
use glossator_nn::{
    Between, CellKind, Connection, Error, Keep, Linear, PackedLinear, PackedRnn, ParamSet,
    Precision, RecurrentInput, Rng, Rnn, RnnInit, RnnInput, RnnShape, Weights, init,
};

fn values(len: usize, purpose: &str) -> Vec<f32> {
    init::uniform(&mut Rng::new(1, purpose, 0), len, 1.0)
}

fn plain(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn lstm(input_dim: usize, hidden_dim: usize, n_layers: usize, bidirectional: bool) -> RnnShape {
    RnnShape {
        cell: CellKind::Lstm,
        input_dim,
        hidden_dim,
        n_layers,
        bidirectional,
        between: Between::default(),
        learned_state: false,
    }
}

/// Every shape of a small stack, of every cell.
fn shapes() -> impl Iterator<Item = RnnShape> {
    let stacks = [(1, false), (1, true), (2, false), (2, true)];
    let plain = stacks.map(|(layers, both)| lstm(6, 20, layers, both));
    let between = [Connection::None, Connection::Residual, Connection::Highway]
        .into_iter()
        .flat_map(|connection| [false, true].map(|layer_norm| Between { connection, layer_norm }));
    let between = between.map(|between| RnnShape { between, ..lstm(6, 20, 3, true) });
    let learned = RnnShape { learned_state: true, ..lstm(6, 20, 2, true) };
    let all: Vec<_> = plain.into_iter().chain(between).chain([learned]).collect();
    let each = move |cell| all.clone().into_iter().map(move |shape| RnnShape { cell, ..shape });
    CellKind::ALL.into_iter().flat_map(each)
}

fn trained(shape: RnnShape) -> (Rnn, Weights) {
    let (mut params, rng) = (ParamSet::new(), &mut Rng::new(2, "init", 0));
    let rnn = Rnn::new(&mut params, "rnn", shape, RnnInit::default(), rng).unwrap();
    // Nothing is left at zero or one.
    for tensor in params.tensors() {
        let values = init::uniform(rng, tensor.shape.iter().product(), 0.3);
        params.set_values(tensor.name, &values).unwrap();
    }
    (rnn, Weights::from_params(&params).unwrap())
}

#[test]
fn a_linear_layer_gives_the_same_bits_trained_and_packed() {
    let mut params = ParamSet::new();
    let linear = Linear::new(&mut params, "out", 13, 70, &mut Rng::new(2, "init", 0)).unwrap();
    params.set_values("out.bias", &values(70, "bias")).unwrap();
    let mut weights = Weights::from_params(&params).unwrap();
    let packed = PackedLinear::new(&mut weights, "out", 13, 70, Precision::F32).unwrap();
    weights.finish().unwrap();
    for rows in [1, 2, 9] {
        let x = values(rows * 13, "input");
        let tensor = Tensor::from_slice(&x, (rows, 13), &Device::Cpu).unwrap();
        assert_eq!(plain(&linear.forward(&tensor).unwrap()), packed.apply(&x, rows));
    }
}

#[test]
fn recurrent_layers_give_the_same_bits_trained_and_packed() {
    let lengths = [3, 0, 1, 7, 2, 0, 5];
    let x = values(18 * 6, "input");
    let tensor = Tensor::from_slice(&x, (18, 6), &Device::Cpu).unwrap();
    for shape in shapes() {
        let (rnn, mut weights) = trained(shape);
        let packed = PackedRnn::new(&mut weights, "rnn", shape, Precision::F32).unwrap();
        weights.finish().unwrap();
        let out = rnn.forward(&tensor, &lengths, 0.0, &mut Rng::new(3, "dropout", 0)).unwrap();
        assert_eq!(out.hidden.dims(), [18, shape.output_dim()]);
        assert_eq!(plain(&out.hidden), packed.apply(&x, &lengths).unwrap());
    }
}

#[test]
fn final_states_of_ids_are_those_of_their_rows() {
    let lengths = [3, 1, 0, 4];
    let (table, ids) = (values(9 * 6, "table"), [0_u32, 8, 3, 3, 1, 7, 2, 5]);
    let rows: Vec<f32> =
        ids.iter().flat_map(|&id| table[id as usize * 6..][..6].to_vec()).collect();
    let tensor = Tensor::from_slice(&rows, (8, 6), &Device::Cpu).unwrap();
    for shape in shapes().filter(|shape| shape.n_layers == 1) {
        let (rnn, mut weights) = trained(shape);
        let packed =
            PackedRnn::of_table(&mut weights, "rnn", shape, Precision::F32, &table).unwrap();
        let out = rnn.forward(&tensor, &lengths, 0.0, &mut Rng::new(3, "dropout", 0)).unwrap();
        let read = |ids| packed.read(RnnInput::Ids(ids), &lengths, None, Keep::Last);
        assert_eq!(plain(&out.last), read(&ids).unwrap());
        assert!(read(&[9; 8]).is_err());
    }
}

#[test]
fn inference_gives_the_same_bits_for_any_threads_and_company() {
    // Eight sequences at a time make a step large enough to be shared out.
    let shape = lstm(40, 256, 2, true);
    let (_, mut weights) = trained(shape);
    let packed = PackedRnn::new(&mut weights, "rnn", shape, Precision::F32).unwrap();
    let lengths = [9, 4, 0, 12, 1, 7, 7, 3, 5, 10];
    let x = values(58 * 40, "input");
    let run = |threads: usize, x: &[f32], lengths: &[usize]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| packed.apply(x, lengths).unwrap())
    };
    let together = run(1, &x, &lengths);
    assert_eq!(together, run(2, &x, &lengths));
    assert_eq!(together, run(3, &x, &lengths));
    let mut first = 0;
    let mut alone = Vec::new();
    for len in lengths {
        alone.extend(run(2, &x[first * 40..(first + len) * 40], &[len]));
        first += len;
    }
    assert_eq!(together, alone);
}

#[test]
fn absurd_dimensions_are_an_error_of_shape() {
    let (_, weights) = trained(lstm(6, 20, 1, true));
    for (input_dim, hidden_dim) in [(6, usize::MAX), (usize::MAX, 20), (6, 1 << 62), (6, 21)] {
        let shape = lstm(input_dim, hidden_dim, 1, true);
        let error = PackedRnn::new(&mut weights.clone(), "rnn", shape, Precision::F32);
        assert!(matches!(error, Err(Error::Shape { .. })), "{input_dim} {hidden_dim}");
    }
}

#[test]
fn sequences_read_in_parts_with_their_states_give_the_same_bits() {
    let lengths = [4, 2, 6];
    let (table, ids) = (values(9 * 6, "table"), [0_u32, 8, 3, 3, 1, 7, 2, 5, 4, 4, 6, 0]);
    for shape in shapes().filter(|shape| !shape.bidirectional) {
        let (_, mut weights) = trained(shape);
        let packed =
            PackedRnn::of_table(&mut weights, "rnn", shape, Precision::F32, &table).unwrap();
        let read = |ids: &[u32], lengths: &[usize], state: Option<&mut _>, keep: Keep<'_>| {
            packed.read(RnnInput::Ids(ids), lengths, state, keep).unwrap()
        };
        let whole = read(&ids, &lengths, None, Keep::Tokens);
        let mut state = packed.first_state(3).unwrap();
        let first = read(&[0, 8, 1, 2, 5], &[2, 1, 2], Some(&mut state), Keep::Tokens);
        let second = read(&[3, 3, 7, 4, 4, 6, 0], &[2, 1, 4], Some(&mut state), Keep::Tokens);
        let rows = |all: &[f32], rows: &[usize]| -> Vec<f32> {
            rows.iter().flat_map(|r| all[r * 20..(r + 1) * 20].to_vec()).collect()
        };
        assert_eq!(first, rows(&whole, &[0, 1, 4, 6, 7]));
        assert_eq!(second, rows(&whole, &[2, 3, 5, 8, 9, 10, 11]));
        let mut at = [Keep::NONE; 12];
        (at[5], at[0]) = (0, 1);
        assert_eq!(read(&ids, &lengths, None, Keep::At(&at)), rows(&whole, &[5, 0]));
    }
}

#[test]
fn kept_rows_of_a_connected_layer_are_those_of_all() {
    let lengths = [3, 0, 4];
    let x = values(7 * 6, "input");
    for shape in shapes().filter(|shape| shape.between != Between::default()) {
        let (_, mut weights) = trained(shape);
        let packed = PackedRnn::new(&mut weights, "rnn", shape, Precision::F32).unwrap();
        let all = packed.apply(&x, &lengths).unwrap();
        let mut at = [Keep::NONE; 7];
        (at[5], at[0]) = (0, 1);
        let read = packed.read(RnnInput::Rows(&x), &lengths, None, Keep::At(&at)).unwrap();
        let width = shape.output_dim();
        assert_eq!(read, [&all[5 * width..6 * width], &all[..width]].concat());
    }
}

#[test]
fn first_values_are_orthogonal_and_remember_if_asked() {
    for cell in CellKind::ALL {
        let (mut params, shape) = (ParamSet::new(), RnnShape { cell, ..lstm(6, 20, 1, false) });
        let first = RnnInit { orthogonal: true, forget_bias: 9.0 };
        Rnn::new(&mut params, "rnn", shape, first, &mut Rng::new(2, "init", 0)).unwrap();
        for gate in params.values("rnn.weight_hh_l0").unwrap().chunks(20 * 20) {
            let norm: f32 = gate[..20].iter().map(|w| w * w).sum();
            let across: f32 = gate[..20].iter().zip(&gate[20..40]).map(|(a, b)| a * b).sum();
            assert!((norm - 1.0).abs() < 1e-5 && across.abs() < 1e-5, "{norm} {across}");
        }
        let bias = params.values("rnn.bias_ih_l0").unwrap();
        let raised = bias.iter().filter(|b| b.abs() > 5.0).count();
        let remembers = cell.cell().spec().remember.is_some();
        assert_eq!(raised, if remembers { 20 } else { 0 }, "{cell:?}");
        // A wide open gate: the state hardly changes in a step.
        if !remembers || cell.cell().spec().states > 1 {
            continue;
        }
        let mut weights = Weights::from_params(&params).unwrap();
        let packed = PackedRnn::new(&mut weights, "rnn", shape, Precision::F32).unwrap();
        let hidden = packed.apply(&values(6, "input"), &[1]).unwrap();
        assert!(hidden.iter().all(|h| h.abs() < 1e-2), "{cell:?} {hidden:?}");
    }
}

#[test]
fn the_flow_of_gradients_is_that_of_the_last_output() {
    for cell in CellKind::ALL {
        let (rnn, weights) = trained(RnnShape { cell, ..lstm(3, 8, 2, false) });
        let (x, lengths) = (values(9 * 3, "input"), [5, 0, 4]);
        let tensor = Tensor::from_slice(&x, (9, 3), &Device::Cpu).unwrap();
        let flow = rnn.gradient_flow(&tensor, &lengths).unwrap();
        assert_eq!(flow.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5]);
        // The first layer's, four tokens before the end of the first sequence,
        // by finite differences.
        let shape = RnnShape { cell, ..lstm(3, 8, 2, false) };
        let packed = PackedRnn::new(&mut weights.clone(), "rnn", shape, Precision::F32).unwrap();
        let last = |x: &[f32]| -> f64 {
            let out = packed.apply(x, &[5]).unwrap();
            out[4 * 8..].iter().map(|&h| f64::from(h)).sum()
        };
        let slope = |i: usize| {
            let moved = |by: f32| {
                let mut x = x[..15].to_vec();
                x[i] += by;
                last(&x)
            };
            (moved(1e-2) - moved(-1e-2)) / 2e-2
        };
        let want = (0..3).map(|i| slope(i) * slope(i)).sum::<f64>().sqrt();
        assert!((flow[0][4] - want).abs() < 0.02 * want + 1e-6, "{cell:?}: {} {want}", flow[0][4]);
    }
}

#[test]
fn single_steps_give_the_bits_of_the_whole_sequence() {
    let x = values(9 * 6, "input");
    for shape in shapes().filter(|shape| !shape.bidirectional) {
        let (rnn, mut weights) = trained(shape);
        let packed = PackedRnn::new(&mut weights, "rnn", shape, Precision::F32).unwrap();
        let whole = packed.apply(&x, &[9]).unwrap();
        let (mut state, mut states) =
            (packed.first_state(1).unwrap(), rnn.first_states(1).unwrap());
        for (x, want) in x.chunks(6).zip(whole.chunks(20)) {
            let step = packed.read(RnnInput::Rows(x), &[1], Some(&mut state), Keep::Tokens);
            assert_eq!(step.unwrap(), want);
            let x = Tensor::from_slice(x, (1, 6), &Device::Cpu).unwrap();
            let (input, rng) = (RecurrentInput::Rows(&x), &mut Rng::new(3, "dropout", 0));
            let out = rnn.forward_from(input, &[1], &states, 0.0, rng).unwrap();
            assert_eq!(plain(&out.hidden), want);
            states = out.states;
        }
    }
}
