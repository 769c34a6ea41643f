use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use glossator_pickle::Item;
use glossator_text::{Annotation, Position, Sentence};
use serde::Deserialize;

use super::*;
use crate::{
    ContextualConfig, Embedding, LanguageModel, Tagger, TokenBatch,
    embeddings::contextual::Contextual, tagger::Inside,
};

/// What another toolkit computes of its checkpoints (`scripts/fixtures/flair_models.py`,
/// `stanza_models.py`).
#[derive(Deserialize)]
struct Golden {
    sentences: Vec<String>,
    models: BTreeMap<String, Model>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Model {
    LanguageModel { vectors: Vec<Vec<Vec<f32>>>, perplexity: Option<Vec<f64>> },
    Tagger { layer: String, sentences: Vec<Tagged> },
}

#[derive(Deserialize)]
struct Tagged {
    tokens: Vec<String>,
    text: Option<String>,
    vectors: Vec<Vec<f32>>,
    emissions: Vec<Vec<f32>>,
    path_score: Option<f64>,
    log_z: Option<f64>,
    tags: Vec<String>,
    spans: Option<Vec<(usize, usize, String)>>,
}

fn fixtures_of(toolkit: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(toolkit)
}

fn fixtures() -> PathBuf {
    fixtures_of("flair")
}

fn golden_of(toolkit: &str) -> Golden {
    let json = std::fs::read(fixtures_of(toolkit).join("expected.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn golden() -> Golden {
    golden_of("flair")
}

fn converted_of(toolkit: &str, name: &str, folder: &Path) -> Conversion {
    let file = fixtures_of(toolkit).join(format!("{name}.pt"));
    convert(&file, folder, &ConvertOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn converted(name: &str, folder: &Path) -> Conversion {
    converted_of("flair", name, folder)
}

fn close(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let apart: Vec<f32> = got.iter().zip(want).map(|(a, b)| a - b).collect();
    let relative = norm(&apart) / norm(want).max(1e-3);
    assert!(relative < 1e-5, "{what}: {relative:e}\n{got:?}\n{want:?}");
}

impl Tagged {
    fn sentence(&self) -> Sentence {
        let Some(text) = &self.text else { return Sentence::from_tokens(&self.tokens) };
        let mut end = 0;
        let range = |token: &String| {
            let start = end + text[end..].find(token.as_str()).unwrap();
            end = start + token.len();
            start..end
        };
        let tokens = self.tokens.iter().map(range).collect();
        Sentence::new(text, tokens, Position::default()).unwrap()
    }

    fn check(&self, tagger: &Tagger, name: &str) {
        let mut sentence = self.sentence();
        let Inside { vectors, emissions, path, scores } = tagger.inside(&sentence).unwrap();
        close(&vectors, &self.vectors.concat(), &format!("{name}: vectors of {:?}", self.tokens));
        // Tags of borders come last, and are none here.
        let rows = self.emissions.iter().map(|row| &row[..tagger.labels().len()]);
        close(&emissions, &rows.collect::<Vec<_>>().concat(), &format!("{name}: emissions"));
        let tags: Vec<&str> = path.iter().map(|tag| tagger.labels()[*tag].as_str()).collect();
        assert_eq!(tags, self.tags, "{name}");
        if let (Some(path_score), Some(log_z)) = (self.path_score, self.log_z) {
            let (own, own_z) = scores.unwrap();
            assert!((own - path_score).abs() < 1e-4, "{name}: {own} {path_score}");
            assert!((own_z - log_z).abs() < 1e-4, "{name}: {own_z} {log_z}");
        }
        tagger.tag_sentences(std::slice::from_mut(&mut sentence)).unwrap();
        match (&sentence.layer(tagger.layer()).unwrap().annotation, &self.spans) {
            (Annotation::Spans(spans), Some(want)) => {
                let spans: Vec<_> = spans
                    .iter()
                    .map(|span| (span.tokens.start, span.tokens.end, span.label.to_string()))
                    .collect();
                assert_eq!(spans, *want, "{name}");
            }
            (Annotation::Tokens(labels), None) => {
                let labels: Vec<&str> = labels.iter().map(|label| &*label.value).collect();
                assert_eq!(labels, self.tags, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

impl Golden {
    /// Converts every checkpoint, and compares what it computes.
    fn check(&self, toolkit: &str) {
        let root = tempfile::tempdir().unwrap();
        for (name, model) in &self.models {
            let folder = root.path().join(name);
            let conversion = converted_of(toolkit, name, &folder);
            assert!(!conversion.found.is_empty());
            let path = folder.to_str().unwrap();
            match model {
                Model::Tagger { layer, sentences } => {
                    let tagger = Tagger::load(path).unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert_eq!(tagger.layer(), layer);
                    sentences.iter().for_each(|sentence| sentence.check(&tagger, name));
                }
                Model::LanguageModel { vectors, perplexity } => {
                    let model = LanguageModel::load(path).unwrap_or_else(|e| panic!("{name}: {e}"));
                    self.check_vectors(name, &model, vectors);
                    let texts = ["The cat sat.", "Zoë said: to be"];
                    for (text, want) in texts.iter().zip(perplexity.iter().flatten()) {
                        let got = model.perplexity_inside(text).unwrap();
                        assert!((got / want - 1.0).abs() < 1e-5, "{name}: {got} {want}");
                    }
                }
            }
        }
    }

    fn check_vectors(&self, name: &str, model: &Arc<LanguageModel>, vectors: &[Vec<Vec<f32>>]) {
        let embedding = Contextual::new(&ContextualConfig::default(), model.clone());
        for (text, want) in self.sentences.iter().zip(vectors) {
            let tokens: Vec<&str> = text.split(' ').collect();
            let sentence = Sentence::from_tokens(&tokens);
            let got = embedding.vectors(&TokenBatch::new([&sentence])).unwrap();
            assert_eq!(got.len(), want.len() * embedding.dim());
            close(&got, &want.concat(), &format!("{name}: {text}"));
        }
    }
}

#[test]
fn checkpoints_of_flair_compute_what_flair_computes() {
    let golden = golden();
    assert!(golden.models.len() >= 30);
    golden.check("flair");
}

#[test]
fn checkpoints_of_stanza_compute_what_stanza_computes() {
    let golden = golden_of("stanza");
    assert_eq!(golden.models.len(), 14);
    golden.check("stanza");
}

#[test]
fn a_tagger_of_stanza_asks_for_the_files_it_names() {
    let root = tempfile::tempdir().unwrap();
    let file = |name: &str| root.path().join(name);
    let copy = |name: &str, to: &str| {
        std::fs::create_dir_all(file(to).parent().unwrap()).unwrap();
        std::fs::copy(fixtures_of("stanza").join(name), file(to)).unwrap();
    };
    copy("ner.pt", "ner/ner.pt");
    let tried = |others: &[&str]| {
        let others = others.iter().map(|name| file(name)).collect();
        let options = ConvertOptions { others, ..ConvertOptions::default() };
        let made = tempfile::tempdir().unwrap();
        let converted = convert(&file("ner/ner.pt"), &made.path().join("out"), &options);
        converted.map_err(|error| error.to_string())
    };
    let error = tried(&[]).unwrap_err();
    assert!(error.contains("(`vectors.pt`); name it with `--with`"), "{error}");
    copy("vectors.pt", "pretrain/vectors.pt");
    let error = tried(&[]).unwrap_err();
    assert!(error.contains("(`forward.pt`); name it with `--with`"), "{error}");
    copy("forward.pt", "forward_charlm/forward.pt");
    copy("backward.pt", "backward_charlm/backward.pt");
    let conversion = tried(&[]).unwrap();
    assert_eq!(conversion.quirks, [Quirk::AnyTransition, Quirk::MendedTags]);
    assert!(conversion.left_out[0].contains("<PAD>, <UNK>, <EMPTY>, <ROOT>"));
    // Given ones take the place of all that are looked for.
    let [vectors, forward, backward] =
        ["pretrain/vectors.pt", "forward_charlm/forward.pt", "backward_charlm/backward.pt"];
    assert_eq!(tried(&[backward, vectors, forward]), Ok(conversion));
    assert!(tried(&[vectors, forward]).unwrap_err().contains("(`backward.pt`)"));
    let error = tried(&[vectors, forward, forward]).unwrap_err();
    assert!(error.contains("another language model reads in the same direction"), "{error}");
    assert!(tried(&["ner/ner.pt"]).unwrap_err().contains("neither a language model"));
    let alone = convert(&file(vectors), &file("out"), &ConvertOptions::default()).unwrap_err();
    assert!(alone.to_string().contains("converted with the tagger"), "{alone}");
}

#[test]
fn quirks_are_recorded_and_may_be_left_out() {
    let root = tempfile::tempdir().unwrap();
    let quirks = |name: &str| converted(name, &root.path().join(name)).quirks;
    let spans = [Quirk::AnyTransition, Quirk::MajoritySpans];
    assert_eq!(quirks("ner-stacked"), spans);
    assert!(quirks("pos-crf").is_empty() && quirks("lm-gru").is_empty());
    assert_eq!(quirks("characters")[2..], [Quirk::RepeatedWords, Quirk::LastCharacter]);
    assert_eq!(quirks("pooled-min")[2..], [Quirk::SentenceMemory]);
    assert_eq!(quirks("lower-case")[2..], [Quirk::CountedPlaces]);
    let folder = root.path().join("without");
    let options = ConvertOptions { without_quirks: true, ..ConvertOptions::default() };
    let file = fixtures().join("unknown-tag.pt");
    assert!(convert(&file, &folder, &options).unwrap().quirks.is_empty());
    let tagger = Tagger::load(folder.to_str().unwrap()).unwrap();
    assert!(!tagger.labels().iter().any(|label| label == "<unk>"));
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    assert!(!config.contains("quirks"), "{config}");
}

#[test]
fn a_converted_model_is_not_written_over_anything() {
    let root = tempfile::tempdir().unwrap();
    let file = fixtures().join("lm-forward.pt");
    let error = convert(&file, root.path(), &ConvertOptions::default()).unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(root.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_checkpoint_cut_anywhere_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for name in ["lm-forward", "lm-0.4-stream"] {
        let bytes = std::fs::read(fixtures().join(format!("{name}.pt"))).unwrap();
        let file = root.path().join("cut.pt");
        for len in (0..bytes.len()).step_by(97) {
            std::fs::write(&file, &bytes[..len]).unwrap();
            let folder = root.path().join("model");
            assert!(convert(&file, &folder, &ConvertOptions::default()).is_err(), "{name} {len}");
            assert!(!folder.exists());
        }
    }
}

/// What comes of a tagger with such embeddings, the words of which have a table of that shape.
fn conversion_of(embeddings: Item, shape: Vec<usize>) -> Result<Conversion> {
    let root = tempfile::tempdir().unwrap();
    let (file, len) = (root.path().join("x.pt"), shape.iter().product());
    let table = ("embeddings.embedding.weight".into(), Item::Tensor { number: 0, shape });
    let tags = Item::dict([("idx2item", Item::List(vec!["O".into(), "S-A".into()]))]);
    let item = Item::dict([
        ("state_dict", Item::OrderedDict(vec![table])),
        ("tag_dictionary", tags),
        ("embeddings", embeddings),
    ]);
    let out = std::fs::File::create(&file).unwrap();
    glossator_pickle::write_checkpoint::<glossator_pickle::Error>(out, &item, |_| {
        Ok(vec![0.0; len])
    })
    .unwrap();
    convert(&file, &root.path().join("out"), &ConvertOptions::default())
}

#[test]
fn stacks_of_stacks_are_not_followed_without_an_end() {
    let stack = |embeddings| {
        let class = ("__cls__", "StackedEmbeddings".into());
        Item::dict([class, ("embeddings", Item::List(embeddings))])
    };
    let wide = stack(vec![stack(vec![stack(vec![]); 20]); 20]);
    let error = conversion_of(wide, vec![1, 1]).unwrap_err().to_string();
    assert!(error.contains("more than 64 embeddings"), "{error}");
}

#[test]
fn word_vectors_without_dimensions_are_refused() {
    let words = Item::dict([
        ("__cls__", "WordEmbeddings".into()),
        ("name", "w".into()),
        ("stable", Item::Bool(true)),
        ("vocab", Item::dict([("a", Item::Int(0))])),
    ]);
    let error = conversion_of(words, vec![1, 0]).unwrap_err().to_string();
    assert!(error.contains("word vectors have 0 dimensions"), "{error}");
}

#[test]
fn what_goes_out_to_flair_comes_back_the_same() {
    let golden = golden();
    let root = tempfile::tempdir().unwrap();
    let (mut back, mut refused) = (0, Vec::new());
    for (name, model) in &golden.models {
        let [folder, file, again] =
            ["in", "out.pt", "again"].map(|part| root.path().join(format!("{name}-{part}")));
        converted(name, &folder);
        if let Err(error) = to_flair(folder.to_str().unwrap(), &file) {
            assert!(!file.exists());
            refused.push(format!("{error}"));
            continue;
        }
        let conversion = convert(&file, &again, &ConvertOptions::default()).unwrap();
        let path = again.to_str().unwrap();
        match model {
            Model::Tagger { sentences, .. } => {
                let tagger = Tagger::load(path).unwrap();
                sentences.iter().for_each(|sentence| sentence.check(&tagger, name));
            }
            Model::LanguageModel { .. } => {
                let weights = |folder: &Path| std::fs::read(folder.join("model.safetensors"));
                assert_eq!(weights(&folder).unwrap(), weights(&again).unwrap(), "{name}");
            }
        }
        assert!(!conversion.found.is_empty());
        back += 1;
    }
    assert_eq!(back, golden.models.len() - refused.len());
    // Five with pooled embeddings, two with trained first states, one of one direction, and one of
    // language models of another cell: what Flair does not save.
    assert_eq!(refused.len(), 5 + 2 + 1 + 1, "{refused:#?}");
    assert!(refused.iter().all(|error| error.contains("cannot become a model of Flair")));
}

#[test]
fn vectors_with_subwords_do_not_go_out_to_flair() {
    let root = tempfile::tempdir().unwrap();
    let [folder, file] = ["in", "out.pt"].map(|part| root.path().join(part));
    converted("pos-crf", &folder);
    let path = folder.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let embeddings = config["tagger"]["embeddings"].as_array_mut().unwrap();
    let words = embeddings.iter_mut().find(|e| e["type"] == "words").unwrap();
    words["subwords"] = serde_json::json!({ "min": 3, "max": 3, "buckets": 4 });
    std::fs::write(&path, config.to_string()).unwrap();
    let error = to_flair(folder.to_str().unwrap(), &file).unwrap_err().to_string();
    assert!(error.contains("word vectors with subwords"), "{error}");
    assert!(!file.exists());
}
