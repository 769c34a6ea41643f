//! Corpora from format to format.

use std::collections::{BTreeSet, HashMap};

use glossator::{
    Error, Layer, Sentence, Source,
    corpus::{self, Format, OutputFormat, WriteOptions, writer},
    tags::{self, Detection, Scheme},
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
    let mut mended = 0;
    let mut write = |mut window: Vec<Sentence>, columns: &[Column]| {
        for sentence in &mut window {
            for column in columns {
                mended += column.label(sentence, args.repair)?;
            }
            writer.write(sentence)?;
        }
        Ok(output.flush()?)
    };
    let wanted = args.layers.as_deref();
    let mut seen = Seen::default();
    let read = |log, each: &mut dyn FnMut(Vec<Sentence>) -> anyhow::Result<()>| {
        Input::open(&args.files, args.reading.options()).windows(WINDOW, log, each)
    };
    // What a column holds shows in all of it: files are read twice, and what can be read
    // only once is kept. Raw text has no columns.
    if !args.files.is_empty() && args.files.iter().all(|file| file.is_file()) {
        if wanted.is_some() || !are_raw(args)? {
            read(log.quietly(), &mut |window| {
                window.iter().for_each(|sentence| seen.add(sentence, wanted));
                Ok(())
            })?;
        }
        let columns = seen.columns(wanted)?;
        read(log, &mut |window| write(window, &columns))?;
    } else {
        let mut kept = Vec::new();
        read(log, &mut |window| {
            if wanted.is_none() && kept.is_empty() && window.iter().all(is_raw) {
                return write(window, &[]);
            }
            window.iter().for_each(|sentence| seen.add(sentence, wanted));
            kept.push(window);
            Ok(())
        })?;
        let columns = seen.columns(wanted)?;
        kept.into_iter().try_for_each(|window| write(window, &columns))?;
    }
    writer.finish()?;
    output.finish()?;
    if mended > 0 {
        log.info(format_args!("{} mended", counted(mended, "tag")));
    }
    Ok(DONE)
}

/// Whether all files are raw text.
fn are_raw(args: &Args) -> anyhow::Result<bool> {
    for file in &args.files {
        let format = corpus::open(file, 0, &args.reading.options())?.format();
        if !matches!(format, Format::Text | Format::Lines | Format::Tokens) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a sentence was raw text.
fn is_raw(sentence: &Sentence) -> bool {
    matches!(sentence.source(), Source::None | Source::Line(_))
}

/// A column, and what its values are.
struct Column {
    name: String,
    /// The layer that it becomes.
    layer: String,
    /// The scheme of its tags, if it holds spans.
    scheme: Option<Scheme>,
}

/// What the columns of a corpus hold.
#[derive(Default)]
struct Seen {
    /// Names, in the order in which they came.
    names: Vec<String>,
    values: HashMap<String, Values>,
}

#[derive(Default)]
struct Values {
    tags: Detection,
    /// Whether one says anything.
    any: bool,
}

impl Seen {
    /// Looks at the columns that are wanted, else all that a sentence has.
    fn add(&mut self, sentence: &Sentence, wanted: Option<&[String]>) {
        let names = wanted.map_or_else(|| names_in(sentence), <[String]>::to_vec);
        for name in names {
            let Some(values) = sentence.column(&name) else { continue };
            let seen = self.values.entry(name).or_insert_with_key(|name| {
                self.names.push(name.clone());
                Values::default()
            });
            seen.any |= values.iter().any(|value| !matches!(*value, "_" | "" | "O"));
            seen.tags.add(&values);
        }
    }

    /// The columns that become layers: those that were named, else those that look
    /// like labels.
    fn columns(&self, wanted: Option<&[String]>) -> Result<Vec<Column>, Usage> {
        let missing = |name: &&String| !self.values.contains_key(*name);
        if let Some(name) = wanted.unwrap_or_default().iter().find(missing) {
            return Err(Usage(format!("--layers: there is no column `{name}`")));
        }
        let (mut keys, mut names): (Vec<&String>, Vec<&String>) =
            self.names.iter().partition(|name| name.starts_with("misc:"));
        keys.sort();
        names.append(&mut keys);
        let names = wanted.map_or(names, |wanted| wanted.iter().collect());
        let looks_like_labels = |name: &&String| {
            let Values { tags, any } = &self.values[*name];
            wanted.is_some() || *any && (tags.is_spans() || !name.starts_with("misc:"))
        };
        let column = |name: &String| {
            let tags = &self.values[name].tags;
            let layer = name.strip_prefix("misc:").map_or(name.clone(), str::to_lowercase);
            let scheme = tags.is_spans().then(|| tags.closest());
            Column { name: name.clone(), layer, scheme }
        };
        Ok(names.into_iter().filter(looks_like_labels).map(column).collect())
    }
}

/// The columns of labels that a sentence has.
fn names_in(sentence: &Sentence) -> Vec<String> {
    let rows = match sentence.source() {
        Source::Rows(rows) => rows,
        Source::Json(meta) => return meta.columns().map(str::to_owned).collect(),
        _ => return Vec::new(),
    };
    if !rows.is_conllu() {
        return rows.columns().filter(|name| *name != "token").map(str::to_owned).collect();
    }
    let misc = sentence.column("misc").unwrap_or_default();
    let entries = misc.into_iter().flat_map(|misc| misc.split('|'));
    let mut names = BTreeSet::new();
    names.extend(entries.filter_map(|entry| Some(format!("misc:{}", entry.split_once('=')?.0))));
    ["upos", "xpos"].map(str::to_owned).into_iter().chain(names).collect()
}

impl Column {
    /// Gives a sentence the layer; how many tags were mended.
    fn label(&self, sentence: &mut Sentence, repair: bool) -> anyhow::Result<usize> {
        // An output that was read back has its layers, with their scores.
        if sentence.layer(&self.layer).is_some() {
            return Ok(0);
        }
        let Some(values) = sentence.gold(&self.name) else { return Ok(0) };
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
