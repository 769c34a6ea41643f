//! The card of a language model.

use std::path::Path;

use glossator_text::raw::RawText;
use glossator_train::Summary;

use crate::{
    LanguageModelRunConfig,
    language_model::{LanguageModel, ReadingDirection, TextScore},
};

/// Everything a card tells of.
pub(super) struct Card<'a> {
    pub(super) config: &'a LanguageModelRunConfig,
    pub(super) text: &'a RawText,
    pub(super) summary: &'a Summary,
    pub(super) dev: TextScore,
    pub(super) test: Option<TextScore>,
}

impl Card<'_> {
    /// The card as Markdown; `command` remakes the model.
    pub(super) fn to_markdown(&self, model: &LanguageModel, command: &str) -> String {
        let info = &self.config.model;
        let mut card = info.title("Language model");
        let reads = match model.direction() {
            ReadingDirection::Forward => "forward",
            ReadingDirection::Backward => "backward",
        };
        let (shape, characters) = (model.config(), model.dictionary().len() - 1);
        card += &format!(
            "- Reads {reads}: {} layer(s) of {} units ({}), {characters} known characters\n",
            shape.layers,
            shape.hidden_dim,
            shape.cell.cell().spec().name,
        );
        card += &info.origin();
        let files = self.text.files().iter().take(20).map(|file| file_name(file));
        card += &format!(
            "\n## Data\n\n{} characters of training text in {}",
            self.text.n_chars(),
            files.collect::<Vec<_>>().join(", ")
        );
        let more = self.text.files().len().saturating_sub(20);
        if more > 0 {
            card += &format!(" and {more} more files");
        }
        let Summary { best_step, steps, epochs, .. } = self.summary;
        let seed = self.config.seed;
        let training = &self.config.training;
        card += &format!(
            ".\n\n## Training\n\nSeed {seed}, {steps} steps of {} streams of {} characters in \
             {epochs} epoch(s); the best is step {best_step}.\n\n```\n{command}\n```\n",
            training.batch_size, shape.sequence_length
        );
        let mut scores = |split: &str, score: &TextScore| {
            card += &format!("\n## Score on {split}\n\n```\n{score}```\n");
        };
        scores("development text", &self.dev);
        if let Some(test) = &self.test {
            scores("test text", test);
        }
        card
    }
}

/// Name of a file; folders are the trainer's own business.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
