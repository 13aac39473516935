//! remora-core linked alone, with a caller of every public entry about which the compiler knows nothing: neither the
//! inputs nor the use of the results. So the compiler keeps each panic that some input can reach, and no other.

#![no_std]

mod exchange;
mod frame;
mod http;
mod metrics;
mod outside;
mod size;
mod token;

/// Every panic ends here, under a name that is visible in the linked library.
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    outside::panicked()
}
