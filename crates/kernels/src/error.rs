/// Shapes that do not fit together, or scores without a distribution.
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
    /// Weights or kept values of one cell were given to another.
    #[error("{what} are of the cell `{found}`, not of `{want}`")]
    Cell {
        /// The argument.
        what: &'static str,
        /// The cell that they were given to.
        want: &'static str,
        /// The cell that they belong to.
        found: &'static str,
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
    /// An argument holds an infinity or a value that is no number.
    #[error("{what}: the value at index {index} is not finite")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// Place in row-major order.
        index: usize,
    },
    /// The mask of a CRF leaves no sequence, or forbids the gold one.
    #[error("the transition mask forbids {what}")]
    Forbidden {
        /// What it forbids.
        what: &'static str,
    },
}

/// Values of a matrix; more than any slice holds if the product is too large.
pub(crate) fn size(rows: usize, columns: usize) -> usize {
    rows.saturating_mul(columns)
}

/// Checks the length of an argument.
pub(crate) fn expect_len(what: &'static str, found: usize, want: usize) -> crate::Result<()> {
    if found == want { Ok(()) } else { Err(Error::Length { what, want, found }) }
}
