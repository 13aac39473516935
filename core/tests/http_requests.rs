//! What each request is taken for: one table of every way known to us in which two readers have read one head as two.
//!
//! The label of a row names where it comes from: the advisory, the section of RFC 9110 or 9112, or the probing suites that
//! have such a case (`Http11Probe`, http-garden, gunicorn's invalid requests). Expected values are this project's own.

use remora_core::http::{Framing as F, HeadError as E, HeadScan, decode_request, field_slots};

type Row = (&'static str, &'static [u8], Result<F, E>);

/// Start lines, put before a good Host.
const START_LINES: &[Row] = &[
    ("9112 3.1 POST", b"POST /api/v1/write HTTP/1.1", Ok(F::Empty)),
    ("9112 3.1 GET", b"GET /metrics HTTP/1.1", Ok(F::Empty)),
    ("9110 9.1 any token is a method", b"BREW-2!#$%&'*+.^_`|~ / HTTP/1.1", Ok(F::Empty)),
    ("9110 9.1 case is kept", b"post / HTTP/1.1", Ok(F::Empty)),
    ("9112 3.2.1 origin form with query", b"POST /api/v1/write?a=b&c=/d HTTP/1.1", Ok(F::Empty)),
    ("9112 3.2.2 absolute form", b"POST http://localhost:8081/api/v1/write HTTP/1.1", Ok(F::Empty)),
    ("9112 3.2.2 absolute form in capitals", b"POST HTTP://LOCALHOST HTTP/1.1", Ok(F::Empty)),
    ("9112 3.2.2 absolute form of IPv6", b"POST http://[::1]:8081/x HTTP/1.1", Ok(F::Empty)),
    ("9112 3.2.3 authority form", b"CONNECT localhost:8081 HTTP/1.1", Ok(F::Empty)),
    ("9112 3.2.4 asterisk form", b"OPTIONS * HTTP/1.1", Ok(F::Empty)),
    ("9112 2.3 HTTP/1.0", b"POST / HTTP/1.0", Ok(F::Empty)),
    ("9112 3.2 asterisk for GET", b"GET * HTTP/1.1", Err(E::Target)),
    ("9112 3.2 asterisk for POST", b"POST * HTTP/1.1", Err(E::Target)),
    ("9112 3.2 authority for POST", b"POST localhost:8081 HTTP/1.1", Err(E::Target)),
    ("9112 3.2 path for CONNECT", b"CONNECT /x HTTP/1.1", Err(E::Target)),
    ("9112 3.2 relative path", b"POST api/v1/write HTTP/1.1", Err(E::Target)),
    ("9112 3.2 query alone", b"POST ?a=b HTTP/1.1", Err(E::Target)),
    ("9112 3.2 fragment", b"POST /api/v1/write#x HTTP/1.1", Err(E::Target)),
    ("9112 3.2 bytes above 0x7f", b"POST /\xc3\xa9 HTTP/1.1", Err(E::Target)),
    ("9112 3.2 overlong UTF-8", b"POST /\xc0\xaf HTTP/1.1", Err(E::Malformed)),
    ("9112 3.2.2 other scheme", b"POST ftp://localhost/x HTTP/1.1", Err(E::Target)),
    ("9112 3.2.2 scheme without authority", b"POST http:///x HTTP/1.1", Err(E::Target)),
    ("9110 4.2.4 user information", b"POST http://user:pass@localhost/ HTTP/1.1", Err(E::Target)),
    ("9112 3.2.2 port that is no number", b"POST http://localhost:x/ HTTP/1.1", Err(E::Target)),
    ("9112 3.2.2 backslashes", b"POST http:\\\\localhost\\ HTTP/1.1", Err(E::Target)),
    ("9112 3 no version", b"POST /", Err(E::Malformed)),
    ("9112 3 no target", b"POST HTTP/1.1", Err(E::Malformed)),
    ("9112 3 empty target", b"POST  HTTP/1.1", Err(E::Malformed)),
    ("9112 3 method alone", b"POST", Err(E::Malformed)),
    ("9112 3 empty method", b" / HTTP/1.1", Err(E::Malformed)),
    ("9112 3 space before the method", b" POST / HTTP/1.1", Err(E::Malformed)),
    ("9112 3 tab before the method", b"\tPOST / HTTP/1.1", Err(E::Malformed)),
    ("9112 3 two spaces after the method", b"POST  / HTTP/1.1", Err(E::Malformed)),
    ("9112 3 two spaces before the version", b"POST /  HTTP/1.1", Err(E::Malformed)),
    ("9112 3 tab as separator", b"POST\t/\tHTTP/1.1", Err(E::Malformed)),
    ("9112 3 space in the target", b"POST /a b HTTP/1.1", Err(E::Malformed)),
    ("9112 3 space after the version", b"POST / HTTP/1.1 ", Err(E::Malformed)),
    ("9112 3 a second version", b"POST / HTTP/1.1 HTTP/1.1", Err(E::Malformed)),
    ("9110 9.1 delimiter in the method", b"PO(ST / HTTP/1.1", Err(E::Malformed)),
    ("9110 9.1 colon in the method", b"POST: / HTTP/1.1", Err(E::Malformed)),
    ("9110 9.1 method above 0x7f", b"P\xc3\x96ST / HTTP/1.1", Err(E::Malformed)),
    ("9110 9.1 quoted method", b"\"POST\" / HTTP/1.1", Err(E::Malformed)),
    ("9112 2.2 NUL in the method", b"PO\0ST / HTTP/1.1", Err(E::ControlCharacter)),
    ("9112 2.2 NUL in the target", b"POST /\0 HTTP/1.1", Err(E::ControlCharacter)),
    ("9112 2.2 DEL in the target", b"POST /\x7f HTTP/1.1", Err(E::ControlCharacter)),
    ("9112 2.2 vertical tab in the start line", b"POST /\x0bHTTP/1.1", Err(E::ControlCharacter)),
    ("9112 2.2 CR in the target", b"POST /\rx HTTP/1.1", Err(E::BareCarriageReturn)),
    ("9112 2.2 CR as separator", b"POST\r/ HTTP/1.1", Err(E::BareCarriageReturn)),
    ("9112 2.2 LF after the version", b"POST / HTTP/1.1\nX: y", Err(E::BareLineFeed)),
    ("9112 2.2 two CRs after the version", b"POST / HTTP/1.1\r", Err(E::BareCarriageReturn)),
    ("9112 2.3 HTTP/2.0", b"POST / HTTP/2.0", Err(E::Version)),
    ("9112 2.3 HTTP/1.2", b"POST / HTTP/1.2", Err(E::Version)),
    ("9112 2.3 HTTP/0.9", b"POST / HTTP/0.9", Err(E::Version)),
    ("9112 2.3 HTTP/3.0", b"POST / HTTP/3.0", Err(E::Version)),
    ("9113 3.4 HTTP/2 preface", b"PRI * HTTP/2.0", Err(E::Version)),
    ("9112 2.3 lower case", b"POST / http/1.1", Err(E::Malformed)),
    ("9112 2.3 two minor digits", b"POST / HTTP/1.10", Err(E::Malformed)),
    ("9112 2.3 leading zero", b"POST / HTTP/01.1", Err(E::Malformed)),
    ("9112 2.3 no minor digit", b"POST / HTTP/1.", Err(E::Malformed)),
    ("9112 2.3 no dot", b"POST / HTTP/11", Err(E::Malformed)),
    ("9112 2.3 comma for dot", b"POST / HTTP/1,1", Err(E::Malformed)),
    ("9112 2.3 digit above 0x7f", b"POST / HTTP/1.\xd9\xa1", Err(E::Malformed)),
    ("9112 2.3 other protocol", b"POST / ICY/1.1", Err(E::Malformed)),
    ("9112 2.3 space in the version", b"POST / HTTP/ 1.1", Err(E::Malformed)),
    ("9112 2.2 whitespace before the first field", b"POST / HTTP/1.1\r\n X: y", Err(E::Folded)),
];

/// Field lines, put after an HTTP/1.1 start line and a good Host.
const FIELD_LINES: &[Row] = &[
    ("9112 6.3 no body", b"", Ok(F::Empty)),
    ("9112 6.2 length", b"Content-Length: 42\r\n", Ok(F::Length(42))),
    ("9112 6.2 zero", b"Content-Length: 0\r\n", Ok(F::Length(0))),
    ("9112 6.2 leading zeros", b"Content-Length: 0042\r\n", Ok(F::Length(42))),
    ("9112 5.1 no space after the colon", b"Content-Length:42\r\n", Ok(F::Length(42))),
    ("9112 5.1 whitespace around the value", b"content-length: \t 42 \t \r\n", Ok(F::Length(42))),
    ("RUSTSEC-2022-0066 largest length", b"Content-Length: 18446744073709551615\r\n", Ok(F::Length(u64::MAX))),
    ("9112 7.1 chunked", b"Transfer-Encoding: chunked\r\n", Ok(F::Chunked)),
    ("9112 7 case of a coding", b"TRANSFER-ENCODING: CHUNKED\r\n", Ok(F::Chunked)),
    ("9112 5.1 tab after the colon", b"Transfer-Encoding:\tchunked\r\n", Ok(F::Chunked)),
    ("9112 5.1 space after chunked", b"Transfer-Encoding: chunked \r\n", Ok(F::Chunked)),
    ("9110 5.5 bytes above 0x7f in a value", b"X: \xff\xfe\r\n", Ok(F::Empty)),
    ("9110 5.5 tab in a value", b"X: a\tb\r\n", Ok(F::Empty)),
    ("9110 5.5 empty value", b"X:\r\nY: \t \r\n", Ok(F::Empty)),
    ("9110 5.1 underscore is another name", b"Content_Length: 5\r\n", Ok(F::Empty)),
    ("9110 5.1 underscore, coding", b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", Ok(F::Length(5))),
    ("9110 5.1 longer name", b"Content-Length2: 9\r\nContent-Length: 5\r\n", Ok(F::Length(5))),
    ("9110 5.1 shorter name", b"Content-Lengt: 9\r\n", Ok(F::Empty)),
    ("9110 7.6.1 TE is no Transfer-Encoding", b"TE: chunked, trailers\r\n", Ok(F::Empty)),
    (
        "9110 7.6.1 Connection names no framing away",
        b"Connection: content-length\r\nContent-Length: 5\r\n",
        Ok(F::Length(5)),
    ),
    (
        "RUSTSEC-2026-0033 upgrade is no tunnel",
        b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n",
        Ok(F::Length(5)),
    ),
    ("RUSTSEC-2021-0078 plus sign", b"Content-Length: +5\r\n", Err(E::BadLength)),
    ("minus sign", b"Content-Length: -5\r\n", Err(E::BadLength)),
    ("minus zero", b"Content-Length: -0\r\n", Err(E::BadLength)),
    ("hexadecimal", b"Content-Length: 0x5\r\n", Err(E::BadLength)),
    ("hexadecimal digits", b"Content-Length: 1f\r\n", Err(E::BadLength)),
    ("octal", b"Content-Length: 0o5\r\n", Err(E::BadLength)),
    ("underscore", b"Content-Length: 1_000\r\n", Err(E::BadLength)),
    ("decimal point", b"Content-Length: 5.0\r\n", Err(E::BadLength)),
    ("exponent", b"Content-Length: 1e1\r\n", Err(E::BadLength)),
    ("inner space", b"Content-Length: 4 2\r\n", Err(E::BadLength)),
    ("inner tab", b"Content-Length: 4\t2\r\n", Err(E::BadLength)),
    ("quoted", b"Content-Length: \"5\"\r\n", Err(E::BadLength)),
    ("word", b"Content-Length: five\r\n", Err(E::BadLength)),
    ("digits above 0x7f", b"Content-Length: \xd9\xa5\r\n", Err(E::BadLength)),
    ("no-break space", b"Content-Length: \xc2\xa05\r\n", Err(E::BadLength)),
    ("lone byte 0x85", b"Content-Length: \x855\r\n", Err(E::BadLength)),
    ("parameter", b"Content-Length: 5;q=1\r\n", Err(E::BadLength)),
    ("http-garden empty length is not zero", b"Content-Length:\r\n", Err(E::BadLength)),
    ("http-garden blank length", b"Content-Length: \t \r\n", Err(E::BadLength)),
    ("9112 6.3 list of equal lengths", b"Content-Length: 5, 5\r\n", Err(E::BadLength)),
    ("list of different lengths", b"Content-Length: 5, 6\r\n", Err(E::BadLength)),
    ("list without space", b"Content-Length: 5,5\r\n", Err(E::BadLength)),
    ("trailing comma", b"Content-Length: 5,\r\n", Err(E::BadLength)),
    ("leading comma", b"Content-Length: ,5\r\n", Err(E::BadLength)),
    ("one above u64", b"Content-Length: 18446744073709551616\r\n", Err(E::BadLength)),
    ("wraps to five", b"Content-Length: 18446744073709551621\r\n", Err(E::BadLength)),
    ("thirty digits", b"Content-Length: 000000000000000000000000000005\r\n", Ok(F::Length(5))),
    ("thirty nines", b"Content-Length: 999999999999999999999999999999\r\n", Err(E::BadLength)),
    ("9112 6.3 equal lengths", b"Content-Length: 5\r\nContent-Length: 5\r\n", Err(E::ConflictingLength)),
    ("9112 6.3 different lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n", Err(E::ConflictingLength)),
    ("lengths in two cases", b"Content-Length: 5\r\nCONTENT-LENGTH: 5\r\n", Err(E::ConflictingLength)),
    ("lengths apart", b"Content-Length: 5\r\nX: y\r\nContent-Length: 0\r\n", Err(E::ConflictingLength)),
    ("CVE-2023-40225 empty length first", b"Content-Length:\r\nContent-Length: 5\r\n", Err(E::ConflictingLength)),
    ("CVE-2023-40225 empty length last", b"Content-Length: 5\r\nContent-Length:\r\n", Err(E::ConflictingLength)),
    (
        "9112 6.1 both, length first",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        Err(E::LengthWithTransferEncoding),
    ),
    (
        "9112 6.1 both, coding first",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        Err(E::LengthWithTransferEncoding),
    ),
    ("both, zero", b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", Err(E::LengthWithTransferEncoding)),
    ("both, bad length", b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n", Err(E::LengthWithTransferEncoding)),
    ("both, bad coding", b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", Err(E::LengthWithTransferEncoding)),
    ("both, empty coding", b"Content-Length: 5\r\nTransfer-Encoding:\r\n", Err(E::LengthWithTransferEncoding)),
    ("both, identity", b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", Err(E::LengthWithTransferEncoding)),
    ("RUSTSEC-2021-0020 chunked, identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", TE),
    ("RUSTSEC-2021-0020 identity, chunked", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", TE),
    ("RUSTSEC-2021-0020 chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TE),
    ("RUSTSEC-2026-0034 gzip, chunked in two lines", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", TE),
    ("empty coding beside chunked", b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", TE),
    ("CVE-2022-1705 longer word", b"Transfer-Encoding: xchunked\r\n", TE),
    ("longer word, end", b"Transfer-Encoding: chunkedx\r\n", TE),
    ("shorter word", b"Transfer-Encoding: chunke\r\n", TE),
    ("parameter on chunked", b"Transfer-Encoding: chunked;a=b\r\n", TE),
    ("empty parameter", b"Transfer-Encoding: chunked;\r\n", TE),
    ("9112 7.1 chunked in chunked", b"Transfer-Encoding: chunked, chunked\r\n", TE),
    ("9112 6.3 chunked not last", b"Transfer-Encoding: chunked, gzip\r\n", TE),
    ("9112 6.3 gzip alone", b"Transfer-Encoding: gzip\r\n", TE),
    ("9112 7 identity", b"Transfer-Encoding: identity\r\n", TE),
    ("empty coding", b"Transfer-Encoding:\r\n", TE),
    ("http-garden leading comma", b"Transfer-Encoding: ,chunked\r\n", TE),
    ("http-garden trailing comma", b"Transfer-Encoding: chunked,\r\n", TE),
    ("empty members", b"Transfer-Encoding: , ,chunked\r\n", TE),
    ("quoted coding", b"Transfer-Encoding: \"chunked\"\r\n", TE),
    ("single quotes", b"Transfer-Encoding: 'chunked'\r\n", TE),
    ("two words", b"Transfer-Encoding: chunked identity\r\n", TE),
    ("word inside", b"Transfer-Encoding: chun ked\r\n", TE),
    ("colon doubled", b"Transfer-Encoding:: chunked\r\n", TE),
    ("name doubled", b"Transfer-Encoding: Transfer-Encoding: chunked\r\n", TE),
    ("no-break space", b"Transfer-Encoding: \xc2\xa0chunked\r\n", TE),
    ("Kelvin sign for k", b"Transfer-Encoding: chun\xe2\x84\xaaed\r\n", TE),
    ("byte 0xff after chunked", b"Transfer-Encoding: chunked\xff\r\n", TE),
    ("9112 6.1 unknown coding", b"Transfer-Encoding: gzip, chunked\r\n", Err(E::UnknownCoding)),
    ("9112 6.1 unknown codings", b"Transfer-Encoding: deflate,gzip , Chunked\r\n", Err(E::UnknownCoding)),
    ("vertical tab", b"Transfer-Encoding: \x0bchunked\r\n", Err(E::ControlCharacter)),
    ("form feed", b"Transfer-Encoding: chunked\x0c\r\n", Err(E::ControlCharacter)),
    ("backspace", b"Transfer-Encoding: chunkedx\x08\r\n", Err(E::ControlCharacter)),
    ("NUL after chunked", b"Transfer-Encoding: chunked\0\r\n", Err(E::ControlCharacter)),
    ("NUL in a name", b"Transfer-Encoding\0: chunked\r\n", Err(E::ControlCharacter)),
    ("RUSTSEC-2024-0008 NUL in a value", b"X: a\0b\r\n", Err(E::ControlCharacter)),
    ("DEL in a value", b"X: a\x7fb\r\n", Err(E::ControlCharacter)),
    ("escape in a value", b"X: \x1b[31m\r\n", Err(E::ControlCharacter)),
    ("CR in a value", b"X: a\rb\r\n", Err(E::BareCarriageReturn)),
    ("CR hides a field", b"X: a\rTransfer-Encoding: chunked\r\n", Err(E::BareCarriageReturn)),
    ("CR before a name", b"\rTransfer-Encoding: chunked\r\n", Err(E::BareCarriageReturn)),
    ("CR CR LF", b"X: a\r\r\n", Err(E::BareCarriageReturn)),
    ("CR in a length", b"Content-Length: 5\r6\r\n", Err(E::BareCarriageReturn)),
    ("LF ends a field", b"X: a\nY: b\r\n", Err(E::BareLineFeed)),
    ("LF hides a field", b"X: a\nTransfer-Encoding: chunked\r\n", Err(E::BareLineFeed)),
    ("LF before a coding", b"Transfer-Encoding:\n chunked\r\n", Err(E::BareLineFeed)),
    ("LF ends the head", b"X: a\r\n\n", Err(E::BareLineFeed)),
    ("LF CR", b"X: a\n\r", Err(E::BareLineFeed)),
    ("9112 5.2 folded", b"X: a\r\n b\r\n", Err(E::Folded)),
    ("folded with a tab", b"X: a\r\n\tb\r\n", Err(E::Folded)),
    ("folded coding", b"Transfer-Encoding:\r\n chunked\r\n", Err(E::Folded)),
    ("folded length", b"Content-Length: 1\r\n 0\r\n", Err(E::Folded)),
    ("folded length hides a coding", b"X: y\r\n Transfer-Encoding: chunked\r\n", Err(E::Folded)),
    ("line of spaces", b"X: a\r\n  \r\nY: b\r\n", Err(E::Folded)),
    ("CVE-2019-16276 space before the colon", b"Transfer-Encoding : chunked\r\n", Err(E::SpaceBeforeColon)),
    ("tab before the colon", b"Transfer-Encoding\t: chunked\r\n", Err(E::SpaceBeforeColon)),
    ("space before the colon of a length", b"Content-Length : 5\r\n", Err(E::SpaceBeforeColon)),
    ("space before any colon", b"X : y\r\n", Err(E::SpaceBeforeColon)),
    ("http-garden empty name", b": chunked\r\n", Err(E::FieldName)),
    ("9112 5 no colon", b"Content-Length 5\r\n", Err(E::FieldName)),
    ("equals sign", b"Content-Length=5\r\n", Err(E::FieldName)),
    ("space in a name", b"Content Length: 5\r\n", Err(E::FieldName)),
    ("parentheses", b"(Content-Length): 5\r\n", Err(E::FieldName)),
    ("quoted name", b"\"Content-Length\": 5\r\n", Err(E::FieldName)),
    ("name above 0x7f", b"Content-Length\xff: 5\r\n", Err(E::FieldName)),
    ("no-break space before the colon", b"Transfer-Encoding\xc2\xa0: chunked\r\n", Err(E::FieldName)),
    ("byte order mark", b"\xef\xbb\xbfContent-Length: 5\r\n", Err(E::FieldName)),
    ("at sign", b"X@: y\r\n", Err(E::FieldName)),
    ("slash", b"X/Y: z\r\n", Err(E::FieldName)),
    ("brackets", b"X[]: y\r\n", Err(E::FieldName)),
    ("9112 3.2 second Host", b"Host: localhost:8081\r\n", Err(E::RepeatedHost)),
    ("other second Host", b"host: evil.example\r\n", Err(E::RepeatedHost)),
    ("empty second Host", b"Host:\r\n", Err(E::RepeatedHost)),
    ("space before the second Host's colon", b"Host : x\r\n", Err(E::SpaceBeforeColon)),
    ("9110 10.1.1 100-continue", b"Expect: 100-continue\r\nContent-Length: 5\r\n", Ok(F::Length(5))),
    ("9110 10.1.1 other expectation", b"Expect: 200-ok\r\n", Err(E::Expectation)),
    ("two expectations", b"Expect: 100-continue, x\r\n", Err(E::Expectation)),
    ("expectation twice over", b"Expect: 100-continue\r\nExpect: x\r\n", Err(E::Expectation)),
    ("near expectation", b"Expect: 100-continued\r\n", Err(E::Expectation)),
];

/// All lines after an HTTP/1.1 start line.
const HOST_LINES: &[Row] = &[
    ("9112 3.2 name", b"Host: localhost\r\n", Ok(F::Empty)),
    ("name and port", b"Host: localhost:8081\r\n", Ok(F::Empty)),
    ("address", b"host:10.0.0.1:8081\r\n", Ok(F::Empty)),
    ("IPv6 address", b"HOST: [::1]:8081\r\n", Ok(F::Empty)),
    ("Host last", b"Content-Length: 5\r\nHost: h\r\n", Ok(F::Length(5))),
    ("9112 3.2 no Host", b"", Err(E::MissingHost)),
    ("other fields only", b"Content-Length: 5\r\n", Err(E::MissingHost)),
    ("longer name", b"Hosts: h\r\n", Err(E::MissingHost)),
    ("X-Forwarded-Host", b"X-Forwarded-Host: h\r\n", Err(E::MissingHost)),
    ("empty", b"Host:\r\n", Err(E::BadHost)),
    ("blank", b"Host: \t\r\n", Err(E::BadHost)),
    ("two names", b"Host: a b\r\n", Err(E::BadHost)),
    ("list", b"Host: a, b\r\n", Err(E::BadHost)),
    ("user information", b"Host: a@b\r\n", Err(E::BadHost)),
    ("scheme", b"Host: http://h\r\n", Err(E::BadHost)),
    ("path", b"Host: h/x\r\n", Err(E::BadHost)),
    ("query", b"Host: h?x\r\n", Err(E::BadHost)),
    ("fragment", b"Host: h#x\r\n", Err(E::BadHost)),
    ("port that is no number", b"Host: h:+80\r\n", Err(E::BadHost)),
    ("port too long", b"Host: h:000080\r\n", Err(E::BadHost)),
    ("two ports", b"Host: h:80:80\r\n", Err(E::BadHost)),
    ("IPv6 without brackets", b"Host: ::1\r\n", Err(E::BadHost)),
    ("bracket left open", b"Host: [::1\r\n", Err(E::BadHost)),
    ("name above 0x7f", b"Host: \xc3\xa9\r\n", Err(E::BadHost)),
];

/// All lines after an HTTP/1.0 start line.
const HTTP_10_LINES: &[Row] = &[
    ("9112 3.2 Host came with 1.1", b"", Ok(F::Empty)),
    ("RUSTSEC-2026-0034 no body without length", b"Content-Type: x\r\n", Ok(F::Empty)),
    ("length", b"Content-Length: 5\r\n", Ok(F::Length(5))),
    ("9110 10.1.1 Expect is ignored", b"Expect: x\r\n", Ok(F::Empty)),
    ("9112 6.1 coding", b"Transfer-Encoding: chunked\r\n", Err(E::TransferEncodingInHttp10)),
    ("any coding", b"Transfer-Encoding: identity\r\n", Err(E::TransferEncodingInHttp10)),
    ("coding and length", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(E::TransferEncodingInHttp10)),
    ("two Hosts", b"Host: a\r\nHost: a\r\n", Err(E::RepeatedHost)),
    ("bad Host", b"Host: a b\r\n", Err(E::BadHost)),
];

/// Heads that are not put together from the parts above.
const WHOLE_HEADS: &[Row] = &[
    ("9112 2.2 an empty line first", b"\r\nPOST / HTTP/1.1\r\nHost: h\r\n\r\n", Ok(F::Empty)),
    ("two empty lines first", b"\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\n\r\n", Err(E::Malformed)),
    ("HTTP/2.0 after an empty line", b"\r\nPRI * HTTP/2.0\r\n\r\n", Err(E::Version)),
    ("colon in the start line", b"POST http://h HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", Err(E::SpaceBeforeColon)),
    ("LF first", b"\nPOST / HTTP/1.1\r\nHost: h\r\n\r\n", Err(E::BareLineFeed)),
    ("CR first", b"\rPOST / HTTP/1.1\r\nHost: h\r\n\r\n", Err(E::BareCarriageReturn)),
    ("HTTP/0.9", b"GET /\r\n\r\n", Err(E::Malformed)),
    ("LF throughout", b"POST / HTTP/1.1\nHost: h\n\n", Err(E::BareLineFeed)),
    ("CR throughout", b"POST / HTTP/1.1\rHost: h\r\r", Err(E::BareCarriageReturn)),
    ("response", b"HTTP/1.1 200 OK\r\n\r\n", Err(E::Malformed)),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", Err(E::ControlCharacter)),
    ("SSH greeting", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Err(E::Malformed)),
    ("byte order mark", b"\xef\xbb\xbfPOST / HTTP/1.1\r\nHost: h\r\n\r\n", Err(E::Malformed)),
];

const TE: Result<F, E> = Err(E::TransferEncoding);

/// Every row as a whole head.
fn heads() -> impl Iterator<Item = (&'static str, Vec<u8>, Result<F, E>)> {
    let tables: [(&[u8], &[Row], &[u8]); 5] = [
        (b"", START_LINES, b"\r\nHost: h\r\n\r\n"),
        (b"POST /api/v1/write HTTP/1.1\r\nHost: localhost:8081\r\n", FIELD_LINES, b"\r\n"),
        (b"POST /api/v1/write HTTP/1.1\r\n", HOST_LINES, b"\r\n"),
        (b"POST /api/v1/write HTTP/1.0\r\n", HTTP_10_LINES, b"\r\n"),
        (b"", WHOLE_HEADS, b""),
    ];
    tables.into_iter().flat_map(|(before, rows, after)| {
        rows.iter().map(move |(label, middle, expected)| (*label, [before, middle, after].concat(), *expected))
    })
}

/// What a head is taken for when it arrives in reads that end at `cuts`; `None` when it has no end.
fn taken_for(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Option<Result<F, E>> {
    let mut scan = HeadScan::default();
    for filled in cuts.into_iter().chain([bytes.len()]).filter_map(|cut| bytes.get(..cut)) {
        match scan.scan(filled) {
            Err(error) => return Some(Err(error)),
            Ok(Some(len)) => return bytes.get(..len).map(framing_of),
            Ok(None) => {}
        }
    }
    None
}

fn framing_of(head: &[u8]) -> Result<F, E> {
    decode_request(head, &mut field_slots()).map(|head| head.framing)
}

#[test]
fn every_head_is_taken_for_what_the_table_says() {
    let wrong: Vec<_> = heads().filter(|(_, head, expected)| taken_for(head, []) != Some(*expected)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn reads_do_not_change_what_a_head_is_taken_for() {
    for (label, head, expected) in heads() {
        assert_eq!(taken_for(&head, 0..head.len()), Some(expected), "{label}, byte by byte");
        for cut in 0..head.len() {
            assert_eq!(taken_for(&head, [cut]), Some(expected), "{label}, cut at {cut}");
        }
    }
}

#[test]
fn what_follows_a_head_does_not_change_it() {
    for (label, head, expected) in heads() {
        for next in [&b"\r\n"[..], b"\n", b" ", b"0\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"] {
            let bytes = [&head, next].concat();
            assert_eq!(taken_for(&bytes, []), Some(expected), "{label}");
        }
    }
}

#[test]
fn a_taken_head_has_no_end_before_its_end() {
    for (label, head, _) in heads().filter(|(_, _, expected)| expected.is_ok()) {
        for cut in 0..head.len() {
            assert_eq!(HeadScan::default().scan(&head[..cut]), Ok(None), "{label}, cut at {cut}");
            assert_eq!(framing_of(&head[..cut]), Err(E::Malformed), "{label}, cut at {cut}");
        }
    }
}

/// httparse reads more than we do and never less.
#[test]
fn what_is_taken_httparse_takes_too() {
    for (label, head, _) in heads().filter(|(_, _, expected)| expected.is_ok()) {
        let (mut slots, mut theirs) = (field_slots(), field_slots());
        let ours = decode_request(&head, &mut slots).expect(label);
        let mut request = httparse::Request::new(&mut theirs);
        assert_eq!(request.parse(&head), Ok(httparse::Status::Complete(head.len())), "{label}");
        assert_eq!((Some(ours.method), Some(ours.target)), (request.method, request.path), "{label}");
        let lines = request.headers.iter().map(|line| (line.name, line.value));
        assert!(ours.fields.iter().eq(lines), "{label}");
    }
}

/// Whatever one changed byte turns a head into: if it is still taken, its lines still say so.
#[test]
fn no_single_byte_hides_a_line() {
    for (label, head, _) in heads() {
        for at in 0..head.len() {
            for byte in *b"\0\t\n\x0b\r :,;x5\x80" {
                let mut changed = head.clone();
                changed[at] = byte;
                if let Some(Ok(framing)) = taken_for(&changed, []) {
                    assert_eq!(plainly_framed(&changed), Some(framing), "{label}: {}", changed.escape_ascii());
                }
            }
        }
    }
}

/// The framing of a head by the plainest reading: cut at CRLF, cut at the first colon, count.
fn plainly_framed(bytes: &[u8]) -> Option<F> {
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let (head, _) = text.trim_start_matches("\r\n").split_once("\r\n\r\n")?;
    let fields: Vec<_> = head.split("\r\n").skip(1).map(|line| line.split_once(':')).collect::<Option<_>>()?;
    let values = |wanted: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    if head.replace("\r\n", "").contains(['\r', '\n', '\0', '\x0b']) {
        return None;
    }
    match (&*values("content-length"), &*values("transfer-encoding")) {
        ([], []) => Some(F::Empty),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length.parse().ok().map(F::Length),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Some(F::Chunked),
        _ => None,
    }
}

#[test]
fn a_request_of_prometheus_is_read_whole() {
    let head = b"POST /api/v1/write?x HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nUser-Agent: Prometheus/2.42.0\r\n\
        Content-Length: 15540\r\nContent-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
        X-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n";
    let mut slots = field_slots();
    let request = decode_request(head, &mut slots).expect("a good head");
    assert_eq!((request.method, request.path(), request.minor_version), ("POST", "/api/v1/write", 1));
    assert_eq!((request.framing, request.keep_alive, request.expect_continue), (F::Length(15540), true, false));
    assert_eq!(request.fields.first("content-encoding"), Some(&b"snappy"[..]));
    assert_eq!(request.fields.iter().count(), 6);
}

#[test]
fn connection_and_expect_say_what_happens_next() {
    let decoded = |head: &str| {
        let mut slots = field_slots();
        let request = decode_request(head.as_bytes(), &mut slots).expect(head);
        (request.keep_alive, request.expect_continue)
    };
    for (version, lines, expected) in [
        ("1.1", "", (true, false)),
        ("1.1", "Connection: close\r\n", (false, false)),
        ("1.1", "Connection: keep-alive\r\nConnection: x, CLOSE\r\n", (false, false)),
        ("1.1", "Connection: closed\r\n", (true, false)),
        ("1.1", "Expect: 100-Continue\r\nContent-Length: 1\r\n", (true, true)),
        ("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", (true, true)),
        ("1.1", "Expect: 100-continue\r\n", (true, false)),
        ("1.0", "Connection: keep-alive\r\n", (false, false)),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", (false, false)),
    ] {
        assert_eq!(decoded(&format!("POST / HTTP/{version}\r\nHost: h\r\n{lines}\r\n")), expected, "{lines}");
    }
}

/// CVE-2021-40346: a name whose length overflows a narrow counter.
#[test]
fn a_name_of_64_kib_is_a_name() {
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{}: y\r\nContent-Length: 5\r\n\r\n", "x".repeat(65_536 + 270));
    assert_eq!(taken_for(head.as_bytes(), []), Some(Ok(F::Length(5))));
}
