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
//!
//! ```
//! use remora_core::http::{BodyDecoder, HeadScan, Piece, decode_request, field_slots};
//!
//! let received = b"POST /api/v1/write HTTP/1.1\r\nHost: localhost:8081\r\nContent-Length: 4\r\n\r\nbody";
//! let end = HeadScan::default().scan(received)?.expect("the head is complete");
//! let (head, rest) = received.split_at(end);
//! let mut slots = field_slots();
//! let head = decode_request(head, &mut slots)?;
//! assert_eq!((head.method, head.path()), ("POST", "/api/v1/write"));
//!
//! let mut body = BodyDecoder::new(head.framing);
//! assert_eq!(body.next(rest), Ok((4, Piece::Data(b"body"))));
//! assert_eq!(body.next(b""), Ok((0, Piece::End)));
//! # Ok::<(), remora_core::http::HeadError>(())
//! ```

mod body;
mod chunks;
pub mod digits;
mod encode;
mod fault;
mod fields;
mod framing;
mod head;
mod scan;
mod target;
mod text;
pub mod tunnel;

pub use body::{BodyDecoder, BodyError, Piece};
pub use chunks::{MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES};
pub use encode::{EncodeError, HeadWriter};
pub use fault::HeadError;
pub(crate) use fields::is_token_byte;
pub use fields::{FieldSlots, Fields, MAX_FIELDS, field_slots};
pub use framing::Framing;
pub use head::{RequestHead, ResponseHead, decode_request, decode_response};
pub(crate) use head::{decode_scanned_request, decode_scanned_response};
pub use scan::HeadScan;
