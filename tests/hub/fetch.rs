//! What a hub gives is in the cache, and nothing else.

use std::fs;

use glossator_hub::{
    Error, Source,
    remote::{Event, Fetched, Wanted},
};

use crate::{
    Cache, LONG, model, model_with, refused,
    server::{Answer, Commit, FakeHub},
    weights,
};

#[test]
fn a_model_comes_whole_and_is_found_by_its_name() {
    let (cache, commit) = (Cache::new(), model());
    let hub = FakeHub::new(&commit);
    let mut events = Vec::new();
    let wanted: Wanted = "owner/name@v1".parse().unwrap();
    let mut tell = |event: Event<'_>| events.push(format!("{event:?}"));
    let fetched = cache.fetch_from(&hub.url(), &wanted, LONG, &mut tell).unwrap();
    assert_eq!(fetched, Fetched::Model(cache.path("name")));
    cache.holds(&commit);
    let mut names: Vec<_> =
        fs::read_dir(cache.path("name")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let want =
        ["README.md", "config.json", "dictionary-0.json", "model.safetensors", "source.json"];
    assert_eq!(names, want);
    let source = Source::of(&cache.path("name")).unwrap().unwrap();
    assert_eq!((&*source.endpoint, &*source.repository), (&*hub.url(), "owner/name"));
    assert_eq!((&*source.revision, source.commit), ("v1", commit.hash()));
    let bundle = cache.repository().find("name").unwrap();
    assert_eq!(bundle.kind().unwrap(), "tagger");
    assert!(events[0].starts_with("Listed") && events[0].contains("files: 4"), "{events:?}");
    assert!(events[1].contains("config.json"), "the configuration comes first: {events:?}");
}

#[test]
fn what_is_there_does_not_come_again() {
    let (cache, commit) = (Cache::new(), model());
    let hub = FakeHub::new(&commit);
    cache.fetch(&hub).unwrap();
    let (lists, downloads) = (hub.hub.requests().len(), hub.downloads().len());
    assert_eq!(downloads, 5, "four files, one of them by a redirect");
    let mut events = Vec::new();
    let mut tell = |event: Event<'_>| events.push(format!("{event:?}"));
    let wanted = "owner/name".parse().unwrap();
    let fetched = cache.fetch_from(&hub.url(), &wanted, LONG, &mut tell).unwrap();
    assert_eq!(fetched, Fetched::Model(cache.path("name")));
    assert_eq!(events, [format!("Current({:?})", commit.hash())]);
    assert_eq!((hub.hub.requests().len(), hub.downloads().len()), (lists + 1, downloads));
    // A commit is what it is: nobody need be asked.
    cache.fetch_as(&hub, &format!("owner/name@{}", commit.hash())).unwrap();
    assert_eq!(hub.hub.requests().len(), lists + 1);
    // What is damaged comes again.
    fs::write(cache.path("name/model.safetensors"), "cut").unwrap();
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
    assert_eq!(hub.downloads().len(), 2 * downloads);
}

#[test]
fn another_commit_takes_the_place_of_the_first() {
    let (cache, old, new) = (Cache::new(), model(), model_with(&weights(7.0)));
    cache.fetch(&FakeHub::new(&old)).unwrap();
    cache.holds(&old);
    let hub = FakeHub::new(&new);
    cache.fetch(&hub).unwrap();
    cache.holds(&new);
    // The old one is not there any more, and its commit is asked for.
    let error = refused(cache.fetch_as(&hub, &format!("owner/name@{}", old.hash())));
    assert!(error.contains("no such branch, tag or commit"), "{error}");
    cache.holds(&new);
}

#[test]
fn a_name_that_is_taken_is_kept() {
    let (cache, commit) = (Cache::new(), model());
    let hub = FakeHub::new(&commit);
    fs::create_dir_all(cache.path("name")).unwrap();
    let taken = |name: &str| {
        let wanted: Wanted = "owner/name".parse().unwrap();
        let wanted = wanted.with_name(name).unwrap();
        let error = cache.fetch_from(&hub.url(), &wanted, LONG, &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::Taken { .. }) && error.is_usage(), "{error}");
        error.to_string()
    };
    assert!(taken("name").contains("was not fetched; choose another name by --as"));
    fs::remove_dir(cache.path("name")).unwrap();
    cache.fetch(&hub).unwrap();
    let path = cache.path("name/source.json");
    let source = fs::read_to_string(&path).unwrap();
    fs::write(path, source.replace("owner/name", "owner/other")).unwrap();
    assert!(taken("name").contains("owner/other lies under that name"));
    let wanted: Wanted = "owner/name".parse().unwrap();
    let wanted = wanted.with_name("mine").unwrap();
    cache.fetch_from(&hub.url(), &wanted, LONG, &mut |_| {}).unwrap();
    assert_eq!(cache.repository().verify("mine").unwrap().source.unwrap().commit, commit.hash());
}

#[test]
fn a_checkpoint_of_another_toolkit_is_one_file() {
    let files = [("README.md", &b"# card"[..]), ("pytorch_model.bin", b"weights"), ("a.pt", b"x")];
    let (cache, commit) = (Cache::new(), Commit::new(files));
    let hub = FakeHub::new(&commit);
    let path = cache.path("name/pytorch_model.bin");
    assert_eq!(cache.fetch(&hub).unwrap(), Fetched::Checkpoint(path.clone()));
    assert_eq!(fs::read(&path).unwrap(), b"weights");
    assert!(!cache.path("name/README.md").exists());
    let repository = cache.repository();
    assert_eq!(repository.find_file("name"), Some(path.clone()));
    assert!(repository.list().iter().any(|entry| entry.name == "name"));
    repository.verify("name").unwrap();
    fs::write(&path, "Weights").unwrap();
    assert!(matches!(repository.verify("name"), Err(Error::Damaged { .. })));
    // Another file of the same repository takes its place.
    let wanted: Wanted = "owner/name".parse().unwrap();
    let wanted = wanted.with_file("a.pt").unwrap();
    let fetched = cache.fetch_from(&hub.url(), &wanted, LONG, &mut |_| {}).unwrap();
    assert_eq!(fetched, Fetched::Checkpoint(cache.path("name/a.pt")));
    assert!(!path.exists());
    repository.remove("name").unwrap();
    assert!(!cache.path("name").exists());
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let (cache, commit) = (Cache::new(), model());
    let hub = FakeHub::new(&commit);
    cache.fetch(&hub).unwrap();
    let asked = hub.hub.requests();
    assert!(asked.iter().all(|r| r.header("authorization") == Some("Bearer hf_secret")));
    let stored = hub.store.requests();
    assert!(!stored.is_empty() && stored.iter().all(|r| r.header("authorization").is_none()));
    let source = fs::read_to_string(cache.path("name/source.json")).unwrap();
    assert!(!source.contains("hf_secret") && !source.contains("Signature"), "{source}");
}

#[test]
fn another_program_s_model_is_refused_before_its_weights_come() {
    let mut commit = model();
    commit.files.insert("config.json".to_owned(), br#"{"model_type": "bert"}"#.to_vec());
    let (cache, hub) = (Cache::new(), FakeHub::new(&commit));
    let error = refused(cache.fetch(&hub));
    assert!(error.contains("no model of this program") && error.contains("--file"), "{error}");
    assert_eq!(hub.downloads().len(), 1, "config.json");
    assert!(!cache.path("name").exists());
}

#[test]
fn an_address_on_the_same_server_is_followed_with_the_token() {
    let commit = model();
    let hash = commit.hash();
    let hub = FakeHub::with_faults(&commit, move |request, right| {
        if request.path == format!("/owner/name/resolve/{hash}/README.md") {
            return Answer::new(307, "").with("Location", "/cache/README.md");
        }
        if request.path == "/cache/README.md" {
            return Answer::new(200, "# card");
        }
        right
    });
    let cache = Cache::new();
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
    let asked = hub.hub.requests();
    let followed = asked.iter().find(|request| request.path == "/cache/README.md").unwrap();
    assert_eq!(followed.header("authorization"), Some("Bearer hf_secret"));
}
