//! Where a model is computed.

use std::{fmt, str::FromStr};

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

/// A device that this program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu;

impl Device {
    /// The device that is used.
    ///
    /// # Errors
    /// If this program cannot compute there.
    pub fn resolve(self) -> Result<Cpu, Usage> {
        match self {
            Device::Auto | Device::Cpu => Ok(Cpu),
            Device::Cuda(number) => Err(Usage(format!(
                "--device cuda:{number}: this program is built without CUDA; leave --device out, or say --device cpu"
            ))),
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cpu")
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
        assert_eq!(Device::Auto.resolve().unwrap(), Cpu);
        assert!(Device::Cuda(1).resolve().unwrap_err().to_string().contains("without CUDA"));
    }
}
