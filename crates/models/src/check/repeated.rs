//! Sentences that stand in several places.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use glossator_text::Sentence;

use super::Finding;

/// Words from which on a sentence is no phrase that anybody may write.
const LONG: usize = 5;
/// Key of the training data.
const TRAIN: &str = "data.train";

/// The sentences of all files so far, by their words.
#[derive(Default)]
pub(super) struct Seen {
    first: HashMap<Vec<String>, First>,
}

/// The first sentence with some words.
struct First {
    /// Key of its file.
    key: &'static str,
    labels: Vec<String>,
    line: Option<usize>,
}

impl Seen {
    /// Looks at the sentences of the file of a key: of the training data for equal ones
    /// that are labelled otherwise, of another file for those that stand in one before.
    pub(super) fn look(
        &mut self,
        key: &'static str,
        sentences: &[Sentence],
        columns: &[Vec<String>],
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut told = HashSet::new();
        for (sentence, column) in sentences.iter().zip(columns) {
            if sentence.len() < LONG {
                continue;
            }
            let words: Vec<String> = sentence.tokens().map(str::to_owned).collect();
            let place = sentence.place().map(|(path, line)| (path.to_owned(), line));
            let line = place.as_ref().map(|(_, line)| *line);
            let message = match self.first.get(&words) {
                None => {
                    self.first.insert(words, First { key, labels: column.clone(), line });
                    None
                }
                Some(first) if first.key == key => {
                    (key == TRAIN && first.labels != *column).then(|| {
                        let first = shown(first.line);
                        format!("the same words as in {first} are labelled otherwise")
                    })
                }
                Some(first) => told.insert(words).then(|| {
                    let (data, line) = (data_of(first.key), shown(first.line));
                    format!("the sentence stands in the {data} data, too ({line})")
                }),
            };
            findings.extend(message.map(|message| Finding {
                path: place.map_or(PathBuf::new(), |(path, _)| path),
                line,
                message,
            }));
        }
        findings
    }
}

/// What the data of a key are called.
fn data_of(key: &str) -> &'static str {
    match key {
        TRAIN => "training",
        "data.dev" => "development",
        _ => "test",
    }
}

fn shown(line: Option<usize>) -> String {
    line.map_or("another place".to_owned(), |line| format!("line {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_known_by_their_words() {
        let sentences = ["a b c d e", "a b c d e", "a b c d e", "a b"]
            .map(|text| Sentence::from_tokens(&text.split(' ').collect::<Vec<_>>()));
        let labels = |label: &str, len| vec![label.to_owned(); len];
        let mut seen = Seen::default();
        let columns = [labels("X", 5), labels("X", 5), labels("Y", 5), labels("X", 2)];
        let found = seen.look("data.train", &sentences, &columns);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("labelled otherwise"), "{found:?}");
        let found = seen.look("data.dev", &sentences, &columns);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("in the training data, too"), "{found:?}");
    }

    #[test]
    fn a_sentence_in_development_and_test_data_is_found() {
        let sentence = [Sentence::from_tokens(&["a", "b", "c", "d", "e"])];
        let columns = [vec!["X".to_owned(); 5]];
        let mut seen = Seen::default();
        assert_eq!(seen.look("data.dev", &sentence, &columns), []);
        let found = seen.look("data.test", &sentence, &columns);
        assert!(found[0].message.contains("in the development data, too"), "{found:?}");
    }
}
