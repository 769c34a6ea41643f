//! What is searched for and found.

use glossator::{LengthPenalty, TranslateSampling, Translation};

use super::*;

/// Lines with which the translator is not sure of itself.
fn lines() -> Vec<String> {
    let (short, _) = digits(5, 30, 9);
    let (long, _) = digits(6, 30, 22);
    short.lines().chain(long.lines()).map(str::to_owned).collect()
}

fn translate(options: &TranslateOptions) -> Vec<Translation> {
    reverser().translate_lines(&lines(), options).unwrap()
}

#[test]
fn batches_and_threads_change_no_bit() {
    let all = TranslateOptions { n_best: 3, alignments: true, ..TranslateOptions::default() };
    let sampled = TranslateOptions {
        sampling: Some(TranslateSampling { temperature: 2.0, ..TranslateSampling::default() }),
        ..all.clone()
    };
    for options in [all, sampled, TranslateOptions { beam: 1, ..TranslateOptions::default() }] {
        let want = translate(&options);
        for batch_subwords in [1, 70, 1 << 20] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            let options = TranslateOptions { batch_subwords, ..options.clone() };
            assert_eq!(pool.install(|| translate(&options)), want, "{batch_subwords}");
        }
        if options.sampling.is_none() {
            for (line, want) in lines().iter().zip(&want) {
                let alone = reverser().translate_lines(&[line], &options).unwrap();
                assert_eq!(&alone[0], want);
            }
        }
    }
}

#[test]
fn the_score_of_a_translation_is_that_of_the_same_one_given() {
    let greedy = TranslateOptions { beam: 1, ..TranslateOptions::default() };
    for (line, made) in lines().iter().zip(translate(&greedy)).take(30) {
        let given = reverser().score_each(&[line.as_str()], &[made.text.as_str()]).unwrap()[0];
        let best = &made.hypotheses[0];
        assert!((best.log_probability + given.nats).abs() < 1e-9, "{best:?} {given:?}");
        assert_eq!(best.score, best.log_probability / given.subwords as f64);
    }
}

#[test]
fn hypotheses_are_ranked_and_their_scores_are_those_of_given_translations() {
    let penalties = [LengthPenalty::None, LengthPenalty::Average(0.5), LengthPenalty::Gnmt(0.6)];
    for length_penalty in penalties {
        let options = TranslateOptions { n_best: 4, length_penalty, ..TranslateOptions::default() };
        for (line, made) in lines().iter().zip(translate(&options)) {
            assert_eq!(made.hypotheses.len(), 4, "{line}");
            assert!(made.hypotheses.windows(2).all(|two| two[0].score >= two[1].score));
            assert_eq!(made.text, made.hypotheses[0].text);
            for one in &made.hypotheses {
                let given = reverser().score_each(&[line.as_str()], &[one.text.as_str()]);
                let given = given.unwrap()[0];
                // A hypothesis that was too long has no end.
                if given.subwords == one.subwords.len() + 1 && one.subwords.len() < line.len() {
                    assert!((given.nats + one.log_probability).abs() < 1e-6, "{one:?}");
                    let score = length_penalty.apply(one.log_probability, given.subwords);
                    assert_eq!(one.score, score);
                }
            }
        }
    }
}

#[test]
fn a_wider_beam_finds_likelier_translations() {
    let sum = |beam: usize| -> f64 {
        let length_penalty = LengthPenalty::None;
        let options = TranslateOptions { beam, length_penalty, ..TranslateOptions::default() };
        translate(&options).iter().map(|made| made.hypotheses[0].log_probability).sum()
    };
    assert!(sum(8) >= sum(1));
}

#[test]
fn prefixes_begin_and_runs_do_not_repeat() {
    let options = TranslateOptions { prefix: "77".to_owned(), ..TranslateOptions::default() };
    assert!(translate(&options).iter().all(|made| made.text.starts_with("77")));
    for n in [1, 2, 3] {
        let options = TranslateOptions { no_repeat_ngram: n, ..TranslateOptions::default() };
        for made in translate(&options) {
            let best = &made.hypotheses[0].subwords;
            let runs: std::collections::HashSet<_> = best.windows(n).collect();
            assert_eq!(runs.len(), (best.len() + 1).saturating_sub(n), "{n}: {made:?}");
        }
    }
}

#[test]
fn alignments_point_to_the_digit_that_is_written() {
    let options = TranslateOptions { alignments: true, ..TranslateOptions::default() };
    let line = "40312";
    let made = reverser().translate_lines(&[line], &options).unwrap().remove(0);
    let best = &made.hypotheses[0];
    assert_eq!(best.alignment.len(), best.subwords.len());
    assert!(best.alignment.iter().all(|row| row.len() == made.source.len() + 1));
    assert!(best.alignment.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    assert_eq!(made.word_pairs(), [(0, 0)]);
    let greedy = TranslateOptions { coverage_penalty: 0.5, ..options };
    let penalised = reverser().translate_lines(&[line], &greedy).unwrap().remove(0);
    assert!(penalised.hypotheses[0].score <= best.score);
}

#[test]
fn draws_are_seeded() {
    let draw = |seed: u64, n_best: usize| {
        let sampling = Some(TranslateSampling { temperature: 3.0, top: 4, seed });
        translate(&TranslateOptions { sampling, n_best, ..TranslateOptions::default() })
    };
    assert_eq!(draw(1, 1), draw(1, 1));
    assert_ne!(draw(1, 1), draw(2, 1));
    // A line is drawn by its number, wherever the lines are cut into windows.
    let sampling = Some(TranslateSampling { temperature: 3.0, top: 4, seed: 1 });
    let options = TranslateOptions { sampling, first_line: 5, ..TranslateOptions::default() };
    let rest = reverser().translate_lines(&lines()[5..], &options).unwrap();
    assert_eq!(rest, draw(1, 1)[5..]);
    let several = draw(1, 5);
    assert!(several.iter().all(|made| made.hypotheses.len() == 5));
    assert!(several.iter().any(|made| made.hypotheses[0].text != made.hypotheses[1].text));
}

#[test]
fn a_model_together_with_itself_says_the_same() {
    let options = TranslateOptions::default();
    let together = Translator::translate_by(&[reverser(), reverser()], &lines(), &options).unwrap();
    for (two, one) in together.iter().zip(translate(&options)) {
        let (two, one) = (&two.hypotheses[0], &one.hypotheses[0]);
        assert!((two.log_probability - one.log_probability).abs() < 1e-4, "{two:?} {one:?}");
    }
    let folder = folder(60, 3);
    std::fs::write(folder.path().join("train.digits"), "a letter\n".repeat(60)).unwrap();
    complete(folder.path(), "other", &["training.max_epochs=1"]);
    let other = load(&folder.path().join("other"));
    let error = Translator::translate_by(&[reverser(), &other], &lines(), &options).unwrap_err();
    assert!(matches!(error, Error::Ensemble { .. }), "{error:?}");
}

#[test]
fn short_number_formats_turn_digits_round_too() {
    let path = reverser().name();
    for precision in [glossator::Precision::Bf16, glossator::Precision::Int8] {
        let translator = Translator::load_in(path, Some(precision)).unwrap();
        let made = translator.translate_lines(&["123", "4056"], &TranslateOptions::default());
        let made: Vec<String> = made.unwrap().into_iter().map(|made| made.text).collect();
        assert_eq!(made, ["321", "6504"], "{precision:?}");
    }
}
