//! Two fetches of the same model at the same time.

use std::{
    sync::{Mutex, mpsc},
    thread,
};

use glossator_hub::remote::Event;

use crate::{Cache, LONG, model, server::FakeHub};

#[test]
fn the_second_waits_and_finds_it_done() {
    let (cache, commit) = (Cache::new(), model());
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let gate = Mutex::new((begun, may_go_on));
    // The first weights come only when the second fetch waits for them.
    let hub = FakeHub::with_faults(&commit, move |request, right| {
        if request.path.starts_with("/store/") && request.earlier == 0 {
            let (begun, may_go_on) = &*gate.lock().unwrap();
            begun.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
        right
    });
    let (wanted, url) = ("owner/name".parse().unwrap(), hub.url());
    let mut events = Vec::new();
    thread::scope(|scope| {
        let first = scope.spawn(|| cache.fetch_from(&url, &wanted, LONG, &mut |_| {}));
        has_begun.recv().unwrap();
        let mut tell = |event: Event<'_>| {
            if event == Event::Waiting {
                go_on.send(()).unwrap();
            }
            events.push(format!("{event:?}"));
        };
        let second = cache.fetch_from(&url, &wanted, LONG, &mut tell).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), second);
    });
    assert_eq!(events, ["Waiting".to_owned(), format!("Current({:?})", commit.hash())]);
    cache.holds(&commit);
    assert_eq!(hub.downloads().len(), 5, "each file came once");
}
