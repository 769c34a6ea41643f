//! Vocabularies: `stanza.models.common.vocab`.

use glossator_pickle::Value;

use crate::{Result, convert::Source};

/// Items that stand first in each vocabulary, for padding, what is unknown, what is
/// empty and the root.
pub(super) const PREFIX: usize = 4;
pub(super) const PADDING: usize = 0;
pub(super) const UNKNOWN: usize = 1;

/// The items by number, those of the prefix too.
pub(super) fn items(source: &Source<'_>, vocabulary: Value<'_>) -> Result<Vec<String>> {
    let items = source.need(vocabulary.get("_id2unit"), "vocabulary with a list `_id2unit`")?;
    let text = |item: Value<'_>| {
        let text = item.as_str().map(str::to_owned);
        source.need(text, "text as an item of a vocabulary")
    };
    let items: Vec<String> = items.items().map(text).collect::<Result<_>>()?;
    match items.len() > PREFIX {
        true => Ok(items),
        false => Err(source.problem("a vocabulary is empty")),
    }
}
