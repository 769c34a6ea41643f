/// Shapes that do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice has another length than its shape asks for.
    #[error("{what}: expected {want} values, found {found}")]
    Length {
        /// The argument.
        what: &'static str,
        /// Values that its shape holds.
        want: usize,
        /// Values that were given.
        found: usize,
    },
    /// A sequence index or tag is out of range.
    #[error("{what}: {index} is not below {limit}")]
    Range {
        /// The argument.
        what: &'static str,
        /// The offending value.
        index: usize,
        /// What it must stay below.
        limit: usize,
    },
    /// The mask of a CRF leaves no sequence, or forbids the gold one.
    #[error("the transition mask forbids {what}")]
    Forbidden {
        /// What it forbids.
        what: &'static str,
    },
}

/// Checks the length of an argument.
pub(crate) fn expect_len(what: &'static str, found: usize, want: usize) -> crate::Result<()> {
    if found == want { Ok(()) } else { Err(Error::Length { what, want, found }) }
}
