//! The tables of the splitter and the tokeniser.

/// Abbreviations after which no sentence ends, sorted.
const INNER: &[&str] = &[
    "Adm", "Bros", "Capt", "Cmdr", "Col", "Dr", "Frl", "Gen", "Gov", "Hon", "Hr", "Hrn", "Lt",
    "Maj", "Messrs", "Mr", "Mrs", "Ms", "Mt", "Prof", "Rep", "Rev", "Sen", "Sgt", "St", "Supt",
    "approx", "bzw", "ca", "cf", "d.h", "e.g", "eg", "evtl", "ggf", "i.e", "ie", "inkl", "sog",
    "u.a", "v", "vgl", "viz", "vs", "z.B", "zzgl",
];

/// Abbreviations that end a sentence if its next word is a common opener,
/// sorted.
const EITHER: &[&str] = &[
    "Apr", "Assn", "Aug", "Ave", "Bldg", "Blvd", "Co", "Corp", "Dec", "Dept", "Dist", "Esq", "Feb",
    "Fri", "Inc", "Jan", "Jr", "Jul", "Jun", "Ltd", "Mar", "Mio", "Mon", "Mrd", "Nov", "Oct",
    "Okt", "Ph.D", "Rd", "Sept", "Sr", "Str", "Thu", "Tue", "Univ", "Wed", "al", "dept", "est",
    "etc", "inc", "usw",
];

/// Abbreviations only before a number, sorted.
const NUMBERED: &[&str] = &[
    "Abs", "Art", "Ch", "Eq", "Fig", "Figs", "No", "Nos", "Nr", "Sec", "Vol", "ch", "chap", "ext",
    "fig", "no", "nos", "p", "pp", "sec", "vol",
];

/// Words that open sentences and are seldom names, sorted.
const OPENERS: &[&str] = &[
    "A", "After", "All", "Also", "An", "And", "Another", "As", "At", "But", "By", "Das", "Der",
    "Die", "During", "Each", "Ein", "Eine", "Er", "Es", "Every", "For", "From", "He", "Her", "His",
    "How", "However", "I", "If", "In", "It", "Its", "Many", "Most", "My", "No", "Not", "On",
    "Once", "One", "Our", "She", "Sie", "Since", "So", "Some", "That", "The", "Their", "Then",
    "There", "These", "They", "This", "Those", "Though", "To", "Two", "Under", "Until", "Was",
    "We", "What", "When", "Where", "Which", "While", "Who", "Why", "Wir", "With", "Yes", "You",
    "Your",
];

/// German months, before which a number with a dot is a day, sorted.
const MONTHS: &[&str] = &[
    "April",
    "August",
    "Dezember",
    "Februar",
    "Januar",
    "Juli",
    "Juni",
    "Mai",
    "März",
    "November",
    "Oktober",
    "September",
];

/// Words written as one that count as two, with the length of the first.
const FUSED: &[(&str, usize)] =
    &[("cannot", 3), ("gimme", 3), ("gonna", 3), ("gotta", 3), ("lemme", 3), ("wanna", 3)];

/// What an apostrophe can split off a word.
const CLITICS: &[&str] = &["d", "ll", "m", "re", "s", "ve"];

/// Faces that stay whole.
const EMOTICONS: &[&str] = &[
    "(:", ":'(", ":(", ":)", ":*", ":-(", ":-)", ":-/", ":-D", ":-P", ":/", ":D", ":P", ":|", ";)",
    ";-)", "<3", "=)", "XD",
];

/// Beginnings of addresses, in lower case.
const SCHEMES: &[&str] = &["http://", "https://", "ftp://", "mailto:", "www."];

/// What a word means to the dot behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// Belongs to it, and the sentence goes on.
    Inner,
    /// Belongs to it; the sentence may end.
    Either,
    /// Belongs to it before a number.
    Numbered,
}

/// What `word`, which has a dot behind it, abbreviates to.
pub(super) fn abbreviation(word: &str) -> Option<Abbreviation> {
    // "Vs." as "vs.", but not "mr." as "Mr.".
    let lower = word.char_indices().next().map(|(_, first)| {
        let rest = &word[first.len_utf8()..];
        first.to_lowercase().chain(rest.chars()).collect::<String>()
    })?;
    let has = |table: &[&str]| {
        table.binary_search(&word).is_ok() || table.binary_search(&lower.as_str()).is_ok()
    };
    if has(INNER) {
        Some(Abbreviation::Inner)
    } else if has(EITHER) || is_dotted(word) || is_initial(word) {
        Some(Abbreviation::Either)
    } else {
        has(NUMBERED).then_some(Abbreviation::Numbered)
    }
}

/// Whether the word is letters with dots between them, as "U.S".
pub(super) fn is_dotted(word: &str) -> bool {
    let single = |part: &str| part.chars().count() == 1 && part.chars().all(char::is_alphabetic);
    word == "Ph.D" || (word.contains('.') && word.split('.').all(single))
}

/// Whether the word is one capital letter, as "J".
fn is_initial(word: &str) -> bool {
    word.chars().all(char::is_uppercase) && word.chars().count() == 1
}

pub(super) fn is_opener(word: &str) -> bool {
    OPENERS.binary_search(&word).is_ok()
}

/// Whether `word`, which has a dot behind it, is the day of a German date.
pub(super) fn is_ordinal(word: &str, next: &str) -> bool {
    let month = || next.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
    is_number(word) && MONTHS.binary_search(&month()).is_ok()
}

/// Whether the word is a short number, as of a day or in a list.
pub(super) fn is_number(word: &str) -> bool {
    (1..=3).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_clitic(word: &str) -> bool {
    CLITICS.iter().any(|clitic| clitic.eq_ignore_ascii_case(word))
}

pub(super) fn is_emoticon(word: &str) -> bool {
    EMOTICONS.contains(&word)
}

/// The length of the scheme an address starts with.
pub(super) fn scheme(word: &str) -> Option<usize> {
    let starts = |scheme: &&&str| {
        word.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    SCHEMES.iter().find(starts).map(|scheme| scheme.len())
}

/// Where a word written as one falls into two.
pub(super) fn fused(word: &str) -> Option<usize> {
    FUSED.iter().find(|(fused, _)| fused.eq_ignore_ascii_case(word)).map(|(_, at)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [INNER, EITHER, NUMBERED, OPENERS, MONTHS] {
            let wrong = table.windows(2).find(|pair| pair[0] >= pair[1]);
            assert_eq!(wrong, None);
        }
    }

    #[test]
    fn abbreviations_by_kind() {
        assert_eq!(abbreviation("Dr"), Some(Abbreviation::Inner));
        assert_eq!(abbreviation("Vs"), Some(Abbreviation::Inner));
        assert_eq!(abbreviation("U.S"), Some(Abbreviation::Either));
        assert_eq!(abbreviation("J"), Some(Abbreviation::Either));
        assert_eq!(abbreviation("No"), Some(Abbreviation::Numbered));
        assert_eq!((abbreviation("mr"), abbreviation("dog"), abbreviation("")), (None, None, None));
    }
}
