//! What recurrent cells remember: the adding and the copying problem (Hochreiter and Schmidhuber,
//! 1997; Arjovsky et al., 2016), and how the gradient fades over time.
//!
//! `cargo run --release -p glossator-nn --example memory -- [--task adding|copying] [--cell gru]
//! [--length 100] [--steps 2000] [--rate 0.002] [--forget-bias 1] [--plot FILE.svg]` prints one line a cell: loss
//! and score of new sequences, and what is left of the gradient over all steps, before and after.

use candle_core::{Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use epaint_default_fonts::UBUNTU_LIGHT;
use glossator_nn::{Between, CellKind, Linear, ParamSet, Rng, Rnn, RnnInit, RnnShape, nll};
use plotters::{prelude::*, style::register_font};

type Error = Box<dyn std::error::Error>;

const HIDDEN: usize = 128;
const BATCH: usize = 64;
/// Symbols to be copied, and how many kinds there are.
const SYMBOLS: usize = 10;
const KINDS: usize = 8;

fn main() -> Result<(), Error> {
    let length = option("--length").map_or(Ok(100), |n| n.parse())?;
    let steps = option("--steps").map_or(Ok(2000), |n| n.parse())?;
    let lr = option("--rate").map_or(Ok(2e-3), |rate| rate.parse())?;
    let is_adding = option("--task").is_none_or(|task| task == "adding");
    let forget_bias = option("--forget-bias").map_or(Ok(1.0), |n| n.parse())?;
    let only = option("--cell");
    let mut flows = Vec::new();
    for cell in CellKind::ALL {
        let name = cell.cell().spec().name;
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let mut params = ParamSet::new();
        let task = Task::new(cell, is_adding, length, forget_bias, &mut params)?;
        let before = task.flow()?;
        let vars = params.iter().map(|param| param.var.clone()).collect();
        let mut adam = AdamW::new(vars, ParamsAdamW { lr, ..ParamsAdamW::default() })?;
        for step in 0..steps {
            let loss = task.loss(step as u64, BATCH)?.0;
            let mut gradients = loss.backward()?;
            clip(&params, &mut gradients)?;
            adam.step(&gradients)?;
        }
        let (loss, score) = task.loss(u64::MAX, 512)?;
        let loss = loss.to_scalar::<f32>()?;
        // The gradient that is left of that of the last step, none of none.
        let far = |flow: &[f64]| flow[flow.len() - 1] / flow[0].max(f64::MIN_POSITIVE);
        let after = task.flow()?;
        let (before_far, after_far) = (far(&before), far(&after));
        println!(
            "{name:13} loss {loss:.4}  score {score:.3}  gradient {before_far:.1e} {after_far:.1e}"
        );
        flows.push((name, before));
    }
    match option("--plot") {
        Some(path) => plot(&path, &flows),
        None => Ok(()),
    }
}

fn option(flag: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != flag).nth(1)
}

/// Scales gradients down to a norm of 1.
fn clip(params: &ParamSet, gradients: &mut candle_core::backprop::GradStore) -> Result<(), Error> {
    let mut sum = 0.0;
    for param in params.iter() {
        if let Some(gradient) = gradients.get(&param.var) {
            sum += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    if sum > 1.0 {
        for param in params.iter() {
            if let Some(gradient) = gradients.remove(&param.var) {
                gradients.insert(&param.var, (gradient / sum.sqrt())?);
            }
        }
    }
    Ok(())
}

/// A network on one of the two problems.
struct Task {
    is_adding: bool,
    length: usize,
    rnn: Rnn,
    output: Linear,
}

impl Task {
    fn new(
        cell: CellKind,
        is_adding: bool,
        length: usize,
        forget_bias: f32,
        params: &mut ParamSet,
    ) -> Result<Self, Error> {
        let shape = RnnShape {
            cell,
            input_dim: if is_adding { 2 } else { KINDS + 2 },
            hidden_dim: HIDDEN,
            n_layers: 1,
            bidirectional: false,
            between: Between::default(),
            learned_state: false,
        };
        let rng = &mut Rng::new(1, "init", 0);
        let first = RnnInit { orthogonal: true, forget_bias };
        let rnn = Rnn::new(params, "rnn", shape, first, rng)?;
        let out = if is_adding { 1 } else { KINDS };
        Ok(Self {
            is_adding,
            length,
            rnn,
            output: Linear::new(params, "output", HIDDEN, out, rng)?,
        })
    }

    /// Input rows of sequences, and what is wanted.
    fn batch(&self, number: u64, size: usize) -> Result<(Tensor, Vec<f32>, usize), Error> {
        let mut rng = Rng::new(1, "batch", number);
        let (mut rows, mut wanted) = (Vec::new(), Vec::new());
        let steps = if self.is_adding { self.length } else { self.length + 2 * SYMBOLS };
        for _ in 0..size {
            if self.is_adding {
                // Two of the numbers are marked; their sum is asked for.
                let half = self.length / 2;
                let marked = [rng.below(half), half + rng.below(self.length - half)];
                let values: Vec<f32> = (0..self.length).map(|_| rng.uniform()).collect();
                wanted.push(marked.iter().map(|&t| values[t]).sum());
                for (t, value) in values.into_iter().enumerate() {
                    rows.extend([value, f32::from(u8::from(marked.contains(&t)))]);
                }
            } else {
                // Symbols, blanks, and from the signal on the symbols again.
                let symbols: Vec<usize> = (0..SYMBOLS).map(|_| rng.below(KINDS)).collect();
                wanted.extend(symbols.iter().map(|&symbol| symbol as f32));
                for t in 0..steps {
                    let mut row = [0.0; KINDS + 2];
                    let signal = if t >= self.length + SYMBOLS { KINDS + 1 } else { KINDS };
                    row[symbols.get(t).copied().unwrap_or(signal)] = 1.0;
                    rows.extend(row);
                }
            }
        }
        let columns = if self.is_adding { 2 } else { KINDS + 2 };
        Ok((Tensor::from_vec(rows, (size * steps, columns), &Device::Cpu)?, wanted, steps))
    }

    /// Mean loss of a batch, and its score: the error of sums below 0.04 counts as
    /// right, or the share of symbols that are.
    fn loss(&self, number: u64, size: usize) -> Result<(Tensor, f64), Error> {
        let (x, wanted, steps) = self.batch(number, size)?;
        let out = self.rnn.forward(&x, &vec![steps; size], 0.0, &mut Rng::new(1, "dropout", 0))?;
        if self.is_adding {
            let sums = self.output.forward(&out.last)?.squeeze(1)?;
            let right = sums.to_vec1::<f32>()?;
            let right = right.iter().zip(&wanted).filter(|(a, b)| (*a - *b).abs() < 0.04).count();
            let wanted = Tensor::from_vec(wanted, size, &Device::Cpu)?;
            let loss = (sums - wanted)?.sqr()?.mean_all()?;
            return Ok((loss, right as f64 / size as f64));
        }
        let hidden = out.hidden.reshape((size, steps, HIDDEN))?;
        let hidden =
            hidden.narrow(1, steps - SYMBOLS, SYMBOLS)?.reshape((size * SYMBOLS, HIDDEN))?;
        let scores = self.output.forward(&hidden.contiguous()?)?;
        let best = scores.argmax(1)?.to_vec1::<u32>()?;
        let right = best.iter().zip(&wanted).filter(|(a, b)| **a as f32 == **b).count();
        let gold = wanted.iter().map(|&symbol| symbol as u32).collect();
        let loss = (nll(&scores, gold)? / wanted.len() as f64)?;
        Ok((loss, right as f64 / wanted.len() as f64))
    }

    /// Norm of the gradient of the last output by the distance of what was read.
    fn flow(&self) -> Result<Vec<f64>, Error> {
        let (x, _, steps) = self.batch(0, BATCH)?;
        Ok(self.rnn.gradient_flow(&x, &[steps; BATCH])?.swap_remove(0))
    }
}

/// Draws the flows before training on a logarithmic scale.
fn plot(path: &str, flows: &[(&str, Vec<f64>)]) -> Result<(), Error> {
    const FLOOR: f64 = 1e-12;
    register_font("sans-serif", FontStyle::Normal, UBUNTU_LIGHT).map_err(|_| "no font")?;
    let root = SVGBackend::new(path, (760, 440)).into_drawing_area();
    root.fill(&WHITE)?;
    let longest = flows.iter().map(|(_, flow)| flow.len()).max().unwrap_or(1);
    let top = flows.iter().flat_map(|(_, flow)| flow).copied().fold(1.0, f64::max) * 2.0;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0..longest, (FLOOR..top).log_scale())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("steps between input and output")
        .y_desc("norm of the gradient")
        .y_label_formatter(&|value| format!("{value:.0e}"))
        .draw()?;
    for (number, (name, flow)) in flows.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let points = flow.iter().enumerate().map(|(t, norm)| (t, norm.max(FLOOR)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::LowerLeft).draw()?;
    root.present()?;
    Ok(())
}
