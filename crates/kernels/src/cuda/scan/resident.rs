//! A whole scan as one kernel, each way: `resident.cu`.

use candle_core::{Result, bail};

use super::{Shape, Uploaded, backward::BackwardArguments, forward::ForwardArguments};
use crate::cuda::{Address, Device, Kernel, Module};

/// Lanes that a block computes at a time: `CHUNK` in `resident.cu`.
const CHUNK: usize = 32;
/// Threads of a warp, and values between the counters of two groups.
const WARP: usize = 32;
/// Units of a block are a multiple of this.
const UNITS: usize = 8;
/// The inner dimension of a product is a multiple of this.
const INNER: usize = 16;

/// Multiply-adds of a block and step in f32 above which the products of cuBLAS are faster:
/// between those of the GRU and of the MGU in the table of `resident.cu`.
const MOST: usize = 1_200_000;

/// How the work is shared among the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Residence {
    groups: usize,
    /// Blocks of a group, which share the units.
    blocks: usize,
    /// Units of a block.
    own: usize,
    /// Lanes of a group.
    lanes: usize,
    threads: usize,
    /// Bytes that a block shares.
    shared: usize,
}

/// What both ways read.
pub(super) struct Read<'a, M> {
    pub(super) plan: &'a Uploaded<M>,
    /// The first states, or where their gradients go.
    pub(super) initial: Address,
    /// The recurrent weights.
    pub(super) weights: Address,
    pub(super) keep: bool,
}

/// `Common` in `resident.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Common {
    rows: Address,
    begins: Address,
    initial: Address,
    weights: Address,
    crossing: Address,
    arrived: Address,
    steps: u32,
    blocks: u32,
    group_lanes: u32,
    own: u32,
    padded: u32,
    inner: u32,
    is_short: u32,
    keeps: u32,
    room: u32,
    kept: u32,
}

/// `ForwardScan` and `BackwardScan` in `resident.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Scan<S> {
    step: S,
    all: Common,
}

impl Residence {
    /// None if the weights do not fit, there is too much to multiply, or the device lets no
    /// blocks wait for others.
    pub(super) fn of<D: Device>(device: &D, shape: &Shape<'_>) -> Option<Self> {
        let together = device.together()?;
        let (gates, dim, lanes) =
            (shape.form().spec.gates, shape.hidden_dim, shape.schedule.lanes());
        if shape.rows() == 0 || dim == 0 {
            return None;
        }
        let chunks = lanes.div_ceil(CHUNK);
        let (padded, size) = (dim.next_multiple_of(INNER), value_size(shape));
        // Columns of the widest tile.
        let tile = if shape.is_short() { 64 } else { 32 };
        let sums = 4 * CHUNK * (together.threads / WARP * tile);
        let plan = |own: usize| {
            let shared = gates * own * padded * size + sums + 4 * CHUNK * gates * own;
            let blocks = dim.div_ceil(own);
            if blocks > together.blocks || shared > together.shared {
                return None;
            }
            let groups = chunks.min(together.blocks / blocks);
            let group_chunks = chunks.div_ceil(groups);
            let work = group_chunks * CHUNK * gates * own * padded;
            if !shape.is_short() && work > MOST {
                return None;
            }
            Some(Self {
                groups: chunks.div_ceil(group_chunks),
                blocks,
                own,
                lanes: group_chunks * CHUNK,
                threads: together.threads,
                shared,
            })
        };
        let most = dim.next_multiple_of(UNITS);
        (UNITS..=most).step_by(UNITS).filter_map(plan).min_by_key(|plan| (plan.lanes, plan.own))
    }

    /// # Safety
    /// `first` is the first step of the shape's scan, and all is shaped as it should be.
    pub(super) unsafe fn forward<D: Device>(
        &self,
        device: &D,
        shape: &Shape<'_>,
        first: ForwardArguments,
        read: Read<'_, D::Memory>,
    ) -> Result<()> {
        // SAFETY: promised by the caller.
        unsafe { self.run(device, shape, "forward", first, self.inner(shape, 1), read) }
    }

    /// # Safety
    /// As [`Residence::forward`].
    pub(super) unsafe fn backward<D: Device>(
        &self,
        device: &D,
        shape: &Shape<'_>,
        first: BackwardArguments,
        read: Read<'_, D::Memory>,
    ) -> Result<()> {
        let gates = shape.form().phases.iter().map(|phase| phase.gates.len()).max();
        let inner = self.inner(shape, gates.unwrap_or(1));
        // SAFETY: promised by the caller.
        unsafe { self.run(device, shape, "backward", first, inner, read) }
    }

    fn inner(&self, shape: &Shape<'_>, gates: usize) -> usize {
        gates * shape.hidden_dim.next_multiple_of(INNER)
    }

    /// # Safety
    /// As [`Residence::forward`]; `inner` is the longest inner dimension.
    unsafe fn run<D: Device, S: Copy>(
        &self,
        device: &D,
        shape: &Shape<'_>,
        way: &str,
        step: S,
        inner: usize,
        read: Read<'_, D::Memory>,
    ) -> Result<()> {
        let turns = read.plan.steps * shape.form().phases.len() + 1;
        if u32::try_from(turns * self.blocks).is_err() {
            bail!("a scan of {} steps on a GPU", read.plan.steps);
        }
        let bytes = self.groups * 2 * self.lanes * inner * value_size(shape);
        let crossing = device.zeros(bytes.div_ceil(4))?;
        let arrived = device.zeros(self.groups * WARP)?;
        let all = Common {
            rows: read.plan.firsts(device),
            begins: read.plan.begins(device),
            initial: read.initial,
            weights: read.weights,
            crossing: device.address(&crossing),
            arrived: device.address(&arrived),
            steps: read.plan.steps as u32,
            blocks: self.blocks as u32,
            group_lanes: self.lanes as u32,
            own: self.own as u32,
            padded: shape.hidden_dim.next_multiple_of(INNER) as u32,
            inner: inner as u32,
            is_short: u32::from(shape.is_short()),
            keeps: u32::from(read.keep),
            room: shape.schedule.lanes() as u32,
            kept: shape.form().kept as u32,
        };
        let name = format!("{}_{way}", shape.name());
        let kernel = Kernel(Module::Resident, &name);
        let (blocks, arguments) = (self.groups * self.blocks, Scan { step, all });
        // SAFETY: promised by the caller; what crosses was just made for so many groups.
        unsafe { device.launch_together(kernel, blocks, self.threads, self.shared, &arguments) }
    }
}

/// Bytes of a factor.
fn value_size(shape: &Shape<'_>) -> usize {
    if shape.is_short() { 2 } else { 4 }
}
