//! Large pages for large memory.

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes of a large page.
const PAGE: usize = 2 << 20;
/// The least size of memory that is asked to be in large pages.
const LEAST: usize = 2 * PAGE;

/// The system's allocator, and large memory in large pages where the system has them
/// for those who ask (Linux, `madvise`).
///
/// A model of 400 MB is then there after hundreds of page faults, not a hundred thousand, and
/// products find their weights with fewer misses of the table of pages. Where
/// there are no large pages, nothing is different. A program's choice, not a library's:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: glossator_kernels::LargePages = glossator_kernels::LargePages;
///
/// let weights = vec![1.0; 10 << 20];
/// assert_eq!(weights[5 << 20], 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LargePages;

// SAFETY: memory comes from the system's allocator and goes back to it, with the same
// layouts; asking for large pages does not change what is in it.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: promised by the caller, here and in the functions below.
        let place = unsafe { System.alloc(layout) };
        in_large_pages(place, layout.size());
        place
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let place = unsafe { System.alloc_zeroed(layout) };
        in_large_pages(place, layout.size());
        place
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let place = unsafe { System.realloc(place, layout, size) };
        in_large_pages(place, size);
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

/// The large pages that lie within so many bytes from an address on: the first one's
/// address, and their bytes.
#[cfg(any(target_os = "linux", test))]
fn pages_within(address: usize, size: usize) -> (usize, usize) {
    let first = address.next_multiple_of(PAGE);
    (first, size.saturating_sub(first - address) / PAGE * PAGE)
}

/// Asks the system for large pages; it may have none.
#[cfg(target_os = "linux")]
fn in_large_pages(place: *mut u8, size: usize) {
    if place.is_null() || size < LEAST {
        return;
    }
    let (first, bytes) = pages_within(place.addr(), size);
    // SAFETY: the pages lie within memory that was just allocated, and keep
    // what is in them.
    unsafe { libc::madvise(place.with_addr(first).cast(), bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn in_large_pages(_: *mut u8, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_are_wholly_within_are_asked_for() {
        let place = 3 * PAGE;
        assert_eq!(pages_within(place, 2 * PAGE), (place, 2 * PAGE));
        assert_eq!(pages_within(place, 3 * PAGE - 1), (place, 2 * PAGE));
        assert_eq!(pages_within(place + 1, 3 * PAGE), (place + PAGE, 2 * PAGE));
        assert_eq!(pages_within(place + 1, 10), (place + PAGE, 0));
    }

    #[test]
    fn memory_grows_and_keeps_its_values() {
        let layout = Layout::array::<u8>(LEAST).unwrap();
        // SAFETY: the layouts are those of the allocations, and all that is read was written.
        unsafe {
            let place = LargePages.alloc_zeroed(layout);
            assert!(!place.is_null());
            assert!(std::slice::from_raw_parts(place, LEAST).iter().all(|&byte| byte == 0));
            place.add(LEAST - 1).write(7);
            let place = LargePages.realloc(place, layout, 5 * LEAST);
            assert_eq!(place.add(LEAST - 1).read(), 7);
            place.add(5 * LEAST - 1).write(8);
            LargePages.dealloc(place, Layout::array::<u8>(5 * LEAST).unwrap());
            let small = LargePages.alloc(Layout::array::<u8>(10).unwrap());
            small.write(9);
            assert_eq!(small.read(), 9);
            LargePages.dealloc(small, Layout::array::<u8>(10).unwrap());
        }
    }
}
