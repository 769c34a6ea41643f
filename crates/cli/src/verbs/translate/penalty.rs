//! Numbers of options.

use glossator::LengthPenalty;

/// A length penalty: a number, `average:A`, `gnmt:A` or `none`.
pub(super) fn parse(text: &str) -> Result<LengthPenalty, String> {
    let (name, power) = text.split_once(':').unwrap_or(("average", text));
    if text == "none" {
        return Ok(LengthPenalty::None);
    }
    let known = || "known are A, average:A, gnmt:A and none, A being 0 or above".to_owned();
    let power = weight(power).map_err(|_| known())?;
    match name {
        "average" => Ok(LengthPenalty::Average(power)),
        "gnmt" => Ok(LengthPenalty::Gnmt(power)),
        _ => Err(known()),
    }
}

/// A number that is not negative.
pub(super) fn weight(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be 0 or a number above".to_owned()),
    }
}

/// The same in `f32`.
pub(super) fn temperature(text: &str) -> Result<f32, String> {
    let number = weight(text)? as f32;
    if number.is_finite() { Ok(number) } else { Err("is too large".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_have_names() {
        assert_eq!(parse("0.6"), Ok(LengthPenalty::Average(0.6)));
        assert_eq!(parse("average:1"), Ok(LengthPenalty::Average(1.0)));
        assert_eq!(parse("gnmt:0.5"), Ok(LengthPenalty::Gnmt(0.5)));
        assert_eq!(parse("none"), Ok(LengthPenalty::None));
        for bad in ["", "x", "gnmt", "gnmt:", "other:1", "-1", "nan", "gnmt:inf"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
