//! Labels: of a tagger, or of a file.

use std::path::{Path, PathBuf};

use glossator::{
    Error, Sentence, TagOptions, Tagger,
    tags::{self, Scheme},
    training::metric::CalibrationScorer,
};

use super::{Args, EXAMPLES, WINDOW, nothing_in};
use crate::{
    exit::Usage,
    input::{self, Input},
    log::Log,
    scores::{Metric, Scorer, column},
};

/// Scores a tagger on the files; its probabilities too, if that is asked for.
pub fn score(args: &Args, log: Log) -> anyhow::Result<(Scorer, Option<CalibrationScorer>)> {
    refuse_text(args)?;
    let compute = args.labelling.prepare(log)?;
    let tagger = Tagger::load_in(args.model(), compute)?;
    let gold = args.layer.as_deref().unwrap_or(tagger.layer());
    let layer = tagger.layer_of(gold).ok_or_else(|| tagger.no_layer(gold))?;
    if asks_for_spans(args) && !layer.is_spans {
        let (model, name) = (tagger.name(), layer.name);
        let problem = format!("span-f1: the model {model} labels words in `{name}`, not spans");
        return Err(Usage(problem).into());
    }
    let mut scorer = Scorer::new(layer.is_spans);
    let mut calibration = args.calibration.then(CalibrationScorer::new);
    let (mut sentences, mut labelled) = (0, false);
    let input = Input::open(&args.files, args.reading.options());
    let options = TagOptions { max_tokens: args.labelling.batch_size, ..TagOptions::default() };
    input.windows(WINDOW, log, |mut window| {
        window.retain(|sentence| !sentence.is_empty());
        for sentence in &window {
            column(sentence, gold)?;
            labelled |= sentence.has_gold(gold);
        }
        sentences += window.len();
        Tagger::tag_with(&[&tagger], &mut window, &options)?;
        for sentence in &window {
            let (gold, found) = (column(sentence, gold)?, sentence.layer(layer.name));
            let predicted = found.map(|layer| layer.column(sentence.len(), Scheme::Iob2));
            scorer.add(&gold, &predicted.unwrap_or_default())?;
            if let Some((calibration, found)) = calibration.as_mut().zip(found) {
                calibration.add(found.judged(&gold));
            }
        }
        Ok(())
    })?;
    match sentences {
        0 => Err(nothing_in("sentences", &args.files).into()),
        _ if !labelled => Err(nothing_in(&labels_of(gold), &args.files).into()),
        _ => Ok((scorer, calibration)),
    }
}

/// What is missing where no word has a label.
pub(super) fn labels_of(layer: &str) -> String {
    format!("labels of `{layer}`")
}

/// Scores a file against another one.
pub fn compare(
    args: &Args,
    hypotheses: &Path,
    references: &Path,
    log: Log,
) -> anyhow::Result<Scorer> {
    let layer = args.layer.as_deref().unwrap_or_default();
    input::expect(&[hypotheses.to_owned(), references.to_owned()], "eval", EXAMPLES)?;
    refuse_text(args)?;
    let (predicted, gold) = (read(args, hypotheses, log)?, read(args, references, log)?);
    if gold.is_empty() {
        return Err(nothing_in("sentences", &[PathBuf::from(references)]).into());
    }
    if !gold.iter().any(|sentence| sentence.has_gold(layer)) {
        return Err(nothing_in(&labels_of(layer), &[PathBuf::from(references)]).into());
    }
    let mut columns = Vec::new();
    for sentence in &gold {
        columns.push(column(sentence, layer)?.into_iter().map(str::to_owned).collect::<Vec<_>>());
    }
    let detection = tags::detect(columns.iter().map(Vec::as_slice));
    if asks_for_spans(args) && detection.others > 0 {
        return Err(Usage(format!("span-f1: the column `{layer}` holds labels of words")).into());
    }
    let mut scorer = Scorer::new(detection.is_spans() || asks_for_spans(args));
    for (index, (gold, column_)) in gold.iter().zip(&columns).enumerate() {
        let Some(predicted) = predicted.get(index).filter(|p| p.tokens().eq(gold.tokens())) else {
            let problem = format!("{} has other words here", hypotheses.display());
            return Err(Error::in_sentence(gold, problem).into());
        };
        scorer.add(column_, &column(predicted, layer)?)?;
    }
    match predicted.get(gold.len()) {
        Some(more) => {
            let problem = format!("{} ends before this sentence", references.display());
            Err(Error::in_sentence(more, problem).into())
        }
        None => Ok(scorer),
    }
}

/// Reads the sentences of a file that have words.
fn read(args: &Args, file: &Path, log: Log) -> anyhow::Result<Vec<Sentence>> {
    let mut sentences = Vec::new();
    let input = Input::open(&[file.to_owned()], args.reading.options());
    input.windows(WINDOW, log, |mut window| {
        window.retain(|sentence| !sentence.is_empty());
        sentences.append(&mut window);
        Ok(())
    })?;
    Ok(sentences)
}

/// Whether a number is printed or bounded that only spans have.
fn asks_for_spans(args: &Args) -> bool {
    args.metrics().any(|metric| metric == Metric::SpanF1)
}

/// Refuses what only a language model has.
fn refuse_text(args: &Args) -> Result<(), Usage> {
    if let Some(metric) = args.metrics().find(|metric| !Metric::OF_LABELS.contains(metric)) {
        let known = Metric::names(Metric::OF_LABELS);
        let whose = match metric {
            _ if Metric::OF_TEXT.contains(&metric) => "a language model",
            _ if Metric::OF_RAW_TEXT.contains(&metric) => "raw text (--raw)",
            _ => "translations",
        };
        return Err(Usage(format!("{metric}: of {whose} only; labels have {known}")));
    }
    match args.by {
        Some(_) => Err(Usage("--by: of a language model only".to_owned())),
        None => Ok(()),
    }
}
