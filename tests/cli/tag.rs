//! Options of `gloss tag`.

use crate::{
    corpus,
    folder::{Folder, models, objects},
};

#[test]
fn the_readme_command_tags_names() {
    let run = Folder::new().pipe(&["tag"], "George Washington went to Washington .\n");
    let want = "George Washington went to Washington . → [\"George Washington\"/PER, \"Washington\"/LOC]\n";
    assert_eq!(run.ok(), want);
}

#[test]
fn batches_and_threads_change_no_byte() {
    let (models, folder) = (models(), Folder::new().with("a.tokens", corpus::tokens(3)));
    let tag = |batch: &str, threads: &str| {
        let args = ["tag", "-m", &models.ner(), "-m", &models.upos(), "--to", "jsonl", "--scores"];
        let more = ["--batch-size", batch, "--threads", threads, "a.tokens"];
        folder.gloss(&[&args[..], &more[..]].concat()).ok()
    };
    let want = tag("1", "1");
    assert_eq!(want.lines().count(), 144);
    for (batch, threads) in [("1", "2"), ("7", "1"), ("7", "2"), ("100000", "1"), ("100000", "2")] {
        assert!(tag(batch, threads) == want, "batches of {batch}, {threads} threads");
    }
}

#[test]
fn within_a_precision_batches_and_threads_change_no_byte() {
    // The built-in pair of language models, and texts of very unequal lengths.
    let text = corpus::tokens(2) + &"so on and ".repeat(60) + "Ada Lovelace left Turin .\n";
    let folder = Folder::new().with("a.tokens", &text);
    let tag = |precision: &str, batch: &str, threads: &str| {
        let args = ["tag", "-q", "--to", "jsonl", "--scores", "--precision", precision];
        let more = ["--batch-size", batch, "--threads", threads, "a.tokens"];
        folder.gloss(&[&args[..], &more[..]].concat()).ok()
    };
    let all = ["f32", "bf16", "int8"].map(|precision| {
        let want = tag(precision, "1", "1");
        for (batch, threads) in [("50", "1"), ("100000", "1"), ("50", "3"), ("100000", "2")] {
            assert!(tag(precision, batch, threads) == want, "{precision} {batch} {threads}");
        }
        want
    });
    assert!(all[0] != all[1] && all[1] != all[2], "the precision does something");
    assert!(tag("auto", "4096", "2") == all[2], "the built-in model names int8");
    folder.gloss(&["tag", "--precision", "f16", "a.tokens"]).fails(2);
}

#[test]
fn each_model_adds_its_layer() {
    let (models, folder) = (models(), Folder::new());
    let (ner, upos) = (models.ner(), models.upos());
    let args = ["tag", "-q", "-m", &ner, "-m", &upos, "--from", "tokens"];
    let out = folder.pipe(&args, "Nora left Turin .\n").ok();
    let want = "Nora/PROPN left/VERB Turin/PROPN ./PUNCT → [\"Nora\"/PER, \"Turin\"/LOC]\n";
    assert_eq!(out, want);
    let error = folder.pipe(&["tag", "-m", &ner, "-m", &ner], "x").fails(2);
    assert!(error.contains("both write the layer `ner`"), "{error}");
}

#[test]
fn scores_are_probabilities_and_improbable_spans_go() {
    let (models, folder) = (models(), Folder::new().with("a.tokens", corpus::tokens(1)));
    let tag = |more: &[&str]| {
        let args = ["tag", "-q", "-m", &models.ner(), "--to", "jsonl", "--scores", "a.tokens"];
        folder.gloss(&[&args[..], more].concat()).objects()
    };
    let spans = |objects: Vec<serde_json::Value>| -> Vec<serde_json::Value> {
        objects.iter().flat_map(|o| o["spans"].as_array().expect("spans").clone()).collect()
    };
    let score = |span: &serde_json::Value| span["score"].as_f64().expect("a score");
    let all = spans(tag(&[]));
    assert!(all.iter().all(|span| (0.0..=1.0).contains(&score(span))));
    let mut scores: Vec<f64> = all.iter().map(score).collect();
    scores.sort_by(f64::total_cmp);
    // Between two scores, so that rounding does not matter.
    let at = (1..scores.len())
        .max_by(|&a, &b| (scores[a] - scores[a - 1]).total_cmp(&(scores[b] - scores[b - 1])));
    let at = at.expect("several spans");
    let min = (scores[at] + scores[at - 1]) / 2.0;
    let kept = spans(tag(&["--min-score", &min.to_string()]));
    let want: Vec<_> = all.into_iter().filter(|span| score(span) >= min).collect();
    assert_eq!(kept, want);
    assert_eq!(kept.len(), scores.len() - at);
}

#[test]
fn scores_appear_when_asked_for() {
    let (models, folder) = (models(), Folder::new());
    let args = ["tag", "-m", &models.ner(), "--to", "jsonl"];
    let plain = objects(&folder.pipe(&args, "Nora left Turin.").ok());
    assert_eq!(plain[0]["spans"][0]["text"], "Nora");
    assert!(plain[0]["spans"][0].get("score").is_none());
    let inline = folder.pipe(&["tag", "-m", &models.ner(), "--scores"], "Nora left Turin.").ok();
    assert!(inline.contains("\"Nora\"/PER (0."), "{inline}");
    let run = folder.pipe(&["tag", "-m", &models.ner(), "--scores", "--to", "conll"], "Nora left.");
    assert!(run.err.contains("conll has no place for scores"), "{}", run.err);
}

#[test]
fn the_likeliest_sequences_come_with_their_probabilities() {
    let (models, folder) = (models(), Folder::new());
    let args = ["tag", "-q", "-m", &models.ner(), "-m", &models.upos(), "--to", "jsonl"];
    let tag = |more: &[&str]| folder.pipe(&[&args[..], more].concat(), "Nora left Turin .\nFox\n");
    let objects = objects(&tag(&["--n-best", "3"]).ok());
    assert_eq!(objects.len(), 2);
    for object in &objects {
        let sequences = object["sequences"].as_array().expect("sequences");
        for layer in ["ner", "upos"] {
            let own: Vec<_> = sequences.iter().filter(|own| own["layer"] == layer).collect();
            assert_eq!(own.len(), 3, "{object}");
            let scores: Vec<f64> = own.iter().map(|s| s["score"].as_f64().unwrap()).collect();
            assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "{scores:?}");
            assert!(scores.iter().sum::<f64>() <= 1.0 + 1e-9, "{scores:?}");
            let tokens = object["tokens"].as_array().expect("tokens");
            assert!(own.iter().all(|s| s["labels"].as_array().unwrap().len() == tokens.len()));
            if layer == "upos" {
                let best = tokens.iter().map(|token| &token["labels"]["upos"]["label"]);
                assert!(best.eq(own[0]["labels"].as_array().unwrap()), "{object}");
            }
        }
    }
    let ner = &objects[0]["sequences"][0]["labels"];
    assert_eq!(ner, &serde_json::json!(["B-PER", "O", "B-LOC", "O"]));
    assert!(!tag(&[]).ok().contains("sequences"));
    let conll = ["tag", "-m", &models.ner(), "--n-best", "2", "--to", "conll"];
    assert!(folder.pipe(&conll, "a\n").fails(2).contains("--to jsonl"));
}

#[test]
fn columns_are_named() {
    let (models, folder) =
        (models(), Folder::new().with("a.tsv", "1\tNora\tx\n2\tleft\ty\n3\tTurin\tz\n4\t.\tp\n"));
    let args = ["tag", "-q", "-m", &models.ner(), "--to", "conll", "a.tsv"];
    let out = folder.gloss(&[&args[..], &["--columns", "id,token,ner"]].concat()).ok();
    assert_eq!(out, "1\tNora\tB-PER\n2\tleft\tO\n3\tTurin\tB-LOC\n4\t.\tO\n");
    let error = folder.gloss(&[&args[..], &["--columns", "id,word"]].concat()).fails(2);
    assert!(error.contains("token"), "{error}");
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_if_asked() {
    let (models, folder) = (models(), Folder::new());
    let args = ["tag", "-m", &models.ner(), "--from", "tokens", "--lossy"];
    let run = folder.pipe(&args, b"Nora \xFF left .\n");
    assert!(run.err.contains("not UTF-8 were replaced: 1 place"), "{}", run.err);
    assert!(run.ok().starts_with("Nora \u{fffd} left ."));
}

#[test]
fn replaced_bytes_are_counted_before_an_error_too() {
    let (models, folder) = (models(), Folder::new());
    let args = ["tag", "-m", &models.ner(), "--from", "conll", "--lossy"];
    let error = folder.pipe(&args, b"Nora\xFF\tx\n\nleft\tx\ty\n").fails(3);
    let warning = error.find("not UTF-8 were replaced: 1 place").expect(&error);
    assert!(warning < error.find("expected 2 columns, found 3").expect(&error), "{error}");
}

#[test]
fn offsets_where_there_are_none_are_said() {
    let (models, folder) = (models(), Folder::new());
    let tag = |more: &[&str]| {
        folder.pipe(&[&["tag", "-m", &models.ner()][..], more].concat(), "Nora left.").err
    };
    assert!(tag(&["--offsets", "chars"]).contains("--offsets: inline has no place for offsets"));
    for fine in [&["--to", "jsonl", "--offsets", "chars"][..], &[]] {
        assert!(!tag(fine).contains("--offsets"));
    }
}

#[test]
fn messages_are_text_json_or_nothing() {
    let (models, folder) = (models(), Folder::new());
    let ner = models.ner();
    let run = |more: &[&str], env: &str| {
        let mut command = folder.command(&[&["tag", "-m", &ner, "-"], more].concat());
        crate::folder::Run::from(command.env("GLOSSATOR_LOG", env).output().expect("gloss"))
    };
    assert!(run(&["--threads", "1"], "").err.starts_with("device: cpu, 1 thread\n"));
    assert_eq!(run(&["--quiet"], "").err, "");
    assert_eq!(run(&[], "quiet").err, "");
    for json in [run(&["--log-format", "json"], ""), run(&[], "json")] {
        assert_eq!(objects(&json.err)[0]["level"], "info");
    }
    assert!(run(&["--log-format", "text"], "json").err.starts_with("device"));
    assert!(run(&[], "loud").fails(2).contains("GLOSSATOR_LOG"));
}

#[test]
fn nothing_gives_nothing_and_empty_lines_stay() {
    let (models, folder) = (models(), Folder::new());
    for to in ["inline", "jsonl", "conll", "conllu"] {
        let args = ["tag", "-q", "-m", &models.ner(), "--to", to];
        assert_eq!(folder.pipe(&args, "").ok(), "", "{to}");
    }
    let args = ["tag", "-q", "-m", &models.upos(), "--from", "lines"];
    assert_eq!(folder.pipe(&args, "left\n\nleft\n").ok().lines().count(), 3);
}

#[test]
fn labels_keep_to_what_is_known() {
    let models = models();
    let folder = models.folder();
    let text = "Nora visited Turin .\nLindholm left Riga .\n";
    let tag = |more: &[&str]| {
        let args =
            ["tag", "-q", "--from", "tokens", "--to", "jsonl", "--scores", "-m", &models.ner()];
        folder.pipe(&[&args[..], more].concat(), text)
    };
    let labels = |objects: &[serde_json::Value]| -> Vec<String> {
        let spans = objects.iter().flat_map(|object| object["spans"].as_array().unwrap());
        spans
            .map(|span| {
                format!("{}/{}", span["text"].as_str().unwrap(), span["label"].as_str().unwrap())
            })
            .collect()
    };
    let free = labels(&tag(&[]).objects());
    assert!(free.contains(&"Turin/LOC".to_owned()), "{free:?}");
    let none = labels(&tag(&["--forbid", "LOC"]).objects());
    assert!(none.iter().all(|label| !label.ends_with("/LOC")), "{none:?}");
    assert!(labels(&tag(&["--forbid", "LOC,PER"]).objects()).is_empty());
    std::fs::write(folder.path("phrases.tsv"), "LOC\tNora visited\t500\n").unwrap();
    let raised = tag(&["--gazetteer", "phrases.tsv"]).objects();
    assert_eq!(labels(&raised)[0], "Nora visited/LOC");
    assert!(raised[0]["spans"][0]["score"].as_f64() > Some(0.99));
    assert!(tag(&["--forbid", "XYZ"]).fails(2).contains("`XYZ` is no label"));
    std::fs::write(folder.path("bad.tsv"), "LOC Nora\n").unwrap();
    assert!(tag(&["--gazetteer", "bad.tsv"]).fails(3).contains("bad.tsv:1: "));
    // Some tokens are labelled already.
    let rows = "Nora\t_\nvisited\tB-PER\nTurin\tI-PER\n.\t_\n";
    let fixed = |rows: &str| {
        let args = ["tag", "-q", "--from", "conll", "--columns", "token,known", "--to", "jsonl"];
        folder.pipe(&[&args[..], &["--fix", "known", "-m", &models.ner()]].concat(), rows)
    };
    assert!(labels(&fixed(rows).objects()).contains(&"visited Turin/PER".to_owned()));
    let first_scheme = fixed("Nora\tI-PER\nvisited\tO\n").objects();
    assert_eq!(labels(&first_scheme), ["Nora/PER"], "tags may be of any scheme");
    assert!(fixed("Nora\tB-XYZ\n").fails(3).contains("`B-XYZ`"));
    let no_column = folder
        .pipe(&["tag", "-q", "--from", "lines", "--fix", "known", "-m", &models.ner()], "a b\n");
    let two = ["tag", "-q", "--fix", "known", "-m", &models.ner(), "-m", &models.upos()];
    assert!(folder.pipe(&two, "a b\n").fails(2).contains("of one model"));
    assert!(no_column.fails(3).contains("no column `known`"));
}
