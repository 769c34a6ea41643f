//! Translations: a file against references.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use glossator::{
    TranslateOptions, Translator,
    corpus::{text_lines, text_lines_of},
    training::metric::translation::{
        Bleu, Chrf, Corpus, Resampling, Sampler, Ter, Tokenizer, TranslationMetric,
    },
};

use super::{Args, EXAMPLES, nothing_in};
use crate::{
    exit::{BadData, Usage},
    input,
    log::Log,
    scores::{Metric, Row, Translations},
};

/// Ways to cut translations into words.
const TOKENIZERS: [Tokenizer; 4] =
    [Tokenizer::V13a, Tokenizer::None, Tokenizer::Char, Tokenizer::Zh];

/// Takes the name of one of them.
pub(super) fn tokenizers() -> impl TypedValueParser<Value = Tokenizer> {
    let parser = PossibleValuesParser::new(TOKENIZERS.map(Tokenizer::name));
    parser.map(|name| {
        let known = TOKENIZERS.into_iter().find(|tokenizer| tokenizer.name() == name);
        known.unwrap_or_default()
    })
}

/// Scores a file of translations against references, and a baseline beside it.
pub(super) fn score(args: &Args, hypotheses: &Path, log: Log) -> anyhow::Result<Translations> {
    let metrics = metrics(args)?;
    let files = [&[hypotheses.to_owned()], &args.references[..]].concat();
    input::expect(&files, "eval", EXAMPLES)?;
    score_lines(args, &metrics, hypotheses, &lines(hypotheses)?, log)
}

/// Scores the translations that a model makes of a file.
pub(super) fn score_model(args: &Args, log: Log) -> anyhow::Result<Translations> {
    let metrics = metrics(args)?;
    let stdin = PathBuf::from("-");
    let source = match &args.files[..] {
        [] => &stdin,
        [one] => one,
        _ => return Err(Usage("name one file to translate".to_owned()).into()),
    };
    if args.references.is_empty() {
        let name = args.model();
        let problem = format!("{name} is a translator: name the translations with --references");
        return Err(Usage(problem).into());
    }
    args.labelling.compute.prepare_processor("translations are made", log)?;
    let translator = Translator::load_in(args.model(), args.labelling.precision.chosen())?;
    let sources = lines(source)?;
    let options = TranslateOptions {
        batch_subwords: args.labelling.batch_size,
        ..TranslateOptions::default()
    };
    let made = translator.translate_lines(&sources, &options)?;
    let own: Vec<String> = made.into_iter().map(|made| made.text).collect();
    score_lines(args, &metrics, source, &own, log)
}

/// Scores translations, of that file or of its lines.
fn score_lines(
    args: &Args,
    metrics: &[Metric],
    hypotheses: &Path,
    own: &[String],
    log: Log,
) -> anyhow::Result<Translations> {
    if own.is_empty() {
        return Err(nothing_in("lines", &[hypotheses.to_owned()]).into());
    }
    let beside = |file: &PathBuf| -> anyhow::Result<Vec<String>> {
        let others = lines(file)?;
        match own.len() == others.len() {
            true => Ok(others),
            false => Err(uneven(hypotheses, own.len(), file, others.len()).into()),
        }
    };
    let references = args.references.iter().map(beside).collect::<Result<Vec<_>, _>>()?;
    let baseline = args.compare.as_ref().map(beside).transpose()?;
    let corpus = Corpus::new(own, &references)?;
    let baseline = baseline.as_ref().map(|lines| Corpus::new(lines, &references)).transpose()?;
    if corpus.looks_tokenized() && metrics.contains(&Metric::Bleu) {
        let name = hypotheses.display();
        log.warn(format_args!(
            "{name}: words and periods stand apart; BLEU is of text as it is read, not of tokens"
        ));
    }
    let rows = metrics.iter().map(|&metric| row(args, metric, &corpus, baseline.as_ref()));
    Ok(Translations { rows: rows.collect::<anyhow::Result<_>>()?, lines: own.len() })
}

/// The metrics that are asked for, each once; all of them if none is.
fn metrics(args: &Args) -> Result<Vec<Metric>, Usage> {
    let mut metrics = Vec::new();
    for metric in args.metrics() {
        if !Metric::OF_TRANSLATIONS.contains(&metric) {
            let known = Metric::names(Metric::OF_TRANSLATIONS);
            return Err(Usage(format!(
                "{metric}: translations have {known}; to compare labels, name their column with --layer"
            )));
        }
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    match (&args.by, metrics.is_empty()) {
        (Some(_), _) => Err(Usage("--by: of a language model only".to_owned())),
        (None, true) => Ok(Metric::OF_TRANSLATIONS.to_vec()),
        (None, false) => Ok(metrics),
    }
}

fn row(
    args: &Args,
    metric: Metric,
    corpus: &Corpus<'_>,
    baseline: Option<&Corpus<'_>>,
) -> anyhow::Result<Row> {
    let lowercase = args.lowercase;
    let bleu =
        Bleu { tokenizer: args.tokenize.unwrap_or_default(), lowercase, ..Default::default() };
    let chrf = |chrf: Chrf| Box::new(Chrf { lowercase, ..chrf });
    let scorer: Box<dyn TranslationMetric> = match metric {
        Metric::Chrf => chrf(Chrf::default()),
        Metric::ChrfPlusPlus => chrf(Chrf::plus_plus()),
        Metric::Ter => Box::new(Ter::default()),
        _ => Box::new(bleu.clone()),
    };
    let statistics = scorer.statistics(corpus)?;
    let sums = statistics.sums();
    let resampling = Resampling::Bootstrap;
    let sampler = Sampler {
        seed: args.labelling.compute.seed.unwrap_or(Sampler::default().seed),
        ..Sampler::usual(resampling)
    };
    let compare = |corpus: &Corpus<'_>| {
        sampler.compare(resampling, &*scorer, &scorer.statistics(corpus)?, &statistics)
    };
    Ok(Row {
        metric,
        name: scorer.name(),
        score: scorer.value(&sums),
        interval: sampler.interval(&*scorer, &statistics)?,
        signature: scorer.signature_with(&statistics, Some((resampling, sampler))),
        details: (metric == Metric::Bleu).then(|| bleu.score(&sums).to_string()),
        comparison: baseline.map(compare).transpose()?,
    })
}

/// The lines of a file, or of standard input; a last one without an end is one.
fn lines(file: &Path) -> anyhow::Result<Vec<String>> {
    Ok(match file == Path::new("-") {
        true => text_lines_of(Box::new(io::stdin()), file)?.collect::<Result<_, _>>()?,
        false => text_lines(file)?.collect::<Result<_, _>>()?,
    })
}

/// Two files that should have as many lines.
fn uneven(first: &Path, own: usize, second: &Path, others: usize) -> BadData {
    let (short, long) = if own < others { (first, second) } else { (second, first) };
    let line = own.min(others) + 1;
    let (short, long) = (short.display(), long.display());
    BadData(format!("{short}:{line}: the file ends before this line, which {long} still has"))
}
