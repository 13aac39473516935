//! HTTP/1.1 as Remora speaks it: heads and bodies from bytes, heads to bytes. No socket, no clock, no routing.
//!
//! What is accepted is narrower than what RFC 9112 allows a recipient to accept. A sidecar stands between a sender and a
//! service, and whatever two parsers can read in two ways is how one request becomes two. So there is one reading here:
//!
//! - Every line ends with CRLF. A lone LF, a lone CR and any other control character is refused (RFC 9112 §2.2).
//! - A field line is `name:value`: no folding, no space before the colon, no empty name (RFC 9112 §5).
//! - A body has one length: none, one `Content-Length` of digits only, or one `Transfer-Encoding: chunked` in HTTP/1.1.
//!   Anything repeated, listed, combined or decorated is refused (RFC 9112 §6).
//! - `Host` is there exactly once in an HTTP/1.1 request and names a host (RFC 9112 §3.2).
//! - Chunks are digits, CRLF, data, CRLF; extensions and trailers are skipped within fixed bounds (RFC 9112 §7.1).
//!
//! How the parts fit: [`HeadScan`] finds where a head ends, [`decode_request`] or [`decode_response`] reads it in place,
//! its [`Framing`] makes a [`BodyDecoder`], and [`HeadWriter`] writes the other direction. All of them borrow from the
//! caller's buffers. After a [`HeadError`] or a [`BodyError`] it is unknown where the next message would begin: the
//! connection is answered, where there is somebody to answer, and closed.

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
