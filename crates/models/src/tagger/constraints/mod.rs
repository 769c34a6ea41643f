//! What is known of labels before a text is read.

mod gazetteer;
mod known;

use std::collections::BTreeSet;

use glossator_text::{Sentence, tags};

pub use gazetteer::Gazetteer;

use super::{Labels, Tagger};
use crate::{Error, Result};

/// Taken off the score of what cannot be: no text brings it back.
const NEVER: f32 = -1e6;

/// What is known of labels before a text is read: the search for the best ones
/// keeps to it, and scores are probabilities of what it leaves.
#[derive(Clone, Debug, Default)]
pub struct Constraints {
    forbidden: BTreeSet<String>,
    gazetteers: Vec<Gazetteer>,
    fixed: Option<String>,
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
    /// tag of any scheme (`B-PER`, `O`), or a class alone (`PER`). An `I-PER` opens a span
    /// where the token before is not of that class, and may open one behind a token left
    /// open. They are those of a tagger's only layer, or of the one of that name among
    /// several.
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
        let named = self.gazetteers.iter().flat_map(|gazetteer| gazetteer.labels());
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
        if fixes {
            self.keep_fixed(labels, sentence, forbid)?;
        }
        for gazetteer in &self.gazetteers {
            gazetteer.find(&tokens, |start, phrase| {
                let len = phrase.len;
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

    /// Forbids the tags that the labels that tokens are given do not leave to them.
    fn keep_fixed(
        &self,
        labels: &Labels,
        sentence: &Sentence,
        mut forbid: impl FnMut(usize, usize),
    ) -> Result<()> {
        let fixed = self.fixed_in(sentence);
        for (token, allowed) in known::allowed(labels, &fixed).into_iter().enumerate() {
            let Some(allowed) = allowed else { continue };
            if allowed.is_empty() {
                let label = &fixed[token];
                let problem =
                    format!("the label `{label}` that is to stand here is none of the model's");
                return Err(Error::in_token(sentence, token, problem));
            }
            (0..labels.len())
                .filter(|tag| !allowed.contains(tag))
                .for_each(|tag| forbid(token, tag));
        }
        Ok(())
    }

    /// The fixed label of every token of a sentence, as far as it has some.
    fn fixed_in(&self, sentence: &Sentence) -> Vec<String> {
        let Some(name) = &self.fixed else { return Vec::new() };
        let layer = sentence.layer(name);
        let layer = layer.map(|layer| layer.column(sentence.len(), tags::Scheme::Iob2));
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

#[cfg(test)]
mod tests {
    use glossator_nn::Crf;
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
        assert_eq!(open[..2], [vec![2], vec![3, 4]]);
        assert_eq!(open[2..], [vec![0, 1, 2, 3, 4, 5], vec![0], vec![1]]);
        sentence.set_layer(Layer::from_labels("known", &["_", "X", "_", "_", "_"]));
        let error = Constraints::new().fix("known").changes(&bioes(), &sentence, true).unwrap_err();
        assert!(error.to_string().contains("`X`"), "{error}");
    }

    #[test]
    fn fixed_inside_tags_that_open_a_span_leave_a_labelling() {
        let (labels, mut sentence) = (bioes(), Sentence::from_tokens(&["a", "b", "c", "d"]));
        let crf = Crf::new(&vec![0.0; (labels.len() + 2) * labels.len()], &labels.mask()).unwrap();
        for column in [["I-A", "O", "I-A", "I-A"], ["_", "I-A", "_", "I-A"], ["O", "A", "_", "O"]] {
            sentence.set_layer(Layer::from_labels("known", &column));
            let changes = Constraints::new().fix("known").changes(&labels, &sentence, true);
            let (changes, mut scores) = (changes.unwrap(), vec![0.0; 4 * labels.len()]);
            apply(&changes, labels.len(), &mut scores);
            let (path, _) = crf.viterbi(&scores).unwrap();
            assert!(!is_broken(&changes, path.iter().copied()), "{column:?} {path:?}");
        }
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
}
