//! The time loop of an LSTM over characters, against this machine's own peak.
//!
//! `cargo bench -p glossator-kernels --bench scan -- --threads 2 [--hidden 512]` prints
//! one JSON line for each size, number format and number of rows: billions of
//! operations a second of the recurrent product (what the gates cost is in the
//! time), and the share of what all threads reach in registers alone, measured
//! before each line. Every thread scans by itself, as the two directions of a
//! pair of language models do.

use std::time::Instant;

use glossator_kernels::{
    Direction, Isa, Schedule,
    cells::{Batch, CellKind, Input, Precision, Sink, Weights},
    peak,
};
use rayon::prelude::*;

/// Characters that the table knows.
const ITEMS: usize = 200;
const RUNS: usize = 5;

struct Nothing;

impl Sink for Nothing {
    fn token(&mut self, _: usize, _: &[f32]) {}
    fn end(&mut self, _: usize, _: &[&[f32]]) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = number("--threads").unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let hidden: Vec<usize> =
        number("--hidden").map_or_else(|| vec![256, 512, 1024, 2048], |only| vec![only]);
    for hidden_dim in hidden {
        for precision in Precision::ALL {
            for &isa in &Isa::available()[..1] {
                let scan = scan(hidden_dim, precision, isa)?;
                for lanes in [1, 8, 32, 64, 256] {
                    report(hidden_dim, precision, isa, threads, lanes, &scan);
                }
            }
        }
    }
    Ok(())
}

fn number(flag: &str) -> Option<usize> {
    std::env::args().skip_while(|arg| arg != flag).nth(1)?.parse().ok()
}

/// Scans so many lanes for so many steps with random weights.
fn scan(
    hidden_dim: usize,
    precision: Precision,
    isa: Isa,
) -> Result<impl Fn(usize, usize) + Sync, glossator_kernels::Error> {
    let rows = 4 * hidden_dim;
    let scale = 1.0 / (hidden_dim as f32).sqrt();
    let values = |len: usize, seed: usize| -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0;
        (0..len).map(|i| scale * value(i)).collect()
    };
    let (w_ih, w_hh, bias) = (values(rows, 1), values(rows * hidden_dim, 2), values(rows, 3));
    let weights = Weights {
        input_dim: 1,
        hidden_dim,
        weight_ih: &w_ih,
        weight_hh: &w_hh,
        bias_ih: &bias,
        bias_hh: &bias,
        vectors: &[],
    };
    let cell = CellKind::Lstm.cell();
    let packed = cell.pack(&weights, isa, precision)?;
    let table = values(ITEMS * packed.gate_dim(), 4);
    Ok(move |lanes: usize, steps: usize| {
        let schedule = Schedule::new(&vec![steps; lanes], lanes, Direction::Forward);
        let ids: Vec<u32> = (0..lanes * steps).map(|i| (i * 31 % ITEMS) as u32).collect();
        let batch = Batch { schedule: &schedule, initial: None };
        let input = Input::Table { table: &table, ids: &ids };
        let scanned = cell.infer(&packed, input, batch, &mut Nothing);
        assert!(scanned.is_ok(), "the arguments fit");
    })
}

fn report(
    hidden_dim: usize,
    precision: Precision,
    isa: Isa,
    threads: usize,
    lanes: usize,
    scan: &(impl Fn(usize, usize) + Sync),
) {
    let peaks: f64 = (0..threads).into_par_iter().map(|_| peak(isa, precision)).sum();
    let step = (8 * hidden_dim * hidden_dim * lanes) as f64;
    // About a tenth of a second at half the peak.
    let steps = (0.05 * peaks / threads as f64 / step).ceil().clamp(2.0, 2000.0) as usize;
    let all = |steps| (0..threads).into_par_iter().with_max_len(1).for_each(|_| scan(lanes, steps));
    all(1);
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            all(steps);
            step * (steps * threads) as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let median = rates[RUNS / 2];
    let line = serde_json::json!({
        "bench": "lstm time loop",
        "instructions": format!("{isa:?}"),
        "precision": format!("{precision:?}"),
        "threads": threads,
        "hidden_dim": hidden_dim,
        "rows": lanes,
        "gops": (median / 1e9).round(),
        "peak_gops": (peaks / 1e9).round(),
        "fastest_gops": (rates[RUNS - 1] / 1e9).round(),
        "share_of_peak": (median / peaks * 1000.0).round() / 1000.0,
        "steps_per_second": (median / step).round(),
    });
    println!("{line}");
}
