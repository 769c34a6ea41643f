//! Rows of a table on a device, picked by number, and their gradients.

use candle_core::Result;

use super::{Address, Device, Kernel, Module};
use crate::op::NO_ROW;

/// `Picking` in `rows.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Picking {
    table: Address,
    ids: Address,
    out: Address,
    values: u64,
    columns: u32,
    unused: u32,
}

/// `Summing` in `rows.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Summing {
    gradient: Address,
    firsts: Address,
    places: Address,
    out: Address,
    values: u64,
    columns: u32,
    unused: u32,
}

/// The rows of the ids, `[ids, columns]`; zeros for [`NO_ROW`].
///
/// # Safety
/// `table` has so many columns, and more rows than any id but [`NO_ROW`].
pub(crate) unsafe fn pick<D: Device>(
    device: &D,
    table: Address,
    ids: &[u32],
    columns: usize,
) -> Result<D::Memory> {
    let values = ids.len() * columns;
    let (out, ids) = (device.alloc(values)?, device.upload(ids)?);
    let arguments = Picking {
        table,
        ids: device.address(&ids),
        out: device.address(&out),
        values: values as u64,
        columns: columns as u32,
        unused: 0,
    };
    // SAFETY: promised by the caller.
    unsafe { device.launch_each(Kernel(Module::Rows, "rows_pick"), values, &arguments)? };
    Ok(out)
}

/// The gradient of a table of so many rows, `[rows, columns]`: the same bits every time.
///
/// # Safety
/// `gradient` has a row of so many columns for each id.
pub(crate) unsafe fn sum<D: Device>(
    device: &D,
    gradient: Address,
    ids: &[u32],
    rows: usize,
    columns: usize,
) -> Result<D::Memory> {
    let mut firsts = vec![0_u32; rows + 1];
    for &id in ids.iter().filter(|&&id| id != NO_ROW) {
        firsts[id as usize + 1] += 1;
    }
    for row in 0..rows {
        firsts[row + 1] += firsts[row];
    }
    let mut next = firsts.clone();
    let mut places = vec![0; firsts[rows] as usize];
    for (place, &id) in ids.iter().enumerate().filter(|(_, id)| **id != NO_ROW) {
        let at = &mut next[id as usize];
        places[*at as usize] = place as u32;
        *at += 1;
    }
    let out = device.alloc(rows * columns)?;
    let [firsts, places] = [device.upload(&firsts)?, device.upload(&places)?];
    let arguments = Summing {
        gradient,
        firsts: device.address(&firsts),
        places: device.address(&places),
        out: device.address(&out),
        values: (rows * columns) as u64,
        columns: columns as u32,
        unused: 0,
    };
    let kernel = Kernel(Module::Rows, "rows_sum");
    // SAFETY: promised by the caller; places are those of the ids.
    unsafe { device.launch_each(kernel, rows * columns, &arguments)? };
    Ok(out)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::cuda::{Observed, emulator::Emulator};

    fn rows_there_and_back(device: &impl Observed) {
        let table = device.floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let ids = [2, 0, NO_ROW, 2];
        // SAFETY: the table has three rows of two columns.
        let picked = unsafe { pick(device, device.address(&table), &ids, 2) }.unwrap();
        assert_eq!(device.download(&picked)[..8], [5.0, 6.0, 1.0, 2.0, 0.0, 0.0, 5.0, 6.0]);
        let gradient = device.floats(&[1.0, 2.0, 10.0, 20.0, 100.0, 200.0, 1000.0, 2000.0]);
        // SAFETY: the gradient has a row an id.
        let sums = unsafe { sum(device, device.address(&gradient), &ids, 3, 2) }.unwrap();
        assert_eq!(device.download(&sums)[..6], [10.0, 20.0, 0.0, 0.0, 1001.0, 2002.0]);
    }

    #[test]
    fn rows_are_picked_and_their_gradients_added_up() {
        rows_there_and_back(&Emulator::default());
    }

    #[cfg(feature = "cuda")]
    #[test]
    #[ignore = "needs a GPU"]
    fn on_a_gpu_rows_are_picked_and_their_gradients_added_up() {
        rows_there_and_back(&crate::cuda::Cuda::first());
    }
}
