/// A place in a document, in all three units at once.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Position {
    /// Bytes of UTF-8 before the place.
    pub bytes: usize,
    /// Unicode code points before the place.
    pub chars: usize,
    /// UTF-16 code units before the place.
    pub utf16: usize,
}

impl Position {
    /// Moves over `text`.
    pub fn advance(&mut self, text: &str) {
        self.bytes += text.len();
        if text.is_ascii() {
            self.chars += text.len();
            self.utf16 += text.len();
        } else {
            // Every byte but a continuation opens a code point; those of four
            // bytes (0xF0 and above) take two units of UTF-16.
            let chars = text.bytes().filter(|byte| byte & 0xC0 != 0x80).count();
            self.chars += chars;
            self.utf16 += chars + text.bytes().filter(|&byte| byte >= 0xF0).count();
        }
    }

    /// The place behind `text`, which starts here.
    #[must_use]
    pub fn after(mut self, text: &str) -> Position {
        self.advance(text);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_three_units() {
        let end = Position::default().after("aé€𝄞");
        assert_eq!(end, Position { bytes: 10, chars: 4, utf16: 5 });
        assert_eq!(end.after("bc").utf16, 7);
    }
}
