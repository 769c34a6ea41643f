//! Forecasts a time series with every recurrent cell.
//!
//! `cargo run --release -p glossator-nn --example time_series` trains each cell on the
//! sum of two sine waves and noise, each value from the 40 before it, and prints the error of
//! forecasts of values that it has not seen, beside that of the value before them.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use glossator_nn::{
    Between, CellKind, Linear, ParamSet, RecurrentInput, Rng, Rnn, RnnInit, RnnShape,
};

const WINDOW: usize = 40;
const HIDDEN: usize = 32;
const BATCH: usize = 32;
const STEPS: usize = 400;

/// Values of the series: two waves whose periods have no common multiple, and noise.
fn series(len: usize) -> Vec<f32> {
    let mut rng = Rng::new(1, "noise", 0);
    let wave = |t: usize, period: f32| (std::f32::consts::TAU * t as f32 / period).sin();
    (0..len).map(|t| 0.6 * wave(t, 17.3) + 0.4 * wave(t, 5.1) + 0.02 * rng.normal()).collect()
}

/// A recurrent layer and what reads the next value from its last state.
struct Forecaster {
    rnn: Rnn,
    output: Linear,
}

impl Forecaster {
    fn new(cell: CellKind, params: &mut ParamSet) -> glossator_nn::Result<Self> {
        let shape = RnnShape {
            cell,
            input_dim: 1,
            hidden_dim: HIDDEN,
            n_layers: 1,
            bidirectional: false,
            between: Between::default(),
            learned_state: false,
        };
        let rng = &mut Rng::new(1, "init", 0);
        let first = RnnInit { orthogonal: true, forget_bias: 1.0 };
        let rnn = Rnn::new(params, "rnn", shape, first, rng)?;
        Ok(Self { rnn, output: Linear::new(params, "output", HIDDEN, 1, rng)? })
    }

    /// Mean squared error of forecasts, each from the window that ends before it.
    fn loss(&self, series: &[f32], ends: &[usize]) -> glossator_nn::Result<Tensor> {
        let windows = ends.iter().flat_map(|&end| &series[end - WINDOW..end]).copied();
        let windows = Tensor::from_iter(windows, &Device::Cpu)?.reshape(((), 1))?;
        let targets = Tensor::from_iter(ends.iter().map(|&end| series[end]), &Device::Cpu)?;
        let (lengths, rng) = (vec![WINDOW; ends.len()], &mut Rng::new(1, "dropout", 0));
        let states = self.rnn.first_states(ends.len())?;
        let input = RecurrentInput::Rows(&windows);
        let last = self.rnn.forward_from(input, &lengths, &states, 0.0, rng)?.last;
        let forecast = self.output.forward(&last)?.squeeze(1)?;
        Ok((forecast - targets)?.sqr()?.mean_all()?)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let series = series(2400);
    let test: Vec<usize> = (2000..2400).collect();
    let naive = test.iter().map(|&t| (series[t] - series[t - 1]).powi(2)).sum::<f32>();
    println!("value before  {:.4}", (naive / test.len() as f32).sqrt());
    for cell in CellKind::ALL {
        let mut params = ParamSet::new();
        let forecaster = Forecaster::new(cell, &mut params)?;
        let vars = params.iter().map(|param| param.var.clone()).collect();
        let mut adam = AdamW::new(vars, ParamsAdamW { lr: 3e-3, ..ParamsAdamW::default() })?;
        let mut rng = Rng::new(1, "batches", 0);
        for _ in 0..STEPS {
            let ends: Vec<usize> = (0..BATCH).map(|_| WINDOW + rng.below(1900)).collect();
            adam.backward_step(&forecaster.loss(&series, &ends)?)?;
        }
        let error = root(&forecaster.loss(&series, &test)?)?;
        println!("{:13} {error:.4}", cell.cell().spec().name);
    }
    Ok(())
}

fn root(loss: &Tensor) -> Result<f32> {
    Ok(loss.to_dtype(DType::F32)?.to_scalar::<f32>()?.sqrt())
}
