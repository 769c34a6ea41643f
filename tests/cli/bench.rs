//! `gloss bench`: what it counts, and that its numbers are numbers.

use serde_json::Value;

use crate::{
    folder::{Folder, Run, models, objects},
    language_models::language_models,
};

/// 3 sentences with words, one without; 12 words.
const TOKENS: &str = "the cat sees the dog .\n\nthe owl hears Zo\u{eb} .\nfox\n";
/// Characters of the sentences: 22, 19 and 3.
const CHARACTERS: u64 = 44;

fn folder() -> Folder {
    Folder::new().with("a.tokens", TOKENS)
}

fn bench(folder: &Folder, model: &str, more: &[&str]) -> Run {
    folder.gloss(&[&["bench", "-q", "-m", model, "a.tokens"], more].concat())
}

#[track_caller]
fn object(run: Run) -> Value {
    let mut objects = run.objects();
    assert_eq!(objects.len(), 1);
    objects.remove(0)
}

#[track_caller]
fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("no number: {value}"));
    assert!(number.is_finite() && number > 0.0, "{number}");
    number
}

/// Checks a rate over some runs.
#[track_caller]
fn is_rate(rate: &Value) {
    let [min, median, mean, max] = ["min", "median", "mean", "max"].map(|key| positive(&rate[key]));
    assert!(min <= median && median <= max && min <= mean && mean <= max, "{rate}");
    let interval: Vec<f64> = rate["interval"]
        .as_array()
        .expect("an interval")
        .iter()
        .map(|end| end.as_f64().expect("a number"))
        .collect();
    assert!(0.0 <= interval[0] && interval[0] <= mean && mean <= interval[1], "{rate}");
    assert!(interval[1].is_finite());
}

#[test]
fn a_tagger_is_measured() {
    let (models, folder) = (models(), folder());
    let json = object(bench(&folder, &models.ner(), &["--json", "--threads", "2"]));
    let counts = ["sentences", "words", "characters", "runs", "threads", "batch_size"];
    assert_eq!(counts.map(|key| json[key].as_u64()), [3, 12, CHARACTERS, 5, 2, 4096].map(Some));
    let texts = ["device", "precision"].map(|key| json[key].as_str());
    assert_eq!(texts, [Some("cpu"), Some("auto")]);
    let instructions = json["instructions"].as_str().expect("a name");
    let known = ["amx", "avx512-bf16", "avx512-vnni", "avx512", "avx2", "portable"];
    assert!(known.contains(&instructions), "{instructions}");
    assert_eq!(json["models"], serde_json::json!([models.ner()]));
    positive(&json["load_seconds"]);
    positive(&json["read_seconds"]);
    let seconds = json["run_seconds"].as_array().expect("runs");
    assert_eq!(seconds.len(), 5);
    is_rate(&json["sentences_per_second"]);
    is_rate(&json["words_per_second"]);
    is_rate(&json["characters_per_second"]);
    let fastest = seconds.iter().map(positive).fold(f64::INFINITY, f64::min);
    // Reading JSON may round the last bit.
    let words = positive(&json["words_per_second"]["max"]) * fastest;
    assert!((words - 12.0).abs() < 1e-9, "{words}");
    assert_eq!(json.get("milliseconds_per_sentence"), None);
    if cfg!(target_os = "linux") {
        assert!(positive(&json["peak_memory_bytes"]) > 1e6);
    }
}

#[test]
fn the_table_has_the_same_rows() {
    let (models, folder) = (models(), folder());
    let run = folder.gloss(&["bench", "-m", &models.ner(), "a.tokens", "--runs", "2"]);
    assert!(run.err.starts_with("device: cpu"), "{}", run.err);
    let table = run.ok();
    for row in [
        "sentences              3\n",
        "words                  12\n",
        "characters             44\n",
        "runs                   2\n",
        "batch size             4096\n",
        "\nsentences per second   median ",
        "\nwords per second       median ",
        "\ncharacters per second  median ",
        " (95 % interval ",
        "\nload ",
        "\nread ",
    ] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(!table.contains("ms per sentence"), "{table}");
    // Values stand below one another.
    assert!(
        table.lines().all(|row| &row[21..23] == "  " && !row[23..].starts_with(' ')),
        "{table}"
    );
}

#[test]
fn one_run_has_no_interval() {
    let (models, folder) = (models(), folder());
    let json = object(bench(&folder, &models.ner(), &["--json", "--runs", "1"]));
    let rate = &json["words_per_second"];
    assert_eq!((rate.get("interval"), &rate["min"]), (None, &rate["max"]));
    let table = bench(&folder, &models.ner(), &["--runs", "1"]).ok();
    assert!(!table.contains("interval"), "{table}");
}

#[test]
fn sentences_are_measured_one_by_one() {
    let (models, folder) = (models(), folder());
    let more = ["--latency", "--runs", "3"];
    let json = object(bench(&folder, &models.ner(), &[&more[..], &["--json"]].concat()));
    let latency = &json["milliseconds_per_sentence"];
    assert!(positive(&latency["median"]) <= positive(&latency["p95"]));
    is_rate(&json["words_per_second"]);
    assert_eq!((json["words"].as_u64(), json.get("batch_size")), (Some(12), None));
    let table = bench(&folder, &models.ner(), &more).ok();
    assert!(table.contains("\nms per sentence        median "), "{table}");
    let error = bench(&folder, &models.ner(), &["--latency", "--batch-size", "7"]).fails(2);
    assert!(error.contains("--latency") && error.contains("--batch-size"), "{error}");
}

#[test]
fn several_models_and_language_models_are_measured() {
    let (taggers, models, folder) = (models(), language_models(), folder());
    let (forward, backward) = (models.path("forward"), models.path("backward"));
    let together = ["-m", &taggers.upos(), "-m", &forward, "--json", "--runs", "2"];
    let json = object(bench(&folder, &taggers.ner(), &together));
    assert_eq!(json["models"], serde_json::json!([taggers.ner(), taggers.upos(), forward]));
    is_rate(&json["words_per_second"]);
    for more in [&["--json"][..], &["--json", "--latency"]] {
        let json = object(bench(&folder, &backward, more));
        assert_eq!((json["words"].as_u64(), json["sentences"].as_u64()), (Some(12), Some(3)));
        is_rate(&json["words_per_second"]);
    }
}

#[test]
fn input_is_read_as_by_tag() {
    let (models, folder) = (models(), Folder::new().with("a.tsv", "Nora\tPER\nleft\tO\n\n"));
    let model = models.ner();
    let args = ["bench", "-q", "-m", &model, "--json", "--runs", "1"];
    let words = |run: Run| object(run)["words"].as_u64();
    let columns = ["--from", "conll", "--columns", "token,ner", "a.tsv"];
    assert_eq!(words(folder.gloss(&[&args[..], &columns].concat())), Some(2));
    assert_eq!(words(folder.pipe(&args, "Nora left. She went.")), Some(6));
    assert_eq!(words(folder.pipe(&[&args[..], &["-"]].concat(), "Nora left.")), Some(3));
    let bad = b"Nora\xFF left.\n";
    folder.pipe(&args, bad).fails(3);
    assert_eq!(words(folder.pipe(&[&args[..], &["--lossy"]].concat(), bad)), Some(4));
}

#[test]
fn a_report_can_be_a_file() {
    let (models, folder) = (models(), folder());
    let more = ["--json", "--runs", "1", "-o", "speed.json"];
    assert_eq!(bench(&folder, &models.ner(), &more).ok(), "");
    let text = String::from_utf8(folder.read("speed.json")).expect("UTF-8");
    assert_eq!(objects(&text)[0]["words"], 12);
    bench(&folder, &models.ner(), &["--runs", "1", "-o", "no/speed.json"]).fails(5);
}

#[test]
fn the_built_in_model_is_the_default() {
    let folder = folder();
    let json = object(folder.gloss(&["bench", "-q", "--json", "--runs", "1", "a.tokens"]));
    assert_eq!(json["models"], serde_json::json!(["en-ner"]));
    positive(&json["words_per_second"]["median"]);
}

#[test]
fn bench_fails_by_the_book() {
    let (models, folder) = (models(), folder());
    let model = models.ner();
    for text in ["", "\n\n \n"] {
        let run = folder.pipe(&["bench", "-q", "-m", &model], text);
        assert_eq!(run.out, "");
        let error = run.fails(3);
        assert!(error.contains("no words to label in -"), "{error}");
    }
    bench(&folder, &model, &["absent.txt"]).fails(5);
    bench(&folder, "./absent", &[]).fails(4);
    let error = bench(&folder, &model, &["-m", &model]).fails(2);
    assert!(error.contains("both write the layer"), "{error}");
    for more in [["--runs", "0"], ["--runs", "x"], ["--batch-size", "0"], ["--device", "cuda"]] {
        bench(&folder, &model, &more).fails(2);
    }
}
