//! Numbers: what belongs to them, and what does not.

use super::tables;

/// Longest run that is looked at.
const LONGEST: usize = 64;

/// The length of the groups of digits that a text begins with, if they are those of a
/// telephone number (`555-0199`, `713/555-0199`) or a date (`2001-12-24`), not of a
/// range (`10-12`).
pub(super) fn groups(text: &str) -> Option<usize> {
    let in_run = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'/');
    let len = text.bytes().take(LONGEST).take_while(|byte| in_run(byte)).count();
    let run = text[..len].trim_end_matches(['-', '/']);
    if len == LONGEST || text[run.len()..].starts_with(char::is_alphanumeric) {
        return None;
    }
    let lengths: Vec<usize> = run.split(['-', '/']).map(str::len).collect();
    let is_one = match lengths[..] {
        [3 | 5, 4] => run.contains('-'),
        [_, _, _, ..] => true,
        _ => false,
    };
    (is_one && !lengths.contains(&0)).then_some(run.len())
}

/// Whether two numbers with a slash between them are a fraction or a span of years,
/// not a date; `rest` is what touches the second.
pub(super) fn is_fraction(before: &str, after: &str, rest: &str) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let single = before.len() == 1 && after.len() == 1;
    is_number(before) && is_number(after) && (single || before.len() == 4) && !rest.starts_with('/')
}

/// Whether a mark and the word behind it, both at the start of a stretch, are one
/// number: `+44`, `.5`, `'90s`.
pub(super) fn is_lead(mark: &str, word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    match mark {
        "+" | "." => digits > 0,
        "'" | "’" => digits == 2 && matches!(&word[2..], "" | "s"),
        _ => false,
    }
}

/// Where the unit starts that a number has behind it: `7|pm`, `2.5|km`.
pub(super) fn unit(word: &str) -> Option<usize> {
    let in_number = |char: char| char.is_ascii_digit() || ".,:".contains(char);
    let start = word.len() - word.trim_start_matches(in_number).len();
    let is_one = start > 0 && start < word.len() && tables::is_unit(&word[start..]);
    is_one.then_some(start)
}
