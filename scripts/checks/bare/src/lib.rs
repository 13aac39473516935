//! remora-core linked alone, with a caller of every public entry that nothing is known about: neither what goes in nor
//! what happens to what comes out. So the compiler keeps each panic that some input can reach, and no other.

#![no_std]

mod exchange;
mod frame;
mod http;
mod metrics;
mod outside;
mod size;
mod token;

/// Every panic ends here, under a name that stands in the linked library.
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    outside::panicked()
}
