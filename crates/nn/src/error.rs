/// What can go wrong while a layer is built or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A kernel refused its arguments.
    #[error(transparent)]
    Kernel(#[from] glossator_kernels::Error),
    /// There is no such GPU.
    #[error("cuda:{number} cannot be used: {problem}")]
    Device {
        /// Its number.
        number: usize,
        /// Why it cannot.
        problem: String,
    },
    /// A parameter of this name exists already, or does not exist.
    #[error("parameter `{name}` {problem}")]
    Parameter {
        /// Dotted name of the parameter.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The weights of a model lack a tensor.
    #[error("tensor `{name}` is missing")]
    Missing {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor of a model has another shape than its configuration says.
    #[error("tensor `{name}`: the configuration asks for shape {want:?}, the file has {found:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Shape by the configuration.
        want: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor of a model holds infinities or values that are no numbers.
    #[error("tensor `{name}` holds a value that is not finite, at index {index}")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// Place in row-major order.
        index: usize,
    },
    /// A tensor of a model that nothing asks for.
    #[error("tensor `{name}` is not part of this model")]
    Unexpected {
        /// Name of the tensor.
        name: String,
    },
    /// The values of a tensor of a model cannot be read from where they lie.
    #[error("tensor `{name}` cannot be read")]
    Read {
        /// Name of the tensor.
        name: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
