//! Products of short numbers on the tiles of AMX.
//!
//! Stable Rust has no intrinsics for tiles, so a whole product of 16 rows and
//! one panel is one block of assembly: four tiles of sums, one of rows, two of
//! the panel in turn. A panel is 64 columns wide, a tile of it 16 words high.
//! Linux hands out the tiles' state on request (`arch_prctl`), once a process.

use std::{
    arch::{
        asm,
        x86_64::{__cpuid_count, __get_cpuid_max},
    },
    sync::OnceLock,
};

use super::Precision;

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Columns of a panel.
pub(crate) const WIDTH: usize = 64;

/// Sums of a tile of rows and one panel, row by row.
#[repr(align(64))]
pub(crate) struct Sums(pub(crate) [f32; ROWS * WIDTH]);

/// Whether this processor has tiles, and the system lets us use them. Unit
/// tests have them everywhere.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        const INT8_TILE_BF16: u32 = 1 << 25 | 1 << 24 | 1 << 22;
        let has_tiles = __get_cpuid_max(0).0 >= 7
            && __cpuid_count(7, 0).edx & INT8_TILE_BF16 == INT8_TILE_BF16
            && permitted();
        #[cfg(all(test, target_os = "linux"))]
        if !has_tiles {
            emulator::install();
            return true;
        }
        has_tiles
    })
}

/// Asks Linux for the state of tiles.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let result: isize;
    // SAFETY: the call changes nothing but what this process may use.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The shapes of all tiles: palette 1, eight tiles of 16 rows of 64 bytes.
#[repr(align(64))]
struct Shapes([u8; 64]);

const SHAPES: Shapes = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = ROWS as u8;
        tile += 1;
    }
    Shapes(bytes)
};

/// The tiles of this thread, ready for use until it is dropped.
pub(crate) struct Tiles(());

impl Tiles {
    /// Shapes the tiles.
    ///
    /// # Safety
    /// [`is_available`].
    pub(crate) unsafe fn new() -> Self {
        static HERE: Shapes = SHAPES;
        // SAFETY: promised by the caller.
        unsafe { asm!("ldtilecfg [{}]", in(reg) HERE.0.as_ptr(), options(nostack, readonly)) };
        Self(())
    }

    /// `sums`, from zero: 16 rows of `words` words, `stride` words apart, times
    /// a panel. `words` is a multiple of 16, and not zero.
    ///
    /// # Safety
    /// The pointers are good for so much.
    pub(crate) unsafe fn multiply(
        &self,
        precision: Precision,
        words: usize,
        rows: *const f32,
        stride: usize,
        panel: *const f32,
        sums: &mut Sums,
    ) {
        /// The product with the instruction for a pair of tiles.
        macro_rules! multiply {
            ($dot:literal) => {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{rows} + {stride}*1]",
                    "tileloadd tmm5, [{panel} + {width}*1]",
                    concat!($dot, " tmm0, tmm4, tmm5"),
                    "tileloadd tmm6, [{panel} + {width}*1 + 64]",
                    concat!($dot, " tmm1, tmm4, tmm6"),
                    "tileloadd tmm5, [{panel} + {width}*1 + 128]",
                    concat!($dot, " tmm2, tmm4, tmm5"),
                    "tileloadd tmm6, [{panel} + {width}*1 + 192]",
                    concat!($dot, " tmm3, tmm4, tmm6"),
                    "add {rows}, 64",
                    "add {panel}, 4096",
                    "dec {count}",
                    "jnz 2b",
                    "tilestored [{sums} + {width}*1], tmm0",
                    "tilestored [{sums} + {width}*1 + 64], tmm1",
                    "tilestored [{sums} + {width}*1 + 128], tmm2",
                    "tilestored [{sums} + {width}*1 + 192], tmm3",
                    rows = inout(reg) rows => _,
                    panel = inout(reg) panel => _,
                    count = inout(reg) words / 16 => _,
                    stride = in(reg) stride * size_of::<f32>(),
                    width = in(reg) WIDTH * size_of::<f32>(),
                    sums = in(reg) sums.0.as_mut_ptr(),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _,
                    options(nostack)
                )
            };
        }
        // SAFETY: the tiles are shaped; the rest was promised by the caller.
        unsafe {
            match precision {
                Precision::Int8 => multiply!("tdpbssd"),
                _ => multiply!("tdpbf16ps"),
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the tiles are there, for they were shaped.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Keeps the tiles busy without touching memory; tells how many operations
/// that were.
pub(crate) fn busy(precision: Precision, rounds: usize) -> usize {
    assert!(is_available(), "this processor has no tiles");
    // SAFETY: there are tiles.
    let _tiles = unsafe { Tiles::new() };
    /// Four chains of products.
    macro_rules! busy {
        ($dot:literal) => {
            asm!(
                "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                "tilezero tmm4", "tilezero tmm5",
                "2:",
                concat!($dot, " tmm0, tmm4, tmm5"),
                concat!($dot, " tmm1, tmm4, tmm5"),
                concat!($dot, " tmm2, tmm4, tmm5"),
                concat!($dot, " tmm3, tmm4, tmm5"),
                "dec {count}",
                "jnz 2b",
                count = inout(reg) rounds.max(1) => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _,
                options(nostack, nomem)
            )
        };
    }
    // SAFETY: the tiles are shaped.
    unsafe {
        match precision {
            Precision::Int8 => busy!("tdpbssd"),
            _ => busy!("tdpbf16ps"),
        }
    }
    // A tile is 16 words deep, and 16 columns wide.
    rounds.max(1) * 4 * 2 * ROWS * 16 * 16 * precision.per_word()
}

#[cfg(all(test, target_os = "linux"))]
mod emulator;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Numbers that look random.
    fn bytes(len: usize, mut seed: u32) -> Vec<i8> {
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 24) as i8).max(-127)
        };
        (0..len).map(|_| next()).collect()
    }

    /// Words as floats, as all operands are held.
    fn words(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|word| f32::from_bits(u32::from_le_bytes(*word))).collect()
    }

    /// A product on tiles of `depth` words, the rows `depth + 3` words apart.
    fn product(precision: Precision, depth: usize, rows: &[u8], panel: &[u8]) -> Sums {
        let mut apart = vec![0; ROWS * (depth + 3) * 4];
        for (to, from) in apart.chunks_mut((depth + 3) * 4).zip(rows.chunks(depth * 4)) {
            to[..from.len()].copy_from_slice(from);
        }
        let (rows, panel) = (words(&apart), words(panel));
        let mut sums = Sums([f32::NAN; ROWS * WIDTH]);
        // SAFETY: there are tiles, or something that does as if; rows and panel
        // are as long as they should be.
        unsafe {
            let tiles = Tiles::new();
            let (rows, panel) = (rows.as_ptr(), panel.as_ptr());
            tiles.multiply(precision, depth, rows, depth + 3, panel, &mut sums);
        }
        sums
    }

    #[test]
    fn tiles_multiply_as_plain_loops_do() {
        assert!(is_available());
        for depth in [16, 48] {
            let (a, b) = (bytes(ROWS * depth * 4, 1), bytes(depth * WIDTH * 4, 2));
            let unsigned = |bytes: &[i8]| bytes.iter().map(|&b| b as u8).collect::<Vec<_>>();
            let sums = product(Precision::Int8, depth, &unsigned(&a), &unsigned(&b));
            // Small whole numbers are exact in `bf16`.
            let halves = |bytes: &[i8]| -> Vec<u8> {
                let half = |b: &i8| (f32::from(*b).to_bits() >> 16) as u16;
                bytes.iter().flat_map(|b| half(b).to_le_bytes()).collect()
            };
            let (short_a, short_b) = (&a[..ROWS * depth * 2], &b[..depth * WIDTH * 2]);
            let floats = product(Precision::Bf16, depth, &halves(short_a), &halves(short_b));
            for row in 0..ROWS {
                for column in 0..WIDTH {
                    let dot = |a: &[i8], b: &[i8], per: usize| -> i32 {
                        let place = |k: usize| (k / per * WIDTH + column) * per + k % per;
                        let one =
                            |k: usize| i32::from(a[row * depth * per + k]) * i32::from(b[place(k)]);
                        (0..depth * per).map(one).sum()
                    };
                    let at = row * WIDTH + column;
                    assert_eq!(sums.0[at].to_bits() as i32, dot(&a, &b, 4), "{row} {column}");
                    assert_eq!(floats.0[at], dot(short_a, short_b, 2) as f32, "{row} {column}");
                }
            }
        }
    }
}
