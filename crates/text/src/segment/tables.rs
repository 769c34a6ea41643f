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
    "Apr", "Assn", "Attn", "Aug", "Ave", "Bldg", "Blvd", "Calif", "Co", "Conn", "Corp", "Dec",
    "Dept", "Dist", "Esq", "Feb", "Fla", "Fri", "Ft", "Inc", "Jan", "Jr", "Jul", "Jun", "La",
    "Ltd", "Mar", "Mich", "Minn", "Mio", "Mon", "Mrd", "Nov", "Oct", "Okt", "Pa", "Ph.D", "Que",
    "Rd", "Reps", "Sat", "Sept", "Sr", "Str", "Sun", "Tenn", "Thu", "Thur", "Thurs", "Tue", "Tues",
    "Univ", "Va", "Wed", "al", "dept", "est", "etc", "inc", "usw",
];

/// Abbreviations only before a number, sorted.
const NUMBERED: &[&str] = &[
    "Abs", "Art", "Ch", "Eq", "Fig", "Figs", "No", "Nos", "Nr", "Sec", "Vol", "ch", "chap", "ext",
    "fig", "no", "nos", "p", "pp", "sec", "vol",
];

/// Abbreviations after which a small letter begins no sentence, beside those above,
/// in lower case, sorted.
const SHORTENED: &[&str] = &[
    "abbr", "abs", "abt", "addl", "adj", "adv", "allg", "anon", "app", "arr", "assoc", "avg",
    "bes", "betr", "bibl", "biog", "bspw", "bzgl", "cent", "cert", "chap", "cit", "comm", "comp",
    "compl", "conc", "cont", "corp", "def", "dept", "dict", "dim", "dir", "div", "dom", "ebd",
    "eds", "einschl", "elev", "engl", "entspr", "esp", "evtl", "exc", "exkl", "ext", "fem", "fig",
    "frz", "geb", "gegr", "gem", "gen", "geog", "geol", "gest", "ggfs", "gov", "govt", "gram",
    "hist", "hrsg", "illus", "incl", "inst", "intl", "intro", "jew", "lang", "lat", "lit", "masc",
    "math", "max", "mil", "min", "mind", "misc", "mod", "mtl", "mus", "myth", "nat", "natl", "obj",
    "obs", "opp", "orig", "perf", "pers", "phil", "phr", "poss", "prep", "prob", "prof", "pron",
    "prop", "pseud", "pub", "publ", "rec", "ref", "refs", "reg", "rel", "repr", "resp", "rev",
    "röm", "sci", "sec", "ser", "sing", "sog", "spec", "std", "sub", "suppl", "syn", "tech", "tel",
    "temp", "theol", "trans", "transl", "univ", "usu", "usw", "var", "versch", "vgl", "vol",
    "vols", "vorm", "wiss", "yrs", "zus",
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

/// Prefixes that a hyphen belongs to, with what is behind it, sorted.
const PREFIXES: &[&str] = &[
    "anti", "arch", "bi", "co", "counter", "e", "ex", "hyper", "inter", "intra", "mega", "mid",
    "mis", "multi", "neo", "non", "over", "post", "pre", "pro", "pseudo", "psycho", "quasi", "re",
    "semi", "socio", "sub", "trans", "tri", "ultra", "un",
];

/// Units that may touch their number, in lower case, sorted.
const UNITS: &[&str] = &[
    "am", "b", "bn", "cm", "days", "ft", "gb", "ghz", "hh", "hr", "hrs", "hz", "k", "kb", "kg",
    "khz", "km", "kph", "kw", "kwh", "lb", "lbs", "m", "mb", "mg", "mhz", "min", "mins", "minutes",
    "ml", "mm", "mph", "mw", "oz", "percent", "pm", "sec", "secs", "sqft", "tb", "yr", "yrs",
];

/// Endings of files, in lower case, sorted.
const FILE_ENDINGS: &[&str] = &[
    "avi", "bmp", "csv", "doc", "docx", "exe", "gif", "gz", "htm", "html", "jpeg", "jpg", "json",
    "mov", "mp3", "mp4", "mpg", "pdf", "png", "ppt", "pptx", "rtf", "svg", "tar", "txt", "wav",
    "xls", "xlsx", "xml", "zip",
];

/// Abbreviations with a slash, in lower case, sorted.
const SLASHED: &[&str] = &["a/c", "b/c", "b/t", "i/o", "l/c", "n/a", "w/", "w/o", "w/out"];

/// What may stand before a dollar sign as part of it, sorted.
const DOLLARS: &[&str] = &["A", "AU", "C", "CA", "HK", "NZ", "S", "U", "US"];

/// Faces that stay whole.
const EMOTICONS: &[&str] = &[
    "(:", ":'(", ":(", ":)", ":*", ":-(", ":-)", ":-/", ":-D", ":-P", ":/", ":D", ":P", ":p", ":|",
    ";)", ";-)", ";P", "<3", "=)", "=D", "XD", "^_^",
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

/// Whether the word, which has a dot behind it, may be an abbreviation if a small
/// letter follows.
pub(super) fn is_shortened(word: &str) -> bool {
    abbreviation(word).is_some() || SHORTENED.binary_search(&word.to_lowercase().as_str()).is_ok()
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

/// Where the face starts that a word ends with.
pub(super) fn final_emoticon(word: &str) -> Option<usize> {
    let faces = EMOTICONS.iter().filter(|face| !face.starts_with(char::is_alphanumeric));
    let longest = faces.filter(|face| word.ends_with(**face)).map(|face| face.len()).max();
    longest.map(|len| word.len() - len)
}

/// Longest word of the tables that are looked up in lower case.
const LONGEST: usize = 7;

/// Whether the word, in whatever case, stands in a table of words in lower case.
fn has_lower(table: &[&str], word: &str) -> bool {
    word.len() <= LONGEST && table.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

/// Whether a hyphen behind the word and what follows belong to it: `non-human`.
pub(super) fn is_prefix(word: &str) -> bool {
    has_lower(PREFIXES, word)
}

pub(super) fn is_unit(word: &str) -> bool {
    has_lower(UNITS, word)
}

pub(super) fn is_file_ending(word: &str) -> bool {
    has_lower(FILE_ENDINGS, word)
}

/// Whether it is an abbreviation with a slash: `w/o`.
pub(super) fn is_slashed(word: &str) -> bool {
    has_lower(SLASHED, word)
}

/// Whether the dollar sign behind the word is part of it: `US$`.
pub(super) fn is_dollar(word: &str) -> bool {
    DOLLARS.binary_search(&word).is_ok()
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
    if !(5..=6).contains(&word.len()) {
        return None;
    }
    FUSED.iter().find(|(fused, _)| fused.eq_ignore_ascii_case(word)).map(|(_, at)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        let lower = [PREFIXES, UNITS, FILE_ENDINGS, SLASHED, SHORTENED];
        for table in [INNER, EITHER, NUMBERED, OPENERS, MONTHS, DOLLARS].into_iter().chain(lower) {
            let wrong = table.windows(2).find(|pair| pair[0] >= pair[1]);
            assert_eq!(wrong, None);
        }
        let looked_up = [PREFIXES, UNITS, FILE_ENDINGS, SLASHED].concat();
        assert_eq!(looked_up.iter().map(|word| word.len()).max(), Some(LONGEST));
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
