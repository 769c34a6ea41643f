//! The library from end to end: train, save, load, tag.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use glossator::{
    Cancel, TagOptions,
    models::Bundle,
    prelude::*,
    training::{
        RunConfig, RunOptions, Scores, Trained, TrainingRun, metric::Report, train as train_model,
    },
};

mod language_models;
mod probabilities;
mod several_layers;
mod translators;

/// Sentences of a made-up world, small enough to learn by heart.
fn corpus() -> String {
    let names = ["Nora", "Emil", "Ada", "Otto", "Ines", "Karl"];
    let places = ["Turin", "Bergen", "Lund", "Porto", "Ghent"];
    let mut text = String::new();
    for (i, name) in names.iter().enumerate() {
        for (j, place) in places.iter().enumerate() {
            let rows: &[(&str, &str)] = match (i + j) % 3 {
                0 => &[("visited", "O"), (place, "B-LOC"), (".", "O")],
                1 => &[("Feld", "I-PER"), ("left", "O"), ("Old", "B-LOC"), (place, "I-LOC")],
                _ => {
                    &[("and", "O"), ("Nora", "B-PER"), ("met", "O"), ("in", "O"), (place, "B-LOC")]
                }
            };
            text += &format!("{name}\tB-PER\n");
            rows.iter().for_each(|(token, tag)| text += &format!("{token}\t{tag}\n"));
            text.push('\n');
        }
    }
    text
}

const CONFIG: &str = r#"
task = "tagger"
[data]
train = "train.tsv"
layer = "ner"
[tagger]
hidden_dim = 12
[[tagger.embeddings]]
type = "characters"
embedding_dim = 6
hidden_dim = 9
[[tagger.embeddings]]
type = "words"
dim = 7
min_count = 1
[training]
optimizer = "adamw"
learning_rate = 0.02
schedule = "linear"
batch_size = 4
max_epochs = 12
patience = 0
"#;

fn train(folder: &Path, name: &str, settings: &[&str]) -> Trained {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    let config = RunConfig::parse(CONFIG, &folder.join("config.toml"), &settings).unwrap();
    let options =
        RunOptions { out: folder.join(name), seed: config.seed(), ..RunOptions::default() };
    let run = TrainingRun { config: &config, options, observers: &mut [], command: String::new() };
    train_model(run).unwrap().expect("nothing interrupts it")
}

/// A folder with the corpus and a model trained on it, made once.
fn world() -> (&'static Path, &'static Trained) {
    static WORLD: OnceLock<(tempfile::TempDir, Trained)> = OnceLock::new();
    let (folder, trained) = WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("train.tsv"), corpus()).unwrap();
        let trained = train(folder.path(), "model", &[]);
        (folder, trained)
    });
    (folder.path(), trained)
}

fn load(folder: &Path) -> Result<Tagger, Error> {
    Tagger::load(&folder.display().to_string())
}

/// The scores of a tagger.
fn report(scores: &Scores) -> &Report {
    match scores {
        Scores::Tags(report) => report,
        _ => panic!("not a tagger's: {scores}"),
    }
}

/// Labels and exact scores of all spans.
fn fingerprint(sentences: &[Sentence]) -> Vec<(String, String, u32)> {
    let spans = sentences.iter().flat_map(|s| s.spans());
    spans.map(|s| (s.text().to_owned(), s.label().to_owned(), s.score().to_bits())).collect()
}

#[test]
fn a_small_world_is_learnt_and_raw_text_is_tagged() {
    let (_, trained) = world();
    assert!(report(&trained.dev).micro.f1 > 95.0, "{}", trained.dev);
    let tagger = load(&trained.folder).unwrap();
    let document = tagger.tag("Ada Feld left Old Lund.\n\nKarl visited Porto.").unwrap();
    let found: Vec<_> = document.spans().map(|s| (s.text(), s.label())).collect();
    let want = [("Ada Feld", "PER"), ("Old Lund", "LOC"), ("Karl", "PER"), ("Porto", "LOC")];
    assert_eq!(found, want);
    for span in document.spans() {
        let (start, end) = (span.start().bytes, span.end().bytes);
        assert_eq!(&document.text()[start..end], span.text());
        assert!((0.0..=1.0).contains(&span.score()));
    }
    let sentence = tagger.tag_tokens(&["Emil", "and", "Nora", "met"]).unwrap();
    assert_eq!(sentence.spans().count(), 2);
    assert_eq!(tagger.tag("").unwrap().sentences().len(), 0);
    assert_eq!(tagger.tag_tokens::<&str>(&[]).unwrap().len(), 0);
}

#[test]
fn a_folder_and_bytes_hold_the_same_model() {
    let (_, trained) = world();
    let bundle = Bundle::folder(&trained.folder);
    let archive = bundle.to_bytes().unwrap();
    let text = "Otto Feld left Old Ghent. Ines and Nora met in Bergen.";
    let from_folder = load(&trained.folder).unwrap().tag(text).unwrap();
    let from_bytes = Tagger::from_bytes(&archive).unwrap().tag(text).unwrap();
    assert_eq!(fingerprint(from_folder.sentences()), fingerprint(from_bytes.sentences()));
}

#[test]
fn a_cancelled_call_says_so() {
    let (_, trained) = world();
    let tagger = load(&trained.folder).unwrap();
    let cancel = Cancel::new();
    let options = TagOptions { cancel: cancel.clone(), ..TagOptions::default() };
    let mut sentences = vec![Sentence::from_tokens(&["Nora", "met", "Ada"])];
    Tagger::tag_with(&[&tagger], &mut sentences, &options).unwrap();
    assert_eq!(sentences[0].spans().count(), 2);
    cancel.cancel();
    let mut sentences = vec![Sentence::from_tokens(&["Nora", "met", "Ada"])];
    let ended = Tagger::tag_with(&[&tagger], &mut sentences, &options);
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    assert_eq!(sentences[0].layers().len(), 0);
}

#[test]
fn results_do_not_depend_on_batches_or_threads() {
    let (_, trained) = world();
    let tagger = load(&trained.folder).unwrap();
    let words = ["Nora", "and", "Feld", "Zürich", "met", "in", "Turin", "Old", "?"];
    let sentences: Vec<Sentence> = (0..60)
        .map(|i| {
            let words: Vec<_> = (0..i % 13).map(|t| words[(i * 7 + t * 5) % words.len()]).collect();
            Sentence::from_tokens(&words)
        })
        .collect();
    let run = |max_tokens, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut tagged = sentences.clone();
        let options = TagOptions { max_tokens, ..TagOptions::default() };
        pool.install(|| Tagger::tag_with(&[&tagger], &mut tagged, &options)).unwrap();
        fingerprint(&tagged)
    };
    let alone = run(1, 1);
    assert!(!alone.is_empty());
    for (max_tokens, threads) in [(7, 1), (100_000, 1), (1, 3), (50, 2), (100_000, 4)] {
        assert_eq!(alone, run(max_tokens, threads), "{max_tokens} tokens, {threads} threads");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_does_not() {
    let (folder, trained) = world();
    let weights = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    let first = train(folder, "short-1", &["training.max_epochs=1"]);
    let again = train(folder, "short-2", &["training.max_epochs=1"]);
    let other = train(folder, "short-3", &["training.max_epochs=1", "seed=2"]);
    assert_eq!(weights(&first.folder), weights(&again.folder));
    assert_ne!(weights(&first.folder), weights(&other.folder));
    assert_ne!(weights(&first.folder), weights(&trained.folder));
}

#[test]
fn a_model_is_trained_on_from_another_one() {
    let (folder, trained) = world();
    let from = format!("init_from={}", trained.folder.display());
    let tuned =
        train(folder, "tuned", &[&from, "training.max_epochs=1", "training.learning_rate=1e-4"]);
    assert!(
        report(&tuned.dev).micro.f1 > 95.0,
        "one gentle epoch keeps what was known: {}",
        tuned.dev
    );
    let fresh = train(folder, "fresh", &["training.max_epochs=1", "training.learning_rate=1e-4"]);
    assert!(report(&fresh.dev).micro.f1 < 50.0, "one gentle epoch teaches little: {}", fresh.dev);
}

#[test]
fn labels_keep_their_weights_by_name_when_a_model_is_trained_on() {
    let (folder, trained) = world();
    let from = format!("init_from={}", trained.folder.display());
    let labels = |name: &str| {
        let config = std::fs::read_to_string(folder.join(name).join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        (config["labels"].clone(), config["scheme"].clone(), config["tagger"]["scheme"].clone())
    };
    // The model's own scheme holds, whatever the configuration's default is.
    let iob2 = train(folder, "iob2", &["tagger.scheme=iob2"]);
    let on = format!("init_from={}", iob2.folder.display());
    let gentle = ["training.max_epochs=1", "training.learning_rate=1e-4"];
    let again = train(folder, "iob2-again", &[&on, gentle[0], gentle[1]]);
    assert_eq!(labels("iob2-again"), labels("iob2"));
    assert!(report(&again.dev).micro.f1 > 90.0, "{}", again.dev);
    // The model's own architecture holds, too: no CRF comes from nowhere.
    let softmax = train(folder, "no-crf", &["tagger.crf=false", gentle[0]]);
    let on = format!("init_from={}", softmax.folder.display());
    train(folder, "no-crf-again", &[&on, gentle[0]]);
    let config = std::fs::read_to_string(folder.join("no-crf-again/config.json")).unwrap();
    assert!(config.contains("\"crf\": false"), "{config}");
    // Other labels: what was learnt of LOC is not taken for ANIMAL.
    let other = corpus().replace("LOC", "ANIMAL");
    std::fs::write(folder.join("other.tsv"), other).unwrap();
    let renamed = train(folder, "renamed", &[&from, "data.train=other.tsv", gentle[0], gentle[1]]);
    let animal = report(&renamed.dev).class("ANIMAL").map_or(0.0, |class| class.f1);
    assert!(animal < 50.0, "one gentle epoch does not teach a new label: {}", renamed.dev);
}

#[test]
fn a_run_is_not_resumed_on_other_data_or_another_architecture() {
    let (folder, _) = world();
    let settings = ["training.max_epochs=1"];
    train(folder, "resumed", &settings);
    let resume = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let config = RunConfig::parse(CONFIG, &folder.join("config.toml"), &settings).unwrap();
        let out = folder.join("resumed");
        let options =
            RunOptions { out, seed: config.seed(), resume: true, ..RunOptions::default() };
        let command = String::new();
        train_model(TrainingRun { config: &config, options, observers: &mut [], command })
    };
    assert!(resume(&settings).is_ok());
    let kept = std::fs::read(folder.join("resumed/config.toml")).unwrap();
    let renamed = corpus().replace("Turin", "Milan");
    std::fs::write(folder.join("renamed.tsv"), renamed).unwrap();
    for change in ["data.train=renamed.tsv", "tagger.locked_dropout=0.1", "model.precision=bf16"] {
        let error = resume(&[settings[0], change]).unwrap_err();
        let causes = format!("{error} {:?}", error);
        assert!(causes.contains("--force"), "{change}: {causes}");
        assert_eq!(std::fs::read(folder.join("resumed/config.toml")).unwrap(), kept);
    }
}

#[test]
fn a_stray_tag_is_refused_rather_than_learnt_as_a_word_label() {
    let (folder, _) = world();
    let stray = corpus().replacen("Lund\tB-LOC", "Lund\tLOC", 1);
    let line = stray.lines().position(|line| line == "Lund\tLOC").unwrap() + 1;
    std::fs::write(folder.join("stray.tsv"), stray).unwrap();
    let config =
        RunConfig::parse(CONFIG, &folder.join("c.toml"), &["data.train=stray.tsv".to_owned()]);
    let config = config.unwrap();
    let options = RunOptions { out: folder.join("stray"), ..RunOptions::default() };
    let run = TrainingRun { config: &config, options, observers: &mut [], command: String::new() };
    let error = train_model(run).unwrap_err().to_string();
    assert!(error.contains(&format!("stray.tsv:{line}: `LOC` is no tag of spans")), "{error}");
    let RunConfig::Tagger(config) = config else { panic!("{config:?}") };
    let (_, findings) = glossator::training::check::check(&config).unwrap();
    assert!(findings.iter().any(|f| f.line == Some(line) && f.message.contains("no tag")));
}

#[test]
fn odd_words_are_tagged_too() {
    let (_, trained) = world();
    let tagger = load(&trained.folder).unwrap();
    let long = "x".repeat(50_000);
    let sentence = tagger.tag_tokens(&["", "𝔸𝔹", "\u{200b}", &long, "Nora"]).unwrap();
    assert_eq!(sentence.len(), 5);
}

#[test]
fn a_softmax_with_class_weights_and_an_iob2_scheme_learn_too() {
    let (folder, _) = world();
    let softmax = ["tagger.crf=false", "tagger.class_weights={ O = 0.5 }", "tagger.scheme=iob2"];
    let trained = train(folder, "softmax", &softmax);
    assert!(report(&trained.dev).micro.f1 > 90.0, "{}", trained.dev);
    let two_layers = ["tagger.layers=2", "tagger.reprojection=false", "model.precision=int8"];
    let trained = train(folder, "two-layers", &two_layers);
    assert!(report(&trained.dev).micro.f1 > 90.0, "{}", trained.dev);
}

#[test]
fn given_vectors_stay_as_they_are() {
    let (folder, _) = world();
    std::fs::write(folder.join("v.vec"), "Turin 1.5 -2\nNora 0.25 3\n").unwrap();
    let vectors = "tagger.embeddings=[{type=\"characters\"}, {type=\"words\", vectors=\"v.vec\"}]";
    let trained = train(folder, "given", &[vectors, "training.max_epochs=1"]);
    let config = std::fs::read_to_string(trained.folder.join("config.json")).unwrap();
    assert!(config.contains("\"v.vec\""), "no path of the trainer's machine: {config}");
    let tensors = Bundle::folder(&trained.folder).tensors("model.safetensors").unwrap();
    let words = tensors.iter().find(|t| t.name() == "embeddings.1.words.weight").unwrap();
    assert_eq!(words.read().unwrap(), [0.0, 0.0, 1.5, -2.0, 0.25, 3.0]);

    // Other numbers for the same words are other data: the run does not go on.
    std::fs::write(folder.join("v.vec"), "Turin 1.5 -2\nNora 0.25 4\n").unwrap();
    let settings = [vectors.to_owned(), "training.max_epochs=1".to_owned()];
    let config = RunConfig::parse(CONFIG, &folder.join("config.toml"), &settings).unwrap();
    let out = folder.join("given");
    let options = RunOptions { out, seed: config.seed(), resume: true, ..RunOptions::default() };
    let run = TrainingRun { config: &config, options, observers: &mut [], command: String::new() };
    assert!(format!("{:?}", train_model(run).unwrap_err()).contains("--force"));
}

/// A copy of the model's folder with one file changed.
fn broken(name: &str, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> PathBuf {
    let (folder, trained) = world();
    let copy = folder.join(format!("broken-{name}"));
    std::fs::create_dir_all(&copy).unwrap();
    for entry in Bundle::folder(&trained.folder).files().unwrap() {
        let bytes = std::fs::read(trained.folder.join(&entry)).unwrap();
        let bytes = if entry == file { change(bytes) } else { bytes };
        std::fs::write(copy.join(entry), bytes).unwrap();
    }
    copy
}

#[test]
fn a_damaged_model_is_refused_by_name() {
    let text = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(from, to).into_bytes()
    };
    let nan = |mut bytes: Vec<u8>| {
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    };
    let cases = [
        (broken("size", "config.json", text("\"hidden_dim\": 12", "\"hidden_dim\": 13")), "shape"),
        (broken("version", "config.json", text("\"format\": 1", "\"format\": 99")), "version 99"),
        (broken("kind", "config.json", text("\"tagger\"", "\"translator\"")), "not a tagger"),
        (broken("crf", "config.json", text("\"crf\": true", "\"crf\": false")), "not part of"),
        (broken("json", "config.json", text("{", "[")), "config.json"),
        (broken("labels", "config.json", text("\"O\"", "\"B-PER\"")), "stands twice"),
        (
            broken("huge", "config.json", text("\"layers\": 1", "\"layers\": 4611686018427387904")),
            "tagger.layers",
        ),
        (broken("unknown", "dictionary-0.json", text("<unk>", "unk")), "<unk>"),
        (broken("dictionary", "dictionary-1.json", text("nora", "nova")), ""),
        (broken("short", "dictionary-1.json", text(",\"nora\"", "")), "shape"),
        (broken("cut", "model.safetensors", |b| b[..b.len() - 1].to_vec()), "model.safetensors"),
        (broken("nan", "model.safetensors", nan), "not finite"),
    ];
    for (folder, message) in cases {
        match load(&folder) {
            Ok(_) => assert_eq!(message, "", "{} was loaded", folder.display()),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("broken-"), "the model is not named: {error}");
                assert!(error.contains(message) && !message.is_empty(), "{error}");
            }
        }
    }
    let (folder, _) = world();
    assert!(load(&folder.join("absent")).unwrap_err().to_string().contains("no model"));
}

#[test]
fn a_model_that_is_cut_anywhere_is_refused() {
    let (_, trained) = world();
    let bundle = Bundle::folder(&trained.folder);
    let archive = bundle.to_bytes().unwrap();
    Tagger::from_bytes(&archive).unwrap();
    for len in 0..archive.len() {
        // Behind the last file an archive has nothing but zeros.
        if archive[len..].iter().any(|byte| *byte != 0) {
            assert!(Tagger::from_bytes(&archive[..len]).is_err(), "{len} of {}", archive.len());
        }
    }
}

#[test]
fn swapped_tensors_are_refused() {
    let swapped = broken("swapped", "model.safetensors", |bytes| {
        let text = |from: &str, to: &str, bytes: Vec<u8>| -> Vec<u8> {
            let at = bytes.windows(from.len()).position(|part| part == from.as_bytes());
            let at = at.unwrap_or_else(|| panic!("no tensor {from}"));
            [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
        };
        let bytes = text("rnn.weight_hh_l0\"", "rnn.weight_xx_l0\"", bytes);
        let bytes = text("rnn.weight_ih_l0\"", "rnn.weight_hh_l0\"", bytes);
        text("rnn.weight_xx_l0\"", "rnn.weight_ih_l0\"", bytes)
    });
    let error = load(&swapped).unwrap_err().to_string();
    assert!(error.contains("broken-swapped") && error.contains("shape"), "{error}");
}

#[test]
fn every_cell_learns_the_small_world() {
    let (folder, _) = world();
    for cell in ["elman", "elman-relu", "lstm", "peephole-lstm", "gru", "cho-gru", "mgu"] {
        let cell = format!("tagger.cell={cell}");
        let trained = train(folder, &cell, &[&cell, "training.max_grad_value=0.5"]);
        assert!(report(&trained.dev).micro.f1 > 90.0, "{cell}: {}", trained.dev);
        let document = load(&trained.folder).unwrap().tag("Ada Feld left Old Lund.").unwrap();
        assert_eq!(document.spans().count(), 2, "{cell}");
    }
}

#[test]
fn stacks_of_layers_learn_the_small_world_and_are_saved_whole() {
    let (folder, _) = world();
    for connection in ["none", "residual", "highway"] {
        let connection = format!("tagger.connection={connection}");
        let settings = [
            connection.as_str(),
            "tagger.layers=2",
            "tagger.cell=gru",
            "tagger.layer_norm=true",
            "tagger.learned_state=true",
            "tagger.orthogonal=true",
            "tagger.forget_bias=1.0",
            "training.max_epochs=30",
        ];
        let trained = train(folder, &connection, &settings);
        assert!(report(&trained.dev).micro.f1 > 80.0, "{connection}: {}", trained.dev);
        let document = load(&trained.folder).unwrap().tag("Ada Feld left Old Lund.").unwrap();
        assert!(document.spans().count() >= 2, "{connection}");
    }
}
