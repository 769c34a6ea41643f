//! Sentences that stand in several places.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use glossator_text::Sentence;

use super::Finding;

/// Words from which on a sentence is no phrase that anybody may write.
const LONG: usize = 5;

/// The sentences of the training data, by their words.
#[derive(Default)]
pub(super) struct Seen {
    /// Labels and line of the first one with these words.
    train: HashMap<Vec<String>, (Vec<String>, Option<usize>)>,
}

impl Seen {
    /// Looks at the sentences of a file: of the training data for equal ones that are
    /// labelled otherwise, of another file for those that stand in the training data.
    pub(super) fn look(
        &mut self,
        is_train: bool,
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
            let message = match self.train.get(&words) {
                Some((labels, first)) if is_train && labels != column => {
                    Some(format!("the same words as in {} are labelled otherwise", shown(*first)))
                }
                Some((_, first)) if !is_train && told.insert(words.clone()) => Some(format!(
                    "the sentence stands in the training data, too ({})",
                    shown(*first)
                )),
                Some(_) => None,
                None if is_train => {
                    self.train.insert(words, (column.clone(), line));
                    None
                }
                None => None,
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
        let found = seen.look(true, &sentences, &columns);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("labelled otherwise"), "{found:?}");
        let found = seen.look(false, &sentences, &columns);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("in the training data, too"), "{found:?}");
    }
}
