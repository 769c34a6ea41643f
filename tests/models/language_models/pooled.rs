//! Pooled embeddings: what a tagger remembers of words.

use std::collections::BTreeMap;

use glossator::{Embedder, TagOptions};

use super::{
    taggers::{corpus, tagger},
    *,
};

const TAGGER: &str = r#"
task = "tagger"
[data]
train = "train.tsv"
dev = "dev.tsv"
columns = ["token", "pos", "ner"]
layer = "ner"
[tagger]
hidden_dim = 6
embeddings = [{ type = "pooled", model = "./forward" }]
[training]
max_epochs = 1
"#;

fn with_corpus() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    // `Zebra` and `zoo` stand once, and `yak` in the development data only.
    let train = corpus() + "Zebra\tNOUN\tO\nzoo\tNOUN\tO\n\n";
    std::fs::write(folder.path().join("train.tsv"), train).unwrap();
    std::fs::write(folder.path().join("dev.tsv"), corpus() + "yak\tNOUN\tO\nyak\tX\tO\n").unwrap();
    folder
}

/// The words of a file.
fn sentences(folder: &Path, file: &str) -> Vec<Sentence> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let words = |block: &str| -> Vec<String> {
        block.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    text.split("\n\n").filter(|b| !b.is_empty()).map(|b| Sentence::from_tokens(&words(b))).collect()
}

fn embed(model: &Path, sentences: &[Sentence]) -> (usize, Vec<f32>) {
    let embedder = Embedder::load(&model.display().to_string()).unwrap();
    (embedder.dim(), embedder.embed(sentences, 50).unwrap())
}

/// The own vectors of each word.
fn of_words(
    sentences: &[Sentence],
    vectors: &[f32],
    dim: usize,
) -> BTreeMap<String, Vec<Vec<f32>>> {
    let mut of_words: BTreeMap<String, Vec<Vec<f32>>> = BTreeMap::new();
    let words = sentences.iter().flat_map(Sentence::tokens);
    for (word, vector) in words.zip(vectors.chunks_exact(dim)) {
        of_words.entry(word.to_owned()).or_default().push(vector.to_vec());
    }
    of_words
}

/// Pools the vectors of a word, dimension by dimension.
fn pool(vectors: &[Vec<f32>], pooling: &str) -> Vec<f32> {
    let pool = |values: Vec<f32>| match pooling {
        "min" => values.into_iter().min_by(f32::total_cmp).unwrap(),
        "max" => values.into_iter().max_by(f32::total_cmp).unwrap(),
        _ => (values.iter().copied().map(f64::from).sum::<f64>() / values.len() as f64) as f32,
    };
    (0..vectors[0].len()).map(|i| pool(vectors.iter().map(|v| v[i]).collect())).collect()
}

#[track_caller]
fn close(found: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(want) {
        assert!((found - want).abs() <= tolerance, "{found} is not {want}");
    }
}

#[test]
fn a_memory_is_of_all_places_of_a_word_in_the_training_data() {
    let folder = with_corpus();
    let folder = folder.path();
    let forward = &world().1[0].folder;
    let (train, dev) = (sentences(folder, "train.tsv"), sentences(folder, "dev.tsv"));
    let (dim, own) = embed(forward, &train);
    let seen = of_words(&train, &own, dim);
    let (_, own) = embed(forward, &dev);
    assert!(seen["the"].len() > 20 && seen["the"][0] != seen["the"][1]);
    for pooling in ["min", "max", "mean"] {
        let embeddings = format!(
            "tagger.embeddings=[{{type=\"pooled\", model={:?}, pooling=\"{pooling}\"}}]",
            forward.display().to_string()
        );
        let trained = complete(folder, TAGGER, pooling, &[&embeddings]);
        let (width, vectors) = embed(&trained.folder, &dev);
        assert_eq!(width, 2 * dim);
        let words = dev.iter().flat_map(Sentence::tokens);
        let tolerance = if pooling == "mean" { 1e-6 } else { 0.0 };
        for ((word, vector), own) in words.zip(vectors.chunks(width)).zip(own.chunks(dim)) {
            close(&vector[..dim], own, 0.0);
            match seen.get(word) {
                Some(seen) => close(&vector[dim..], &pool(seen, pooling), tolerance),
                None => close(&vector[dim..], own, 0.0),
            }
        }
        // A word that stands once has no memory: its vector here, twice.
        let rare = [Sentence::from_tokens(&["the", "Zebra", "zoo", "yak"])];
        let (_, vectors) = embed(&trained.folder, &rare);
        for vector in vectors.chunks(width).skip(1) {
            close(&vector[dim..], &vector[..dim], 0.0);
        }
        assert_ne!(vectors[..dim], vectors[dim..width], "`the` has one");
    }
}

#[test]
fn words_without_a_capital_or_too_rare_have_no_memory_if_so_configured() {
    let folder = with_corpus();
    let folder = folder.path();
    let forward = &world().1[0].folder;
    let settings = format!(
        "tagger.embeddings=[{{type=\"pooled\", model={:?}, only_capitalized=true, min_count=1}}]",
        forward.display().to_string()
    );
    let trained = complete(folder, TAGGER, "capitals", &[&settings]);
    let words = ["the", "zoo", "Zebra", "Hen", "Yak"];
    let (width, vectors) = embed(&trained.folder, &[Sentence::from_tokens(&words)]);
    let has: Vec<bool> = vectors.chunks(width).map(|v| v[..width / 2] != v[width / 2..]).collect();
    assert_eq!(has, [false, false, true, true, false]);
}

#[test]
fn a_saved_memory_gives_the_same_labels() {
    let folder = with_corpus();
    let folder = folder.path();
    let model = format!("tagger.embeddings.0.model={}", world().1[1].folder.display());
    let quick =
        ["training.optimizer=adamw", "training.learning_rate=0.02", "training.max_epochs=3"];
    let trained = complete(folder, TAGGER, "model", &[&[&*model], &quick[..]].concat());
    let labels = |tagger: &Tagger, order: &dyn Fn(&mut Vec<Sentence>)| {
        let mut sentences = sentences(folder, "dev.tsv");
        order(&mut sentences);
        let options = TagOptions { max_tokens: 20, ..TagOptions::default() };
        Tagger::tag_with(&[tagger], &mut sentences, &options).unwrap();
        order(&mut sentences);
        sentences.iter().map(|s| format!("{:?}", s.layers())).collect::<Vec<_>>()
    };
    let first = tagger(&trained.folder).unwrap();
    let want = labels(&first, &|_| {});
    assert!(labels(&tagger(&trained.folder).unwrap(), &|_| {}) == want, "loaded again");
    assert!(labels(&first, &|sentences| sentences.reverse()) == want, "in another order");
    assert!(want.iter().any(|labels| labels.contains("label: ")), "{}", want[0]);
    let from = format!("init_from={}", trained.folder.display());
    let again = complete(folder, TAGGER, "again", &[&from, "training.learning_rate=0.001"]);
    let memory = |folder: &Path| {
        let tensors = glossator::models::Bundle::folder(folder).tensors("model.safetensors");
        let memory = tensors.unwrap().into_iter().find(|t| t.name().contains("memory"));
        memory.unwrap().read().unwrap()
    };
    assert_eq!(memory(&again.folder), memory(&trained.folder), "trained on from, it stays");
}
