//! Pickles and checkpoints as Python and PyTorch write them, and hostile ones.
#![forbid(unsafe_code)]

mod fixtures;
mod hostile;
mod walk;
