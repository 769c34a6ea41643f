//! What values a setting may have, and how what they name is called elsewhere.

use glossator_nn::{CellKind, Connection, RnnInit, RnnShape};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest dimension of anything.
pub(crate) const MAX_DIM: usize = 1 << 16;
/// Most units whose first weights are made orthogonal.
const MAX_ORTHOGONAL: usize = 4096;
/// Most layers, and most embeddings.
pub(crate) const MAX_PARTS: usize = 64;

/// Whether a part is one of which something is left.
pub(crate) fn share(p: f32) -> bool {
    (0.0..1.0).contains(&p)
}

/// Whether a number is from 1 to `max`.
pub(crate) fn count(n: usize, max: usize) -> bool {
    (1..=max).contains(&n)
}

/// What is said of a number that is not.
pub(crate) fn from_one(max: usize) -> String {
    format!("must be 1 to {max}")
}

/// How what a recurrent layer reads goes on beside what it computes: from the
/// second layer on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionKind {
    /// Not at all.
    #[default]
    None,
    /// It is added (He et al., 2016).
    Residual,
    /// A gate chooses between the two, feature by feature (Srivastava et al.,
    /// 2015).
    Highway,
}

impl From<ConnectionKind> for Connection {
    fn from(kind: ConnectionKind) -> Self {
        match kind {
            ConnectionKind::None => Self::None,
            ConnectionKind::Residual => Self::Residual,
            ConnectionKind::Highway => Self::Highway,
        }
    }
}

/// A setting of a recurrent stack.
#[derive(Clone, Copy)]
pub(crate) enum StackKey {
    Connection,
    LayerNorm,
    Orthogonal,
    ForgetBias,
}

impl StackKey {
    /// Its name among those of all, in their order.
    pub(crate) fn of(self, names: [&'static str; 4]) -> &'static str {
        names[self as usize]
    }
}

/// What is wrong with the settings of a recurrent stack, if anything.
pub(crate) fn stack_problem(shape: &RnnShape, first: RnnInit) -> Option<(StackKey, String)> {
    let alone = shape.n_layers < 2;
    if alone && shape.between.connection != Connection::None {
        return Some((StackKey::Connection, "needs two layers or more".to_owned()));
    }
    if alone && shape.between.layer_norm {
        return Some((StackKey::LayerNorm, "needs two layers or more".to_owned()));
    }
    if first.orthogonal && shape.hidden_dim > MAX_ORTHOGONAL {
        let reason = format!("takes too long for more than {MAX_ORTHOGONAL} units");
        return Some((StackKey::Orthogonal, reason));
    }
    if !first.forget_bias.is_finite() {
        return Some((StackKey::ForgetBias, "must be a finite number".to_owned()));
    }
    let spec = shape.cell.cell().spec();
    if first.forget_bias != 0.0 && spec.remember.is_none() {
        let reason = format!("needs a gate that keeps the state: the cell {} has none", spec.name);
        return Some((StackKey::ForgetBias, reason));
    }
    None
}

/// Whether a setting need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// As [`is_default`], where the default is yes.
pub(crate) fn is_true(value: &bool) -> bool {
    *value
}

pub(crate) fn cell_name<S: Serializer>(cell: &CellKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cell.cell().spec().name)
}

pub(crate) fn cell_of_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<CellKind, D::Error> {
    let name = String::deserialize(deserializer)?;
    CellKind::from_name(&name).ok_or_else(|| {
        // In the words of serde, whose errors are explained.
        let names = CellKind::ALL.map(|kind| format!("`{}`", kind.cell().spec().name)).join(", ");
        serde::de::Error::custom(format!("unknown variant `{name}`, expected one of {names}"))
    })
}
