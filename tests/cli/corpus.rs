//! A small corpus of made-up sentences, which a small tagger learns at once.

const PEOPLE: [&str; 12] = [
    "Nora", "Emil", "Ada", "Zoë", "Jonas", "Mira", "Otto", "Lena", "Hugo", "Clara", "Felix", "Ida",
];
const PLACES: [&str; 8] =
    ["Turin", "Lindholm", "Auweiler", "Bergen", "Porto", "Ghent", "Malmö", "Riga"];
const VERBS: [&str; 5] = ["visited", "left", "loves", "knows", "reached"];

/// A word, its part of speech, and its tag.
type Row = (&'static str, &'static str, &'static str);

fn sentences() -> Vec<Vec<Row>> {
    let mut sentences = Vec::new();
    for (i, person) in PEOPLE.into_iter().enumerate() {
        for (j, place) in PLACES.into_iter().enumerate().filter(|(j, _)| (i + j) % 2 == 0) {
            let (person, place) = ((person, "PROPN", "B-PER"), (place, "PROPN", "B-LOC"));
            let verb = (VERBS[(i + 2 * j) % VERBS.len()], "VERB", "O");
            let stop = (".", "PUNCT", "O");
            sentences.push(match j % 4 {
                0 | 1 => vec![person, verb, place, stop],
                _ => {
                    let (first, last) = (("In", "ADP", "O"), ("maps", "NOUN", "O"));
                    vec![first, place, person, ("Feld", "PROPN", "I-PER"), verb, last, stop]
                }
            });
        }
    }
    sentences
}

/// The corpus as CoNLL-U, with `NER` in MISC.
pub fn conllu() -> String {
    let mut text = String::new();
    for (number, sentence) in sentences().into_iter().enumerate() {
        text += &format!("# sent_id = {number}\n");
        for (i, (word, upos, ner)) in sentence.into_iter().enumerate() {
            text += &format!("{}\t{word}\t_\t{upos}\t_\t_\t_\t_\t_\tNER={ner}\n", i + 1);
        }
        text.push('\n');
    }
    text
}

/// The words of the corpus, one sentence a line, so many times.
pub fn tokens(times: usize) -> String {
    let line = |sentence: Vec<Row>| {
        sentence.into_iter().map(|(word, ..)| word).collect::<Vec<_>>().join(" ") + "\n"
    };
    sentences().into_iter().map(line).collect::<String>().repeat(times)
}

/// A configuration that trains a small tagger on `train.conllu`.
pub fn configuration(layer: &str, epochs: usize) -> String {
    format!(
        r#"task = "tagger"
[data]
train = "train.conllu"
layer = "{layer}"
[tagger]
hidden_dim = 8
reprojection = false
word_dropout = 0.0
locked_dropout = 0.1
[[tagger.embeddings]]
type = "characters"
embedding_dim = 8
hidden_dim = 8
[training]
optimizer = "adamw"
schedule = "constant"
learning_rate = 0.02
batch_size = 4
max_epochs = {epochs}
patience = 0
checkpoint_seconds = 0
"#
    )
}
