//! What may go wrong on the way.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use glossator_hub::remote::Event;

use crate::{
    Cache, LONG, PATIENCE, model, network, refused,
    server::{Answer, FakeHub, Request, Server, part, sha256},
};

/// Whether a request is for the weights, at the store.
fn is_weights(request: &Request) -> bool {
    request.path.starts_with("/store/")
}

#[test]
fn a_connection_that_breaks_off_is_made_again_for_the_rest() {
    let (cache, commit) = (Cache::new(), model());
    let hub = FakeHub::with_faults(&commit, |request, right| {
        if is_weights(request) && request.earlier == 0 { right.cut(150_000) } else { right }
    });
    let mut bytes = 0;
    let mut tell = |event: Event<'_>| {
        if let Event::Bytes(more) = event {
            bytes += more;
        }
    };
    cache.fetch_from(&hub.url(), &"owner/name".parse().unwrap(), LONG, &mut tell).unwrap();
    cache.holds(&commit);
    let [first, second] = &hub.store.requests()[..] else { panic!("two requests") };
    assert_eq!((first.header("range"), first.header("if-range")), (None, None));
    let weights = &commit.files["model.safetensors"];
    assert_eq!(second.header("range"), Some("bytes=150000-"));
    assert_eq!(second.header("if-range"), Some(&*format!("\"{}\"", sha256(weights))));
    assert_eq!((first.sent, second.sent), (150_000, weights.len() - 150_000));
    let wanted = ["README.md", "config.json", "dictionary-0.json", "model.safetensors"];
    let want: usize = wanted.iter().map(|name| commit.files[*name].len()).sum();
    assert_eq!(bytes, want as u64, "nothing came twice");
}

#[test]
fn a_fetch_that_failed_goes_on_at_the_next_time() {
    let (cache, commit) = (Cache::new(), model());
    let cut = FakeHub::with_faults(&commit, |request, right| match request.earlier {
        0 if is_weights(request) => right.cut(90_000),
        _ if is_weights(request) => right.cut(0),
        _ => right,
    });
    let error = network(cache.fetch(&cut));
    assert!(error.contains("90000 bytes came and are kept"), "{error}");
    assert!(error.contains("/store/") && !error.contains("Signature"), "{error}");
    assert_eq!(fs::read(cache.part(&commit, "model.safetensors")).unwrap().len(), 90_000);
    assert!(cache.repository().find("name").is_err(), "a part is no model");
    let hub = FakeHub::new(&commit);
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
    let downloads = hub.downloads();
    assert_eq!(downloads.len(), 2, "what was whole did not come again: {downloads:?}");
    assert_eq!(hub.store.requests()[0].header("range"), Some("bytes=90000-"));
}

#[test]
fn a_server_that_breaks_off_for_ever_is_left() {
    let (cache, commit) = (Cache::new(), model());
    let hub = FakeHub::with_faults(
        &commit,
        |request, right| {
            if is_weights(request) { right.cut(1) } else { right }
        },
    );
    assert!(network(cache.fetch(&hub)).contains("8 bytes came and are kept"));
    assert_eq!(hub.store.requests().len(), 8);
}

#[test]
fn a_part_of_what_changed_is_not_gone_on_with() {
    let (cache, commit) = (Cache::new(), model());
    let part_of = cache.part(&commit, "model.safetensors");
    fs::create_dir_all(part_of.parent().unwrap()).unwrap();
    // By its ETag, or if the server does not look at it, by its hash.
    for etag in [Some("\"another\""), None] {
        fs::write(&part_of, vec![7; 1000]).unwrap();
        let path = part_of.with_extension("safetensors.etag");
        match etag {
            Some(etag) => fs::write(path, etag).unwrap(),
            None => drop(fs::remove_file(path)),
        }
        let hub = FakeHub::new(&commit);
        match (etag, cache.fetch(&hub)) {
            (Some(_), fetched) => drop(fetched.unwrap()),
            (None, fetched) => {
                assert!(refused(fetched).contains("SHA-256"));
                assert!(!part_of.exists());
                cache.fetch(&hub).unwrap();
            }
        }
        cache.holds(&commit);
        assert_eq!(hub.store.requests()[0].header("if-range"), etag);
        cache.repository().remove("name").unwrap();
        fs::create_dir_all(part_of.parent().unwrap()).unwrap();
    }
}

#[test]
fn a_part_that_is_longer_or_of_another_place_begins_again() {
    let (cache, commit) = (Cache::new(), model());
    let part_of = cache.part(&commit, "model.safetensors");
    fs::create_dir_all(part_of.parent().unwrap()).unwrap();
    fs::write(&part_of, vec![7; 1_000_000]).unwrap();
    cache.fetch(&FakeHub::new(&commit)).unwrap();
    cache.holds(&commit);
    cache.repository().remove("name").unwrap();
    fs::create_dir_all(part_of.parent().unwrap()).unwrap();
    fs::write(&part_of, &commit.files["model.safetensors"][..10]).unwrap();
    let hub = FakeHub::with_faults(&commit, |request, right| {
        if is_weights(request) && request.earlier == 0 {
            return Answer::new(206, "x").with("Content-Range", "bytes 20-20/30");
        }
        right
    });
    assert!(network(cache.fetch(&hub)).contains("another part than was asked for"));
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
    assert_eq!(hub.store.requests()[1].header("range"), None);
}

#[test]
fn a_file_that_is_not_what_the_hub_names_is_not_kept() {
    let commit = model();
    type Change = fn(&Request, &[u8]) -> Option<Vec<u8>>;
    let changes: [(Change, &str); 4] = [
        (|r, right| is_weights(r).then(|| [&right[1..], &right[..1]].concat()), "its SHA-256 is"),
        (|r, right| is_weights(r).then(|| [right, right].concat()), "bytes, not"),
        (|r, right| is_weights(r).then(|| right[1..].to_vec()), "bytes, not"),
        (|r, _| r.path.ends_with("README.md").then(|| b"# kard".to_vec()), "hash of git is"),
    ];
    for (change, want) in changes {
        let cache = Cache::new();
        let weights = commit.files["model.safetensors"].clone();
        let hub = FakeHub::with_faults(&commit, move |request, right| {
            let changed = change(request, &weights).filter(|_| request.earlier == 0);
            changed.map_or(right, |body| Answer::new(200, body))
        });
        let error = refused(cache.fetch(&hub));
        assert!(error.contains(want) && error.contains("owner/name@main, `"), "{error}");
        assert!(!cache.path("name").exists());
        // It was removed, so the next fetch does not trip over it.
        cache.fetch(&hub).unwrap();
        cache.holds(&commit);
    }
}

#[test]
fn more_than_the_hub_names_is_not_kept() {
    let (cache, commit) = (Cache::new(), model());
    let path = cache.part(&commit, "model.safetensors");
    let weights = commit.files["model.safetensors"].clone();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &weights[..10]).unwrap();
    // The answer claims to be the rest, and is longer.
    let hub = FakeHub::with_faults(&commit, move |request, right| {
        if !is_weights(request) || request.earlier > 0 {
            return right;
        }
        let range = format!("bytes 10-{}/{}", weights.len() - 1, weights.len());
        Answer::new(206, weights.clone()).with("Content-Range", &range)
    });
    assert!(refused(cache.fetch(&hub)).contains("more comes than the"));
    assert!(!path.exists());
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
}

#[test]
fn a_hub_that_contradicts_itself_is_not_believed() {
    let commit = model();
    for (header, value, want) in [
        ("X-Repo-Commit", "0".repeat(40), "of commit 0000"),
        ("X-Linked-Etag", format!("\"{}\"", "0".repeat(64)), "and gives 0000"),
    ] {
        let cache = Cache::new();
        let hub = FakeHub::with_faults(&commit, move |request, right| {
            if request.path.ends_with("model.safetensors") {
                return Answer::new(302, "").with("Location", "/x").with(header, &value);
            }
            right
        });
        let error = refused(cache.fetch(&hub));
        assert!(error.contains(want) && error.contains("`model.safetensors`"), "{error}");
        assert!(hub.store.requests().is_empty());
    }
}

#[test]
fn what_the_hub_does_not_give_is_said_with_a_way_out() {
    let (cache, commit) = (Cache::new(), model());
    let hub = FakeHub::new(&commit);
    let error = refused(cache.fetch_as(&hub, "owner/nmae"));
    assert!(error.starts_with("owner/nmae@main: there is no such repository"), "{error}");
    let error = refused(cache.fetch_as(&hub, "owner/name@v2"));
    assert!(error.starts_with("owner/name@v2: owner/name has no such branch"), "{error}");
    let answers: [(u16, &str); 4] = [
        (401, "it is private, or misspelt; look at the name, or use a token that may read it"),
        (403, "ask for it at http://127.0.0.1"),
        (404, "it is misspelt, or private"),
        (418, "the hub answers 418"),
    ];
    for (status, want) in answers {
        let hub = FakeHub::with_faults(&commit, move |_, _| Answer::new(status, ""));
        let error = refused(cache.fetch(&hub));
        assert!(error.contains(want) && !error.contains("hf_secret"), "{error}");
    }
    for status in [429, 500, 503] {
        let hub = FakeHub::with_faults(&commit, move |_, _| Answer::new(status, ""));
        let error = network(cache.fetch(&hub));
        assert!(error.contains(&format!("answers {status}")), "{error}");
    }
    // A file may go between the list and its download, and a store may refuse it.
    let hub = FakeHub::with_faults(&commit, |request, right| {
        if request.path.ends_with("README.md") { Answer::new(404, "") } else { right }
    });
    assert!(refused(cache.fetch(&hub)).contains("`README.md`: there is no such file"));
    let hub = FakeHub::with_faults(&commit, |request, right| {
        if is_weights(request) { Answer::new(403, "expired") } else { right }
    });
    assert!(network(cache.fetch(&hub)).contains("answers 403"));
    assert!(!cache.path("name").exists());
}

#[test]
fn an_answer_that_cannot_be_used_is_no_list() {
    let (cache, commit) = (Cache::new(), model());
    for (body, want) in [
        ("<html>", "its answer cannot be used"),
        (r#"{"sha": "../../x", "siblings": []}"#, "it names no commit"),
    ] {
        let hub = FakeHub::with_faults(&commit, move |_, _| Answer::new(200, body));
        assert!(network(cache.fetch(&hub)).contains(want));
    }
    let again = Server::start(|_| Answer::new(302, "").with("Location", "/again"));
    let wanted = "owner/name".parse().unwrap();
    let error = network(cache.fetch_from(&again.url(), &wanted, LONG, &mut |_| {}));
    assert!(error.contains("after 10 redirects"), "{error}");
    assert_eq!(again.requests().len(), 11);
    let nowhere = FakeHub::with_faults(&commit, |_, _| Answer::new(302, ""));
    assert!(network(cache.fetch(&nowhere)).contains("redirects to what is no address"));
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let commit = model();
    let wanted = "owner/name".parse().unwrap();
    let cache = Cache::new();
    let mute = Server::start(|_| Answer::none());
    let error = network(cache.fetch_from(&mute.url(), &wanted, PATIENCE, &mut |_| {}));
    assert!(error.contains("does not answer in time"), "{error}");
    // Nor one that begins, and then says nothing more.
    let stuck = Arc::new(AtomicBool::new(true));
    let hub = FakeHub::with_faults(&commit, {
        let stuck = stuck.clone();
        move |request, right| match is_weights(request) && stuck.load(Ordering::SeqCst) {
            true if request.earlier == 0 => right.silent(70_000),
            true => Answer::none(),
            false => right,
        }
    });
    let error = network(cache.fetch_from(&hub.url(), &wanted, PATIENCE, &mut |_| {}));
    assert!(error.contains("in time") && error.contains("70000 bytes came"), "{error}");
    stuck.store(false, Ordering::SeqCst);
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
}

#[test]
fn nobody_at_the_address_is_an_error_of_the_network() {
    let cache = Cache::new();
    let gone = Server::start(|_| Answer::none()).url();
    let wanted = "owner/name".parse().unwrap();
    let error = network(cache.fetch_from(&gone, &wanted, LONG, &mut |_| {}));
    assert!(error.starts_with(&gone) && error.contains("cannot be reached"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_with_the_file() {
    let (cache, commit) = (Cache::new(), model());
    let path = cache.part(&commit, "model.safetensors");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let hub = FakeHub::new(&commit);
    let error = cache.fetch(&hub).unwrap_err();
    assert!(error.is_io() && error.to_string().contains("model.safetensors"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("No space left"), "{source}");
    assert!(!cache.path("name").exists());
    fs::remove_file(&path).unwrap();
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
}

#[test]
fn a_server_without_ranges_gives_the_whole_file_again() {
    let (cache, commit) = (Cache::new(), model());
    let weights = commit.files["model.safetensors"].clone();
    let hub = FakeHub::with_faults(&commit, move |request, right| {
        if !is_weights(request) {
            return right;
        }
        let whole = Request { headers: Default::default(), ..request.clone() };
        let answer = part(&whole, &weights, "W/\"weak\"");
        if request.earlier == 0 { answer.cut(5000) } else { answer }
    });
    cache.fetch(&hub).unwrap();
    cache.holds(&commit);
    let requests = hub.store.requests();
    assert_eq!(requests[1].header("range"), Some("bytes=5000-"));
    assert_eq!(requests[1].header("if-range"), None, "a weak ETag does not stand for bytes");
}
