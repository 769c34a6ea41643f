//! `gloss models`: the models at hand.

use clap::Subcommand;
use glossator::models::{Bundle, Entry, Error, Origin, Repository, Source, SourceKind, Verified};
use serde_json::Value;

use crate::{
    args::HELP,
    exit::{DONE, MODEL},
    log::{Log, counted},
    output,
};

const EXAMPLES: &str = "\
Examples:
  gloss models
  gloss models show en-ner
  gloss models verify
  gloss models rm my-tagger";

/// List the models at hand, or show, verify or remove some
///
/// At hand are those built in, and those of the cache (the folder
/// GLOSSATOR_CACHE, else ~/.cache/glossator). -m finds both by name.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Print a model's card, and where it lies
    Show {
        /// Model: a built-in one, one of the cache, or a folder
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Check hashes, lengths and values of models; exit 4 if one is damaged
    Verify {
        /// Models: built-in ones, of the cache, or folders [default: all of the cache]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove models from the cache
    Rm {
        /// Models of the cache
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    let repository = Repository::from_env();
    let text = match &args.action {
        None => list(&repository)?,
        Some(Action::Show { name }) => show(&repository.find(name)?)?,
        Some(Action::Verify { names }) => return verify(&repository, names, log),
        Some(Action::Rm { names }) => {
            for name in names {
                repository.remove(name)?;
                log.info(format_args!("{name} is removed"));
            }
            return Ok(DONE);
        }
    };
    output::print(&text)?;
    Ok(DONE)
}

/// A table of all models.
fn list(repository: &Repository) -> Result<String, Error> {
    let mut rows = vec![["name", "origin", "kind", "layer", "size"].map(str::to_owned)];
    for Entry { name, origin } in repository.list() {
        let bundle = match &origin {
            Origin::BuiltIn => repository.find(&name)?,
            Origin::Cache(folder) => Bundle::folder(folder),
        };
        let origin = if origin == Origin::BuiltIn { "built in" } else { "cache" };
        let [kind, layer, size] = match checkpoint(&bundle) {
            Some(source) => ["checkpoint".to_owned(), "-".to_owned(), readable(source.size())],
            None => {
                let config = bundle.json::<Value>("config.json").unwrap_or_default();
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                let further = config["further_layers"].as_array().into_iter().flatten();
                let layers = std::iter::once(text(&config["layer"]))
                    .chain(further.map(|layer| text(&layer["layer"])));
                let layers = layers.collect::<Vec<_>>().join(", ");
                [text(&config["kind"]), layers, readable(size(&bundle)?)]
            }
        };
        rows.push([name, origin.to_owned(), kind, layer, size]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or(0));
    let row = |[name, origin, kind, layer, size]: &[String; 5]| {
        let [n, o, k, l, s] = widths;
        format!("{name:n$}  {origin:o$}  {kind:k$}  {layer:l$}  {size:>s$}\n")
    };
    Ok(rows.iter().map(row).collect())
}

/// Where a model came from, if it was fetched and says so.
fn source(bundle: &Bundle) -> Option<Source> {
    Source::of(bundle.path()?).ok()?
}

/// Where a checkpoint came from that is not converted.
fn checkpoint(bundle: &Bundle) -> Option<Source> {
    source(bundle).filter(|source| source.kind == SourceKind::Checkpoint)
}

/// Bytes of all files of a model.
fn size(bundle: &Bundle) -> Result<u64, Error> {
    let mut size = 0;
    for file in bundle.files()? {
        size += match bundle.path() {
            Some(folder) => folder.join(&file).metadata().map_or(0, |metadata| metadata.len()),
            None => bundle.read(&file)?.len() as u64,
        };
    }
    Ok(size)
}

pub fn readable(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// The card of a model, its place, and where it came from.
fn show(bundle: &Bundle) -> Result<String, Error> {
    let mut text = match checkpoint(bundle) {
        Some(_) => "A checkpoint of another toolkit, to be converted.".to_owned(),
        None => String::from_utf8_lossy(&bundle.read("README.md")?).trim_end().to_owned(),
    };
    let place = bundle.path().map_or("built in".to_owned(), |path| path.display().to_string());
    text.push_str(&format!("\n\nPath: {place}\n"));
    if let Some(Source { repository, endpoint, commit, .. }) = source(bundle) {
        text.push_str(&format!("From: {repository}, commit {commit}, {endpoint}\n"));
    }
    Ok(text)
}

/// A line for each model.
fn verify(repository: &Repository, names: &[String], log: Log) -> anyhow::Result<u8> {
    let cached = |entry: Entry| (entry.origin != Origin::BuiltIn).then_some(entry.name);
    let names = match names {
        [] => repository.list().into_iter().filter_map(cached).collect(),
        names => names.to_vec(),
    };
    if names.is_empty() {
        log.info("the cache holds no models");
    }
    let mut code = DONE;
    for name in names {
        let line = match repository.verify(&name) {
            Ok(verified) => format!("{name}: {}\n", described(&verified)),
            Err(error) => {
                code = MODEL;
                let error = anyhow::Error::from(error);
                format!("{name}: FAILED: {error:#}\n")
            }
        };
        output::print(&line)?;
    }
    Ok(code)
}

fn described(Verified { source, tensors }: &Verified) -> String {
    let tensors = counted(*tensors, "tensor");
    match source {
        Some(source) => {
            let (files, size) = (counted(source.files.len(), "file"), readable(source.size()));
            let Source { repository, commit, .. } = source;
            format!("ok, {files}, {size}, {tensors}; {repository}, commit {commit:.12}")
        }
        None => format!("ok, {tensors}; not fetched, so the hashes of its files are not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(readable(999), "999 B");
        assert_eq!(readable(1500), "1.5 kB");
        assert_eq!(readable(16_200_000), "16.2 MB");
    }
}
