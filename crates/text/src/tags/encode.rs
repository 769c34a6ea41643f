use std::ops::Range;

use super::{Scheme, spans};

/// The tags of `len` tokens for these spans, which come in order.
///
/// Of overlapping spans the first is kept; what lies behind `len` is dropped. A
/// span with an empty label has tags of a letter only.
pub fn encode(
    spans: impl IntoIterator<Item = (Range<usize>, impl AsRef<str>)>,
    len: usize,
    scheme: Scheme,
) -> Vec<String> {
    let mut tags = vec!["O".to_owned(); len];
    let mut before: Option<(usize, String)> = None;
    for (tokens, label) in spans {
        let (tokens, label) = (tokens.start..tokens.end.min(len), label.as_ref());
        let free = before.as_ref().is_none_or(|(end, _)| *end <= tokens.start);
        if tokens.is_empty() || !free {
            continue;
        }
        let touches =
            before.as_ref().is_some_and(|(end, last)| *end == tokens.start && last == label);
        for i in tokens.clone() {
            let (first, last) = (i == tokens.start, i + 1 == tokens.end);
            tags[i] = tag(prefix(scheme, first, last, touches), label);
        }
        before = Some((tokens.end, label.to_owned()));
    }
    tags
}

fn prefix(scheme: Scheme, first: bool, last: bool, touches: bool) -> char {
    match (scheme, first, last) {
        (Scheme::Iob1, true, _) if touches => 'B',
        (Scheme::Iob2, true, _) | (Scheme::Bioes, true, false) => 'B',
        (Scheme::Bioes, true, true) => 'S',
        (Scheme::Bioes, false, true) => 'E',
        _ => 'I',
    }
}

fn tag(prefix: char, label: &str) -> String {
    match label {
        "" => prefix.to_string(),
        label => format!("{prefix}-{label}"),
    }
}

/// The tags in another scheme, by the reading of [`spans`].
pub fn convert<S: AsRef<str>>(tags: &[S], to: Scheme) -> Vec<String> {
    encode(spans(tags).into_iter().map(|span| (span.tokens, span.label)), tags.len(), to)
}

/// The tags as `conlleval` reads them, written in `scheme`, and how many of
/// them changed.
pub fn repair<S: AsRef<str>>(tags: &[S], scheme: Scheme) -> (Vec<String>, usize) {
    let repaired = convert(tags, scheme);
    let changed = repaired.iter().zip(tags).filter(|(new, old)| *new != old.as_ref()).count();
    (repaired, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_schemes_hold_the_same_spans() {
        let list = [(0..2, "A"), (2..3, "A"), (3..4, "B"), (5..8, "A")];
        let encoded = Scheme::ALL.iter().map(|scheme| (*scheme, encode(list.clone(), 8, *scheme)));
        let encoded: Vec<_> = encoded.collect();
        assert_eq!(encoded[0].1.join(" "), "I-A I-A B-A I-B O I-A I-A I-A");
        assert_eq!(encoded[1].1.join(" "), "B-A I-A B-A B-B O B-A I-A I-A");
        assert_eq!(encoded[2].1.join(" "), "B-A E-A S-A S-B O B-A I-A E-A");
        for (_, from) in &encoded {
            for (scheme, to) in &encoded {
                assert_eq!(&convert(from, *scheme), to);
            }
        }
    }

    #[test]
    fn overlaps_and_overruns_are_dropped() {
        let tags = encode([(1..3, "A"), (2..4, "B"), (3..9, "C"), (7..9, "D")], 4, Scheme::Iob2);
        assert_eq!(tags.join(" "), "O B-A I-A B-C");
    }

    #[test]
    fn repair_counts_changes() {
        let (tags, changed) = repair(&["O", "I-LOC", "B-PER", "I-ORG", "ORG"], Scheme::Iob2);
        assert_eq!(tags.join(" "), "O B-LOC B-PER B-ORG O");
        assert_eq!(changed, 3);
        assert_eq!(repair(&["B-A", "I-A"], Scheme::Iob2).1, 0);
    }
}
