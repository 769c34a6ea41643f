use std::ops::Range;

/// A span read from tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSpan<'a> {
    /// The tokens.
    pub tokens: Range<usize>,
    /// The label, such as "PER".
    pub label: &'a str,
}

/// Prefix and label of a tag, split at the first hyphen: `B-PER` is
/// `('B', "PER")`.
///
/// `O`, `.`, `_` and the empty tag are `('O', "")`, as are bare words such as
/// `ORG`; a bare letter is a prefix without a label; a longer prefix is `'?'`,
/// which, as any unknown one, goes on with a span of its label or opens one.
pub fn parse(tag: &str) -> (char, &str) {
    let only = |text: &str| {
        let mut chars = text.chars();
        chars.next().filter(|_| chars.as_str().is_empty())
    };
    match tag.split_once('-') {
        Some((prefix, label)) => (only(prefix).unwrap_or('?'), label),
        None => match only(tag) {
            Some(prefix) if !matches!(prefix, '.' | '_') => (prefix, ""),
            _ => ('O', ""),
        },
    }
}

/// [`parse`], with the letters of BILOU as those of BIOES.
pub(super) fn parts(tag: &str) -> (char, &str) {
    match parse(tag) {
        ('L', label) => ('E', label),
        ('U', label) => ('S', label),
        // A label of O means nothing; the evaluation has none either.
        ('O', _) => ('O', ""),
        parts => parts,
    }
}

/// The spans of a sentence's tags by the rules of `conlleval`, in order.
pub fn spans<'a, S: AsRef<str>>(tags: &'a [S]) -> Vec<TagSpan<'a>> {
    let mut spans = Vec::new();
    let mut open: Option<TagSpan<'a>> = None;
    let mut previous = ('O', "");
    for (i, tag) in tags.iter().enumerate() {
        let tag = parts(tag.as_ref());
        if tag.0 == 'O' || ends(previous, tag) {
            spans.extend(open.take());
        }
        if starts(previous, tag) {
            spans.extend(open.take());
            open = Some(TagSpan { tokens: i..i, label: tag.1 });
        }
        if let Some(span) = &mut open {
            span.tokens.end = i + 1;
        }
        previous = tag;
    }
    spans.extend(open);
    spans
}

/// Whether a span ends between two tags.
fn ends((previous, label): (char, &str), (tag, next): (char, &str)) -> bool {
    match previous {
        'O' => false,
        'E' | 'S' | '[' | ']' => true,
        'B' | 'I' => matches!(tag, 'B' | 'S' | 'O') || label != next,
        _ => label != next,
    }
}

/// Whether a span starts at the second of two tags.
fn starts((previous, label): (char, &str), (tag, next): (char, &str)) -> bool {
    match tag {
        'O' => false,
        'B' | 'S' | '[' | ']' => true,
        'I' | 'E' => matches!(previous, 'O' | 'E' | 'S') || label != next,
        _ => label != next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tags: &str) -> String {
        let tags: Vec<&str> = tags.split(' ').collect();
        let show =
            |span: TagSpan<'_>| format!("{}-{}{}", span.tokens.start, span.tokens.end, span.label);
        spans(&tags).into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tags_have_prefix_and_label() {
        let cases = [
            ("B-PER", ('B', "PER")),
            ("I-LOC-part", ('I', "LOC-part")),
            ("O", ('O', "")),
            ("", ('O', "")),
            ("_", ('O', "")),
            ("ORG", ('O', "")),
            ("B", ('B', "")),
            ("XX-LOC", ('?', "LOC")),
        ];
        for (tag, parts) in cases {
            assert_eq!(parse(tag), parts, "{tag}");
        }
    }

    #[test]
    fn the_three_schemes() {
        assert_eq!(read("I-A I-A B-A O I-B"), "0-2A 2-3A 4-5B");
        assert_eq!(read("B-A I-A B-A O B-B"), "0-2A 2-3A 4-5B");
        assert_eq!(read("B-A E-A S-A O S-B"), "0-2A 2-3A 4-5B");
        assert_eq!(read("B-A L-A U-A O U-B"), "0-2A 2-3A 4-5B");
        assert_eq!(read("B-A I-A E-A B-A E-A"), "0-3A 3-5A");
        assert_eq!(read("B I O B"), "0-2 3-4");
    }

    #[test]
    fn illegal_sequences_have_a_reading() {
        let cases = [
            ("O I-LOC", "1-2LOC"),
            ("B-PER I-ORG", "0-1PER 1-2ORG"),
            ("I-PER I-ORG O", "0-1PER 1-2ORG"),
            ("O E-A O", "1-2A"),
            ("E-A E-A", "0-1A 1-2A"),
            ("E-A I-A", "0-1A 1-2A"),
            ("I-A E-A I-A E-A", "0-2A 2-4A"),
            ("S-A I-A", "0-1A 1-2A"),
            ("S-A E-A", "0-1A 1-2A"),
            ("B-A S-A", "0-1A 1-2A"),
            ("B-A O", "0-1A"),
            ("I-A", "0-1A"),
            ("X-A X-A O", "0-2A"),
            ("B-A ORG I-A", "0-1A 2-3A"),
            ("O ORG O", ""),
            ("[-A ]-A", "0-1A 1-2A"),
        ];
        for (tags, want) in cases {
            assert_eq!(read(tags), want, "{tags}");
        }
    }
}
