//! A tagger that learns several layers at once.

use glossator::{
    Constraints, Gazetteer, TagOptions,
    corpus::{self as corpora, ReadOptions},
    prelude::*,
    training::Scores,
};

use super::{corpus, load, train};

/// The corpus with a further column: how a word is written.
fn two_columns() -> String {
    let written = |word: &str| match word.chars().next() {
        Some(first) if first.is_uppercase() => "capital",
        Some(first) if first.is_alphabetic() => "small",
        _ => "mark",
    };
    let line = |line: &str| match line.split_once('\t') {
        Some((word, _)) => format!("{line}\t{}\n", written(word)),
        None => "\n".to_owned(),
    };
    corpus().lines().map(line).collect()
}

const COLUMNS: &str = r#"data.columns=["token", "ner", "shape"]"#;
const FURTHER: &str = r#"data.further_layers=["shape"]"#;

#[test]
fn layers_are_learnt_together_and_each_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.tsv"), two_columns()).unwrap();
    let trained = train(folder.path(), "both", &[COLUMNS, FURTHER]);
    let Scores::Layers(dev) = &trained.dev else { panic!("one layer: {}", trained.dev) };
    let names: Vec<&str> = dev.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ner", "shape"]);
    assert!(dev[0].1.micro.f1 > 95.0 && dev[1].1.accuracy > 95.0, "{}", trained.dev);

    let tagger = load(&trained.folder).unwrap();
    let layers: Vec<_> = tagger.layers().map(|layer| (layer.name, layer.is_spans)).collect();
    assert_eq!(layers, [("ner", true), ("shape", false)]);
    let layer_of = |column| tagger.layer_of(column).map(|layer| layer.name);
    assert_eq!((layer_of("SHAPE"), layer_of("misc:NER")), (Some("shape"), Some("ner")));
    assert_eq!(layer_of("upos"), None);
    let json = serde_json::to_value(&trained.dev).unwrap();
    assert!(json["ner"]["micro"]["f1"].is_number() && json["shape"]["accuracy"].is_number());
    assert!(tagger.has_label("PER") && tagger.has_label("small") && !tagger.has_label("X"));
    let document = tagger.tag("Ada Feld left Old Lund.").unwrap();
    let found: Vec<_> = document.spans().map(|s| (s.text(), s.label())).collect();
    assert_eq!(found, [("Ada Feld", "PER"), ("Old Lund", "LOC")]);
    let shapes = document.sentences()[0].layer("shape").unwrap().labels().unwrap();
    let shapes: Vec<&str> = shapes.iter().map(|label| &*label.value).collect();
    assert_eq!(shapes, ["capital", "capital", "small", "capital", "capital", "mark"]);

    let card = std::fs::read_to_string(trained.folder.join("README.md")).unwrap();
    for part in ["- Layer: `ner`", "- Layer: `shape`", "on dev: `ner`", "on dev: `shape`"] {
        assert!(card.contains(part), "{part}: {card}");
    }
}

#[test]
fn constraints_are_of_the_layer_that_has_the_label() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.tsv"), two_columns()).unwrap();
    let trained = train(folder.path(), "both", &[COLUMNS, FURTHER]);
    let tagger = load(&trained.folder).unwrap();
    let label = |constraints: &Constraints| {
        let mut sentences = [Sentence::from_tokens(&["Ada", "left", "Lund"])];
        let constraints = constraints.clone();
        let options = TagOptions { n_best: 2, constraints, ..TagOptions::default() };
        Tagger::tag_with(&[&tagger], &mut sentences, &options).unwrap();
        let [sentence] = sentences;
        let spans = sentence.spans().map(|span| span.label().to_owned()).collect::<Vec<_>>();
        let shape = sentence.layer("shape").unwrap();
        assert_eq!(shape.sequences.len(), 2);
        let shapes = shape.labels().unwrap().iter().map(|label| label.value.to_string());
        (spans.join(" "), shapes.collect::<Vec<_>>().join(" "))
    };
    let plain = label(&Constraints::new());
    assert_eq!(plain, ("PER LOC".to_owned(), "capital small capital".to_owned()));
    let (spans, shapes) = label(&Constraints::new().forbid("LOC").forbid("small"));
    assert!(!spans.contains("LOC") && !shapes.contains("small"), "{spans}; {shapes}");
    let mut gazetteer = Gazetteer::new();
    gazetteer.add("left", "mark", 500.0);
    assert_eq!(label(&Constraints::new().raise(gazetteer)).1, "capital mark capital");
    assert_eq!(Constraints::new().forbid("X").unknown(&[&tagger]), Some("X"));
    // Labels that are given are of the layer that is named.
    let path = folder.path().join("known.tsv");
    std::fs::write(&path, "Ada\t_\nleft\tmark\nLund\t_\n").unwrap();
    let columns = Some(vec!["token".to_owned(), "shape".to_owned()]);
    let options = ReadOptions { columns, ..ReadOptions::default() };
    let read = corpora::open(&path, 0, &options).unwrap().collect::<Result<Vec<_>, _>>();
    let mut sentences = read.unwrap();
    let fixed = Constraints::new().fix("shape");
    let options = TagOptions { constraints: fixed, ..TagOptions::default() };
    Tagger::tag_with(&[&tagger], &mut sentences, &options).unwrap();
    let shapes = sentences[0].layer("shape").unwrap().labels().unwrap();
    assert_eq!(&*shapes[1].value, "mark");
    assert_eq!(sentences[0].spans().count(), 2);
}

#[test]
fn a_training_goes_on_from_a_model_of_several_layers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.tsv"), two_columns()).unwrap();
    let short = "training.max_epochs=1";
    let first = train(folder.path(), "first", &[COLUMNS, FURTHER, short]);
    let from = format!("init_from={}", first.folder.display());
    let again = train(folder.path(), "again", &[COLUMNS, FURTHER, &from, short]);
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    let labels = |trained: &glossator::training::Trained| {
        let tagger = load(&trained.folder).unwrap();
        tagger.layers().map(|layer| layer.labels.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(labels(&again), labels(&first));
    // One of its layers is other labels: their weights are made anew, and it is said.
    let alone = train(folder.path(), "alone", &[COLUMNS, &from, short]);
    assert!(alone.warnings[0].contains("has the layers ner, shape: "), "{:?}", alone.warnings);
    assert_eq!(labels(&alone).len(), 1);
    // Nor is a layer taken for another that stands in its place.
    let turned = [COLUMNS, r#"data.layer="shape""#, r#"data.further_layers=["ner"]"#, &from, short];
    let turned = train(folder.path(), "turned", &turned);
    assert!(turned.warnings[0].contains("made anew"), "{:?}", turned.warnings);
}
