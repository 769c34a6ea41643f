//! Phrases that make labels likelier where they stand.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use glossator_text::{Position, corpus, segment};

use crate::{Error, Result};

/// By how much a phrase of a gazetteer raises the logarithm of the odds, if it does
/// not say so itself.
const RAISED: f32 = 3.0;
/// The node before the first token of all phrases.
const ROOT: usize = 0;

/// Phrases, and the labels that they make likelier.
#[derive(Clone, Debug, Default)]
pub struct Gazetteer {
    /// The numbers of the tokens of phrases.
    words: HashMap<String, usize>,
    /// Phrases as a trie: the node that follows a node at a token.
    nodes: HashMap<(usize, usize), usize>,
    /// The phrases by the node at which they end.
    phrases: HashMap<usize, Phrase>,
    labels: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Phrase {
    /// The tokens of the span, without a full stop that only ends the sentence.
    pub(super) len: usize,
    pub(super) label: String,
    pub(super) raised: f32,
}

impl Gazetteer {
    /// One without phrases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a phrase, which is split as any text; `raised` is added to the logarithm of
    /// the odds of the label there. Of an abbreviation at the end of a sentence, the full
    /// stop is not part of the phrase.
    pub fn add(&mut self, phrase: &str, label: &str, raised: f32) {
        for (tokens, len) in forms(phrase.trim()).into_iter().filter(|(_, len)| *len > 0) {
            self.labels.insert(label.to_owned());
            self.insert(tokens, Phrase { len, label: label.to_owned(), raised });
        }
    }

    /// Adds one form of a phrase; of those with the same tokens, the first stays.
    fn insert(&mut self, tokens: Vec<String>, phrase: Phrase) {
        let mut node = ROOT;
        for token in tokens {
            let new_word = self.words.len();
            let word = *self.words.entry(token).or_insert(new_word);
            let new_node = self.nodes.len() + 1;
            node = *self.nodes.entry((node, word)).or_insert(new_node);
        }
        self.phrases.entry(node).or_insert(phrase);
    }

    /// Reads a file, plain or compressed: in each line a label, a tab, a phrase and, if
    /// need be, a tab and by how much the logarithm of the odds is raised (3 is twenty
    /// times; a number below 0 lowers them). Blank lines are passed over.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is of another form.
    pub fn read(path: &Path) -> Result<Self> {
        let mut gazetteer = Self::new();
        for (number, line) in (1..).zip(corpus::text_lines(path)?) {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |problem: &str| Error::Data {
                path: path.to_owned(),
                line: Some(number),
                problem: problem.to_owned(),
            };
            let mut cells = line.split('\t').map(str::trim);
            let (Some(label), Some(phrase)) = (cells.next(), cells.next()) else {
                return Err(wrong("a line is a label, a tab and a phrase"));
            };
            let raised = match cells.next() {
                None | Some("") => RAISED,
                Some(number) => match number.parse::<f32>() {
                    Ok(number) if number.is_finite() && number.abs() <= 1000.0 => number,
                    _ => {
                        return Err(wrong(
                            "what follows the phrase is a number from -1000 to 1000",
                        ));
                    }
                },
            };
            if label.is_empty() || phrase.is_empty() || cells.next().is_some() {
                return Err(wrong(
                    "a line is a label, a phrase and a number, with tabs between them",
                ));
            }
            gazetteer.add(phrase, label, raised);
        }
        Ok(gazetteer)
    }

    /// The labels of all phrases.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(String::as_str)
    }

    /// Finds phrases from the left, of several the longest.
    pub(super) fn find(&self, tokens: &[&str], mut found: impl FnMut(usize, &Phrase)) {
        let mut at = 0;
        while at < tokens.len() {
            match self.longest(&tokens[at..]) {
                Some(phrase) => {
                    found(at, phrase);
                    at += phrase.len;
                }
                None => at += 1,
            }
        }
    }

    /// The longest phrase that the tokens begin with.
    fn longest(&self, tokens: &[&str]) -> Option<&Phrase> {
        let (mut node, mut longest) = (ROOT, None);
        for token in tokens {
            let next = self.words.get(*token).and_then(|word| self.nodes.get(&(node, *word)));
            let Some(next) = next else { break };
            node = *next;
            longest = self.phrases.get(&node).or(longest);
        }
        longest
    }
}

/// The tokens of a phrase inside a sentence and, if they differ, at the end of one, each
/// with the number of those that are its span.
fn forms(phrase: &str) -> Vec<(Vec<String>, usize)> {
    // Before a number every abbreviation keeps its dot: `Corp. 5`, but also `No. 5`.
    let mut inside = tokens(&format!("{phrase} 1"));
    inside.pop();
    let len = inside.len();
    let last = tokens(phrase);
    if last == inside {
        return vec![(inside, len)];
    }
    // They differ by the dot of an abbreviation, which here ends the sentence.
    let is_stopped = last.last().is_some_and(|token| token == ".");
    let last_len = last.len() - usize::from(is_stopped);
    vec![(inside, len), (last, last_len)]
}

fn tokens(text: &str) -> Vec<String> {
    segment::sentence(text, Position::default()).tokens().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The phrases that are found in a sentence, tokens with a space between them.
    fn found(gazetteer: &Gazetteer, text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        gazetteer.find(&tokens, |start, phrase| {
            found.push(tokens[start..start + phrase.len].join(" "));
        });
        found
    }

    #[test]
    fn phrases_that_end_in_an_abbreviation_are_found_without_the_full_stop() {
        let none: [&str; 0] = [];
        let mut gazetteer = Gazetteer::new();
        for phrase in ["Acme Corp.", "the U.S.", "Art.", "the end."] {
            gazetteer.add(phrase, "A", 1.0);
        }
        assert_eq!(found(&gazetteer, "Acme Corp. rose."), ["Acme Corp."]);
        assert_eq!(found(&gazetteer, "He left Acme Corp."), ["Acme Corp"]);
        assert_eq!(found(&gazetteer, "(He left Acme Corp.)"), ["Acme Corp"]);
        assert_eq!(found(&gazetteer, "Acme Corp rose."), none);
        assert_eq!(found(&gazetteer, "In the U.S. it rose."), ["the U.S."]);
        assert_eq!(found(&gazetteer, "It rose in the U.S."), ["the U.S."]);
        assert_eq!(found(&gazetteer, "See Art. 5 here."), ["Art."]);
        assert_eq!(found(&gazetteer, "See the Art."), ["Art"]);
        assert_eq!(found(&gazetteer, "This is the end."), ["the end ."]);
        gazetteer.add("(Acme Corp.)", "A", 1.0);
        assert_eq!(found(&gazetteer, "He left (Acme Corp.)"), ["( Acme Corp . )"]);
        assert_eq!(found(&gazetteer, "He (Acme Corp.) rose."), ["( Acme Corp. )"]);
    }

    #[test]
    fn many_phrases_with_the_same_first_word_are_found() {
        let count = 50_000;
        let mut gazetteer = Gazetteer::new();
        for number in 0..count {
            gazetteer.add(&format!("New place{number}"), "A", 1.0);
        }
        let places: Vec<String> = (0..count).map(|number| format!("place{number}")).collect();
        let tokens: Vec<&str> = places.iter().flat_map(|place| ["New", place.as_str()]).collect();
        let mut starts = Vec::new();
        gazetteer.find(&tokens, |start, phrase| {
            assert_eq!(phrase.len, 2);
            starts.push(start);
        });
        assert!(starts.into_iter().eq((0..count).map(|number| 2 * number)));
    }

    #[test]
    fn the_longest_phrase_is_found_and_of_equal_ones_the_first() {
        let mut gazetteer = Gazetteer::new();
        gazetteer.add("New", "A", 1.0);
        gazetteer.add("New York City Hall", "B", 1.0);
        gazetteer.add("New York", "C", 1.0);
        gazetteer.add(" New  York ", "D", 1.0);
        gazetteer.add(" ", "E", 1.0);
        let mut labels = Vec::new();
        let tokens = ["New", "York", "City", "New", "New", "York", "City", "Hall"];
        gazetteer.find(&tokens, |start, phrase| labels.push((start, phrase.label.clone())));
        let labels: Vec<(usize, &str)> =
            labels.iter().map(|(start, label)| (*start, label.as_str())).collect();
        assert_eq!(labels, [(0, "C"), (3, "A"), (4, "B")]);
        assert_eq!(gazetteer.labels().collect::<String>(), "ABCD");
    }

    #[test]
    fn files_of_phrases_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.tsv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Gazetteer::read(&path).map_err(|error| error.to_string())
        };
        let good = read("LOC\tNew York\n\nLOC\tSt. Ives\t2.5\r\n").unwrap();
        assert_eq!(good.longest(&["New", "York"]).unwrap().raised, RAISED);
        assert_eq!(good.longest(&["St.", "Ives"]).unwrap().raised, 2.5);
        for bad in ["LOC New York", "LOC\tx\tmuch", "LOC\tx\t1\t2", "\tx", "LOC\tx\tnan"] {
            let error = read(&format!("LOC\ty\n{bad}\n")).unwrap_err();
            assert!(error.contains("places.tsv:2: "), "{error}");
        }
    }
}
