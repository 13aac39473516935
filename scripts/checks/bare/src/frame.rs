//! Snappy blocks, remote-write bodies, and the headers that describe them.

use core::hint::black_box;
use remora_core::remote_write::{Check, Level, Verdict, Version, negotiate};
use remora_core::snappy::{Decoder, Window};

use crate::outside::{bytes, count, flag, look, look_at, maybe, number, show};

#[unsafe(no_mangle)]
extern "C" fn snappy(window: &mut [u8; 65536], space: &mut [u8; 8192]) {
    let Some(window) = Window::new(window.get_mut(..count()).unwrap_or_default()) else { return };
    let mut decoder = Decoder::new(window, number() as u32);
    while flag() {
        match decoder.step(bytes(space)) {
            Ok(step) => {
                look(step.run);
                look_at(step.used as u64);
            }
            Err(error) => show(&error),
        }
        look_at(decoder.position());
        look_at(decoder.declared().unwrap_or_default().into());
    }
    black_box(&decoder.finish());
}

#[unsafe(no_mangle)]
extern "C" fn check(window: &mut [u8; 65536], space: &mut [u8; 8192]) {
    let Some(window) = Window::new(window.get_mut(..count()).unwrap_or_default()) else { return };
    let version = if flag() { Version::V1 } else { Version::V2 };
    let level = if flag() { Level::Full } else { Level::Wire };
    let mut check = Check::new(version, level, window, number() as u32);
    while flag() {
        check.feed(bytes(space));
        look_at(check.larger_window().unwrap_or_default() as u64);
    }
    match check.finish() {
        Verdict::Good(counts) => {
            look_at(counts.histograms().into());
            black_box(&counts);
        }
        Verdict::Corrupt(fault) => show(&fault),
        Verdict::Unchecked(why) => drop(black_box(why)),
    }
}

#[unsafe(no_mangle)]
extern "C" fn media(kind: &mut [u8; 256], coding: &mut [u8; 64]) {
    match negotiate(maybe(bytes(kind)), maybe(bytes(coding))) {
        Ok(version) => {
            look(version.content_type().as_bytes());
            look(version.protocol().as_bytes());
        }
        Err(fault) => show(&fault),
    }
}
