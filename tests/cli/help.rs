//! Help, completions and the manual page.

use crate::folder::Folder;

const VERBS: [&str; 11] = [
    "tag",
    "embed",
    "train",
    "eval",
    "generate",
    "init",
    "check",
    "fetch",
    "models",
    "bench",
    "completions",
];

#[test]
fn without_a_verb_the_verbs_are_named() {
    let folder = Folder::new();
    let error = folder.gloss(&[]).fails(2);
    let help = folder.gloss(&["--help"]).ok();
    for verb in VERBS {
        let named = |text: &str| text.lines().any(|l| l.starts_with(&format!("  {verb} ")));
        assert!(named(&error) && named(&help), "{verb}");
    }
    assert!(help.contains("GLOSSATOR_CACHE") && help.contains("Exit codes"), "{help}");
    assert!(folder.gloss(&["--version"]).ok().starts_with("gloss "));
}

#[test]
fn help_opens_with_examples_and_names_defaults() {
    let folder = Folder::new();
    for verb in VERBS {
        for flag in ["-h", "--help"] {
            let help = folder.gloss(&[verb, flag]).ok();
            let examples = help.find("Examples:\n  ").expect(verb);
            let usage = help.find(&format!("Usage: gloss {verb}")).expect(verb);
            assert!(examples < usage, "{verb}: {help}");
            assert!(help[examples..].contains(&format!("gloss {verb}")), "{verb}: {help}");
        }
    }
    let help = folder.gloss(&["tag", "--help"]).ok();
    for part in ["[default: inline]", "[default: en-ner]", "[default: 4096]", "[default: chars]"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn colours_are_a_choice() {
    let folder = Folder::new();
    assert!(folder.gloss(&["tag", "--help", "--color", "always"]).ok().contains('\u{1b}'));
    for choice in ["auto", "never"] {
        assert!(!folder.gloss(&["tag", "--help", "--color", choice]).ok().contains('\u{1b}'));
    }
    let error = folder.gloss(&["train", "absent.toml", "--color", "always"]).fails(5);
    assert!(error.starts_with("\u{1b}["), "{error:?}");
}

#[test]
fn every_shell_has_completions() {
    let folder = Folder::new();
    for (shell, mark) in [
        ("bash", "complete -F _gloss"),
        ("zsh", "#compdef gloss"),
        ("fish", "complete -c gloss"),
        ("powershell", "Register-ArgumentCompleter"),
        ("man", ".TH gloss 1"),
    ] {
        let text = folder.gloss(&["completions", shell]).ok();
        assert!(text.contains(mark), "{shell}");
        for verb in VERBS {
            assert!(text.to_lowercase().contains(verb), "{shell}: {verb}");
        }
    }
    folder.gloss(&["completions", "tcsh"]).fails(2);
}
