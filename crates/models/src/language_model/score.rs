//! How well a language model predicts a text.

use std::{fmt, ops::AddAssign};

use glossator_nn::{Keep, log_sum_exp};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{LanguageModel, ReadingDirection};
use crate::Result;

/// Streams that a text is cut into at most, and least length of one.
const STREAMS: usize = 32;
const STREAM_CHARS: usize = 4096;
/// Characters that a stream reads, before those it scores, of what stands
/// before it.
const WARM_UP: usize = 256;
/// Characters of each stream that are read at a time.
const WINDOW: usize = 256;
/// Bytes of a text that comes in parts that are in memory at a time.
const PIECE: usize = 4 << 20;
/// Characters of documents that are scored at a time.
const BATCH_CHARS: usize = 1 << 14;

/// What a language model makes of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextScore {
    /// Characters (code points) that were predicted, line ends included.
    pub characters: usize,
    /// Those that are not in the dictionary: predicted is only that one comes.
    pub unknown: usize,
    /// Negative log-likelihood of all characters, in nats.
    pub nats: f64,
}

impl TextScore {
    /// Mean negative log-likelihood of a character, in nats; not a number
    /// without characters.
    pub fn nats_per_character(&self) -> f64 {
        self.nats / self.characters as f64
    }

    /// The same in bits.
    pub fn bits_per_character(&self) -> f64 {
        self.nats_per_character() / std::f64::consts::LN_2
    }

    /// Perplexity of a character.
    pub fn perplexity(&self) -> f64 {
        self.nats_per_character().exp()
    }
}

impl AddAssign for TextScore {
    fn add_assign(&mut self, other: Self) {
        self.characters += other.characters;
        self.unknown += other.unknown;
        self.nats += other.nats;
    }
}

impl fmt::Display for TextScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bits per character  {:.4}", self.bits_per_character())?;
        writeln!(f, "nats per character  {:.4}", self.nats_per_character())?;
        writeln!(f, "perplexity          {:.4}", self.perplexity())?;
        writeln!(f, "characters          {}", self.characters)?;
        let part = 100.0 * self.unknown as f64 / self.characters.max(1) as f64;
        writeln!(f, "unknown characters  {} ({part:.2} %)", self.unknown)
    }
}

/// Scores a text that comes document by document and may be larger than the
/// memory; made by [`LanguageModel::scorer`].
#[derive(Debug)]
pub struct TextScorer<'a> {
    model: &'a LanguageModel,
    piece: String,
    score: TextScore,
}

impl TextScorer<'_> {
    /// Adds a document, with its line end.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn add(&mut self, document: &str) -> Result<()> {
        self.piece.push_str(document);
        if self.piece.len() < PIECE { Ok(()) } else { self.read() }
    }

    /// The score of all that was added.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn finish(mut self) -> Result<TextScore> {
        self.read()?;
        Ok(self.score)
    }

    fn read(&mut self) -> Result<()> {
        if !self.piece.is_empty() {
            self.score += self.model.score(&self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }
}

impl LanguageModel {
    /// Scores a text as [`score`](Self::score) does, in pieces of a few
    /// megabytes.
    pub fn scorer(&self) -> TextScorer<'_> {
        TextScorer { model: self, piece: String::new(), score: TextScore::default() }
    }

    /// Ids of a text, which may be followed by a delimiter, in the order in
    /// which this model reads it: behind a delimiter.
    fn reading_order(&self, text: &str) -> Vec<u32> {
        let delimiter = self.config().document_delimiter.chars();
        let mut ids: Vec<u32> = delimiter.chain(text.chars()).map(|c| self.ids.id(c)).collect();
        if self.direction() == ReadingDirection::Backward {
            ids.reverse();
        }
        ids
    }

    /// Characters of the delimiter, of which the first one read is not predicted.
    fn delimiter_len(&self) -> usize {
        self.config().document_delimiter.chars().count()
    }

    /// Scores a text that is read through, from a delimiter on: documents that
    /// stand one after the other, each with its line end. Every character is
    /// predicted from all that stand before it (behind it, by a backward model).
    ///
    /// A long text is read in several places at once, each of them beginning
    /// some hundred characters earlier, which makes no difference that shows.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn score(&self, text: &str) -> Result<TextScore> {
        let ids = self.reading_order(text);
        let first = self.delimiter_len() - 1;
        let predicted = ids.len() - 1 - first;
        let n_streams = (predicted / STREAM_CHARS).clamp(1, STREAMS);
        // Where streams begin to score.
        let from: Vec<usize> = (0..=n_streams).map(|s| first + s * predicted / n_streams).collect();
        let mut at: Vec<usize> =
            from[..n_streams].iter().map(|a| a.saturating_sub(WARM_UP)).collect();
        let mut state = self.first_state(n_streams)?;
        let mut score = TextScore::default();
        while at.iter().zip(&from[1..]).any(|(at, end)| at < end) {
            let (mut inputs, mut lengths) = (Vec::new(), Vec::new());
            let (mut rows, mut targets) = (Vec::new(), Vec::new());
            for (s, at) in at.iter_mut().enumerate() {
                let end = (*at + WINDOW).min(from[s + 1]);
                inputs.extend_from_slice(&ids[*at..end]);
                lengths.push(end - *at);
                for place in *at..end {
                    let scored = place >= from[s];
                    rows.push(if scored { targets.len() as u32 } else { Keep::NONE });
                    if scored {
                        targets.push(ids[place + 1]);
                    }
                }
                *at = end;
            }
            let hidden = self.states(&inputs, &lengths, Some(&mut state), Keep::At(&rows));
            score += self.likelihood(&hidden.map_err(|e| self.failed(e))?, &targets)?;
        }
        Ok(score)
    }

    /// Scores documents, each by itself, from a delimiter to the next one,
    /// which is predicted too. A line end at the end of a document is that one.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn score_documents<S: AsRef<str> + Sync>(&self, documents: &[S]) -> Result<Vec<TextScore>> {
        let mut batches = vec![Vec::new()];
        let mut size = 0;
        for document in documents {
            let text = document.as_ref();
            if size > BATCH_CHARS {
                (batches.push(Vec::new()), size = 0).0
            }
            size += text.len();
            if let Some(batch) = batches.last_mut() {
                batch.push(text);
            }
        }
        let scored = batches.par_iter().map(|batch| self.score_batch(batch));
        Ok(scored.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn score_batch(&self, documents: &[&str]) -> Result<Vec<TextScore>> {
        let delimiter = self.config().document_delimiter.as_str();
        let (mut inputs, mut lengths, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for document in documents {
            let body = document.strip_suffix(delimiter).unwrap_or(document);
            let ids = self.reading_order(&format!("{body}{delimiter}"));
            inputs.extend_from_slice(&ids[..ids.len() - 1]);
            targets.extend_from_slice(&ids[1..]);
            lengths.push(ids.len() - 1);
        }
        let hidden = self.states(&inputs, &lengths, None, Keep::Tokens);
        let hidden = hidden.map_err(|e| self.failed(e))?;
        let dim = self.dim();
        let mut first = 0;
        let score = |length: usize| {
            let rows = first..first + length;
            first += length;
            self.likelihood(&hidden[rows.start * dim..rows.end * dim], &targets[rows])
        };
        lengths.into_iter().map(score).collect()
    }

    /// Flair's perplexity of a text: from a zero state, the first character
    /// read and not predicted.
    #[cfg(test)]
    pub(crate) fn perplexity_inside(&self, text: &str) -> Result<f64> {
        let ids = &self.reading_order(text);
        let ids = match self.direction() {
            ReadingDirection::Forward => &ids[self.delimiter_len()..],
            ReadingDirection::Backward => &ids[..ids.len() - self.delimiter_len()],
        };
        let inputs = &ids[..ids.len() - 1];
        let hidden = self.states(inputs, &[inputs.len()], None, Keep::Tokens);
        Ok(self.likelihood(&hidden.map_err(|e| self.failed(e))?, &ids[1..])?.perplexity())
    }

    /// Score of predicting `targets` from hidden states, row by row.
    fn likelihood(&self, hidden: &[f32], targets: &[u32]) -> Result<TextScore> {
        let (rows, items) = (targets.len(), self.dictionary().len());
        let logits = self.decoder()?.apply(hidden, rows);
        let nats: Vec<f64> = logits
            .par_chunks_exact(items)
            .zip(targets)
            .map(|(row, &target)| log_sum_exp(row) - f64::from(row[target as usize]))
            .collect();
        Ok(TextScore {
            characters: rows,
            unknown: targets.iter().filter(|id| **id == 0).count(),
            // Summed in one order, whatever the threads.
            nats: nats.iter().sum(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use glossator_hub::{FORMAT, StoredPrecision};
    use glossator_nn::{Precision, Rng, Weights, init};
    use glossator_text::Dictionary;

    use super::*;
    use crate::language_model::{KIND, LanguageModelConfig, config::LanguageModelModel};

    const HIDDEN: usize = 12;
    const EMBEDDING: usize = 5;
    /// What the model knows beside the line end.
    pub(in crate::language_model) const KNOWN: &str = "abcde .ß";

    /// A language model of random weights, which are the same in both
    /// directions; `bias` is that of the unknown character.
    pub(in crate::language_model) fn model(
        direction: ReadingDirection,
        bias: f32,
    ) -> LanguageModel {
        let mut dictionary = Dictionary::with_unknown();
        for c in KNOWN.chars().chain(['\n']) {
            dictionary.add(&c.to_string());
        }
        let items = dictionary.len();
        let shapes = [
            ("encoder.weight", vec![items, EMBEDDING]),
            ("rnn.weight_ih_l0", vec![4 * HIDDEN, EMBEDDING]),
            ("rnn.weight_hh_l0", vec![4 * HIDDEN, HIDDEN]),
            ("rnn.bias_ih_l0", vec![4 * HIDDEN]),
            ("rnn.bias_hh_l0", vec![4 * HIDDEN]),
            ("decoder.weight", vec![items, HIDDEN]),
            ("decoder.bias", vec![items]),
        ];
        let (mut weights, mut rng) = (Weights::new(), Rng::new(3, "test", 0));
        for (name, shape) in shapes {
            // What was read before is to count for more than the biases.
            let bound = if name == "decoder.weight" { 4.0 } else { 1.0 };
            let mut values = init::uniform(&mut rng, shape.iter().product(), bound);
            if name == "decoder.bias" {
                values[0] = bias;
            }
            weights.insert(name, shape, values);
        }
        let language_model = LanguageModelConfig {
            direction,
            hidden_dim: HIDDEN,
            embedding_dim: EMBEDDING,
            ..LanguageModelConfig::default()
        };
        let (kind, precision) = (KIND.to_owned(), StoredPrecision::F32);
        let model = LanguageModelModel {
            kind,
            format: FORMAT,
            precision,
            compute: None,
            vectors_only: false,
            language_model,
            development: None,
        };
        LanguageModel::from_weights("test", "", model, dictionary, weights, Precision::F32).unwrap()
    }

    fn both() -> [LanguageModel; 2] {
        [ReadingDirection::Forward, ReadingDirection::Backward].map(|way| model(way, 0.0))
    }

    /// A text of lines of known characters.
    pub(in crate::language_model) fn text(characters: usize) -> String {
        let mut rng = Rng::new(5, "text", 0);
        let known: Vec<char> = KNOWN.chars().chain(['\n']).collect();
        let mut text: String = (1..characters).map(|_| known[rng.below(known.len())]).collect();
        text.push('\n');
        text
    }

    #[track_caller]
    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got / want - 1.0).abs() < tolerance, "{got} is not {want}");
    }

    #[test]
    fn a_text_read_in_several_places_scores_as_one_read_through() {
        for model in both() {
            for characters in [WARM_UP, 2 * STREAM_CHARS - 1, 3 * STREAM_CHARS + 77] {
                let text = text(characters);
                let through = model.score_documents(&[&text]).unwrap()[0];
                let places = model.score(&text).unwrap();
                assert_eq!((through.characters, through.unknown), (characters, 0));
                assert_eq!((places.characters, places.unknown), (characters, 0));
                // Without the warm-up they differ by some hundred thousandths.
                close(places.nats, through.nats, 1e-8);
            }
        }
    }

    #[test]
    fn documents_score_in_company_as_alone() {
        let documents = ["ab cab.", "", "\n", "a", "de\n", "unkn\u{f6}wn", "ß\nß\nß"];
        let mut documents = documents.map(str::to_owned).to_vec();
        documents.extend([text(BATCH_CHARS), text(300), text(BATCH_CHARS + 1), text(2)]);
        for model in both() {
            let scores = model.score_documents(&documents).unwrap();
            assert_eq!(scores.len(), documents.len());
            for (document, score) in documents.iter().zip(scores) {
                assert_eq!(model.score_documents(&[document]).unwrap(), [score], "{document}");
                let body = document.strip_suffix('\n').unwrap_or(document);
                let alone = model.score(&format!("{body}\n")).unwrap();
                assert_eq!(score.characters, body.chars().count() + 1);
                assert_eq!((alone.characters, alone.unknown), (score.characters, score.unknown));
                close(alone.nats, score.nats, 1e-7);
            }
            assert!(model.score_documents::<&str>(&[]).unwrap().is_empty());
        }
    }

    #[test]
    fn unknown_characters_and_line_ends_are_counted() {
        for model in both() {
            let counts = |text: &str| {
                let score = model.score(text).unwrap();
                (score.characters, score.unknown)
            };
            assert_eq!(counts(""), (0, 0));
            assert_eq!(counts("\n"), (1, 0));
            assert_eq!(counts("a"), (1, 0));
            assert_eq!(counts("a\u{e9}b\nß☃\u{1f600}\n"), (8, 3));
            let empty = model.score_documents(&["", "\n", "☃"]).unwrap();
            let counts: Vec<_> = empty.iter().map(|s| (s.characters, s.unknown)).collect();
            assert_eq!(counts, [(1, 0), (1, 0), (2, 1)]);
            assert_eq!(empty[0], empty[1]);
        }
        assert!(both()[0].score("").unwrap().bits_per_character().is_nan());
    }

    #[test]
    fn the_probabilities_of_all_characters_add_up() {
        let [model, _] = both();
        let nats = |text: &str| model.score(text).unwrap().nats;
        for before in ["", "a", "abc\n", "ß☃ "] {
            let all = KNOWN.chars().chain(['\n', '☃']);
            let next = |c| (nats(before) - nats(&format!("{before}{c}"))).exp();
            let probabilities: Vec<f64> = all.map(next).collect();
            close(probabilities.iter().sum(), 1.0, 1e-5);
            assert!(probabilities.iter().all(|p| *p > 0.0), "{probabilities:?}");
        }
    }

    #[test]
    fn a_backward_model_reads_from_the_end() {
        let [forward, backward] = both();
        let score = forward.score("ab ca\u{e9}.\n").unwrap();
        assert_eq!(backward.score(".\u{e9}ac ba\n").unwrap(), score);
        assert_ne!(backward.score("ab ca\u{e9}.\n").unwrap(), score);
        let documents = forward.score_documents(&["ab ca"]).unwrap();
        assert_eq!(backward.score_documents(&["ac ba"]).unwrap(), documents);
    }

    #[test]
    fn figures_of_a_score_belong_together() {
        let mut score = TextScore { characters: 3, unknown: 1, nats: 3.0 * 2f64.ln() };
        close(score.bits_per_character(), 1.0, 1e-12);
        close(score.perplexity(), 2.0, 1e-12);
        score += TextScore { characters: 1, unknown: 0, nats: 5.0 * 2f64.ln() };
        close(score.bits_per_character(), 2.0, 1e-12);
        assert_eq!((score.characters, score.unknown), (4, 1));
        assert!(score.to_string().contains("unknown characters  1 (25.00 %)"), "{score}");
    }

    #[test]
    fn a_text_that_comes_in_parts_scores_as_a_whole_one() {
        let model = model(ReadingDirection::Forward, 0.0);
        let documents = ["abba\n", "b\n", "cab\n"];
        let mut scorer = model.scorer();
        documents.iter().for_each(|document| scorer.add(document).unwrap());
        assert_eq!(scorer.finish().unwrap(), model.score(&documents.concat()).unwrap());
        assert_eq!(model.scorer().finish().unwrap(), TextScore::default());
    }
}
