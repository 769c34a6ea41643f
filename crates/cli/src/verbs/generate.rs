//! `gloss generate`: text drawn from a language model.

use std::io::{self, Write};

use glossator::{LanguageModel, ReadingDirection, Sampling, errors::TextError, models::Repository};

use crate::{
    args::{HELP, Writing},
    compute::Labelling,
    exit::{DONE, Usage},
    log::{Log, counted},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gloss generate -m ./my-language-model --prefix \"The grass is\"
  gloss generate -m ./my-language-model --temperature 0.5 --seed 3 --chars 2000";

/// The model if none is named, where there is one of that name.
const DEFAULT: &str = "en-lm-forward";
/// The seed if none is given.
const SEED: u64 = 1;

/// Sample text from a language model
///
/// A forward model writes as it goes. A backward model, which reads from the end,
/// writes what comes before the prefix, once it has all of it. The same seed
/// (default: 1) gives the same text.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Language model: a built-in one, one of the cache, or a folder
    /// [default: en-lm-forward, if there is one]
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    /// What the text begins with; of a backward model, what it ends with
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Characters to draw
    #[arg(long, value_name = "N", default_value_t = 500)]
    chars: usize,
    /// Below 1 likely characters become likelier still; 0: always the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature, allow_negative_numbers = true)]
    temperature: f32,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    labelling: Labelling,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    let name = match &args.model {
        Some(name) => name,
        None => default_model()?,
    };
    let model = LanguageModel::load_in(name, args.labelling.prepare(log)?)?;
    let unknown = args.prefix.chars().filter(|c| !model.knows(*c)).count();
    if unknown > 0 {
        let characters = counted(unknown, "character");
        log.warn(format_args!("--prefix: {name} does not know {characters} of it"));
    }
    let sampling = Sampling {
        prefix: args.prefix.clone(),
        characters: args.chars,
        temperature: args.temperature,
        seed: args.labelling.compute.seed.unwrap_or(SEED),
    };
    let output = Output::create(args.writing.output.as_deref())?;
    match model.direction() {
        ReadingDirection::Forward => forward(&model, &sampling, &mut output.writer())?,
        ReadingDirection::Backward => backward(&model, &sampling, &mut output.writer())?,
    }
    output.finish()?;
    Ok(DONE)
}

/// Writes character by character, line by line.
fn forward(model: &LanguageModel, sampling: &Sampling, out: &mut dyn Write) -> anyhow::Result<()> {
    out.write_all(sampling.prefix.as_bytes()).map_err(failed)?;
    let text = model.generate(sampling, |c| {
        write!(out, "{c}")?;
        if c == '\n' { out.flush() } else { Ok(()) }
    })?;
    end(&text, out)
}

/// Writes the text when its beginning is known.
fn backward(model: &LanguageModel, sampling: &Sampling, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = model.generate(sampling, |_| Ok(()))?;
    out.write_all(text.as_bytes()).map_err(failed)?;
    end(&text, out)
}

/// Ends the last line.
fn end(text: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    if !text.ends_with('\n') {
        out.write_all(b"\n").map_err(failed)?;
    }
    Ok(())
}

fn failed(source: io::Error) -> TextError {
    TextError::Write { source }
}

/// The model if none is named.
fn default_model() -> Result<&'static str, Usage> {
    let at_hand = Repository::from_env().list().iter().any(|entry| entry.name == DEFAULT);
    match at_hand {
        true => Ok(DEFAULT),
        false => Err(Usage(format!("no language model is named with -m\n\n{EXAMPLES}"))),
    }
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(t) if t >= 0.0 && t.is_finite() => Ok(t),
        _ => Err("must be 0 or a number above".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_are_finite_and_not_negative() {
        assert_eq!(temperature("0.5"), Ok(0.5));
        assert_eq!(temperature("0"), Ok(0.0));
        for bad in ["-0.1", "inf", "nan", "1e40", "x"] {
            assert!(temperature(bad).is_err(), "{bad}");
        }
    }
}
