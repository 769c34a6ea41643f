//! Runs on a disk that fails.

use std::path::Path;

use super::{adamw, complete, options, remains, steps::often};
use crate::{
    Error, RunOptions, TrainingConfig,
    disk::faults::{Failure, failing},
    run,
    testing::Toy,
};

fn train(config: &TrainingConfig, out: &Path, resume: bool) -> Result<(), Error> {
    let options = RunOptions { checkpoint_every_steps: Some(3), ..options(out, resume) };
    run(&mut Toy::default(), config, &options, &mut []).map(|_| ())
}

/// Trains in `out` with each operation of the disk failing in turn, and on from
/// there; returns how many there are.
fn each_operation_fails(
    config: &TrainingConfig,
    failure: Failure,
    prepare: impl Fn(&Path),
) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let want = complete(dir.path(), config);
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        if failing(n, failure, || train(config, dir.path(), false)).is_ok() {
            assert_eq!(remains(dir.path()), want, "nothing failed");
            return n - 1;
        }
        match train(config, dir.path(), true) {
            // A model that was half removed is not trained over unasked.
            Err(Error::NothingToResume { .. }) => train(config, dir.path(), false).unwrap(),
            result => result.unwrap(),
        }
        assert_eq!(remains(dir.path()), want, "{failure:?} at operation {n}");
    }
    unreachable!("a run has an end")
}

#[test]
fn a_run_resumes_to_the_same_bytes_whatever_operation_of_the_disk_fails() {
    for failure in [Failure::Once, Failure::Forever] {
        let operations = each_operation_fails(&adamw(), failure, |_| ());
        // Seven checkpoints and two savings of the best model, of many operations each.
        assert!(operations > 50, "{operations}");
    }
}

#[test]
fn a_run_with_evaluations_within_epochs_does_so_too() {
    each_operation_fails(&often(), Failure::Once, |_| ());
    let operations = each_operation_fails(&often(), Failure::Forever, |_| ());
    assert!(operations > 50, "{operations}");
}

#[test]
fn a_run_over_an_earlier_one_does_so_too() {
    let earlier = tempfile::tempdir().unwrap();
    train(&adamw(), earlier.path(), false).unwrap();
    for failure in [Failure::Once, Failure::Forever] {
        each_operation_fails(&adamw(), failure, |out| {
            train(&adamw(), out, false).unwrap();
            std::fs::write(out.join("config.json"), "{}").unwrap();
        });
    }
}
