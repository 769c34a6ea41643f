//! What some measurements say.

/// The upper 2.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// The upper 2.5 % points of Student's t with 1, 2, … degrees of freedom.
const T: [f64; 9] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];

/// Measurements in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    /// Student's 95 % interval of the mean, cut at 0; one measurement has none.
    pub interval: Option<[f64; 2]>,
}

impl Summary {
    /// Of measurements that are not negative; nothing if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let n = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / n;
        let squares: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
        let interval = (sorted.len() > 1).then(|| {
            let half = t_95(sorted.len() - 1) * (squares / (n - 1.0) / n).sqrt();
            [(mean - half).max(0.0), mean + half]
        });
        Some(Self { median: quantile(&sorted, 0.5)?, min, max, mean, interval })
    }
}

/// The measurements from the least to the greatest.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value that a part of the sorted measurements does not exceed, on the line
/// between the two measurements next to it; nothing if there are none.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

/// The upper 2.5 % point of Student's t; `freedom` is at least 1. Behind the
/// table by the expansion of Cornish and Fisher, to four digits.
fn t_95(freedom: usize) -> f64 {
    if let Some(t) = freedom.checked_sub(1).and_then(|index| T.get(index)) {
        return *t;
    }
    let n = freedom as f64;
    let [z3, z5, z7] = [3, 5, 7].map(|power| Z.powi(power));
    let first = (z3 + Z) / 4.0;
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / 96.0;
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / 384.0;
    Z + first / n + second / n.powi(2) + third / n.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_is_that_of_the_tables() {
        for (freedom, want) in [
            (1, 12.706),
            (4, 2.776),
            (9, 2.262),
            (10, 2.228),
            (11, 2.201),
            (20, 2.086),
            (100, 1.984),
            (1_000_000, 1.960),
        ] {
            assert!((t_95(freedom) - want).abs() < 6e-4, "{freedom}: {}", t_95(freedom));
        }
    }

    #[test]
    fn a_summary_is_that_of_the_textbook() {
        let summary = Summary::of(&[5.0, 1.0, 2.0, 4.0]).unwrap();
        assert_eq!((summary.median, summary.min, summary.max, summary.mean), (3.0, 1.0, 5.0, 3.0));
        // Deviation sqrt(10 / 3), of the mean half of it; t with 3 degrees.
        let half = 3.1824 * (10.0_f64 / 3.0).sqrt() / 2.0;
        let [low, high] = summary.interval.unwrap();
        assert!((low - (3.0 - half)).abs() < 1e-12 && (high - (3.0 + half)).abs() < 1e-12);
    }

    #[test]
    fn one_measurement_has_no_interval_and_none_no_summary() {
        let one = Summary::of(&[7.0]).unwrap();
        assert_eq!(
            (one.median, one.min, one.max, one.mean, one.interval),
            (7.0, 7.0, 7.0, 7.0, None)
        );
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[2.0; 3]).unwrap().interval, Some([2.0; 2]));
        assert_eq!(Summary::of(&[1.0, 9.0]).unwrap().interval.map(|[low, _]| low), Some(0.0));
    }

    #[test]
    fn quantiles_lie_between_measurements() {
        let values = sorted(&[40.0, 10.0, 30.0, 20.0, 50.0]);
        let of = |part| quantile(&values, part);
        assert_eq!([of(0.0), of(0.5), of(1.0)], [Some(10.0), Some(30.0), Some(50.0)]);
        assert!((of(0.95).unwrap() - 48.0).abs() < 1e-9);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
