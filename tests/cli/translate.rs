//! `gloss translate`, and the training of translators.

use std::sync::{Arc, Mutex, Weak};

use crate::folder::{Folder, Run};

/// Words and what they are called elsewhere, one for one.
const WORDS: [(&str, &str); 8] = [
    ("the", "la"),
    ("cat", "kato"),
    ("dog", "hundo"),
    ("owl", "strigo"),
    ("sees", "vidas"),
    ("hears", "aŭdas"),
    ("red", "ruĝa"),
    ("old", "maljuna"),
];

/// Sentences of a small grammar in both languages.
fn text() -> (String, String) {
    let (mut there, mut back) = (String::new(), String::new());
    for i in 0..600 {
        let adjective = [None, Some(6), Some(7)][i / 7 % 3];
        let subject = [Some(0), adjective, Some(1 + i % 3), Some(4 + i / 3 % 2)];
        let object = [Some(0), [None, Some(7), Some(6)][i / 11 % 3], Some(1 + i / 5 % 3)];
        let words: Vec<_> = subject.into_iter().chain(object).flatten().map(|w| WORDS[w]).collect();
        let line = |side: fn(&(&str, &str)) -> String| {
            words.iter().map(side).collect::<Vec<_>>().join(" ") + ".\n"
        };
        there += &line(|(word, _)| (*word).to_owned());
        back += &line(|(_, word)| (*word).to_owned());
    }
    (there, back)
}

const CONFIG: &str = r#"task = "translator"
[data]
train_source = "train.en"
train_target = "train.eo"
dev_source = "dev.en"
dev_target = "dev.eo"
[subwords]
vocabulary_size = 340
[translator]
embedding_dim = 32
hidden_dim = 32
dropout = 0.0
output_dropout = 0.0
word_dropout = 0.0
label_smoothing = 0.0
[training]
learning_rate = 0.01
beta2 = 0.98
batch_size = 100
max_epochs = 8
ema_decay = 0.0
"#;

fn corpora() -> Folder {
    let (there, back) = text();
    let first = |text: &str| text.lines().take(40).collect::<Vec<_>>().join("\n");
    Folder::new()
        .with("dev.en", first(&there))
        .with("dev.eo", first(&back))
        .with("train.en", there)
        .with("train.eo", back)
        .with("en-eo.toml", CONFIG)
}

/// A folder with corpora and the translator `en-eo`, trained once for all tests
/// that run at the same time.
fn world() -> Arc<Folder> {
    static WORLD: Mutex<Weak<Folder>> = Mutex::new(Weak::new());
    let mut world = WORLD.lock().expect("a trained model");
    world.upgrade().unwrap_or_else(|| {
        let folder = Arc::new(corpora());
        folder.gloss(&["train", "-q", "en-eo.toml"]).ok();
        *world = Arc::downgrade(&folder);
        folder
    })
}

fn translate(folder: &Folder, more: &[&str], input: &str) -> Run {
    folder.pipe(&[&["translate", "-q", "-m", "./en-eo"], more].concat(), input)
}

#[test]
fn lines_come_out_in_their_order_however_odd() {
    let world = world();
    let input = "the cat sees the old dog.\r\n\n   \nThe owl hears the cat. The dog sees the owl.\n\
                 🙂 שלום\u{200f} Ω\nthe red owl sees the dog.";
    let out = translate(&world, &[], input).ok();
    let lines: Vec<&str> = out.split('\n').collect();
    assert_eq!(lines.len(), 7, "{out}");
    assert_eq!((lines[1], lines[2]), ("", "   "));
    assert!(lines[0].starts_with("la "), "{out}");
    // Neither the way of reading nor that of computing changes anything.
    for more in [&["--batch-size", "1"][..], &["--threads", "1"], &["--beam", "5", "-"]] {
        assert_eq!(translate(&world, more, input).ok(), out, "{more:?}");
    }
    for (want, line) in lines.iter().zip(input.lines()) {
        let made = translate(&world, &[], &format!("{line}\n")).ok();
        assert_eq!(made.strip_suffix('\n'), Some(*want), "{line}");
    }
    assert_eq!(translate(&world, &[], "").ok(), "");
}

#[cfg(feature = "en-de")]
#[test]
fn the_translator_in_the_box_translates() {
    let folder = Folder::new();
    let out = folder.pipe(&["translate", "-q", "-m", "en-de"], "How old are you?\n\nTom laughed.");
    let out = out.ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("Wie alt ") && lines[0].ends_with('?'), "{out}");
    assert_eq!(lines[1..], ["", "Tom lachte."]);
    let card = folder.gloss(&["models", "show", "en-de"]).ok();
    assert!(card.contains("Tatoeba") && card.contains("CC BY 2.0 FR"), "{card}");
}

#[test]
fn a_document_keeps_its_paragraphs() {
    let world = world();
    let [first, second, third] =
        ["The cat sees the dog.", "The owl hears the cat.", "The dog sees the owl."]
            .map(|line| translate(&world, &[], line).ok().trim_end().to_owned());
    let input = "The cat sees\nthe dog. The owl hears the cat.\n\n  The dog sees the owl.\n";
    let out = translate(&world, &["--from", "text"], input).ok();
    assert_eq!(out, format!("{first} {second}\n\n  {third}\n"));
    let wide = translate(&world, &["--from", "text"], &input.replace('\n', "\r\n")).ok();
    assert_eq!(wide, out.replace('\n', "\r\n"), "line ends of Windows stay");
}

#[test]
fn a_document_ends_with_its_file() {
    let world = world();
    let made = |line| translate(&world, &[], line).ok().trim_end().to_owned();
    let folder = Folder::new().with("a.txt", "the cat").with("b.txt", "sees the dog.\n");
    let model = world.path("en-eo").display().to_string();
    let args = ["translate", "-q", "-m", &model, "--from", "text", "a.txt", "b.txt"];
    let out = folder.gloss(&args).ok();
    assert_eq!(out, format!("{}\n{}\n", made("the cat"), made("sees the dog.")));
    let objects = folder.gloss(&[&args[..], &["--to", "jsonl"]].concat()).objects();
    let sources: Vec<_> = objects.iter().map(|object| object["source"].clone()).collect();
    assert_eq!(sources, ["the cat", "sees the dog."]);
}

#[test]
fn space_around_a_line_is_no_part_of_what_is_scored() {
    let world = world();
    let score = |source: &str, target: &str| {
        let folder = Folder::new().with("target", target);
        let target = folder.path("target").display().to_string();
        translate(&world, &["--references", &target], source).ok()
    };
    let plain = score("the cat sees the dog.\n", "la kato vidas la hundo.\n");
    assert_eq!(score("  the cat sees the dog. \n", " la kato vidas la hundo.  \n"), plain);
}

#[test]
fn hypotheses_scores_and_alignments_are_written() {
    let (world, input) = (world(), "the cat sees the dog.\nthe owl hears the cat.\n");
    let out = translate(&world, &["--n-best", "3"], input).ok();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(" ||| ").collect()).collect();
    assert_eq!(lines.iter().map(|line| line[0]).collect::<String>(), "000111");
    let score = |line: &Vec<&str>| line[2].parse::<f64>().expect("a score");
    assert!(lines.chunks(3).all(|all| all.windows(2).all(|two| score(&two[0]) >= score(&two[1]))));

    let scored = translate(&world, &["--scores"], input).ok();
    assert_eq!(scored.lines().next(), Some(&*format!("{} ||| {}", lines[0][1], lines[0][2])));
    let aligned = translate(&world, &["--alignments", "pharaoh"], input).ok();
    let pairs = aligned.lines().next().and_then(|line| line.split(" ||| ").nth(1));
    let number = |n: &str| n.parse::<usize>().is_ok_and(|n| n < 5);
    let pair = |pair: &str| pair.split_once('-').is_some_and(|(a, b)| number(a) && number(b));
    assert!(pairs.is_some_and(|pairs| pairs.split(' ').all(pair)), "{aligned}");

    let objects =
        translate(&world, &["--to", "jsonl", "--n-best", "2", "--alignments", "json"], input);
    let objects = objects.objects();
    assert_eq!(objects.len(), 2);
    assert_eq!(
        (&objects[1]["line"], &objects[1]["source"]),
        (&2.into(), &"the owl hears the cat.".into())
    );
    assert_eq!(objects[0]["text"], lines[0][1]);
    assert_eq!(objects[0]["hypotheses"].as_array().expect("a list").len(), 2);
    let alignment = &objects[0]["alignment"];
    let rows = alignment["weights"].as_array().expect("rows");
    assert_eq!(rows.len(), alignment["target"].as_array().expect("subwords").len());

    let page =
        translate(&world, &["--alignments", "html"], &format!("{input}<b> & the cat.\n")).ok();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert_eq!(page.matches("<table>").count(), 3);
    let table = page.split("</table>").next().expect("a table");
    let row = rows[0].as_array().expect("weights").len();
    assert_eq!(table.matches("<td").count(), rows.len() * row, "{table}");
    assert!(!page.contains("<b>"), "what is read is text");
    translate(&world, &["--alignments", "html", "--n-best", "2"], input).fails(2);
}

#[test]
fn given_translations_are_scored() {
    let world = world();
    let input = "the cat sees the dog.\nthe cat sees the dog.\n";
    let folder = Folder::new().with("ok", "la kato vidas la hundo.\nla hundo vidas la kato.\n");
    let references = folder.path("ok").display().to_string();
    let out = translate(&world, &["--references", &references], input).ok();
    let scores: Vec<f64> = out.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(scores[0] > scores[1] && scores[0] <= 0.0, "{scores:?}");
    for (text, line) in [("the cat sees the dog.\n", 2), ("a.\nb.\nc.\n", 3)] {
        let error = translate(&world, &["--references", &references], text).fails(3);
        assert!(error.contains(&format!(":{line}: the file ends")), "{error}");
    }
}

#[test]
fn prefixes_samples_and_ensembles_are_obeyed() {
    let (world, input) = (world(), "the cat sees the dog.\n");
    let begun = translate(&world, &["--prefix", "la hundo"], input).ok();
    assert!(begun.starts_with("la hundo"), "{begun}");
    let draw = |seed: &str| {
        translate(&world, &["--sample", "--temperature", "3", "--seed", seed], input).ok()
    };
    assert_eq!(draw("1"), draw("1"));
    assert!((2..9).any(|seed| draw(&seed.to_string()) != draw("1")));
    let two = translate(&world, &["-m", "./en-eo"], input).ok();
    assert_eq!(two, translate(&world, &[], input).ok());
}

#[test]
fn what_cannot_be_done_is_said() {
    let world = world();
    translate(&world, &["--beam", "0"], "a\n").fails(2);
    translate(&world, &["--length-penalty", "x"], "a\n").fails(2);
    translate(&world, &["--from", "text", "--n-best", "2"], "a\n").fails(2);
    world.pipe(&["translate", "-m", "./nothing"], "a\n").fails(4);
    world.pipe(&["translate"], "a\n").fails(2);
    translate(&world, &["missing.txt"], "").fails(5);
    world.pipe(&["tag", "-m", "./en-eo"], "a\n").fails(4);
    let folder = Folder::new().with("bad", b"the cat.\n\xff\n");
    let bad = folder.path("bad").display().to_string();
    let error = translate(&world, &[&bad], "").fails(3);
    assert!(error.contains(":2: byte"), "{error}");
    assert_eq!(translate(&world, &["--lossy", &bad], "").ok().lines().count(), 2);
}

#[test]
fn a_training_that_cannot_be_is_refused_with_its_place() {
    let folder = corpora().with("short.eo", "unu\ndu\n").with("empty.eo", "\n".repeat(600));
    let train = |set: &str| folder.gloss(&["train", "-q", "en-eo.toml", "--set", set]);
    let error = train("data.train_target=short.eo").fails(3);
    assert!(error.contains("short.eo:3: the file ends before this line"), "{error}");
    let error = train("data.train_target=none.eo").fails(2);
    assert!(error.contains("data.train_target"), "{error}");
    train("data.train_target=empty.eo").fails(3);
    train("data.test_source=dev.en").fails(2);
    train("translator.attention=dot").fails(2);
    train("subwords.vocabulary_size=10").fails(2);
    assert!(!folder.path("en-eo").exists());
    let checked = folder.gloss(&["check", "en-eo.toml"]).ok();
    assert!(checked.contains("train: 600 pairs") && checked.contains("no findings"), "{checked}");
    let broken = CONFIG.replace("train.eo", "short.eo");
    let folder = folder.with("broken.toml", broken);
    let found = folder.gloss(&["check", "broken.toml"]);
    assert_eq!(found.code, Some(1), "{}", found.err);
    assert!(found.out.contains("short.eo:3: "), "{}", found.out);
}

#[test]
fn a_training_shows_bleu_and_gradients() {
    let folder = corpora();
    let brief = ["--set", "training.max_steps=3", "--set", "training.gradient_flow=true"];
    let run = folder.gloss(&[&["train", "en-eo.toml"][..], &brief].concat());
    for part in ["BLEU", "gradient, layer 0: ", "tok:13a"] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    run.ok();
    let card = String::from_utf8(folder.read("en-eo/README.md")).expect("UTF-8");
    assert!(card.contains("BLEU ") && card.contains("smooth:exp"), "{card}");
    let by =
        ["--force", "--set", "training.max_steps=3", "--set", "translator.choose_by=likelihood"];
    let run = folder.gloss(&[&["train", "en-eo.toml"][..], &by].concat());
    assert!(!run.err.contains("      BLEU"), "no column: {}", run.err);
}

#[test]
fn a_long_document_is_translated_piece_by_piece() {
    let world = world();
    let [cat, owl] = ["the cat sees the dog.", "the owl hears the cat."];
    let [la_cat, la_owl] = [cat, owl].map(|text| translate(&world, &[], text).ok());
    let gap = " ".repeat(1 << 16);
    let text = format!("{cat}{gap}\n\n{owl}\n{gap}\n{cat}");
    let out = translate(&world, &["--from", "text"], &text).ok();
    let (la_cat, la_owl) = (la_cat.trim_end(), la_owl.trim_end());
    assert!(out == format!("{la_cat}{gap}\n\n{la_owl}\n{gap}\n{la_cat}\n"), "{}", out.len());
}

#[test]
fn translations_are_made_on_the_processor_only() {
    let folder = corpora();
    let args = ["translate", "-m", "./en-eo", "--device", "cuda"];
    let error = folder.pipe(&args, "").fails(2);
    assert!(error.contains("translations are made on the processor only"), "{error}");
    folder.gloss(&["train", "en-eo.toml", "--device", "cuda"]).fails(2);
}

#[test]
fn a_translator_is_measured() {
    let world = world();
    let bench = ["bench", "-q", "--json", "--runs", "2", "--from", "lines", "-m", "./en-eo"];
    for beam in ["1", "5"] {
        let run = world.gloss(&[&bench[..], &["--beam", beam, "dev.en"]].concat());
        let report = run.objects().remove(0);
        assert_eq!(report["sentences"], 40, "{report}");
        assert!(report["sentences_per_second"]["median"].as_f64() > Some(0.0), "{report}");
    }
}

#[test]
fn a_translator_is_scored_as_the_file_of_its_translations() {
    let world = world();
    let made = world.gloss(&["translate", "-q", "-m", "./en-eo", "dev.en"]).ok();
    let eval = |args: &[&str], input: &str| world.pipe(&[&["eval", "-q"], args].concat(), input);
    let references = ["--references", "dev.eo", "--metric", "bleu,chrf"];
    let own = eval(&[&["-m", "./en-eo", "dev.en"][..], &references].concat(), "").ok();
    let file = eval(&[&["--hypotheses", "-"][..], &references].concat(), &made).ok();
    assert_eq!(own, file);
    assert!(own.starts_with("bleu") && own.contains("chrf"), "{own}");
    assert!(eval(&["-m", "./en-eo", "dev.en"], "").fails(2).contains("--references"));
    let two = ["-m", "./en-eo", "dev.en", "dev.en", "--references", "dev.eo"];
    assert!(eval(&two, "").fails(2).contains("one file"));
    let error = eval(&["-m", "en-ner", "dev.en", "--references", "dev.eo"], "").fails(2);
    assert!(error.contains("--references"), "{error}");
}
