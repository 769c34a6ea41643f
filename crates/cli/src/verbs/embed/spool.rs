//! Values that wait in a temporary file until it is known how many they are.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, Write},
    path::Path,
};

pub struct Spool(BufWriter<File>);

impl Spool {
    /// A file without a name, beside the output if that is a file.
    pub fn new(output: Option<&Path>) -> io::Result<Self> {
        let folder = output.filter(|path| fs::metadata(path).map_or(true, |old| old.is_file()));
        let file = match folder.and_then(Path::parent) {
            Some(folder) if folder.as_os_str().is_empty() => tempfile::tempfile_in("."),
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        Ok(Self(BufWriter::with_capacity(1 << 16, file?)))
    }

    pub fn floats(&mut self, values: &[f32]) -> io::Result<()> {
        values.iter().try_for_each(|value| self.0.write_all(&value.to_le_bytes()))
    }

    pub fn integer(&mut self, value: i64) -> io::Result<()> {
        self.0.write_all(&value.to_le_bytes())
    }

    /// Hands on all that was written.
    pub fn copy_to(self, out: &mut dyn Write) -> io::Result<()> {
        let mut file = self.0.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        io::copy(&mut file, out).map(drop)
    }
}
