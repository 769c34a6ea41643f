use std::path::Path;
use std::sync::Arc;

use super::align::{self, Unit};
use super::block::{Block, Blocks, Kind, is_blank};
use super::input::{Input, chomp};
use super::{Reader, Warnings};
use crate::source::{Layout, comment, misc_value};
use crate::{Error, Position, Result, Sentence};

/// The columns of CoNLL-U.
pub(super) const COLUMNS: [&str; 10] =
    ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"];
const FORM: usize = 1;
pub(super) const MISC: usize = 9;

/// A reader of CoNLL-U. Tokens are the syntactic words; a sentence's text is
/// that of its `# text`, or its forms joined. The document is the sentences'
/// texts, joined by newlines.
pub(super) struct ConlluReader {
    blocks: Blocks,
    document: usize,
    position: Position,
    layout: Arc<Layout>,
    ids: Ids,
}

impl ConlluReader {
    pub fn new(input: Input, document: usize) -> ConlluReader {
        let names = COLUMNS.map(str::to_owned).to_vec();
        let layout = Arc::new(Layout { conllu: true, tabs: true, names });
        let (blocks, position) = (Blocks::new(input), Position::default());
        ConlluReader { blocks, document, position, layout, ids: Ids::default() }
    }

    fn sentence(&mut self, block: Block) -> Result<Sentence> {
        let path = self.blocks.input.path();
        let (text, ranges) = text(&block.raw);
        let sentence = Sentence::of_parts(text, ranges, self.position);
        if !sentence.is_empty() {
            self.position = sentence.end().after("\n");
        }
        let line = block.line.max(block.start);
        Ok(block.give(sentence, self.layout.clone()).located(self.document, path, line))
    }
}

impl Reader for ConlluReader {
    fn next(&mut self) -> Result<Option<Sentence>> {
        let path = self.blocks.input.path().clone();
        let ids = &mut self.ids;
        let block = self.blocks.next(|line| {
            let (line, number) = (line.text, line.number);
            if is_blank(line) {
                ids.close(&path, number)?;
                return Ok(Kind::Blank);
            } else if line.starts_with('#') {
                return Ok(Kind::Comment);
            }
            let mut cells = line.split('\t');
            let (id, form) = (cells.next().unwrap_or_default(), cells.next());
            let found = line.bytes().filter(|byte| *byte == b'\t').count() + 1;
            if found != COLUMNS.len() {
                return Err(Error::Columns {
                    path: path.to_path_buf(),
                    line: number,
                    want: COLUMNS.len(),
                    found,
                });
            }
            let kind = ids.add(id, &path, number)?;
            match form {
                None | Some("") => {
                    Err(Error::EmptyToken { path: path.to_path_buf(), line: number })
                }
                Some(_) => Ok(kind),
            }
        })?;
        if self.blocks.ended()
            && let Err(error) = ids.close(&path, self.blocks.input.line())
        {
            self.blocks.keep(error)?;
        }
        block.map(|block| self.sentence(block)).transpose()
    }

    fn warnings(&self) -> &Warnings {
        &self.blocks.input.warnings
    }

    fn skip_broken(&mut self) {
        self.blocks.skip_broken();
    }

    fn broken(&mut self) -> Vec<Error> {
        self.blocks.broken()
    }
}

/// The ids of the sentence that is read.
#[derive(Default)]
struct Ids {
    words: usize,
    /// Last word of the range last seen.
    range_end: usize,
    /// Empty nodes since the last word.
    empty: usize,
    /// Whether one did not stand in its place: nothing can be said of those behind it.
    lost: bool,
}

impl Ids {
    /// Counts an id that stands in its place.
    fn add(&mut self, id: &str, path: &Path, line: usize) -> Result<Kind> {
        if self.lost {
            return Ok(Kind::Broken);
        }
        let next = self.words + 1;
        if id == next.to_string() {
            (self.words, self.empty) = (next, 0);
            return Ok(Kind::Word);
        }
        if id == format!("{}.{}", self.words, self.empty + 1) {
            self.empty += 1;
            return Ok(Kind::Row);
        }
        let range = id
            .split_once('-')
            .filter(|(first, _)| *first == next.to_string() && self.words >= self.range_end);
        match range.and_then(|(_, last)| last.parse().ok()).filter(|last| *last >= next) {
            Some(last) => {
                self.range_end = last;
                Ok(Kind::Row)
            }
            None => {
                self.lost = true;
                let want = format!("{next}, a range {next}-… or {}.{}", self.words, self.empty + 1);
                Err(Error::Id { path: path.to_path_buf(), line, found: id.to_owned(), want })
            }
        }
    }

    /// Ends the sentence.
    fn close(&mut self, path: &Path, line: usize) -> Result<()> {
        let Ids { words, range_end, lost, .. } = std::mem::take(self);
        if lost || words >= range_end {
            return Ok(());
        }
        let want = format!("{} of the range up to {range_end}", words + 1);
        Err(Error::Id { path: path.to_path_buf(), line, found: String::new(), want })
    }
}

/// The text of a sentence, and where its words are in it.
fn text(raw: &str) -> (String, Vec<std::ops::Range<usize>>) {
    let (mut text, mut units, mut words) = (None, Vec::<Unit<'_>>::new(), Vec::new());
    for line in raw.trim_start_matches('\u{feff}').lines().map(chomp).filter(|line| !is_blank(line))
    {
        if line.starts_with('#') {
            text = text.or(text_comment(line));
            continue;
        }
        let mut cells = line.split('\t');
        let (id, form) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let space = cells
            .nth(MISC - FORM - 1)
            .is_none_or(|misc| misc_value(misc, "SpaceAfter") != Some("No"));
        if let Some((first, last)) = id.split_once('-') {
            let index = |id: &str| id.parse::<usize>().unwrap_or_default();
            units.push(Unit { form, words: index(first).saturating_sub(1)..index(last), space });
        } else if !id.contains('.') {
            if units.last().is_none_or(|unit| unit.words.end <= words.len()) {
                units.push(Unit { form, words: words.len()..words.len() + 1, space });
            }
            words.push(form);
        }
    }
    for unit in &mut units {
        // Words of a range may have been passed over.
        unit.words.end = unit.words.end.min(words.len());
        unit.words.start = unit.words.start.min(unit.words.end);
    }
    let found = text.and_then(|text| Some((text.to_owned(), align::find(text, &units, &words)?)));
    found.unwrap_or_else(|| align::join(&units, &words))
}

/// The text of a `# text = …` comment.
pub(super) fn text_comment(line: &str) -> Option<&str> {
    comment(line, "text")
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use crate::corpus::Format;
    use crate::corpus::tests::{all, error, texts};

    /// CoNLL-U from "id form misc" words.
    fn conllu(rows: &str) -> String {
        let row = |row: &str| {
            let cells: Vec<&str> = row.split(' ').collect();
            format!(
                "{}\t{}\t_\tX\t_\t_\t_\t_\t_\t{}\n",
                cells[0],
                cells[1],
                cells.get(2).unwrap_or(&"_")
            )
        };
        rows.split('/').map(row).collect()
    }

    #[test]
    fn words_are_syntactic_and_the_text_is_that_of_the_comment() {
        let rows = conllu("1-2 Don't/1 Do/2 n't/3 go SpaceAfter=No/3.1 x/4 . NER=O");
        let sentences =
            all(Format::Conllu, &format!("# text_en = x\n# text = Don't  go. \n{rows}\n{rows}"));
        assert_eq!(texts(&sentences), ["Do|n't|go|.", "Do|n't|go|."]);
        assert_eq!((sentences[0].text(), sentences[1].text()), ("Don't  go.", "Don't go."));
        assert_eq!(sentences[1].start().bytes, 11);
        assert_eq!(sentences[0].column("misc:ner"), Some(vec!["O", "O", "O", "O"]));
        assert_eq!(sentences[0].column("misc"), Some(vec!["_", "_", "SpaceAfter=No", "NER=O"]));
        assert_eq!(
            (sentences[0].column("upos"), sentences[0].column("ner")),
            (Some(vec!["X"; 4]), None)
        );
    }

    #[test]
    fn a_text_that_does_not_fit_is_given_up() {
        let rows = conllu("1-2 zum SpaceAfter=No/1 zu/2 dem SpaceAfter=No/3 .");
        let sentences = all(Format::Conllu, &format!("# text = zum.\n{rows}"));
        assert_eq!(sentences[0].text(), "zu dem.");
    }

    #[test]
    fn ids_must_stand_in_order() {
        let line = |rows: &str| match error(Format::Conllu, &(conllu(rows) + "\n")) {
            Error::Id { line, .. } => line,
            other => panic!("{other}"),
        };
        for (rows, want) in [
            ("1 a/3 b", 2),
            ("0 a", 1),
            ("1 a/1 b", 2),
            ("01 a", 1),
            ("1-2 a/1 a/2-3 b/2 b", 3),
            ("2-3 a", 1),
            ("2-1 a", 1),
            ("1 a/1.2 b", 2),
            ("1 a/2.1 b", 2),
            ("1-3 a/1 a/2 b", 4),
            ("x a", 1),
        ] {
            assert_eq!(line(rows), want, "{rows}");
        }
        assert_eq!(texts(&all(Format::Conllu, &conllu("0.1 x/0.2 y/1 a"))), ["a"]);
        assert!(matches!(error(Format::Conllu, &conllu("1-2 a/1 a")), Error::Id { .. }));
    }

    #[test]
    fn columns_are_ten() {
        let error = error(Format::Conllu, "# a\tb\n1\ta\t_\t_\t_\t_\t_\t_\t_\n");
        assert!(matches!(error, Error::Columns { line: 2, want: 10, found: 9, .. }), "{error}");
        assert!(error.to_string().ends_with(":2: expected 10 columns, found 9"));
    }
}
