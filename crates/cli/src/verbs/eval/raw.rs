//! The raw text of treebanks: how it is split, and labelled.

use glossator::{
    Position, Sentence, TagOptions, Tagger, TaggerLayer,
    corpus::Format,
    segment::{
        document,
        score::{Split, Treebank},
    },
};

use super::{Args, WINDOW, labels::labels_of, nothing_in};
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
    let layer = match tagger.as_ref().zip(gold) {
        Some((tagger, gold)) => Some(layer_of_words(tagger, gold)?),
        None => None,
    };
    let (mut treebank, mut labelled) = (Treebank::default(), gold.is_none());
    let mut options = args.reading.options();
    if options.format == Format::Auto {
        options.format = Format::Conllu;
    }
    Input::open(&args.files, options).windows(WINDOW, log, |window| {
        for sentence in window.iter().filter(|sentence| !sentence.is_empty()) {
            if let Some(gold) = gold {
                column(sentence, gold)?;
                labelled |= sentence.has_gold(gold);
            }
            treebank.add(sentence, gold);
        }
        Ok(())
    })?;
    if treebank.text.is_empty() {
        return Err(nothing_in("sentences", &args.files).into());
    }
    if !labelled {
        return Err(nothing_in(&labels_of(gold.unwrap_or_default()), &args.files).into());
    }
    let mut sentences: Vec<Sentence> = document(&treebank.text, Position::default());
    if let Some(tagger) = &tagger {
        let options = TagOptions { max_tokens: args.labelling.batch_size, ..TagOptions::default() };
        Tagger::tag_with(&[tagger], &mut sentences, &options)?;
    }
    let found = Split::of(&sentences, layer.map(|layer| layer.name));
    Ok(Raw(found.score(&treebank.split)))
}

/// The layer of a tagger that is scored by a column.
fn layer_of_words<'a>(tagger: &'a Tagger, column: &str) -> anyhow::Result<TaggerLayer<'a>> {
    let layer = tagger.layer_of(column).ok_or_else(|| tagger.no_layer(column))?;
    if layer.is_spans {
        let (model, name) = (tagger.name(), layer.name);
        let problem = format!("--raw: the model {model} labels spans in `{name}`, not words");
        return Err(Usage(problem).into());
    }
    Ok(layer)
}
