//! Heads of requests and responses: the same reading however they are cut, nothing accepted that httparse refuses, the
//! same framing as by a plain reading of the lines, and the same reading again when written out.
//!
//! The lowest bit of an input's first byte chooses request or response, the byte seeds the cuts; the rest is what
//! arrives.

#![cfg_attr(fuzzing, no_main)]

use httparse::Status::Complete;
use remora_core::http::{
    Fields, HeadError, HeadScan, HeadWriter, MAX_FIELDS, decode_request, decode_response, field_slots,
};
use remora_fuzz::cuts::Cuts;
use remora_fuzz::plain;

remora_fuzz::target!(judge);

/// How much longer a head may be when written out again: a space in each line, and our own reason phrase.
const ADDED: usize = MAX_FIELDS + 32;

fn judge(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let whole = scan(bytes, Cuts::Whole);
    for cuts in Cuts::others(choice) {
        assert_eq!(scan(bytes, cuts), whole, "{cuts:?}");
    }
    let end = whole.ok().flatten();
    assert!(end == Some(bytes.len()) || decode_request(bytes, &mut field_slots()).is_err(), "a request without an end");
    let Some(head) = end.and_then(|end| bytes.get(..end)) else { return };
    if choice & 1 == 0 { judge_request(head) } else { judge_response(head) }
}

fn scan(bytes: &[u8], cuts: Cuts) -> Result<Option<usize>, HeadError> {
    let mut scan = HeadScan::default();
    let mut results = cuts.arrivals(bytes).map(|arrived| scan.scan(&bytes[..arrived]));
    results.find(|result| *result != Ok(None)).unwrap_or(Ok(None))
}

fn judge_request(head: &[u8]) {
    let (mut slots, mut theirs) = (field_slots(), [httparse::EMPTY_HEADER; MAX_FIELDS]);
    let Ok(ours) = decode_request(head, &mut slots) else { return };
    let mut request = httparse::Request::new(&mut theirs);
    assert!(matches!(request.parse(head), Ok(Complete(length)) if length == head.len()), "only we take it");
    assert_eq!((Some(ours.method), Some(ours.target)), (request.method, request.path));
    assert!(is_same(&ours.fields, request.headers), "other fields");
    assert_eq!(Some(ours.framing), plain::request_framing(head), "another framing");
    if ours.method == "POST" && ours.minor_version == 1 {
        let mut written = vec![0; head.len() + ADDED];
        let length = write(HeadWriter::request(&mut written, ours.target), &ours.fields);
        let mut slots = field_slots();
        let again = decode_request(&written[..length], &mut slots).expect("what was taken once");
        assert_eq!((again.target, again.framing), (ours.target, ours.framing));
        assert_eq!((again.keep_alive, again.expect_continue), (ours.keep_alive, ours.expect_continue));
        assert!(again.fields.iter().eq(ours.fields.iter()), "other fields when written");
    }
}

fn judge_response(head: &[u8]) {
    let (mut slots, mut theirs) = (field_slots(), [httparse::EMPTY_HEADER; MAX_FIELDS]);
    let Ok(ours) = decode_response(head, &mut slots) else { return };
    let mut response = httparse::Response::new(&mut theirs);
    assert!(matches!(response.parse(head), Ok(Complete(length)) if length == head.len()), "only we take it");
    assert_eq!(Some(ours.status), response.code);
    assert!(is_same(&ours.fields, response.headers), "other fields");
    assert_eq!(Some(ours.framing), plain::response_framing(ours.status, head), "another framing");
    if ours.minor_version == 1 {
        let mut written = vec![0; head.len() + ADDED];
        let length = write(HeadWriter::response(&mut written, ours.status), &ours.fields);
        let mut slots = field_slots();
        let again = decode_response(&written[..length], &mut slots).expect("what was taken once");
        assert_eq!((again.status, again.framing, again.keep_alive), (ours.status, ours.framing, ours.keep_alive));
    }
}

fn is_same(ours: &Fields<'_, '_>, theirs: &[httparse::Header<'_>]) -> bool {
    ours.iter().eq(theirs.iter().map(|line| (line.name, line.value)))
}

fn write(mut head: HeadWriter<'_>, fields: &Fields<'_, '_>) -> usize {
    for (name, value) in fields.iter() {
        head.field(name, value);
    }
    head.finish().expect("what was taken can be written")
}
