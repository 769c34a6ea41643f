//! `gloss models`, and models of the cache.

use std::fs;

use crate::folder::{Folder, models};

#[test]
fn a_model_of_the_cache_is_found_by_name() {
    let (models, folder) = (models(), Folder::new());
    let cached = folder.path("cache/names");
    fs::create_dir_all(&cached).expect("a folder");
    for file in ["config.json", "dictionary-0.json", "model.safetensors", "README.md"] {
        fs::copy(models.folder().path("ner").join(file), cached.join(file)).expect("a copy");
    }
    let list = folder.gloss(&["models"]).ok();
    assert!(list.starts_with("name "), "{list}");
    let row = list.lines().find(|line| line.starts_with("names ")).expect("the model");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[1], cells[2], cells[3], cells[5]), ("cache", "tagger", "ner", "kB"));
    assert!(list.lines().any(|line| line.starts_with("en-ner ") && line.contains("built in")));
    let card = folder.gloss(&["models", "show", "names"]).ok();
    assert!(card.starts_with("# Tagger\n") && card.contains("Scores on dev"), "{card}");
    assert!(card.ends_with(&format!("Path: {}\n", cached.display())), "{card}");
    let out = folder.pipe(&["tag", "-q", "-m", "names"], "Nora left Turin.").ok();
    assert!(out.contains("\"Nora\"/PER"), "{out}");
    folder.pipe(&["tag", "-m", "./names"], "").fails(4);
    folder.gloss(&["models", "show", "absent"]).fails(4);
}

#[cfg(feature = "de")]
#[test]
fn the_german_taggers_in_the_box_label() {
    let folder = Folder::new();
    let out = folder.pipe(&["tag", "-q", "-m", "de-ner"], "Angela Merkel sprach in Hamburg.").ok();
    assert!(out.contains("\"Angela Merkel\"/PER") && out.contains("\"Hamburg\"/LOC"), "{out}");
    // What is contracted in writing is one word.
    let out = folder.pipe(&["tag", "-q", "-m", "de-pos"], "Die Katze schläft im Haus.").ok();
    assert_eq!(out, "Die/DET Katze/NOUN schläft/VERB im/ADP Haus/NOUN ./PUNCT\n");
    let cards = ["de-lm-backward", "de-lm-forward", "de-ner", "de-pos"]
        .map(|name| folder.gloss(&["models", "show", name]).ok());
    assert!(cards.iter().all(|card| card.contains("CC BY-SA 4.0")), "{cards:?}");
}
