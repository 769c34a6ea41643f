//! The search for the best translations of a batch of sentences.

use glossator_nn::{Rng, log_sum_exp};
use rayon::prelude::*;

use super::{
    TranslateOptions,
    hypotheses::{Candidate, Found, Hypotheses},
};
use crate::{
    Result, pick,
    translator::{
        Translator,
        infer::{DecoderState, Encoded},
    },
};

/// Numbers of the draws of one line, each with its own generator.
const DRAWS: u64 = 1 << 16;

/// A model at work on a batch.
struct Reader<'a> {
    model: &'a Translator,
    encoded: Encoded,
}

/// Searches for translations of sentences, given as ids with their ends, by one
/// model or by several whose probabilities are averaged. A sentence is drawn by
/// the seed and its number alone.
///
/// Rows are hypotheses that go on: one that is complete leaves the batch, and the
/// encoder's states are never copied.
///
/// # Errors
/// If a model refuses its arguments.
pub(in crate::translator) fn search(
    models: &[&Translator],
    sources: &[&[u32]],
    numbers: &[u64],
    prefix: &[u32],
    options: &TranslateOptions,
) -> Result<Vec<Vec<Found>>> {
    let ids: Vec<u32> = sources.concat();
    let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
    let width = if options.sampling.is_some() { options.width() } else { 1 };
    let mut sentences: Vec<Hypotheses<'_>> =
        lengths.iter().map(|length| Hypotheses::new(options, prefix, length - 1, width)).collect();
    let mut generators = generators(numbers, options);
    let mut readers = Vec::new();
    // The sentence of each row.
    let mut rows: Vec<usize> = (0..sources.len()).flat_map(|n| vec![n; width]).collect();
    for &model in models {
        let mut encoded = model.encode(&ids, &lengths).map_err(|error| model.failed(error))?;
        if width > 1 {
            encoded.state = model.select(&encoded.state, &rows);
        }
        readers.push(Reader { model, encoded });
    }
    while !rows.is_empty() {
        let read: Vec<u32> =
            rows.chunk_by(|a, b| a == b).flat_map(|same| sentences[same[0]].last_ids()).collect();
        let (mut scores, weights) = step(&mut readers, &read, &rows)?;
        let candidates = candidates(&sentences, &rows, &mut scores, options, &mut generators);
        let mut chosen = Vec::new();
        let (mut next, mut at, mut from) = (Vec::new(), 0, 0);
        for same in rows.chunk_by(|a, b| a == b) {
            let (sentence, n) = (same[0], same.len());
            let looked = match options.keeps_weights() {
                true => {
                    let length = lengths[sentence];
                    let own = &weights[from..from + n * length];
                    own.chunks_exact(length).collect()
                }
                false => Vec::new(),
            };
            let own = &candidates[at..at + n];
            let places = match options.sampling {
                Some(_) => sentences[sentence].advance_each(own, &looked),
                None => sentences[sentence].advance(own, &looked),
            };
            if let (Some(_), false) = (options.sampling, places.is_empty()) {
                let all = &mut generators[sentence];
                *all = places.iter().map(|&place| all[place].clone()).collect();
            }
            next.extend(places.iter().map(|_| sentence));
            chosen.extend(places.iter().map(|place| at + place));
            (at, from) = (at + n, from + n * lengths[sentence]);
        }
        for reader in &mut readers {
            reader.encoded.state = reader.model.select(&reader.encoded.state, &chosen);
        }
        rows = next;
    }
    Ok(sentences.into_iter().map(Hypotheses::into_found).collect())
}

/// One generator for each hypothesis of each sentence; none without sampling.
fn generators(numbers: &[u64], options: &TranslateOptions) -> Vec<Vec<Rng>> {
    let Some(sampling) = options.sampling else { return Vec::new() };
    let of = |&number: &u64| {
        let draw = |n: u64| Rng::new(sampling.seed, "translate", number.wrapping_mul(DRAWS) + n);
        (0..options.width() as u64).map(draw).collect()
    };
    numbers.iter().map(of).collect()
}

/// Scores of all subwords for each row, whose softmax is the distribution, and
/// the weights of the attention, averaged over the models.
fn step(readers: &mut [Reader<'_>], read: &[u32], rows: &[usize]) -> Result<(Vec<f32>, Vec<f32>)> {
    let mut all = Vec::with_capacity(readers.len());
    for Reader { model, encoded } in readers.iter_mut() {
        let state: &mut DecoderState = &mut encoded.state;
        let step = model.step(read, rows, &encoded.memory, state);
        let (out, weights) = step.map_err(|error| model.failed(error))?;
        all.push((model.scores(&out), weights));
    }
    let count = all.len() as f32;
    let classes = readers.first().map_or(1, |reader| reader.model.n_subwords());
    let mut all = all.into_iter();
    let (mut scores, mut weights) = all.next().unwrap_or_default();
    let rest: Vec<_> = all.collect();
    if rest.is_empty() {
        return Ok((scores, weights));
    }
    let probabilities = |scores: &mut [f32]| {
        scores.par_chunks_exact_mut(classes).for_each(|row| {
            let log_sum = log_sum_exp(row);
            row.iter_mut().for_each(|score| *score = (f64::from(*score) - log_sum).exp() as f32);
        });
    };
    probabilities(&mut scores);
    for (mut other, looked) in rest {
        probabilities(&mut other);
        scores.iter_mut().zip(other).for_each(|(sum, p)| *sum += p);
        weights.iter_mut().zip(looked).for_each(|(sum, w)| *sum += w);
    }
    scores.par_iter_mut().for_each(|p| *p = (*p / count).ln());
    weights.iter_mut().for_each(|w| *w /= count);
    Ok((scores, weights))
}

/// How each row may go on.
fn candidates(
    sentences: &[Hypotheses<'_>],
    rows: &[usize],
    scores: &mut [f32],
    options: &TranslateOptions,
    generators: &mut [Vec<Rng>],
) -> Vec<Vec<Candidate>> {
    let classes = scores.len() / rows.len().max(1);
    // The place of each row among those of its sentence.
    let places: Vec<usize> = rows.chunk_by(|a, b| a == b).flat_map(|same| 0..same.len()).collect();
    let work = scores.par_chunks_exact_mut(classes).zip(rows).zip(&places);
    let Some(sampling) = &options.sampling else {
        return work
            .map(|((scores, &sentence), &place)| {
                let log_sum = log_sum_exp(scores);
                let hypotheses = &sentences[sentence];
                hypotheses.forbid(place, scores);
                hypotheses.candidates(place, scores, log_sum)
            })
            .collect();
    };
    let own = generators.iter_mut().zip(sentences).filter(|(_, s)| s.len() > 0);
    let own: Vec<&mut Rng> =
        own.flat_map(|(all, sentence)| all.iter_mut().take(sentence.len())).collect();
    work.zip(own)
        .map(|(((scores, &sentence), &place), rng)| {
            let log_sum = log_sum_exp(scores);
            let hypotheses = &sentences[sentence];
            hypotheses.forbid(place, scores);
            match hypotheses
                .forced()
                .or_else(|| pick::draw(scores, sampling.temperature, sampling.top, rng))
            {
                Some(id) => vec![hypotheses.candidate(place, id, scores, log_sum)],
                None => Vec::new(),
            }
        })
        .collect()
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use crate::translator::{
        subwords::{BEGIN, END, UNKNOWN},
        tests::translator,
    };

    /// The likeliest subword each time, in plain loops, for one sentence alone.
    fn greedy(model: &Translator, source: &[u32], limit: usize) -> Vec<u32> {
        let mut encoded = model.encode(source, &[source.len()]).unwrap();
        let (mut ids, mut last) = (Vec::new(), BEGIN);
        while ids.len() < limit {
            let step = model.step(&[last], &[0], &encoded.memory, &mut encoded.state);
            let scores = model.scores(&step.unwrap().0);
            let known = (0..scores.len()).filter(|&id| ![UNKNOWN, BEGIN].contains(&(id as u32)));
            let best = known.reduce(|a, b| if scores[b] > scores[a] { b } else { a }).unwrap();
            last = best as u32;
            if last == END {
                break;
            }
            ids.push(last);
        }
        ids
    }

    #[test]
    fn a_beam_of_one_is_the_greedy_search() {
        for input_feeding in [false, true] {
            let model = translator(input_feeding);
            let sources: Vec<Vec<u32>> = (1..40)
                .map(|n| (0..n % 7 + 1).map(|i| 3 + (n * 31 + i * 17) % 250).chain([END]).collect())
                .collect();
            let options = TranslateOptions { beam: 1, ..TranslateOptions::default() };
            let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
            let found = search(&[&model], &sources, &[0; 39], &[], &options).unwrap();
            let mut ended = 0;
            for (source, found) in sources.iter().zip(found) {
                let limit = options.limit(source.len() - 1);
                let want = greedy(&model, source, limit);
                ended += usize::from(want.len() < limit);
                assert_eq!(found[0].ids, want, "{source:?}");
            }
            assert!(ended > 0 && ended < 39, "{ended} of 39 end by themselves");
        }
    }

    #[test]
    fn forbidden_and_forced_subwords_are_obeyed_to_the_end() {
        let model = translator(false);
        let source: &[u32] = &[10, 11, 12, END];
        let options = TranslateOptions { no_repeat_ngram: 1, n_best: 3, ..Default::default() };
        let prefix = [40, 41, 42];
        let found = search(&[&model], &[source, source], &[0, 1], &prefix, &options).unwrap();
        assert_eq!(found.len(), 2);
        for found in found.iter().flatten() {
            assert!(found.ids.starts_with(&prefix), "{:?}", found.ids);
            let mut ids = found.ids.clone();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), found.ids.len());
            assert!(ids.len() <= options.limit(3));
        }
    }
}
