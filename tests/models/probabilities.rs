//! Probabilities mean what they say: a saved tagger is calibrated on development data.

use glossator::corpus::{self as corpora, ReadOptions};

use super::{load, train};

/// Sentences of words, each of which has a label of its own; so many of ten have another.
fn drawn(sentences: usize, wrong: u64, mut state: u64) -> String {
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 33) % below
    };
    let mut text = String::new();
    for _ in 0..sentences {
        for _ in 0..5 {
            let word = next(10);
            let is_even = (word % 2 == 0) == (next(10) >= wrong);
            text += &format!("w{word}\t{}\n", if is_even { "even" } else { "odd" });
        }
        text.push('\n');
    }
    text
}

#[test]
fn a_tagger_is_as_sure_as_it_is_right_on_development_data() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.tsv"), drawn(40, 0, 1)).unwrap();
    std::fs::write(folder.path().join("dev.tsv"), drawn(100, 3, 2)).unwrap();
    let (dev, layer) = ("data.dev=\"dev.tsv\"", "data.layer=\"parity\"");
    let columns = r#"data.columns=["token", "parity"]"#;
    let settings = [dev, layer, columns, "tagger.locked_dropout=0.0"];
    for crf in ["tagger.crf=true", "tagger.crf=false"] {
        let trained = train(folder.path(), crf, &[&settings[..], &[crf]].concat());
        let tagger = load(&trained.folder).unwrap();
        let columns = Some(vec!["token".to_owned(), "parity".to_owned()]);
        let options = ReadOptions { columns, ..ReadOptions::default() };
        let read = corpora::open(&folder.path().join("dev.tsv"), 0, &options).unwrap();
        let mut sentences = read.collect::<Result<Vec<_>, _>>().unwrap();
        tagger.tag_sentences(&mut sentences).unwrap();
        let (mut right, mut sure, mut words) = (0.0, 0.0, 0.0);
        for sentence in &sentences {
            let gold = sentence.gold("parity").unwrap();
            let labels = sentence.layer("parity").unwrap().labels().unwrap();
            for (label, gold) in labels.iter().zip(gold) {
                right += f64::from(u8::from(&*label.value == gold));
                sure += f64::from(label.score);
                words += 1.0;
            }
        }
        let (right, sure) = (right / words, sure / words);
        assert!((right - sure).abs() < 0.05, "{crf}: {right} right, {sure} sure");
    }
}
