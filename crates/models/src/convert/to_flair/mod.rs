//! Models of this toolkit as checkpoints that Flair 0.15 loads.

mod language_model;
mod tagger;

use std::{
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use glossator_hub::Bundle;
use glossator_nn::{WeightEntry, Weights};
use glossator_pickle::{Item, write_checkpoint};
use glossator_text::Dictionary;

use super::{Conversion, Error, output};
use crate::{
    Result, find::find, language_model::KIND as LANGUAGE_MODEL, stored, tagger::KIND as TAGGER,
};

/// Writes a model as a checkpoint of Flair, which must not exist and appears
/// when it is complete.
///
/// # Errors
/// If there is no such model, it has parts that Flair lacks, or the file exists
/// or cannot be written.
pub fn to_flair(name: &str, file: &Path) -> Result<Conversion> {
    let bundle = find(name)?;
    let config: serde_json::Value = bundle.json("config.json")?;
    let model = Arc::new(Exported::new(bundle)?);
    let (item, tensors, conversion) = match config["kind"].as_str() {
        Some(LANGUAGE_MODEL) => language_model::export(&model)?,
        Some(TAGGER) => tagger::export(&model)?,
        other => {
            let kind = other.unwrap_or("nothing known");
            return Err(model.refuse(format!("it is a {kind}")));
        }
    };
    output::write(file, |made| write(file, made, &item, &tensors))?;
    Ok(conversion)
}

fn write(file: &Path, made: &Path, item: &Item, tensors: &Tensors) -> Result<()> {
    let failed = |source| Error::Write { path: file.to_owned(), source };
    let mut out = BufWriter::new(std::fs::File::create(made).map_err(failed)?);
    write_checkpoint(&mut out, item, |number| tensors.values(number)).map_err(
        |error| match error {
            Failed::Model(error) => *error,
            Failed::Write(glossator_pickle::Error::Io(source)) => failed(source).into(),
            Failed::Write(source) => Error::Read { path: file.to_owned(), source }.into(),
        },
    )?;
    out.flush().map_err(failed)?;
    Ok(out.get_ref().sync_all().map_err(failed)?)
}

/// Why a tensor is not written.
enum Failed {
    Model(Box<crate::Error>),
    Write(glossator_pickle::Error),
}

impl From<glossator_pickle::Error> for Failed {
    fn from(error: glossator_pickle::Error) -> Self {
        Self::Write(error)
    }
}

/// A model that goes out.
struct Exported {
    bundle: Bundle,
    weights: Weights,
}

impl Exported {
    fn new(bundle: Bundle) -> Result<Self> {
        let weights = stored::weights(&bundle, |_| true)?;
        Ok(Self { bundle, weights })
    }

    /// An error about what Flair lacks.
    fn refuse(&self, problem: impl Into<String>) -> crate::Error {
        let (model, toolkit) = (self.bundle.name().to_owned(), "Flair");
        Error::NoCounterpart { model, toolkit, problem: problem.into() }.into()
    }

    /// An error about its weights.
    fn damaged(&self, source: glossator_nn::Error) -> crate::Error {
        crate::Error::of_weights(self.bundle.name(), source)
    }

    fn entry(&self, name: &str) -> Result<WeightEntry<'_>> {
        let entry = self.weights.iter().find(|entry| entry.name == name);
        let missing = || glossator_nn::Error::Missing { name: name.to_owned() };
        entry.ok_or_else(|| self.damaged(missing()))
    }

    /// Values of a tensor, row-major.
    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let values = self.entry(name)?.values().map_err(|source| self.damaged(source))?;
        Ok(values.into_owned())
    }

    fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.entry(name)?.shape.to_vec())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.weights.iter().map(|entry| entry.name)
    }
}

/// Gives the values of a tensor when it is written.
type Make = Box<dyn Fn() -> Result<Vec<f32>>>;

/// The tensors of a checkpoint, by number.
#[derive(Default)]
struct Tensors {
    list: Vec<Make>,
    state: Vec<(Item, Item)>,
}

impl Tensors {
    /// Adds a tensor of that name and shape.
    fn add(
        &mut self,
        name: String,
        shape: Vec<usize>,
        make: impl Fn() -> Result<Vec<f32>> + 'static,
    ) {
        let number = self.list.len();
        self.list.push(Box::new(make));
        self.state.push((Item::Str(name), Item::Tensor { number, shape }));
    }

    /// Adds a tensor of a model as it is, under another name.
    fn copy(&mut self, model: &Arc<Exported>, name: &str, to: String) -> Result<()> {
        let (shape, model, own) = (model.shape(name)?, Arc::clone(model), name.to_owned());
        self.add(to, shape, move || model.values(&own));
        Ok(())
    }

    /// The dictionary of all tensors.
    fn take_state(&mut self) -> Item {
        Item::OrderedDict(std::mem::take(&mut self.state))
    }

    fn values(&self, number: usize) -> Result<Vec<f32>, Failed> {
        (self.list[number])().map_err(|error| Failed::Model(Box::new(error)))
    }
}

/// A dictionary of Flair.
fn dictionary(items: &[&str], has_unknown: bool) -> Item {
    let bytes = |item: &str| Item::Bytes(item.as_bytes().to_vec());
    let numbers = items.iter().enumerate().map(|(number, item)| (bytes(item), number.into()));
    let state = Item::dict([
        ("item2idx", Item::Dict(numbers.collect())),
        ("idx2item", Item::List(items.iter().map(|item| bytes(item)).collect())),
        ("add_unk", Item::Bool(has_unknown)),
        ("multi_label", Item::Bool(false)),
        ("span_labels", Item::Bool(false)),
    ]);
    Item::Object { module: "flair.data", name: "Dictionary", state: Box::new(state) }
}

/// A dictionary of characters.
fn characters(known: &Dictionary) -> Item {
    dictionary(&known.iter().collect::<Vec<_>>(), true)
}
