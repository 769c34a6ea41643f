//! The instructions of AMX by other means, for processors that lack them.
//!
//! Such a processor stops at each of them with an illegal instruction; the
//! handler of that signal does what the instruction would have done (Intel's
//! Software Developer's Manual, volume 2), and goes on behind it. So the very
//! bytes that run on tiles are tested everywhere.

use std::{cell::UnsafeCell, mem::zeroed, ptr::null_mut};

use super::ROWS;

/// Bytes of a tile's row.
const ROW: usize = 64;

/// The tiles of a thread, and whether they are shaped.
struct State {
    tiles: [[u8; ROWS * ROW]; 8],
    shaped: bool,
}

thread_local! {
    static STATE: UnsafeCell<State> =
        const { UnsafeCell::new(State { tiles: [[0; ROWS * ROW]; 8], shaped: false }) };
}

/// Does instructions of AMX from now on, in all threads of this process.
pub(super) fn install() {
    // SAFETY: the handler takes what this kind of handler is given.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGILL, &action, null_mut()), 0);
    }
}

extern "C" fn handle(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a context, and its instruction pointer is good
    // for an instruction; the thread that owns the state stands still.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let at = registers[libc::REG_RIP as usize] as *const u8;
        let done = STATE.with(|state| perform(&mut *state.get(), at, registers));
        match done {
            Some(length) => registers[libc::REG_RIP as usize] += length as i64,
            None => libc::abort(),
        }
    }
}

/// Does the instruction; its length, or none if it is not one of AMX.
///
/// # Safety
/// The instruction's operands in memory are good.
unsafe fn perform(state: &mut State, at: *const u8, registers: &[i64]) -> Option<usize> {
    // SAFETY: promised by the caller.
    unsafe {
        let byte = |i: usize| *at.add(i);
        let (flags, prefix, opcode, modrm) = (byte(1), byte(2), byte(3), byte(4));
        // VEX with three bytes, map 0F38, W0, 128 bits.
        if byte(0) != 0xC4 || flags & 0x1F != 2 || prefix & 0x84 != 0 {
            return None;
        }
        let (prefix, other) = (prefix & 3, usize::from(!prefix >> 3 & 7));
        let (mode, reg, rm) = (modrm >> 6, usize::from(modrm >> 3 & 7), usize::from(modrm & 7));
        if (opcode, prefix) != (0x49, 0) {
            assert!(state.shaped, "a tile was used before it was shaped");
        }
        if mode == 3 {
            match (opcode, prefix) {
                (0x49, 0) => state.shaped = false,
                (0x49, 3) => state.tiles[reg] = [0; ROWS * ROW],
                (0x5C, 2) => multiply(state, reg, rm, other, bf16),
                (0x5E, 3) => multiply(state, reg, rm, other, int8),
                _ => return None,
            }
            return Some(5);
        }
        let (address, step, length) = operand(at, mode, rm, registers)?;
        match (opcode, prefix) {
            (0x49, 0) => {
                let shape = std::slice::from_raw_parts(address, 64);
                assert!(shape[0] == 1 && shape[16] == 64 && shape[48..56] == [16; 8], "{shape:?}");
                state.shaped = true;
            }
            (0x4B, 3) => {
                for (row, to) in state.tiles[reg].chunks_mut(ROW).enumerate() {
                    address.add(row * step).copy_to(to.as_mut_ptr(), ROW);
                }
            }
            (0x4B, 2) => {
                for (row, from) in state.tiles[reg].chunks(ROW).enumerate() {
                    address.add(row * step).cast_mut().copy_from(from.as_ptr(), ROW);
                }
            }
            _ => return None,
        }
        Some(length)
    }
}

/// Address and step of an operand in memory, and the instruction's length.
///
/// # Safety
/// `at` points to an instruction.
unsafe fn operand(
    at: *const u8,
    mode: u8,
    rm: usize,
    registers: &[i64],
) -> Option<(*const u8, usize, usize)> {
    use libc::*;
    const ORDER: [c_int; 16] = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    let register = |number: usize| registers[ORDER[number] as usize];
    // SAFETY: promised by the caller.
    unsafe {
        let flags = !*at.add(1);
        let (of_base, of_index) =
            (usize::from(flags >> 5 & 1) << 3, usize::from(flags >> 6 & 1) << 3);
        let (mut length, mut step, mut base) = (5, 0, rm | of_base);
        if rm == 4 {
            let sib = *at.add(5);
            (base, length) = (usize::from(sib & 7) | of_base, 6);
            step = register(usize::from(sib >> 3 & 7) | of_index) << (sib >> 6);
        }
        // Without a base, or from the instruction pointer.
        if mode == 0 && base & 7 == 5 {
            return None;
        }
        let shift = match mode {
            0 => 0,
            1 => i64::from(at.add(length).cast::<i8>().read()),
            _ => i64::from(at.add(length).cast::<i32>().read_unaligned()),
        };
        length += [0, 1, 4][usize::from(mode)];
        Some(((register(base) + shift) as *const u8, step as usize, length))
    }
}

/// `sums += a · b`, word by word.
fn multiply(state: &mut State, sums: usize, a: usize, b: usize, dot: fn(u32, u32, u32) -> u32) {
    let word = |tile: &[u8], row: usize, column: usize| {
        let at = row * ROW + 4 * column;
        u32::from_le_bytes([tile[at], tile[at + 1], tile[at + 2], tile[at + 3]])
    };
    for row in 0..ROWS {
        for column in 0..16 {
            let mut sum = word(&state.tiles[sums], row, column);
            for k in 0..16 {
                sum = dot(sum, word(&state.tiles[a], row, k), word(&state.tiles[b], k, column));
            }
            let at = row * ROW + 4 * column;
            state.tiles[sums][at..at + 4].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

fn bf16(sum: u32, a: u32, b: u32) -> u32 {
    let part =
        |word: u32, high: bool| f32::from_bits(if high { word & !0xFFFF } else { word << 16 });
    let products = part(a, false) * part(b, false) + part(a, true) * part(b, true);
    (f32::from_bits(sum) + products).to_bits()
}

fn int8(sum: u32, a: u32, b: u32) -> u32 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let products = a.iter().zip(b).map(|(&a, b)| i32::from(a as i8) * i32::from(b as i8));
    (sum as i32 + products.sum::<i32>()) as u32
}
