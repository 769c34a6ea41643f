//! `gloss check`.

use crate::{corpus, folder::Folder};

#[test]
fn sound_corpora_have_no_findings() {
    let folder = Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("ner.toml", corpus::configuration("misc:NER", 1));
    let want = "\
data.train train.conllu: 48 sentences, 264 words, 96 spans: LOC 48, PER 48
no findings
";
    assert_eq!(folder.gloss(&["check", "ner.toml"]).ok(), want);
    let args = ["check", "--train", "train.conllu", "--layer", "ner"];
    assert_eq!(folder.gloss(&args).ok(), want);
    let words = folder.gloss(&["check", "--train", "train.conllu", "--layer", "upos"]).ok();
    assert!(words.contains("264 labels: PROPN 120, "), "{words}");
}

#[test]
fn findings_have_a_place_and_many_of_a_kind_are_counted() {
    let sound = "Ada\tB-PER\nFeld\tI-PER\n\n".repeat(20);
    let broken = sound + &"Nora\tO\nFeld\tI-PER\n\n".repeat(7);
    let folder = Folder::new()
        .with("train.tsv", broken + "Turin\tB-LOC\nRiga\tB-PER\n")
        .with("dev.tsv", "Mars\tB-ORG\n");
    let args = ["check", "--train", "train.tsv", "--dev", "dev.tsv", "--layer", "ner"];
    let run = folder.gloss(&args);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert_eq!(lines.iter().filter(|line| line.contains("`Feld`: `I-PER`")).count(), 5);
    assert!(
        lines.iter().any(|line| line.starts_with("train.tsv: 2 more: token … `…`")),
        "{lines:?}"
    );
    let unseen = "dev.tsv: label `ORG` (1 times) does not occur in the training data";
    assert!(lines.contains(&unseen), "{lines:?}");
    assert_eq!(lines.last(), Some(&"8 findings"));
}

#[test]
fn a_missing_column_is_a_finding() {
    let folder = Folder::new().with("a.tsv", "Nora\tB-PER\n");
    let run = folder.gloss(&["check", "--train", "a.tsv", "--layer", "upos"]);
    assert!(run.out.contains("a.tsv:1: no column `upos`"), "{}", run.out);
    run.fails(1);
    let named = ["check", "--train", "a.tsv", "--columns", "token,entity", "--layer", "entity"];
    assert!(folder.gloss(&named).ok().contains("PER 1"));
    // Unsaid, it is the last column, or UPOS.
    assert!(folder.gloss(&["check", "--train", "a.tsv"]).ok().contains("PER 1"));
    let folder = folder.with("b.conllu", "1\tNora\t_\tPROPN\t_\t_\t_\t_\t_\t_\n");
    assert!(folder.gloss(&["check", "--train", "b.conllu"]).ok().contains("PROPN 1"));
    let folder = folder.with("c.tsv", "Nora\tB-PER\nFeld\n");
    let run = folder.gloss(&["check", "--train", "c.tsv"]);
    assert!(run.out.contains("c.tsv:2: "), "{}", run.out);
    run.fails(1);
}

#[test]
fn every_broken_row_is_a_finding_and_the_others_are_looked_at() {
    let rows = "Nora\tB-PER\nFeld\n\nin\tO\nTurin\tI-LOC\n\nNora\tB-PER\tx\nleft\tO\n";
    let folder = Folder::new().with("a.tsv", rows);
    let run = folder.gloss(&["check", "--train", "a.tsv"]);
    for part in [
        "data.train a.tsv: 3 sentences, 4 words",
        "a.tsv:2: expected 2 columns, found 1",
        "a.tsv:5: token 2 `Turin`: `I-LOC`",
        "a.tsv:7: expected 2 columns, found 3",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    run.fails(1);
    folder.gloss(&["tag", "-m", "en-ner", "a.tsv"]).fails(3);
}

#[test]
fn a_key_that_no_word_has_is_a_finding() {
    let folder = Folder::new().with("a.conllu", corpus::conllu());
    for layer in ["misc:NRE", "nre", "xpos"] {
        let run = folder.gloss(&["check", "--train", "a.conllu", "--layer", layer]);
        assert!(run.out.contains(&format!("no word has a label of `{layer}`")), "{}", run.out);
        run.fails(1);
    }
}

#[test]
fn a_language_model_that_is_none_is_told_before_training() {
    let embedding = "[[tagger.embeddings]]\ntype = \"contextual\"\nmodel = \"en-ner\"\n";
    let folder = Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("ner.toml", corpus::configuration("ner", 1) + embedding);
    let error = folder.gloss(&["check", "ner.toml"]).fails(4);
    assert!(error.contains("en-ner"), "{error}");
    assert_eq!(folder.gloss(&["train", "ner.toml", "--dry-run"]).fails(4), error);
}

#[test]
fn many_repeated_sentences_are_counted_in_one_whole_line() {
    let folder = Folder::new().with("a.conllu", corpus::conllu());
    let args = ["check", "--train", "a.conllu", "--dev", "a.conllu", "--layer", "upos"];
    let run = folder.gloss(&args);
    let line = "more: the sentence stands in the training data, too (line …)\n";
    assert!(run.out.contains(line), "{}", run.out);
    run.fails(1);
}
