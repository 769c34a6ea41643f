//! A page for reading.

use std::fmt::Write;
use std::io;

use super::Render;
use crate::{Layer, Sentence, Span};

/// One page that needs nothing beside it: spans are coloured by their labels, words
/// carry theirs above them, and a legend counts both.
///
/// Hues lie a golden angle apart, so that neighbours in the legend differ; all are so
/// light that black text on them has a contrast above 7 (WCAG 2.1, AAA).
#[derive(Default)]
pub(super) struct Html {
    pub scores: bool,
    /// Layer and label, and how often it was there.
    labels: Vec<(String, String, usize)>,
    document: Option<usize>,
}

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="und">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Labels</title>
<style>
:root { color-scheme: light }
body { font: 1rem/2.2 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto 6rem; padding: 0 1rem; color: #111; background: #fff }
h2 { font-size: 1rem }
section + section { border-top: 1px solid #ccc }
p { margin: .5rem 0; white-space: pre-wrap }
mark, rt b, li b { background: hsl(var(--hue) 80% 85%); color: #111; border-radius: .25rem; padding: .1rem .25rem }
mark > b, rt { font-size: .65rem; unicode-bidi: isolate; direction: ltr }
mark > b { margin-inline-start: .35rem }
ruby { display: inline-flex; flex-direction: column-reverse; align-items: center; line-height: 1.35; baseline-source: last }
rt { display: block; line-height: 1.5 }
rt b { padding: 0 .15rem; font-weight: 600 }
footer { position: fixed; inset: auto 0 0; padding: .5rem 1rem; background: #fff; border-top: 1px solid #ccc; line-height: 1.6 }
ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0; padding: 0; list-style: none }
</style>
</head>
<body>
<main>
"#;

impl Html {
    pub(super) fn new(scores: bool) -> Self {
        Self { scores, ..Self::default() }
    }

    /// The hue of a label, which is counted.
    fn hue(&mut self, layer: &str, label: &str) -> usize {
        let place = self.labels.iter().position(|(l, name, _)| l == layer && name == label);
        let place = place.unwrap_or_else(|| {
            self.labels.push((layer.to_owned(), label.to_owned(), 0));
            self.labels.len() - 1
        });
        self.labels[place].2 += 1;
        hue(place)
    }

    /// What shows when the pointer rests on a label.
    fn title(&self, layer: &str, label: &str, score: f32) -> String {
        let title = format!("{} {}", escaped(layer), escaped(label));
        if self.scores { format!("{title}, {score:.4}") } else { title }
    }

    fn open(&mut self, layer: &str, span: &Span, first: usize, out: &mut String) {
        // A piece behind a span of another layer that ends within this one.
        let hue = match span.tokens.start == first {
            true => self.hue(layer, &span.label),
            false => {
                let place =
                    self.labels.iter().position(|(l, name, _)| l == layer && **name == *span.label);
                hue(place.unwrap_or_default())
            }
        };
        let title = self.title(layer, &span.label, span.score);
        let _ = write!(out, r#"<mark style="--hue:{hue}" title="{title}">"#);
    }

    fn token(&mut self, sentence: &Sentence, number: usize, out: &mut String) {
        let labels: Vec<_> = sentence
            .layers()
            .iter()
            .filter_map(|layer| Some((layer.name.as_str(), layer.labels()?.get(number)?)))
            .collect();
        let text = escaped(sentence.token(number));
        if labels.is_empty() {
            out.push_str(&text);
            return;
        }
        let _ = write!(out, "<ruby>{text}<rt>");
        for (layer, label) in labels {
            let hue = self.hue(layer, &label.value);
            let title = self.title(layer, &label.value, label.score);
            let value = escaped(&label.value);
            let _ = write!(out, r#"<b style="--hue:{hue}" title="{title}">{value}</b>"#);
        }
        out.push_str("</rt></ruby>");
    }
}

impl Render for Html {
    fn begin(&mut self, out: &mut String) {
        out.push_str(HEAD);
    }

    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        if self.document != Some(sentence.document()) {
            if self.document.is_some() {
                out.push_str("</section>\n");
            }
            self.document = Some(sentence.document());
            out.push_str("<section>\n");
            if let Some((path, _)) = sentence.place() {
                let _ = writeln!(out, "<h2>{}</h2>", escaped(&path.to_string_lossy()));
            }
        }
        out.push_str(r#"<p dir="auto">"#);
        // Spans that are open, the outer layers first.
        let layers: Vec<(&str, &[Span])> = sentence
            .layers()
            .iter()
            .filter_map(|l: &Layer| Some((l.name.as_str(), l.spans()?)))
            .collect();
        let mut open: Vec<(&str, &Span)> = Vec::new();
        let mut at = 0;
        for number in 0..sentence.len() {
            let range = sentence.token_range(number);
            let wanted: Vec<(&str, &Span)> = layers
                .iter()
                .filter_map(|&(name, spans)| {
                    // They are disjoint and in order.
                    let next = spans.partition_point(|span| span.tokens.end <= number);
                    Some((name, spans.get(next).filter(|span| span.tokens.start <= number)?))
                })
                .collect();
            let same = open.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
            close(&mut open, same, number, out);
            out.push_str(&escaped(&sentence.text()[at..range.start]));
            for &(name, span) in &wanted[same..] {
                self.open(name, span, number, out);
                open.push((name, span));
            }
            self.token(sentence, number, out);
            at = range.end;
        }
        close(&mut open, 0, sentence.len(), out);
        out.push_str(&escaped(&sentence.text()[at..]));
        out.push_str("</p>\n");
        Ok(())
    }

    fn end(&mut self, out: &mut String) {
        if self.document.is_some() {
            out.push_str("</section>\n");
        }
        out.push_str("</main>\n");
        if !self.labels.is_empty() {
            out.push_str("<footer><ul>\n");
            for (place, (layer, label, count)) in self.labels.iter().enumerate() {
                let (layer, label, hue) = (escaped(layer), escaped(label), hue(place));
                let _ = writeln!(
                    out,
                    r#"<li><b style="--hue:{hue}">{label}</b> {layer}, {count}</li>"#
                );
            }
            out.push_str("</ul></footer>\n");
        }
        out.push_str("</body>\n</html>\n");
    }
}

/// Closes all open spans but so many; those that end before a token show their labels.
fn close(open: &mut Vec<(&str, &Span)>, keep: usize, next: usize, out: &mut String) {
    while open.len() > keep {
        let Some((_, span)) = open.pop() else { return };
        if span.tokens.end <= next {
            let _ = write!(out, "<b>{}</b>", escaped(&span.label));
        }
        out.push_str("</mark>");
    }
}

fn hue(place: usize) -> usize {
    // Of 360 degrees, by the golden angle.
    (place * 137 + 210) % 360
}

/// Text of a page; what no page may hold is U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' | '\u{c}' => out.push(char),
            '\u{b}' | '\u{85}' => out.push(' '),
            _ if char.is_control() => out.push('\u{fffd}'),
            _ => out.push(char),
        }
    }
    out
}
