//! `gloss init`.

use crate::{corpus, folder::Folder};

#[test]
fn the_configuration_trains_once_its_files_are_there() {
    let folder = Folder::new();
    let printed = folder.gloss(&["init", "tagger"]).ok();
    folder.gloss(&["init", "tagger", "-o", "tagger.toml"]).ok();
    assert_eq!(folder.read("tagger.toml"), printed.as_bytes());
    folder.gloss(&["init", "tagger", "-o", "tagger.toml"]).fails(2);
    folder.gloss(&["init", "kettle"]).fails(2);
    let folder = folder
        .with("train.conllu", corpus::conllu())
        .with("dev.conllu", corpus::conllu())
        .with("test.conllu", corpus::conllu());
    let sets = ["--set", "training.max_epochs=1", "--set", "tagger.hidden_dim=8"];
    folder.gloss(&[&["train", "-q", "tagger.toml"][..], &sets].concat()).ok();
    folder.pipe(&["tag", "-q", "-m", "./tagger"], "Nora left.").ok();
}
