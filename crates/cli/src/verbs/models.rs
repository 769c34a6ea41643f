//! `gloss models`: the models at hand.

use clap::Subcommand;
use glossator::models::{Bundle, Entry, Error, Origin, Repository};
use serde_json::Value;

use crate::{args::HELP, exit::DONE, output};

const EXAMPLES: &str = "\
Examples:
  gloss models
  gloss models show en-ner";

/// List the models at hand, or show one
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
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let repository = Repository::from_env();
    let text = match &args.action {
        None => list(&repository)?,
        Some(Action::Show { name }) => show(&repository.find(name)?)?,
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
        let config = bundle.json::<Value>("config.json").unwrap_or_default();
        let [kind, layer] =
            ["kind", "layer"].map(|key| config[key].as_str().unwrap_or("-").to_owned());
        let origin = if origin == Origin::BuiltIn { "built in" } else { "cache" };
        rows.push([name, origin.to_owned(), kind, layer, readable(size(&bundle)?)]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or(0));
    let row = |[name, origin, kind, layer, size]: &[String; 5]| {
        let [n, o, k, l, s] = widths;
        format!("{name:n$}  {origin:o$}  {kind:k$}  {layer:l$}  {size:>s$}\n")
    };
    Ok(rows.iter().map(row).collect())
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

fn readable(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// The card of a model, and its place.
fn show(bundle: &Bundle) -> Result<String, Error> {
    let card = bundle.read("README.md")?;
    let card = String::from_utf8_lossy(&card);
    let place = bundle.path().map_or("built in".to_owned(), |path| path.display().to_string());
    Ok(format!("{}\n\nPath: {place}\n", card.trim_end()))
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
