//! Spans as Flair reads them from tags ([`Quirk::MajoritySpans`](crate::Quirk)).

use glossator_text::tags::TagSpan;

/// Weight of a tag that opens a span; others weigh 1.
const OPENING: f64 = 1.1;

/// The spans of a sentence's tags. A span opens at `B` and `S`, where an `I` has
/// another label than the tag before, and wherever none is open; it goes on to
/// the next `O` or the next opening. Its label is that with the largest weight;
/// of equal ones, the first.
pub(super) fn spans<'a>(tags: &[&'a str]) -> Vec<TagSpan<'a>> {
    let mut spans = Vec::new();
    let mut open: Option<(usize, Vec<(&'a str, f64)>)> = None;
    let mut before = "";
    for (place, &tag) in tags.iter().enumerate() {
        let is_outside = matches!(tag, "O" | "" | "_");
        let label = if is_outside { "" } else { label(tag) };
        let opens = tag.starts_with("B-")
            || tag.starts_with("S-")
            || !is_outside && label != before && tag.starts_with("I-");
        if opens || is_outside {
            spans.extend(open.take().map(|span| close(span, place)));
        }
        if !is_outside {
            let (_, weights) = open.get_or_insert((place, Vec::new()));
            let weight = if opens { OPENING } else { 1.0 };
            match weights.iter_mut().find(|(known, _)| *known == label) {
                Some((_, sum)) => *sum += weight,
                None => weights.push((label, weight)),
            }
        }
        before = label;
    }
    spans.extend(open.map(|span| close(span, tags.len())));
    spans
}

/// A tag without its first two characters.
fn label(tag: &str) -> &str {
    let mut characters = tag.chars();
    characters.by_ref().take(2).for_each(drop);
    characters.as_str()
}

fn close<'a>((start, weights): (usize, Vec<(&'a str, f64)>), end: usize) -> TagSpan<'a> {
    let mut best = ("", f64::NEG_INFINITY);
    for (label, weight) in weights {
        if weight > best.1 {
            best = (label, weight);
        }
    }
    TagSpan { tokens: start..end, label: best.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_flair_reads_them() {
        for (tags, want) in [
            ("O B-A E-A O", "1-3 A"),
            ("S-A S-A", "0-1 A, 1-2 A"),
            ("S-A E-B", "0-2 A"),
            ("S-A I-A", "0-2 A"),
            ("S-A I-B", "0-1 A, 1-2 B"),
            ("E-A E-B E-B O E-C", "0-3 B, 4-5 C"),
            ("B-A I-A E-A I-A", "0-4 A"),
            ("B-A E-B", "0-2 A"),
            ("E-A E-B", "0-2 A"),
            ("<unk> O _ B-A", "0-1 nk>, 3-4 A"),
            ("I-A O I-A I-A I-B", "0-1 A, 2-4 A, 4-5 B"),
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
