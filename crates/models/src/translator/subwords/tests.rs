use glossator_nn::Rng;
use rayon::prelude::*;

use super::*;
use crate::translator::{SubwordKind, SubwordsConfig};

const TEXT: &[&str] = &[
    "The old mill stands by the river.",
    "The miller's daughter walked along the river to the mill.",
    "Die alte Mühle steht am Fluss.",
    "Die Tochter des Müllers ging am Fluss entlang zur Mühle.",
    "In 1994 the river rose by 3.5 metres; the mill stood still.",
    "Im Jahr 1994 stieg der Fluss um 3,5 Meter; die Mühle stand still.",
];

fn learn(kind: SubwordKind, size: usize) -> Subwords {
    let config = SubwordsConfig { kind, ..SubwordsConfig::default() };
    Subwords::learn(&config, size, TEXT.par_iter().copied()).unwrap()
}

const KINDS: [SubwordKind; 3] = [SubwordKind::Bpe, SubwordKind::Unigram, SubwordKind::Characters];

#[test]
fn any_text_comes_back_as_it_was() {
    let odd = [
        "",
        " ",
        "   two  spaces ",
        "The mill.",
        "never-seen: Ω漢字🙂\u{200d}e\u{301}",
        "▁ itself, ▁▁ and <s> </s> <unk> <0x41>",
        "\ttab\u{a0}and\u{2028}more\0",
        "שלום עולם مرحبا",
        "12345678901234567890",
    ];
    for kind in KINDS {
        let subwords = learn(kind, 400);
        let again = Subwords::from_bytes(subwords.to_json().unwrap().as_bytes()).unwrap();
        for text in odd.iter().chain(TEXT) {
            let ids = subwords.encode(text);
            assert!(ids.iter().all(|&id| id as usize >= FIRST_BYTE), "{kind:?} {text:?}: {ids:?}");
            assert_eq!(subwords.decode(&ids), **text, "{kind:?}");
            assert_eq!(again.encode(text), ids, "{kind:?}");
        }
        let foreign = Tokenizer::from_bytes(subwords.to_json().unwrap()).unwrap();
        let ids = subwords.encode(TEXT[3]);
        assert_eq!(foreign.encode(TEXT[3], true).unwrap().get_ids(), ids, "{kind:?}");
        assert_eq!(foreign.decode(&ids, true).unwrap(), TEXT[3], "{kind:?}");
    }
}

#[test]
fn learning_gives_the_same_vocabulary_each_time_and_on_any_threads() {
    for kind in KINDS {
        let json = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| learn(kind, 400).to_json().unwrap())
        };
        let first = json(1);
        assert!([1, 3, 3].into_iter().all(|threads| json(threads) == first), "{kind:?}");
    }
}

#[test]
fn sizes_are_limits_and_frequent_words_are_one_unit() {
    let [bpe, unigram, characters] = KINDS.map(|kind| learn(kind, 330));
    assert!(bpe.len() <= 330 && unigram.len() <= 330 && characters.len() <= 330);
    assert_eq!(learn(SubwordKind::Bpe, 400).encode("the mill").len(), 2);
    assert_eq!(characters.encode("the mill").len(), 9);
    assert_eq!(bpe.piece(bpe.encode("a")[0]).chars().next(), Some(SPACE));
}

#[test]
fn dropout_of_merges_is_seeded_and_changes_no_text() {
    let subwords = learn(SubwordKind::Bpe, 400);
    let merges = Merges::of(&subwords).unwrap();
    for text in TEXT {
        let draw = |p: f32, seed: u64| {
            subwords.encode_by_chance(&merges, text, p, &mut Rng::new(seed, "subwords", 0))
        };
        assert_eq!(draw(0.0, 1), subwords.encode(text));
        assert_eq!(draw(0.3, 1), draw(0.3, 1));
        assert_ne!(draw(0.3, 1), draw(0.3, 2));
        assert!(draw(0.5, 1).len() > subwords.encode(text).len());
        assert_eq!(subwords.decode(&draw(0.5, 1)), *text);
    }
}

#[test]
fn files_that_are_no_vocabulary_are_refused() {
    let json = learn(SubwordKind::Bpe, 300).to_json().unwrap();
    assert!(Subwords::from_bytes(b"{}").is_err());
    assert!(Subwords::from_bytes(&json.as_bytes()[..json.len() / 2]).is_err());
    let swapped = json.replace("\"<s>\"", "\"<t>\"");
    assert_eq!(Subwords::from_bytes(swapped.as_bytes()).unwrap_err(), "unit 1 is not <s>");
}
