//! One file, as far as it came.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use ureq::{
    Body,
    http::{Response, StatusCode, Uri},
};

use super::{
    Event, Hub, Wanted, address,
    client::{From, cause_of_io, network, text},
    digest::{Hash, Hashes},
    listing::Remote,
};
use crate::{Error, Result};

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;

/// Requests for one file, each of which must bring a part of it.
const MAX_REQUESTS: usize = 8;

/// Longest name of a version of a file that is kept, in bytes.
const MAX_ETAG: u64 = 256;

/// What came of a file, on the disk.
struct Part {
    path: PathBuf,
    file: File,
    len: u64,
    hashes: Hashes,
}

impl Hub {
    /// Brings a file of a commit to `path`. What is there goes on; a connection that
    /// breaks off is made again as long as it brings something. Returns the SHA-256.
    ///
    /// # Errors
    /// If the file does not come, cannot be written, or is not what the hub names.
    pub(super) fn download(
        &self,
        (wanted, commit): (&Wanted, &str),
        file: &Remote,
        path: &Path,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<String> {
        let mut part = Part::open(path, file.size)?;
        tell(Event::File { name: &file.name, size: file.size, there: part.len });
        let url = self.api.repo(wanted.repo(commit)).url(&address::encoded(&file.path));
        let mut requests = 0;
        while part.len < file.size {
            let before = part.len;
            requests += 1;
            match self.request(&url, (wanted, commit), file, &mut part, tell) {
                Ok(()) => {}
                Err(Error::Network { .. }) if part.len > before && requests < MAX_REQUESTS => {}
                Err(Error::Network { url, problem }) => {
                    let problem = part.kept(problem);
                    return Err(Error::Network { url, problem });
                }
                Err(error) => return Err(error),
            }
        }
        part.finish(wanted, file)
    }

    /// One request, and what comes of it.
    fn request(
        &self,
        url: &str,
        (wanted, commit): (&Wanted, &str),
        file: &Remote,
        part: &mut Part,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let etag = part.etag();
        let from = (part.len > 0).then_some(From { start: part.len, etag: etag.as_deref() });
        let answer = self.get(url, from, |response| same(wanted, commit, file, response))?;
        let (uri, response) = &answer;
        match response.status() {
            StatusCode::OK => {
                if let Some(len) = other_length(response, file.size) {
                    let problem = format!("it has {len} bytes, not {}", file.size);
                    return Err(part.discard(wanted, file, &problem));
                }
                part.restart(file.size, tell)?;
                part.keep_etag(text(response, "etag"))?;
            }
            StatusCode::PARTIAL_CONTENT if goes_on(response, part.len, file.size) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                part.restart(file.size, tell)?;
                let problem = "it gives another part than was asked for; try again, from the start";
                return Err(network(uri, problem.to_owned()));
            }
            _ => return Err(self.refused(wanted, Some(&file.path), &answer)),
        }
        let (uri, response) = answer;
        part.receive(&uri, response.into_body(), wanted, file, tell)
    }
}

impl Part {
    /// What is there of a file of that length; what is longer is not it.
    fn open(path: &Path, size: u64) -> Result<Self> {
        let mut options = File::options();
        let opened = options.read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(Error::write(path))?;
        let len = file.metadata().map_err(Error::write(path))?.len();
        let mut part = Self { path: path.to_owned(), file, len: 0, hashes: Hashes::new(size) };
        if len > size {
            part.len = len;
            part.restart(size, &mut |_| {})?;
            return Ok(part);
        }
        file = part.file.try_clone().map_err(Error::write(path))?;
        let mut rest = file.take(len);
        let mut piece = vec![0; PIECE];
        loop {
            match rest.read(&mut piece).map_err(Error::write(path))? {
                0 => break,
                read => part.took(&piece[..read]),
            }
        }
        Ok(part)
    }

    fn took(&mut self, piece: &[u8]) {
        self.hashes.update(piece);
        self.len += piece.len() as u64;
    }

    /// Forgets what came.
    fn restart(&mut self, size: u64, tell: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        if self.len > 0 {
            self.file.set_len(0).map_err(Error::write(&self.path))?;
            tell(Event::Again);
        }
        self.len = 0;
        self.hashes = Hashes::new(size);
        Ok(())
    }

    /// Writes what comes, to the end of the file.
    fn receive(
        &mut self,
        uri: &Uri,
        body: Body,
        wanted: &Wanted,
        file: &Remote,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let mut body = body.into_reader();
        let mut piece = vec![0; PIECE];
        loop {
            let read = body.read(&mut piece).map_err(|error| network(uri, cause_of_io(&error)))?;
            if read == 0 {
                break;
            }
            if self.len + read as u64 > file.size {
                let problem = format!("more comes than the {} bytes that the hub names", file.size);
                return Err(self.discard(wanted, file, &problem));
            }
            self.file.write_all(&piece[..read]).map_err(Error::write(&self.path))?;
            self.took(&piece[..read]);
            tell(Event::Bytes(read as u64));
        }
        if self.len < file.size {
            return Err(network(uri, "the connection broke off".to_owned()));
        }
        Ok(())
    }

    /// The file is whole: checks it, and sees it onto the disk.
    fn finish(mut self, wanted: &Wanted, file: &Remote) -> Result<String> {
        let hashes = std::mem::replace(&mut self.hashes, Hashes::new(0));
        match hashes.check(&file.hash) {
            Err(problem) => Err(self.discard(wanted, file, &problem)),
            Ok(sha256) => {
                self.file.sync_all().map_err(Error::write(&self.path))?;
                let _ = fs::remove_file(self.etag_path());
                Ok(sha256)
            }
        }
    }

    /// Removes what came, so that it is not gone on with.
    fn discard(&self, wanted: &Wanted, file: &Remote, problem: &str) -> Error {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.etag_path());
        let problem = format!(
            "it is not the file that the hub names: {problem}; what came was removed. Fetch it \
             again; if that does not help, the repository is damaged"
        );
        Error::Refused { place: wanted.place(Some(&file.path)), problem }
    }

    /// A problem, and what it leaves.
    fn kept(&self, problem: String) -> String {
        match self.len {
            0 => problem,
            len => format!("{problem}; {len} bytes came and are kept, the same command goes on"),
        }
    }

    fn etag_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".etag");
        path.into()
    }

    /// The version of the file that the part is of.
    fn etag(&self) -> Option<String> {
        let mut etag = String::new();
        let file = File::open(self.etag_path()).ok()?;
        file.take(MAX_ETAG).read_to_string(&mut etag).ok()?;
        is_strong(&etag).then_some(etag)
    }

    fn keep_etag(&self, etag: Option<&str>) -> Result<()> {
        let path = self.etag_path();
        match etag.filter(|etag| is_strong(etag)) {
            Some(etag) => fs::write(&path, etag).map_err(Error::write(&path)),
            None => crate::cache::remove_all(&path),
        }
    }
}

/// Whether it stands for the bytes, and not for what they mean.
fn is_strong(etag: &str) -> bool {
    let inner = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"'));
    inner.is_some_and(|inner| inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
        && (etag.len() as u64) < MAX_ETAG
}

/// The length of a whole file, if it is not that.
fn other_length(response: &Response<Body>, size: u64) -> Option<u64> {
    // What is compressed on its way has a length of its own.
    let is_plain = text(response, "content-encoding").is_none();
    let len = text(response, "content-length").filter(|_| is_plain)?.parse().ok()?;
    (len != size).then_some(len)
}

/// Whether an answer is the rest of a file, from that byte on.
fn goes_on(response: &Response<Body>, start: u64, size: u64) -> bool {
    text(response, "content-range")
        .is_some_and(|range| range == format!("bytes {start}-{}/{size}", size - 1))
}

/// Whether an answer is of the commit and the file that were listed.
fn same(wanted: &Wanted, commit: &str, file: &Remote, response: &Response<Body>) -> Result<()> {
    let other = |problem: String| Error::Refused { place: wanted.place(Some(&file.path)), problem };
    if let Some(found) = text(response, "x-repo-commit").filter(|found| *found != commit) {
        return Err(other(format!("the hub gives it of commit {found}, not of {commit}")));
    }
    let linked = text(response, "x-linked-etag").map(|etag| etag.trim_matches('"'));
    match (linked, &file.hash) {
        (Some(found), Hash::Sha256(want)) if found != want => {
            Err(other(format!("the hub lists it with the SHA-256 {want}, and gives {found}")))
        }
        _ => Ok(()),
    }
}
