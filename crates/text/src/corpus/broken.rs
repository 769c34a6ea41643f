use crate::{Error, Result};

/// Errors in the data that are passed over before reading ends all the same.
const MOST: usize = 10_000;

/// What is wrong with rows or objects that were passed over.
#[derive(Default)]
pub(super) struct Broken {
    errors: Vec<Error>,
    count: usize,
}

impl Broken {
    /// Keeps an error, or gives it back if there are too many.
    pub fn add(&mut self, error: Error) -> Result<()> {
        self.count += 1;
        if self.count > MOST {
            return Err(error);
        }
        self.errors.push(error);
        Ok(())
    }

    pub fn take(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.errors)
    }
}
