//! The kernels on NVIDIA GPUs.
//!
//! The sources are `*.cu`, compiled to the PTX that is checked in beside them
//! (`scripts/check-cuda`) and that the driver turns into code for the GPU at hand.
//! What is launched in which order is written against the few things that a
//! [`Device`] can do; `launch` does them by CUDA. In tests, `emulator` does them
//! on the processor, with the same plans and the same kernels, so that their
//! arithmetic is tested where there is no GPU.

pub(crate) mod crf;
#[cfg(all(test, target_os = "linux"))]
mod emulator;
#[cfg(feature = "cuda")]
mod launch;
pub(crate) mod rows;
pub(crate) mod scan;

use candle_core::Result;
#[cfg(feature = "cuda")]
pub(crate) use launch::{Cuda, gpu};

/// A source file, compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    /// `cells.cu`
    Cells,
    /// `crf.cu`
    Crf,
    /// `resident.cu`
    Resident,
    /// `rows.cu`
    Rows,
}

/// An address in a device's memory; 0 is none.
pub(crate) type Address = u64;

/// Memory of so many 32-bit values, and what works on it: all in the order in
/// which it is asked for.
pub(crate) trait Device {
    /// Memory, given back when it is dropped.
    type Memory;

    /// Memory whose values are anything.
    fn alloc(&self, len: usize) -> Result<Self::Memory>;

    /// Memory of zeros.
    fn zeros(&self, len: usize) -> Result<Self::Memory>;

    /// A copy of values of the host.
    fn upload(&self, values: &[u32]) -> Result<Self::Memory>;

    /// Where memory begins.
    fn address(&self, memory: &Self::Memory) -> Address;

    /// Runs a kernel in so many blocks of so many threads. `arguments` are laid
    /// out as the structure that the kernel takes.
    ///
    /// # Safety
    /// The kernel takes that structure, and its addresses are good for what it
    /// reads and writes.
    unsafe fn launch<A: Copy>(
        &self,
        kernel: Kernel<'_>,
        blocks: usize,
        threads: usize,
        arguments: &A,
    ) -> Result<()>;

    /// What runs together here; nothing if kernels cannot wait for each other's blocks.
    fn together(&self) -> Option<Together>;

    /// Runs a kernel whose blocks wait for each other and share so many bytes each.
    ///
    /// # Safety
    /// As [`Device::launch`]; there are no more blocks, threads or bytes than run
    /// together.
    unsafe fn launch_together<A: Copy>(
        &self,
        kernel: Kernel<'_>,
        blocks: usize,
        threads: usize,
        shared: usize,
        arguments: &A,
    ) -> Result<()>;

    /// A product of matrices.
    ///
    /// # Safety
    /// The matrices lie in memory of this device.
    unsafe fn multiply(&self, product: Product) -> Result<()>;

    /// Runs a kernel with a thread for each of so many values.
    ///
    /// # Safety
    /// As [`Device::launch`].
    unsafe fn launch_each<A: Copy>(
        &self,
        kernel: Kernel<'_>,
        values: usize,
        arguments: &A,
    ) -> Result<()> {
        if values == 0 {
            return Ok(());
        }
        // SAFETY: promised by the caller.
        unsafe { self.launch(kernel, values.div_ceil(THREADS), THREADS, arguments) }
    }

    /// Copies values as bf16.
    ///
    /// # Safety
    /// There are so many values at `from`, and half of that room at `to`.
    unsafe fn to_words(&self, from: Address, to: Address, count: usize) -> Result<()> {
        let arguments = Copying { from, to, count: count as u64 };
        // SAFETY: promised by the caller.
        unsafe { self.launch_each(Kernel(Module::Cells, "to_words"), count, &arguments) }
    }

    /// Copies values.
    ///
    /// # Safety
    /// There are so many values at `from`, and room for them at `to`.
    unsafe fn copy(&self, from: Address, to: Address, count: usize) -> Result<()> {
        let arguments = Copying { from, to, count: count as u64 };
        // SAFETY: promised by the caller.
        unsafe { self.launch_each(Kernel(Module::Cells, "copy"), count, &arguments) }
    }
}

/// A device whose memory can be looked at.
#[cfg(all(test, target_os = "linux"))]
pub(crate) trait Observed: Device {
    /// The values as floats, once all work is done.
    fn download(&self, memory: &Self::Memory) -> Vec<f32>;

    /// Memory with floats.
    fn floats(&self, values: &[f32]) -> Self::Memory {
        let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        self.upload(&bits).expect("memory for floats")
    }
}

/// Threads of a block of a kernel in which none waits for another.
const THREADS: usize = 256;

/// What runs together on a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Together {
    /// Blocks, one a multiprocessor.
    pub(crate) blocks: usize,
    /// Threads of a block, whole warps.
    pub(crate) threads: usize,
    /// Bytes that a block shares.
    pub(crate) shared: usize,
}

/// A kernel, by its name in a module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel<'a>(pub(crate) Module, pub(crate) &'a str);

/// `Copying` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Copying {
    from: Address,
    to: Address,
    count: u64,
}

/// A matrix in row-major order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    /// Its first value.
    pub(crate) at: Address,
    /// Values from a row to the next.
    pub(crate) stride: usize,
    /// Whether it is multiplied as its transpose.
    pub(crate) is_transposed: bool,
}

impl Matrix {
    /// A matrix as it lies there.
    pub(crate) fn new(at: Address, stride: usize) -> Self {
        Self { at, stride, is_transposed: false }
    }

    /// The transpose of what lies there.
    pub(crate) fn transposed(at: Address, stride: usize) -> Self {
        Self { at, stride, is_transposed: true }
    }
}

/// `out = left * right`, or `out += left * right`: `[m, n] = [m, k] [k, n]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub(crate) size: [usize; 3],
    pub(crate) left: Matrix,
    pub(crate) right: Matrix,
    pub(crate) out: Address,
    pub(crate) out_stride: usize,
    /// Whether the product is added to what is there.
    pub(crate) is_added: bool,
    /// Whether both factors are bf16; sums are always `f32`.
    pub(crate) is_short: bool,
}
