//! How good the translations of a model are.

use glossator_train::metric::translation::{Bleu, Chrf, Corpus, Summed, TranslationMetric};

use super::data::Pairs;
use crate::{Result, TranslateOptions, TranslationQuality, TranslationScore, Translator};

/// Pairs that are translated after each epoch at most.
const WATCHED: usize = 1000;

/// BLEU of the greedy translations of the first pairs: cased, of text as it is read.
pub(super) fn watched_bleu(translator: &Translator, pairs: &Pairs) -> Result<f64> {
    let n = pairs.len().min(WATCHED);
    let options = TranslateOptions { beam: 1, split: false, ..TranslateOptions::default() };
    let made = translate(translator, &pairs.source[..n], &options)?;
    Ok(Bleu::default().corpus_score(&Corpus::new(&made, &[&pairs.target[..n]])?)?)
}

/// How likely the given translations of all pairs are, and how near to them those
/// of the default beam search are.
pub(super) fn score(translator: &Translator, pairs: &Pairs) -> Result<TranslationScore> {
    let likelihood = translator.score_pairs(&pairs.source, &pairs.target)?;
    let options = TranslateOptions { split: false, ..TranslateOptions::default() };
    let made = translate(translator, &pairs.source, &options)?;
    let references = [&pairs.target];
    let corpus = Corpus::new(&made, &references)?;
    let bleu = Bleu::default();
    let statistics = bleu.statistics(&corpus)?;
    let quality = TranslationQuality {
        bleu: bleu.value(&statistics.sums()),
        chrf: Chrf::default().corpus_score(&corpus)?,
        signature: bleu.signature(&statistics),
    };
    Ok(TranslationScore { quality: Some(quality), ..likelihood })
}

fn translate(
    translator: &Translator,
    sources: &[String],
    options: &TranslateOptions,
) -> Result<Vec<String>> {
    let made = translator.translate_lines(sources, options)?;
    Ok(made.into_iter().map(|made| made.text).collect())
}
