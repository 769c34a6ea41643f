//! Messages on standard error.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use serde_json::json;

use crate::{
    args::{Color, LogFormat, Messages},
    exit::Usage,
};

/// Says things on standard error; that nobody reads them is no failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    json: bool,
    quiet: bool,
    color: bool,
}

impl Log {
    /// What the options say, else the environment: `text`, `json`, `quiet`,
    /// `info`, or several with commas between.
    ///
    /// # Errors
    /// If the environment says something else.
    pub fn new(options: &Messages, environment: Option<&str>) -> anyhow::Result<Self> {
        let color = match options.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !plain && io::stderr().is_terminal()
            }
        };
        let mut log = Self { color, ..Self::default() };
        for word in environment.unwrap_or_default().split(',').filter(|word| !word.is_empty()) {
            match word.trim() {
                "text" => log.json = false,
                "json" => log.json = true,
                "info" => log.quiet = false,
                "quiet" => log.quiet = true,
                other => {
                    let known = "known are text, json, quiet and info";
                    return Err(Usage(format!("GLOSSATOR_LOG: unknown `{other}`; {known}")).into());
                }
            }
        }
        log.quiet |= options.quiet;
        if let Some(format) = options.log_format {
            log.json = format == LogFormat::Json;
        }
        Ok(log)
    }

    /// The same that says nothing but errors.
    pub fn quietly(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Whether messages are JSON.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether only errors are said.
    pub fn is_quiet(self) -> bool {
        self.quiet
    }

    /// What is good to know.
    pub fn info(self, message: impl Display) {
        if !self.quiet {
            self.say("info", &message.to_string(), &[]);
        }
    }

    /// What deserves a look.
    pub fn warn(self, message: impl Display) {
        if !self.quiet {
            self.say("warning", &message.to_string(), &[]);
        }
    }

    /// A JSON object for a program that reads the messages.
    pub fn object(self, json: &str) {
        if !self.quiet {
            print(json);
        }
    }

    /// Why an exit code is 1; said even when quiet.
    pub fn missed(self, message: impl Display) {
        self.say("missed", &message.to_string(), &[]);
    }

    /// An error and its causes; said even when quiet.
    pub fn error(self, error: &anyhow::Error) {
        let mut messages: Vec<String> = error.chain().map(ToString::to_string).collect();
        // Some messages hold those of their causes.
        messages.dedup_by(|cause, message| message.contains(&**cause));
        let causes = messages.split_off(1);
        self.say("error", &messages[0], &causes);
    }

    fn say(self, level: &str, message: &str, causes: &[String]) {
        if self.json {
            let mut object = json!({ "level": level, "message": message });
            if !causes.is_empty() {
                object["causes"] = json!(causes);
            }
            return print(&object.to_string());
        }
        let mut text = match level {
            "info" => message.to_owned(),
            _ if self.color => format!("\x1b[1;31m{level}:\x1b[0m {message}"),
            _ => format!("{level}: {message}"),
        };
        for cause in causes {
            text.push_str("\n  caused by: ");
            text.push_str(cause);
        }
        print(&text);
    }
}

/// A number of things: `1 thread`, `2 threads`.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

fn print(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(quiet: bool, log_format: Option<LogFormat>, environment: &str) -> anyhow::Result<Log> {
        Log::new(&Messages { quiet, log_format, color: Color::Never }, Some(environment))
    }

    #[test]
    fn options_come_before_the_environment() {
        let json = Log { json: true, ..Log::default() };
        assert_eq!(log(false, None, "json").unwrap(), json);
        assert_eq!(log(false, Some(LogFormat::Text), "json,info").unwrap(), Log::default());
        assert_eq!(log(true, None, "json,info").unwrap(), Log { quiet: true, ..json });
        assert!(log(false, None, "loud").unwrap_err().to_string().contains("`loud`"));
    }
}
