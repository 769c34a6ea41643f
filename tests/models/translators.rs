//! Translators from end to end.

mod resume;
mod search;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use glossator::{
    TranslateOptions, TranslationScore,
    prelude::*,
    training::{Observer, RunOptions, Scores, Trained},
};

use crate::language_models::run;

/// Turns digits round: short enough to be learnt in a moment, and only by looking
/// at every place.
pub(crate) const CONFIG: &str = r#"
task = "translator"
seed = 2
[data]
train_source = "train.digits"
train_target = "train.reversed"
dev_source = "dev.digits"
dev_target = "dev.reversed"
[subwords]
type = "characters"
[translator]
embedding_dim = 32
hidden_dim = 64
attention = "additive"
dropout = 0.0
output_dropout = 0.0
word_dropout = 0.0
label_smoothing = 0.0
[training]
learning_rate = 0.003
beta2 = 0.98
batch_size = 200
max_epochs = 14
ema_decay = 0.0
patience = 0
"#;

/// Runs of 1 to `longest` digits, each with its reversal; another seed gives
/// others.
pub(crate) fn digits(seed: u64, lines: usize, longest: u64) -> (String, String) {
    let mut state = seed;
    let mut below = |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut there, mut back) = (String::new(), String::new());
    for _ in 0..lines {
        let line: String = (0..below(longest) + 1).map(|_| below(10).to_string()).collect();
        back += &(line.chars().rev().collect::<String>() + "\n");
        there += &(line + "\n");
    }
    (there, back)
}

/// A folder with corpora.
pub(crate) fn folder(lines: usize, longest: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed, lines) in [("train", 1, lines), ("dev", 2, 300)] {
        let (there, back) = digits(seed, lines, longest);
        std::fs::write(folder.path().join(format!("{name}.digits")), there).unwrap();
        std::fs::write(folder.path().join(format!("{name}.reversed")), back).unwrap();
    }
    folder
}

fn complete(folder: &Path, name: &str, settings: &[&str]) -> Trained {
    let trained = run((folder, CONFIG, name), settings, RunOptions::default(), &mut []);
    trained.unwrap().expect("nothing interrupts it")
}

fn score(trained: &Trained) -> TranslationScore {
    match &trained.dev {
        Scores::Translation(score) => score.clone(),
        other => panic!("not a translator's: {other}"),
    }
}

fn load(folder: &Path) -> Translator {
    Translator::load(&folder.display().to_string()).unwrap()
}

/// A translator that turns digits round, trained once.
fn reverser() -> &'static Translator {
    static REVERSER: OnceLock<(tempfile::TempDir, Translator)> = OnceLock::new();
    let (_, translator) = REVERSER.get_or_init(|| {
        let folder = folder(6000, 8);
        complete(folder.path(), "model", &[]);
        let translator = load(&folder.path().join("model"));
        (folder, translator)
    });
    translator
}

/// Part of the lines that are turned round without a fault.
fn accuracy(translator: &Translator, options: &TranslateOptions) -> f64 {
    let (there, back) = digits(3, 1000, 8);
    let lines: Vec<&str> = there.lines().collect();
    let made = translator.translate_lines(&lines, options).unwrap();
    let right = made.iter().zip(back.lines()).filter(|(made, want)| made.text == *want).count();
    right as f64 / lines.len() as f64
}

#[test]
fn digits_are_turned_round() {
    for beam in [1, 5] {
        let options = TranslateOptions { beam, ..TranslateOptions::default() };
        let accuracy = accuracy(reverser(), &options);
        assert!(accuracy >= 0.999, "beam {beam}: {accuracy}");
    }
    assert_eq!(reverser().translate("12345").unwrap(), "54321");
}

#[test]
fn a_cancelled_translation_says_so() {
    let options = TranslateOptions::default();
    options.cancel.cancel();
    let ended = reverser().translate_lines(&["12345"], &options);
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
}

#[test]
fn every_arrangement_learns() {
    let folder = folder(1500, 2);
    let arrangements: [&[&str]; 8] = [
        &["translator.attention=scaled", "translator.cell=lstm"],
        &["translator.attention=dot", "translator.encoder_dim=32", "translator.tied=none"],
        &["translator.attention=general", "translator.upper_layers=0"],
        &["translator.input_feeding=true", "translator.cell=lstm", "translator.decoder_layers=2"],
        &["translator.bridge=mean", "translator.tied=output", "translator.upper_layers=2"],
        &["translator.bridge=zero", "translator.encoder_layers=2", "translator.layer_norm=true"],
        &["translator.input_feeding=true", "translator.dropout=0.1", "translator.bridge=mean"],
        &[
            "training.precision=bf16",
            "training.max_epochs=20",
            "translator.output_dropout=0.1",
            "translator.word_dropout=0.02",
        ],
    ];
    for (number, settings) in arrangements.into_iter().enumerate() {
        let name = format!("model{number}");
        let trained =
            complete(folder.path(), &name, &[settings, &["training.batch_size=40"]].concat());
        let perplexity = score(&trained).perplexity();
        // Of random digits, were they not looked at, it would be 3.3.
        assert!(perplexity < 2.5, "{settings:?}: {perplexity}");
        // What was trained is what is loaded.
        let translator = load(&folder.path().join(&name));
        let text = std::fs::read_to_string(folder.path().join("dev.digits")).unwrap();
        let gold = std::fs::read_to_string(folder.path().join("dev.reversed")).unwrap();
        let (lines, gold): (Vec<&str>, Vec<&str>) =
            (text.lines().collect(), gold.lines().collect());
        let mut found = score(&trained);
        let quality = found.quality.take().expect("the development data are translated");
        assert!(quality.bleu >= 0.0 && quality.signature.contains("tok:13a"), "{quality:?}");
        assert_eq!(translator.score_pairs(&lines, &gold).unwrap(), found);
    }
}

#[test]
fn text_around_sentences_stays() {
    let translator = reverser();
    for text in ["", " ", "\n\n", " \u{a0}\t"] {
        assert_eq!(translator.translate(text).unwrap(), text);
    }
    let made = translator.translate("  123\n\n456 \n").unwrap();
    assert_eq!(made, "  321\n\n654 \n");
    let lines = ["", "123", " ", "77 ", "🙂 שלום", "9".repeat(3000).as_str()].map(str::to_owned);
    let made = translator.translate_lines(&lines, &TranslateOptions::default()).unwrap();
    assert_eq!(made.len(), lines.len());
    assert_eq!((made[0].text.as_str(), made[2].text.as_str()), ("", " "));
    assert_eq!((made[1].text.as_str(), made[3].text.as_str()), ("321", "77 "));
    assert!(made[5].cuts > 0 && made[..5].iter().all(|made| made.cuts == 0));
}

#[test]
fn training_goes_on_from_a_model() {
    let folder = folder(300, 3);
    let first = complete(folder.path(), "first", &["training.max_epochs=4"]);
    let second = ["training.max_epochs=2", "init_from=./first", "translator.hidden_dim=7"];
    let second = complete(folder.path(), "second", &second);
    assert!(score(&second).nats < score(&first).nats, "{second:?}");
    let config = std::fs::read_to_string(folder.path().join("second/config.toml")).unwrap();
    assert!(config.contains("hidden_dim = 64"), "{config}");
}

#[test]
fn corpora_that_do_not_fit_are_refused() {
    let folder = folder(10, 3);
    let fails = |settings: &[&str]| {
        run((folder.path(), CONFIG, "model"), settings, RunOptions::default(), &mut []).unwrap_err()
    };
    let error = fails(&["data.train_target=dev.reversed"]);
    assert!(matches!(&error, Error::Data { line: Some(11), .. }), "{error:?}");
    let error = fails(&["data.dev_target=none.txt"]);
    assert!(matches!(&error, Error::ConfigFile { key, .. } if key == "data.dev_target"));
    let error = fails(&["translator.max_length=0"]);
    assert!(matches!(&error, Error::Config { .. }), "{error:?}");
    let error = fails(&["subwords.dropout=0.1"]);
    assert!(error.to_string().contains("subwords.dropout needs"), "{error}");
    let error = fails(&["translator.hiden_dim=3"]);
    assert!(error.to_string().contains("did you mean `hidden_dim`?"), "{error}");
    assert!(!folder.path().join("model").exists());
}

/// Observers and flags of a run, for tests that stop one.
type Observers = Vec<Box<dyn Observer>>;
/// A flag that stops a run.
type Stop = Arc<std::sync::atomic::AtomicBool>;
