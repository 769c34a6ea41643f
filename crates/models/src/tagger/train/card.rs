//! The model card: what a user must know to trust a model.

use std::{fmt::Write, path::Path};

use glossator_train::Summary;

use super::{data::Corpora, scores::LayerScores};
use crate::{Tagger, TaggerRunConfig};

/// Everything a card tells of.
pub(super) struct Card<'a> {
    pub(super) config: &'a TaggerRunConfig,
    pub(super) corpora: &'a Corpora,
    pub(super) summary: &'a Summary,
    pub(super) dev: &'a [LayerScores],
    /// None without test data.
    pub(super) test: &'a [LayerScores],
}

impl Card<'_> {
    /// The card as Markdown; `command` remakes the model.
    pub(super) fn to_markdown(&self, tagger: &Tagger, command: &str) -> String {
        let (info, data) = (&self.config.model, &self.config.data);
        let mut card = info.title("Tagger");
        for layer in tagger.layers() {
            card += &format!("- Layer: `{}`, {} tags\n", layer.name, layer.labels.len());
        }
        card += &info.origin();
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
            for scores in reports {
                let (layer, report) = (&scores.layer, &scores.report);
                let of = if reports.len() > 1 { format!(": `{layer}`") } else { String::new() };
                card += &format!("\n## Scores on {split}{of}\n\n```\n{report}```\n");
                // Development data chose the model and scaled its probabilities.
                if split == "test" || self.test.is_empty() {
                    card += &scores.details(split);
                }
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
