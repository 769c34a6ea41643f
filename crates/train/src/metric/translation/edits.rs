//! The search of TER: shifts of phrases, one after the other, each the one that
//! leaves the smallest edit distance.
//!
//! The limits and the order of preference are those of Tercom, in the form that
//! sacreBLEU gave them. Words are numbers; a shift changes no length, so all
//! distances of a search have one shape.

use std::{cmp::Reverse, mem, ops::Range};

/// Words on both sides of the diagonal within which distances are computed.
const BEAM: usize = 25;
/// Words of the longest phrase that is shifted.
const MAX_LENGTH: usize = 10;
/// Words between the places of a phrase in hypothesis and reference.
const MAX_DISTANCE: usize = 50;
/// Shifts that are tried; the round that reaches it is without effect.
const MAX_CANDIDATES: usize = 1000;
/// Costs of cells outside of the beam.
const UNREACHED: u32 = u32::MAX / 2;

/// Edits that turn `hypothesis` into `reference`, shifts among them.
pub(super) fn count(hypothesis: &[u32], reference: &[u32]) -> usize {
    if reference.is_empty() {
        return hypothesis.len();
    }
    let mut search = Search::new(hypothesis, reference);
    let mut shifts = 0;
    while let Some(shift) = search.best_shift() {
        search.apply(shift);
        shifts += 1;
    }
    shifts + search.distance() as usize
}

/// Moves `length` words from `start` to before `target`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shift {
    start: usize,
    length: usize,
    target: usize,
}

impl Shift {
    /// Writes the shifted `words` to `out`. A target inside of the phrase counts
    /// from the phrase's start in what remains of the sentence.
    fn write(self, words: &[u32], out: &mut Vec<u32>) {
        let Self { start, length, target } = self;
        let end = start + length;
        let phrase = &words[start..end];
        out.clear();
        if target < start {
            let parts = [&words[..target], phrase, &words[target..start], &words[end..]];
            parts.into_iter().for_each(|part| out.extend_from_slice(part));
        } else {
            let behind = if target > end { target } else { (target + length).min(words.len()) };
            let parts = [&words[..start], &words[end..behind], phrase, &words[behind..]];
            parts.into_iter().for_each(|part| out.extend_from_slice(part));
        }
    }
}

/// Where the reference's words are in the hypothesis, and what differs.
#[derive(Debug, Default)]
struct Alignment {
    /// For every word of the reference, the place behind its word of the hypothesis,
    /// or behind the word before, if it has none.
    behind: Vec<usize>,
    /// Whether a word of the reference is substituted or missing.
    reference_errs: Vec<bool>,
    /// Whether a word of the hypothesis is substituted or one too many.
    hypothesis_errs: Vec<bool>,
}

struct Search<'a> {
    hypothesis: Vec<u32>,
    reference: &'a [u32],
    /// Words of the reference per word of the hypothesis.
    ratio: f64,
    beam: usize,
    /// Distances of the hypothesis's beginnings and the reference's:
    /// `[hypothesis + 1, reference + 1]`.
    costs: Vec<u32>,
    candidates: usize,
    /// Room for one shifted sentence, and two rows of its costs.
    shifted: Vec<u32>,
    rows: [Vec<u32>; 2],
}

impl<'a> Search<'a> {
    fn new(hypothesis: &[u32], reference: &'a [u32]) -> Self {
        let ratio = match hypothesis.len() {
            0 => 1.0,
            length => reference.len() as f64 / length as f64,
        };
        let wide = ratio / 2.0 > BEAM as f64;
        let beam = if wide { (ratio / 2.0 + BEAM as f64).ceil() as usize } else { BEAM };
        let columns = reference.len() + 1;
        let mut costs = vec![UNREACHED; (hypothesis.len() + 1) * columns];
        costs.iter_mut().zip(0..columns as u32).for_each(|(cost, words)| *cost = words);
        let mut search = Self {
            hypothesis: hypothesis.to_vec(),
            reference,
            ratio,
            beam,
            costs,
            candidates: 0,
            shifted: Vec::with_capacity(hypothesis.len()),
            rows: [vec![0; columns], vec![0; columns]],
        };
        search.fill();
        search
    }

    fn columns(&self) -> usize {
        self.reference.len() + 1
    }

    /// Edit distance of the hypothesis as it is now.
    fn distance(&self) -> u32 {
        *self.costs.last().unwrap_or(&0)
    }

    /// Computes the costs of all words of the hypothesis.
    fn fill(&mut self) {
        let columns = self.columns();
        let mut costs = mem::take(&mut self.costs);
        for (index, &word) in self.hypothesis.iter().enumerate() {
            let (above, row) = costs[index * columns..].split_at_mut(columns);
            self.row(index + 1, word, above, &mut row[..columns]);
        }
        self.costs = costs;
    }

    /// Columns within the beam, for the first `index` words of the hypothesis.
    fn band(&self, index: usize) -> Range<usize> {
        let diagonal = (index as f64 * self.ratio).floor() as usize;
        let end = match index < self.hypothesis.len() {
            true => self.columns().min(diagonal + self.beam),
            false => self.columns(),
        };
        diagonal.saturating_sub(self.beam)..end
    }

    /// Costs of the first `index` words of the hypothesis, of which `word` is the
    /// last, from those of one word fewer. Only the band is computed, and the cells
    /// beside it are set that the next row will read.
    fn row(&self, index: usize, word: u32, above: &[u32], row: &mut [u32]) {
        let band = self.band(index);
        row[band.start.saturating_sub(1)..band.start].fill(UNREACHED);
        row[band.end..self.band(index + 1).end].fill(UNREACHED);
        let mut left = UNREACHED;
        for column in band {
            let deleted = above[column] + 1;
            left = match column.checked_sub(1) {
                None => deleted,
                Some(before) => {
                    let differs = u32::from(self.reference[before] != word);
                    (above[before] + differs).min(deleted).min(left + 1).min(UNREACHED)
                }
            };
            row[column] = left;
        }
    }

    /// Edit distance of the shifted sentence, which equals the hypothesis up to `common`.
    fn distance_of_shifted(&mut self, common: usize) -> u32 {
        let columns = self.columns();
        let [mut above, mut row] = mem::take(&mut self.rows);
        above.copy_from_slice(&self.costs[common * columns..][..columns]);
        for (index, &word) in self.shifted.iter().enumerate().skip(common) {
            self.row(index + 1, word, &above, &mut row);
            mem::swap(&mut above, &mut row);
        }
        let distance = above[columns - 1];
        self.rows = [above, row];
        distance
    }

    /// Reads the alignment from the costs: matches and substitutions are preferred
    /// to words too many, and those to missing ones.
    fn alignment(&self) -> Alignment {
        let columns = self.columns();
        let cost = |row: usize, column: usize| self.costs[row * columns + column];
        let (mut row, mut column) = (self.hypothesis.len(), self.reference.len());
        let mut alignment = Alignment {
            behind: vec![0; column],
            reference_errs: vec![false; column],
            hypothesis_errs: vec![false; row],
        };
        while row > 0 || column > 0 {
            let here = cost(row, column);
            if row > 0 && column > 0 {
                let differs = self.hypothesis[row - 1] != self.reference[column - 1];
                if cost(row - 1, column - 1) + u32::from(differs) == here {
                    alignment.behind[column - 1] = row;
                    alignment.reference_errs[column - 1] = differs;
                    alignment.hypothesis_errs[row - 1] = differs;
                    (row, column) = (row - 1, column - 1);
                    continue;
                }
            }
            if row > 0 && (column == 0 || cost(row - 1, column) + 1 == here) {
                alignment.hypothesis_errs[row - 1] = true;
                row -= 1;
            } else {
                alignment.behind[column - 1] = row;
                alignment.reference_errs[column - 1] = true;
                column -= 1;
            }
        }
        alignment
    }

    /// The shift that gains most; of those that gain as much, that of the longest
    /// phrase, then of the first one, then to the first place. None if there is no
    /// gain, or if too many were tried.
    fn best_shift(&mut self) -> Option<Shift> {
        let alignment = self.alignment();
        let mut best = None;
        for start in 0..self.hypothesis.len() {
            let near = start.saturating_sub(MAX_DISTANCE);
            let far = self.reference.len().min(start + MAX_DISTANCE + 1);
            for place in near..far {
                for length in 1..=self.longest_match(start, place) {
                    self.try_phrase(&alignment, start, place, length, &mut best);
                    if self.candidates >= MAX_CANDIDATES {
                        return None;
                    }
                }
            }
        }
        let (gain, length, Reverse(start), Reverse(target)) = best?;
        (gain > 0).then_some(Shift { start, length, target })
    }

    /// Length of the longest phrase that begins at both places.
    fn longest_match(&self, start: usize, place: usize) -> usize {
        let pairs = self.hypothesis[start..].iter().zip(&self.reference[place..]);
        pairs.take(MAX_LENGTH).take_while(|(word, other)| word == other).count()
    }

    /// Tries to shift a phrase to where the words of its equal in the reference
    /// (from `place`) are, unless one of both is right where it is.
    fn try_phrase(
        &mut self,
        alignment: &Alignment,
        start: usize,
        place: usize,
        length: usize,
        best: &mut Option<(i64, usize, Reverse<usize>, Reverse<usize>)>,
    ) {
        let errs = |errs: &[bool], start| errs[start..start + length].contains(&true);
        let inside = start < alignment.behind[place] && alignment.behind[place] <= start + length;
        if inside
            || !errs(&alignment.hypothesis_errs, start)
            || !errs(&alignment.reference_errs, place)
        {
            return;
        }
        let mut previous = None;
        for offset in 0..=length {
            let target = match (place + offset).checked_sub(1) {
                None => 0,
                Some(word) => alignment.behind[word],
            };
            if previous.replace(target) == Some(target) {
                continue;
            }
            let shift = Shift { start, length, target };
            let mut shifted = mem::take(&mut self.shifted);
            shift.write(&self.hypothesis, &mut shifted);
            self.shifted = shifted;
            let distance = self.distance_of_shifted(start.min(target));
            let gain = i64::from(self.distance()) - i64::from(distance);
            let candidate = (gain, length, Reverse(start), Reverse(target));
            *best = (*best).max(Some(candidate));
            self.candidates += 1;
        }
    }

    fn apply(&mut self, shift: Shift) {
        let mut shifted = mem::take(&mut self.shifted);
        shift.write(&self.hypothesis, &mut shifted);
        self.shifted = mem::replace(&mut self.hypothesis, shifted);
        self.fill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    fn edits(hypothesis: &str, reference: &str) -> usize {
        count(&words(hypothesis), &words(reference))
    }

    #[test]
    fn edits_by_hand() {
        assert_eq!(edits("", ""), 0);
        assert_eq!(edits("ab", ""), 2);
        assert_eq!(edits("", "ab"), 2);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("defghabc", "abcdefgh"), 1, "one shift");
        assert_eq!(edits("abxcdefg", "cdabefg"), 2, "a shift and a word too many");
    }

    #[test]
    fn shifts_go_before_behind_and_within() {
        let shifted = |start, length, target| {
            let mut out = Vec::new();
            Shift { start, length, target }.write(&words("abcdefg"), &mut out);
            out.iter().map(|&word| char::from(word as u8)).collect::<String>()
        };
        assert_eq!(shifted(3, 2, 1), "adebcfg");
        assert_eq!(shifted(1, 2, 5), "adebcfg");
        assert_eq!(shifted(1, 2, 1), "abcdefg");
        assert_eq!(shifted(1, 2, 3), "adebcfg");
        assert_eq!(shifted(4, 3, 6), "abcdefg");
    }

    #[test]
    fn very_unequal_lengths_meet_in_the_beam() {
        // The word at 7 is outside of the beam where the hypothesis ends.
        let long: Vec<u32> = (0..400).collect();
        assert_eq!(count(&long, &[7]), 399);
        assert_eq!(count(&[7], &long), 400);
        assert_eq!(count(&[390], &long), 399);
    }

    #[test]
    fn a_shifted_sentence_costs_what_it_costs_alone() {
        // Most words match along the border of the beam, or just outside.
        for moved in 22..44 {
            let long: Vec<u32> = (0..120).map(|word| word * word % 31).collect();
            let begun: Vec<u32> = std::iter::repeat_n(99, moved).chain(long.clone()).collect();
            for (hypothesis, reference) in [(&long, &begun[..120]), (&begun, &long[..])] {
                let mut search = Search::new(hypothesis, reference);
                for (start, target) in [(0, 9), (60, 2), (60, 63), (100, 40), (30, 110)] {
                    let shift = Shift { start, length: 4, target };
                    shift.write(&search.hypothesis, &mut search.shifted);
                    let alone = Search::new(&search.shifted, reference).distance();
                    let common = start.min(target);
                    assert_eq!(search.distance_of_shifted(common), alone, "{moved}, {shift:?}");
                }
            }
        }
    }
}
