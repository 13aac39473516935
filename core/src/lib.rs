//! The deterministic half of Remora: HTTP/1.1, remote-write frames, the life of a request and of a token.
#![no_std]
#![forbid(unsafe_code)]

pub mod time;
