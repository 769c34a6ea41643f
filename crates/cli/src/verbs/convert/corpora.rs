//! Corpora from format to format.

use std::collections::BTreeSet;

use glossator::{
    Error, Layer, Sentence,
    corpus::{OutputFormat, WriteOptions, writer},
    tags::{self, Scheme},
};

use super::{Args, EXAMPLES};
use crate::{
    exit::{DONE, Usage},
    input::{self, Input},
    log::{Log, counted},
    output::Output,
};

/// Tokens of a window of sentences.
const WINDOW: usize = 1 << 16;

pub fn convert(args: &Args, to: OutputFormat, log: Log) -> anyhow::Result<u8> {
    input::expect(&args.files, "convert", EXAMPLES)?;
    if to == OutputFormat::Brat && args.files.len() > 1 {
        let problem = "--to brat holds the places of one document: give one file at a time";
        return Err(Usage(problem.to_owned()).into());
    }
    let mut output = Output::create(args.output.as_deref())?;
    let mut writer = writer(to, output.writer(), WriteOptions::default());
    let mut columns: Option<Vec<Column>> = None;
    let mut mended = 0;
    let input = Input::open(&args.files, args.reading.options());
    input.windows(WINDOW, log, |mut window| {
        let columns = match &mut columns {
            Some(columns) => columns,
            None => columns.insert(columns_of(args, &window)?),
        };
        for sentence in &mut window {
            for column in &*columns {
                mended += column.label(sentence, args.repair)?;
            }
            writer.write(sentence)?;
        }
        Ok(output.flush()?)
    })?;
    writer.finish()?;
    output.finish()?;
    if mended > 0 {
        log.info(format_args!("{} mended", counted(mended, "tag")));
    }
    Ok(DONE)
}

/// A column, and what its values are.
struct Column {
    name: String,
    /// The layer that it becomes.
    layer: String,
    /// The scheme of its tags, if it holds spans.
    scheme: Option<Scheme>,
}

/// The columns that become layers: those that were named, else those that look like
/// labels. A first window shows which hold spans.
fn columns_of(args: &Args, window: &[Sentence]) -> anyhow::Result<Vec<Column>> {
    let names = match &args.layers {
        Some(names) => names.clone(),
        None => names_in(window),
    };
    let mut columns = Vec::new();
    for name in names {
        let values = |sentence: &Sentence| {
            let values = sentence.column(&name)?;
            Some(values.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let values: Vec<Vec<String>> = window.iter().filter_map(values).collect();
        if values.is_empty() && args.layers.is_some() {
            return Err(Usage(format!("--layers: there is no column `{name}`")).into());
        }
        let seen = tags::detect(values.iter().map(Vec::as_slice));
        let is_key = name.starts_with("misc:");
        let blank = values.iter().flatten().all(|value| matches!(value.as_str(), "_" | "" | "O"));
        if args.layers.is_none() && (blank || is_key && !seen.is_spans()) {
            continue;
        }
        let layer = name.strip_prefix("misc:").map_or(name.clone(), str::to_lowercase);
        let scheme = seen.is_spans().then(|| seen.closest());
        columns.push(Column { name, layer, scheme });
    }
    Ok(columns)
}

/// The columns of labels that sentences have. What was read with labels has layers.
fn names_in(window: &[Sentence]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut keys = BTreeSet::new();
    for sentence in window {
        let glossator::Source::Rows(rows) = sentence.source() else { continue };
        if !rows.is_conllu() {
            let columns = rows.columns().filter(|name| *name != "token").map(str::to_owned);
            for name in columns {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            continue;
        }
        if names.is_empty() {
            names = ["upos", "xpos"].map(str::to_owned).to_vec();
        }
        let misc = sentence.column("misc").unwrap_or_default();
        let entries = misc.into_iter().flat_map(|misc| misc.split('|'));
        keys.extend(entries.filter_map(|entry| Some(entry.split_once('=')?.0.to_owned())));
    }
    names.extend(keys.into_iter().map(|key| format!("misc:{key}")));
    names
}

impl Column {
    /// Gives a sentence the layer; how many tags were mended.
    fn label(&self, sentence: &mut Sentence, repair: bool) -> anyhow::Result<usize> {
        let Some(values) = sentence.column(&self.name) else { return Ok(0) };
        let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        let Some(scheme) = self.scheme else {
            sentence.set_layer(Layer::from_labels(&self.layer, &values));
            return Ok(0);
        };
        let wrong = tags::violations(&values, scheme);
        let others = values.iter().position(|tag| !tags::is_tag(tag));
        if let Some(token) = others.or(wrong.first().copied()).filter(|_| !repair) {
            let problem = format!(
                "the tag `{}` of the column `{}` cannot stand here in {scheme}; --repair mends \
                 such tags",
                values[token], self.name
            );
            return Err(Error::in_token(sentence, token, problem).into());
        }
        let (mended, changed) = tags::repair(&values, scheme);
        sentence.set_layer(Layer::from_tags(&self.layer, &mended));
        Ok(if wrong.is_empty() && others.is_none() { 0 } else { changed })
    }
}
