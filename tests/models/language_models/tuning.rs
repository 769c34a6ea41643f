//! Training a language model on from another one.

use super::*;

/// Other sentences of the same characters.
fn other_text(lines: usize) -> String {
    text(9, lines).replace("the", "het").replace("sees", "seth").replace("dog", "god")
}

#[test]
fn a_model_trained_on_keeps_its_shape_and_learns_the_new_text() {
    let (_, trained) = world();
    for (trained, way) in trained.iter().zip(["forward", "backward"]) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::write(folder.join("text.txt"), other_text(100) + "☃\n").unwrap();
        std::fs::write(folder.join("dev.txt"), other_text(30)).unwrap();
        let from = format!("init_from={}", trained.folder.display());
        let direction = format!("language_model.direction={way}");
        let settings = [
            &*from,
            &direction,
            "language_model.hidden_dim=24",
            "language_model.embedding_dim=3",
            "language_model.layers=2",
            "language_model.sequence_length=30",
            "language_model.dropout=0.01",
            "training.max_epochs=1",
            "training.learning_rate=0.01",
        ];
        let tuned = complete(folder, CONFIG, "tuned", &settings);
        let (before, after) = (load(&trained.folder).unwrap(), load(&tuned.folder).unwrap());
        assert_eq!(after.direction(), before.direction());
        assert_eq!(after.dictionary(), before.dictionary());
        let (old, new) = (before.config(), after.config());
        assert_eq!((new.hidden_dim, new.embedding_dim, new.layers), (16, 8, 1));
        assert_eq!((old.sequence_length, new.sequence_length), (12, 30));
        assert_eq!(new.dropout, 0.01, "what matters to training alone is configured");

        let score = |model: &LanguageModel| model.score(&other_text(60)).unwrap();
        let (before, after) = (score(&before), score(&after));
        let bits = [before, after].map(|score| score.bits_per_character());
        assert!(bits[1] < 0.8 * bits[0], "{way}: {bits:?}");

        let opposite = if way == "forward" { "backward" } else { "forward" };
        let opposite = format!("language_model.direction={opposite}");
        for (setting, reason) in
            [(&*opposite, "it reads"), ("data.dictionary=text.txt", "a dictionary of its own")]
        {
            let settings = [&settings[..2], &[setting]].concat();
            let error = run((folder, CONFIG, "no"), &settings, RunOptions::default(), &mut []);
            assert!(error.unwrap_err().to_string().contains(reason), "{setting}");
        }

        // With next to no learning, it still is what it was.
        let still = [&settings[..7], &["training.max_steps=1", "training.learning_rate=1e-9"]];
        let still = complete(folder, CONFIG, "still", &still.concat());
        let still = load(&still.folder).unwrap().score(&other_text(60)).unwrap();
        assert!((still.nats / before.nats - 1.0).abs() < 1e-4, "{way}: {still}");
    }
}

#[test]
fn a_tagger_is_no_language_model_to_train_on_from() {
    let (folder, _) = world();
    let (_, tagger) = crate::world();
    let from = format!("init_from={}", tagger.folder.display());
    let error = run((folder, CONFIG, "wrong"), &[&from], RunOptions::default(), &mut []);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("it is a tagger, not a language-model"), "{error}");
    assert!(error.contains(&tagger.folder.display().to_string()), "{error}");
    let error =
        run((folder, CONFIG, "wrong"), &["init_from=./absent"], RunOptions::default(), &mut []);
    assert!(error.unwrap_err().to_string().contains("absent"));
    assert!(!folder.join("wrong/config.json").exists());
}
