#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod forward;
pub mod http;
pub mod metrics;
pub mod remote_write;
pub mod snappy;
pub mod time;
pub mod token;
