//! Every format of input to every format of output.

use serde_json::Value;

use crate::folder::{Folder, models, objects};

const INPUTS: [(&str, &str); 6] = [
    ("text", "Nora visited Turin. In Porto\nEmil Feld knows maps.\n"),
    ("lines", "Nora visited Turin.\nIn Porto Emil Feld knows maps.\n"),
    ("tokens", "Nora visited Turin .\nIn Porto Emil Feld knows maps .\n"),
    ("conll", "Nora\nvisited\nTurin\n.\n\nIn\nPorto\nEmil\nFeld\nknows\nmaps\n.\n"),
    (
        "conllu",
        "1\tNora\t_\t_\t_\t_\t_\t_\t_\t_\n2\tvisited\t_\t_\t_\t_\t_\t_\t_\t_\n\
         3\tTurin\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n4\t.\t_\t_\t_\t_\t_\t_\t_\t_\n\n\
         1\tIn\t_\t_\t_\t_\t_\t_\t_\t_\n2\tPorto\t_\t_\t_\t_\t_\t_\t_\t_\n\
         3\tEmil\t_\t_\t_\t_\t_\t_\t_\t_\n4\tFeld\t_\t_\t_\t_\t_\t_\t_\t_\n\
         5\tknows\t_\t_\t_\t_\t_\t_\t_\t_\n6\tmaps\t_\t_\t_\t_\t_\t_\t_\t_\n\
         7\t.\t_\t_\t_\t_\t_\t_\t_\t_\n\n",
    ),
    (
        "jsonl",
        "{\"text\": \"Nora visited Turin.\"}\n\
         {\"tokens\": [\"In\", \"Porto\", \"Emil\", \"Feld\", \"knows\", \"maps\", \".\"]}\n",
    ),
];

const INLINE: &str = "\
Nora visited Turin . → [\"Nora\"/PER, \"Turin\"/LOC]
In Porto Emil Feld knows maps . → [\"Porto\"/LOC, \"Emil Feld\"/PER]
";

const COLUMNS: &str = "Nora B-PER|visited O|Turin B-LOC|. O||In O|Porto B-LOC|Emil B-PER|Feld I-PER|knows O|maps O|. O";

/// Rows of two cells as one line, `||` between sentences.
fn columns(text: &str, word: usize, tag: usize) -> String {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(['\t', ' ']).collect();
        let tag = cells.get(tag).map(|cell| cell.rsplit("NER=").next().unwrap_or_default());
        tag.map_or(String::new(), |tag| format!("{} {tag}", cells[word]))
    };
    let rows = text.lines().filter(|line| !line.starts_with("# ")).map(row);
    rows.collect::<Vec<_>>().join("|").trim_end_matches('|').to_owned()
}

#[test]
fn every_input_gives_every_output() {
    let (models, folder) = (models(), Folder::new());
    for (from, input) in INPUTS {
        let tag = |to| {
            let args = ["tag", "-q", "-m", &models.ner(), "--from", from, "--to", to];
            folder.pipe(&args, input).ok()
        };
        assert_eq!(tag("inline"), INLINE, "{from}");
        assert_eq!(columns(&tag("conll"), 0, 1), COLUMNS, "{from}");
        assert_eq!(columns(&tag("conllu"), 1, 9), COLUMNS, "{from}");
        let page = tag("html");
        assert_eq!(page.matches("<mark ").count(), 4, "{from}: {page}");
        assert!(page.contains(">Emil Feld<b>PER</b></mark>"), "{from}: {page}");
        let spans = |object: &Value| {
            let spans = object["spans"].as_array().expect("spans").iter();
            spans.map(|span| format!("{} {}", span["text"], span["label"])).collect::<Vec<_>>()
        };
        let found: Vec<_> = objects(&tag("jsonl")).iter().flat_map(spans).collect();
        assert_eq!(
            found,
            [r#""Nora" "PER""#, r#""Turin" "LOC""#, r#""Porto" "LOC""#, r#""Emil Feld" "PER""#],
            "{from}"
        );
    }
}

#[test]
fn labels_of_words_stand_at_the_words() {
    let (models, folder) = (models(), Folder::new());
    let args = ["tag", "-q", "-m", &models.upos(), "--from", "tokens"];
    let out = folder.pipe(&args, "Nora visited Turin .\n").ok();
    assert_eq!(out, "Nora/PROPN visited/VERB Turin/PROPN ./PUNCT\n");
}

/// The part of a text from `start` to `end` in this unit.
fn slice(text: &str, unit: &str, start: usize, end: usize) -> String {
    match unit {
        "bytes" => text[start..end].to_owned(),
        "chars" => text.chars().skip(start).take(end - start).collect(),
        _ => {
            let units: Vec<u16> = text.encode_utf16().collect();
            String::from_utf16(&units[start..end]).expect("whole characters")
        }
    }
}

#[test]
fn offsets_are_exact_slices_of_the_document() {
    let text = "😀 Zoë visited Malmö.  Nora left 𝄞 Turin.\n\nCafé: Emil loves Riga.\n";
    let (models, folder) = (models(), Folder::new().with("a.txt", text));
    let mut starts = Vec::new();
    for unit in ["chars", "bytes", "utf16"] {
        let args = ["tag", "-q", "-m", &models.ner(), "--to", "jsonl", "--offsets", unit, "a.txt"];
        let mut spans = 0;
        for object in folder.gloss(&args).objects() {
            let (mut slices, empty) = (vec![object.clone()], Vec::new());
            slices.extend(object["tokens"].as_array().unwrap_or(&empty).clone());
            slices.extend(object["spans"].as_array().unwrap_or(&empty).clone());
            spans += object["spans"].as_array().map_or(0, Vec::len);
            for part in slices {
                let place = |key: &str| part[key].as_u64().expect("a number") as usize;
                let found = slice(text, unit, place("start"), place("end"));
                assert_eq!(part["text"], found, "{unit}");
            }
            starts.push(object["start"].as_u64());
        }
        assert!(spans >= 3, "{unit}: {spans} spans");
    }
    let third = starts.len() / 3;
    assert_ne!(starts[..third], starts[third..2 * third], "characters are not bytes");
    assert_ne!(starts[..third], starts[2 * third..], "nor units of UTF-16");
}

#[test]
fn brat_holds_the_places_of_one_document() {
    let (models, folder) = (models(), Folder::new().with("a.txt", INPUTS[0].1));
    let ner = models.ner();
    let brat = |more: &[&str]| {
        folder.gloss(&[&["tag", "-q", "-m", &ner, "--to", "brat"][..], more].concat())
    };
    let want = "T1\tPER 0 4\tNora\nT2\tLOC 13 18\tTurin\nT3\tLOC 23 28\tPorto\n\
                T4\tPER 29 38\tEmil Feld\n";
    assert_eq!(brat(&["--from", "text", "a.txt"]).ok(), want);
    assert!(brat(&["--scores", "a.txt"]).ok().contains("\n#1\tAnnotatorNotes T1\t"));
    assert!(brat(&["a.txt", "a.txt"]).fails(2).contains("one file at a time"));
    assert!(brat(&["--from", "lines", "a.txt"]).fails(2).contains("one document"));
}

const HARBOUR: &str = include_str!("../../corpora/harbour.conllu");

/// The cells of a line if it is the row of a word.
fn word_row(line: &str) -> Option<Vec<&str>> {
    let cells: Vec<&str> = line.split('\t').collect();
    (cells.len() == 10 && cells[0].bytes().all(|byte| byte.is_ascii_digit())).then_some(cells)
}

#[test]
fn conllu_is_kept_byte_for_byte_but_for_the_layer() {
    let (models, folder) = (models(), Folder::new().with("a.conllu", HARBOUR));
    let args = |to| ["tag", "-q", "-m", &models.upos(), "--to", to, "a.conllu"].map(str::to_owned);
    let run = |to| folder.gloss(&args(to).each_ref().map(String::as_str));
    let tagged = run("conllu").ok();
    let objects = run("jsonl").objects();
    let tokens = objects.iter().flat_map(|object| object["tokens"].as_array().expect("tokens"));
    let mut labels = tokens.map(|token| token["labels"]["upos"]["label"].as_str().expect("label"));
    let mut want = String::new();
    for line in HARBOUR.split_inclusive('\n') {
        match word_row(line) {
            Some(mut cells) => {
                cells[3] = labels.next().expect("a label for each word");
                want.push_str(&cells.join("\t"));
            }
            None => want.push_str(line),
        }
    }
    assert_eq!(tagged, want);
    assert_eq!(labels.next(), None);
}

#[test]
fn a_key_of_misc_is_replaced_where_it_stands() {
    let (models, folder) = (models(), Folder::new().with("a.conllu", HARBOUR));
    let args = ["tag", "-q", "-m", &models.ner(), "--to", "conllu", "a.conllu"];
    let tagged = folder.gloss(&args).ok();
    assert_eq!(tagged.lines().count(), HARBOUR.lines().count());
    for (new, old) in tagged.split_inclusive('\n').zip(HARBOUR.split_inclusive('\n')) {
        let (Some(new), Some(old)) = (word_row(new), word_row(old)) else {
            assert_eq!(new, old);
            continue;
        };
        assert_eq!(new[..9], old[..9]);
        let others = |misc: &str| {
            let entries = misc.trim_end_matches('\n').split('|');
            let kept = entries.filter(|entry| !entry.starts_with("NER=") && *entry != "_");
            kept.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(others(new[9]), others(old[9]));
        assert!(new[9].contains("NER="));
    }
}
