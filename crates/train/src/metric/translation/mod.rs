//! Scores of translations against references: BLEU, chrF, chrF++ and TER, with
//! intervals and paired tests.
//!
//! The numbers are those of sacreBLEU 2.6 within 1e-9, on any Unicode text. Every
//! metric counts [`Statistics`] line by line and divides their sums at the end,
//! so the score of any selection of lines costs only additions.
//!
//! ```
//! use glossator_train::metric::translation::{Bleu, Corpus, Resampling, Sampler, TranslationMetric};
//!
//! let references = [["The ferry leaves at noon.", "Nobody saw the captain."]];
//! let baseline = ["A ferry goes at noon.", "Nobody has seen the captain."];
//! let system = ["The ferry leaves at noon.", "No one saw the captain."];
//!
//! let bleu = Bleu::default();
//! let [baseline, system] = [&baseline, &system]
//!     .map(|lines| bleu.statistics(&Corpus::new(lines, &references).unwrap()).unwrap());
//! assert!(bleu.signature(&system).starts_with("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|"));
//!
//! let test = Resampling::Bootstrap;
//! let compared = Sampler::usual(test).compare(test, &bleu, &baseline, &system)?;
//! assert!(compared.system > compared.baseline);
//! println!("BLEU {:.1} (p = {:.3})", compared.system, compared.p_value);
//! # Ok::<(), glossator_train::Error>(())
//! ```

mod bleu;
mod chrf;
mod corpus;
mod edits;
mod ngrams;
mod ter;
#[cfg(test)]
mod tests;
mod text;
mod tokenize;

use rayon::prelude::*;

pub use self::{
    bleu::{Bleu, BleuScore, Smoothing},
    chrf::Chrf,
    corpus::Corpus,
    ter::Ter,
    tokenize::Tokenizer,
};
pub use super::{
    resample::{Comparison, Interval, Resampling, Sampler},
    statistics::{Statistics, Summed},
};
use crate::Result;

/// Last entry of every signature: who computed the score.
const VERSION: &str = concat!("glossator-", env!("CARGO_PKG_VERSION"));

/// A score of a corpus that is a function of summed statistics of its lines.
pub trait TranslationMetric: Summed + Send {
    /// Name of the score, as it is printed: `BLEU`, `chrF2`, `chrF2++`, `TER`.
    fn name(&self) -> String;

    /// Whether a better translation scores higher.
    fn higher_is_better(&self) -> bool {
        true
    }

    /// Refuses settings that give no score.
    ///
    /// # Errors
    /// If there are such.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Number of statistics of a line; their score is at least 0, and at most 100 (within
    /// rounding) if higher is better.
    fn width(&self) -> usize;

    /// Statistics `[width]` of a hypothesis with its references.
    fn line(&self, hypothesis: &str, references: &[&str]) -> Vec<f64>;

    /// Names and values of the settings, in the order of signatures.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// Statistics of all lines, counted on all threads.
    ///
    /// # Errors
    /// If the settings give no score.
    fn statistics(&self, corpus: &Corpus<'_>) -> Result<Statistics> {
        self.check()?;
        let rows = (0..corpus.len()).into_par_iter().map(|index| {
            let (hypothesis, references) = corpus.line(index);
            self.line(hypothesis, references)
        });
        Ok(Statistics::new(rows.collect(), self.width(), corpus.n_references()))
    }

    /// Score of a corpus.
    ///
    /// # Errors
    /// If the settings give no score.
    fn corpus_score(&self, corpus: &Corpus<'_>) -> Result<f64> {
        Ok(self.value(&self.statistics(corpus)?.sums()))
    }

    /// Score of one line. For BLEU, see [`Bleu::for_sentences`].
    ///
    /// # Errors
    /// If there are no references, or if the settings give no score.
    fn sentence_score(&self, hypothesis: &str, references: &[&str]) -> Result<f64> {
        let references: Vec<[&str; 1]> = references.iter().map(|&line| [line]).collect();
        self.corpus_score(&Corpus::new(&[hypothesis], &references)?)
    }

    /// What a score has to be printed with, so that others can compute it again:
    /// as sacreBLEU writes it, but for the version, which is ours.
    fn signature(&self, statistics: &Statistics) -> String {
        self.signature_with(statistics, None)
    }

    /// [`signature`](Self::signature) of a score with an interval or a test.
    fn signature_with(
        &self,
        statistics: &Statistics,
        resampled: Option<(Resampling, Sampler)>,
    ) -> String {
        let references = statistics.n_references();
        let references = references.map_or_else(|| "var".to_owned(), |number| number.to_string());
        let mut entries = vec![("nrefs", references)];
        if let Some((resampling, Sampler { samples, seed })) = resampled {
            let key = match resampling {
                Resampling::Bootstrap => "bs",
                Resampling::Randomization => "ar",
            };
            entries.extend([(key, samples.to_string()), ("seed", seed.to_string())]);
        }
        entries.extend(self.settings());
        entries.push(("version", VERSION.to_owned()));
        let entries: Vec<String> =
            entries.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        entries.join("|")
    }
}

/// The metric of that name with its usual settings: `bleu`, `chrf`, `chrf++` or `ter`.
pub fn by_name(name: &str) -> Option<Box<dyn TranslationMetric>> {
    Some(match name {
        "bleu" => Box::new(Bleu::default()),
        "chrf" => Box::new(Chrf::default()),
        "chrf++" => Box::new(Chrf::plus_plus()),
        "ter" => Box::new(Ter::default()),
        _ => return None,
    })
}
