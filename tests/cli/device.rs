//! GPUs: the program that is asked for one hands over to `gloss-cuda`.

#[cfg(unix)]
mod companion {
    use std::process::Command;

    use crate::folder::{Folder, Run};

    /// The program with a `gloss-cuda` beside it, which is that shell script. Both
    /// are written by another process: nobody can run a file that this one, or a
    /// child it has at the moment, still holds open.
    fn beside(script: &str) -> (Folder, Command) {
        let folder = Folder::new();
        let write =
            "cp \"$1\" gloss; printf '#!/bin/sh\\n%s\\n' \"$2\" > gloss-cuda; chmod +x gloss-cuda";
        let mut shell = Command::new("sh");
        shell.args(["-euc", write, "sh", env!("CARGO_BIN_EXE_gloss"), script]);
        assert!(shell.current_dir(folder.path("")).status().unwrap().success());
        let gloss = Command::new(folder.path("gloss"));
        (folder, gloss)
    }

    fn run(command: &mut Command, args: &[&str]) -> Run {
        Run::from(command.args(args).output().expect("gloss"))
    }

    #[test]
    fn all_arguments_go_to_it_and_its_exit_code_comes_back() {
        let (_folder, mut gloss) = beside("echo \"$@\"; [ \"$1\" = --version ] || exit 3");
        let run = run(&mut gloss, &["tag", "--device", "cuda:1", "a b"]);
        assert_eq!(run.out, "tag --device cuda:1 a b\n");
        run.fails(3);
    }

    #[test]
    fn one_that_cannot_start_is_2_and_says_why() {
        let script = "echo 'libcuda.so.1: cannot open shared object file' >&2; exit 127";
        let error = run(&mut beside(script).1, &["tag", "--device", "cuda", "a"]).fails(2);
        for part in ["gloss-cuda", "libcuda.so.1", "driver", "--device cpu"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn without_the_question_for_a_gpu_it_is_not_asked() {
        let (_folder, mut gloss) = beside("exit 9");
        run(&mut gloss, &["models", "--quiet"]).ok();
    }
}
