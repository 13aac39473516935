//! The program; all of it is in the library beside this file.

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use zeroizing_alloc::ZeroAlloc;

/// Overwrites all memory that is given back: tokens, secrets and assertions pass through buffers of many libraries.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<GlobalDlmalloc> = ZeroAlloc(GlobalDlmalloc);

fn main() -> ExitCode {
    remora::main()
}
