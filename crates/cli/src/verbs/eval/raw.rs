//! The raw text of treebanks: how it is split, and labelled.

use glossator::{
    Position, Sentence, Tagger,
    corpus::Format,
    segment::{
        document,
        score::{Split, Treebank},
    },
};

use super::{Args, WINDOW, nothing_in};
use crate::{
    exit::Usage,
    input::{self, Input},
    log::Log,
    scores::{Metric, Raw, column},
};

/// Splits the raw text of the files, labels it if a model is named, and scores both.
pub fn score(args: &Args, log: Log) -> anyhow::Result<Raw> {
    input::expect(&args.files, "eval", super::EXAMPLES)?;
    if let Some(metric) = args.metrics().find(|metric| !Metric::OF_RAW_TEXT.contains(metric)) {
        let known = Metric::names(Metric::OF_RAW_TEXT);
        return Err(Usage(format!("{metric}: raw text has {known}")).into());
    }
    let tagger = match &args.model {
        Some(model) => Some(Tagger::load_in(model, args.labelling.prepare(log)?)?),
        None => None,
    };
    if args.metrics().any(|metric| metric == Metric::Labels) && tagger.is_none() {
        return Err(Usage("labels: name the model that gives them (-m)".to_owned()).into());
    }
    let gold = tagger.as_ref().map(|tagger| args.layer.as_deref().unwrap_or(tagger.layer()));
    let layer = tagger.as_ref().zip(gold).map(|(tagger, gold)| tagger.layer_of(gold));
    if let Some((tagger, _)) = tagger.as_ref().zip(layer).filter(|(_, layer)| layer.is_spans) {
        let name = tagger.name();
        return Err(Usage(format!("--raw: the model {name} labels spans, not words")).into());
    }
    let mut treebank = Treebank::default();
    let mut options = args.reading.options();
    if options.format == Format::Auto {
        options.format = Format::Conllu;
    }
    Input::open(&args.files, options).windows(WINDOW, log, |window| {
        for sentence in window.iter().filter(|sentence| !sentence.is_empty()) {
            if let Some(gold) = gold {
                column(sentence, gold)?;
            }
            treebank.add(sentence, gold);
        }
        Ok(())
    })?;
    if treebank.text.is_empty() {
        return Err(nothing_in("sentences", &args.files).into());
    }
    let mut sentences: Vec<Sentence> = document(&treebank.text, Position::default());
    if let Some(tagger) = &tagger {
        tagger.tag_batches(&mut sentences, args.labelling.batch_size)?;
    }
    let found = Split::of(&sentences, layer.map(|layer| layer.name));
    Ok(Raw(found.score(&treebank.split)))
}
