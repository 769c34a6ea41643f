//! Scores of given translations.

use std::fmt;

use glossator_nn::log_sum_exp;
use glossator_text::batch;
use rayon::prelude::*;
use serde::Serialize;

use super::{
    Translator,
    subwords::{BEGIN, END},
};
use crate::Result;

/// Subwords to be written in a batch.
const BATCH: usize = 1024;

/// How likely a given translation of a sentence is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PairScore {
    /// Negative logarithm of its probability, in nats.
    pub nats: f64,
    /// Its subwords, the end included.
    pub subwords: usize,
}

/// How near the translations of a corpus are to its references.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranslationQuality {
    /// BLEU (Papineni et al., 2002), 0 to 100.
    pub bleu: f64,
    /// chrF (Popović, 2015), 0 to 100.
    pub chrf: f64,
    /// How BLEU was computed.
    pub signature: String,
}

/// How likely the translations of a corpus are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TranslationScore {
    /// Sentences.
    pub sentences: usize,
    /// Negative logarithm of the probability of all translations, in nats.
    pub nats: f64,
    /// Subwords of the translations, their ends included.
    pub subwords: usize,
    /// How good those of the model are, if it translated the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<TranslationQuality>,
}

impl TranslationScore {
    /// Mean over the subwords, in nats.
    pub fn nats_per_subword(&self) -> f64 {
        self.nats / self.subwords as f64
    }

    /// Perplexity of a subword. It depends on the vocabulary: only models with
    /// the same subwords can be compared by it.
    pub fn perplexity(&self) -> f64 {
        self.nats_per_subword().exp()
    }
}

impl fmt::Display for TranslationScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sentences        {}", self.sentences)?;
        writeln!(f, "subwords         {}", self.subwords)?;
        writeln!(f, "nats/subword     {:.4}", self.nats_per_subword())?;
        writeln!(f, "perplexity       {:.3}", self.perplexity())?;
        if let Some(TranslationQuality { bleu, chrf, signature }) = &self.quality {
            writeln!(f, "BLEU             {bleu:.2}  {signature}")?;
            writeln!(f, "chrF2            {chrf:.2}")?;
        }
        Ok(())
    }
}

impl Translator {
    /// How likely each target is as the translation of its source.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    ///
    /// # Panics
    /// If there are not as many targets as sources.
    pub fn score_each<S: AsRef<str> + Sync>(
        &self,
        sources: &[S],
        targets: &[S],
    ) -> Result<Vec<PairScore>> {
        assert_eq!(sources.len(), targets.len(), "a target for each source");
        let ids = |text: &S, end: &[u32]| [&self.subwords.encode(text.as_ref()), end].concat();
        let pairs: Vec<(Vec<u32>, Vec<u32>)> = sources
            .par_iter()
            .zip(targets)
            .map(|(source, target)| (ids(source, &[END]), ids(target, &[END])))
            .collect();
        // Those of one length together, longest first.
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&pair| std::cmp::Reverse((pairs[pair].1.len(), pairs[pair].0.len())));
        let lengths: Vec<usize> = order.iter().map(|&pair| pairs[pair].1.len()).collect();
        let batches = batch::by_tokens(&lengths, BATCH);
        let scored = batches.par_iter().map(|places| {
            let batch: Vec<&(Vec<u32>, Vec<u32>)> =
                places.iter().map(|&place| &pairs[order[place]]).collect();
            self.score_batch(&batch).map_err(|source| self.failed(source))
        });
        let mut scores = vec![PairScore::default(); pairs.len()];
        let scored = scored.collect::<Result<Vec<_>>>()?.into_iter().flatten();
        scored.zip(&order).for_each(|(score, &pair)| scores[pair] = score);
        Ok(scores)
    }

    /// As [`Translator::score_each`], all together.
    ///
    /// # Errors
    /// As [`Translator::score_each`].
    ///
    /// # Panics
    /// As [`Translator::score_each`].
    pub fn score_pairs<S: AsRef<str> + Sync>(
        &self,
        sources: &[S],
        targets: &[S],
    ) -> Result<TranslationScore> {
        let scores = self.score_each(sources, targets)?;
        Ok(TranslationScore {
            sentences: scores.len(),
            nats: scores.iter().map(|score| score.nats).sum(),
            subwords: scores.iter().map(|score| score.subwords).sum(),
            quality: None,
        })
    }

    /// Scores pairs of ids, longest targets first.
    fn score_batch(&self, pairs: &[&(Vec<u32>, Vec<u32>)]) -> glossator_nn::Result<Vec<PairScore>> {
        let sources: Vec<u32> = pairs.iter().flat_map(|(source, _)| source).copied().collect();
        let lengths: Vec<usize> = pairs.iter().map(|(source, _)| source.len()).collect();
        let encoded = self.encode(&sources, &lengths)?;
        let mut state = encoded.state;
        let mut scores: Vec<PairScore> = pairs
            .iter()
            .map(|(_, target)| PairScore { nats: 0.0, subwords: target.len() })
            .collect();
        let mut going: Vec<usize> = (0..pairs.len()).collect();
        for step in 0..pairs.first().map_or(0, |(_, longest)| longest.len()) {
            let n = going.partition_point(|&pair| pairs[pair].1.len() > step);
            if n < going.len() {
                going.truncate(n);
                state = self.select(&state, &going);
            }
            let read = |&pair: &usize| match step {
                0 => BEGIN,
                _ => pairs[pair].1[step - 1],
            };
            let ids: Vec<u32> = going.iter().map(read).collect();
            let (rows, _) = self.step(&ids, &going, &encoded.memory, &mut state)?;
            let all = self.scores(&rows);
            let rows = all.chunks_exact(self.n_subwords());
            for ((&pair, row), score) in going.iter().zip(rows).zip(&mut scores) {
                score.nats += log_sum_exp(row) - f64::from(row[pairs[pair].1[step] as usize]);
            }
        }
        Ok(scores)
    }
}
