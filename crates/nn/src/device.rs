//! Where is computed.

use std::fmt;

use crate::{Error, Result};

/// A processor or a GPU.
#[derive(Clone, Debug)]
pub struct Device {
    candle: candle_core::Device,
    /// Of a GPU.
    number: Option<usize>,
}

impl Device {
    /// The processor.
    pub fn cpu() -> Self {
        Self { candle: candle_core::Device::Cpu, number: None }
    }

    /// An NVIDIA GPU, by its number from 0 on.
    ///
    /// # Errors
    /// If this program is built without CUDA, or there is no such GPU.
    pub fn cuda(number: usize) -> Result<Self> {
        let problem = |problem: String| Error::Device { number, problem };
        if !cfg!(feature = "cuda") {
            return Err(problem("this program is built without CUDA".to_owned()));
        }
        match glossator_kernels::op::gpu(number) {
            Ok(candle) => Ok(Self { candle, number: Some(number) }),
            // What follows the first line is where it happened.
            Err(error) => {
                Err(problem(error.to_string().lines().next().unwrap_or_default().to_owned()))
            }
        }
    }

    /// The number of a GPU; none if it is the processor.
    pub fn number(&self) -> Option<usize> {
        self.number
    }

    /// Whether it is the processor.
    pub fn is_cpu(&self) -> bool {
        self.number.is_none()
    }

    /// What Candle makes tensors on.
    pub fn candle(&self) -> &candle_core::Device {
        &self.candle
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::cpu()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "cuda:{number}"),
            None => f.write_str("cpu"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(Device::default().to_string(), "cpu");
        assert!(Device::cpu().is_cpu() && Device::cpu().candle().is_cpu());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn without_cuda_there_is_no_gpu() {
        let error = Device::cuda(1).unwrap_err().to_string();
        assert!(error.contains("cuda:1") && error.contains("without CUDA"), "{error}");
    }
}
