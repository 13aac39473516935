//! A web page in place of Azure's answer: something else has sent it.

use remora_core::forward::{Event, Unavailable};

use crate::bench::Bench;
use crate::message::{SMALL_BODY, answer, write};

const PAGE: &str = "Content-Type: text/html\r\n";

/// What the sender gets for this answer of Azure's, and the bench afterwards.
fn told(status: u16, fields: &str, text: &str) -> (u16, String, Bench) {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.forward(&answer(status, fields, text));
    let told = bench.answer();
    (told.status(), told.text().to_owned(), bench)
}

/// Whatever its media type says, or without one.
#[test]
fn a_web_page_acknowledges_nothing() {
    for (status, media, text) in [
        (200, "Content-Type: text/html\r\n", ""),
        (204, "Content-Type: Text/HTML; charset=utf-8\r\n", ""),
        (299, "Content-Type: TEXT/HTML\r\n", "ok"),
        (200, "", "<html></html>"),
        (202, "Content-Type: application/xhtml+xml\r\n", "\r\n <?xml"),
    ] {
        let (seen, body, bench) = told(status, media, text);
        assert_eq!(seen, 502, "{media}{text}");
        assert!(body.contains("it is a web page, which Azure does not send; is there a proxy on the way?"), "{body}");
        assert!(bench.events.contains(&Event::Release { reusable: false }));
        let outcome = bench.outcomes()[0];
        assert_eq!((outcome.upstream_status, outcome.unavailable), (None, Some(Unavailable::Unreadable)));
        assert_eq!(bench.gateway.last_success(), None);
    }
}

#[test]
fn other_texts_are_no_web_pages() {
    for (status, fields, text) in [
        (200, "Content-Type: text/plain\r\n", "ok"),
        (200, "Content-Type: text\r\n", "o<k"),
        (400, "Content-Type: application/json\r\n", "{<"),
    ] {
        let (seen, body, _) = told(status, fields, text);
        assert_eq!((seen, body.as_str()), (status, text));
    }
}

/// What did not come from Azure says nothing about the samples, except that there are too many at once.
#[test]
fn a_web_page_is_no_verdict_on_the_data() {
    for (status, fields, text) in
        [(400, PAGE, "Bad"), (400, "", " <html>"), (409, PAGE, "<p>"), (415, PAGE, "<p>"), (422, PAGE, "<p>")]
    {
        let (seen, body, bench) = told(status, fields, text);
        assert_eq!(seen, 503, "{status} {fields}");
        assert!(body.contains("with a web page, which Azure does not send; is there a proxy on the way?"), "{body}");
        assert!(bench.events.contains(&Event::Release { reusable: false }), "the next request finds another address");
    }
    for (status, seen) in [(403, 503), (413, 413), (500, 500)] {
        assert_eq!(told(status, PAGE, "<p>").0, seen, "{status}");
    }
}
