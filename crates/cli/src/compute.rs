//! Options of the verbs that compute.

use anyhow::Context;
use clap::ValueEnum;

use crate::{
    device::Device,
    exit::Usage,
    log::{Log, counted},
};

/// Where is computed, and by what chance.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Computation")]
pub struct Compute {
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: Device,
    /// Threads; changes speed, never a result [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Seed of all chance: in a training, over the configuration's, and in generated text
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
}

/// How text is labelled.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Computation")]
pub struct Labelling {
    #[command(flatten)]
    pub compute: Compute,
    /// Number format of weights and products
    #[arg(long, value_name = "PRECISION", default_value = "auto")]
    pub precision: Precision,
    /// Tokens computed together; changes speed and memory, never a result
    #[arg(long, value_name = "TOKENS", default_value_t = 4096, value_parser = at_least_one)]
    pub batch_size: usize,
}

/// How weights are kept while they are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// What the model's configuration names
    Auto,
    /// 32-bit floats
    F32,
    /// The upper halves of 32-bit floats
    Bf16,
    /// 8-bit integers
    Int8,
}

impl Precision {
    /// The number format to load a model for; none: the model's own.
    pub fn chosen(self) -> Option<glossator::Precision> {
        match self {
            Self::Auto => None,
            Self::F32 => Some(glossator::Precision::F32),
            Self::Bf16 => Some(glossator::Precision::Bf16),
            Self::Int8 => Some(glossator::Precision::Int8),
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

impl Compute {
    /// Starts the threads, chooses the device and says which.
    ///
    /// # Errors
    /// If this program cannot compute there, or so many threads cannot be had.
    pub fn prepare(&self, log: Log) -> anyhow::Result<glossator::Device> {
        let device = self.device.resolve()?;
        let threads = self.threads.map_or(0, usize::from);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|error| Usage(error.to_string()))
            .with_context(|| format!("cannot start {threads} threads"))?;
        let threads = counted(rayon::current_num_threads(), "thread");
        log.info(format_args!("device: {device}, {threads}"));
        Ok(device)
    }
}

impl Compute {
    /// As [`Compute::prepare`], for what computes on the processor only.
    ///
    /// # Errors
    /// If a GPU is asked for, or so many threads cannot be had.
    pub fn prepare_processor(&self, what: &str, log: Log) -> anyhow::Result<()> {
        if let Device::Cuda(number) = self.device {
            let problem = format!("--device cuda:{number}: {what} on the processor only");
            return Err(Usage(problem).into());
        }
        Self { device: Device::Cpu, ..self.clone() }.prepare(log).map(drop)
    }
}

impl Labelling {
    /// Starts the threads, chooses the device and says which: how models are to be
    /// computed.
    ///
    /// # Errors
    /// If this program cannot compute there or so, or the threads cannot be had.
    pub fn prepare(&self, log: Log) -> anyhow::Result<glossator::Compute> {
        let (device, precision) = (self.compute.prepare(log)?, self.precision.chosen());
        if !device.is_cpu() && self.precision == Precision::Int8 {
            let problem = format!("--precision int8: not on {device}; say bf16 or f32");
            return Err(Usage(problem).into());
        }
        Ok(glossator::Compute { precision, device })
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
