//! Memory of this process.

/// Bytes it held at most so far, where the system tells.
pub fn peak() -> Option<u64> {
    of_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The peak that `/proc/self/status` names.
fn of_status(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read() {
        let status = "Name:\tgloss\nVmPeak:\t  900 kB\nVmHWM:\t  136224 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(of_status(status), Some(136_224 * 1024));
        for bad in ["", "VmHWM:\t12 MB\n", "VmHWM:\tx kB\n", "VmHWM:\t18446744073709551615 kB\n"] {
            assert_eq!(of_status(bad), None, "{bad}");
        }
    }
}
