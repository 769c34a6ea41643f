//! The command that remakes a model, for its card.

use std::path::Path;

/// The command of a training. What is absolute is the trainer's own business,
/// and loses its folders.
pub fn of(config: &Path, settings: &[String]) -> String {
    let mut command =
        format!("gloss train {}", quoted(&without_folders(&config.to_string_lossy())));
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let setting = format!("{key}={}", without_folders(value));
        command.push_str(&format!(" --set {}", quoted(&setting)));
    }
    command
}

/// The file name of an absolute path; anything else as it is.
fn without_folders(text: &str) -> String {
    let path = Path::new(text);
    match path.file_name().filter(|_| path.is_absolute()) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => text.to_owned(),
    }
}

/// The text as a shell reads it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./=:,+@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_lose_their_folders() {
        let settings = ["seed=7".to_owned(), "data.train=/home/ada/a b.conllu".to_owned()];
        let command = of(Path::new("/home/ada/ner.toml"), &settings);
        assert_eq!(command, "gloss train ner.toml --set seed=7 --set 'data.train=a b.conllu'");
        assert_eq!(of(Path::new("runs/ner.toml"), &[]), "gloss train runs/ner.toml");
    }
}
