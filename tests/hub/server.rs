//! A server on this machine that speaks the protocol of a hub: lists of files,
//! revisions, redirects to another port, ranges, ETags; and whatever may go wrong.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A request, and what was sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    /// Requests of the same path before this one.
    pub earlier: usize,
    /// Bytes of the body that were sent.
    pub sent: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer.
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    end: End,
}

/// How an answer ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Whole,
    /// The connection breaks off after so many bytes of the body.
    Cut(usize),
    /// After so many bytes nothing comes any more, until the other side hangs up.
    Silence(usize),
    /// Nothing comes at all.
    NoAnswer,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), end: End::Whole }
    }

    pub fn with(mut self, header: &str, value: &str) -> Self {
        self.headers.push((header.to_owned(), value.to_owned()));
        self
    }

    pub fn cut(self, bytes: usize) -> Self {
        Self { end: End::Cut(bytes), ..self }
    }

    pub fn silent(self, bytes: usize) -> Self {
        Self { end: End::Silence(bytes), ..self }
    }

    pub fn none() -> Self {
        Self { end: End::NoAnswer, ..Self::new(200, "") }
    }
}

/// A server, until it is dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let (requests, stop, answer) = (requests.clone(), stop.clone(), Arc::new(answer));
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let (requests, answer) = (requests.clone(), answer.clone());
                    thread::spawn(move || serve(stream.expect("a client"), &requests, &*answer));
                }
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that were answered, or are being answered.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("requests").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // It looks up when somebody comes.
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Answers one request, and hangs up. A client may hang up before.
fn serve(stream: TcpStream, all: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("the stream"));
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(line) = lines.next() else { return };
    let path = line.split(' ').nth(1).expect("a path").to_owned();
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    let headers = headers.collect();
    let (index, request) = {
        let mut all = all.lock().expect("requests");
        let earlier = all.iter().filter(|request| request.path == path).count();
        all.push(Request { path, headers, earlier, sent: 0 });
        (all.len() - 1, all[all.len() - 1].clone())
    };
    let answer = answer(&request);
    let sent = match answer.end {
        End::Whole => answer.body.len(),
        End::Cut(bytes) | End::Silence(bytes) => bytes,
        End::NoAnswer => 0,
    };
    all.lock().expect("requests")[index].sent = sent;
    if answer.end != End::NoAnswer {
        let _ = send(&stream, &answer, sent);
    }
    if matches!(answer.end, End::Silence(_) | End::NoAnswer) {
        let _ = reader.read(&mut [0]);
    }
}

fn send(mut stream: &TcpStream, answer: &Answer, sent: usize) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", answer.status);
    head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&answer.body[..sent])?;
    stream.flush()
}

/// A commit of a repository, and its files; the weights lie elsewhere.
#[derive(Clone, Default)]
pub struct Commit {
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Commit {
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let owned = |(name, content): (&str, &[u8])| (name.to_owned(), content.to_owned());
        Self { files: files.into_iter().map(owned).collect() }
    }

    /// Its hash, here of all that it holds.
    pub fn hash(&self) -> String {
        let mut hash = Sha1::new();
        for (name, content) in &self.files {
            hash.update(format!("{name} {}", sha256(content)));
        }
        format!("{:x}", hash.finalize())
    }

    /// What a hub answers when it is asked for the list.
    pub fn list(&self) -> Value {
        let file = |(name, content): (&String, &Vec<u8>)| {
            let mut file = json!({ "rfilename": name, "size": content.len() });
            file["blobId"] = json!(blob(content));
            if is_large(name) {
                file["lfs"] = json!({ "sha256": sha256(content), "size": content.len() });
            }
            file
        };
        let files: Vec<Value> = self.files.iter().map(file).collect();
        json!({ "id": "owner/name", "sha": self.hash(), "siblings": files, "private": false })
    }
}

/// Whether a file lies beside the repository.
fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".pt"].iter().any(|ending| name.ends_with(ending))
}

pub fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

fn blob(content: &[u8]) -> String {
    let hash = Sha1::new_with_prefix(format!("blob {}\0", content.len()));
    format!("{:x}", hash.chain_update(content).finalize())
}

/// A hub with one repository, `owner/name`, and the store of its large files, a
/// server of its own.
pub struct FakeHub {
    pub hub: Server,
    pub store: Server,
}

/// What goes wrong, if something does: an answer in the place of the right one.
pub type Fault = dyn Fn(&Request, Answer) -> Answer + Send + Sync;

impl FakeHub {
    pub fn new(commit: &Commit) -> Self {
        Self::with_faults(commit, |_, right| right)
    }

    /// The same; `fault` sees every request, and may change the answer.
    pub fn with_faults(
        commit: &Commit,
        fault: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let fault: Arc<Fault> = Arc::new(fault);
        let large = commit.files.iter().filter(|(name, _)| is_large(name));
        let large: BTreeMap<String, Vec<u8>> =
            large.map(|(_, content)| (sha256(content), content.clone())).collect();
        let store = Server::start({
            let fault = fault.clone();
            move |request| {
                let hash = request.path.trim_start_matches("/store/").split('?').next();
                let right = match hash.and_then(|hash| Some((hash, large.get(hash)?))) {
                    Some((hash, content)) => part(request, content, &format!("\"{hash}\"")),
                    None => Answer::new(404, "no such object"),
                };
                fault(request, right)
            }
        });
        let (commit, place) = (commit.clone(), store.url());
        let hub = Server::start(move |request| {
            let right = answer(&commit, &place, request);
            fault(request, right)
        });
        Self { hub, store }
    }

    pub fn url(&self) -> String {
        self.hub.url()
    }

    /// Requests for the content of files, at both servers.
    pub fn downloads(&self) -> Vec<Request> {
        let mut requests = self.hub.requests();
        requests.retain(|request| request.path.contains("/resolve/"));
        requests.extend(self.store.requests());
        requests
    }
}

/// What the hub itself answers.
fn answer(commit: &Commit, store: &str, request: &Request) -> Answer {
    let hash = commit.hash();
    if let Some(revision) = request.path.strip_prefix("/api/models/owner/name/revision/") {
        let revision = revision.strip_suffix("?blobs=true").expect("a list with hashes");
        if ["main", "v1", &hash].contains(&revision) {
            return Answer::new(200, commit.list().to_string());
        }
        return Answer::new(404, "").with("X-Error-Code", "RevisionNotFound");
    }
    let file = request.path.strip_prefix(&format!("/owner/name/resolve/{hash}/"));
    let Some((name, content)) = file.and_then(|name| commit.files.get_key_value(name)) else {
        return Answer::new(404, "").with("X-Error-Code", "RepoNotFound");
    };
    if is_large(name) {
        let key = sha256(content);
        return Answer::new(302, "see there")
            .with("Location", &format!("{store}/store/{key}?Signature=hush"))
            .with("X-Repo-Commit", &hash)
            .with("X-Linked-Size", &content.len().to_string())
            .with("X-Linked-ETag", &format!("\"{key}\""));
    }
    part(request, content, &format!("\"{}\"", blob(content))).with("X-Repo-Commit", &hash)
}

/// A file, or the rest of it if it still is what the client began with.
pub fn part(request: &Request, content: &[u8], etag: &str) -> Answer {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    let start = range.and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    let fresh = request.header("if-range").is_none_or(|known| known == etag);
    let answer = match start.filter(|_| fresh) {
        Some(start) if start >= content.len() => return Answer::new(416, ""),
        Some(start) => Answer::new(206, &content[start..]).with(
            "Content-Range",
            &format!("bytes {start}-{}/{}", content.len() - 1, content.len()),
        ),
        None => Answer::new(200, content),
    };
    answer.with("ETag", etag)
}
