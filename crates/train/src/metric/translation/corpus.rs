//! Hypotheses with their references.

use crate::{Error, Result};

/// Lines of a system beside their references.
///
/// Every line has at least one reference; their number may vary.
#[derive(Debug, Clone)]
pub struct Corpus<'a> {
    hypotheses: Vec<&'a str>,
    /// References of each line.
    references: Vec<Vec<&'a str>>,
}

impl<'a> Corpus<'a> {
    /// Hypotheses `[lines]` and references `[references][lines]`, the order of files.
    ///
    /// # Errors
    /// If there are no lines or no references, or if a reference has another
    /// number of lines.
    pub fn new<H, R, L>(hypotheses: &'a [H], references: &'a [R]) -> Result<Self>
    where
        H: AsRef<str>,
        R: AsRef<[L]>,
        L: AsRef<str> + 'a,
    {
        Self::collect(hypotheses, references, |line: &L| Some(line.as_ref()))
    }

    /// As [`new`](Self::new), where a line may be without some of the references.
    /// (An empty line is a reference.)
    ///
    /// # Errors
    /// Those of `new`, and if a line has no reference at all.
    pub fn with_missing<H, R, L>(hypotheses: &'a [H], references: &'a [R]) -> Result<Self>
    where
        H: AsRef<str>,
        R: AsRef<[Option<L>]>,
        L: AsRef<str> + 'a,
    {
        Self::collect(hypotheses, references, |line: &Option<L>| line.as_ref().map(L::as_ref))
    }

    fn collect<H, R, T>(
        hypotheses: &'a [H],
        references: &'a [R],
        line: impl Fn(&'a T) -> Option<&'a str>,
    ) -> Result<Self>
    where
        H: AsRef<str>,
        R: AsRef<[T]>,
        T: 'a,
    {
        let hypotheses: Vec<&str> = hypotheses.iter().map(H::as_ref).collect();
        if hypotheses.is_empty() {
            return Err(Error::NoHypotheses);
        }
        let mut of_lines = vec![Vec::with_capacity(references.len()); hypotheses.len()];
        for (index, reference) in references.iter().enumerate() {
            let lines = reference.as_ref();
            if lines.len() != hypotheses.len() {
                let (lines, hypotheses) = (lines.len(), hypotheses.len());
                return Err(Error::ReferenceLines { reference: index + 1, lines, hypotheses });
            }
            for (all, own) in of_lines.iter_mut().zip(lines) {
                all.extend(line(own));
            }
        }
        match of_lines.iter().position(Vec::is_empty) {
            Some(index) => Err(Error::NoReference { line: index + 1 }),
            None => Ok(Self { hypotheses, references: of_lines }),
        }
    }

    /// Number of lines, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.hypotheses.len()
    }

    /// References of each line; `None` if their number varies.
    pub fn n_references(&self) -> Option<usize> {
        let first = self.references.first()?.len();
        self.references.iter().all(|references| references.len() == first).then_some(first)
    }

    /// Whether 100 hypotheses or more end with a period that stands apart: BLEU is
    /// meant for text whose tokens were joined again.
    pub fn looks_tokenized(&self) -> bool {
        self.hypotheses.iter().filter(|line| line.ends_with(" .")).nth(99).is_some()
    }

    /// Hypothesis and references of a line, from 0.
    pub(super) fn line(&self, index: usize) -> (&'a str, &[&'a str]) {
        (self.hypotheses[index], &self.references[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_may_be_missing() {
        let references = [[Some("a"), None], [Some("b"), Some("")]];
        let corpus = Corpus::with_missing(&["x", "y"], &references).unwrap();
        assert_eq!((corpus.len(), corpus.n_references()), (2, None));
        assert_eq!(corpus.line(0), ("x", &["a", "b"][..]));
        assert_eq!(corpus.line(1), ("y", &[""][..]));
    }

    #[test]
    fn a_hundred_periods_apart_look_tokenized() {
        let lines = vec!["so it is ."; 100];
        assert!(Corpus::new(&lines, &[&lines]).unwrap().looks_tokenized());
        assert!(!Corpus::new(&lines[1..], &[&lines[1..]]).unwrap().looks_tokenized());
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let message = |corpus: Result<Corpus>| corpus.unwrap_err().to_string();
        let none: [&str; 0] = [];
        assert_eq!(
            message(Corpus::new(&none, &[none])),
            "no hypotheses: there is nothing to score"
        );
        let without: [[&str; 1]; 0] = [];
        assert_eq!(message(Corpus::new(&["x"], &without)), "line 1 has no reference");
        assert_eq!(
            message(Corpus::new(&["x", "y"], &[vec!["a", "b"], vec!["c"]])),
            "reference 2 has 1 lines, but there are 2 hypotheses"
        );
        let missing = [[Some("a"), None]];
        assert_eq!(message(Corpus::with_missing(&["x", "y"], &missing)), "line 2 has no reference");
    }
}
