//! Dictionaries: `flair.data.Dictionary`.

use std::collections::HashMap;

use glossator_pickle::Value;
use glossator_text::Dictionary;

use crate::{Result, convert::Source};

/// The items by number, as text.
pub(super) fn items(source: &Source<'_>, dictionary: Value<'_>) -> Result<Vec<String>> {
    let items = source.need(dictionary.get("idx2item"), "dictionary with a list `idx2item`")?;
    items.items().map(|item| text(source, item)).collect()
}

fn text(source: &Source<'_>, item: Value<'_>) -> Result<String> {
    if let Some(text) = item.as_str() {
        return Ok(text.to_owned());
    }
    let bytes = source.need(item.to_bytes(), "text as an item of a dictionary")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Characters by number. What has no number of its own is character 0, be it
/// called `<unk>` or not: so it was looked up.
pub(super) fn characters(source: &Source<'_>, dictionary: Value<'_>) -> Result<Dictionary> {
    let items = items(source, dictionary)?;
    if items.is_empty() {
        return Err(source.problem("a dictionary of characters is empty"));
    }
    let mut numbers: HashMap<String, i64> = HashMap::new();
    for (item, number) in dictionary.get("item2idx").iter().flat_map(|numbers| numbers.entries()) {
        if let Some(number) = number.as_i64() {
            numbers.insert(text(source, item)?, number);
        }
    }
    let mut list = Dictionary::with_unknown();
    for (place, item) in items.iter().enumerate().skip(1) {
        // One that stands twice is found at one of its places only.
        let is_found = numbers.get(item).is_none_or(|number| *number == place as i64);
        match is_found && list.get(item).is_none() {
            true => list.add(item),
            false => list.add(&format!("<{place}>")),
        };
    }
    Ok(list)
}
