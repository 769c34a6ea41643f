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

/// Where a configuration comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// What overrides it.
    pub(super) settings: &'a [String],
}

impl Origin<'_> {
    /// An error about the value of a key: with the line that sets it, or the option.
    pub(super) fn of_key(self, key: &str, problem: &str) -> Error {
        let sets = |setting: &&String| setting.split('=').next().is_some_and(|k| k.trim() == key);
        let (line, problem) = match self.settings.iter().rfind(sets) {
            Some(setting) => (None, format!("--set {setting}: {problem}")),
            None => (line_of(self.text, key), problem.to_owned()),
        };
        self.error(line, problem)
    }

    /// An error about the file.
    pub(super) fn error(self, line: Option<usize>, problem: String) -> Error {
        Error::Config { path: self.path.to_owned(), line, problem }
    }

    /// A TOML error with its line, and the nearest known key to an unknown one; `key` is
    /// where it was met, if that is known.
    pub(super) fn explain(self, key: &str, error: &toml::de::Error) -> Error {
        let (text, message) = (self.text, error.message());
        let lines_before =
            |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
        let line = error.span().map(|span| lines_before(span.start) + 1);
        let key = key.trim_matches('.');
        let mut quoted = message.split('`').skip(1).step_by(2);
        let unknown = message.starts_with("unknown ").then(|| quoted.next()).flatten();
        let Some(unknown) = unknown else {
            let problem = plain(message);
            return match (line, key.is_empty()) {
                (_, true) => self.error(line, problem),
                (Some(_), false) => self.error(line, format!("{key}: {problem}")),
                (None, false) => self.of_key(key, &format!("{key}: {problem}")),
            };
        };
        // A value made by --set has no line.
        let is_value = message.starts_with("unknown variant");
        let quotes = |text: &str| text.contains(&format!("\"{unknown}\""));
        let of_value = || text.lines().position(quotes).map(|line| line + 1);
        let line = if is_value { of_value() } else { line_of(text, unknown) }.or(line);
        let known: Vec<&str> = quoted.collect();
        let distance = |known: &&&str| strsim::damerau_levenshtein(unknown, known);
        let (what, of) = match (is_value, key.is_empty()) {
            (true, false) => ("value", format!(" of `{key}`")),
            (true, true) => ("value", String::new()),
            (false, _) => ("key", String::new()),
        };
        self.error(
            line,
            match known.iter().min_by_key(distance) {
                Some(nearest) if distance(&nearest) <= unknown.len().div_ceil(2) => {
                    format!("unknown {what} `{unknown}`{of}; did you mean `{nearest}`?")
                }
                _ => format!("unknown {what} `{unknown}`{of}; known are {}", known.join(", ")),
            },
        )
    }
}

/// What serde says of a value of the wrong type, in words of TOML.
fn plain(message: &str) -> String {
    let behind = ["invalid type: ", "invalid value: "].iter().find_map(|p| message.strip_prefix(p));
    let Some((found, wanted)) = behind.and_then(|behind| behind.split_once(", expected ")) else {
        return message.to_owned();
    };
    let wanted = match wanted.trim() {
        "usize" | "u8" | "u16" | "u32" | "u64" => "a whole number, not below 0",
        "isize" | "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    let found = match found.split_once(' ') {
        None if found == "map" => "a table".to_owned(),
        None if found == "sequence" => "a list".to_owned(),
        Some(("string", text)) => text.to_owned(),
        Some((_, value)) => value.trim_start_matches("point ").trim_matches('`').to_owned(),
        None => found.to_owned(),
    };
    format!("is {found}, not {wanted}")
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
