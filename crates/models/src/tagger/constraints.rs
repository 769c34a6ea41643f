//! What is known of labels before a text is read.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use glossator_text::{Position, Sentence, corpus, segment, tags};

use super::{Labels, Tagger};
use crate::{Error, Result};

/// Taken off the score of what cannot be: no text brings it back.
const NEVER: f32 = -1e6;
/// By how much a phrase of a gazetteer raises the logarithm of the odds, if it does
/// not say so itself.
const RAISED: f32 = 3.0;

/// What is known of labels before a text is read: the search for the best ones
/// keeps to it, and scores are probabilities of what it leaves.
#[derive(Clone, Debug, Default)]
pub struct Constraints {
    forbidden: BTreeSet<String>,
    gazetteers: Vec<Gazetteer>,
    fixed: Option<String>,
}

/// Phrases, and the labels that they make likelier.
#[derive(Clone, Debug, Default)]
pub struct Gazetteer {
    /// The phrases that begin with a token, longest first.
    phrases: HashMap<String, Vec<Phrase>>,
}

#[derive(Clone, Debug)]
struct Phrase {
    tokens: Vec<String>,
    label: String,
    raised: f32,
}

/// What is added to the score of a tag of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    token: usize,
    tag: usize,
    add: f32,
}

impl Constraints {
    /// Those that leave everything open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets nothing have a label: a class of spans, or a label of words.
    #[must_use]
    pub fn forbid(mut self, label: impl Into<String>) -> Self {
        self.forbidden.insert(label.into());
        self
    }

    /// Raises the odds of labels where phrases stand.
    #[must_use]
    pub fn raise(mut self, gazetteer: Gazetteer) -> Self {
        self.gazetteers.push(gazetteer);
        self
    }

    /// Gives tokens the labels that a layer, or a column of the source, of that name has
    /// for them; `_` or nothing leaves a token open. In a layer of spans such a label is a
    /// tag of any scheme (`B-PER`, `O`), or a class alone (`PER`). They are those of a
    /// tagger's only layer, or of the one of that name among several.
    #[must_use]
    pub fn fix(mut self, layer: impl Into<String>) -> Self {
        self.fixed = Some(layer.into());
        self
    }

    fn is_open(&self) -> bool {
        self.forbidden.is_empty() && self.gazetteers.is_empty() && self.fixed.is_none()
    }

    /// A label that none of the taggers has.
    pub fn unknown(&self, taggers: &[&Tagger]) -> Option<&str> {
        let named = self.gazetteers.iter().flat_map(|gazetteer| gazetteer.phrases.values());
        let named = named.flatten().map(|phrase| phrase.label.as_str());
        let known = |label: &str| taggers.iter().any(|tagger| tagger.has_label(label));
        self.forbidden.iter().map(String::as_str).chain(named).find(|label| !known(label))
    }

    /// The layer or column of the labels that tokens are given.
    pub(super) fn fixed(&self) -> Option<&str> {
        self.fixed.as_deref()
    }

    /// What changes for a sentence in a layer of these labels; `fixes`: the labels that
    /// tokens are given are this layer's.
    pub(super) fn changes(
        &self,
        labels: &Labels,
        sentence: &Sentence,
        fixes: bool,
    ) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        if self.is_open() {
            return Ok(changes);
        }
        let tokens: Vec<&str> = sentence.tokens().collect();
        let mut forbid = |token: usize, tag: usize| changes.push(Change { token, tag, add: NEVER });
        for label in &self.forbidden {
            for tag in labels.tags_of(label) {
                (0..tokens.len()).for_each(|token| forbid(token, tag));
            }
        }
        let fixed = if fixes { self.fixed_in(sentence) } else { Vec::new() };
        for (token, label) in fixed.into_iter().enumerate() {
            if matches!(label.as_str(), "" | "_") {
                continue;
            }
            let allowed = labels.tags_for(&label);
            if allowed.is_empty() {
                let problem =
                    format!("the label `{label}` that is to stand here is none of the model's");
                return Err(Error::in_token(sentence, token, problem));
            }
            (0..labels.len())
                .filter(|tag| !allowed.contains(tag))
                .for_each(|tag| forbid(token, tag));
        }
        for gazetteer in &self.gazetteers {
            gazetteer.find(&tokens, |start, phrase| {
                let len = phrase.tokens.len();
                let add = phrase.raised / len as f32;
                for offset in 0..len {
                    for tag in labels.tags_in(&phrase.label, offset, len) {
                        changes.push(Change { token: start + offset, tag, add });
                    }
                }
            });
        }
        Ok(changes)
    }

    /// The fixed label of every token of a sentence, as far as it has some.
    fn fixed_in(&self, sentence: &Sentence) -> Vec<String> {
        let Some(name) = &self.fixed else { return Vec::new() };
        let layer = sentence.layer(name).map(|layer| match layer.labels() {
            Some(labels) => labels.iter().map(|label| label.value.to_string()).collect(),
            None => layer.column(sentence.len(), tags::Scheme::Iob2),
        });
        let column = || Some(sentence.column(name)?.into_iter().map(str::to_owned).collect());
        layer.or_else(column).unwrap_or_default()
    }
}

/// Adds changes to emission scores, `[tokens, tags]`.
pub(super) fn apply(changes: &[Change], n_tags: usize, emissions: &mut [f32]) {
    for Change { token, tag, add } in changes {
        emissions[token * n_tags + tag] += add;
    }
}

/// Whether a path of tags has one that cannot be.
pub(super) fn is_broken(changes: &[Change], path: impl IntoIterator<Item = usize>) -> bool {
    let path: Vec<usize> = path.into_iter().collect();
    changes.iter().any(|change| change.add == NEVER && path[change.token] == change.tag)
}

impl Gazetteer {
    /// One without phrases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a phrase, which is split as any text; `raised` is added to the logarithm of
    /// the odds of the label there.
    pub fn add(&mut self, phrase: &str, label: &str, raised: f32) {
        let split = segment::sentence(phrase.trim(), Position::default());
        let tokens: Vec<String> = split.tokens().map(str::to_owned).collect();
        let Some(first) = tokens.first().cloned() else { return };
        let phrases = self.phrases.entry(first).or_default();
        phrases.push(Phrase { tokens, label: label.to_owned(), raised });
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.tokens.len()));
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

    /// Finds phrases from the left, of several the longest.
    fn find(&self, tokens: &[&str], mut found: impl FnMut(usize, &Phrase)) {
        let mut at = 0;
        while at < tokens.len() {
            let fits = |phrase: &&Phrase| {
                let here = tokens.get(at..at + phrase.tokens.len());
                here.is_some_and(|here| phrase.tokens.iter().eq(here.iter()))
            };
            match self.phrases.get(tokens[at]).and_then(|phrases| phrases.iter().find(fits)) {
                Some(phrase) => {
                    found(at, phrase);
                    at += phrase.tokens.len();
                }
                None => at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use glossator_text::{Layer, tags::Scheme};

    use super::*;

    fn labels(names: &[&str], scheme: Option<Scheme>) -> Labels {
        Labels::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), scheme)
    }

    fn bioes() -> Labels {
        labels(&["O", "S-A", "B-A", "I-A", "E-A", "S-B"], Some(Scheme::Bioes))
    }

    fn changes(constraints: &Constraints, labels: &Labels, sentence: &Sentence) -> Vec<Vec<f32>> {
        let mut scores = vec![0.0; sentence.len() * labels.len()];
        apply(&constraints.changes(labels, sentence, true).unwrap(), labels.len(), &mut scores);
        scores.chunks(labels.len()).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn forbidden_classes_have_no_tag() {
        let sentence = Sentence::from_tokens(&["x"]);
        let never = changes(&Constraints::new().forbid("A"), &bioes(), &sentence);
        assert_eq!(never, [[0.0, NEVER, NEVER, NEVER, NEVER, 0.0]]);
        let words = labels(&["NOUN", "VERB"], None);
        let never = changes(&Constraints::new().forbid("VERB"), &words, &sentence);
        assert_eq!(never, [[0.0, NEVER]]);
    }

    #[test]
    fn fixed_tags_may_be_of_any_scheme_or_a_class() {
        let mut sentence = Sentence::from_tokens(&["a", "b", "c", "d", "e"]);
        sentence.set_layer(Layer::from_labels("known", &["B-A", "I-A", "_", "O", "A"]));
        let rows = changes(&Constraints::new().fix("known"), &bioes(), &sentence);
        let open: Vec<Vec<usize>> = rows
            .iter()
            .map(|row| (0..row.len()).filter(|tag| row[*tag] == 0.0).collect())
            .collect();
        assert_eq!(open[..2], [vec![1, 2], vec![3, 4]]);
        assert_eq!(open[2..], [vec![0, 1, 2, 3, 4, 5], vec![0], vec![1, 2, 3, 4]]);
        sentence.set_layer(Layer::from_labels("known", &["_", "X", "_", "_", "_"]));
        let error = Constraints::new().fix("known").changes(&bioes(), &sentence, true).unwrap_err();
        assert!(error.to_string().contains("`X`"), "{error}");
    }

    #[test]
    fn phrases_raise_the_tags_of_a_span_that_is_theirs() {
        let mut gazetteer = Gazetteer::new();
        gazetteer.add("new", "A", 1.0);
        gazetteer.add("new york", "A", 4.0);
        let sentence = Sentence::from_tokens(&["new", "york", "new"]);
        let rows = changes(&Constraints::new().raise(gazetteer), &bioes(), &sentence);
        assert_eq!(rows[0], [0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(rows[1], [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        assert_eq!(rows[2], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
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
        assert_eq!(good.phrases["New"][0].raised, RAISED);
        assert_eq!(good.phrases["St."][0].tokens, ["St.", "Ives"]);
        for bad in ["LOC New York", "LOC\tx\tmuch", "LOC\tx\t1\t2", "\tx", "LOC\tx\tnan"] {
            let error = read(&format!("LOC\ty\n{bad}\n")).unwrap_err();
            assert!(error.contains("places.tsv:2: "), "{error}");
        }
    }
}
