//! Where data goes: standard output, or a file that appears when it is complete.

use std::{
    cell::RefCell,
    fs::{self, File, Permissions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use glossator::{Error, errors::TextError};
use tempfile::{Builder, TempPath};

use crate::signals;

/// Ending of files that are being written; not that of a training, which removes
/// what it finds of its own.
const TEMPORARY: &str = ".gloss-out";

/// An output, buffered until it is flushed.
pub struct Output {
    sink: Sink,
    /// A temporary file.
    file: Option<Pending>,
}

/// A file that is not complete.
struct Pending {
    file: File,
    temporary: TempPath,
    /// The name it gets in the end.
    path: PathBuf,
}

/// A writer to an [`Output`].
#[derive(Clone)]
struct Sink(Rc<RefCell<BufWriter<Box<dyn Write>>>>);

impl Output {
    /// Opens a file, or standard output. An interruption removes the file.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::new(Box::new(io::stdout()), None)) };
        Self::of_file(path).map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    fn new(to: Box<dyn Write>, file: Option<Pending>) -> Self {
        let sink = Sink(Rc::new(RefCell::new(BufWriter::with_capacity(1 << 16, to))));
        Self { sink, file }
    }

    fn of_file(path: &Path) -> io::Result<Self> {
        let old = fs::metadata(path).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            // A device or a pipe is written to, not replaced.
            return Ok(Self::new(Box::new(File::options().write(true).open(path)?), None));
        }
        // A link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // Whoever interrupts waits until the name is known, and finds the file.
        let doomed = Arc::new(Mutex::new(PathBuf::new()));
        let mut name = doomed.lock().unwrap_or_else(PoisonError::into_inner);
        signals::watch({
            let doomed = doomed.clone();
            move |code| {
                let _ = fs::remove_file(&*doomed.lock().unwrap_or_else(PoisonError::into_inner));
                std::process::exit(code.into());
            }
        })?;
        let (file, temporary) = temporary(&path, old.map(|old| old.permissions()))?.into_parts();
        temporary.clone_into(&mut name);
        let written = Box::new(file.try_clone()?);
        Ok(Self::new(written, Some(Pending { file, temporary, path })))
    }

    /// A writer to this output.
    pub fn writer(&self) -> Box<dyn Write> {
        Box::new(self.sink.clone())
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// If the output fails.
    pub fn flush(&mut self) -> Result<(), TextError> {
        self.sink.flush().map_err(|source| TextError::Write { source })
    }

    /// Hands on what is buffered; a file gets its name when it is on the disk.
    ///
    /// # Errors
    /// If the output fails.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flush()?;
        let Some(Pending { file, temporary, path }) = self.file else { return Ok(()) };
        let synced = file.sync_all();
        let named = synced.and_then(|()| temporary.persist(&path).map_err(|error| error.error));
        named.map_err(|source| Error::Write { path, source })
    }
}

/// A file beside `path`.
fn temporary(path: &Path, permissions: Option<Permissions>) -> io::Result<tempfile::NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(TEMPORARY);
    if let Some(permissions) = permissions.or_else(usual_permissions) {
        builder.permissions(permissions);
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => builder.tempfile_in(folder),
        None => builder.tempfile_in("."),
    }
}

/// Those of a new file, before the user's mask.
#[cfg(unix)]
fn usual_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn usual_permissions() -> Option<Permissions> {
    None
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// Writes a text, or the bytes of a picture, to a file, which appears when it is
/// complete, or to standard output.
///
/// # Errors
/// If the output fails.
pub fn write(path: Option<&Path>, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let output = Output::create(path)?;
    let written = output.writer().write_all(content.as_ref());
    written.map_err(|source| TextError::Write { source })?;
    Ok(output.finish()?)
}

/// Writes a text to standard output.
///
/// # Errors
/// If the output fails.
pub fn print(text: &str) -> Result<(), TextError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| TextError::Write { source })
}
