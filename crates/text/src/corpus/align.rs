use std::ops::Range;

/// What stands in a text as one piece: a word, or a multiword range.
pub(super) struct Unit<'a> {
    /// How it is written.
    pub form: &'a str,
    /// The syntactic words it consists of, as indices.
    pub words: Range<usize>,
    /// Whether a space follows.
    pub space: bool,
}

/// Where the words are in `text`: in order, with white space only between the
/// units. `None` if they are not.
pub(super) fn find(text: &str, units: &[Unit<'_>], words: &[&str]) -> Option<Vec<Range<usize>>> {
    let mut ranges = Vec::with_capacity(words.len());
    let mut at = 0;
    for unit in units {
        at = text.len() - text[at..].trim_start().len();
        text[at..].starts_with(unit.form).then_some(())?;
        find_parts(unit, words, at, &mut ranges)?;
        at += unit.form.len();
    }
    text[at..].trim().is_empty().then_some(ranges)
}

/// Adds the ranges of a unit's words, which must make up its form.
fn find_parts(
    unit: &Unit<'_>,
    words: &[&str],
    start: usize,
    ranges: &mut Vec<Range<usize>>,
) -> Option<()> {
    let mut rest = unit.form;
    for word in &words[unit.words.clone()] {
        rest = rest.trim_start();
        let at = start + unit.form.len() - rest.len();
        rest = rest.strip_prefix(word).filter(|_| !word.is_empty())?;
        ranges.push(at..at + word.len());
    }
    rest.is_empty().then_some(())
}

/// A text made of the units, and where the words are in it. The words of a
/// range that do not make up its form stand one by one.
pub(super) fn join(units: &[Unit<'_>], words: &[&str]) -> (String, Vec<Range<usize>>) {
    let (mut text, mut ranges) = (String::new(), Vec::with_capacity(words.len()));
    let mut space = false;
    for unit in units {
        if space {
            text.push(' ');
        }
        space = unit.space;
        let known = ranges.len();
        if find_parts(unit, words, text.len(), &mut ranges).is_some() {
            text.push_str(unit.form);
            continue;
        }
        ranges.truncate(known);
        for (i, word) in words[unit.words.clone()].iter().enumerate() {
            text.push_str(if i > 0 { " " } else { "" });
            ranges.push(text.len()..text.len() + word.len());
            text.push_str(word);
        }
    }
    (text, ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(form: &str, words: Range<usize>, space: bool) -> Unit<'_> {
        Unit { form, words, space }
    }

    #[test]
    fn words_are_found_in_order() {
        let words = ["Do", "n't", "go", "."];
        let units = [unit("Don't", 0..2, true), unit("go", 2..3, false), unit(".", 3..4, true)];
        assert_eq!(find("Don't  go.", &units, &words), Some(vec![0..2, 2..5, 7..9, 9..10]));
        assert_eq!(find("Don't really go.", &units, &words), None);
        assert_eq!(find("Don't go. Now.", &units, &words), None);
        assert_eq!(join(&units, &words), ("Don't go.".to_owned(), vec![0..2, 2..5, 6..8, 8..9]));
    }

    #[test]
    fn ranges_that_are_not_their_words() {
        let words = ["Zu", "dem", "See"];
        let units = [unit("Zum", 0..2, true), unit("See", 2..3, false)];
        assert_eq!(find("Zum See", &units, &words), None);
        assert_eq!(join(&units, &words), ("Zu dem See".to_owned(), vec![0..2, 3..6, 7..10]));
    }
}
