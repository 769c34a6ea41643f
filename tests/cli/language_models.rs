//! Language models: `gloss eval` on raw text, and `gloss generate`.

use std::sync::{Arc, Mutex, Weak};

use serde_json::Value;

use crate::folder::{Folder, Run, models, objects};

const NOUNS: [&str; 6] = ["cat", "dog", "hen", "fox", "owl", "pig"];
const VERBS: [&str; 4] = ["sees", "likes", "hears", "meets"];

/// Sentences of a small grammar, one a line.
fn text() -> String {
    let line = |i: usize| {
        let (subject, object) = (NOUNS[i % 6], NOUNS[(i / 6 + i) % 6]);
        format!("the {subject} {} the {object}.\n", VERBS[i / 3 % 4])
    };
    (0..400).map(line).collect()
}

fn configuration(direction: &str) -> String {
    format!(
        r#"task = "language-model"
[data]
train = "text.txt"
dev = "dev.txt"
[language_model]
direction = "{direction}"
hidden_dim = 16
embedding_dim = 8
sequence_length = 40
dropout = 0.0
min_count = 1
case_flips = 0.0
[training]
learning_rate = 0.03
batch_size = 8
max_epochs = 8
checkpoint_seconds = 0
"#
    )
}

/// Two language models that the program trained, one each way.
pub struct LanguageModels(Folder);

/// The models, trained once for all tests that run at the same time.
pub fn language_models() -> Arc<LanguageModels> {
    static MODELS: Mutex<Weak<LanguageModels>> = Mutex::new(Weak::new());
    let mut models = MODELS.lock().expect("trained models");
    models.upgrade().unwrap_or_else(|| {
        let trained = Arc::new(LanguageModels::train());
        *models = Arc::downgrade(&trained);
        trained
    })
}

impl LanguageModels {
    fn train() -> Self {
        let text = text();
        let folder = Folder::new()
            .with("text.txt", &text)
            .with("dev.txt", &text[..500])
            .with("forward.toml", configuration("forward"))
            .with("backward.toml", configuration("backward"));
        folder.gloss(&["train", "-q", "forward.toml"]).ok();
        folder.gloss(&["train", "-q", "backward.toml"]).ok();
        Self(folder)
    }

    pub fn path(&self, direction: &str) -> String {
        self.0.path(direction).display().to_string()
    }
}

/// Runs a verb with the forward model.
fn run(verb: &str, folder: &Folder, more: &[&str]) -> Run {
    let model = language_models().path("forward");
    folder.gloss(&[&[verb, "-q", "-m", &model], more].concat())
}

fn number(json: &Value, key: &str) -> f64 {
    json[key].as_f64().unwrap_or_else(|| panic!("{key}: {json}"))
}

#[test]
fn a_text_is_scored() {
    let _models = language_models();
    let folder = Folder::new().with("a.txt", "the cat sees the dog.\r\n\nthe owl\u{e9}.");
    let table = run("eval", &folder, &["a.txt"]).ok();
    for row in ["bits per character", "nats per character", "perplexity", "characters          32"]
    {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(table.contains("unknown characters  1 "), "{table}");
    let json = &run("eval", &folder, &["--json", "a.txt"]).objects()[0];
    assert_eq!((number(json, "characters"), number(json, "unknown")), (32.0, 1.0));
    let nats = number(json, "nats_per_character");
    assert!((nats.exp() - number(json, "perplexity")).abs() < 1e-9);
    assert!((nats / 2f64.ln() - number(json, "bits_per_character")).abs() < 1e-9);
    let lines = run("eval", &folder, &["--metric", "perplexity,characters", "a.txt"]).ok();
    let words: Vec<&str> = lines.split_whitespace().collect();
    assert_eq!(words, ["perplexity", &format!("{:.4}", nats.exp()), "characters", "32"]);
    // From standard input, the same.
    let piped = ["eval", "-q", "-m", &language_models().path("forward"), "--json"];
    let again = folder.pipe(&piped, folder.read("a.txt")).objects();
    assert_eq!(&again[0], json);
}

#[test]
fn what_the_model_learned_is_likely() {
    let _models = language_models();
    let folder = Folder::new()
        .with("good.txt", "the fox hears the hen.\nthe pig meets the cat.\n")
        .with("bad.txt", "eht xof sraeh eht neh.\n");
    let bits = |file: &str| {
        number(&run("eval", &folder, &["--json", file]).objects()[0], "bits_per_character")
    };
    assert!(bits("good.txt") < 2.0, "{}", bits("good.txt"));
    assert!(bits("bad.txt") > 2.0 * bits("good.txt"));
}

#[test]
fn lines_have_their_own_scores() {
    let _models = language_models();
    let content = "the cat sees the dog.\n\nxgq\tzz sees dog the\nthe cat sees the dog.\n";
    let folder = Folder::new().with("a.txt", content).with("b.txt", "the owl.\n");
    let out = run("eval", &folder, &["--by", "line", "a.txt", "b.txt"]).ok();
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    let places: Vec<&str> = rows.iter().map(|row| row[3]).collect();
    assert_eq!(places, ["a.txt:1", "a.txt:3", "a.txt:4", "b.txt:1"]);
    let bits = |row: usize| rows[row][0].parse::<f64>().expect("a number");
    assert!(bits(1) > 2.0 * bits(0), "a garbled line: {out}");
    assert_eq!(rows[0][0], rows[2][0], "each line stands by itself");
    assert_eq!((rows[0][1], rows[0][2], rows[0][4]), ("22", "0", "the cat sees the dog."));
    assert_eq!(rows[1][4], "xgq\\tzz sees dog the");
    let json = run("eval", &folder, &["--by", "line", "--json", "a.txt", "b.txt"]).objects();
    assert_eq!(json[1]["text"], "xgq\tzz sees dog the");
    assert_eq!((json[1]["path"].as_str(), json[1]["line"].as_u64()), (Some("a.txt"), Some(3)));
    assert_eq!(format!("{:.4}", number(&json[1], "bits_per_character")), rows[1][0]);
    let model = language_models().path("forward");
    let piped = folder.pipe(&["eval", "-q", "-m", &model, "--by", "line"], content).ok();
    let of_a: String = out.split_inclusive('\n').take(3).collect();
    assert_eq!(piped.replace("\t-:", "\ta.txt:"), of_a);
}

#[test]
fn a_long_line_is_scored_as_a_short_one() {
    let _models = language_models();
    let sentence = "the cat sees the dog. ";
    let long = sentence.repeat(1000);
    let folder = Folder::new().with("a.txt", format!("{long}\n{sentence}\n"));
    let json = run("eval", &folder, &["--by", "line", "--json", "a.txt"]).objects();
    assert_eq!(number(&json[0], "characters"), long.len() as f64 + 1.0);
    assert_eq!(number(&json[1], "characters"), sentence.len() as f64 + 1.0);
    let through = run("eval", &Folder::new().with("a.txt", &long), &["--json", "a.txt"]).objects();
    let [line, file] = [&json[0], &through[0]].map(|json| number(json, "bits_per_character"));
    assert!((line - file).abs() < 1e-6, "{line} {file}");
}

#[test]
fn files_have_their_own_rows() {
    let _models = language_models();
    let folder = Folder::new().with("a.txt", text()).with("b.txt", "the owl.\nqq\n");
    let rows = run("eval", &folder, &["--by", "file", "--json", "a.txt", "b.txt"]).objects();
    let paths: Vec<_> = rows.iter().map(|row| row["path"].as_str()).collect();
    assert_eq!(paths, [Some("a.txt"), Some("b.txt")]);
    let all = run("eval", &folder, &["--json", "a.txt", "b.txt"]).objects();
    let of_both = |key| rows.iter().map(|row| number(row, key)).sum::<f64>();
    assert_eq!(number(&all[0], "characters"), of_both("characters"));
    let alone = run("eval", &folder, &["--json", "b.txt"]).objects();
    assert_eq!(number(&alone[0], "perplexity"), number(&rows[1], "perplexity"));
    let out = run("eval", &folder, &["--by", "file", "b.txt", "-o", "rows.tsv"]).ok();
    let row = String::from_utf8(folder.read("rows.tsv")).expect("UTF-8");
    assert_eq!((out.as_str(), row.split('\t').count()), ("", 4));
    assert!(row.ends_with("\t12\t2\tb.txt\n"), "{row}");
}

#[test]
fn bounds_hold_for_text() {
    let _models = language_models();
    let folder = Folder::new().with("a.txt", "the cat sees the dog.\n");
    let error = run("eval", &folder, &["--max", "perplexity=1", "a.txt"]).fails(1);
    let missed = error.starts_with("missed: perplexity is ") && error.ends_with("more than 1\n");
    assert!(missed, "{error}");
    let by = ["--by", "line", "--min", "characters=23", "a.txt"];
    let error = run("eval", &folder, &by).fails(1);
    assert_eq!(error, "missed: characters is 22, less than 23\n");
    run("eval", &folder, &["--max", "perplexity=9", "--min", "bits-per-character=0", "a.txt"]).ok();
}

#[test]
fn bad_text_is_3() {
    let _models = language_models();
    let folder = Folder::new().with("bad.txt", b"the cat.\nthe \xFF\n").with("empty.txt", "\n\r\n");
    for by in [&[][..], &["--by", "line"], &["--by", "file"]] {
        let run = run("eval", &folder, &[by, &["bad.txt"]].concat());
        assert_eq!(run.out.lines().count(), usize::from(by.last() == Some(&"line")));
        assert!(run.fails(3).contains("bad.txt:2: byte 13 (0xFF)"));
    }
    let error = run("eval", &folder, &["empty.txt"]).fails(3);
    assert!(error.contains("no text to score in empty.txt"), "{error}");
    let json = run("eval", &folder, &["--lossy", "--json", "bad.txt"]).objects();
    assert_eq!((number(&json[0], "characters"), number(&json[0], "unknown")), (15.0, 1.0));
    run("eval", &folder, &["absent.txt"]).fails(5);
}

#[test]
fn options_of_the_other_kind_are_misuse() {
    let (taggers, _models) = (models(), language_models());
    let folder = Folder::new().with("a.txt", "the cat.\n").with("a.tsv", "Nora\tB-PER\n");
    for more in [
        &["--metric", "f1"][..],
        &["--min", "accuracy=1"],
        &["--layer", "ner"],
        &["--columns", "token,ner"],
        &["--from", "conllu"],
        &["--by", "word"],
        &["--by", "line", "--metric", "perplexity"],
    ] {
        let run = run("eval", &folder, &[more, &["a.txt"]].concat());
        assert_eq!(run.out, "", "{more:?}");
        run.fails(2);
    }
    for from in ["auto", "text", "lines"] {
        run("eval", &folder, &["--from", from, "a.txt"]).ok();
    }
    for more in [["--by", "line"], ["--metric", "perplexity"], ["--max", "unknown=0"]] {
        let args = ["eval", "-q", "-m", &taggers.ner(), "a.tsv"];
        let error = folder.gloss(&[&args[..], &more].concat()).fails(2);
        assert!(error.contains("of a language model only"), "{error}");
    }
}

#[test]
fn the_seed_decides_what_is_generated() {
    let _models = language_models();
    let folder = Folder::new();
    let text = |more: &[&str]| run("generate", &folder, more).ok();
    let first = text(&["--prefix", "the ca", "--chars", "60"]);
    assert!(first.starts_with("the ca") && first.ends_with('\n'), "{first}");
    assert!((66..=67).contains(&first.chars().count()), "{first}");
    assert_eq!(first, text(&["--prefix", "the ca", "--chars", "60", "--seed", "1"]));
    assert_eq!(first, text(&["--prefix", "the ca", "--chars", "60", "--threads", "3"]));
    assert_ne!(first, text(&["--prefix", "the ca", "--chars", "60", "--seed", "2"]));
    let likeliest = text(&["--temperature", "0", "--chars", "80"]);
    assert_eq!(likeliest, text(&["--temperature", "0", "--chars", "80", "--seed", "9"]));
    assert!(likeliest.starts_with("the "), "{likeliest}");
    assert_eq!(text(&["--chars", "0"]), "\n");
    assert_eq!(text(&["--chars", "9", "-o", "out.txt"]), "");
    assert_eq!(folder.read("out.txt"), text(&["--chars", "9"]).as_bytes());
}

#[test]
fn a_backward_model_ends_with_the_prefix() {
    let models = language_models();
    let folder = Folder::new();
    let model = models.path("backward");
    let args = ["generate", "-q", "-m", &model, "--prefix", "the dog.", "--chars", "40"];
    let out = folder.gloss(&args).ok();
    assert!(out.ends_with("the dog.\n"), "{out}");
    assert_eq!(out.chars().count(), 49);
    let json = ["eval", "-q", "-m", &model, "--json", "--by", "line"];
    let rows = folder.pipe(&json, "the cat sees the dog.\neht cat ssse the .dog\n").objects();
    assert!(number(&rows[0], "perplexity") < number(&rows[1], "perplexity"));
}

#[test]
fn unknown_characters_of_a_prefix_are_said() {
    let models = language_models();
    let model = models.path("forward");
    let args = ["generate", "-m", &model, "--prefix", "the \u{e9}\u{e9}", "--chars", "3"];
    let run = Folder::new().gloss(&args);
    assert!(run.err.contains("does not know 2 characters"), "{}", run.err);
    assert!(run.ok().starts_with("the \u{e9}\u{e9}"));
}

#[test]
fn generate_fails_by_the_book() {
    let (taggers, _models) = (models(), language_models());
    let folder = Folder::new();
    for temperature in ["-1", "nan", "inf", "x"] {
        let error = run("generate", &folder, &["--temperature", temperature]).fails(2);
        assert!(error.contains("must be 0 or a number above"), "{error}");
    }
    let error = folder.gloss(&["generate", "-q", "-m", &taggers.ner()]).fails(4);
    assert!(error.contains("it is a tagger, not a language-model"), "{error}");
    folder.gloss(&["generate", "-q", "-m", "./absent"]).fails(4);
    let error = folder.gloss(&["tag", "-q", "-m", &language_models().path("forward")]).fails(4);
    assert!(error.contains("it is a language-model, not a tagger"), "{error}");
    run("generate", &folder, &["-o", "no/folder"]).fails(5);
}

#[test]
fn messages_and_errors_of_text_are_json_if_asked_for() {
    let _models = language_models();
    let folder = Folder::new().with("a.txt", "the cat.\n");
    let args = ["--log-format", "json", "--max", "perplexity=1", "a.txt"];
    let error = run("eval", &folder, &args).fails(1);
    assert_eq!(objects(&error)[0]["level"], "missed");
}
