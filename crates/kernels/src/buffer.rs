//! Zeroed memory aligned to a cache line, and pointers shared by threads.

/// Floats of a cache line.
const LINE: usize = 16;

/// Floats between rows of so many, whole lines, so that the same columns of many
/// rows do not fall into the same few sets of a cache.
pub(crate) fn apart(columns: usize) -> usize {
    let whole = columns.next_multiple_of(LINE);
    if whole.is_multiple_of(16 * LINE) { whole + LINE } else { whole }
}

/// A row of `f32` that starts on a cache line.
///
/// The zeros come from the system as untouched pages, so a large buffer costs
/// nothing before it is written.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    values: Vec<f32>,
    first: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let values = vec![0.0; len + LINE];
        let first = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self { values, first, len }
    }

    /// Room for `len` floats, to be written before it is a buffer.
    pub(crate) fn blank(len: usize) -> Blank {
        let values = Vec::<f32>::with_capacity(len + LINE);
        let first = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Blank(Self { values, first, len })
    }
}

/// Memory aligned as a [`Buffer`] that is not written yet.
pub(crate) struct Blank(Buffer);

impl Blank {
    /// Where it begins.
    pub(crate) fn place(&mut self) -> Shared {
        Shared(self.0.values.as_mut_ptr().wrapping_add(self.0.first))
    }

    /// The buffer.
    ///
    /// # Safety
    /// Every float of it was written.
    pub(crate) unsafe fn filled(self) -> Buffer {
        let mut buffer = self.0;
        // SAFETY: the floats before the first one are written here, those of
        // the buffer were by the caller, and all lie within the capacity.
        unsafe {
            buffer.values.as_mut_ptr().write_bytes(0, buffer.first);
            buffer.values.set_len(buffer.first + buffer.len);
        }
        buffer
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..self.first + self.len]
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.first..self.first + self.len]
    }
}

/// A pointer that threads may share because they write to disjoint places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared(pub(crate) *mut f32);

// SAFETY: every user partitions the memory behind the pointer, so that no two
// threads touch one element and the owner outlives the parallel region.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The pointer moved by `offset` floats.
    ///
    /// # Safety
    /// The place must lie in the allocation the pointer was made from.
    #[inline(always)]
    pub(crate) unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: promised by the caller.
        unsafe { self.0.add(offset) }
    }

    /// `len` floats from `offset` on.
    ///
    /// # Safety
    /// They must lie in the allocation the pointer was made from, and no other
    /// thread may touch them meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn slice<'a>(self, offset: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), len) }
    }
}
