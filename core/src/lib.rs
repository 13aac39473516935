//! The deterministic half of Remora: HTTP/1.1, remote-write frames, the life of a request and of a token.
#![no_std]
#![forbid(unsafe_code)]

pub mod forward;
pub mod http;
pub mod metrics;
pub mod remote_write;
pub mod snappy;
pub mod time;
pub mod token;
