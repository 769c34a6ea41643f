//! Recurrent layers for inference on a GPU.

use candle_core::Tensor;
use glossator_kernels::{Error as KernelError, gemm::Precision, op::RecurrentInput};

use super::{Keep, Rnn, RnnInput, RnnShape, RnnState};
use crate::{Device, Result, Rng, Weights};

/// A stack whose weights lie on a GPU. Ids or rows go there, and what is kept of
/// the last layer comes back.
#[derive(Clone, Debug)]
pub(super) struct OnDevice {
    device: Device,
    rnn: Rnn,
    /// Rows that ids pick.
    table: Option<Tensor>,
}

impl OnDevice {
    /// Takes the weights of a stack; `table`: `[items, input_dim]`.
    pub(super) fn new(
        weights: &mut Weights,
        prefix: &str,
        shape: RnnShape,
        precision: Precision,
        table: Option<&[f32]>,
    ) -> Result<Self> {
        let device = weights.device().clone();
        let rnn = Rnn::from_weights(weights, prefix, shape, precision)?;
        let rows = |table: &[f32]| {
            let items = table.len() / shape.input_dim.max(1);
            Tensor::from_slice(table, (items, shape.input_dim), device.candle())
        };
        let table = table.map(rows).transpose()?;
        Ok(Self { device, rnn, table })
    }

    /// As [`super::PackedRnn::first_state`].
    pub(super) fn first_state(&self, sequences: usize) -> Result<RnnState> {
        let states = self.rnn.first_states(sequences)?;
        Ok(RnnState(states.iter().map(plain).collect::<Result<_>>()?))
    }

    /// As [`super::PackedRnn::read`].
    pub(super) fn read(
        &self,
        input: RnnInput<'_>,
        lengths: &[usize],
        state: Option<&mut RnnState>,
        keep: Keep<'_>,
    ) -> Result<Vec<f32>> {
        let shape = self.rnn.shape();
        self.check(input, lengths.iter().sum())?;
        let states = shape.cell.cell().spec().states;
        let states_shape = (states, lengths.len(), shape.hidden_dim);
        let first = match &state {
            Some(state) => state
                .0
                .iter()
                .map(|values| Tensor::from_slice(values, states_shape, self.device.candle()))
                .collect::<candle_core::Result<_>>()?,
            None => self.rnn.first_states(lengths.len())?,
        };
        let rows = match input {
            RnnInput::Rows(rows) => {
                let size = (rows.len() / shape.input_dim.max(1), shape.input_dim);
                Some(Tensor::from_slice(rows, size, self.device.candle())?)
            }
            RnnInput::Ids(_) => None,
        };
        let input = match (&rows, input, &self.table) {
            (Some(rows), ..) => RecurrentInput::Rows(rows),
            (None, RnnInput::Ids(ids), Some(table)) => RecurrentInput::Table { table, ids },
            _ => return Err(candle_core::Error::msg("ids for a stack without a table").into()),
        };
        // Nothing is dropped, so nothing is drawn.
        let rng = &mut Rng::new(0, "", 0);
        let out = self.rnn.forward_from(input, lengths, &first, 0.0, rng)?;
        if let Some(state) = state {
            for (values, tensor) in state.0.iter_mut().zip(&out.states) {
                *values = plain(tensor)?;
            }
        }
        match keep {
            Keep::Tokens => plain(&out.hidden),
            Keep::Last => plain(&out.last),
            Keep::At(rows) => chosen(&out.hidden, rows),
        }
    }
}

impl OnDevice {
    /// Checks that there are as many rows or ids as tokens, and ids only of rows
    /// of the table: a GPU does not.
    fn check(&self, input: RnnInput<'_>, tokens: usize) -> Result<()> {
        let (what, found, want) = match input {
            RnnInput::Rows(rows) => ("rows", rows.len(), tokens * self.rnn.shape().input_dim),
            RnnInput::Ids(ids) => ("ids", ids.len(), tokens),
        };
        if found != want {
            return Err(KernelError::Length { what, want, found }.into());
        }
        let limit = self.table.as_ref().map_or(Ok(0), |table| table.dim(0))?;
        let RnnInput::Ids(ids) = input else { return Ok(()) };
        match ids.iter().find(|id| **id as usize >= limit) {
            Some(&id) => Err(KernelError::Range { what: "id", index: id as usize, limit }.into()),
            None => Ok(()),
        }
    }
}

/// Values of a tensor, row-major.
fn plain(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// Rows of a matrix as [`Keep::At`] says; those that nothing is put in are zeros.
fn chosen(matrix: &Tensor, rows: &[u32]) -> Result<Vec<f32>> {
    let kept = rows.iter().filter(|row| **row != Keep::NONE);
    let count = kept.max().map_or(0, |last| *last as usize + 1);
    let mut tokens = vec![None; count];
    for (token, &row) in (0_u32..).zip(rows) {
        if row != Keep::NONE {
            tokens[row as usize] = Some(token);
        }
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let ids: Vec<u32> = tokens.iter().map(|token| token.unwrap_or(0)).collect();
    let ids = Tensor::from_vec(ids, count, matrix.device())?;
    let mut values = plain(&matrix.index_select(&ids, 0)?)?;
    let width = values.len() / count;
    for (row, _) in tokens.iter().enumerate().filter(|(_, token)| token.is_none()) {
        values[row * width..(row + 1) * width].fill(0.0);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use glossator_kernels::cells::CellKind;

    use super::*;
    use crate::{Between, Connection, PackedRnn, ParamSet, RnnInit, init};

    /// A stack with all there is between its layers, and a table of five rows.
    fn shape() -> RnnShape {
        RnnShape {
            cell: CellKind::Lstm,
            input_dim: 3,
            hidden_dim: 8,
            n_layers: 2,
            bidirectional: true,
            between: Between { connection: Connection::Highway, layer_norm: true },
            learned_state: true,
        }
    }

    fn both(table: Option<&[f32]>) -> (OnDevice, PackedRnn) {
        let (mut params, rng) = (ParamSet::new(), &mut Rng::new(2, "init", 0));
        Rnn::new(&mut params, "rnn", shape(), RnnInit::default(), rng).unwrap();
        for tensor in params.tensors() {
            let values = init::uniform(rng, tensor.shape.iter().product(), 0.5);
            params.set_values(tensor.name, &values).unwrap();
        }
        let mut weights = Weights::from_params(&params).unwrap();
        let other = &mut weights.clone();
        let f32 = Precision::F32;
        let stack = OnDevice::new(&mut weights, "rnn", shape(), f32, table).unwrap();
        weights.finish().unwrap();
        let packed = match table {
            Some(table) => PackedRnn::of_table(other, "rnn", shape(), f32, table),
            None => PackedRnn::new(other, "rnn", shape(), f32),
        };
        (stack, packed.unwrap())
    }

    #[test]
    fn what_is_kept_and_the_states_are_those_of_the_processor() {
        let values = |len| init::uniform(&mut Rng::new(1, "input", 0), len, 1.0);
        let (rows, table) = (values(6 * 3), values(5 * 3));
        let ids = [4, 0, 1, 1, 3, 2];
        let chosen = [Keep::NONE, 2, 0, Keep::NONE, 3, Keep::NONE];
        let close = |got: &[f32], want: &[f32]| {
            assert_eq!(got.len(), want.len());
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5));
        };
        for (input, table) in
            [(RnnInput::Rows(&rows), None), (RnnInput::Ids(&ids), Some(&table[..]))]
        {
            let (stack, packed) = both(table);
            for keep in [Keep::Tokens, Keep::Last, Keep::At(&chosen)] {
                let mut states = [stack.first_state(3), packed.first_state(3)].map(Result::unwrap);
                assert_eq!(states[0], states[1]);
                let [own, other] = &mut states;
                let got = stack.read(input, &[2, 0, 4], Some(own), keep).unwrap();
                let want = packed.read(input, &[2, 0, 4], Some(other), keep).unwrap();
                close(&got, &want);
                own.0.iter().zip(&other.0).for_each(|(got, want)| close(got, want));
                let fresh = stack.read(input, &[2, 0, 4], None, keep).unwrap();
                close(&fresh, &want);
            }
        }
    }

    #[test]
    fn ids_beyond_the_table_and_missing_rows_are_refused() {
        let (stack, _) = both(Some(&[0.0; 15]));
        let read = |input, lengths: &[usize]| stack.read(input, lengths, None, Keep::Last);
        assert!(read(RnnInput::Ids(&[5]), &[1]).is_err());
        assert!(read(RnnInput::Ids(&[1]), &[2]).is_err());
        assert!(read(RnnInput::Rows(&[1.0; 4]), &[1]).is_err());
        assert!(both(None).0.read(RnnInput::Ids(&[0]), &[1], None, Keep::Last).is_err());
    }
}
