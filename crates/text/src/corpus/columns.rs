use crate::source::Layout;
use crate::tags::is_tag;
use crate::{Error, Result};

use super::block::is_blank;

/// The name of the column that holds the words.
pub(super) const TOKEN: &str = "token";

/// Checks names that a user gave.
pub(super) fn check(names: &[String]) -> Result<()> {
    let problem = if !names.iter().any(|name| name == TOKEN) {
        "none of them is \"token\""
    } else if names.iter().enumerate().any(|(i, name)| name != "_" && names[..i].contains(name)) {
        "a name stands twice"
    } else {
        return Ok(());
    };
    Err(Error::ColumnNames { columns: names.join(","), problem })
}

/// The layout of a CoNLL file whose first row is `row`, told from its first
/// lines and the names given.
pub(super) fn layout(row: &str, sample: &str, names: Option<Vec<String>>) -> Layout {
    let rows =
        || sample.lines().filter(|line| !is_blank(line) && !is_comment(line) && !is_boundary(line));
    let tabs = row.contains('\t') || rows().any(|row| row.contains('\t'));
    let mut layout = Layout { conllu: false, tabs, names: Vec::new() };
    layout.names = names.unwrap_or_else(|| {
        let rows: Vec<&str> = std::iter::once(row).chain(rows()).collect();
        guess(&layout, &rows)
    });
    layout
}

/// Names for columns: the word first, tags of spans last.
fn guess(layout: &Layout, rows: &[&str]) -> Vec<String> {
    let cells =
        |row: &'_ str| layout.cells(row).map(|cell| row[cell].to_owned()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(row)).collect();
    let count = rows[0].len();
    let last: Vec<&str> = rows
        .iter()
        .filter(|row| row.len() == count)
        .filter_map(|row| Some(row.last()?.as_str()))
        .collect();
    let name = |column: usize| match column {
        0 => TOKEN.to_owned(),
        _ if column + 1 == count && are_tags(&last) => "ner".to_owned(),
        1 => "pos".to_owned(),
        _ => format!("col{}", column + 1),
    };
    (0..count).map(name).collect()
}

/// Whether most of the values are tags of spans.
fn are_tags(values: &[&str]) -> bool {
    let tags = values.iter().filter(|value| is_tag(value)).count();
    let empty = values.iter().filter(|value| matches!(**value, "_" | "")).count();
    tags > empty && 2 * tags >= values.len()
}

/// Whether the line is a comment: an `#` at its start, and no tab.
pub(super) fn is_comment(line: &str) -> bool {
    line.starts_with('#') && !line.contains('\t')
}

/// What a mark between documents starts with.
pub(super) const BOUNDARY: &str = "-DOCSTART-";

/// Whether the line may mark the start of a document: its other cells are empty.
pub(super) fn is_boundary(line: &str) -> bool {
    let mut cells = line.split([' ', '\t']);
    let empty = |cell| matches!(cell, "" | "O" | "_" | "-" | "-X-" | BOUNDARY);
    cells.next() == Some(BOUNDARY) && cells.all(empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sample: &str) -> String {
        let row = sample.lines().find(|line| !is_comment(line) && !is_boundary(line));
        layout(row.unwrap_or_default(), sample, None).names.join(",")
    }

    #[test]
    fn columns_are_guessed() {
        assert_eq!(names("Anna\n"), "token");
        assert_eq!(names("in O\nBonn B-LOC\n"), "token,ner");
        assert_eq!(names("in\tO\nBonn\tX-LOC\nAg\tORG\n.\tO\n"), "token,ner");
        assert_eq!(names("in\tIN\nBonn\tNNP\n"), "token,pos");
        assert_eq!(names("in\t_\nBonn\t_\n"), "token,pos");
        assert_eq!(names("# x\n-DOCSTART- -X- O O\nin IN B-PP O\n"), "token,pos,col3,ner");
        assert_eq!(names("a x y z\n"), "token,pos,col3,col4");
    }

    #[test]
    fn one_tab_anywhere_separates_by_tabs() {
        assert!(layout("a\tO", "", None).tabs);
        assert!(layout("a b", "a b\nc\tO\n", None).tabs);
        assert!(!layout("a O", "\t\n# c\na O\n", None).tabs);
        assert!(layout("a", "#\tO\na", None).tabs);
    }

    #[test]
    fn names_need_one_token() {
        let check = |names: &str| check(&names.split(',').map(str::to_owned).collect::<Vec<_>>());
        assert!(check("_,token,_,ner").is_ok());
        for bad in ["pos,ner", "token,ner,ner", "token,token", ""] {
            assert!(check(bad).is_err_and(|error| error.is_usage()), "{bad}");
        }
    }
}
