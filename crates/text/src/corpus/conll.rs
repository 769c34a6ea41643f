use std::sync::Arc;

use super::block::{Block, Blocks, Kind, is_blank};
use super::columns::{self, BOUNDARY, TOKEN};
use super::input::Input;
use super::{Reader, Warnings};
use crate::source::Layout;
use crate::{Error, Position, Result, Sentence};

/// A reader of columns. The document is the sentences' texts, joined by
/// newlines.
pub(super) struct ConllReader {
    blocks: Blocks,
    document: usize,
    position: Position,
    names: Option<Vec<String>>,
    layout: Option<Arc<Layout>>,
}

impl ConllReader {
    pub fn new(input: Input, document: usize, names: Option<&[String]>) -> Result<ConllReader> {
        if let Some(names) = names {
            columns::check(names)?;
        }
        let (position, names) = (Position::default(), names.map(<[String]>::to_vec));
        Ok(ConllReader { blocks: Blocks::new(input), document, position, names, layout: None })
    }

    fn sentence(&mut self, block: Block) -> Sentence {
        let layout = self.layout.clone().unwrap_or_else(no_layout);
        let column = layout.index(TOKEN).unwrap_or(0);
        let line = block.line.max(block.start);
        let token = |row: &str| layout.cells(row).nth(column).unwrap_or_default();
        let tokens: Vec<&str> = block
            .words
            .iter()
            .map(|row| &block.raw[row.clone()])
            .map(|row| &row[token(row)])
            .collect();
        let sentence = Sentence::from_tokens(&tokens).at(self.position);
        if !sentence.is_empty() {
            self.position = sentence.end().after("\n");
        }
        block.give(sentence, layout).located(self.document, self.blocks.input.path(), line)
    }
}

impl Reader for ConllReader {
    fn next(&mut self) -> Result<Option<Sentence>> {
        let sample = match self.layout {
            Some(_) => String::new(),
            None => String::from_utf8_lossy(self.blocks.input.window()?).into_owned(),
        };
        let path = self.blocks.input.path().clone();
        let block = self.blocks.next(|line| {
            let (line, number, alone) = (line.text, line.number, line.alone);
            if is_blank(line) {
                return Ok(Kind::Blank);
            } else if line.trim_end() == BOUNDARY || (alone && columns::is_boundary(line)) {
                return Ok(Kind::Boundary);
            } else if columns::is_comment(line) {
                return Ok(Kind::Comment);
            }
            let names = &mut self.names;
            let layout = self
                .layout
                .get_or_insert_with(|| columns::layout(line, &sample, names.take()).into());
            check_row(line, layout).map_err(|problem| problem.at(path.to_path_buf(), number))?;
            Ok(Kind::Word)
        })?;
        Ok(block.map(|block| self.sentence(block)))
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

/// The layout of lines before the first row.
fn no_layout() -> Arc<Layout> {
    Arc::new(Layout { conllu: false, tabs: false, names: vec![TOKEN.to_owned()] })
}

enum Problem {
    Tab,
    Columns { want: usize, found: usize },
    Empty,
}

impl Problem {
    fn at(self, path: std::path::PathBuf, line: usize) -> Error {
        match self {
            Problem::Tab => Error::Tab { path, line },
            Problem::Columns { want, found } => Error::Columns { path, line, want, found },
            Problem::Empty => Error::EmptyToken { path, line },
        }
    }
}

fn check_row(row: &str, layout: &Layout) -> Result<(), Problem> {
    if !layout.tabs && row.contains('\t') {
        return Err(Problem::Tab);
    }
    let (want, found) = (layout.names.len(), layout.cells(row).count());
    if want != found {
        return Err(Problem::Columns { want, found });
    }
    let token = layout.index(TOKEN).and_then(|column| layout.cells(row).nth(column));
    if token.is_none_or(|token| token.is_empty()) { Err(Problem::Empty) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use crate::corpus::Format;
    use crate::corpus::tests::{all, error, texts, with_columns};
    use crate::{Error, Source};

    #[test]
    fn sentences_columns_and_places() {
        let sentences = all(
            Format::Conll,
            "\u{feff}# c\r\nAnna\tB-PER\r\nx\u{a0}y\tO\r\n \t\r\n-DOCSTART-\tO\n\n#1\tO",
        );
        assert_eq!(texts(&sentences), ["Anna|x\u{a0}y", "#1"]);
        assert_eq!(sentences[0].column("ner"), Some(vec!["B-PER", "O"]));
        assert_eq!(sentences[0].column("pos"), None);
        assert_eq!((sentences[1].start().bytes, sentences[1].start().chars), (10, 9));
        assert_eq!(sentences[1].place().map(|place| place.1), Some(7));
        assert_eq!(sentences[1].document(), 0);
        assert!(
            matches!(sentences[1].source(), Source::Rows(rows) if rows.raw() == "-DOCSTART-\tO\n\n#1\tO")
        );
    }

    #[test]
    fn named_columns() {
        let sentences =
            with_columns("1 a N\n2 b V\n", &["_", "token", "tag"]).expect("three columns");
        assert_eq!(texts(&sentences), ["a|b"]);
        assert_eq!(sentences[0].column("tag"), Some(vec!["N", "V"]));
        let error = with_columns("a\tN\tO\n", &["token", "pos"]).expect_err("three columns");
        assert!(matches!(error, Error::Columns { line: 1, want: 2, found: 3, .. }), "{error}");
    }

    #[test]
    fn errors_name_the_line() {
        let error_of = |text: &str| error(Format::Conll, text);
        let missing = error_of("# c\na\tO\n\nb\n");
        assert!(matches!(missing, Error::Columns { line: 4, want: 2, found: 1, .. }), "{missing}");
        let tab = error_of(&format!("{}c\tN O\n", "a N\n".repeat(20_000)));
        assert!(matches!(tab, Error::Tab { line: 20_001, .. }), "{tab}");
        let empty = error_of("a\tO\n\tO\n");
        assert!(matches!(empty, Error::EmptyToken { line: 2, .. }), "{empty}");
    }

    #[test]
    fn odd_tokens_and_files() {
        let long = "x".repeat(100_000);
        let sentences = all(Format::Conll, &format!("{long}\tO\na\0b\tO\n"));
        assert_eq!(texts(&sentences), [format!("{long}|a\0b")]);
        assert!(all(Format::Conll, "").is_empty());
    }

    #[test]
    fn a_file_without_rows_is_a_sentence_without_tokens() {
        for format in [Format::Conll, Format::Conllu] {
            let sentences = all(format, "\n# only\n\n");
            assert_eq!(texts(&sentences), [""]);
            assert_eq!((sentences[0].text(), sentences[0].place().map(|p| p.1)), ("", Some(1)));
            let Source::Rows(rows) = sentences[0].source() else { panic!("rows") };
            assert_eq!(rows.raw(), "\n# only\n\n");
        }
    }

    #[test]
    fn a_docstart_among_rows_is_a_token() {
        let tokens = |text: &str| texts(&all(Format::Conll, text));
        assert_eq!(tokens("-DOCSTART-\t_\nis\t_\n\nso\t_\n"), ["-DOCSTART-|is", "so"]);
        assert_eq!(tokens("a\tO\n-DOCSTART-\tO\n\nb\tO\n"), ["a|-DOCSTART-", "b"]);
        assert_eq!(tokens("-DOCSTART-\tB-X\n\nb\tO\n"), ["-DOCSTART-", "b"]);
        assert_eq!(tokens("-DOCSTART- -X- - _ O\n \t\nb N x y O\n"), ["b"]);
        assert_eq!(tokens("a\tO\n-DOCSTART-\nb\tO\n"), ["a", "b"]);
    }

    #[test]
    fn tokens_know_their_lines() {
        let conll = all(Format::Conll, "# c\na O\nb O\n\n# d\n\nc O\n");
        let row = "x\t_\tX\t_\t_\t_\t_\t_\t_\n";
        let conllu = all(Format::Conllu, &format!("# c\n1-2\t{row}1\t{row}1.1\t{row}2\t{row}"));
        let line = |sentence: &crate::Sentence, i| sentence.token_place(i).map(|place| place.1);
        assert_eq!((line(&conll[0], 0), line(&conll[0], 1)), (Some(2), Some(3)));
        assert_eq!((line(&conll[1], 0), line(&conll[1], 1)), (Some(7), None));
        assert_eq!((line(&conllu[0], 0), line(&conllu[0], 1)), (Some(3), Some(5)));
        let lines = all(Format::Lines, "a\nb c");
        assert_eq!(line(&lines[1], 1), Some(2));
    }
}
