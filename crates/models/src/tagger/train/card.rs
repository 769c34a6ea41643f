//! The model card: what a user must know to trust a model.

use std::{fmt::Write, path::Path};

use glossator_train::{Summary, metric::Report};

use super::data::Corpora;
use crate::{Tagger, TaggerRunConfig};

/// Everything a card tells of.
pub(super) struct Card<'a> {
    pub(super) config: &'a TaggerRunConfig,
    pub(super) corpora: &'a Corpora,
    pub(super) summary: &'a Summary,
    /// Scores of each layer, with its name.
    pub(super) dev: &'a [(String, Report)],
    /// None without test data.
    pub(super) test: &'a [(String, Report)],
}

impl Card<'_> {
    /// The card as Markdown; `command` remakes the model.
    pub(super) fn to_markdown(&self, tagger: &Tagger, command: &str) -> String {
        let (info, data) = (&self.config.model, &self.config.data);
        let name = if info.name.is_empty() { "Tagger" } else { &info.name };
        let mut card = format!("# {name}\n\n");
        if !info.description.is_empty() {
            card += &format!("{}\n\n", info.description);
        }
        for layer in tagger.layers() {
            card += &format!("- Layer: `{}`, {} tags\n", layer.name, layer.labels.len());
        }
        if !info.licence.is_empty() {
            card += &format!("- Licence of the weights: {}\n", info.licence);
        }
        for source in &info.sources {
            card += &format!("- Trained on: {source}\n");
        }
        card += "\n## Data\n\n| split | file | sentences | words |\n|---|---|---|---|\n";
        let dev = data.dev.as_deref().unwrap_or(&data.train);
        self.split(&mut card, "train", &data.train, &self.corpora.train);
        self.split(&mut card, "dev", dev, &self.corpora.dev);
        if let (Some(path), Some(test)) = (&data.test, &self.corpora.test) {
            self.split(&mut card, "test", path, test);
        }
        let Summary { best_epoch, epochs, steps, .. } = self.summary;
        let seed = self.config.seed;
        card += &format!(
            "\n## Training\n\nSeed {seed}, {epochs} epochs, {steps} steps; the best is epoch {best_epoch}.\n\n"
        );
        card += &format!("```\n{command}\n```\n");
        for (split, reports) in [("dev", self.dev), ("test", self.test)] {
            for (layer, report) in reports {
                let of = if reports.len() > 1 { format!(": `{layer}`") } else { String::new() };
                card += &format!("\n## Scores on {split}{of}\n\n```\n{report}```\n");
            }
        }
        card
    }

    fn split(
        &self,
        card: &mut String,
        split: &str,
        path: &Path,
        sentences: &[glossator_text::Sentence],
    ) {
        let words: usize = sentences.iter().map(|s| s.len()).sum();
        // Folders are the trainer's own business; what counts is corpus and file.
        let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
        let file = parts.into_iter().rev().collect::<Vec<_>>().join("/");
        // Writing to a string cannot fail.
        let _ = writeln!(card, "| {split} | {file} | {} | {words} |", sentences.len());
    }
}
