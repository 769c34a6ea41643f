//! LSTM forward and backward over a batch, against candle-nn's.
//!
//! `cargo bench -p glossator-kernels --bench lstm -- --threads 2` prints one JSON
//! line for each implementation and size, with the keys of `scripts/bench/lstm.py`.

use std::{sync::Arc, time::Instant};

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{LSTMConfig, RNN, VarBuilder, VarMap, rnn};
use glossator_kernels::{
    Direction, Schedule,
    cells::{CellKind, Precision},
    op::{self, RecurrentInput},
};

const INPUT_DIM: usize = 128;
const BATCH: usize = 32;
const STEPS: usize = 100;

fn main() -> Result<()> {
    let threads = number("--threads").unwrap_or(2);
    let runs = number("--runs").unwrap_or(10);
    let only = std::env::args().skip_while(|arg| arg != "--only").nth(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(candle_core::Error::wrap)?;
    for hidden_dim in [256, 1024] {
        if only.as_deref() != Some("candle-nn") {
            let ours = ours(hidden_dim)?;
            report("glossator", hidden_dim, threads, &time(runs, ours)?);
        }
        if only.as_deref() != Some("glossator") {
            let theirs = candle(hidden_dim)?;
            let runs = if hidden_dim > 512 { runs.div_ceil(4) } else { runs };
            report("candle-nn", hidden_dim, threads, &time(runs, theirs)?);
        }
    }
    Ok(())
}

fn number(flag: &str) -> Option<usize> {
    std::env::args().skip_while(|arg| arg != flag).nth(1)?.parse().ok()
}

/// One forward and backward pass of our operation.
fn ours(hidden_dim: usize) -> Result<impl FnMut() -> Result<()>> {
    let schedule = Arc::new(Schedule::new(&[STEPS; BATCH], BATCH, Direction::Forward));
    let rows = 4 * hidden_dim;
    let len = rows * (INPUT_DIM + hidden_dim + 2);
    let weights = Var::from_tensor(&random(&[len], 1.0 / (hidden_dim as f64).sqrt())?)?;
    let input = Var::from_tensor(&random(&[STEPS * BATCH, INPUT_DIM], 1.0)?)?;
    let initial = Tensor::zeros((2, BATCH, hidden_dim), DType::F32, &Device::Cpu)?;
    let kind = CellKind::Lstm;
    Ok(move || {
        let out = op::recurrent(
            kind,
            &schedule,
            RecurrentInput::Rows(&input),
            &weights,
            &initial,
            Precision::F32,
        )?;
        let gradients = out.hidden.sum_all()?.backward()?;
        assert!(gradients.get(&weights).is_some() && gradients.get(&input).is_some());
        Ok(())
    })
}

/// The same by candle-nn's layer.
fn candle(hidden_dim: usize) -> Result<impl FnMut() -> Result<()>> {
    let map = VarMap::new();
    let builder = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let lstm = rnn::lstm(INPUT_DIM, hidden_dim, LSTMConfig::default(), builder)?;
    let input = Var::from_tensor(&random(&[BATCH, STEPS, INPUT_DIM], 1.0)?)?;
    Ok(move || {
        let states = lstm.seq(&input)?;
        let gradients = lstm.states_to_tensor(&states)?.sum_all()?.backward()?;
        assert!(map.all_vars().iter().all(|var| gradients.get(var).is_some()));
        Ok(())
    })
}

fn random(shape: &[usize], bound: f64) -> Result<Tensor> {
    Tensor::rand(-bound as f32, bound as f32, shape, &Device::Cpu)
}

/// Tokens per second of each run, after three that are not counted.
fn time(runs: usize, mut pass: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..3.min(runs) {
        pass()?;
    }
    let mut speeds = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        pass()?;
        speeds.push((STEPS * BATCH) as f64 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    Ok(speeds)
}

fn report(implementation: &str, hidden_dim: usize, threads: usize, speeds: &[f64]) {
    let line = serde_json::json!({
        "bench": "lstm forward+backward",
        "implementation": implementation,
        "threads": threads,
        "dtype": "f32",
        "input_dim": INPUT_DIM,
        "hidden_dim": hidden_dim,
        "batch": BATCH,
        "steps": STEPS,
        "runs": speeds.len(),
        "tokens_per_second": speeds[speeds.len() / 2].round(),
        "fastest": speeds[speeds.len() - 1].round(),
        "slowest": speeds[0].round(),
    });
    println!("{line}");
}
