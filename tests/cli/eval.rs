//! `gloss eval`.

use serde_json::Value;

use crate::{
    corpus,
    folder::{Folder, models},
};

#[test]
fn a_model_is_scored_on_a_file() {
    let models = models();
    let folder = models.folder();
    let table = folder.gloss(&["eval", "-m", &models.ner(), "train.conllu"]).ok();
    for row in ["precision", "LOC", "PER", "micro", "macro", "of 264 tokens"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    let args = ["eval", "-q", "-m", &models.ner(), "--json", "train.conllu"];
    let json = folder.gloss(&args).objects().remove(0);
    assert!(json["f1"].as_f64().is_some_and(|f1| (80.0..=100.0).contains(&f1)), "{json}");
    assert_eq!((json["gold"].as_u64(), json["tokens"].as_u64()), (Some(96), Some(264)));
    assert_eq!(json["per_class"][1]["label"], "PER");
    // The bounds of batches do not matter.
    let small = folder.gloss(&[&args[..], &["--batch-size", "3"]].concat()).objects();
    assert_eq!(small, [json]);
}

#[test]
fn a_missed_score_is_1_and_is_named() {
    let models = models();
    let eval = |more: &[&str]| {
        let args = ["eval", "-q", "-m", &models.ner(), "train.conllu"];
        models.folder().gloss(&[&args[..], more].concat())
    };
    let error = eval(&["--min", "f1=101", "--min", "accuracy=1"]).fails(1);
    assert!(error.starts_with("missed: f1 is ") && error.contains("less than 101"), "{error}");
    assert_eq!(error.lines().count(), 1);
    assert!(eval(&["--max", "recall=1"]).fails(1).contains("recall is"));
    eval(&["--min", "macro-f1=1", "--max", "precision=100"]).ok();
}

#[test]
fn a_file_is_scored_against_another() {
    let gold = "Nora\tB-PER\nFeld\tI-PER\nleft\tO\n\nTurin\tB-LOC\n";
    let folder = Folder::new()
        .with("gold.tsv", gold)
        .with("same.tsv", gold.replace("B-PER", "I-PER"))
        .with("tagged.tsv", gold.replace("B-LOC", "O"))
        .with("short.tsv", "Nora\tB-PER\nFeld\tI-PER\nleft\tO\n")
        .with("other.tsv", gold.replace("Turin", "Riga"));
    let eval = |file: &str, references: &str, more: &[&str]| {
        let args = ["eval", "--hypotheses", file, "--references", references, "--layer", "ner"];
        folder.gloss(&[&args[..], more].concat())
    };
    let numbers = |file: &str| {
        let out = eval(file, "gold.tsv", &["--metric", "span-f1,accuracy"]).ok();
        out.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(numbers("gold.tsv"), ["span-f1", "100.00", "accuracy", "100.00"]);
    assert_eq!(numbers("same.tsv"), ["span-f1", "100.00", "accuracy", "100.00"]);
    assert_eq!(numbers("tagged.tsv"), ["span-f1", "66.67", "accuracy", "75.00"]);
    assert!(eval("tagged.tsv", "gold.tsv", &[]).ok().contains("LOC"));
    assert!(eval("other.tsv", "gold.tsv", &[]).fails(3).contains("gold.tsv:5: other.tsv has"));
    eval("short.tsv", "gold.tsv", &[]).fails(3);
    eval("gold.tsv", "short.tsv", &[]).fails(3);
    folder.gloss(&["eval", "--hypotheses", "gold.tsv"]).fails(2);
}

#[test]
fn a_baseline_is_tested_against_and_confusions_are_counted() {
    let gold = "a\tX\n\nb\tY\nc\tX\n\n";
    let folder = Folder::new()
        .with("gold.tsv", gold)
        .with("old.tsv", gold.replace("b\tY", "b\tX"))
        .with("new.tsv", gold);
    let eval = |more: &[&str]| {
        let files = ["--references", "gold.tsv", "--layer", "pos", "--columns", "token,pos"];
        folder.gloss(&[&["eval"], &files[..], more].concat())
    };
    let files = ["--hypotheses", "new.tsv", "--compare", "old.tsv"];
    let table = eval(&files).ok();
    assert!(
        table.contains("accuracy 100.00 ± ") && table.contains("baseline 66.67, p = "),
        "{table}"
    );
    let line = eval(&[&files[..], &["--metric", "accuracy"]].concat()).ok();
    assert!(line.contains("baseline 66.67, p = "), "beside a number that is named, too: {line}");
    let json = eval(&["--hypotheses", "old.tsv", "--confusion", "--json"]).objects().remove(0);
    assert_eq!(json["confusions"][0]["gold"], "Y");
    assert!(json["interval"]["half_width"].as_f64() > Some(0.0), "{json}");
    eval(&["--hypotheses", "new.tsv", "--compare", "absent.tsv"]).fails(5);
    let lines = ["--hypotheses", "new.tsv", "--references", "gold.tsv", "--confusion"];
    folder.gloss(&[&["eval"], &lines[..]].concat()).fails(2);
    folder.gloss(&["eval", "--raw", "--confusion", "gold.tsv"]).fails(2);
}

#[test]
fn labels_of_words_have_an_accuracy() {
    let folder = Folder::new().with("a.conllu", corpus::conllu());
    let args = ["eval", "--hypotheses", "a.conllu", "--references", "a.conllu", "--layer", "upos"];
    assert!(folder.gloss(&args).ok().contains("PROPN"));
    folder.gloss(&[&args[..], &["--metric", "span-f1"]].concat()).fails(2);
}

#[test]
fn spans_are_asked_of_words_by_no_option() {
    let models = models();
    let file = Folder::new().with("a.conllu", corpus::conllu());
    for option in [["--metric", "span-f1"], ["--min", "span-f1=1"], ["--max", "span-f1=1"]] {
        let model = ["eval", "-q", "-m", &models.upos(), "train.conllu"];
        let error = models.folder().gloss(&[&model[..], &option].concat()).fails(2);
        assert!(error.contains("span-f1: the model"), "{error}");
        let files = ["--hypotheses", "a.conllu", "--references", "a.conllu", "--layer", "upos"];
        let error = file.gloss(&[&["eval"], &files[..], &option].concat()).fails(2);
        assert!(error.contains("span-f1: the column `upos`"), "{error}");
    }
}

#[test]
fn nothing_to_score_is_3() {
    let models = models();
    let folder = Folder::new().with("a.conllu", "").with("b.conllu", "# nothing\n\n");
    let error = folder.gloss(&["eval", "-q", "-m", &models.ner(), "a.conllu", "b.conllu"]).fails(3);
    assert!(error.contains("no sentences to score in a.conllu, b.conllu"), "{error}");
    let args = ["eval", "--hypotheses", "a.conllu", "--references", "a.conllu", "--layer", "ner"];
    assert!(folder.gloss(&args).fails(3).contains("no sentences to score in a.conllu"));
}

#[test]
fn an_option_without_effect_is_said() {
    let models = models();
    let args = ["eval", "-m", &models.ner(), "--json", "--metric", "f1", "train.conllu"];
    let run = models.folder().gloss(&args);
    assert!(run.err.contains("--metric: --json holds all numbers"), "{}", run.err);
    assert!(run.objects()[0].get("accuracy").is_some());
}

#[test]
fn files_without_the_gold_column_are_3() {
    let models = models();
    let folder = Folder::new().with("a.tokens", "Nora left .\n").with("a.tsv", "Nora\tx\n");
    for file in ["a.tokens", "a.tsv"] {
        let error = folder.gloss(&["eval", "-q", "-m", &models.ner(), file]).fails(3);
        assert!(error.contains(&format!("{file}:1: no column `ner`")), "{error}");
    }
    let named = ["eval", "-q", "-m", &models.ner(), "--columns", "token,gold", "--layer", "gold"];
    folder.gloss(&[&named[..], &["a.tsv"]].concat()).ok();
}

#[test]
fn the_raw_text_of_a_treebank_is_split_and_scored() {
    let models = models();
    let folder = models.folder();
    let harbour = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpora/harbour.conllu");
    let scores = folder.gloss(&["eval", "--raw", "--json", harbour]).objects().remove(0);
    let gold = |unit: &str| scores[unit]["gold"].as_u64();
    assert_eq!((gold("sentences"), gold("labels")), (Some(3), None), "{scores}");
    assert!(gold("words") > gold("tokens"), "{scores}");
    assert!(scores["tokens"]["f1"].as_f64().is_some_and(|f1| f1 > 90.0), "{scores}");
    let table = folder.gloss(&["eval", "--raw", "-q", "-m", &models.upos(), harbour]).ok();
    for row in ["tokens", "words", "sentences", "labels", "precision"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    let missed = folder.gloss(&["eval", "--raw", "--min", "tokens=101", harbour]).fails(1);
    assert!(missed.contains("tokens is"), "{missed}");
    folder.gloss(&["eval", "--raw", "--metric", "bleu", harbour]).fails(2);
    folder.gloss(&["eval", "--raw", "--metric", "labels", harbour]).fails(2);
    folder.gloss(&["eval", "--raw", "-m", &models.ner(), harbour]).fails(2);
    folder.gloss(&["eval", "--metric", "tokens", "-m", &models.ner(), harbour]).fails(2);
}

#[test]
fn translations_are_scored_against_references() {
    let folder = Folder::new()
        .with("new.de", "Der Hund sieht die Katze im Garten .\nNiemand kam gestern Abend .\n")
        .with("old.de", "Ein Hund sieht eine Katze .\nKeiner kam .\n")
        .with("gold.de", "Der Hund sieht die Katze im Garten .\nNiemand kam gestern Abend .\n")
        .with("gold2.de", "Der Hund sah die Katze .\n\n")
        .with("short.de", "Der Hund .\n");
    let eval =
        |file: &str, more: &[&str]| folder.gloss(&[&["eval", "--hypotheses", file], more].concat());
    let one = ["--references", "gold.de"];
    let table = eval("new.de", &one).ok();
    for part in ["BLEU     100.00 ± 0.00", "chrF2 ", "chrF2++", "TER ", "tok:13a", "BP = 1.000"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let json = eval("old.de", &[&one[..], &["--json", "--compare", "new.de"]].concat());
    let json = json.objects().remove(0);
    assert_eq!(json["lines"], 2);
    assert!(json["bleu"].as_f64() < json["comparisons"]["bleu"]["baseline"].as_f64(), "{json}");
    let p_value = json["comparisons"]["ter"]["p_value"].as_f64().expect("a probability");
    assert!((0.0..=1.0).contains(&p_value));
    let two = ["--references", "gold2.de", "gold.de", "--metric", "bleu,ter"];
    let lines = eval("new.de", &two).ok();
    let words: Vec<&str> = lines.split_whitespace().collect();
    assert_eq!(words, ["bleu", "100.00", "ter", "0.00"]);
    let upper = |more: &[&str]| {
        let upper = folder.pipe(&[&["eval", "--hypotheses", "-"], more].concat(), "DER HUND .\n");
        upper.ok().split_whitespace().nth(1).map(str::to_owned)
    };
    let of_short = ["--references", "short.de", "--metric", "chrf"];
    assert_eq!(upper(&of_short).as_deref(), Some("6.25"));
    assert_eq!(upper(&[&of_short[..], &["--lowercase"]].concat()).as_deref(), Some("100.00"));
    assert!(
        eval("old.de", &[&one[..], &["--min", "bleu=90"]].concat()).fails(1).contains("bleu is")
    );
}

#[test]
fn what_cannot_be_scored_as_translations_is_refused() {
    let folder = Folder::new().with("a.de", "a\nb\n").with("b.de", "a\nb\nc\n").with("no.de", "");
    let eval = |args: &[&str]| folder.gloss(&[&["eval", "--hypotheses"], args].concat());
    let error = eval(&["a.de", "--references", "b.de"]).fails(3);
    assert!(error.contains("a.de:3") && error.contains("b.de"), "{error}");
    assert!(eval(&["no.de", "--references", "no.de"]).fails(3).contains("no.de"));
    let error = eval(&["a.de", "--references", "a.de", "--metric", "span-f1"]).fails(2);
    assert!(error.contains("--layer") && error.contains("bleu"), "{error}");
    eval(&["a.de", "--references", "a.de", "b.de", "--layer", "ner"]).fails(2);
    eval(&["a.de", "--references", "a.de", "--by", "line"]).fails(2);
    eval(&["a.de", "--references", "missing.de"]).fails(5);
    assert!(folder.gloss(&["eval", "--metric", "bleu", "a.de"]).fails(2).contains("bleu"));
}

#[test]
fn probabilities_are_held_against_what_is_right() {
    let models = models();
    let folder = models.folder();
    for (model, layer) in [(models.ner(), "misc:NER"), (models.upos(), "upos")] {
        let args = ["eval", "-q", "-m", &model, "--layer", layer, "--calibration", "train.conllu"];
        let table = folder.gloss(&args).ok();
        assert!(table.contains("\nexpected calibration error "), "{table}");
        let json = &folder.gloss(&[&args[..], &["--json"]].concat()).objects()[0];
        let (calibration, count) = (&json["calibration"], |bin: &Value| bin["labels"].as_u64());
        let bins = calibration["bins"].as_array().expect("bins");
        let labels: u64 = bins.iter().filter_map(count).sum();
        assert_eq!(Some(labels), json["predicted"].as_u64(), "{json}");
        let error = calibration["expected_error"].as_f64().expect("a number");
        assert!((0.0..=100.0).contains(&error), "{error}");
    }
    let error = folder.gloss(&["eval", "-m", "en-lm-forward", "--calibration", "x.txt"]).fails(2);
    assert!(error.contains("--calibration: of a tagger only"), "{error}");
}

#[test]
fn a_key_that_no_word_has_is_not_scored() {
    let folder = Folder::new()
        .with("ud.conllu", "1\tNora\t_\tPROPN\t_\t_\t_\t_\t_\t_\n")
        .with("ner.conllu", corpus::conllu());
    let error = folder.gloss(&["eval", "-q", "-m", "en-ner", "ud.conllu"]).fails(3);
    assert!(error.contains("no labels of `ner` to score in ud.conllu"), "{error}");
    let args = ["--hypotheses", "ner.conllu", "--references", "ner.conllu", "--layer"];
    let eval = |layer| folder.gloss(&[&["eval"], &args[..], &[layer]].concat());
    assert!(eval("misc:NRE").fails(3).contains("no labels of `misc:NRE`"));
    eval("misc:NER").ok();
}

#[test]
fn output_in_jsonl_is_scored_where_a_sentence_has_no_span() {
    let gold = "It\tO\nrains\tO\n\nNora\tB-PER\nleft\tO\n\nHe\tO\nleft\tO\n\n";
    let folder = Folder::new().with("gold.tsv", gold);
    folder.gloss(&["convert", "--to", "jsonl", "-o", "a.jsonl", "gold.tsv"]).ok();
    let args = ["--references", "gold.tsv", "--layer", "ner", "--metric", "f1"];
    let score = folder.gloss(&[&["eval", "--hypotheses", "a.jsonl"], &args[..]].concat()).ok();
    assert_eq!(score.split_whitespace().last(), Some("100.00"));
    assert!(
        folder.gloss(&["check", "--train", "a.jsonl", "--layer", "ner"]).ok().contains("PER 1")
    );
    folder.gloss(&["check", "--train", "a.jsonl", "--layer", "nre"]).fails(1);
    assert_eq!(folder.gloss(&["convert", "--to", "conll", "a.jsonl"]).ok(), gold);
}

#[test]
fn translations_on_standard_input_are_read_as_a_file_is() {
    let text = "\u{feff}The grass is green here.\n";
    let folder = Folder::new().with("gold.txt", &text[3..]).with("own.txt", text);
    let args = ["--references", "gold.txt", "--metric", "bleu"];
    let named = folder.gloss(&[&["eval", "--hypotheses", "own.txt"], &args[..]].concat()).ok();
    let piped = [&["eval", "--hypotheses", "-"], &args[..]].concat();
    assert_eq!(folder.pipe(&piped, text).ok(), named);
    let error = folder.pipe(&piped, b"a\nb\xff\n").fails(3);
    assert!(error.contains(":2: byte 3"), "{error}");
}
