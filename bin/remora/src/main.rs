//! The program; all of it is in the library.

// Where std brings its own unwinder along, and a panic aborts: the shipped binary.
#[cfg(all(target_env = "musl", panic = "abort"))]
mod unwinder;

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use zeroizing_alloc::ZeroAlloc;

/// Zeroes all freed memory: tokens, secrets and assertions pass through the buffers of many libraries.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<GlobalDlmalloc> = ZeroAlloc(GlobalDlmalloc);

fn main() -> ExitCode {
    remora::main()
}
