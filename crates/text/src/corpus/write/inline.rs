use std::fmt::Write;
use std::io;

use super::{Render, on_one_line};
use crate::{Layer, Sentence, SpanRef};

/// Tokens with their labels, then the spans.
pub(super) struct Inline {
    pub scores: bool,
}

impl Render for Inline {
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        for (i, token) in sentence.tokens().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            out.push_str(&on_one_line(token));
            for label in sentence
                .layers()
                .iter()
                .filter_map(Layer::labels)
                .filter_map(|labels| labels.get(i))
            {
                out.push('/');
                out.push_str(&on_one_line(&label.value));
                if self.scores {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "({:.2})", label.score);
                }
            }
        }
        for (i, span) in sentence.spans().enumerate() {
            out.push_str(if i == 0 { " → [" } else { ", " });
            self.span(span, out);
        }
        out.push_str(if sentence.spans().next().is_some() { "]\n" } else { "\n" });
        Ok(())
    }
}

impl Inline {
    fn span(&self, span: SpanRef<'_>, out: &mut String) {
        let text = on_one_line(span.text()).replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(out, "\"{text}\"/{}", on_one_line(span.label()));
        if self.scores {
            let _ = write!(out, " ({:.2})", span.score());
        }
    }
}
