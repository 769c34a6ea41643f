//! Text as old pickles write it: on a line, with escapes.

/// The bytes between quotes, with Python's escapes.
pub(crate) fn unquote(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let (quote, rest) = line.split_first()?;
    let inner = rest.strip_suffix(&[*quote])?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let byte = match rest.next()? {
            b'a' => 0x07,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 0x0b,
            b'f' => 0x0c,
            b'r' => b'\r',
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            digit @ b'0'..=b'7' => {
                let mut code = digit - b'0';
                for _ in 0..2 {
                    let Some(digit) = rest.next_if(|byte| matches!(byte, b'0'..=b'7')) else {
                        break;
                    };
                    code = code.wrapping_mul(8).wrapping_add(digit - b'0');
                }
                code
            }
            quoted @ (b'\\' | b'\'' | b'"') => quoted,
            // What is no escape stays as it is.
            other => {
                bytes.push(b'\\');
                other
            }
        };
        bytes.push(byte);
    }
    Some(bytes)
}

/// Text with escapes of code points only, else of Latin-1.
pub(crate) fn unescape(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    // The first half of a surrogate pair, whose second half may come next.
    let mut half: Option<u32> = None;
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => 0,
        };
        let code = match digits {
            0 => byte.into(),
            digits => {
                let code = std::str::from_utf8(after.get(1..=digits)?).ok()?;
                u32::from_str_radix(code, 16).ok()?
            }
        };
        rest = if digits == 0 { after } else { &after[digits + 1..] };
        match (half.take(), code) {
            (Some(first), 0xdc00..=0xdfff) => {
                text.extend(char::from_u32(0x10000 + (first << 10) + (code - 0xdc00)));
                continue;
            }
            (Some(_), _) => text.push(char::REPLACEMENT_CHARACTER),
            (None, _) => {}
        }
        match code {
            0xd800..=0xdbff => half = Some(code - 0xd800),
            code => text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
    text.extend(half.map(|_| char::REPLACEMENT_CHARACTER));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_escapes_of_python() {
        for (line, want) in [
            (&br"''"[..], &b""[..]),
            (br#""it's""#, b"it's"),
            (br"'a\n\t\r\\\'\x41'", b"a\n\t\r\\'A"),
            (br"'\0\101\1018\a\b\v\f'", b"\0AA8\x07\x08\x0b\x0c"),
            (br"'\q'", br"\q"),
        ] {
            assert_eq!(unquote(line).as_deref(), Some(want), "{line:?}");
        }
        for line in [&b""[..], b"'", b"'a", b"a'", br"'a\'", br"'\x4'", br"'\xg1'"] {
            assert_eq!(unquote(line), None, "{line:?}");
        }
    }

    #[test]
    fn text_has_escapes_of_code_points() {
        for (line, want) in [
            (&b"a\xe9"[..], "aé"),
            (br"\u6771\U0001f98a", "東🦊"),
            (br"\ud83e\udd8a", "🦊"),
            (br"\ud83e", "\u{fffd}"),
            (br"\ud83ex\udd8a", "\u{fffd}x\u{fffd}"),
            (br"\ud83e\ud83e\udd8a", "\u{fffd}🦊"),
            (br"a\n\", r"a\n\"),
        ] {
            assert_eq!(unescape(line).as_deref(), Some(want), "{line:?}");
        }
        for line in [&br"\u12"[..], br"\uwxyz", br"\U0001"] {
            assert_eq!(unescape(line), None, "{line:?}");
        }
    }
}
