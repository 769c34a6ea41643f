//! A page that shows what each word of a translation was made of: a table a line,
//! a column for each subword of the source, darker where the attention was.

use std::io::{self, Write};

use glossator::Translation;

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="und">
<head>
<meta charset="utf-8">
<title>alignments</title>
<style>
body { font: 1rem/1.4 system-ui, sans-serif; margin: 2rem; color: #111; background: #fff }
table { border-collapse: collapse; margin: 0 0 2rem }
th { font-weight: normal; white-space: nowrap; padding: 0 .4rem; text-align: end }
thead th { writing-mode: vertical-rl; padding: .4rem 0; text-align: start; transform: rotate(180deg) }
td { min-width: 1.5rem; height: 1.5rem; border: 1px solid #ddd }
</style>
</head>
<body>
"#;

/// Begins a page.
pub(super) fn begin(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{HEAD}")
}

/// The table of a line.
pub(super) fn table(out: &mut dyn Write, made: &Translation) -> io::Result<()> {
    let Some(best) = made.hypotheses.first() else { return Ok(()) };
    writeln!(out, "<table>\n<caption dir=\"auto\">{}</caption>", escaped(&best.text))?;
    write!(out, "<thead><tr><th></th>")?;
    // The last weight is that of the source's end.
    for subword in made.source.iter().map(String::as_str).chain(["⏎"]) {
        write!(out, "<th>{}</th>", escaped(subword))?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for (subword, weights) in best.subwords.iter().zip(&best.alignment) {
        write!(out, "<tr><th>{}</th>", escaped(subword))?;
        for weight in weights {
            let share = (100.0 * weight).round();
            write!(out, r#"<td style="background:rgb(0 90 180/{share}%)" title="{weight:.2}">"#)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "</tbody>\n</table>")
}

/// Ends a page.
pub(super) fn end(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "</body>\n</html>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
