//! The functions of a stack unwinder, without one. A panic aborts, and names of functions are stripped: there is nothing
//! to unwind or to look up. With a backtrace that is seen to have no frames, the compiler leaves out std's code for
//! naming them, and the linker finds no need for the C++ library. Together these are 250 KB.
//!
//! The names are those of the Itanium C++ ABI, "Exception Handling", and of GCC's additions, as far as std refers to
//! them. What is never called is declared without its parameters.
#![expect(unsafe_code, reason = "names for the linker, which must be the only ones; none of the bodies is unsafe")]

use std::ffi::{c_int, c_void};
use std::process::abort;

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

/// Calls `trace` for no frame: a panic's message has no backtrace, whatever `RUST_BACKTRACE` says.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: extern "C" fn(), _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// What only a frame or an exception in flight could call.
macro_rules! unreached {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> ! {
                abort()
            }
        )*
    };
}

unreached! {
    _Unwind_FindEnclosingFunction
    _Unwind_GetCFA
    _Unwind_GetDataRelBase
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
}
