use serde::{Deserialize, Serialize};

use super::spans::parts;
use crate::names::names;

/// A scheme of span tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `I` inside; `B` only where a span follows one of the same label.
    Iob1,
    /// `B` at every start, `I` inside.
    #[default]
    Iob2,
    /// `B` start, `I` inside, `E` end, `S` single.
    Bioes,
}

names!(Scheme, "tag scheme", Iob1 = "iob1", Iob2 = "iob2", Bioes = "bioes");

/// Whether `to` can follow `from`; `None` is the sentence's edge.
///
/// A tag that does not belong to the scheme follows nothing, and nothing
/// follows it but what could follow `O`.
pub fn allowed(scheme: Scheme, from: Option<&str>, to: Option<&str>) -> bool {
    let (from, label) = from.map_or(('O', ""), parts);
    let (tag, next) = match to {
        None => ('O', ""),
        Some(to) if belongs(scheme, to) => parts(to),
        Some(_) => return false,
    };
    let inside = matches!(from, 'B' | 'I') && label == next;
    match (scheme, tag) {
        (Scheme::Iob1, 'B') | (Scheme::Iob2, 'I') => inside,
        (Scheme::Iob1 | Scheme::Iob2, _) => true,
        (Scheme::Bioes, 'I' | 'E') => inside,
        (Scheme::Bioes, _) => !matches!(from, 'B' | 'I'),
    }
}

/// Whether a tag can stand in the scheme at all.
fn belongs(scheme: Scheme, tag: &str) -> bool {
    match parts(tag).0 {
        'O' => matches!(tag, "O" | "_" | ""),
        'B' | 'I' => true,
        'E' | 'S' => scheme == Scheme::Bioes,
        _ => false,
    }
}

/// The tokens whose tag cannot follow the tag before, and the last token if the
/// sentence cannot end with it.
pub fn violations<S: AsRef<str>>(tags: &[S], scheme: Scheme) -> Vec<usize> {
    let mut from = None;
    let mut found = Vec::new();
    for (i, tag) in tags.iter().enumerate() {
        let to = Some(tag.as_ref());
        if !allowed(scheme, from, to) {
            found.push(i);
        }
        from = to;
    }
    if !allowed(scheme, from, None) && found.last() != Some(&(tags.len() - 1)) {
        found.push(tags.len() - 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(scheme: Scheme, tags: &str) -> Vec<usize> {
        violations(&tags.split(' ').collect::<Vec<_>>(), scheme)
    }

    #[test]
    fn each_scheme_accepts_its_own() {
        let none: [usize; 0] = [];
        assert_eq!(bad(Scheme::Iob1, "I-A I-A B-A I-B O I-A"), none);
        assert_eq!(bad(Scheme::Iob2, "B-A I-A B-A B-B O B-A"), none);
        assert_eq!(bad(Scheme::Bioes, "B-A I-A E-A S-A S-B O S-A"), none);
        assert_eq!(bad(Scheme::Bioes, "B-A L-A U-A"), none);
        assert_eq!(violations::<&str>(&[], Scheme::Bioes), none);
    }

    #[test]
    fn each_scheme_refuses_what_cannot_follow() {
        assert_eq!(bad(Scheme::Iob1, "B-A O I-A B-B"), [0, 3]);
        assert_eq!(bad(Scheme::Iob2, "O I-A B-A I-B X-A ORG S-A"), [1, 3, 4, 5, 6]);
        assert_eq!(bad(Scheme::Bioes, "B-A O E-A S-A I-A E-B"), [1, 2, 4, 5]);
        assert_eq!(bad(Scheme::Bioes, "O B-A"), [1]);
        assert_eq!(bad(Scheme::Bioes, "O I-A"), [1]);
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.to_string().parse::<Scheme>().ok(), Some(*scheme));
            assert_eq!(serde_json::to_value(scheme).ok(), Some(scheme.name().into()));
        }
        assert!("iob".parse::<Scheme>().is_err_and(|error| error.to_string().contains("bioes")));
    }
}
