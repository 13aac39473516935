//! A proxy's response to CONNECT: the same reading however it is cut, and nothing accepted that httparse refuses; and
//! the request for it, as httparse reads it.
//!
//! An input's first byte seeds the cuts; the rest is the proxy's response, and also the authority, a line feed, and the
//! credentials of a request.

#![cfg_attr(fuzzing, no_main)]

use httparse::{EMPTY_HEADER, Status};
use remora_core::http::MAX_FIELDS;
use remora_core::http::tunnel::{TunnelAnswer, TunnelError, encode_connect};
use remora_fuzz::cuts::Cuts;

remora_fuzz::target!(judge);

fn judge(input: &[u8]) {
    let Some((&seed, bytes)) = input.split_first() else { return };
    let whole = answer(bytes, Cuts::Whole);
    for cuts in Cuts::others(seed) {
        let cut = answer(bytes, cuts);
        // When cut, the excess may not have arrived yet when the response is read.
        assert!(cut == whole || (cut, whole) == (Ok(true), Err(TunnelError::Excess)), "{cut:?}, {whole:?} as a whole");
    }
    judge_answer(bytes, whole);
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    if let Some(Ok(authority)) = parts.next().map(str::from_utf8) {
        judge_request(authority, parts.next());
    }
}

fn answer(bytes: &[u8], cuts: Cuts) -> Result<bool, TunnelError> {
    let mut answer = TunnelAnswer::default();
    let mut results = cuts.arrivals(bytes).map(|arrived| answer.read(&bytes[..arrived]));
    results.find(|result| *result != Ok(false)).unwrap_or(Ok(false))
}

fn judge_answer(bytes: &[u8], ours: Result<bool, TunnelError>) {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(bytes);
    let opens = response.code.is_some_and(|code| (200..300).contains(&code));
    let theirs = match parsed {
        Ok(Status::Complete(length)) if opens && length == bytes.len() => Ok(true),
        Ok(Status::Complete(_)) if opens => Err(TunnelError::Excess),
        Ok(Status::Complete(_)) => Err(TunnelError::Refused { status: response.code.unwrap_or_default() }),
        // Where httparse sees an error before the end, we may wait for the end.
        Ok(Status::Partial) | Err(_) => Ok(false),
    };
    assert!(ours == theirs || matches!(ours, Err(TunnelError::Head(_))), "{ours:?}, httparse: {theirs:?}, {parsed:?}");
}

fn judge_request(authority: &str, credentials: Option<&[u8]>) {
    let mut written = vec![0; authority.len() * 2 + credentials.map_or(0, <[u8]>::len) + 128];
    let Ok(length) = encode_connect(authority, credentials, &mut written) else { return };
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(&written[..length]), Ok(Status::Complete(length)), "{authority:?}");
    assert_eq!((request.method, request.path, request.version), (Some("CONNECT"), Some(authority), Some(1)));
    let login = credentials.map(|credentials| [b"Basic ", credentials].concat());
    // Trailing whitespace does not belong to a value.
    let login = login.as_deref().map(|login| ("Proxy-Authorization", login.trim_ascii_end()));
    let expected = [Some(("Host", authority.as_bytes())), login];
    let told = request.headers.iter().map(|line| (line.name, line.value));
    assert!(told.eq(expected.into_iter().flatten()), "other fields: {:?}", request.headers);
}
