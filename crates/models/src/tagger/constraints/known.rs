//! Labels that tokens are given, read as what a tagger may say of them.

use glossator_text::tags;

use crate::tagger::Labels;

/// What is known of a token in a layer of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known<'a> {
    /// Nothing.
    Open,
    /// It is in no span.
    Outside,
    /// It is in a span of this class, with this prefix of a tag if it has one.
    Inside(&'a str, Option<char>),
}

impl<'a> Known<'a> {
    fn of(label: &'a str) -> Self {
        match label {
            "" | "_" => Self::Open,
            "O" => Self::Outside,
            tag if tags::is_tag(tag) => {
                let (prefix, class) = tags::parse(tag);
                Self::Inside(class, Some(prefix))
            }
            class => Self::Inside(class, None),
        }
    }

    /// Whether no span goes on from the token before, whatever that is.
    fn starts(self) -> bool {
        match self {
            Self::Open => false,
            Self::Outside => true,
            Self::Inside(_, prefix) => matches!(prefix, Some('B' | 'S' | 'U')),
        }
    }

    /// Whether no span goes on to the next token, whatever that is.
    fn ends(self) -> bool {
        match self {
            Self::Open => false,
            Self::Outside => true,
            Self::Inside(_, prefix) => matches!(prefix, Some('E' | 'S' | 'L' | 'U')),
        }
    }
}

/// The tags that each token of a sentence may have by its label of a column; `None` where
/// all are open.
///
/// Tags of any scheme are read as `conlleval` reads them: an `I` opens a span unless the
/// token before is of its class. Behind a token that is open it may open one or not.
pub(super) fn allowed(labels: &Labels, column: &[String]) -> Vec<Option<Vec<usize>>> {
    let known: Vec<Known<'_>> = column.iter().map(|label| Known::of(label)).collect();
    if labels.scheme().is_none() {
        let of_word = |(label, known): (&String, &Known<'_>)| {
            (*known != Known::Open).then(|| labels.tags_of(label))
        };
        return column.iter().zip(&known).map(of_word).collect();
    }
    let at = |token: usize| known.get(token).copied().unwrap_or(Known::Outside);
    let of_token = |token: usize| {
        let before = token.checked_sub(1).map_or(Known::Outside, at);
        of_span(labels, before, at(token), at(token + 1))
    };
    (0..known.len()).map(of_token).collect()
}

/// The tags that a token of a layer of spans may have between its neighbours.
fn of_span(
    labels: &Labels,
    before: Known<'_>,
    here: Known<'_>,
    after: Known<'_>,
) -> Option<Vec<usize>> {
    match (before, here) {
        // A span that has ended does not go on here.
        (Known::Inside(class, _), Known::Open) if before.ends() => {
            let continued = labels.tags_within(class, Some(true), None);
            Some((0..labels.len()).filter(|tag| !continued.contains(tag)).collect())
        }
        (_, Known::Open) => None,
        (_, Known::Outside) => Some(labels.outside()),
        (_, Known::Inside(class, _)) => {
            Some(labels.tags_within(class, goes_on(before, here), goes_on(here, after)))
        }
    }
}

/// Whether a span goes on from a token to the next one; `None` if it may.
fn goes_on(before: Known<'_>, after: Known<'_>) -> Option<bool> {
    if before.ends() || after.starts() {
        return Some(false);
    }
    match (before, after) {
        (Known::Inside(class, _), Known::Inside(next, _)) if class != next => Some(false),
        (Known::Inside(..), Known::Inside(_, Some(_))) => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use glossator_text::tags::Scheme;

    use super::*;

    const BIOES: &[&str] = &["O", "S-A", "B-A", "I-A", "E-A", "S-B", "B-B", "I-B", "E-B"];
    const IOB2: &[&str] = &["O", "B-A", "I-A", "B-B", "I-B"];

    /// The tags that are left to the tokens of a column; `*` where all are.
    fn read(scheme: Scheme, column: &str) -> String {
        let names = if scheme == Scheme::Bioes { BIOES } else { IOB2 };
        let tags: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let column: Vec<String> = column.split(' ').map(str::to_owned).collect();
        let show = |tags: Option<Vec<usize>>| match tags {
            None => "*".to_owned(),
            Some(tags) => tags.iter().map(|tag| names[*tag]).collect::<Vec<_>>().join("|"),
        };
        let allowed = allowed(&Labels::new(&tags, Some(scheme)), &column);
        allowed.into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn fixed_tags_of_any_scheme_are_read_as_their_spans() {
        let cases = [
            // IOB1
            ("I-A O", "S-A O"),
            ("I-A I-A I-B B-B O", "B-A E-A S-B S-B O"),
            // IOB2
            ("B-A I-A B-A O", "B-A E-A S-A O"),
            // IOE1 and IOE2
            ("I-A E-A I-A O", "B-A E-A S-A O"),
            ("E-A I-A I-A E-A", "S-A B-A I-A E-A"),
            // BIOES and BILOU
            ("B-A I-A E-A S-B", "B-A I-A E-A S-B"),
            ("B-A I-A L-A U-B", "B-A I-A E-A S-B"),
        ];
        for (column, want) in cases {
            assert_eq!(read(Scheme::Bioes, column), want, "{column}");
        }
        assert_eq!(read(Scheme::Iob2, "I-A I-A I-B O"), "B-A I-A B-B O");
    }

    #[test]
    fn every_sequence_of_fixed_tags_is_read_as_by_conlleval() {
        let tags = ["O", "B-A", "I-A", "E-A", "S-A", "L-A", "U-A", "B-B", "I-B"];
        let count = tags.len();
        for code in 0..count.pow(3) {
            let column = [code, code / count, code / count.pow(2)].map(|at| tags[at % count]);
            for scheme in [Scheme::Bioes, Scheme::Iob2] {
                let want = tags::convert(&column, scheme).join(" ");
                assert_eq!(read(scheme, &column.join(" ")), want, "{column:?}");
            }
        }
    }

    #[test]
    fn spans_may_begin_and_end_at_tokens_that_are_open() {
        let bioes = |column: &str| read(Scheme::Bioes, column);
        assert_eq!(bioes("_ I-A _"), "* S-A|B-A|I-A|E-A *");
        assert_eq!(bioes("_ I-A O"), "* S-A|E-A O");
        assert_eq!(bioes("_ B-A _"), "* S-A|B-A *");
        assert_eq!(bioes("_ E-A O"), "* S-A|E-A O");
        assert_eq!(bioes("O I-A _"), "O S-A|B-A *");
        assert_eq!(read(Scheme::Iob2, "_ I-A _ I-A"), "* B-A|I-A * B-A|I-A");
    }

    #[test]
    fn a_fixed_span_that_has_ended_does_not_go_on() {
        assert_eq!(read(Scheme::Iob2, "S-A _ _"), "B-A O|B-A|B-B|I-B *");
        assert_eq!(read(Scheme::Iob2, "S-A A"), "B-A B-A");
        assert_eq!(read(Scheme::Bioes, "_ E-A _"), "* S-A|E-A O|S-A|B-A|S-B|B-B|I-B|E-B");
    }

    #[test]
    fn classes_alone_leave_open_where_spans_begin() {
        let bioes = |column: &str| read(Scheme::Bioes, column);
        assert_eq!(bioes("_ A _"), "* S-A|B-A|I-A|E-A *");
        assert_eq!(bioes("A A O"), "S-A|B-A S-A|E-A O");
        assert_eq!(bioes("A I-A B"), "B-A E-A S-B");
    }

    #[test]
    fn labels_of_words_are_as_they_are() {
        let labels = Labels::new(&["O".to_owned(), "I-A".to_owned(), "B-A".to_owned()], None);
        let column = ["I-A", "_", "O", "A"].map(str::to_owned);
        assert_eq!(allowed(&labels, &column), [Some(vec![1]), None, Some(vec![0]), Some(vec![])]);
    }
}
