//! Every cell forward and backward over a batch, against a graph of Candle's own operations.
//!
//! `cargo bench -p glossator-kernels --bench cells -- --threads 2 [--cell gru] [--hidden 1024]
//! [--only glossator|graph]` prints one JSON line for each implementation and cell, with the
//! keys of `scripts/bench/cells.py`. With feature `cuda`, `--device cuda [--dtype bf16]` does
//! the same on a GPU.

use std::{sync::Arc, time::Instant};

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::ops::sigmoid;
use glossator_kernels::{
    Direction, Isa, Schedule,
    cells::{Batch, CellKind, Features, Gradients, Pass, Precision, Scanned, Upstream, Weights},
    op::{self, RecurrentInput},
};

const INPUT_DIM: usize = 128;
const BATCH: usize = 64;
const STEPS: usize = 100;

/// One pass there and back.
struct Run {
    /// Tokens per second.
    speed: f64,
    /// Share of the time after which everything has been asked of the device.
    asking: f64,
}

/// What is measured, and where.
struct Setting {
    device: Device,
    precision: Precision,
    threads: usize,
    hidden_dim: usize,
    runs: usize,
}

fn main() -> Result<()> {
    let number =
        |flag, otherwise| option(flag).map_or(otherwise, |n| n.parse().unwrap_or(otherwise));
    let setting = Setting {
        device: match option("--device").as_deref() {
            Some("cuda") => op::gpu(0)?,
            _ => Device::Cpu,
        },
        precision: match option("--dtype").as_deref() {
            Some("bf16") => Precision::Bf16,
            _ => Precision::F32,
        },
        threads: number("--threads", 2),
        hidden_dim: number("--hidden", 1024),
        runs: number("--runs", 5),
    };
    let (only, cell) = (option("--only"), option("--cell"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(setting.threads).build_global();
    pool.map_err(candle_core::Error::wrap)?;
    for kind in CellKind::ALL {
        let name = kind.cell().spec().name;
        if cell.as_ref().is_some_and(|cell| cell != name) {
            continue;
        }
        if only.as_deref() != Some("graph") {
            let runs = match setting.device {
                Device::Cpu => setting.time(setting.runs, on_processor(kind, &setting)?)?,
                _ => setting.time(setting.runs, on_device(kind, &setting)?)?,
            };
            setting.report("glossator", name, &runs);
        }
        if only.as_deref() != Some("glossator") && setting.precision == Precision::F32 {
            let runs = setting.time(setting.runs.div_ceil(3), graph(kind, &setting)?)?;
            setting.report("candle graph", name, &runs);
        }
    }
    Ok(())
}

fn option(flag: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != flag).nth(1)
}

/// One forward and backward pass of our kernels, weights packed anew.
fn on_processor(kind: CellKind, setting: &Setting) -> Result<impl FnMut() -> Result<()>> {
    let (cell, spec) = (kind.cell(), kind.cell().spec());
    let (hidden_dim, precision) = (setting.hidden_dim, setting.precision);
    let schedule = Schedule::new(&[STEPS; BATCH], BATCH, Direction::Forward);
    let values = |len: usize, bound: f64| random(&[len], bound, &Device::Cpu)?.to_vec1::<f32>();
    let flat = values(spec.weights(INPUT_DIM, hidden_dim), 1.0 / (hidden_dim as f64).sqrt())?;
    let input = values(STEPS * BATCH * INPUT_DIM, 1.0)?;
    let gradient = values(STEPS * BATCH * hidden_dim, 1.0)?;
    let last = vec![0.0; spec.states * BATCH * hidden_dim];
    let pass = move || -> std::result::Result<Gradients, glossator_kernels::Error> {
        let weights = Weights::from_flat(&flat, spec, INPUT_DIM, hidden_dim)?;
        let packed = cell.pack(&weights, Isa::detect(), precision)?;
        let (features, batch) =
            (Features::Rows(&input), Batch { schedule: &schedule, initial: None });
        let Scanned { hidden, saved, .. } = cell.forward(&packed, features, batch)?;
        let pass = Pass { features, batch, hidden: &hidden, is_constant: false };
        cell.backward(&weights, pass, saved, Upstream { hidden: &gradient, last: &last })
    };
    Ok(move || {
        let gradients = pass().map_err(candle_core::Error::wrap)?;
        assert!(gradients.input.len() == STEPS * BATCH * INPUT_DIM);
        Ok(())
    })
}

/// The same on a GPU.
fn on_device(kind: CellKind, setting: &Setting) -> Result<impl FnMut() -> Result<()>> {
    let (spec, precision) = (kind.cell().spec(), setting.precision);
    let (hidden_dim, device) = (setting.hidden_dim, setting.device.clone());
    let schedule = Arc::new(Schedule::new(&[STEPS; BATCH], BATCH, Direction::Forward));
    let var = |shape: &[usize], bound| Var::from_tensor(&random(shape, bound, &device)?);
    let weights = var(&[spec.weights(INPUT_DIM, hidden_dim)], 1.0 / (hidden_dim as f64).sqrt())?;
    let input = var(&[STEPS * BATCH, INPUT_DIM], 1.0)?;
    let gradient = random(&[STEPS * BATCH, hidden_dim], 1.0, &device)?;
    let initial = Tensor::zeros((spec.states, BATCH, hidden_dim), DType::F32, &device)?;
    Ok(move || {
        let rows = RecurrentInput::Rows(&input);
        let out = op::recurrent(kind, &schedule, rows, &weights, &initial, precision)?;
        let gradients = (out.hidden * &gradient)?.sum_all()?.backward()?;
        assert!(gradients.get(&weights).is_some() && gradients.get(&input).is_some());
        Ok(())
    })
}

/// The same as a graph: the input side as one product, then a few operations a
/// step.
fn graph(kind: CellKind, setting: &Setting) -> Result<impl FnMut() -> Result<()>> {
    let (spec, hidden_dim) = (kind.cell().spec(), setting.hidden_dim);
    let bound = 1.0 / (hidden_dim as f64).sqrt();
    let rows = spec.gates * hidden_dim;
    let device = setting.device.clone();
    let var = |shape: &[usize], bound| Var::from_tensor(&random(shape, bound, &device)?);
    let weights = Step {
        kind,
        hidden_dim,
        weight: var(&[rows, hidden_dim], bound)?,
        bias: var(&[rows], bound)?,
        peepholes: var(&[spec.vectors.max(1), hidden_dim], bound)?,
    };
    let (weight_ih, bias_ih) = (var(&[rows, INPUT_DIM], bound)?, var(&[rows], bound)?);
    let input = var(&[STEPS * BATCH, INPUT_DIM], 1.0)?;
    Ok(move || {
        let gates = input.matmul(&weight_ih.t()?)?.broadcast_add(&bias_ih)?;
        let gates = gates.reshape((STEPS, BATCH, rows))?;
        let zeros = Tensor::zeros((BATCH, hidden_dim), DType::F32, &device)?;
        let mut state = vec![zeros; spec.states];
        let mut hidden = Vec::new();
        for step in 0..STEPS {
            state = weights.step(&gates.get(step)?, &state)?;
            hidden.push(state[0].clone());
        }
        let gradients = Tensor::stack(&hidden, 0)?.sum_all()?.backward()?;
        assert!(gradients.get(&weights.weight).is_some() && gradients.get(&input).is_some());
        Ok(())
    })
}

/// The recurrent side of a cell.
struct Step {
    kind: CellKind,
    hidden_dim: usize,
    weight: Var,
    bias: Var,
    peepholes: Var,
}

impl Step {
    /// The recurrent side of some gates.
    fn side(&self, h: &Tensor, first: usize, count: usize) -> Result<Tensor> {
        let (first, rows) = (first * self.hidden_dim, count * self.hidden_dim);
        let product = h.matmul(&self.weight.narrow(0, first, rows)?.t()?)?;
        product.broadcast_add(&self.bias.narrow(0, first, rows)?)
    }

    fn step(&self, x: &Tensor, state: &[Tensor]) -> Result<Vec<Tensor>> {
        let h = &state[0];
        let part = |t: &Tensor, n| t.narrow(D::Minus1, n * self.hidden_dim, self.hidden_dim);
        let mix = |z: &Tensor, n: &Tensor| (n + z * (h - n)?)?.contiguous();
        match self.kind {
            CellKind::Elman => Ok(vec![(x + self.side(h, 0, 1)?)?.tanh()?]),
            CellKind::ElmanRelu => Ok(vec![(x + self.side(h, 0, 1)?)?.relu()?]),
            CellKind::Lstm | CellKind::PeepholeLstm => {
                let a = (x + self.side(h, 0, 4)?)?;
                let seen = |gate: usize, peephole: usize, cell: &Tensor| -> Result<Tensor> {
                    let a = part(&a, gate)?;
                    match self.kind {
                        CellKind::Lstm => sigmoid(&a),
                        _ => sigmoid(&(a + cell.broadcast_mul(&self.peepholes.get(peephole)?)?)?),
                    }
                };
                let (i, f) = (seen(0, 0, &state[1])?, seen(1, 1, &state[1])?);
                let c = ((f * &state[1])? + (i * part(&a, 2)?.tanh()?)?)?;
                Ok(vec![(seen(3, 2, &c)? * c.tanh()?)?, c])
            }
            CellKind::Gru => {
                let hh = self.side(h, 0, 3)?;
                let gate = |n| sigmoid(&(part(x, n)? + part(&hh, n)?)?);
                let n = (part(x, 2)? + (gate(0)? * part(&hh, 2)?)?)?.tanh()?;
                Ok(vec![mix(&gate(1)?, &n)?])
            }
            CellKind::ChoGru => {
                let hh = self.side(h, 0, 2)?;
                let gate = |n| sigmoid(&(part(x, n)? + part(&hh, n)?)?);
                let reset = (gate(0)? * h)?;
                let n = (part(x, 2)? + self.side(&reset, 2, 1)?)?.tanh()?;
                Ok(vec![mix(&gate(1)?, &n)?])
            }
            CellKind::Mgu => {
                let f = sigmoid(&(part(x, 0)? + self.side(h, 0, 1)?)?)?;
                let n = (part(x, 1)? + self.side(&(&f * h)?, 1, 1)?)?.tanh()?;
                Ok(vec![(h + f * (n - h)?)?])
            }
        }
    }
}

fn random(shape: &[usize], bound: f64, device: &Device) -> Result<Tensor> {
    Tensor::rand(-bound as f32, bound as f32, shape, device)
}

impl Setting {
    /// Each run, the slowest first, after one that is not counted.
    fn time(&self, runs: usize, mut pass: impl FnMut() -> Result<()>) -> Result<Vec<Run>> {
        pass()?;
        self.device.synchronize()?;
        let mut timed = Vec::new();
        for _ in 0..runs {
            let start = Instant::now();
            pass()?;
            let asked = start.elapsed().as_secs_f64();
            self.device.synchronize()?;
            let seconds = start.elapsed().as_secs_f64();
            timed.push(Run { speed: (STEPS * BATCH) as f64 / seconds, asking: asked / seconds });
        }
        timed.sort_by(|a, b| a.speed.total_cmp(&b.speed));
        Ok(timed)
    }

    fn report(&self, implementation: &str, cell: &str, runs: &[Run]) {
        let median = &runs[runs.len() / 2];
        let line = serde_json::json!({
            "bench": "cell forward+backward",
            "cell": cell,
            "implementation": implementation,
            "device": if self.device.is_cpu() { "cpu" } else { "cuda" },
            "threads": self.threads,
            "dtype": match self.precision {
                Precision::F32 => "f32",
                _ => "bf16",
            },
            "input_dim": INPUT_DIM,
            "hidden_dim": self.hidden_dim,
            "batch": BATCH,
            "steps": STEPS,
            "runs": runs.len(),
            "tokens_per_second": median.speed.round(),
            "fastest": runs[runs.len() - 1].speed.round(),
            "slowest": runs[0].speed.round(),
            "asking_share": (100.0 * median.asking).round() / 100.0,
        });
        println!("{line}");
    }
}
