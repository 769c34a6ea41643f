//! One JSON object a sentence, with a vector for each token.

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
};

use glossator::{
    Sentence,
    corpus::{self, OutputFormat, WriteOptions},
};
use serde_json::{Value, to_string};

use super::Writer;

/// The fields are those of labelled sentences, without labels.
pub struct Jsonl {
    out: Box<dyn Write>,
    dim: usize,
    described: Box<dyn corpus::Writer>,
    description: Memory,
}

impl Jsonl {
    pub fn new(out: Box<dyn Write>, dim: usize) -> Self {
        let description = Memory::default();
        let to = Box::new(description.clone());
        let described = corpus::writer(OutputFormat::Jsonl, to, WriteOptions::default());
        Self { out, dim, described, description }
    }

    /// What is written of a labelled sentence.
    fn describe(&mut self, sentence: &Sentence) -> io::Result<Value> {
        self.described.write(sentence).map_err(io::Error::other)?;
        Ok(serde_json::from_slice(&self.description.0.take())?)
    }
}

impl Writer for Jsonl {
    fn write(&mut self, sentence: &Sentence, rows: &[f32]) -> io::Result<()> {
        let fields = self.describe(sentence)?;
        let out = &mut self.out;
        let [doc, start, end, meta] = ["doc", "start", "end", "meta"].map(|key| &fields[key]);
        let text = to_string(sentence.text())?;
        write!(out, r#"{{"doc":{doc},"text":{text},"start":{start},"end":{end},"tokens":["#)?;
        for (i, (token, row)) in sentence.tokens().zip(rows.chunks_exact(self.dim)).enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let [start, end] = ["start", "end"].map(|key| &fields["tokens"][i][key]);
            let (text, vector) = (to_string(token)?, to_string(row)?);
            write!(
                out,
                r#"{comma}{{"text":{text},"start":{start},"end":{end},"vector":{vector}}}"#
            )?;
        }
        writeln!(out, r#"],"meta":{meta}}}"#)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that are taken out where they were not put in.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_tells_places_and_vectors() {
        let out = Memory::default();
        let mut writer = Jsonl::new(Box::new(out.clone()), 2);
        let sentence = Sentence::from_tokens(&["Zoë", "\"x\""]);
        writer.write(&sentence, &[0.1, -2.0, 3.5, 1e-9]).unwrap();
        writer.write(&Sentence::from_tokens::<&str>(&[]), &[]).unwrap();
        let text = String::from_utf8(out.0.take()).unwrap();
        let want = r#"{"doc":1,"text":"Zoë \"x\"","start":0,"end":7,"tokens":[{"text":"Zoë","start":0,"end":3,"vector":[0.1,-2.0]},"#;
        assert!(text.starts_with(want), "{text}");
        let objects: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects[0]["tokens"][1]["start"], 4);
        assert_eq!((objects.len(), &objects[1]["tokens"]), (2, &serde_json::json!([])));
    }
}
