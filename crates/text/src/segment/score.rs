//! How well raw text is split, as the CoNLL 2018 shared task counts it (Zeman et
//! al., 2018): F1 of tokens, of words, of sentences, and of labels of words.

use std::ops::Range;

use crate::{Annotation, Sentence, Source};

/// A text that is split. Places count its characters but white space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    sentences: Vec<Range<usize>>,
    tokens: Vec<Range<usize>>,
    words: Vec<Word>,
}

/// A word; the words of a multiword token have the place of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    place: Range<usize>,
    form: String,
    is_part: bool,
    label: Option<String>,
}

/// A treebank: its raw text, and how that is to be split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Treebank {
    /// The texts of the sentences with a space between them, and a blank line where a
    /// paragraph or a document begins.
    pub text: String,
    /// Sentences, tokens and words.
    pub split: Split,
}

/// Precision, recall and F1 of one kind of units, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Units that are right.
    pub correct: usize,
    /// Units that were found.
    pub found: usize,
    /// Units that there are.
    pub gold: usize,
}

/// How well a text is split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Tokens; a multiword token is one.
    pub tokens: Counts,
    /// Sentences.
    pub sentences: Counts,
    /// Words, parts of multiword tokens by themselves.
    pub words: Counts,
    /// Words with the right label, if both have labels.
    pub labels: Option<Counts>,
}

impl Counts {
    /// Of what was found, the part that is right.
    pub fn precision(self) -> f64 {
        ratio(self.correct, self.found)
    }

    /// Of what there is, the part that was found.
    pub fn recall(self) -> f64 {
        ratio(self.correct, self.gold)
    }

    /// The harmonic mean of the two.
    pub fn f1(self) -> f64 {
        ratio(2 * self.correct, self.found + self.gold)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Split {
    /// How sentences of one text are split, with the labels of a layer of words.
    pub fn of(sentences: &[Sentence], layer: Option<&str>) -> Self {
        let (mut split, mut at) = (Self::default(), 0);
        for sentence in sentences {
            let labels = layer.and_then(|layer| Some(&sentence.layer(layer)?.annotation));
            let start = at;
            let mut token = 0;
            while token < sentence.len() {
                let mut end = token + 1;
                while end < sentence.len() && sentence.is_joined(end) {
                    end += 1;
                }
                let place =
                    at..at + (token..end).map(|i| visible(sentence.token(i))).sum::<usize>();
                for i in token..end {
                    let label = match labels {
                        Some(Annotation::Tokens(labels)) => Some(labels[i].value.to_string()),
                        _ => None,
                    };
                    let form = sentence.token(i).to_owned();
                    let is_part = end > token + 1;
                    split.words.push(Word { place: place.clone(), form, is_part, label });
                }
                at = place.end;
                split.tokens.push(place);
                token = end;
            }
            split.sentences.push(start..at);
        }
        split
    }

    /// Counts what of this is as in `gold`.
    pub fn score(&self, gold: &Split) -> Scores {
        let count = |found: &[Range<usize>], gold: &[Range<usize>]| Counts {
            correct: common(found, gold),
            found: found.len(),
            gold: gold.len(),
        };
        let aligned = align(&gold.words, &self.words);
        let of_words =
            |correct| Counts { correct, found: self.words.len(), gold: gold.words.len() };
        let labelled = |words: &[Word]| words.iter().any(|word| word.label.is_some());
        let same = aligned.iter().filter(|(gold, found)| gold.label == found.label).count();
        Scores {
            tokens: count(&self.tokens, &gold.tokens),
            sentences: count(&self.sentences, &gold.sentences),
            words: of_words(aligned.len()),
            labels: (labelled(&self.words) && labelled(&gold.words)).then(|| of_words(same)),
        }
    }
}

impl Treebank {
    /// Adds a sentence with the labels of a column. Of one that was read from CoNLL-U,
    /// its comments tell the text and what begins with it.
    pub fn add(&mut self, sentence: &Sentence, column: Option<&str>) {
        let mut read = Lines { start: self.end(), ..Lines::default() };
        match sentence.source() {
            Source::Rows(rows) if rows.is_conllu() => {
                rows.raw().lines().for_each(|line| read.add(line));
            }
            _ => sentence.tokens().for_each(|token| read.add_word(token)),
        }
        let labels = column.and_then(|column| sentence.column(column));
        let Lines { text, begins, tokens, parts, .. } = read;
        let words = sentence.tokens().enumerate().map(|(i, form)| {
            let (token, is_part) = parts.get(i).copied().unwrap_or_default();
            Word {
                place: tokens.get(token).cloned().unwrap_or_default(),
                form: form.to_owned(),
                is_part,
                label: labels.as_ref().map(|labels| labels[i].to_owned()),
            }
        });
        self.split.words.extend(words);
        if !self.text.is_empty() {
            self.text.push_str(if begins { "\n\n" } else { " " });
        }
        self.text.push_str(&text.unwrap_or_else(|| sentence.text().to_owned()));
        let end = tokens.last().map_or(self.end(), |token| token.end);
        self.split.sentences.push(self.end()..end);
        self.split.tokens.extend(tokens);
    }

    /// Where the last sentence ends.
    fn end(&self) -> usize {
        self.split.sentences.last().map_or(0, |sentence| sentence.end)
    }
}

/// The lines of a sentence in CoNLL-U.
#[derive(Default)]
struct Lines {
    start: usize,
    text: Option<String>,
    /// Whether a paragraph or a document begins.
    begins: bool,
    tokens: Vec<Range<usize>>,
    /// Of each word the number of its token, and whether it is one of several.
    parts: Vec<(usize, bool)>,
    /// The last word of the multiword token that was begun.
    until: usize,
}

impl Lines {
    fn add(&mut self, line: &str) {
        if let Some(comment) = line.strip_prefix('#') {
            let comment = comment.trim_start();
            self.begins |= comment.starts_with("newpar") || comment.starts_with("newdoc");
            if let Some(text) = comment.strip_prefix("text =").or(comment.strip_prefix("text=")) {
                self.text = Some(text.trim().to_owned());
            }
            return;
        }
        let mut cells = line.split('\t');
        let (Some(id), Some(form)) = (cells.next(), cells.next()) else { return };
        if let Some((_, last)) = id.split_once('-') {
            self.until = last.parse().unwrap_or_default();
            self.push(form);
        } else if let Ok(number) = id.parse::<usize>() {
            if number > self.until {
                return self.add_word(form);
            }
            self.parts.push((self.tokens.len().saturating_sub(1), true));
        }
    }

    /// Adds a token that is one word.
    fn add_word(&mut self, form: &str) {
        self.push(form);
        self.parts.push((self.tokens.len() - 1, false));
    }

    fn push(&mut self, form: &str) {
        let start = self.tokens.last().map_or(self.start, |token| token.end);
        self.tokens.push(start..start + visible(form));
    }
}

/// Characters that are no white space.
fn visible(text: &str) -> usize {
    text.chars().filter(|char| !char.is_whitespace()).count()
}

/// How many of two ordered lists of places are in both.
fn common(one: &[Range<usize>], other: &[Range<usize>]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        count += usize::from(a == b);
        i += usize::from(a.start <= b.start);
        j += usize::from(b.start <= a.start);
    }
    count
}

/// Pairs of words at the same places; where a multiword token is, of the longest
/// sequence of equal words.
fn align<'w>(gold: &'w [Word], found: &'w [Word]) -> Vec<(&'w Word, &'w Word)> {
    let (mut g, mut f, mut pairs) = (0, 0, Vec::new());
    while let (Some(one), Some(other)) = (gold.get(g), found.get(f)) {
        if one.is_part || other.is_part {
            let (golds, founds) = region(gold, found, g, f);
            (g, f) = (golds.end, founds.end);
            longest(&gold[golds], &found[founds], &mut pairs);
        } else if one.place == other.place {
            pairs.push((one, other));
            (g, f) = (g + 1, f + 1);
        } else if one.place.start <= other.place.start {
            g += 1;
        } else {
            f += 1;
        }
    }
    pairs
}

/// The words of both that a multiword token, and those that overlap it, consist of.
fn region(gold: &[Word], found: &[Word], g: usize, f: usize) -> (Range<usize>, Range<usize>) {
    let (mut g, mut f) = (g, f);
    let starts_before = |one: &Word, other: &Word| one.place.start < other.place.start;
    let mut end = if gold[g].is_part {
        f += usize::from(!found[f].is_part && starts_before(&found[f], &gold[g]));
        gold[g].place.end
    } else {
        g += usize::from(starts_before(&gold[g], &found[f]));
        found[f].place.end
    };
    let is_beyond = |words: &[Word], at: usize, end: usize| {
        words.get(at).is_none_or(|word| match word.is_part {
            true => word.place.start >= end,
            false => word.place.end > end,
        })
    };
    let (first_gold, first_found) = (g, f);
    while !is_beyond(gold, g, end) || !is_beyond(found, f, end) {
        let from_gold = gold
            .get(g)
            .filter(|gold| found.get(f).is_none_or(|found| gold.place.start <= found.place.start));
        let Some(word) = from_gold.or(found.get(f)) else { break };
        if word.is_part {
            end = end.max(word.place.end);
        }
        match from_gold {
            Some(_) => g += 1,
            None => f += 1,
        }
    }
    (first_gold..g, first_found..f)
}

/// Adds the longest sequence of words that both have in the same order.
fn longest<'w>(gold: &'w [Word], found: &'w [Word], pairs: &mut Vec<(&'w Word, &'w Word)>) {
    let lower = |words: &[Word]| words.iter().map(|w| w.form.to_lowercase()).collect::<Vec<_>>();
    let (golds, founds) = (lower(gold), lower(found));
    let mut length = vec![vec![0_usize; found.len() + 1]; gold.len() + 1];
    for g in (0..gold.len()).rev() {
        for f in (0..found.len()).rev() {
            length[g][f] = match golds[g] == founds[f] {
                true => 1 + length[g + 1][f + 1],
                false => length[g + 1][f].max(length[g][f + 1]),
            };
        }
    }
    let (mut g, mut f) = (0, 0);
    while g < gold.len() && f < found.len() {
        if golds[g] == founds[f] {
            pairs.push((&gold[g], &found[f]));
            (g, f) = (g + 1, f + 1);
        } else if length[g][f] == length[g + 1][f] {
            g += 1;
        } else {
            f += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Position, corpus, segment};

    const TREEBANK: &str = "\
# newdoc id = a
# text = I don't go to \u{a0}the zoo.
1\tI\t_\tPRON\t_\t_\t_\t_\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\t_\tAUX\t_\t_\t_\t_\t_\t_
3\tn't\t_\tPART\t_\t_\t_\t_\t_\t_
4\tgo\t_\tVERB\t_\t_\t_\t_\t_\t_
5\tto\t_\tADP\t_\t_\t_\t_\t_\t_
5.1\tx\t_\t_\t_\t_\t_\t_\t_\t_
6\tthe\t_\tDET\t_\t_\t_\t_\t_\t_
7\tzoo\t_\tNOUN\t_\t_\t_\t_\t_\tSpaceAfter=No
8\t.\t_\tPUNCT\t_\t_\t_\t_\t_\t_

# text = He left A B
1\tHe\t_\tPRON\t_\t_\t_\t_\t_\t_
2\tleft\t_\tVERB\t_\t_\t_\t_\t_\t_
3\tA B\t_\tPROPN\t_\t_\t_\t_\t_\t_

# newpar
1\tNo\t_\tINTJ\t_\t_\t_\t_\t_\tSpaceAfter=No
2\t.\t_\tPUNCT\t_\t_\t_\t_\t_\t_

";

    fn treebank(text: &str, column: Option<&str>) -> Treebank {
        let mut treebank = Treebank::default();
        let options = corpus::ReadOptions { format: corpus::Format::Conllu, ..Default::default() };
        let input = Box::new(std::io::Cursor::new(text.to_owned()));
        for sentence in corpus::read(input, std::path::Path::new("-"), 0, &options).expect("input")
        {
            treebank.add(&sentence.expect("a sentence"), column);
        }
        treebank
    }

    #[test]
    fn a_treebank_is_its_text_and_how_it_is_split() {
        let gold = treebank(TREEBANK, Some("upos"));
        assert_eq!(gold.text, "I don't go to \u{a0}the zoo. He left A B\n\nNo.");
        assert_eq!(gold.split.sentences, [0..17, 17..25, 25..28]);
        assert_eq!(gold.split.tokens[..3], [0..1, 1..6, 6..8]);
        let parts: Vec<_> = gold.split.words.iter().filter(|word| word.is_part).collect();
        assert_eq!(parts.iter().map(|word| word.form.as_str()).collect::<Vec<_>>(), ["do", "n't"]);
        assert!(parts.iter().all(|word| word.place == (1..6)));
    }

    #[test]
    fn what_is_split_here_is_scored() {
        let gold = treebank(TREEBANK, Some("upos"));
        let mut sentences = segment::document(&gold.text, Position::default());
        for sentence in &mut sentences {
            sentence.set_layer(Layer::from_labels("upos", &vec!["VERB"; sentence.len()]));
        }
        let scores = Split::of(&sentences, Some("upos")).score(&gold.split);
        let counts = |correct, found, gold| Counts { correct, found, gold };
        // "A B" is one token there, and two here.
        assert_eq!(scores.tokens, counts(11, 13, 12));
        assert_eq!(scores.words, counts(12, 14, 13));
        assert_eq!(scores.sentences, counts(3, 3, 3));
        assert_eq!(scores.labels, Some(counts(2, 14, 13)));
        let unlabelled = Split::of(&sentences, None).score(&treebank(TREEBANK, None).split);
        assert_eq!((unlabelled.labels, unlabelled.words), (None, scores.words));
        assert!((scores.tokens.f1() - 22.0 / 25.0).abs() < 1e-12);
    }

    /// Values of `conll18_ud_eval.py` of the shared task.
    #[test]
    fn words_of_multiword_tokens_are_aligned_as_in_the_shared_task() {
        let split = |tokens: &[&[&str]]| {
            let (mut split, mut at) = (Split::default(), 0);
            for words in tokens {
                let place = at..at + words[0].chars().count();
                at = place.end;
                split.tokens.push(place.clone());
                let parts = if words.len() == 1 { words } else { &words[1..] };
                split.words.extend(parts.iter().map(|form| Word {
                    place: place.clone(),
                    form: (*form).to_owned(),
                    is_part: words.len() > 1,
                    label: None,
                }));
            }
            split
        };
        let gold = split(&[&["abc", "a", "BX", "c"], &["d"], &["ef"]]);
        let found = split(&[&["ab", "a", "b"], &["c"], &["def", "d", "ef"]]);
        let counts = |correct, found, gold| Counts { correct, found, gold };
        let scores = found.score(&gold);
        assert_eq!((scores.tokens, scores.words), (counts(0, 3, 3), counts(4, 5, 5)));
        let whole = split(&[&["abcdef"]]);
        assert_eq!(whole.score(&gold).words, counts(0, 1, 5));
        assert_eq!(gold.score(&gold).words, counts(5, 5, 5));
    }
}
