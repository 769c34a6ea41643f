//! Overriding settings of a configuration, and saying what is wrong in it.

use std::path::Path;

use crate::Error;

/// Puts `key.path=value` into a table; a number in the path counts the tables
/// of a list from 0. A value that is no TOML is a string.
pub(super) fn set(table: &mut toml::Table, setting: &str) -> Result<(), String> {
    let (key, value) = setting
        .split_once('=')
        .ok_or_else(|| format!("--set {setting}: expected key.path=value"))?;
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
    let only = parsed.ok().filter(|table| table.len() == 1);
    let value = match only.and_then(|mut table| table.remove("value")) {
        Some(value) => value,
        None => toml::Value::String(value.to_owned()),
    };
    let mut place = &mut *table;
    let mut parts = key.trim().split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            place.insert(part.to_owned(), value);
            break;
        }
        let mut entry = place.entry(part).or_insert_with(|| toml::Table::new().into());
        if let toml::Value::Array(list) = entry {
            let index = parts.next().unwrap_or_default();
            let item = index.parse().ok().and_then(|index: usize| list.get_mut(index));
            entry =
                item.ok_or_else(|| format!("--set {setting}: `{part}` has no item `{index}`"))?;
            if parts.peek().is_none() {
                *entry = value;
                break;
            }
        }
        place = entry
            .as_table_mut()
            .ok_or_else(|| format!("--set {setting}: `{part}` is not a table"))?;
    }
    Ok(())
}

/// A TOML error with its line, and the nearest known key to an unknown one.
pub(super) fn explain(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let message = error.message();
    let lines_before =
        |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    let line = error.span().map(|span| lines_before(span.start) + 1);
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown ").then(|| quoted.next()).flatten();
    let Some(unknown) = unknown else {
        return Error::Config { path: path.to_owned(), line, problem: message.to_owned() };
    };
    // A value made by --set has no line.
    let is_value = message.starts_with("unknown variant");
    let quotes = |text: &str| text.contains(&format!("\"{unknown}\""));
    let of_value = || text.lines().position(quotes).map(|line| line + 1);
    let line = if is_value { of_value() } else { line_of(text, unknown) }.or(line);
    let known: Vec<&str> = quoted.collect();
    let distance = |known: &&&str| strsim::damerau_levenshtein(unknown, known);
    let what = if is_value { "value" } else { "key" };
    let problem = match known.iter().min_by_key(distance) {
        Some(nearest) if distance(&nearest) <= unknown.len().div_ceil(2) => {
            format!("unknown {what} `{unknown}`; did you mean `{nearest}`?")
        }
        _ => format!("unknown {what} `{unknown}`; known are {}", known.join(", ")),
    };
    Error::Config { path: path.to_owned(), line, problem }
}

/// The line of a text that sets a key, given with the tables it is in, or
/// without any.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let (table, key) = key.rsplit_once('.').map_or((None, key), |(table, key)| (Some(table), key));
    let mut current = "";
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.starts_with('[') {
            current = line.split('#').next().unwrap_or_default().trim();
            current = current.trim_matches(['[', ']']);
            if current.rsplit('.').next() == Some(key) && table.is_none() {
                return Some(number);
            }
        } else if line.split('=').next().is_some_and(|name| name.trim().trim_matches('"') == key)
            && table.is_none_or(|table| table == current)
        {
            return Some(number);
        }
    }
    None
}
