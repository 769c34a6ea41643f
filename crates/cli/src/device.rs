//! Where a model is computed.

use std::str::FromStr;

use crate::exit::Usage;

/// A device as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The best there is.
    Auto,
    /// The processor.
    Cpu,
    /// A graphics card, by its number.
    Cuda(usize),
}

impl Device {
    /// The device that is used. If it is one of CUDA, and this program is built
    /// without, another one takes its place.
    ///
    /// # Errors
    /// If nothing here can compute there.
    pub fn resolve(self) -> Result<glossator::Device, Usage> {
        let cpu = glossator::Device::cpu();
        match self {
            Device::Cpu => Ok(cpu),
            // Without CUDA there is nothing better.
            Device::Auto => Ok(glossator::Device::cuda(0).unwrap_or(cpu)),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => match crate::companion::hand_over()? {},
            #[cfg(feature = "cuda")]
            Device::Cuda(number) => glossator::Device::cuda(number).map_err(|error| {
                Usage(format!("--device: {error}; say --device cpu to do without"))
            }),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "auto" => return Ok(Device::Auto),
            "cpu" => return Ok(Device::Cpu),
            "cuda" => return Ok(Device::Cuda(0)),
            _ => {}
        }
        let number = name.strip_prefix("cuda:").and_then(|number| number.parse().ok());
        number.map(Device::Cuda).ok_or_else(|| "known are auto, cpu, cuda and cuda:N".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(Device::Cuda(3)));
        for bad in ["gpu", "cuda:", "cuda:x", "CPU"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
        assert!(Device::Cpu.resolve().unwrap().is_cpu());
    }
}
