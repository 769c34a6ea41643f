use glossator_hub::StoredPrecision;
use serde::{Deserialize, Serialize};

/// What a model says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelInfo {
    /// Name, for the card.
    pub name: String,
    /// A sentence on what it does, for the card.
    pub description: String,
    /// Corpora and their licences, a line each, for the card.
    pub sources: Vec<String>,
    /// Licence of the weights, for the card.
    pub licence: String,
    /// What it is known to do badly, a line each, for the card.
    pub weak_spots: Vec<String>,
    /// How the weights are stored.
    pub precision: StoredPrecision,
    /// Number format that the finished model is computed with, unless whoever
    /// uses it asks for another; left out: as the weights are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute: Option<StoredPrecision>,
}

/// Parts of a card.
impl ModelInfo {
    /// The name, `otherwise` if it has none, and the description.
    pub(crate) fn title(&self, otherwise: &str) -> String {
        let name = if self.name.is_empty() { otherwise } else { &self.name };
        let mut title = format!("# {name}\n\n");
        if !self.description.is_empty() {
            title += &format!("{}\n\n", self.description);
        }
        title
    }

    /// Licence and corpora as items of a list, and what is known to go wrong.
    pub(crate) fn origin(&self) -> String {
        let mut origin = String::new();
        if !self.licence.is_empty() {
            origin += &format!("- Licence of the weights: {}\n", self.licence);
        }
        for source in &self.sources {
            origin += &format!("- Trained on: {source}\n");
        }
        if !self.weak_spots.is_empty() {
            origin += &format!("\n## Known weak spots\n\n- {}\n", self.weak_spots.join("\n- "));
        }
        origin
    }
}
