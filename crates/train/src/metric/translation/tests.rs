use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::metric::resample::{self, Swapping};

/// What `scripts/fixtures/translation_scores.py` writes.
#[derive(Deserialize)]
struct Golden {
    settings: Vec<Settings>,
    corpora: Vec<Scored>,
    #[serde(default)]
    signatures: Vec<String>,
    /// What is printed behind BLEU of the first corpora.
    #[serde(default)]
    verbose: Vec<String>,
    resampling: Option<Resampled>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Settings {
    Bleu(Bleu),
    Chrf(Chrf),
    Ter(Ter),
}

#[derive(Deserialize)]
struct Scored {
    hypotheses: Vec<String>,
    references: Vec<Vec<Option<String>>>,
    /// Number of the settings, and the score.
    scores: Vec<(usize, f64)>,
}

#[derive(Deserialize)]
struct Resampled {
    baseline: Vec<String>,
    system: Vec<String>,
    references: Vec<Vec<String>>,
    /// Lines of every sample of the bootstrap.
    draws: Vec<Vec<usize>>,
    /// Whether a line changes sides, of every sample of randomization.
    swaps: Vec<Vec<bool>>,
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    settings: usize,
    mean: f64,
    half_width: f64,
    p_bootstrap: f64,
    p_randomization: f64,
}

impl Settings {
    fn metric(&self) -> &dyn TranslationMetric {
        match self {
            Self::Bleu(metric) => metric,
            Self::Chrf(metric) => metric,
            Self::Ter(metric) => metric,
        }
    }
}

/// The golden file; the variable `TRANSLATION_SCORES` names another one.
fn golden() -> Golden {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/translation_scores.json");
    let path = std::env::var_os("TRANSLATION_SCORES").map_or_else(|| own.into(), PathBuf::from);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn scores_are_those_of_sacrebleu() {
    let Golden { settings, corpora, .. } = golden();
    assert!(corpora.len() > 50 && settings.len() > 20);
    let mut compared = vec![(0, 0.0_f64); settings.len()];
    for (number, Scored { hypotheses, references, scores }) in corpora.iter().enumerate() {
        let corpus = Corpus::with_missing(hypotheses, references).unwrap();
        for &(index, want) in scores {
            let metric = settings[index].metric();
            let score = metric.corpus_score(&corpus).unwrap();
            let difference = (score - want).abs();
            assert!(
                difference <= 1e-9,
                "corpus {number}, {} {:?}: {score}, not {want}",
                metric.name(),
                metric.settings(),
            );
            let (scores, largest) = &mut compared[index];
            (*scores, *largest) = (*scores + 1, largest.max(difference));
        }
    }
    println!("{} corpora", corpora.len());
    for (settings, (scores, largest)) in settings.iter().zip(compared) {
        assert!(scores > 0);
        let metric = settings.metric();
        let of: Vec<String> = metric.settings().into_iter().map(|(_, value)| value).collect();
        println!("{:9} {scores:5} scores, within {largest:.1e}: {}", metric.name(), of.join(" "));
    }
}

#[test]
fn signatures_are_those_of_sacrebleu() {
    let Golden { settings, corpora, signatures, .. } = golden();
    let corpus = Corpus::with_missing(&corpora[0].hypotheses, &corpora[0].references).unwrap();
    for (settings, want) in settings.iter().zip(signatures) {
        let metric = settings.metric();
        let signature = metric.signature(&metric.statistics(&corpus).unwrap());
        assert_eq!(signature, want.replace("version:2.6.0", &format!("version:{VERSION}")));
    }
}

#[test]
fn parts_of_bleu_are_those_of_sacrebleu() {
    let Golden { corpora, verbose, .. } = golden();
    let bleu = Bleu::default();
    for (Scored { hypotheses, references, .. }, want) in corpora.iter().zip(verbose) {
        let corpus = Corpus::with_missing(hypotheses, references).unwrap();
        let score = bleu.score(&bleu.statistics(&corpus).unwrap().sums());
        assert_eq!(score.to_string(), want);
    }
}

impl Resampled {
    /// What our own definitions make of the samples of the file.
    fn outcome(&self, settings: usize, metric: &dyn TranslationMetric) -> Outcome {
        let [baseline, system] = [&self.baseline, &self.system].map(|lines| {
            metric.statistics(&Corpus::new(lines, &self.references).unwrap()).unwrap()
        });
        let of = |statistics: &Statistics, lines: &[usize]| {
            metric.value(&statistics.sums_of(lines.iter().copied()))
        };
        let real = (metric.value(&baseline.sums()) - metric.value(&system.sums())).abs();
        let interval = resample::interval(self.draws.iter().map(|d| of(&system, d)).collect());
        let drawn = self.draws.iter().map(|d| (of(&baseline, d) - of(&system, d)).abs());
        let swapping = Swapping::new(&baseline, &system);
        let swapped = self.swaps.iter().map(|swaps| {
            let mut swaps = swaps.iter().copied();
            swapping.difference(metric, || swaps.next().unwrap())
        });
        Outcome {
            settings,
            mean: interval.mean,
            half_width: interval.half_width,
            p_bootstrap: resample::p_value(&resample::centred(drawn.collect()), real),
            p_randomization: resample::p_value(&swapped.collect::<Vec<_>>(), real),
        }
    }
}

#[test]
fn intervals_and_tests_are_those_of_sacrebleu() {
    let Golden { settings, resampling, .. } = golden();
    let Some(golden) = resampling else { return };
    for want in &golden.results {
        let metric = settings[want.settings].metric();
        let found = golden.outcome(want.settings, metric);
        let values = |of: &Outcome| [of.mean, of.half_width, of.p_bootstrap, of.p_randomization];
        for (found, want) in values(&found).into_iter().zip(values(want)) {
            assert!((found - want).abs() < 1e-9, "{}: {found}, not {want}", metric.name());
        }
    }
}

#[test]
fn samples_depend_on_the_seed_alone() {
    let references = [["the tide is low", "we set sail", "no wind today", "land ahead"]];
    let baseline = ["the tide is high", "we set sail", "no wind today", "sand ahead"];
    let system = ["the tide is low", "we sail off", "no wind at all", "land ahead"];
    let metric = Chrf::default();
    let of = |lines| metric.statistics(&Corpus::new(lines, &references).unwrap()).unwrap();
    let (baseline, system) = (of(&baseline), of(&system));
    let sampler = Sampler { samples: 300, seed: 7 };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let compare = |kind| sampler.compare(kind, &metric, &baseline, &system).unwrap();
            let tests = [Resampling::Bootstrap, Resampling::Randomization].map(compare);
            (sampler.interval(&metric, &system).unwrap(), tests)
        })
    };
    assert_eq!(run(1), run(3));
    let (interval, [bootstrap, randomization]) = run(2);
    assert!(interval.half_width > 1.0 && interval.mean > 50.0, "{interval:?}");
    assert!((0.1..0.9).contains(&bootstrap.p_value), "{bootstrap:?}");
    assert!((0.1..0.9).contains(&randomization.p_value), "{randomization:?}");
    let other = Sampler { seed: 8, ..sampler }.interval(&metric, &system).unwrap();
    assert_ne!(interval, other);
}

#[test]
fn a_system_does_not_differ_from_itself_and_clearly_from_noise() {
    let lines: Vec<String> = (0..40).map(|n| format!("line {n} of the text is here")).collect();
    let noise = vec!["nothing of all that"; 40];
    for name in ["bleu", "chrf", "chrf++", "ter"] {
        let metric = by_name(name).unwrap();
        let of = |corpus: Result<Corpus>| metric.statistics(&corpus.unwrap()).unwrap();
        let (system, noise) =
            (of(Corpus::new(&lines, &[&lines])), of(Corpus::new(&noise, &[&lines])));
        for kind in [Resampling::Bootstrap, Resampling::Randomization] {
            let p = |one, other| {
                let sampler = Sampler { samples: 1000, ..Sampler::usual(kind) };
                sampler.compare(kind, metric.as_ref(), one, other).unwrap().p_value
            };
            assert_eq!(p(&system, &noise), 1.0 / 1001.0, "{name} {kind:?}");
            // No difference is larger than none.
            assert_eq!(p(&system, &system), 1.0 / 1001.0, "{name} {kind:?}");
        }
    }
    assert!(by_name("meteor").is_none());
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (bleu, ter) = (Bleu::default(), Ter::default());
    let corpus = Corpus::new(&["a"], &[["a"]]).unwrap();
    let (one, other) = (bleu.statistics(&corpus).unwrap(), ter.statistics(&corpus).unwrap());
    let sampler = Sampler::default();
    let error = sampler.compare(Resampling::Bootstrap, &bleu, &one, &other).unwrap_err();
    let want = "statistics of shape [1, 10] cannot be compared with those of [1, 2]";
    assert_eq!(error.to_string(), want);
    let error = Sampler { samples: 0, ..sampler }.interval(&bleu, &one).unwrap_err();
    assert_eq!(error.to_string(), "no samples are drawn: at least 1 is needed");
    assert_eq!(ter.sentence_score("a", &[]).unwrap_err().to_string(), "line 1 has no reference");
    let smoothing = Smoothing::Floor(f64::NAN);
    let error = Bleu { smoothing, ..bleu }.sentence_score("a", &["a"]).unwrap_err();
    let want = "BLEU: smoothing adds a finite number that is not negative";
    assert_eq!(error.to_string(), want);
}

#[test]
fn signatures_name_what_was_drawn() {
    let corpus = Corpus::with_missing(&["a", "b"], &[[Some("a"), Some("b")], [None, Some("c")]]);
    let ter = Ter::default();
    let statistics = ter.statistics(&corpus.unwrap()).unwrap();
    let resampled = (Resampling::Randomization, Sampler { samples: 10_000, seed: 3 });
    assert_eq!(
        ter.signature_with(&statistics, Some(resampled)),
        format!(
            "nrefs:var|ar:10000|seed:3|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{VERSION}"
        )
    );
}
