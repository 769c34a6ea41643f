/// What can go wrong while a layer is built or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A parameter of this name exists already, or does not exist.
    #[error("parameter `{name}` {problem}")]
    Parameter {
        /// Dotted name of the parameter.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}
