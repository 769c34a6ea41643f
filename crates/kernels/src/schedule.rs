//! Which sequence every row of a batch works on at every step.

/// Which way a scan walks over a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// First token first.
    Forward,
    /// Last token first.
    Backward,
}

/// A plan for scanning many sequences of unequal length at once.
///
/// The sequences lie unpadded one after the other: token `t` of sequence `s` is
/// row `offset[s] + t` of every matrix. A batch has a fixed number of rows
/// (lanes); a lane whose sequence has ended takes the next one, its state reset
/// inside the scan, so that the batch stays full. Lanes are sorted by their
/// work, so those still busy at a step are always the first ones.
#[derive(Clone, Debug)]
pub struct Schedule {
    direction: Direction,
    lengths: Vec<usize>,
    /// Sequences of each lane.
    queues: Vec<Vec<usize>>,
    tokens: Vec<u32>,
    steps: Vec<usize>,
    starts: Marks,
    ends: Marks,
    empty: Vec<usize>,
}

/// One step of a [`Schedule`].
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Token (row of the unpadded matrices) of each busy lane.
    pub tokens: &'a [u32],
    /// `(lane, sequence)` of each sequence whose first step this is.
    pub starts: &'a [(u32, u32)],
    /// `(lane, sequence)` of each sequence whose last step this is.
    pub ends: &'a [(u32, u32)],
}

/// Pairs of lane and sequence, grouped by step.
#[derive(Clone, Debug)]
struct Marks {
    pairs: Vec<(u32, u32)>,
    first: Vec<usize>,
}

impl Marks {
    fn of(&self, step: usize) -> &[(u32, u32)] {
        &self.pairs[self.first[step]..self.first[step + 1]]
    }

    fn group(steps: usize, mut marks: Vec<(usize, u32, u32)>) -> Self {
        marks.sort_unstable();
        let first = (0..=steps).map(|step| marks.partition_point(|m| m.0 < step)).collect();
        Self { pairs: marks.into_iter().map(|(_, lane, seq)| (lane, seq)).collect(), first }
    }
}

impl Schedule {
    /// Plans sequences of the given lengths (in tokens) on at most `lanes` rows.
    ///
    /// A sequence goes to the lane that is free first; the longest go first,
    /// so that the lanes end nearly together.
    ///
    /// # Panics
    /// If there are more than `u32::MAX` tokens.
    pub fn new(lengths: &[usize], lanes: usize, direction: Direction) -> Self {
        let total: usize = lengths.iter().sum();
        assert!(u32::try_from(total).is_ok(), "more tokens than a schedule can number");
        let mut queues = assign(lengths, lanes.max(1));
        let work = |queue: &Vec<usize>| queue.iter().map(|&s| lengths[s]).sum::<usize>();
        queues.sort_by_key(|queue| std::cmp::Reverse(work(queue)));
        Self::plan(lengths, queues, direction)
    }

    /// Parts of this plan, at most `parts`, each with its share of the lanes;
    /// they number tokens and sequences as the whole does.
    pub(crate) fn split(&self, parts: usize) -> Vec<Self> {
        let parts = parts.clamp(1, self.queues.len().max(1));
        let part = |part| {
            let queues = self.queues.iter().skip(part).step_by(parts).cloned().collect();
            let mut plan = Self::plan(&self.lengths, queues, self.direction);
            if part > 0 {
                plan.empty.clear();
            }
            plan
        };
        (0..parts).map(part).collect()
    }

    /// The plan of given lanes, those of more work first.
    fn plan(lengths: &[usize], queues: Vec<Vec<usize>>, direction: Direction) -> Self {
        let offsets: Vec<usize> =
            lengths.iter().scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n))).collect();
        let work = |queue: &Vec<usize>| queue.iter().map(|&s| lengths[s]).sum::<usize>();
        let n_steps = queues.first().map_or(0, work);
        let loads: Vec<usize> = queues.iter().map(work).collect();
        let busy = |step| loads.partition_point(|&load| load > step);
        let mut steps = vec![0];
        for step in 0..n_steps {
            steps.push(steps[step] + busy(step));
        }
        let mut tokens = vec![0; loads.iter().sum()];
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for (lane, queue) in queues.iter().enumerate() {
            let mut step = 0;
            for &s in queue {
                starts.push((step, lane as u32, s as u32));
                for t in 0..lengths[s] {
                    let at = match direction {
                        Direction::Forward => t,
                        Direction::Backward => lengths[s] - 1 - t,
                    };
                    tokens[steps[step] + lane] = (offsets[s] + at) as u32;
                    step += 1;
                }
                ends.push((step - 1, lane as u32, s as u32));
            }
        }
        Self {
            direction,
            lengths: lengths.to_vec(),
            tokens,
            starts: Marks::group(n_steps, starts),
            ends: Marks::group(n_steps, ends),
            steps,
            queues,
            empty: (0..lengths.len()).filter(|&s| lengths[s] == 0).collect(),
        }
    }

    /// Number of sequences, empty ones included.
    pub fn sequences(&self) -> usize {
        self.lengths.len()
    }

    /// Sequences without a token: their final state is the initial one.
    pub fn empty(&self) -> &[usize] {
        &self.empty
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Rows of the batch at its fullest.
    pub fn lanes(&self) -> usize {
        self.queues.len()
    }

    /// Number of steps.
    pub fn n_steps(&self) -> usize {
        self.steps.len() - 1
    }

    /// One step, counted from 0.
    ///
    /// # Panics
    /// If `step` is not below [`Schedule::n_steps`].
    pub fn step(&self, step: usize) -> Step<'_> {
        Step {
            tokens: &self.tokens[self.steps[step]..self.steps[step + 1]],
            starts: self.starts.of(step),
            ends: self.ends.of(step),
        }
    }
}

/// Queues of sequences, one a lane, without empty sequences or lanes.
fn assign(lengths: &[usize], lanes: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|&s| lengths[s] > 0).collect();
    order.sort_by_key(|&s| (std::cmp::Reverse(lengths[s]), s));
    let lanes = lanes.min(order.len());
    let mut queues = vec![Vec::new(); lanes];
    let mut free: std::collections::BinaryHeap<_> =
        (0..lanes).map(|lane| std::cmp::Reverse((0, lane))).collect();
    for s in order {
        if let Some(std::cmp::Reverse((load, lane))) = free.pop() {
            queues[lane].push(s);
            free.push(std::cmp::Reverse((load + lengths[s], lane)));
        }
    }
    queues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_once_in_order_of_its_sequence() {
        let lengths = [3, 0, 1, 7, 2, 2, 5];
        let offsets = [0, 3, 3, 4, 11, 13, 15];
        for direction in [Direction::Forward, Direction::Backward] {
            for lanes in [1, 2, 3, 100] {
                let schedule = Schedule::new(&lengths, lanes, direction);
                let mut seen = vec![Vec::new(); lengths.len()];
                let mut current = vec![usize::MAX; schedule.lanes()];
                let mut ended = 0;
                for step in 0..schedule.n_steps() {
                    let step = schedule.step(step);
                    for &(lane, s) in step.starts {
                        current[lane as usize] = s as usize;
                    }
                    for (lane, &token) in step.tokens.iter().enumerate() {
                        seen[current[lane]].push(token as usize - offsets[current[lane]]);
                    }
                    for &(lane, s) in step.ends {
                        assert_eq!(current[lane as usize], s as usize);
                        assert_eq!(seen[s as usize].len(), lengths[s as usize]);
                        ended += 1;
                    }
                }
                assert_eq!(ended, 6);
                assert_eq!(schedule.empty(), [1]);
                for (s, seen) in seen.into_iter().enumerate() {
                    let mut want: Vec<usize> = (0..lengths[s]).collect();
                    if direction == Direction::Backward {
                        want.reverse();
                    }
                    assert_eq!(seen, want);
                }
            }
        }
    }

    #[test]
    fn parts_share_out_every_token() {
        let whole = Schedule::new(&[3, 0, 1, 7, 2, 2, 5], 4, Direction::Forward);
        for parts in [1, 2, 3, 9] {
            let parts = whole.split(parts);
            let mut tokens: Vec<u32> = parts.iter().flat_map(|part| part.tokens.clone()).collect();
            tokens.sort_unstable();
            assert!(tokens.into_iter().eq(0..20));
            assert_eq!(parts.iter().map(|part| part.empty.len()).sum::<usize>(), 1);
        }
    }

    #[test]
    fn lanes_stay_full() {
        let lengths: Vec<usize> = (1..=64).collect();
        let schedule = Schedule::new(&lengths, 8, Direction::Forward);
        let total: usize = lengths.iter().sum();
        assert!(schedule.n_steps() <= total / 8 + 2, "{} steps", schedule.n_steps());
    }
}
