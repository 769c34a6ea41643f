//! A device of CUDA.

use std::sync::Arc;

use candle_core::{
    CudaDevice, CudaStorage, Layout, Result, Shape, Storage, Tensor, bail,
    cuda_backend::{
        WrapErr,
        cudarc::{
            cublas::{result::gemm_ex, sys as cublas},
            driver::{
                CudaFunction, CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig,
                PushKernelArg, SyncOnDrop, result, sys,
            },
        },
    },
    op::BackpropOp,
};

use super::{Address, Device, Kernel, Module, Product, Together};

/// A GPU, and the stream on which all its work waits its turn.
pub(crate) struct Cuda {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    /// Whether scans go step by step even where one kernel would do, for tests.
    is_stepping: bool,
}

/// Arguments as the driver takes them.
#[repr(transparent)]
struct Laid<A>(A);

// SAFETY: whoever launches a kernel promises that the arguments are laid out as
// the structure that it takes.
unsafe impl<A: Copy> DeviceRepr for Laid<A> {}

impl Module {
    fn name(self) -> &'static str {
        match self {
            Self::Cells => "glossator-cells",
            Self::Crf => "glossator-crf",
            Self::Resident => "glossator-resident",
            Self::Rows => "glossator-rows",
        }
    }

    fn ptx(self) -> &'static str {
        match self {
            Self::Cells => include_str!("cells.ptx"),
            Self::Crf => include_str!("crf.ptx"),
            Self::Resident => include_str!("resident.ptx"),
            Self::Rows => include_str!("rows.ptx"),
        }
    }
}

/// The values of an argument while work reads them.
pub(crate) struct Reading<'a> {
    address: Address,
    _until: SyncOnDrop<'a>,
}

impl Reading<'_> {
    pub(crate) fn address(&self) -> Address {
        self.address
    }
}

impl Cuda {
    pub(crate) fn new(device: &CudaDevice) -> Self {
        Self { device: device.clone(), stream: device.cuda_stream(), is_stepping: false }
    }

    /// The GPU that a tensor lies on.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self> {
        Ok(Self::new(tensor.device().as_cuda_device()?))
    }

    fn function(&self, Kernel(module, name): Kernel<'_>) -> Result<CudaFunction> {
        let function = self.device.get_or_load_custom_func(name, module.name(), module.ptx())?;
        Ok(function.into_cuda_function())
    }

    /// The values of a contiguous `f32` argument.
    pub(crate) fn read<'a>(
        &'a self,
        storage: &'a CudaStorage,
        layout: &Layout,
        name: &str,
    ) -> Result<Reading<'a>> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("{name} is not contiguous: {:?}", layout.shape())
        };
        let values = storage.as_cuda_slice::<f32>()?.slice(start..end);
        let (address, until) = values.view_ptr(&self.stream);
        Ok(Reading { address, _until: until })
    }

    /// Hands the address of the values of a tensor to `work`.
    pub(crate) fn reading<R>(
        &self,
        tensor: &Tensor,
        work: impl FnOnce(Address) -> Result<R>,
    ) -> Result<R> {
        let tensor = tensor.contiguous()?;
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => work(self.read(storage, layout, "tensor")?.address()),
            _ => bail!("tensors of one operation on different devices"),
        }
    }

    /// Memory as the storage of a tensor.
    pub(crate) fn storage(&self, memory: CudaSlice<f32>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(memory, self.device.clone())
    }

    /// Memory as a tensor without a history.
    pub(crate) fn tensor(&self, memory: CudaSlice<f32>, shape: &Shape) -> Tensor {
        let storage = Storage::Cuda(self.storage(memory));
        Tensor::from_storage(storage, shape.clone(), BackpropOp::none(), false)
    }
}

/// A GPU, all of whose work is of one stream.
pub(crate) fn gpu(number: usize) -> Result<candle_core::Device> {
    let device = CudaDevice::new_with_stream(number)?;
    // SAFETY: what this device makes is never used on another stream: Candle refuses
    // operations on tensors of two devices.
    unsafe { device.disable_event_tracking() };
    // Memory that is given back stays with the program: the next step asks for as much.
    let mut keep = u64::MAX;
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    let context = device.cuda_stream().context().cu_device();
    // SAFETY: the device is there, its pool lives as long, and the value is of the type
    // that the attribute has.
    unsafe {
        let pool = result::device::get_mem_pool(context).w()?;
        result::mem_pool::set_attribute(pool, threshold, (&raw mut keep).cast()).w()?;
    }
    Ok(candle_core::Device::Cuda(device))
}

/// Threads of a block that waits for others.
const TOGETHER: usize = 256;

fn config(
    Kernel(_, name): Kernel<'_>,
    blocks: usize,
    threads: usize,
    shared: usize,
) -> Result<LaunchConfig> {
    let [Ok(blocks), Ok(threads), Ok(shared)] = [blocks, threads, shared].map(u32::try_from) else {
        bail!("{name}: {blocks} blocks of {threads} threads and {shared} bytes")
    };
    Ok(LaunchConfig {
        grid_dim: (blocks, 1, 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: shared,
    })
}

impl Device for Cuda {
    type Memory = CudaSlice<f32>;

    fn alloc(&self, len: usize) -> Result<CudaSlice<f32>> {
        // SAFETY: whoever asks for memory writes it before it is read. There is no
        // memory of no size.
        unsafe { self.device.alloc(len.max(1)) }
    }

    fn zeros(&self, len: usize) -> Result<CudaSlice<f32>> {
        self.device.alloc_zeros(len.max(1))
    }

    fn upload(&self, values: &[u32]) -> Result<CudaSlice<f32>> {
        // The bits of the numbers, whatever they are numbers of.
        let mut bits: Vec<f32> = values.iter().map(|&value| f32::from_bits(value)).collect();
        bits.resize(bits.len().max(1), 0.0);
        self.device.clone_htod(&bits)
    }

    fn address(&self, memory: &CudaSlice<f32>) -> Address {
        // The guard may go at once: all work on this memory is of one stream.
        memory.device_ptr(&self.stream).0
    }

    unsafe fn launch<A: Copy>(
        &self,
        kernel: Kernel<'_>,
        blocks: usize,
        threads: usize,
        arguments: &A,
    ) -> Result<()> {
        let config = config(kernel, blocks, threads, 0)?;
        let (function, laid) = (self.function(kernel)?, Laid(*arguments));
        // SAFETY: promised by the caller.
        unsafe { self.stream.launch_builder(&function).arg(&laid).launch(config) }.w()?;
        Ok(())
    }

    fn together(&self) -> Option<Together> {
        use sys::CUdevice_attribute as Attribute;
        if self.is_stepping {
            return None;
        }
        let attribute = |which| self.stream.context().attribute(which).ok();
        // `resident.cu` multiplies bf16 in a way that older GPUs do not know.
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let waits = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)?;
        if major < 8 || waits == 0 {
            return None;
        }
        let blocks = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let shared = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let (blocks, shared) = (usize::try_from(blocks).ok()?, usize::try_from(shared).ok()?);
        Some(Together { blocks, threads: TOGETHER, shared })
    }

    unsafe fn launch_together<A: Copy>(
        &self,
        kernel: Kernel<'_>,
        blocks: usize,
        threads: usize,
        shared: usize,
        arguments: &A,
    ) -> Result<()> {
        let config = config(kernel, blocks, threads, shared)?;
        let (function, laid) = (self.function(kernel)?, Laid(*arguments));
        let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(most, config.shared_mem_bytes as i32).w()?;
        // SAFETY: promised by the caller.
        unsafe { self.stream.launch_builder(&function).arg(&laid).launch_cooperative(config) }
            .w()?;
        Ok(())
    }

    unsafe fn multiply(&self, product: Product) -> Result<()> {
        let Product { size: [m, n, k], left, right, out, out_stride, is_added, is_short } = product;
        if m == 0 || n == 0 {
            return Ok(());
        }
        self.stream.context().bind_to_thread().w()?;
        let transpose = |is| match is {
            true => cublas::cublasOperation_t::CUBLAS_OP_T,
            false => cublas::cublasOperation_t::CUBLAS_OP_N,
        };
        let kind = match is_short {
            true => cublas::cudaDataType_t::CUDA_R_16BF,
            false => cublas::cudaDataType_t::CUDA_R_32F,
        };
        let (alpha, beta) = (1.0_f32, f32::from(u8::from(is_added)));
        // cuBLAS counts columns first: to it, row-major matrices are transposed,
        // and the product of the transposes in turn is that of the product.
        // SAFETY: the caller promises that the matrices lie there; the sizes are
        // those of rows and columns that were checked to fit.
        unsafe {
            gemm_ex(
                *self.device.cublas_handle().handle(),
                transpose(right.is_transposed),
                transpose(left.is_transposed),
                n as i32,
                m as i32,
                k as i32,
                std::ptr::from_ref(&alpha).cast(),
                right.at as *const _,
                kind,
                right.stride.max(1) as i32,
                left.at as *const _,
                kind,
                left.stride.max(1) as i32,
                std::ptr::from_ref(&beta).cast(),
                out as *mut _,
                cublas::cudaDataType_t::CUDA_R_32F,
                out_stride as i32,
                cublas::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                cublas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .w()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::Observed;

    impl Cuda {
        /// The first GPU of this machine.
        pub(crate) fn first() -> Self {
            let device = gpu(0).expect("a GPU");
            Self::new(device.as_cuda_device().expect("a GPU"))
        }

        /// The same, where scans go step by step.
        pub(crate) fn stepping() -> Self {
            Self { is_stepping: true, ..Self::first() }
        }
    }

    impl Observed for Cuda {
        fn download(&self, memory: &CudaSlice<f32>) -> Vec<f32> {
            self.device.clone_dtoh(memory).expect("what lies on the GPU")
        }
    }
}
