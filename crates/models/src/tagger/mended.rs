//! Spans as Stanza reads them from tags ([`Quirk::MendedTags`](crate::Quirk)).

use glossator_text::tags::TagSpan;

/// The spans of a sentence's tags, after those that do not fit together are mended.
pub(super) fn spans<'a>(tags: &[&'a str]) -> Vec<TagSpan<'a>> {
    let mut spans = Vec::new();
    let mut open: Option<(usize, usize, &'a str)> = None;
    for (place, (prefix, label)) in mended(tags).into_iter().enumerate() {
        if matches!(prefix, 'O' | 'B' | 'S') {
            spans.extend(open.take().map(close));
        }
        match (prefix, &mut open) {
            ('B' | 'S', _) | ('I' | 'E', None) => open = Some((place, place + 1, label)),
            ('I' | 'E', Some((_, end, last))) => (*end, *last) = (place + 1, label),
            _ => {}
        }
        if matches!(prefix, 'E' | 'S') {
            spans.extend(open.take().map(close));
        }
    }
    spans.extend(open.map(close));
    spans
}

fn close<'a>((start, end, label): (usize, usize, &'a str)) -> TagSpan<'a> {
    TagSpan { tokens: start..end, label }
}

/// Prefix and label of each tag; `O` has no label, and what has no prefix is left
/// out of every span without ending one.
fn parts(tag: &str) -> (char, &str) {
    match (tag, tag.split_once('-')) {
        ("O" | "", _) => ('O', ""),
        (_, Some((prefix, label))) if "BIES".contains(prefix) && prefix.len() == 1 => {
            (prefix.chars().next().unwrap_or('O'), label)
        }
        _ => ('-', ""),
    }
}

/// Tags of which none stands alone that cannot: first `I` at an edge becomes `E`
/// or `B`, then `B` and `E` by themselves become `S`. Each looks at what its
/// neighbours have become by then.
fn mended<'a>(tags: &[&'a str]) -> Vec<(char, &'a str)> {
    let mut tags: Vec<_> = tags.iter().map(|tag| parts(tag)).collect();
    for at in 0..tags.len() {
        let is_inner = tags[at].0 == 'I';
        if is_inner && !goes_on(&tags, at) {
            tags[at].0 = 'E';
        }
        if is_inner && !is_led(&tags, at) {
            tags[at].0 = 'B';
        }
    }
    for at in 0..tags.len() {
        if tags[at].0 == 'B' && !goes_on(&tags, at) || tags[at].0 == 'E' && !is_led(&tags, at) {
            tags[at].0 = 'S';
        }
    }
    tags
}

/// Whether the next tag continues the span of tag `at`.
fn goes_on(tags: &[(char, &str)], at: usize) -> bool {
    tags.get(at + 1)
        .is_some_and(|(prefix, label)| matches!(prefix, 'I' | 'E') && *label == tags[at].1)
}

/// Whether the tag before opens or continues the span of tag `at`.
fn is_led(tags: &[(char, &str)], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| tags[before]);
    before.is_some_and(|(prefix, label)| matches!(prefix, 'B' | 'I') && label == tags[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_stanza_reads_them() {
        for (tags, want) in [
            ("O B-A E-A O", "1-3 A"),
            ("S-A S-A", "0-1 A, 1-2 A"),
            ("B-A O", "0-1 A"),
            ("O I-A I-A O", "1-3 A"),
            ("I-A", "0-1 A"),
            ("B-A E-B", "0-1 A, 1-2 B"),
            ("B-A I-A I-B E-B", "0-2 A, 2-4 B"),
            ("E-A E-A", "0-1 A, 1-2 A"),
            ("S-A I-A E-A", "0-1 A, 1-3 A"),
            ("B-A S-B E-A", "0-1 A, 1-2 B, 2-3 A"),
            ("", ""),
        ] {
            let tags: Vec<&str> = tags.split_whitespace().collect();
            let found = spans(&tags).into_iter();
            let found: Vec<String> = found
                .map(|span| format!("{}-{} {}", span.tokens.start, span.tokens.end, span.label))
                .collect();
            assert_eq!(found.join(", "), want, "{tags:?}");
        }
    }
}
