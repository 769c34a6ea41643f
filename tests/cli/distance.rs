//! Text that is far from what a model was trained on: said by `gloss check -m`
//! and by `gloss tag`.

use crate::folder::{Folder, models};

const NEAR: &str = "The committee met on Tuesday in the old town hall to discuss the budget. \
    It was the third time in a year that its members had come together for this purpose.\n";
const FAR: &str = "Комитет собрался во вторник в старой ратуше, чтобы обсудить бюджет города.\n";

#[test]
fn a_text_is_held_against_the_language_models_of_a_tagger() {
    let folder = Folder::new().with("near.txt", NEAR).with("far.txt", FAR);
    let near = folder.gloss(&["check", "-m", "en-ner", "near.txt"]).ok();
    assert!(near.contains("bits a character") && near.ends_with("no findings\n"), "{near}");
    let far = folder.gloss(&["check", "-m", "en-ner", "near.txt", "far.txt"]);
    assert_eq!(far.code, Some(1));
    assert!(far.out.starts_with(near.trim_end_matches("no findings\n")), "{}", far.out);
    let alone = folder.gloss(&["check", "-m", "en-ner", "--threads", "1", "near.txt"]);
    assert_eq!(alone.out, near, "threads change no result");
    assert!(alone.err.contains("device: cpu, 1 thread"), "{}", alone.err);
    for reason in ["far.txt: far from", "far.txt: many characters", "2 findings"] {
        assert!(far.out.contains(reason), "{}", far.out);
    }
}

#[test]
fn a_tagger_without_language_models_has_nothing_to_hold_a_text_against() {
    let (models, folder) = (models(), Folder::new().with("near.txt", NEAR));
    let error = folder.gloss(&["check", "-m", &models.ner(), "near.txt"]).fails(2);
    assert!(error.contains("no language model"), "{error}");
    folder.gloss(&["check"]).fails(2);
    folder.gloss(&["check", "-m", "en-ner", "absent.txt"]).fails(5);
}

#[test]
fn unknown_characters_are_said_and_the_rest_is_labelled() {
    let folder = Folder::new();
    let run = folder.pipe(&["tag", "-m", "en-ner"], "Angela Merkel met Владимир in Paris .\n");
    assert!(run.out.contains("\"Angela Merkel\"/PER"), "{}", run.out);
    let warning = "en-ner: characters unknown to its language model";
    assert!(run.err.contains(warning) && run.err.contains("В"), "{}", run.err);
    let run = folder.pipe(&["tag", "-m", "en-ner"], "Angela Merkel met him in Paris .\n");
    assert!(!run.err.contains("unknown"), "{}", run.err);
}
