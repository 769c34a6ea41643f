//! The tags of a layer: which may follow each other, and what they say.

#[cfg(feature = "train")]
use std::collections::BTreeSet;
use std::{collections::HashMap, sync::Arc};

use glossator_nn::{Mask, Posterior};
use glossator_text::{
    Annotation, Label, Span,
    tags::{self, Scheme},
};

use super::{majority, mended};
use crate::quirk::{Quirk, Quirks};

/// Most labels of a layer: a table of what may follow what is their square.
const MAX_LABELS: usize = 10_000;

/// The tags of a layer, by number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labels {
    tags: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, usize>,
    scheme: Option<Scheme>,
    /// Whether any tag may follow any other.
    is_free: bool,
    reading: Reading,
}

/// How spans are read from tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Conlleval,
    /// As [`Quirk::MajoritySpans`] says.
    Majority,
    /// As [`Quirk::MendedTags`] says.
    Mended,
}

impl Labels {
    /// Tags in the order of their numbers; with a scheme they stand for spans.
    pub(crate) fn new(tags: &[String], scheme: Option<Scheme>) -> Self {
        Self::of(tags.iter().map(|tag| tag.as_str().into()).collect(), scheme)
    }

    /// The same with the quirks of a model.
    pub(crate) fn with_quirks(self, quirks: &Quirks) -> Self {
        let reading = if quirks.contains(&Quirk::MajoritySpans) {
            Reading::Majority
        } else if quirks.contains(&Quirk::MendedTags) {
            Reading::Mended
        } else {
            Reading::Conlleval
        };
        Self { is_free: quirks.contains(&Quirk::AnyTransition), reading, ..self }
    }

    fn of(tags: Vec<Arc<str>>, scheme: Option<Scheme>) -> Self {
        let numbers = tags.iter().cloned().zip(0..).collect();
        Self { tags, numbers, scheme, is_free: false, reading: Reading::Conlleval }
    }

    /// What is wrong with the tags, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let unfit = |tag: &&Arc<str>| tag.is_empty() || tag.contains(['\t', '\n', '\r']);
        if self.tags.is_empty() {
            return Some("it has no labels".to_owned());
        }
        if self.tags.len() > MAX_LABELS {
            return Some(format!("it has {} labels, more than {MAX_LABELS}", self.tags.len()));
        }
        if self.numbers.len() != self.tags.len() {
            return Some("a label stands twice".to_owned());
        }
        if let Some(tag) = self.tags.iter().find(unfit) {
            return Some(format!("the label {tag:?} cannot stand in a column"));
        }
        let scheme = self.scheme?;
        if scheme == Scheme::Iob1 {
            return Some("its scheme is neither `bioes` nor `iob2`".to_owned());
        }
        if !self.numbers.contains_key("O") {
            return Some("its labels lack `O`".to_owned());
        }
        if self.is_free && self.reading == Reading::Majority {
            return None;
        }
        let legal = |tag: &&Arc<str>| {
            let (prefix, class) = tags::parse(tag);
            let prefixes = if scheme == Scheme::Bioes { "SBIE" } else { "BI" };
            ***tag == *"O" || prefixes.contains(prefix) && ***tag == *format!("{prefix}-{class}")
        };
        let odd = self.tags.iter().find(|tag| !legal(tag))?;
        Some(format!("the label `{odd}` is none of {scheme}"))
    }

    /// Tags of a layer of words.
    #[cfg(feature = "train")]
    pub(crate) fn of_words<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let set: BTreeSet<&str> = labels.into_iter().collect();
        Self::of(set.into_iter().map(Arc::from).collect(), None)
    }

    /// Tags of a layer of spans with these classes.
    #[cfg(feature = "train")]
    pub(crate) fn of_spans<'a>(classes: impl IntoIterator<Item = &'a str>, scheme: Scheme) -> Self {
        let classes: BTreeSet<&str> = classes.into_iter().collect();
        let prefixes = if scheme == Scheme::Bioes { "SBIE" } else { "BI" };
        let mut tags: Vec<Arc<str>> = vec!["O".into()];
        for class in classes {
            tags.extend(prefixes.chars().map(|p| Arc::from(format!("{p}-{class}"))));
        }
        Self::of(tags, Some(scheme))
    }

    /// Whether it is a class of spans, or a label of words.
    pub(super) fn has(&self, label: &str) -> bool {
        !self.tags_of(label).is_empty()
    }

    /// The tags of a class of spans, or the label of words.
    pub(super) fn tags_of(&self, label: &str) -> Vec<usize> {
        let is_one = |tag: &str| match self.scheme {
            None => tag == label,
            Some(_) => tag != "O" && tags::parse(tag).1 == label,
        };
        (0..self.len()).filter(|tag| is_one(&self.tags[*tag])).collect()
    }

    /// The tag of what is in no span.
    pub(super) fn outside(&self) -> Vec<usize> {
        self.numbers.get("O").copied().into_iter().collect()
    }

    /// The tags of a class of spans that a token may have whose span goes on from the
    /// token before, and to the one after, or does not; `None` leaves that open.
    pub(super) fn tags_within(
        &self,
        class: &str,
        before: Option<bool>,
        after: Option<bool>,
    ) -> Vec<usize> {
        // Only BIOES says of a token whether its span goes on.
        let after = after.filter(|_| self.scheme == Some(Scheme::Bioes));
        let fits = |tag: &usize| {
            let (prefix, _) = tags::parse(&self.tags[*tag]);
            before.is_none_or(|goes_on| goes_on == matches!(prefix, 'I' | 'E'))
                && after.is_none_or(|goes_on| goes_on == matches!(prefix, 'B' | 'I'))
        };
        self.tags_of(class).into_iter().filter(fits).collect()
    }

    /// The tags of token `offset` of a span of `len` tokens, or the label of words.
    pub(super) fn tags_in(&self, label: &str, offset: usize, len: usize) -> Vec<usize> {
        let prefix = match self.scheme {
            None => return self.tags_of(label),
            Some(Scheme::Bioes) if len == 1 => "S",
            _ if offset == 0 => "B",
            Some(Scheme::Bioes) if offset + 1 == len => "E",
            Some(_) => "I",
        };
        self.with_prefixes(prefix, label)
    }

    fn with_prefixes(&self, prefixes: &str, class: &str) -> Vec<usize> {
        let tag = |prefix: char| self.numbers.get(format!("{prefix}-{class}").as_str()).copied();
        prefixes.chars().filter_map(tag).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.tags.len()
    }

    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    #[cfg(feature = "train")]
    pub(crate) fn names(&self) -> Vec<String> {
        self.tags.iter().map(|tag| tag.to_string()).collect()
    }

    #[cfg(feature = "train")]
    pub(crate) fn number(&self, tag: &str) -> Option<usize> {
        self.numbers.get(tag).copied()
    }

    /// Which tags may follow each other: all, or those of the scheme.
    pub(crate) fn mask(&self) -> Mask {
        let Some(scheme) = self.scheme.filter(|_| !self.is_free) else {
            return Mask::all(self.len());
        };
        let name = |tag: Option<usize>| tag.map(|tag| &*self.tags[tag]);
        Mask::new(self.len(), |from, to| tags::allowed(scheme, name(from), name(to)))
    }

    /// Labels of words, one number and probability a word.
    pub(crate) fn words(&self, path: impl Iterator<Item = (usize, f64)>) -> Annotation {
        let label = |(tag, score): (usize, f64)| Label {
            value: Arc::clone(&self.tags[tag]),
            score: score as f32,
        };
        Annotation::Tokens(path.map(label).collect())
    }

    /// The labels of words along a path of tags; those of spans as IOB2.
    pub(crate) fn of_path(&self, path: &[usize]) -> Vec<Arc<str>> {
        let names = path.iter().map(|&tag| &self.tags[tag]);
        match self.scheme {
            None => names.cloned().collect(),
            Some(_) => {
                let names: Vec<&str> = names.map(|name| &**name).collect();
                tags::convert(&names, Scheme::Iob2).into_iter().map(Arc::from).collect()
            }
        }
    }

    /// The annotation that a path of tags stands for, scored by marginals.
    pub(crate) fn annotation(&self, path: &[usize], posterior: &Posterior<'_>) -> Annotation {
        if self.scheme.is_none() {
            let marginal = |(t, &tag): (usize, &usize)| (tag, posterior.marginal(t, tag));
            return self.words(path.iter().enumerate().map(marginal));
        }
        let names: Vec<&str> = path.iter().map(|&tag| &*self.tags[tag]).collect();
        let spans = match self.reading {
            Reading::Conlleval => tags::spans(&names),
            Reading::Majority => majority::spans(&names),
            Reading::Mended => mended::spans(&names),
        };
        let spans = spans.into_iter().map(|span| {
            let tags = &path[span.tokens.clone()];
            let continues = |next: usize| self.continues(span.label, next);
            let score = posterior.span(span.tokens.start, tags, continues) as f32;
            Span { tokens: span.tokens.clone(), label: span.label.into(), score }
        });
        Annotation::Spans(spans.collect())
    }

    /// Whether `next` continues a span of this class that the tag before left open.
    fn continues(&self, class: &str, next: usize) -> bool {
        let (prefix, label) = tags::parse(&self.tags[next]);
        self.scheme == Some(Scheme::Iob2) && prefix == 'I' && label == class
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use glossator_nn::Crf;

    #[test]
    fn labels_that_no_text_could_have_are_named() {
        let problem = |tags: &[&str], scheme| {
            let tags: Vec<String> = tags.iter().map(|t| (*t).to_owned()).collect();
            Labels::new(&tags, scheme).problem()
        };
        let (bioes, iob2) = (Some(Scheme::Bioes), Some(Scheme::Iob2));
        assert_eq!(problem(&["O", "S-A", "B-A", "I-A", "E-A"], bioes), None);
        assert_eq!(problem(&["O", "B-A", "I-A"], iob2), None);
        assert_eq!(problem(&["NOUN", "S-A"], None), None);
        for (tags, scheme) in [
            (&[][..], None),
            (&["X", "X"][..], None),
            (&["X\tY"][..], None),
            (&["B-A", "I-A"][..], iob2),
            (&["O", "E-A"][..], iob2),
            (&["O", "A"][..], bioes),
            (&["O", "B-A"][..], Some(Scheme::Iob1)),
        ] {
            assert!(problem(tags, scheme).is_some(), "{tags:?} {scheme:?}");
        }
    }

    #[test]
    fn span_scores_count_every_sequence_that_holds_the_span() {
        for scheme in [Scheme::Bioes, Scheme::Iob2] {
            let labels = Labels::of_spans(["PER", "LOC"], scheme);
            let (n, tokens) = (labels.len(), 3);
            let scores: Vec<f32> = (0..(n + 2) * n).map(|i| (i * 5 % 7) as f32 / 3.0).collect();
            let crf = Crf::new(&scores, &labels.mask()).unwrap();
            let emissions: Vec<f32> = (0..tokens * n).map(|i| (i * 11 % 13) as f32 / 4.0).collect();
            let posterior = crf.posterior(&emissions).unwrap();
            let (path, _) = crf.viterbi(&emissions).unwrap();
            let Annotation::Spans(spans) = labels.annotation(&path, &posterior) else {
                panic!("a scheme gives spans")
            };
            assert!(!spans.is_empty());
            // Every sequence, its probability, and the spans it stands for.
            for span in spans {
                let mut want = 0.0;
                for code in 0..n.pow(tokens as u32) {
                    let path: Vec<usize> =
                        (0..tokens).map(|t| code / n.pow(t as u32) % n).collect();
                    let score = crf.score(&emissions, &path).unwrap();
                    let names: Vec<&str> = path.iter().map(|&tag| &*labels.tags[tag]).collect();
                    let found = tags::spans(&names);
                    if found.iter().any(|s| s.tokens == span.tokens && *s.label == *span.label) {
                        want += (score - posterior.log_z()).exp();
                    }
                }
                assert!((f64::from(span.score) - want).abs() < 1e-6, "{scheme:?} {span:?}");
            }
        }
    }
}
