//! Numbers as pickles write them.

/// A whole number of any size: of up to eight bytes, or its bytes, little-endian,
/// in two's complement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    Small(i64),
    Large(Box<[u8]>),
}

/// A number of little-endian bytes in two's complement; none of them is 0.
pub(crate) fn of_bytes(bytes: &[u8]) -> Whole {
    let is_negative = bytes.last().is_some_and(|last| *last >= 0x80);
    let fill = if is_negative { 0xff } else { 0 };
    let (low, high) = bytes.split_at(bytes.len().min(8));
    let mut small = [fill; 8];
    small[..low.len()].copy_from_slice(low);
    let number = i64::from_le_bytes(small);
    let fits = high.iter().all(|byte| *byte == fill) && (number < 0) == is_negative;
    if fits { Whole::Small(number) } else { Whole::Large(bytes.into()) }
}

/// Longest decimal number, in digits: converting one takes time of its square.
const MAX_DIGITS: usize = 4096;

/// A decimal number, perhaps with the `L` of old versions behind it.
pub(crate) fn of_text(text: &str) -> Option<Whole> {
    let text = text.trim().trim_end_matches('L');
    if let Ok(number) = text.parse() {
        return Some(Whole::Small(number));
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.bytes() {
        let mut carry = u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        for byte in &mut bytes {
            carry += u16::from(*byte) * 10;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    bytes.push(0);
    if is_negative {
        let mut carry = true;
        for byte in &mut bytes {
            let (negated, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (negated, over);
        }
    }
    Some(of_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_twos_complement() {
        for (bytes, want) in [
            (&[][..], 0),
            (&[0x7f], 127),
            (&[0x80], -128),
            (&[0xff, 0x00], 255),
            (&[0, 0, 0, 0, 0, 0, 0, 0x80], i64::MIN),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0], i64::MAX),
        ] {
            assert_eq!(of_bytes(bytes), Whole::Small(want));
        }
        let large = [0, 0, 0, 0, 0, 0, 0, 0x80, 0];
        assert_eq!(of_bytes(&large), Whole::Large(large.into()));
    }

    #[test]
    fn decimal_numbers_have_any_size() {
        assert_eq!(of_text("-12L"), Some(Whole::Small(-12)));
        // 2^64 and its negative.
        let large = Whole::Large([0, 0, 0, 0, 0, 0, 0, 0, 1, 0].into());
        assert_eq!(of_text("18446744073709551616"), Some(large));
        let large = Whole::Large([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff].into());
        assert_eq!(of_text("-18446744073709551616L"), Some(large));
        for wrong in ["", "-", "1x", "L", &"9".repeat(5000)] {
            assert_eq!(of_text(wrong), None, "{wrong:.9}");
        }
    }
}
