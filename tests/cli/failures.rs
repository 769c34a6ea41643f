//! What goes wrong, and its exit code.

use std::fs;

use crate::{
    corpus,
    folder::{Folder, models},
};

#[test]
fn input_that_is_missing_is_5_and_what_came_before_is_written() {
    let (models, folder) = (models(), Folder::new().with("a.tokens", "Nora left .\n"));
    let run = folder.gloss(&["tag", "-q", "-m", &models.upos(), "a.tokens", "absent.txt"]);
    assert_eq!(run.out, "Nora/PROPN left/VERB ./PUNCT\n");
    let error = run.fails(5);
    assert!(error.starts_with("error: absent.txt: cannot be read\n  caused by: "), "{error}");
    folder.gloss(&["tag", "-m", &models.upos(), "-o", "no/folder", "a.tokens"]).fails(5);
    folder.gloss(&["train", "absent.toml"]).fails(5);
    folder.gloss(&["check", "--train", "absent.conllu", "--layer", "upos"]).fails(5);
}

#[test]
fn bad_data_is_3_and_names_its_place() {
    let models = models();
    let folder = Folder::new()
        .with("utf8.tokens", b"Nora left .\nab\xFF\n")
        .with("columns.tsv", "Nora\tB-PER\n\nleft\tO\tx\n")
        .with("a.jsonl", "{\"text\": \"Nora left.\"}\n{\"text\": 3}\n")
        .with("a.conllu", "1\tNora\t_\n");
    let cases = [
        ("utf8.tokens", "utf8.tokens:2: byte 14 (0xFF)"),
        ("columns.tsv", "columns.tsv:3: expected 2 columns, found 3"),
        ("a.jsonl", "a.jsonl:2: \"text\" is not a string"),
        ("a.conllu", "a.conllu:1: expected 10 columns, found 3"),
    ];
    for (file, want) in cases {
        let run = folder.gloss(&["tag", "-q", "-m", &models.upos(), file]);
        let written = run.out.lines().count();
        assert_eq!(written, usize::from(file != "a.conllu"), "{file}: what came before");
        let error = run.fails(3);
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn misuse_is_2() {
    let (models, folder) = (models(), Folder::new());
    let ner = models.ner();
    let cases: [&[&str]; 13] = [
        &["frobnicate"],
        &["tag", "--to", "docx"],
        &["tag", "--frobnicate"],
        &["tag", "--threads", "0"],
        &["tag", "--batch-size", "0"],
        &["tag", "--precision", "f16"],
        &["tag", "--min-score", "2"],
        &["tag", "-m", &ner, "--device", "cuda"],
        &["tag", "-m", &ner, "--device", "cuda:1"],
        &["eval", "-m", &ner, "--min", "f3=1"],
        &["train", "a.toml", "--batch-size", "8"],
        &["train", "a.toml", "--precision", "f32"],
        &["check"],
    ];
    for args in cases {
        let run = folder.pipe(args, "");
        assert_eq!(run.out, "", "{args:?}");
        run.fails(2);
    }
    let error = folder.pipe(&["tag", "-m", &ner, "--device", "cuda"], "").fails(2);
    assert!(error.contains("without CUDA") && error.contains("--device cpu"), "{error}");
}

#[test]
fn bad_configurations_are_2_and_name_line_and_key() {
    let config = corpus::configuration("upos", 1);
    let folder = Folder::new()
        .with("a.toml", config.replace("hidden_dim = 8\nre", "hiden_dim = 8\nre"))
        .with("b.toml", config)
        .with("c.toml", "task = ");
    let error = folder.gloss(&["train", "a.toml"]).fails(2);
    assert!(error.contains("a.toml:6: unknown key `hiden_dim`"), "{error}");
    assert!(error.contains("did you mean `hidden_dim`?"), "{error}");
    let error = folder.gloss(&["train", "b.toml"]).fails(2);
    assert!(error.contains("train.conllu: cannot open the file named by `data.train`"), "{error}");
    folder.gloss(&["train", "b.toml", "--set", "seed"]).fails(2);
    folder.gloss(&["train", "c.toml"]).fails(2);
    assert!(!folder.path("b").join("model.safetensors").exists());
}

#[test]
fn bad_models_are_4() {
    let (models, folder) = (models(), Folder::new());
    let error = folder.pipe(&["tag", "-q", "-m", "absent"], "").fails(4);
    assert!(error.contains("no model `absent`"), "{error}");
    fs::create_dir(folder.path("bad")).expect("a folder");
    let ner = models.folder().path("ner");
    for file in ["config.json", "dictionary-0.json", "model.safetensors"] {
        fs::copy(ner.join(file), folder.path("bad").join(file)).expect("a copy");
    }
    folder.pipe(&["tag", "-q", "-m", "./bad"], "Nora left.").ok();
    let weights = fs::read(ner.join("model.safetensors")).expect("weights");
    fs::write(folder.path("bad/model.safetensors"), &weights[..weights.len() / 2]).expect("a file");
    let error = folder.pipe(&["tag", "-q", "-m", "./bad"], "Nora left.").fails(4);
    assert!(error.contains("`model.safetensors` is damaged"), "{error}");
}

#[test]
fn a_folder_in_use_is_2() {
    let folder = Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("upos.toml", corpus::configuration("upos", 1));
    folder.gloss(&["train", "-q", "upos.toml"]).ok();
    let first = folder.read("upos/log.jsonl");
    let error = folder.gloss(&["train", "-q", "upos.toml"]).fails(2);
    assert!(error.contains("--resume") && error.contains("--force"), "{error}");
    assert_eq!(folder.read("upos/log.jsonl"), first, "nothing is touched");
    folder.gloss(&["train", "-q", "upos.toml", "-o", "upos.toml"]).fails(2);
    folder.gloss(&["train", "-q", "upos.toml", "--force", "--resume"]).fails(2);
    folder.gloss(&["train", "-q", "upos.toml", "--force"]).ok();
    folder.gloss(&["train", "-q", "upos.toml", "--resume"]).ok();
}

#[test]
fn there_must_be_something_to_resume() {
    let folder = Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("upos.toml", corpus::configuration("upos", 1));
    let train = |how: &str| folder.gloss(&["train", "-q", "upos.toml", how]);
    train("--resume").ok();
    fs::remove_dir_all(folder.path("upos/checkpoints")).expect("checkpoints");
    let files = ["model.safetensors", "config.toml", "README.md", "log.jsonl"];
    let read = || files.map(|file| folder.read(&format!("upos/{file}")));
    let model = read();
    let error = train("--resume").fails(2);
    assert!(error.contains("nothing to resume in upos: there is no checkpoint; "), "{error}");
    assert!(read() == model, "nothing is touched");
    // What a run leaves that is cut off before its first checkpoint.
    for file in ["model.safetensors", "README.md", "config.json", "dictionary-0.json"] {
        fs::remove_file(folder.path("upos").join(file)).expect("a file");
    }
    fs::create_dir_all(folder.path("upos/checkpoints/last")).expect("a folder");
    train("--resume").ok();
    assert!(read()[0] == model[0], "the same bytes");
}

#[test]
fn a_forced_training_leaves_no_earlier_model() {
    let folder = Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("upos.toml", corpus::configuration("upos", 2));
    folder.gloss(&["train", "-q", "upos.toml"]).ok();
    folder.pipe(&["tag", "-q", "-m", "./upos"], "Nora left.").ok();
    let set = ["--set", "training.learning_rate=1e38", "--set", "training.optimizer=sgd"];
    folder.gloss(&[&["train", "-q", "upos.toml", "--force"][..], &set].concat()).fails(3);
    for file in ["config.json", "model.safetensors", "dictionary-0.json", "README.md"] {
        assert!(!folder.path("upos").join(file).exists(), "{file}");
    }
    folder.pipe(&["tag", "-q", "-m", "./upos"], "Nora left.").fails(4);
    folder.gloss(&["train", "-q", "upos.toml", "--force"]).ok();
    folder.pipe(&["tag", "-q", "-m", "./upos"], "Nora left.").ok();
}

#[test]
fn a_loss_that_is_not_finite_is_3() {
    let folder = Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("upos.toml", corpus::configuration("upos", 9));
    let set = ["--set", "training.learning_rate=1e38", "--set", "training.optimizer=sgd"];
    let more = ["--set", "training.max_grad_norm=0"];
    let args = [&["train", "-q", "upos.toml"][..], &set, &more].concat();
    for more in [&["-o", "crf"][..], &["-o", "words", "--set", "tagger.crf=false"]] {
        let error = folder.gloss(&[&args[..], more].concat()).fails(3);
        assert!(error.contains("the loss is not finite"), "{error}");
    }
}

#[test]
fn errors_are_json_if_messages_are() {
    let error = Folder::new().gloss(&["train", "absent.toml", "--log-format", "json"]).fails(5);
    let object = &crate::folder::objects(&error)[0];
    assert_eq!(object["level"], "error");
    assert!(object["causes"][0].as_str().is_some_and(|cause| !cause.is_empty()));
}
