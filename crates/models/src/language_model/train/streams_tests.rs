//! Streams of characters, and the states that are carried along them.

use std::collections::BTreeSet;

use glossator_nn::Device;
use glossator_text::{Dictionary, raw::TextOptions};
use glossator_train::Task;

use super::*;
use crate::{
    RunConfig,
    language_model::train::{start::Start, task::LanguageModelTask},
};

const CONFIG: &str = r#"
task = "language-model"
[data]
train = "text"
dev = "dev.txt"
split_chars = 300
shuffle = false
[language_model]
hidden_dim = 6
embedding_dim = 3
sequence_length = 20
min_count = 1
dropout = 0.0
case_flips = 0.0
unknown = 0.0
[training]
batch_size = 4
"#;

/// Files of text, and how they are read.
struct World {
    _folder: tempfile::TempDir,
    config: LanguageModelRunConfig,
    text: RawText,
    dictionary: Dictionary,
}

impl World {
    fn new(files: &[String], settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("text")).unwrap();
        for (number, file) in files.iter().enumerate() {
            let path = folder.path().join(format!("text/{number}.txt"));
            std::fs::write(path, file).unwrap();
        }
        std::fs::write(folder.path().join("dev.txt"), "some words\n").unwrap();
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let config = RunConfig::parse(CONFIG, &folder.path().join("c.toml"), &settings);
        let RunConfig::LanguageModel(config) = config.unwrap() else { panic!("another task") };
        let options = TextOptions { split_chars: config.data.split_chars, held_out: None };
        let text = RawText::scan(&config.data.train, &options).unwrap();
        let mut dictionary = Dictionary::with_unknown();
        for c in text.counts().keys() {
            for c in [*c].into_iter().chain(c.to_lowercase()).chain(c.to_uppercase()) {
                dictionary.add(&c.to_string());
            }
        }
        Self { _folder: folder, config: *config, text, dictionary }
    }

    fn streams(&self) -> Streams<'_> {
        let model = self.config.language_model.clone();
        let ids = CharacterIds::new(&self.dictionary);
        Streams::new(&self.config, model, ids, self.text.clone())
    }

    fn windows(&self, epoch: usize) -> Vec<Window> {
        self.streams().windows(epoch, &mut Rng::new(self.config.seed, "batches", epoch as u64))
    }

    fn of_split(&self, epoch: usize, split: usize) -> Vec<Window> {
        self.windows(epoch).into_iter().filter(|window| window.split == split).collect()
    }

    /// A split as it stands in the files.
    fn split(&self, split: usize) -> String {
        self.text.reader().read(split).unwrap().concat()
    }

    /// What the streams of a split read in an epoch.
    fn read(&self, epoch: usize, split: usize) -> Vec<String> {
        let streams = put_together(&mut self.streams(), &self.of_split(epoch, split));
        let item = |id: &u32| self.dictionary.item(*id);
        streams.iter().map(|ids| ids.iter().map(item).collect()).collect()
    }

    fn task(&self) -> LanguageModelTask<'_> {
        LanguageModelTask::new(&self.config, Start::new(&self.config).unwrap(), &Device::cpu())
            .unwrap()
    }
}

/// The ids of each stream: the first input and, of all windows, the targets,
/// which are the inputs one character on.
fn put_together(streams: &mut Streams<'_>, windows: &[Window]) -> Vec<Vec<u32>> {
    let mut texts: Vec<Vec<u32>> = Vec::new();
    for window in windows {
        let WindowIds { inputs, targets, lengths } = streams.ids(window).unwrap();
        assert_eq!((inputs.len(), targets.len()), (lengths.iter().sum(), lengths.iter().sum()));
        texts.resize(lengths.len(), Vec::new());
        let (mut inputs, mut targets) = (&inputs[..], &targets[..]);
        for (text, length) in texts.iter_mut().zip(lengths) {
            let (own, further) = (&inputs[..length], &targets[..length]);
            (inputs, targets) = (&inputs[length..], &targets[length..]);
            assert_eq!(own[1..], further[..length - 1]);
            match text.last() {
                None => text.push(own[0]),
                Some(last) => assert_eq!(*last, own[0], "windows are joined"),
            }
            text.extend(further);
        }
    }
    texts
}

/// Different lines of so many words each.
fn lines(from: usize, count: usize) -> String {
    let line = |i: usize| format!("line {i} of {} lines\n", i * i % 31);
    (from..from + count).map(line).collect()
}

#[test]
fn the_streams_of_a_split_are_its_text_and_each_is_read_once() {
    let files = [lines(0, 40), lines(100, 21), lines(200, 13)];
    for backward in [false, true] {
        for (batch, length) in [(1, 1), (1, 1000), (4, 20), (7, 37), (64, 5)] {
            let direction = if backward { "backward" } else { "forward" };
            let settings = [
                format!("language_model.direction={direction}"),
                format!("training.batch_size={batch}"),
                format!("language_model.sequence_length={length}"),
            ];
            let world = World::new(&files, &settings.each_ref().map(String::as_str));
            let splits = world.text.splits().len();
            assert!(splits > 3, "{splits}");
            assert_eq!(world.windows(1).iter().map(|w| w.split).max(), Some(splits - 1));
            for split in 0..splits {
                let mut characters: Vec<char> = world.split(split).chars().collect();
                if backward {
                    characters.reverse();
                }
                let streams = batch.min(characters.len() / 16);
                let want = characters.chunks_exact(characters.len() / streams).take(streams);
                let want: Vec<String> = want.map(|stream| stream.iter().collect()).collect();
                assert_eq!(world.read(1, split), want, "{settings:?}");
                let firsts: Vec<usize> = world.of_split(1, split).iter().map(|w| w.first).collect();
                assert_eq!(firsts[0], 0, "a split begins anew");
                assert!(firsts.windows(2).all(|pair| pair[1] - pair[0] == length));
            }
        }
    }
}

#[test]
fn lines_of_a_split_are_shuffled_anew_in_each_epoch() {
    let files = [lines(0, 60)];
    let world = World::new(&files, &["data.shuffle=true", "training.batch_size=1"]);
    for split in 0..world.text.splits().len() {
        let (plain, read) = (world.split(split), |epoch| world.read(epoch, split).concat());
        let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        for epoch in 1..4 {
            assert_eq!(read(epoch).chars().count(), plain.chars().count());
            assert_eq!(sorted(&read(epoch)), sorted(&plain));
            assert_eq!(read(epoch), read(epoch), "a resumed run reads the same");
            assert_ne!(read(epoch), plain);
        }
        assert_ne!(read(1), read(2));
    }
    // One reader, there and back, reads what fresh ones do.
    let mut streams = world.streams();
    for (epoch, split) in [(1, 2), (1, 0), (2, 0), (1, 0), (2, 3)] {
        let windows = world.of_split(epoch, split);
        let fresh = put_together(&mut world.streams(), &windows);
        assert_eq!(put_together(&mut streams, &windows), fresh);
    }
}

#[test]
fn files_are_shuffled_from_the_second_epoch_on() {
    let files = [lines(0, 40), lines(100, 50), lines(200, 30), lines(300, 45)];
    let world = World::new(&files, &["data.shuffle=true"]);
    let splits = world.text.splits();
    let order = |world: &World, epoch| {
        let mut order: Vec<usize> = world.windows(epoch).iter().map(|w| w.split).collect();
        order.dedup();
        order
    };
    let in_order: Vec<usize> = (0..splits.len()).collect();
    assert_eq!(order(&world, 1), in_order);
    for epoch in 2..6 {
        let mut files: Vec<Vec<usize>> = Vec::new();
        for split in order(&world, epoch) {
            match files.last_mut() {
                Some(file) if splits[file[0]].first_file == splits[split].first_file => {
                    file.push(split);
                }
                _ => files.push(vec![split]),
            }
        }
        assert_eq!(files.len(), 4, "a file stays together: {files:?}");
        assert!(files.iter().all(|file| file.is_sorted() && file.len() > 1), "{files:?}");
        files.sort();
        assert_eq!(files.concat(), in_order);
    }
    assert!((2..6).any(|epoch| order(&world, epoch) != in_order));
    assert_ne!(order(&world, 2), order(&world, 3));
    let plain = World::new(&files, &[]);
    assert!((1..6).all(|epoch| order(&plain, epoch) == in_order));
}

#[test]
fn case_flips_change_whole_lines_and_no_length() {
    assert_eq!(["ß", "ŉ", "ﬁ"].map(|c| upper(c.chars().next().unwrap())), ['ß', 'ŉ', 'ﬁ']);
    assert_eq!((lower('İ'), lower('É'), upper('é'), upper('ÿ')), ('İ', 'é', 'É', 'Ÿ'));
    let line = |i| format!("Die Straße {i} von İzmir: ŉ Élan, ﬁx ÿ\n");
    let text: String = (0..300).map(line).collect();
    let settings = ["language_model.case_flips=0.3", "training.batch_size=1"];
    let world = World::new(std::slice::from_ref(&text), &settings);
    let change =
        |line: &str, change: fn(char) -> char| line.chars().map(change).collect::<String>();
    let mut counts = [0_usize; 3];
    for split in 0..world.text.splits().len() {
        let read = world.read(2, split).concat();
        let plain = world.split(split);
        assert_eq!(read.lines().count(), plain.lines().count());
        for (read, plain) in read.lines().zip(plain.lines()) {
            let forms = [plain.to_owned(), change(plain, lower), change(plain, upper)];
            let form = forms.iter().position(|form| form == read);
            counts[form.unwrap_or_else(|| panic!("{plain} became {read}"))] += 1;
        }
    }
    assert!(counts[0].abs_diff(120) < 30 && counts[1].abs_diff(90) < 30, "{counts:?}");
}

#[test]
fn some_characters_are_read_as_unknown() {
    let settings = ["language_model.unknown=0.2", "training.batch_size=1"];
    let world = World::new(&[lines(0, 100)], &settings);
    let (mut unknown, mut all) = (0, 0);
    for split in 0..world.text.splits().len() {
        let ids = put_together(&mut world.streams(), &world.of_split(1, split)).concat();
        assert_eq!(ids, put_together(&mut world.streams(), &world.of_split(1, split)).concat());
        let text: Vec<char> = world.split(split).chars().collect();
        assert_eq!(ids.len(), text.len());
        for (id, c) in ids.iter().zip(text) {
            assert!(*id == 0 || world.dictionary.item(*id) == c.to_string());
            unknown += usize::from(*id == 0);
        }
        all += ids.len();
    }
    let share = unknown as f64 / all as f64;
    assert!((share - 0.2).abs() < 0.04, "{share}");
}

#[test]
fn a_text_shorter_than_a_batch_is_trained_on_too() {
    for (characters, streams) in [(2, 1), (31, 1), (32, 2), (100, 6), (290, 18)] {
        let text = "x".repeat(characters - 1) + "\n";
        let world = World::new(&[text], &["training.batch_size=64"]);
        let windows = world.windows(1);
        let ids = world.streams().ids(&windows[0]).unwrap();
        assert_eq!(ids.lengths.len(), streams, "{characters} characters");
        let mut task = world.task();
        let loss = task.loss(&windows[0], &mut Rng::new(1, "step", 0)).unwrap();
        assert_eq!(loss.count, ids.targets.len());
        assert!(loss.sum.to_scalar::<f32>().unwrap() > 0.0);
    }
}

/// Losses of these windows, one after the other.
fn losses(world: &World, windows: &[Window]) -> Vec<f32> {
    let mut task = world.task();
    let mut loss = |window| task.loss(window, &mut Rng::new(1, "step", 0)).unwrap().sum;
    windows.iter().map(|window| loss(window).to_scalar().unwrap()).collect()
}

#[test]
fn a_window_begins_where_the_one_before_ended_and_a_split_with_zeros() {
    for more in ["language_model.layers=2", "language_model.direction=backward"] {
        let world = World::new(&[lines(0, 60)], &[more]);
        let (first, second) = (world.of_split(1, 0), world.of_split(1, 1));
        let alone = losses(&world, &second[..2]);
        let behind = losses(&world, &[first[0], first[1], second[0], second[1]]);
        assert_eq!(behind[2..], alone, "nothing is left of another split");
        let again = losses(&world, &[second[0], second[1], second[0]]);
        assert_eq!(again, [alone[0], alone[1], alone[0]]);
        let elsewhere = losses(&world, &[first[0], second[1]]);
        assert_ne!(elsewhere[1], alone[1], "the state before a window counts");
    }
}
