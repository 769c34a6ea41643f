use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

use crate::{Error, Result};

/// The item that stands for all unknown ones.
const UNKNOWN: &str = "<unk>";

/// Strings and their ids, counted from 0 in the order of addition.
///
/// Serialises as a list of strings; a list that holds an item twice is refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Item>", into = "Vec<Arc<str>>")]
pub struct Dictionary {
    items: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, u32>,
}

impl Dictionary {
    /// An empty dictionary.
    pub fn new() -> Self {
        Dictionary::default()
    }

    /// A dictionary in which `<unk>` has id 0.
    pub fn with_unknown() -> Self {
        let mut dictionary = Dictionary::new();
        dictionary.add(UNKNOWN);
        dictionary
    }

    /// The items that stand at least `min_count` times, the `max_items` most
    /// frequent of them (`<unk>`, id 0, not counted); ties by item.
    pub fn from_counts(
        counts: &BTreeMap<String, usize>,
        min_count: usize,
        max_items: Option<usize>,
    ) -> Self {
        let mut items: Vec<_> = counts.iter().filter(|(_, count)| **count >= min_count).collect();
        items.retain(|(item, _)| *item != UNKNOWN);
        // Stable, and the map is sorted: ties stay in the order of the items.
        items.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        items.truncate(max_items.unwrap_or(usize::MAX));
        let mut dictionary = Dictionary::with_unknown();
        for (item, _) in items {
            dictionary.add(item);
        }
        dictionary
    }

    /// The id of `item`, which is added if it is new.
    ///
    /// # Panics
    /// If there are 2^32 items already.
    pub fn add(&mut self, item: &str) -> u32 {
        if let Some(id) = self.get(item) {
            return id;
        }
        let id = u32::try_from(self.items.len()).expect("fewer than 2^32 items");
        let item: Arc<str> = item.into();
        self.items.push(item.clone());
        self.ids.insert(item, id);
        id
    }

    /// The id of `item`, if it is known.
    pub fn get(&self, item: &str) -> Option<u32> {
        self.ids.get(item).copied()
    }

    /// The id of `item`; 0 if it is unknown.
    pub fn id(&self, item: &str) -> u32 {
        self.get(item).unwrap_or(0)
    }

    /// The item of that id; `<unk>` if there is none.
    pub fn item(&self, id: u32) -> &str {
        self.items.get(id as usize).map_or(UNKNOWN, |item| item)
    }

    /// Number of items, `<unk>` counted.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|item| &**item)
    }
}

impl PartialEq for Dictionary {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

impl Eq for Dictionary {}

impl TryFrom<Vec<Item>> for Dictionary {
    type Error = Error;

    fn try_from(list: Vec<Item>) -> Result<Self> {
        let mut items = Vec::with_capacity(list.len());
        let mut ids = HashMap::with_capacity(list.len());
        for (Item(item), id) in list.into_iter().zip(0..) {
            if ids.insert(item.clone(), id).is_some() {
                return Err(Error::Duplicate { item: item.to_string() });
            }
            items.push(item);
        }
        Ok(Dictionary { items, ids })
    }
}

/// An item as it is read: one allocation, where `Arc<str>` by itself takes two.
struct Item(Arc<str>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ItemVisitor)
    }
}

struct ItemVisitor;

impl Visitor<'_> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, item: &str) -> Result<Item, E> {
        Ok(Item(item.into()))
    }
}

impl From<Dictionary> for Vec<Arc<str>> {
    fn from(dictionary: Dictionary) -> Self {
        dictionary.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_and_come_back() {
        let mut dictionary = Dictionary::with_unknown();
        assert_eq!((dictionary.add("b"), dictionary.add("a"), dictionary.add("b")), (1, 2, 1));
        assert_eq!((dictionary.id("a"), dictionary.id("x"), dictionary.get("x")), (2, 0, None));
        assert_eq!((dictionary.item(1), dictionary.item(9)), ("b", "<unk>"));
        assert_eq!(dictionary.iter().collect::<Vec<_>>(), ["<unk>", "b", "a"]);
    }

    #[test]
    fn counts_are_cut_by_number_and_size() {
        let counts = [("a", 2), ("b", 5), ("c", 2), ("d", 1), ("<unk>", 9)];
        let counts = counts.map(|(item, count)| (item.to_owned(), count)).into();
        let items = |min, max| {
            Dictionary::from_counts(&counts, min, max).iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(items(2, None), "<unk> b a c");
        assert_eq!(items(0, Some(2)), "<unk> b a");
    }

    #[test]
    fn json_round_trip_and_no_duplicates() {
        let dictionary: Dictionary = serde_json::from_str(r#"["x","y"]"#).expect("a list");
        assert_eq!(dictionary.id("y"), 1);
        assert_eq!(serde_json::to_string(&dictionary).expect("a list"), r#"["x","y"]"#);
        let error = serde_json::from_str::<Dictionary>(r#"["x","x"]"#).expect_err("twice");
        assert!(error.to_string().contains("twice"), "{error}");
        let escaped = serde_json::from_str::<Dictionary>(r#"["\u00eb\n"]"#).expect("a list");
        assert_eq!(escaped.id("\u{eb}\n"), 0);
        assert_eq!(escaped.item(0), "\u{eb}\n");
        assert!(serde_json::from_str::<Dictionary>("[1]").is_err());
    }
}
