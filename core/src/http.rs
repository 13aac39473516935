//! HTTP/1.1 as Remora speaks it: heads and bodies from bytes, heads to bytes. No socket, no clock, no routing.
//!
//! What is accepted is narrower than what RFC 9112 allows a recipient to accept. A sidecar sits between a sender and a
//! service, and whatever two parsers can read differently can turn one request into two. So there is one reading here:
//!
//! - Every line ends with CRLF. A lone LF, a lone CR and any other control character is refused (RFC 9112 §2.2).
//! - A field line is `name:value`: no folding, no space before the colon, no empty name (RFC 9112 §5).
//! - A body has one length: none, one `Content-Length` of digits only, or one `Transfer-Encoding: chunked` in HTTP/1.1.
//!   Anything repeated, listed, combined or decorated is refused (RFC 9112 §6).
//! - An HTTP/1.1 request has exactly one `Host`, which names a host (RFC 9112 §3.2).
//! - Chunks are digits, CRLF, data, CRLF; extensions and trailers are skipped within fixed bounds (RFC 9112 §7.1).
//!
//! How the parts fit: [`HeadScan`] finds where a head ends, [`decode_request`] or [`decode_response`] reads it in
//! place, its [`Framing`] sets up a [`BodyDecoder`], and [`HeadWriter`] writes heads. All of them borrow from the
//! caller's buffers. After a [`HeadError`] or a [`BodyError`] it is unknown where the next message would begin: the
//! connection is closed, after a response if it is a sender's.

pub mod body;
mod chunks;
pub mod digits;
pub mod encode;
mod fault;
mod fields;
pub mod framing;
pub mod head;
mod scan;
mod target;
mod text;
pub mod tunnel;

pub use body::{BodyDecoder, BodyError, Piece};
pub use encode::{EncodeError, HeadWriter};
pub(crate) use fields::is_token_byte;
pub use framing::Framing;
pub use head::{
    FieldSlots, Fields, HeadError, HeadScan, MAX_FIELDS, RequestHead, ResponseHead, decode_request, decode_response,
    field_slots,
};
