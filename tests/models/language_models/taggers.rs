//! Taggers that read with language models.

use std::path::PathBuf;

use glossator::{
    Position, TagOptions, errors::TrainingError, models::Bundle, segment, training::Event,
};

use super::*;

/// Reads with both language models, and with characters of its own.
const TAGGER: &str = r#"
task = "tagger"
[data]
train = "train.tsv"
dev = "train.tsv"
columns = ["token", "pos", "ner"]
layer = "ner"
[tagger]
hidden_dim = 8
[[tagger.embeddings]]
type = "contextual"
model = "./forward"
[[tagger.embeddings]]
type = "characters"
embedding_dim = 4
hidden_dim = 4
[[tagger.embeddings]]
type = "contextual"
model = "./backward"
spacing = "original"
[training]
optimizer = "adamw"
schedule = "constant"
learning_rate = 0.01
batch_size = 4
max_epochs = 2
"#;

/// Settings of a tagger of word labels, which shares `forward` as it is and
/// has `backward` with other spaces and pooled.
const POS: [&str; 2] = [
    "data.layer=pos",
    r#"tagger.embeddings=[{type="contextual", model="./forward"}, {type="contextual", model="./backward"}, {type="pooled", model="./backward", spacing="original"}]"#,
];

/// Sentences with two columns of labels.
pub(super) fn corpus() -> String {
    let sentence = |line: &str| {
        let rows = line.trim_end_matches('.').split(' ').enumerate().map(|(i, word)| {
            let (pos, ner) = match i {
                0 | 3 => ("DET", if i == 0 { "O" } else { "B-OBJ" }),
                2 => ("VERB", "O"),
                1 => ("NOUN", "B-SUB"),
                _ => ("NOUN", "I-OBJ"),
            };
            format!("{word}\t{pos}\t{ner}\n")
        });
        rows.collect::<String>() + ".\tPUNCT\tO\n\n"
    };
    text(4, 24).lines().map(sentence).collect()
}

/// A folder with the corpus, both language models, and the taggers `ner` and
/// `pos` trained on them, made once.
fn taggers() -> (&'static Path, &'static [Tagger; 2]) {
    static WORLD: OnceLock<(tempfile::TempDir, [Tagger; 2])> = OnceLock::new();
    let (folder, taggers) = WORLD.get_or_init(|| {
        let folder = with_models();
        let taggers = [("ner", &[][..]), ("pos", &POS)].map(|(name, settings)| {
            tagger(&complete(folder.path(), TAGGER, name, settings).folder).unwrap()
        });
        (folder, taggers)
    });
    (folder.path(), taggers)
}

/// A folder with the corpus and copies of both language models.
fn with_models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.tsv"), corpus()).unwrap();
    for trained in world().1 {
        copy(&trained.folder, &folder.path().join(trained.folder.file_name().unwrap()));
    }
    folder
}

/// Copies a model with all that belongs to it.
fn copy(from: &Path, to: &Path) {
    for file in Bundle::folder(from).files().unwrap() {
        let path = to.join(&file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(from.join(file), path).unwrap();
    }
}

pub(super) fn tagger(folder: &Path) -> Result<Tagger, Error> {
    Tagger::load(&folder.display().to_string())
}

/// Sentences with odd spaces, unknown characters, and all kinds of lengths.
fn sentences() -> Vec<Sentence> {
    let text = "The Löwe sees  the dog.\n\nthe\u{a0}pig, the Hen\tand \u{1f600} met.  the cat likes \
                the fox. Hen! It's 5.30 o'clock (the dog hears).";
    let mut sentences = segment::document(text, Position::default());
    for i in 0..40 {
        let words = ["the", "cat", "sees", "Löwe", "", "ß☃", ".", "Hen"];
        let words: Vec<_> = (0..i % 12).map(|t| words[(i * 5 + t * 3) % words.len()]).collect();
        sentences.push(Sentence::from_tokens(&words));
    }
    sentences.push(Sentence::from_tokens(&vec!["pig"; 300]));
    sentences
}

/// All labels and scores; a number is written with all its digits.
fn labels(taggers: &[&Tagger], sentences: &[Sentence], max_tokens: usize) -> Vec<String> {
    let mut sentences = sentences.to_vec();
    let options = TagOptions { max_tokens, ..TagOptions::default() };
    Tagger::tag_with(taggers, &mut sentences, &options).unwrap();
    sentences.iter().map(|sentence| format!("{:?}", sentence.layers())).collect()
}

#[test]
fn labels_depend_on_neither_batches_nor_threads_nor_company() {
    let (_, [ner, pos]) = taggers();
    let sentences = sentences();
    for tagger in [ner, pos] {
        let one = |sentence| labels(&[tagger], std::slice::from_ref(sentence), 1000).remove(0);
        let alone: Vec<String> = sentences.iter().map(one).collect();
        assert!(alone.iter().any(|labels| labels.contains("label") || labels.contains("value")));
        for threads in 1..4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for max_tokens in [1, 7, 10_000] {
                let all = pool.install(|| labels(&[tagger], &sentences, max_tokens));
                assert!(all == alone, "{max_tokens} tokens a batch, {threads} threads");
            }
        }
        let backwards: Vec<Sentence> = sentences.iter().rev().cloned().collect();
        let mut found = labels(&[tagger], &backwards, 50);
        found.reverse();
        assert!(found == alone, "in another order");
    }
}

#[test]
fn taggers_together_say_what_each_says_alone() {
    let (_, [ner, pos]) = taggers();
    let mut alone = sentences();
    let options = TagOptions { max_tokens: 60, ..TagOptions::default() };
    Tagger::tag_with(&[ner], &mut alone, &options).unwrap();
    Tagger::tag_with(&[pos], &mut alone, &options).unwrap();
    let alone: Vec<String> = alone.iter().map(|s| format!("{:?}", s.layers())).collect();
    assert!(alone[0].contains("\"ner\"") && alone[0].contains("\"pos\""), "{}", alone[0]);
    for threads in 1..4 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for max_tokens in [1, 7, 10_000] {
            let together = pool.install(|| labels(&[ner, pos], &sentences(), max_tokens));
            assert!(together == alone, "{max_tokens} tokens a batch, {threads} threads");
        }
    }
}

#[test]
fn spaces_count_where_they_are_original() {
    let (_, [ner, _]) = taggers();
    let scores = |text: &str| {
        let mut sentences = segment::document(text, Position::default());
        assert_eq!(sentences.len(), 1);
        ner.tag_sentences(&mut sentences).unwrap();
        sentences[0].spans().map(|span| span.score().to_bits()).collect::<Vec<_>>()
    };
    assert!(!scores("the cat sees the dog").is_empty());
    assert_ne!(scores("the cat sees the dog"), scores("the cat  sees   the dog"));
}

#[test]
fn a_taggers_folder_is_all_it_needs() {
    let folder = with_models();
    let folder = folder.path();
    let settings = ["training.max_epochs=1"];
    let trained = complete(folder, TAGGER, "tagger", &settings);
    let want = labels(&[&tagger(&trained.folder).unwrap()], &sentences(), 100);
    let hashes =
        ["forward", "backward"].map(|way| Bundle::folder(folder.join(way)).content_hash().unwrap());
    let bundle = Bundle::folder(&trained.folder);
    let mut sorted = hashes.to_vec();
    sorted.sort();
    assert_eq!(bundle.language_models().unwrap(), sorted);
    let config = String::from_utf8(read(&trained.folder, "config.json")).unwrap();
    assert!(hashes.iter().all(|hash| config.contains(hash)));
    assert!(!config.contains("forward"), "no name of the trainer's machine: {config}");

    for way in ["forward", "backward"] {
        std::fs::remove_dir_all(folder.join(way)).unwrap();
    }
    let moved = folder.join("moved");
    std::fs::rename(&trained.folder, &moved).unwrap();
    assert!(labels(&[&tagger(&moved).unwrap()], &sentences(), 100) == want, "moved");
    let archive = Bundle::folder(&moved).to_bytes().unwrap();
    let from_bytes = Tagger::from_bytes(&archive).unwrap();
    assert!(labels(&[&from_bytes], &sentences(), 100) == want, "from bytes");

    for file in ["model.safetensors", "dictionary.json", "config.json"] {
        let damaged = folder.join(format!("damaged-{file}"));
        copy(&moved, &damaged);
        let path = damaged.join("lm").join(&hashes[1]).join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = tagger(&damaged).unwrap_err().to_string();
        assert!(error.contains("not those that the hash names"), "{file}: {error}");
        assert!(error.contains(&hashes[1]) && error.contains("damaged-"), "{error}");
        let archive = Bundle::folder(&damaged).to_bytes().unwrap();
        assert!(Tagger::from_bytes(&archive).is_err(), "{file}");
    }
    let absent: PathBuf = folder.join("absent");
    copy(&moved, &absent);
    std::fs::remove_dir_all(absent.join("lm").join(&hashes[0])).unwrap();
    assert!(tagger(&absent).unwrap_err().to_string().contains(&hashes[0]));
}

#[test]
fn of_several_errors_always_the_same_is_told() {
    let (folder, _) = taggers();
    let hash = Bundle::folder(folder.join("forward")).content_hash().unwrap();
    let root = tempfile::tempdir().unwrap();
    let damaged = root.path().join("damaged");
    copy(&folder.join("ner"), &damaged);
    let errors_name = |what: &str| {
        for threads in 1..4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..5 {
                let error = pool.install(|| tagger(&damaged)).unwrap_err().to_string();
                assert!(error.contains(what), "{what}: {error}");
            }
        }
    };
    std::fs::remove_dir_all(damaged.join("lm")).unwrap();
    errors_name(&hash);
    std::fs::remove_file(damaged.join("dictionary-1.json")).unwrap();
    errors_name("dictionary-1.json");
    std::fs::write(damaged.join("model.safetensors"), "weights").unwrap();
    errors_name("model.safetensors");
}

#[test]
fn taggers_share_their_language_model() {
    let folder = folder();
    let folder = folder.path();
    std::fs::write(folder.join("train.tsv"), corpus()).unwrap();
    complete(folder, CONFIG, "forward", &["training.max_steps=2", "seed=78"]);
    let only = r#"tagger.embeddings=[{type="contextual", model="./forward"}]"#;
    let settings = [only, "training.max_epochs=1"];
    let names = ["a", "b"];
    let trained = names.map(|name| complete(folder, TAGGER, name, &settings).folder);
    let model = load(&folder.join("forward")).unwrap();
    assert_eq!(Arc::strong_count(&model), 1, "training lets it go");
    let taggers = trained.map(|folder| tagger(&folder).unwrap());
    assert_eq!(Arc::strong_count(&model), 3, "two taggers and this test");
    drop(taggers);
    assert_eq!(Arc::strong_count(&model), 1);
}

#[test]
fn the_cache_changes_nothing() {
    let folder = with_models();
    let folder = folder.path();
    // Another model reads the same characters.
    let texts = ["text.txt", "dev.txt"].map(|file| format!("{}/{file}", world().0.display()));
    let data = [format!("data.train={}", texts[0]), format!("data.dev={}", texts[1])];
    complete(folder, CONFIG, "other", &[&data[0], &data[1], "training.max_steps=9", "seed=79"]);
    let other = "tagger.embeddings.1={type=\"contextual\", model=\"./other\"}";
    let model = |name: &str, settings: &[&str]| {
        let trained = complete(folder, TAGGER, name, &[&[other], settings].concat());
        assert!(trained.warnings.is_empty(), "{:?}", trained.warnings);
        ["model.safetensors", "config.json"].map(|file| read(&trained.folder, file))
    };
    let want = model("default", &[]);
    assert!(model("no-memory", &["cache.memory_mb=0"]) == want, "without memory");
    let on_disk = ["cache.folder=vectors"];
    assert!(model("first", &on_disk) == want, "a folder");
    let kept = read(folder, "vectors/vectors.bin");
    assert!(kept.len() > 24 * 6 * 3 * 16 * 4, "{} bytes", kept.len());
    assert!(model("second", &on_disk) == want, "the folder again");
    let no_memory = [on_disk[0], "cache.memory_mb=0"];
    assert!(model("third", &no_memory) == want, "the folder alone");
    assert!(read(folder, "vectors/vectors.bin") == kept, "all was found");
}

/// Removes a folder when the training begins.
struct Removes(PathBuf);

impl Observer for Removes {
    fn event(&mut self, event: &Event<'_>) -> Result<(), TrainingError> {
        if matches!(event, Event::Started { .. }) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
        Ok(())
    }
}

#[test]
fn a_language_model_that_goes_away_in_training_is_in_the_tagger() {
    let folder = with_models();
    let mut observers: [Box<dyn Observer>; 1] = [Box::new(Removes(folder.path().join("forward")))];
    let place = (folder.path(), TAGGER, "ner");
    let trained = run(place, &[], RunOptions::default(), &mut observers).unwrap();
    tagger(&trained.expect("nothing interrupts it").folder).unwrap();
}

#[test]
fn a_tagger_can_be_trained_on_in_its_own_folder() {
    let folder = with_models();
    complete(folder.path(), TAGGER, "ner", &[]);
    let again = complete(folder.path(), TAGGER, "ner", &["init_from=./ner"]);
    let again = tagger(&again.folder).unwrap();
    assert!(labels(&[&again], &sentences(), 100).iter().any(|line| line.contains("SUB")));
}
