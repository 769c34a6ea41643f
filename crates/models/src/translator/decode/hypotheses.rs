//! The hypotheses of one sentence.

use super::TranslateOptions;
use crate::{
    pick::largest,
    translator::subwords::{BEGIN, END, UNKNOWN},
};

/// A subword of a hypothesis; what came before is shared by those that follow.
struct Node {
    id: u32,
    /// The node before; none at the beginning.
    parent: Option<usize>,
    /// What was looked at, if that is kept.
    weights: Vec<f32>,
}

/// A hypothesis that goes on.
#[derive(Clone, Copy)]
struct Live {
    node: usize,
    log_probability: f64,
}

/// A complete hypothesis, as ids.
pub(in crate::translator) struct Found {
    /// Its subwords without the end.
    pub(in crate::translator) ids: Vec<u32>,
    pub(in crate::translator) score: f64,
    pub(in crate::translator) log_probability: f64,
    /// Weights of the source's subwords for each of its own, if they are kept.
    pub(in crate::translator) weights: Vec<Vec<f32>>,
}

/// A way for one hypothesis to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: u32,
    /// Logarithm of the probability of the hypothesis with it.
    pub(super) log_probability: f64,
}

/// The hypotheses of one sentence.
pub(super) struct Hypotheses<'a> {
    options: &'a TranslateOptions,
    /// What they begin with.
    prefix: &'a [u32],
    /// Subwords at most.
    limit: usize,
    nodes: Vec<Node>,
    live: Vec<Live>,
    found: Vec<Found>,
    /// Subwords of those that go on.
    length: usize,
}

impl<'a> Hypotheses<'a> {
    /// `width` beginnings, for a source of so many subwords.
    pub(super) fn new(
        options: &'a TranslateOptions,
        prefix: &'a [u32],
        source: usize,
        width: usize,
    ) -> Self {
        let root = Node { id: BEGIN, parent: None, weights: Vec::new() };
        Self {
            options,
            prefix,
            limit: options.limit(source).max(prefix.len() + 1),
            nodes: vec![root],
            live: vec![Live { node: 0, log_probability: 0.0 }; width],
            found: Vec::new(),
            length: 0,
        }
    }

    /// The subword that each hypothesis ends with, which is what is read next.
    pub(super) fn last_ids(&self) -> impl Iterator<Item = u32> {
        self.live.iter().map(|live| self.nodes[live.node].id)
    }

    /// How many go on.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// The subword that has to come next, if there is one.
    pub(super) fn forced(&self) -> Option<u32> {
        self.prefix.get(self.length).copied()
    }

    /// Forbids what the hypothesis in that place may not go on with.
    pub(super) fn forbid(&self, place: usize, scores: &mut [f32]) {
        let mut forbid = |id: u32| scores[id as usize] = f32::NEG_INFINITY;
        forbid(UNKNOWN);
        forbid(BEGIN);
        let n = self.options.no_repeat_ngram;
        if n == 0 || self.length < n {
            return;
        }
        let ids = self.ids(self.live[place].node);
        let last = &ids[ids.len() - (n - 1)..];
        ids.windows(n).filter(|run| run[..n - 1] == *last).for_each(|run| forbid(run[n - 1]));
    }

    /// The best ways for the hypothesis in that place to go on: one more than are
    /// followed, for one of them may be the end.
    pub(super) fn candidates(&self, place: usize, scores: &[f32], log_sum: f64) -> Vec<Candidate> {
        if let Some(id) = self.forced() {
            return vec![self.candidate(place, id, scores, log_sum)];
        }
        let best = largest(scores, self.options.width() + 1).into_iter();
        best.map(|(_, id)| self.candidate(place, id, scores, log_sum)).collect()
    }

    /// A way for the hypothesis in that place to go on.
    pub(super) fn candidate(
        &self,
        place: usize,
        id: u32,
        scores: &[f32],
        log_sum: f64,
    ) -> Candidate {
        let of_id = f64::from(scores[id as usize]) - log_sum;
        Candidate { id, log_probability: self.live[place].log_probability + of_id }
    }

    /// Goes on with the best of all candidates, a list for each hypothesis, which
    /// looked at `weights`. Returns the place that each of those that now go on
    /// had.
    pub(super) fn advance(
        &mut self,
        candidates: &[Vec<Candidate>],
        weights: &[&[f32]],
    ) -> Vec<usize> {
        let width = self.options.width();
        let mut all: Vec<(usize, Candidate)> = Vec::new();
        for (place, candidates) in candidates.iter().enumerate() {
            all.extend(candidates.iter().map(|candidate| (place, *candidate)));
        }
        // Equal ones keep their order, that of places and scores.
        all.sort_by(|(_, a), (_, b)| b.log_probability.total_cmp(&a.log_probability));
        let mut places = Vec::new();
        let mut live = Vec::new();
        for (rank, (place, candidate)) in all.into_iter().enumerate() {
            if live.len() == width || self.found.len() == width {
                break;
            }
            if candidate.id != END {
                live.push(self.follow(place, candidate, weights));
                places.push(place);
            } else if rank < width {
                self.finish(place, candidate, weights);
            }
        }
        self.live = live;
        self.end_step();
        if self.live.is_empty() { Vec::new() } else { places }
    }

    /// As [`advance`](Self::advance), each hypothesis with its own candidate.
    pub(super) fn advance_each(
        &mut self,
        candidates: &[Vec<Candidate>],
        weights: &[&[f32]],
    ) -> Vec<usize> {
        let (mut places, mut live) = (Vec::new(), Vec::new());
        for (place, candidate) in candidates.iter().enumerate() {
            match candidate.first() {
                Some(candidate) if candidate.id != END => {
                    live.push(self.follow(place, *candidate, weights));
                    places.push(place);
                }
                Some(candidate) => self.finish(place, *candidate, weights),
                None => {}
            }
        }
        self.live = live;
        self.end_step();
        if self.live.is_empty() { Vec::new() } else { places }
    }

    fn follow(&mut self, place: usize, candidate: Candidate, weights: &[&[f32]]) -> Live {
        let parent = Some(self.live[place].node);
        let weights = weights.get(place).map_or_else(Vec::new, |weights| weights.to_vec());
        self.nodes.push(Node { id: candidate.id, parent, weights });
        Live { node: self.nodes.len() - 1, log_probability: candidate.log_probability }
    }

    /// Puts a hypothesis with its end among those that are complete.
    fn finish(&mut self, place: usize, candidate: Candidate, weights: &[&[f32]]) {
        let last = weights.get(place).copied().unwrap_or_default();
        let live = self.live[place];
        self.put(live.node, candidate.log_probability, self.length + 1, last);
    }

    fn put(&mut self, node: usize, log_probability: f64, length: usize, last: &[f32]) {
        let mut weights = Vec::new();
        let mut at = node;
        while let Some(parent) = self.nodes[at].parent {
            weights.push(self.nodes[at].weights.clone());
            at = parent;
        }
        weights.reverse();
        let penalty = self.coverage_penalty(weights.iter().map(Vec::as_slice).chain([last]));
        let score = self.options.length_penalty.apply(log_probability, length) + penalty;
        if !self.options.alignments {
            weights.clear();
        }
        self.found.push(Found { ids: self.ids(node), score, log_probability, weights });
    }

    /// The penalty of Wu et al. (2016) for what was hardly looked at: 0 or less.
    fn coverage_penalty<'w>(&self, weights: impl Iterator<Item = &'w [f32]>) -> f64 {
        if self.options.coverage_penalty <= 0.0 {
            return 0.0;
        }
        let mut sums: Vec<f64> = Vec::new();
        for row in weights {
            sums.resize(row.len().max(sums.len()), 0.0);
            sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += f64::from(*w));
        }
        // Nothing is looked at so little that it decides alone.
        let log = |sum: f64| sum.clamp(1e-6, 1.0).ln();
        self.options.coverage_penalty * sums.into_iter().map(log).sum::<f64>()
    }

    /// Ends a step: if enough are complete, or all are too long, none goes on.
    fn end_step(&mut self) {
        self.length += 1;
        if self.options.sampling.is_none() && self.found.len() >= self.options.width() {
            self.live.clear();
        }
        if self.length >= self.limit {
            for live in std::mem::take(&mut self.live) {
                self.put(live.node, live.log_probability, self.length, &[]);
            }
        }
        if self.found.is_empty() && self.live.is_empty() {
            // Everything was forbidden: what there was is all there is.
            let node = self.nodes.len() - 1;
            self.put(node, f64::NEG_INFINITY, self.length, &[]);
        }
    }

    /// The subwords up to a node.
    fn ids(&self, mut node: usize) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.length);
        while let Some(parent) = self.nodes[node].parent {
            ids.push(self.nodes[node].id);
            node = parent;
        }
        ids.reverse();
        ids
    }

    /// The complete ones, best first.
    pub(super) fn into_found(mut self) -> Vec<Found> {
        self.found.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.found.truncate(self.options.n_best.max(1));
        self.found
    }
}
