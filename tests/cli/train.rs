//! `gloss train`.

use crate::{
    corpus,
    folder::{Folder, models, objects},
};

fn folder(epochs: usize) -> Folder {
    Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("ner.toml", corpus::configuration("misc:NER", epochs))
}

#[test]
fn a_training_leaves_a_model_its_card_and_its_log() {
    let folder = folder(2);
    let run = folder.gloss(&["train", "ner.toml", "--set", "model.name=Names", "--seed", "3"]);
    for part in ["device: cpu", "epoch", "words/s", "development data", "the model is ./ner"] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert_eq!(run.ok(), "", "standard output is for data");
    let card = String::from_utf8(folder.read("ner/README.md")).expect("UTF-8");
    let command = "\ngloss train ner.toml --set model.name=Names --set seed=3\n";
    assert!(card.starts_with("# Names\n") && card.contains(command), "{card}");
    let events = objects(&String::from_utf8(folder.read("ner/log.jsonl")).expect("UTF-8"));
    assert_eq!(events.first().expect("events")["event"], "started");
    assert_eq!(events.last().expect("events")["event"], "finished");
    let kept = String::from_utf8(folder.read("ner/config.toml")).expect("UTF-8");
    assert!(kept.contains("seed = 3") && kept.contains("hidden_dim = 8"), "{kept}");
    folder.pipe(&["tag", "-q", "-m", "./ner"], "Nora left.").ok();
}

#[test]
fn several_layers_are_learnt_checked_scored_and_written() {
    let configuration = corpus::configuration("misc:NER", 2);
    let both = configuration.replace("[tagger]", "further_layers = [\"upos\"]\n[tagger]");
    let folder = folder(2).with("both.toml", both);
    let check = folder.gloss(&["check", "both.toml"]);
    assert!(check.out.contains("spans of misc:NER: "), "{}", check.out);
    assert!(check.out.contains("labels of upos: "), "{}", check.out);
    folder.gloss(&["train", "-q", "both.toml", "-o", "ner"]).ok();
    let score = |layer: &[&str]| {
        let args = [&["eval", "-q", "-m", "./ner", "train.conllu"][..], layer].concat();
        folder.gloss(&args).ok()
    };
    assert!(score(&["--layer", "misc:NER"]).contains("\nPER "));
    assert!(score(&["--layer", "upos"]).contains("\nPROPN "));
    let error = folder.gloss(&["eval", "-m", "./ner", "train.conllu", "--layer", "xpos"]).fails(2);
    assert!(error.contains("it writes the layers `ner`, `upos`, and none named `xpos`"), "{error}");
    let error = folder.gloss(&["tag", "-m", "./ner", "--fix", "xpos", "train.conllu"]).fails(2);
    assert!(error.contains("none named `xpos`"), "{error}");
    let tagged = folder.gloss(&["tag", "-q", "-m", "./ner", "--to", "conllu", "train.conllu"]).ok();
    let rows: Vec<Vec<&str>> = tagged.lines().map(|line| line.split('\t').collect()).collect();
    let words = rows.iter().filter(|row| row.len() == 10);
    assert!(words.clone().all(|row| row[3] != "_" && row[9].contains("NER=")), "{tagged}");
    let twice = folder.gloss(&["tag", "-m", "./ner", "-m", "./ner", "train.conllu"]);
    assert!(twice.fails(2).contains("both write the layer `ner`"));
    let same = ["train", "ner.toml", "--set", r#"data.further_layers=["misc:ner"]"#];
    let error = folder.gloss(&same).fails(2);
    assert!(error.contains("data.further_layers has `misc:ner`, which is learnt"), "{error}");
}

#[test]
fn a_training_is_drawn_if_asked_for() {
    let folder = folder(2);
    folder.gloss(&["train", "-q", "ner.toml", "--plot"]).ok();
    let svg = String::from_utf8(folder.read("ner/curves.svg")).expect("UTF-8");
    // Two epochs: a training loss and a score of each; a tagger has no loss there.
    assert_eq!(svg.matches("<circle").count(), 4, "{svg}");
    assert!(!folder.names().contains(&"curves.svg".to_owned()));
    // A log alone gives the same picture, also that of a training that still goes on.
    folder.gloss(&["train", "-q", "--plot", "ner/log.jsonl", "-o", "again.svg"]).ok();
    assert!(folder.read("again.svg") == svg.as_bytes());
    folder.gloss(&["train", "-q", "--plot", "ner/log.jsonl", "-o", "again.PNG"]).ok();
    let png = folder.read("again.PNG");
    assert!(png.starts_with(b"\x89PNG\r\n") && png == folder.read("ner/curves.png"));
    let begun = String::from_utf8(folder.read("ner/log.jsonl")).expect("UTF-8");
    let begun = begun.lines().take_while(|line| !line.contains("finished"));
    let folder = folder.with("half.jsonl", begun.collect::<Vec<_>>().join("\n") + "\n{\"ev");
    folder.gloss(&["train", "-q", "--plot", "half.jsonl"]).ok();
    assert!(folder.read("curves.svg") == svg.as_bytes());
    let error = folder.gloss(&["train", "half.jsonl"]).fails(2);
    assert!(error.contains("half.jsonl is a log, not a configuration"), "{error}");
    folder.gloss(&["train", "--plot", "none.jsonl"]).fails(5);
    let folder = folder.with("empty.jsonl", "{\"event\":\"started\"}\n");
    let error = folder.gloss(&["train", "--plot", "empty.jsonl", "-o", "none.svg"]).fails(3);
    assert!(error.contains("empty.jsonl: no evaluation stands in it"), "{error}");
    assert!(!folder.names().contains(&"none.svg".to_owned()));
}

#[test]
fn the_seed_decides() {
    let folder = folder(1);
    let train = |out: &str, seed: &str| {
        folder.gloss(&["train", "-q", "ner.toml", "-o", out, "--seed", seed]).ok();
        folder.read(&format!("{out}/model.safetensors"))
    };
    let first = train("a", "1");
    assert!(first == train("b", "1"), "the same seed gives the same bytes");
    assert!(first != train("c", "2"), "another seed gives others");
}

#[test]
fn events_are_json_lines() {
    let folder = folder(2);
    let run = folder.gloss(&["train", "ner.toml", "--log-format", "json"]);
    let events: Vec<_> = objects(&run.err)
        .into_iter()
        .filter_map(|object| object["event"].as_str().map(str::to_owned))
        .collect();
    for event in ["started", "step", "evaluated", "checkpoint", "best", "finished", "trained"] {
        assert!(events.iter().any(|name| name == event), "{event}");
    }
    assert_eq!(folder.gloss(&["train", "ner.toml", "-o", "quiet", "--quiet"]).err, "");
}

#[test]
fn the_flow_of_gradients_is_shown_where_it_is_asked_for() {
    let folder = folder(2);
    let plain = folder.gloss(&["train", "ner.toml", "-o", "plain"]);
    assert!(!plain.err.contains("gradient"), "{}", plain.err);
    let run = folder.gloss(&["train", "ner.toml", "--set", "training.gradient_flow=true"]);
    assert!(run.err.contains("gradient, layer 0: "), "{}", run.err);
    let events = objects(&String::from_utf8(folder.read("ner/log.jsonl")).expect("UTF-8"));
    let flows = events.iter().filter(|event| event["event"] == "gradient_flow");
    let flows: Vec<_> = flows.map(|event| event["layers"].as_array().expect("layers")).collect();
    assert_eq!(flows.len(), 2, "one an evaluation");
    for layer in flows.into_iter().flatten() {
        let norms = layer.as_array().expect("distances");
        assert!(norms.len() > 1 && norms[0].as_f64() > Some(0.0), "{norms:?}");
    }
    let weights = |of: &str| folder.read(&format!("{of}/model.safetensors"));
    assert!(weights("ner") == weights("plain"), "to look changes nothing");
}

#[test]
fn a_dry_run_trains_nothing() {
    let folder = folder(2);
    let out = folder.gloss(&["train", "ner.toml", "--dry-run"]).ok();
    let want =
        "data.train train.conllu: 48 sentences, 264 words, 96 spans: LOC 48, PER 48\nno findings\n";
    assert_eq!(out, want);
    assert_eq!(folder.names(), ["ner.toml", "train.conllu"]);
}

#[test]
fn test_data_is_scored_and_eval_agrees_with_the_card() {
    let folder = folder(6);
    let sets = ["--set", "data.dev=train.conllu", "--set", "data.test=train.conllu"];
    let run = folder.gloss(&[&["train", "ner.toml"][..], &sets].concat());
    assert!(run.err.contains("test data:"), "{}", run.err);
    let table = folder.gloss(&["eval", "-q", "-m", "./ner", "train.conllu"]).ok();
    let card = String::from_utf8(folder.read("ner/README.md")).expect("UTF-8");
    let (table, interval) = table.trim_end().rsplit_once('\n').expect("lines");
    assert!(interval.starts_with("f1 ") && interval.contains('±'), "{interval}");
    assert_eq!(card.matches(table).count(), 2, "{card}\n{table}");
    assert!(!card.contains("weak spots") && !card.contains("By domain"), "{card}");
}

#[test]
fn a_card_tells_of_weak_spots_domains_and_calibration() {
    // The sentences of two kinds of text, in turn.
    let mut kinds = ["letter", "tale"].iter().cycle();
    let mut named = |line: &str| match line.strip_prefix("# sent_id = ") {
        Some(number) => format!("# sent_id = {}-{number}\n", kinds.next().expect("a kind")),
        None => format!("{line}\n"),
    };
    let test: String = corpus::conllu().lines().map(&mut named).collect();
    let folder = folder(2).with("test.conllu", test);
    let sets = ["--set", "data.test=test.conllu", "--set", "model.weak_spots=[\"Rare names.\"]"];
    folder.gloss(&[&["train", "ner.toml"][..], &sets].concat()).ok();
    let card = String::from_utf8(folder.read("ner/README.md")).expect("UTF-8");
    assert!(card.contains("\n## Known weak spots\n\n- Rare names.\n\n## Data\n"), "{card}");
    for part in ["| domain | sentences | span F1 |", "\n| letter | 24 | ", "\n| tale | 24 | "] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let eval = ["eval", "-q", "-m", "./ner", "--calibration", "test.conllu"];
    let table = folder.gloss(&eval).ok();
    let (_, calibration) = table.split_once("   labels ").expect("a calibration");
    assert!(card.contains(calibration.trim_end()), "{card}\n{calibration}");
    assert_eq!(card.matches("expected calibration error").count(), 1, "of the test data: {card}");
}

#[test]
fn a_model_is_trained_on_from() {
    let (models, folder) = (models(), folder(1));
    let init = format!("init_from={}", models.ner());
    let sets = ["--set", &init, "--set", "training.learning_rate=1e-3"];
    folder.gloss(&[&["train", "-q", "ner.toml"][..], &sets].concat()).ok();
    let json = folder.gloss(&["eval", "-q", "--json", "-m", "./ner", "train.conllu"]).objects();
    assert!(json[0]["f1"].as_f64().expect("a number") > 80.0, "{}", json[0]);
}

#[test]
fn a_configuration_is_not_replaced_by_its_resolved_copy() {
    let config = corpus::configuration("ner", 1).replace("train.conllu", "../train.conllu");
    let folder = folder(1);
    std::fs::create_dir(folder.path("run")).unwrap();
    std::fs::write(folder.path("run/config.toml"), &config).unwrap();
    let train = ["train", "-q", "run/config.toml", "-o", "run", "--force"];
    assert!(folder.gloss(&train).fails(2).contains("resolved copy"));
    assert_eq!(folder.read("run/config.toml"), config.as_bytes());
}
