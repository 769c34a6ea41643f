//! A device of CUDA.

use std::sync::Arc;

use candle_core::{
    CudaDevice, CudaStorage, Layout, Result, Shape, Storage, Tensor, bail,
    cuda_backend::{
        WrapErr,
        cudarc::{
            cublas::{result::gemm_ex, sys},
            driver::{
                CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
                SyncOnDrop,
            },
        },
    },
    op::BackpropOp,
};

use super::{Address, Device, Kernel, Module, Product};

/// A GPU, and the stream on which all its work waits its turn.
pub(crate) struct Cuda {
    device: CudaDevice,
    stream: Arc<CudaStream>,
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
        }
    }

    fn ptx(self) -> &'static str {
        match self {
            Self::Cells => include_str!("cells.ptx"),
            Self::Crf => include_str!("crf.ptx"),
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
        Self { device: device.clone(), stream: device.cuda_stream() }
    }

    /// The GPU that a tensor lies on.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self> {
        Ok(Self::new(tensor.device().as_cuda_device()?))
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
        let Kernel(module, name) = kernel;
        let function = self.device.get_or_load_custom_func(name, module.name(), module.ptx())?;
        let Ok(blocks) = u32::try_from(blocks) else { bail!("{name}: {blocks} blocks") };
        let config = LaunchConfig {
            grid_dim: (blocks, 1, 1),
            block_dim: (threads as u32, 1, 1),
            shared_mem_bytes: 0,
        };
        let laid = Laid(*arguments);
        let mut builder = function.builder();
        builder.arg(&laid);
        // SAFETY: promised by the caller.
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }

    unsafe fn multiply(&self, product: Product) -> Result<()> {
        let Product { size: [m, n, k], left, right, out, out_stride, is_added, is_short } = product;
        if m == 0 || n == 0 {
            return Ok(());
        }
        self.stream.context().bind_to_thread().w()?;
        let transpose = |is| match is {
            true => sys::cublasOperation_t::CUBLAS_OP_T,
            false => sys::cublasOperation_t::CUBLAS_OP_N,
        };
        let kind = match is_short {
            true => sys::cudaDataType_t::CUDA_R_16BF,
            false => sys::cudaDataType_t::CUDA_R_32F,
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
                sys::cudaDataType_t::CUDA_R_32F,
                out_stride as i32,
                sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .w()
    }
}
