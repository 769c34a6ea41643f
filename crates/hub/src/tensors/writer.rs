//! Writing a safetensors file tensor by tensor.

use std::io::{self, Write};

use serde_json::{Map, json};

/// Bytes to which the header is filled up, so that the data is aligned.
const ALIGNMENT: usize = 8;

/// Writes a safetensors file of `f32` whose tensors come one after the other,
/// so that no more than one need be in memory.
#[derive(Debug)]
pub struct TensorWriter<W> {
    out: W,
    /// Name and number of values of the tensors to come, the next one last.
    rest: Vec<(String, usize)>,
}

impl<W: Write> TensorWriter<W> {
    /// Writes the header of a file with tensors of these names and shapes.
    ///
    /// # Errors
    /// If a name stands twice, a shape has more values than can be counted, or
    /// it cannot be written.
    pub fn new<'a>(
        mut out: W,
        tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    ) -> io::Result<Self> {
        let (mut header, mut rest, mut end) = (Map::new(), Vec::new(), 0_usize);
        for (name, shape) in tensors {
            let wrong = |problem: &str| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("tensor `{name}` {problem}"))
            };
            let len = shape.iter().try_fold(1_usize, |len, axis| len.checked_mul(*axis));
            let start = end;
            let next = len.and_then(|len| len.checked_mul(4)?.checked_add(start));
            end = next.ok_or_else(|| wrong("is too large"))?;
            let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
            if header.insert(name.to_owned(), entry).is_some() {
                return Err(wrong("stands twice"));
            }
            rest.push((name.to_owned(), (end - start) / 4));
        }
        rest.reverse();
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        Ok(Self { out, rest })
    }

    /// Writes the values of the next tensor, row-major.
    ///
    /// # Errors
    /// If there is no such tensor or it has another number of values, or it
    /// cannot be written.
    pub fn write(&mut self, values: &[f32]) -> io::Result<()> {
        let wrong = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let next = self.rest.pop().ok_or_else(|| wrong("there are no more tensors".to_owned()))?;
        if next.1 != values.len() {
            let (name, len) = next;
            return Err(wrong(format!("tensor `{name}` has {len} values, not {}", values.len())));
        }
        let mut bytes = Vec::new();
        for block in values.chunks(1 << 14) {
            bytes.clear();
            bytes.extend(block.iter().flat_map(|value| value.to_le_bytes()));
            self.out.write_all(&bytes)?;
        }
        Ok(())
    }

    /// The file, once all tensors are written.
    ///
    /// # Errors
    /// If one is missing.
    pub fn finish(self) -> io::Result<W> {
        match self.rest.last() {
            None => Ok(self.out),
            Some((name, _)) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("tensor `{name}` was not written"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tensor, read_tensors};

    #[test]
    fn what_is_written_tensor_by_tensor_is_read_again() {
        let layout = [("b", &[2_usize, 3][..]), ("a", &[0]), ("c", &[1])];
        let mut writer = TensorWriter::new(Vec::new(), layout).unwrap();
        let values = [1.0, 2.0, 3.0, -4.5, 5.0, 6.0];
        writer.write(&values).unwrap();
        writer.write(&[]).unwrap();
        writer.write(&[7.0]).unwrap();
        let tensors = read_tensors(&writer.finish().unwrap()).unwrap();
        let names: Vec<_> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let b = Tensor { name: "b".into(), shape: vec![2, 3], values: values.to_vec() };
        assert_eq!(tensors[1], b);
    }

    #[test]
    fn what_does_not_fit_the_header_is_refused() {
        assert!(TensorWriter::new(Vec::new(), [("a", &[1_usize][..]), ("a", &[1])]).is_err());
        assert!(TensorWriter::new(Vec::new(), [("a", &[usize::MAX / 2, 3][..])]).is_err());
        let new = || TensorWriter::new(Vec::new(), [("a", &[2_usize][..])]).unwrap();
        assert!(new().write(&[1.0]).is_err());
        assert!(new().finish().is_err());
        let mut writer = new();
        writer.write(&[1.0, 2.0]).unwrap();
        assert!(writer.write(&[]).is_err());
    }
}
