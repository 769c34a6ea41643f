//! A device on the processor: the kernels compiled for it by the C compiler.

use std::{
    cell::Cell,
    ffi::{CString, c_void},
    path::Path,
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

use candle_core::{Result, bail};

use super::{Address, Device, Kernel, Matrix, Module, Observed, Product, Together};

/// Values before and behind memory that nobody may write.
const GUARD: usize = 64;
/// What stands there, and in memory that nobody has written: no number.
const NOTHING: u32 = 0x7fc0_dead;

/// Counts what it was asked for.
#[derive(Default)]
pub(crate) struct Emulator {
    pub(crate) launches: Cell<usize>,
    pub(crate) products: Cell<usize>,
    pub(crate) together: Option<Together>,
}

/// Values between guards.
pub(crate) struct Memory(Box<[u32]>);

impl Memory {
    fn new(values: impl ExactSizeIterator<Item = u32>) -> Self {
        let guard = || std::iter::repeat_n(NOTHING, GUARD);
        Self(guard().chain(values).chain(guard()).collect())
    }

    fn len(&self) -> usize {
        self.0.len() - 2 * GUARD
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (before, rest) = self.0.split_at(GUARD);
        let behind = &rest[self.len()..];
        let is_whole = before.iter().chain(behind).all(|&bits| bits == NOTHING);
        assert!(is_whole || std::thread::panicking(), "a kernel wrote beside its memory");
    }
}

struct Grid {
    blocks: usize,
    threads: usize,
    shared: usize,
    together: bool,
}

impl Emulator {
    /// # Safety
    /// As [`Device::launch`].
    unsafe fn run<A: Copy>(&self, kernel: Kernel<'_>, grid: Grid, arguments: &A) -> Result<()> {
        self.launches.set(self.launches.get() + 1);
        let Kernel(module, name) = kernel;
        let run = function(module, name)?;
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let Grid { blocks, threads, shared, together } = grid;
        // SAFETY: the caller promises good arguments, and `emulate` checks their size.
        let status = unsafe {
            let arguments = std::ptr::from_ref(arguments);
            let together = i32::from(together);
            run(blocks as u32, threads as u32, shared, together, arguments.cast(), size_of::<A>())
        };
        match status {
            0 => Ok(()),
            1 => bail!("{name}: the arguments have another size than its structure"),
            2 => bail!("{name}: threads of a block wait at different barriers"),
            _ => bail!("{name}: blocks wait for what never comes"),
        }
    }
}

impl Observed for Emulator {
    fn download(&self, memory: &Memory) -> Vec<f32> {
        memory.0[GUARD..GUARD + memory.len()].iter().map(|&bits| f32::from_bits(bits)).collect()
    }
}

impl Device for Emulator {
    type Memory = Memory;

    fn alloc(&self, len: usize) -> Result<Memory> {
        Ok(Memory::new(std::iter::repeat_n(NOTHING, len)))
    }

    fn zeros(&self, len: usize) -> Result<Memory> {
        Ok(Memory::new(std::iter::repeat_n(0, len)))
    }

    fn upload(&self, values: &[u32]) -> Result<Memory> {
        Ok(Memory::new(values.iter().copied()))
    }

    fn address(&self, memory: &Memory) -> Address {
        memory.0[GUARD..].as_ptr() as Address
    }

    unsafe fn launch<A: Copy>(
        &self,
        kernel: Kernel<'_>,
        blocks: usize,
        threads: usize,
        arguments: &A,
    ) -> Result<()> {
        // SAFETY: promised by the caller.
        unsafe { self.run(kernel, Grid { blocks, threads, shared: 0, together: false }, arguments) }
    }

    fn together(&self) -> Option<Together> {
        self.together
    }

    unsafe fn launch_together<A: Copy>(
        &self,
        kernel: Kernel<'_>,
        blocks: usize,
        threads: usize,
        shared: usize,
        arguments: &A,
    ) -> Result<()> {
        let most = self.together.expect("a device on which blocks run together");
        assert!(blocks <= most.blocks && threads <= most.threads && shared <= most.shared);
        // SAFETY: promised by the caller.
        unsafe { self.run(kernel, Grid { blocks, threads, shared, together: true }, arguments) }
    }

    unsafe fn multiply(&self, product: Product) -> Result<()> {
        self.products.set(self.products.get() + 1);
        let Product { size: [m, n, k], left, right, out, out_stride, is_added, is_short } = product;
        let widths = [(left, m, k), (right, k, n)];
        for (matrix, rows, columns) in widths {
            let width = if matrix.is_transposed { rows } else { columns };
            assert!(matrix.stride >= width, "rows of {width} values {} apart", matrix.stride);
        }
        assert!(out_stride >= n, "rows of {n} values {out_stride} apart");
        let value = |matrix: Matrix, row: usize, column: usize| -> f64 {
            let (row, column) = if matrix.is_transposed { (column, row) } else { (row, column) };
            let at = row * matrix.stride + column;
            // SAFETY: the caller promises that the matrix lies there.
            unsafe {
                if is_short {
                    let word = *(matrix.at as *const u16).add(at);
                    f64::from(f32::from_bits(u32::from(word) << 16))
                } else {
                    f64::from(*(matrix.at as *const f32).add(at))
                }
            }
        };
        for row in 0..m {
            for column in 0..n {
                let sum: f64 = (0..k).map(|i| value(left, row, i) * value(right, i, column)).sum();
                // SAFETY: as above.
                unsafe {
                    let place = (out as *mut f32).add(row * out_stride + column);
                    *place = if is_added { *place + sum as f32 } else { sum as f32 };
                }
            }
        }
        Ok(())
    }
}

type Function = unsafe extern "C" fn(u32, u32, usize, i32, *const c_void, usize) -> i32;

/// A kernel of a module, which is compiled when it is first asked for.
fn function(module: Module, name: &str) -> Result<Function> {
    static LIBRARIES: [OnceLock<usize>; 4] = [const { OnceLock::new() }; 4];
    let handle = *LIBRARIES[module as usize].get_or_init(|| load(module));
    let symbol = CString::new(name).expect("names of kernels have no zeros");
    // SAFETY: the handle is that of a library that is never closed.
    let function = unsafe { libc::dlsym(handle as *mut c_void, symbol.as_ptr()) };
    if function.is_null() {
        bail!("{module:?} has no kernel {name}");
    }
    // SAFETY: `KERNEL` of `emulate.h` gives every kernel this type.
    Ok(unsafe { std::mem::transmute::<*mut c_void, Function>(function) })
}

fn load(module: Module) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda");
    let source = match module {
        Module::Cells => "cells.cu",
        Module::Crf => "crf.cu",
        Module::Resident => "resident.cu",
        Module::Rows => "rows.cu",
    };
    let scratch = tempfile::tempdir().expect("a folder for a library");
    let library = scratch.path().join("kernels.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(compiler)
        .args(["-x", "c", "-std=gnu11", "-O2", "-Wall", "-Werror", "-Wno-unused-function"])
        .args(["-shared", "-fPIC", "-ffp-contract=off", "-o"])
        .arg(&library)
        .arg(folder.join(source))
        .arg("-lm")
        .output()
        .expect("a C compiler, which links Rust programs too");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = CString::new(library.to_str().expect("a plain path")).expect("no zeros");
    // SAFETY: the library runs nothing when it is loaded.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!handle.is_null(), "the library of {source} cannot be loaded");
    handle as usize
}
