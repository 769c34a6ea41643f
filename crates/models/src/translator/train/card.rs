//! The card of a translator.

use std::{fmt::Write, path::Path};

use glossator_train::Summary;

use super::data::{Corpora, Pairs};
use crate::{TranslationScore, Translator, TranslatorRunConfig};

/// Everything a card tells of.
pub(super) struct Card<'a> {
    pub(super) config: &'a TranslatorRunConfig,
    pub(super) corpora: &'a Corpora,
    pub(super) summary: &'a Summary,
    pub(super) dev: &'a TranslationScore,
    pub(super) test: Option<&'a TranslationScore>,
}

impl Card<'_> {
    /// The card as Markdown; `command` remakes the model.
    pub(super) fn to_markdown(&self, translator: &Translator, command: &str) -> String {
        let (info, data) = (&self.config.model, &self.config.data);
        let mut card = info.title("Translator");
        let shape = translator.config();
        card += &format!(
            "- {} subwords; encoder of {}, decoder of {} + {} layer(s) of {} units ({})\n",
            translator.n_subwords(),
            shape.encoder_layers,
            shape.decoder_layers,
            shape.upper_layers,
            shape.hidden_dim,
            shape.cell.cell().spec().name,
        );
        card += &info.origin();
        card += "\n## Data\n\n| split | files | pairs |\n|---|---|---|\n";
        let train = (data.train_source.as_path(), data.train_target.as_path());
        split(&mut card, "train", train, &self.corpora.train);
        split(&mut card, "dev", data.dev().unwrap_or(train), &self.corpora.dev);
        if let (Some(files), Some(test)) = (data.test(), &self.corpora.test) {
            split(&mut card, "test", files, test);
        }
        let Summary { best_step, steps, epochs, .. } = self.summary;
        let (seed, batch) = (self.config.seed, self.config.training.batch_size);
        card += &format!(
            "\n## Training\n\nSeed {seed}, {steps} steps of about {batch} subwords in {epochs} \
             epoch(s); the best is step {best_step}.\n\n```\n{command}\n```\n"
        );
        let mut scores = |split: &str, score: &TranslationScore| {
            card += &format!("\n## Score on {split}\n\n```\n{score}```\n");
        };
        scores("dev", self.dev);
        if let Some(test) = self.test {
            scores("test", test);
        }
        card
    }
}

fn split(card: &mut String, split: &str, (source, target): (&Path, &Path), pairs: &Pairs) {
    // Folders are the trainer's own business.
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Writing to a string cannot fail.
    let _ = writeln!(card, "| {split} | {}, {} | {} |", name(source), name(target), pairs.len());
}
