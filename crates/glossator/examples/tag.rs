//! Tags a text given on the command line and prints its spans with their places.
//!
//! `cargo run --release -p glossator --example tag -- "Ada Lovelace visited Turin."`

use glossator::prelude::*;

fn main() -> Result<(), Error> {
    let text = std::env::args().nth(1).unwrap_or("Ada Lovelace visited Turin.".to_owned());
    let tagger = Tagger::load("en-ner")?;
    let document = tagger.tag(&text)?;
    for span in document.spans() {
        let (start, end) = (span.start().chars, span.end().chars);
        println!("{start}..{end}\t{}\t{}\t{:.2}", span.label(), span.text(), span.score());
    }
    Ok(())
}
