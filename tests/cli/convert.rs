//! `gloss convert`, and checkpoints where a model is wanted.

use std::path::PathBuf;

use crate::folder::Folder;

/// A tagger of Flair, small and random.
fn checkpoint(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/flair");
    path.join(format!("{name}.pt")).display().to_string()
}

/// A checkpoint of Stanza, and a file that it needs.
fn of_stanza(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/stanza");
    path.join(format!("{name}.pt")).display().to_string()
}

const TEXT: &str = "Ada visited Berlin .\nThe house in 10-27\n";

#[test]
fn a_checkpoint_of_flair_labels_text_as_it_is_and_converted() {
    let folder = Folder::new();
    let file = checkpoint("ner-stacked");
    folder.gloss(&["convert", &file, "-o", "tagger"]).ok();
    let tag = |model: &str| {
        folder.pipe(&["tag", "-q", "--from", "tokens", "--to", "jsonl", "-m", model], TEXT).ok()
    };
    let converted = tag("./tagger");
    assert_eq!(converted.lines().count(), 2);
    assert_eq!(tag(&file), converted);
    // From the cache, where it is now.
    assert_eq!(tag(&file), converted);
    let card = folder.gloss(&["models", "show", "./tagger"]).ok();
    assert!(card.contains("any tag may follow any other"), "{card}");
    folder.gloss(&["convert", "./tagger", "--to", "flair", "-o", "back.pt"]).ok();
    assert_eq!(tag("./back.pt"), converted);
}

#[test]
fn a_tagger_of_stanza_finds_the_files_beside_it() {
    let folder = Folder::new();
    let tag = |model: &str| {
        folder.pipe(&["tag", "-q", "--from", "tokens", "--to", "jsonl", "-m", model], TEXT).ok()
    };
    let labelled = tag(&of_stanza("ner"));
    assert_eq!(labelled.lines().count(), 2);
    let names = ["backward", "vectors", "forward"].map(of_stanza);
    let mut args = vec!["convert", "-o", "tagger"];
    names.iter().for_each(|name| args.extend(["--with", name]));
    let file = of_stanza("ner");
    args.push(&file);
    folder.gloss(&args).ok();
    assert_eq!(tag("./tagger"), labelled);
    // Alone it is refused, and says what it lacks.
    std::fs::copy(&file, folder.path("ner.pt")).unwrap();
    let error = folder.gloss(&["convert", "ner.pt", "-o", "out"]).fails(4);
    assert!(error.contains("(`vectors.pt`); name it with `--with`"), "{error}");
    folder.gloss(&["convert", "./tagger", "--to", "flair", "--with", &file, "-o", "x.pt"]).fails(2);
}

#[test]
fn what_cannot_be_converted_is_refused_and_leaves_nothing() {
    let folder =
        Folder::new().with("text.pt", "no checkpoint at all").with("words.tokens", "to be\n");
    let file = checkpoint("lm-forward");
    let error = folder.gloss(&["convert", "text.pt", "-o", "out"]).fails(4);
    assert!(error.contains("it is no checkpoint of PyTorch"), "{error}");
    folder.gloss(&["convert", "absent.pt", "-o", "out"]).fails(5);
    folder.gloss(&["convert", &file]).fails(2);
    folder.gloss(&["convert", &file, "-o", "out"]).ok();
    folder.gloss(&["convert", &file, "-o", "out"]).fails(2);
    folder.gloss(&["convert", &file, "-o", "new", "--to", "flair", "--without-quirks"]).fails(2);
    folder.gloss(&["convert", "en-ner", "-o", "new.pt", "--to", "flair"]).fails(4);
    assert!(!folder.path("new.pt").exists() && !folder.path("new").exists());
    // A model without a decoder gives vectors, but scores nothing.
    folder.gloss(&["convert", &checkpoint("lm-no-decoder"), "-o", "vectors"]).ok();
    folder.gloss(&["embed", "-q", "-m", "./vectors", "--to", "jsonl", "words.tokens"]).ok();
    folder.gloss(&["generate", "-q", "-m", "./vectors"]).fails(4);
}

const TAGGED: &str = "\
Ada\tPROPN\tI-PER
Lund\tPROPN\tI-PER
slept\tVERB\tO

Turin\tPROPN\tB-LOC
";

#[test]
fn a_corpus_becomes_one_of_another_format() {
    let folder = Folder::new().with("a.tsv", TAGGED);
    let columns = ["--columns", "token,pos,ner", "a.tsv"];
    let convert = |more: &[&str]| folder.gloss(&[&["convert"], more, &columns].concat());
    // The tags are neither IOB1 nor IOB2.
    let error = convert(&["--to", "conllu"]).fails(3);
    assert!(error.contains("a.tsv:1:") && error.contains("--repair"), "{error}");
    let conllu = convert(&["--to", "conllu", "--repair"]).ok();
    assert!(conllu.contains("1\tAda\t_\t_\t_\t_\t_\t_\t_\tPOS=PROPN|NER=B-PER\n"), "{conllu}");
    let jsonl = convert(&["--to", "jsonl", "--repair", "--layers", "ner"]).objects();
    assert_eq!(jsonl[0]["spans"][0]["text"], "Ada Lund");
    assert_eq!(jsonl[1]["spans"][0]["label"], "LOC");
    // There and back, byte for byte.
    let folder = Folder::new().with("a.conllu", &conllu);
    let there = folder.gloss(&["convert", "--to", "jsonl", "a.conllu"]).ok();
    let back = folder.pipe(&["convert", "--from", "jsonl", "--to", "conllu"], &there);
    let ner = |text: &str| text.matches("NER=B-PER").count() + text.matches("NER=I-PER").count();
    assert_eq!(ner(&back.ok()), 2);
    let lines = folder.gloss(&["convert", "--to", "tokens", "a.conllu"]).ok();
    assert_eq!(lines, "Ada Lund slept\nTurin\n");
}

#[test]
fn what_cannot_be_converted_is_misuse() {
    let folder = Folder::new().with("a.tsv", TAGGED);
    folder.gloss(&["convert", "a.tsv"]).fails(2);
    folder
        .gloss(&[
            "convert",
            "--to",
            "jsonl",
            "--layers",
            "x",
            "--columns",
            "token,pos,ner",
            "a.tsv",
        ])
        .fails(2);
    folder.gloss(&["convert", "--repair", "a.tsv", "-o", "b"]).fails(2);
    folder.gloss(&["convert", "--to", "jsonl", "--without-quirks", "a.tsv"]).fails(2);
    folder.gloss(&["convert", "--to", "nothing", "a.tsv"]).fails(2);
    folder.gloss(&["convert", "--to", "jsonl", "absent.tsv"]).fails(5);
}

#[test]
fn lists_of_labels_in_jsonl_are_converted() {
    let lists = r#"{"tokens":["Ada","slept"],"upos":["PROPN","VERB"],"ner":["B-PER","O"]}"#;
    let folder = Folder::new().with("a.jsonl", lists);
    let conll = folder.gloss(&["convert", "--to", "conll", "a.jsonl"]).ok();
    assert_eq!(conll, "Ada\tPROPN\tB-PER\nslept\tVERB\tO\n\n");
}

#[test]
fn what_a_column_holds_shows_in_all_of_the_corpus() {
    // The first spans come behind more tokens than are read at once.
    let rows = "a\tO\n".repeat(70_000) + "\nAda\tB-PER\nLund\tI-PER\n\n";
    let folder = Folder::new().with("late.tsv", &rows);
    let args = ["convert", "--to", "jsonl", "--from", "conll", "--columns", "token,ner"];
    for out in [
        folder.gloss(&[&args[..], &["late.tsv"]].concat()).objects(),
        folder.pipe(&args, &rows).objects(),
    ] {
        assert_eq!(out[1]["spans"][0]["text"], "Ada Lund");
    }
}

#[test]
fn a_language_model_of_flair_is_scored_as_it_is() {
    let folder = Folder::new();
    let file = checkpoint("lm-forward");
    folder.gloss(&["convert", &file, "-o", "lm"]).ok();
    let score = |model: &str| folder.pipe(&["eval", "-q", "-m", model], TEXT).ok();
    assert_eq!(score(&file), score("./lm"));
}

#[test]
fn text_of_a_treebank_has_its_words_in_one_piece() {
    let rows = "# text = Sie geht zum Hafen.\n1\tSie\t_\t_\t_\t_\t_\t_\t_\t_\n2\tgeht\t_\t_\t_\t_\t_\t_\t_\t_\n\
                3-4\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n3\tzu\t_\t_\t_\t_\t_\t_\t_\t_\n4\tdem\t_\t_\t_\t_\t_\t_\t_\t_\n\
                5\tHafen\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n6\t.\t_\t_\t_\t_\t_\t_\t_\t_\n\n";
    let folder = Folder::new().with("a.conllu", rows);
    let to = |format| folder.gloss(&["convert", "--to", format, "a.conllu"]).ok();
    assert_eq!(
        (to("lines"), to("text")),
        ("Sie geht zum Hafen.\n".into(), "Sie geht zum Hafen.\n\n".into())
    );
    assert_eq!(to("tokens"), "Sie geht zu dem Hafen .\n");
}
