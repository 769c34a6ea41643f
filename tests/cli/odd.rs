//! Input that nobody expects: odd characters, odd sizes, broken bytes, full disks.

use std::fs;

use serde_json::Value;

use crate::{
    corpus,
    folder::{Folder, Run, models},
};

/// Texts that other tools stumble over.
const TEXTS: [(&str, &str); 16] = [
    ("nothing", ""),
    ("only spaces", " \t \u{a0} \u{3000} \n \n"),
    ("byte order mark", "\u{feff}Nora left Turin."),
    ("line ends of three kinds", "Nora left.\r\nEmil stayed.\rZoë ran.\n\rEnd"),
    ("no last line end", "Nora left Turin"),
    ("null and other controls", "No\0ra \u{1}left\u{7f} Tu\u{8}rin\u{1b}[0m."),
    ("no width and soft hyphens", "No\u{200b}ra le\u{ad}ft \u{2060}Turin\u{feff}."),
    ("combining marks", "\u{301}Zoe\u{308} le\u{301}\u{302}\u{303}\u{304}ft. \u{300}"),
    ("lone variation selectors", "\u{fe0f} Nora\u{fe0e} left \u{fe0f}\u{fe0f}."),
    ("emoji in sequences", "👩‍👩‍👧 🇩🇪🇩 1️⃣ 👍🏽‍ ‍👍"),
    ("right to left, overridden", "\u{202e}arN\u{202c} left \u{2067}ירושלים\u{2069} العربية."),
    ("no spaces", "我们喜欢读书。我们喜欢。ฉันกินข้าว"),
    ("not in any plane that is used", "\u{10ffff}\u{e000}\u{f0000} left \u{2fa1f}."),
    ("quotes and brackets", "'\"“‘«(((Nora'))\"»’” left. '' `` ''' \"\" ()[]{}<>"),
    ("marks only", "... --- !!! ??? ,,, ;;; ::: /// \\\\\\ ### @@@ $$$ %%% ^^^ &&& *** +++ ==="),
    ("markup", "<script>alert('Nora')</script> &amp; <b>left</b> {{7*7}} ${x} %s %n"),
];

/// Everything that has a place in an object of the output.
fn parts(object: &Value) -> Vec<Value> {
    let empty = Vec::new();
    let of = |key: &str| object[key].as_array().unwrap_or(&empty).clone();
    [vec![object.clone()], of("tokens"), of("spans")].concat()
}

fn place(part: &Value, key: &str) -> usize {
    part[key].as_u64().expect("a number") as usize
}

#[test]
fn every_text_is_labelled_and_offsets_are_its_slices_in_all_units() {
    let models = models();
    for (name, text) in TEXTS {
        let folder = Folder::new().with("a.txt", text);
        for unit in ["bytes", "chars", "utf16"] {
            let chars: Vec<char> = text.chars().collect();
            let utf16: Vec<u16> = text.encode_utf16().collect();
            let slice = |start: usize, end: usize| match unit {
                "bytes" => text[start..end].to_owned(),
                "chars" => chars[start..end].iter().collect(),
                _ => String::from_utf16(&utf16[start..end]).expect("whole characters"),
            };
            let all = [text.len(), chars.len(), utf16.len()];
            let all = all[["bytes", "chars", "utf16"].iter().position(|u| *u == unit).unwrap()];
            let ner = models.ner();
            let args = ["tag", "-q", "-m", &ner, "--from", "text", "--to", "jsonl"];
            let run = folder.gloss(&[&args[..], &["--offsets", unit, "a.txt"]].concat());
            let (mut at, mut rebuilt) = (0, String::new());
            for object in run.objects() {
                for part in parts(&object) {
                    let found = slice(place(&part, "start"), place(&part, "end"));
                    assert_eq!(part["text"], found, "{name}, {unit}");
                }
                for token in object["tokens"].as_array().expect("tokens") {
                    let gap = slice(at, place(token, "start"));
                    let is_gap = gap.chars().all(|c| c.is_whitespace() || c == '\u{feff}');
                    assert!(is_gap, "{name}, {unit}: {gap:?} is lost");
                    rebuilt += &gap;
                    rebuilt += token["text"].as_str().expect("text");
                    at = place(token, "end");
                }
            }
            rebuilt += &slice(at, all);
            assert_eq!(rebuilt, text, "{name}, {unit}");
        }
    }
}

#[test]
fn every_text_goes_through_every_output() {
    let models = models();
    let args = |to| ["tag", "-q", "--from", "text", "--to", to].map(str::to_owned).to_vec();
    for (name, text) in TEXTS {
        for to in ["inline", "jsonl", "conll", "conllu", "html", "brat"] {
            let mut args = args(to);
            args.extend(["-m".to_owned(), models.ner()]);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let out = Folder::new().pipe(&args, text).ok();
            assert!(to == "html" || !out.contains('\0') || name.starts_with("null"), "{name}");
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_found_wherever_they_are() {
    let models = models();
    let chunk = 64 << 10;
    for at in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk] {
        let mut bytes = "Nora left. ".repeat(2 * chunk / 11 + 1).into_bytes();
        bytes.truncate(2 * chunk + 1);
        bytes[at] = 0xff;
        let folder = Folder::new().with("a.txt", &bytes);
        let tag = |more: &[&str]| {
            let ner = models.ner();
            folder.gloss(&[&["tag", "-q", "-m", &ner, "--from", "text"], more, &["a.txt"]].concat())
        };
        let error = tag(&[]).fails(3);
        assert!(error.contains(&format!("a.txt:1: byte {at} (0xFF)")), "{error}");
        tag(&["--lossy"]).ok();
    }
    // A character that the end cuts.
    let folder = Folder::new().with("a.txt", b"Nora left \xe2\x82");
    let error = folder.gloss(&["tag", "-q", "-m", &models.ner(), "a.txt"]).fails(3);
    assert!(error.contains("byte 10"), "{error}");
}

#[test]
fn nothing_is_too_long() {
    let models = models();
    let tag = |from: &str, text: &str| -> Run {
        let ner = models.ner();
        let args = ["tag", "-q", "--from", from, "--to", "conll", "-m", &ner];
        Folder::new().pipe(&args, text)
    };
    let rows = |run: Run| run.ok().lines().filter(|line| !line.is_empty()).count();
    let words = "Nora left Turin ".repeat(10_000_000 / 16);
    assert_eq!(rows(tag("text", &words)), 3 * (10_000_000 / 16), "a line of 10 MB");
    let word = "é".repeat(300_000);
    assert_eq!(tag("tokens", &word).ok(), format!("{word}\tO\n\n"), "a word of 300,000 characters");
    assert_eq!(rows(tag("tokens", &"a ".repeat(1_000_000))), 1_000_000, "a million tokens");
}

#[test]
fn columns_are_read_with_care() {
    let models = models();
    let good = "Nora\tO\nleft\tO\n\nTurin\tO";
    let tag = |text: &str| {
        let folder = Folder::new().with("a.tsv", text);
        folder.gloss(&["tag", "-q", "-m", &models.ner(), "--to", "conll", "a.tsv"])
    };
    assert_eq!(tag(good).ok().lines().count(), 4, "a missing last line end");
    assert_eq!(tag(&good.replace('\t', " ")).ok().lines().count(), 4, "spaces for tabs");
    assert_eq!(tag(&good.replace('\n', "\r\n")).ok().matches("\r\n").count(), 3, "CRLF is kept");
    for (bad, line) in [("Nora\tO\nleft\n\nTurin\tO\n", 2), ("Nora\tO\n\nleft\tO\tO\n", 3)] {
        let error = tag(bad).fails(3);
        assert!(error.contains(&format!("a.tsv:{line}: ")), "{error}");
    }
    assert!(tag("Nora\tO\n\tO\n").fails(3).contains("a.tsv:2: "), "an empty token");
    assert_eq!(tag("").ok(), "", "an empty file");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_5() {
    let models = models();
    let folder = Folder::new()
        .with("a.txt", "Nora left Turin. ".repeat(1000))
        .with("train.conllu", corpus::conllu())
        .with("a.toml", corpus::configuration("upos", 1));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let mut command = folder.command(&["tag", "-q", "-m", &models.ner(), "a.txt"]);
    let run: Run = command.stdout(full).output().expect("the program").into();
    assert!(run.fails(5).contains("cannot be written"));
    let error =
        folder.gloss(&["tag", "-q", "-m", &models.ner(), "-o", "/dev/full", "a.txt"]).fails(5);
    assert!(error.contains("No space left"), "{error}");
    // The log is the first file that a training writes to.
    fs::create_dir(folder.path("out")).expect("a folder");
    std::os::unix::fs::symlink("/dev/full", folder.path("out/log.jsonl")).expect("a link");
    folder.gloss(&["train", "-q", "a.toml", "-o", "out", "--resume"]).fails(5);
    assert!(!folder.path("out/model.safetensors").exists());
}
