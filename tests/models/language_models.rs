//! Language models, and taggers that read with them, from end to end.

mod pooled;
mod resume;
mod taggers;
mod tuning;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use glossator::{
    LanguageModel, TextScore,
    prelude::*,
    training::{Observer, RunConfig, RunOptions, Scores, Trained, TrainingRun, train},
};

/// Trains on `text.txt`, which is learnt in a moment.
const CONFIG: &str = r#"
task = "language-model"
[data]
train = "text.txt"
dev = "dev.txt"
[language_model]
hidden_dim = 16
embedding_dim = 8
sequence_length = 12
min_count = 1
dropout = 0.0
case_flips = 0.0
unknown = 0.0
[training]
learning_rate = 0.03
batch_size = 4
max_epochs = 2
"#;

/// Lines of a small grammar; another seed gives other lines.
fn text(seed: usize, lines: usize) -> String {
    let nouns = ["cat", "dog", "Hen", "fox", "Löwe", "pig"];
    let verbs = ["sees", "likes", "hears", "meets"];
    let mut state = seed;
    let mut below = |n: usize| {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        (state >> 12) % n
    };
    let line = |_| {
        let (subject, verb, object) = (below(6), below(4), below(6));
        format!("the {} {} the {}.\n", nouns[subject], verbs[verb], nouns[object])
    };
    (0..lines).map(line).collect()
}

/// Trains what a configuration says, into a folder of that name.
pub(crate) fn run(
    (folder, config, name): (&Path, &str, &str),
    settings: &[&str],
    options: RunOptions,
    observers: &mut [Box<dyn Observer>],
) -> Result<Option<Trained>, Error> {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    let config = RunConfig::parse(config, &folder.join("config.toml"), &settings)?;
    let options = RunOptions { out: folder.join(name), seed: config.seed(), ..options };
    train(TrainingRun { config: &config, options, observers, command: String::new() })
}

/// The same to its end.
fn complete(folder: &Path, config: &str, name: &str, settings: &[&str]) -> Trained {
    let trained = run((folder, config, name), settings, RunOptions::default(), &mut []);
    trained.unwrap().expect("nothing interrupts it")
}

fn score(scores: &Scores) -> TextScore {
    match scores {
        Scores::Text(score) => *score,
        _ => panic!("not a language model's: {scores}"),
    }
}

fn load(folder: &Path) -> Result<Arc<LanguageModel>, Error> {
    LanguageModel::load(&folder.display().to_string())
}

fn read(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A folder with text.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.txt"), text(1, 300)).unwrap();
    std::fs::write(folder.path().join("dev.txt"), text(2, 40)).unwrap();
    folder
}

/// A folder with text, and the language models `forward` and `backward` that
/// are trained on it, made once.
fn world() -> (&'static Path, &'static [Trained; 2]) {
    static WORLD: OnceLock<(tempfile::TempDir, [Trained; 2])> = OnceLock::new();
    let (folder, trained) = WORLD.get_or_init(|| {
        let folder = folder();
        let trained = ["forward", "backward"].map(|way| {
            let direction = format!("language_model.direction={way}");
            complete(folder.path(), CONFIG, way, &[&direction])
        });
        (folder, trained)
    });
    (folder.path(), trained)
}

#[test]
fn a_language_model_learns_and_its_score_is_kept() {
    let (folder, trained) = world();
    let short = ["training.max_steps=1", "training.learning_rate=1e-9"];
    let untrained = complete(folder, CONFIG, "untrained", &short);
    let held_out = text(3, 60);
    let untrained = load(&untrained.folder).unwrap().score(&held_out).unwrap();
    assert!(untrained.bits_per_character() > 4.0, "{untrained}");
    for trained in trained {
        let model = load(&trained.folder).unwrap();
        let learnt = model.score(&held_out).unwrap();
        assert!(learnt.bits_per_character() < 1.5, "{learnt}");
        assert_eq!((learnt.characters, learnt.unknown), (held_out.chars().count(), 0));

        let dev = std::fs::read_to_string(folder.join("dev.txt")).unwrap();
        assert_eq!(model.score(&dev).unwrap(), score(&trained.dev));
        let kept = *model.development().unwrap();
        assert_eq!(kept.characters, dev.chars().count());
        assert!((kept.nats - score(&trained.dev).nats).abs() < 1e-3, "{kept}");
        let config = read(&trained.folder, "config.json");
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["development"]["nats"].as_f64(), Some(kept.nats));
    }
}

#[test]
fn a_part_of_the_text_is_held_out_where_no_development_text_is_given() {
    let folder = folder();
    let config = CONFIG.replace("dev = \"dev.txt\"\n", "test = \"dev.txt\"\n");
    let settings = ["training.max_epochs=1", "data.dev_chars=300"];
    let trained = complete(folder.path(), &config, "model", &settings);
    let dev = score(&trained.dev).characters;
    assert!((20..=300).contains(&dev), "{dev}");
    assert_eq!(score(&trained.test.unwrap()).characters, text(2, 40).chars().count());
}

#[test]
fn training_does_not_depend_on_the_number_of_threads() {
    let folder = folder();
    let large = ["hidden_dim=32", "embedding_dim=24", "sequence_length=40", "dropout=0.1"]
        .map(|setting| format!("language_model.{setting}"));
    let mut settings: Vec<&str> = large.iter().map(String::as_str).collect();
    settings.extend(["training.batch_size=16", "training.max_steps=6"]);
    let model = |threads: usize| {
        let name = format!("threads-{threads}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let trained = pool.install(|| complete(folder.path(), CONFIG, &name, &settings));
        ["model.safetensors", "config.json"].map(|file| read(&trained.folder, file))
    };
    let one = model(1);
    assert!(model(2) == one, "2 threads");
    assert!(model(3) == one, "3 threads");
}

#[test]
fn a_language_model_is_in_memory_once_and_only_while_it_is_used() {
    let folder = folder();
    let trained = complete(folder.path(), CONFIG, "a", &["training.max_steps=2", "seed=77"]);
    let (a, b) = (trained.folder, folder.path().join("b"));
    std::fs::create_dir(&b).unwrap();
    for file in ["config.json", "dictionary.json", "model.safetensors"] {
        std::fs::copy(a.join(file), b.join(file)).unwrap();
    }
    let first = load(&a).unwrap();
    let second = load(&b).unwrap();
    assert!(Arc::ptr_eq(&first, &second), "the same content is the same model");
    assert_eq!((first.name(), second.name()), (first.name(), &*a.display().to_string()));
    let other = load(&world().1[0].folder).unwrap();
    assert!(!Arc::ptr_eq(&first, &other) && first.key() != other.key());

    let weak = Arc::downgrade(&first);
    drop(first);
    assert!(weak.upgrade().is_some(), "the other one uses it");
    drop(second);
    assert!(weak.upgrade().is_none(), "nobody uses it");
    let again = load(&b).unwrap();
    assert_eq!(again.name(), b.display().to_string(), "it is loaded anew");
}

#[test]
fn test_text_that_cannot_be_read_is_refused_before_training() {
    let folder = folder();
    std::fs::write(folder.path().join("test.txt"), b"fine\nnot \xFF fine\n").unwrap();
    let place = (folder.path(), CONFIG, "none");
    let error = run(place, &["data.test=test.txt"], RunOptions::default(), &mut []).unwrap_err();
    assert!(error.to_string().contains("test.txt:2"), "{error}");
    assert!(!folder.path().join("none").exists());
}

#[test]
fn a_given_dictionary_holds_single_characters() {
    let folder = folder();
    let dictionary = folder.path().join("dictionary.json");
    for (items, reason) in [
        (r#"["<unk>", "\n", "the"]"#, "`the` is more than one character"),
        (r#"["\n", "a"]"#, "must begin with"),
        (r#"["<unk>", "a"]"#, "the line break"),
    ] {
        std::fs::write(&dictionary, items).unwrap();
        let place = (folder.path(), CONFIG, "none");
        let settings = ["data.dictionary=dictionary.json"];
        let error = run(place, &settings, RunOptions::default(), &mut []).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    std::fs::write(&dictionary, r#"["<unk>", "\n", " ", "e", "t"]"#).unwrap();
    let settings = ["data.dictionary=dictionary.json", "training.max_steps=1"];
    let trained = complete(folder.path(), CONFIG, "small", &settings);
    let model = load(&trained.folder).unwrap();
    assert!(model.dictionary().len() == 5 && model.knows('e') && !model.knows('a'));
}

#[test]
fn every_cell_and_stack_learns_to_predict_and_resumes_from_any_character() {
    let folder = folder();
    let cells = ["elman", "elman-relu", "peephole-lstm", "gru", "cho-gru", "mgu"];
    let stack = [
        "language_model.layers=2",
        "language_model.connection=highway",
        "language_model.layer_norm=true",
        "language_model.learned_state=true",
    ];
    for (cell, stack) in cells.iter().flat_map(|cell| [(cell, &[][..]), (cell, &stack[..])]) {
        let name = format!("{cell}-{}", stack.len());
        let setting = format!("language_model.cell={cell}");
        let settings = [&[setting.as_str()], stack].concat();
        let trained = complete(folder.path(), CONFIG, &name, &settings);
        let model = load(&trained.folder).unwrap();
        let learnt = model.score(&text(3, 60)).unwrap();
        assert!(learnt.bits_per_character() < 2.0, "{name}: {learnt}");
        // What training scored, inference scores.
        let dev = std::fs::read_to_string(folder.path().join("dev.txt")).unwrap();
        assert_eq!(model.score(&dev).unwrap(), score(&trained.dev), "{name}");
    }
}
