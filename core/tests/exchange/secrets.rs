//! Tokens do not appear in debug output or responses.

use remora_core::forward::Destination;

use crate::bench::{Bench, TOKENS};
use crate::message::{SMALL_BODY, answer, write_with};

#[test]
fn debug_output_holds_no_credential_in_any_phase() {
    let mut bench = Bench::new();
    let mut shown = Vec::new();
    let mut look = |bench: &Bench| {
        shown.push(format!(
            "{:?} {:?} {:?} {:?}",
            bench.exchange,
            bench.gateway,
            bench.events,
            bench.exchange.outgoing()
        ));
    };
    look(&bench);
    bench.submit(&write_with("Authorization: Bearer from-the-sender\r\n", SMALL_BODY));
    look(&bench);
    bench.attach(false);
    bench.request();
    look(&bench);
    bench.azure(&answer(401, "WWW-Authenticate: Bearer from-azure\r\n", ""));
    look(&bench);
    bench.refresh();
    bench.forward(&answer(403, "Set-Cookie: from-azure\r\n", ""));
    look(&bench);
    for text in shown {
        for secret in ["secret", "from-the-sender", "from-azure", "Bearer"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn the_credential_of_an_upstream_is_left_out() {
    let to = Destination { authority: "x.example", target: "/", authorization: TOKENS[0].as_bytes() };
    let shown = format!("{to:?}");
    assert!(shown.contains("x.example") && !shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
}

#[test]
fn a_token_that_azure_repeats_is_not_told() {
    for status in [200, 400, 403, 500] {
        let mut bench = Bench::new();
        bench.submit(&write_with("", SMALL_BODY));
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln";
        bench.forward(&answer(status, &format!("Content-Type: {token}\r\n"), &format!("you sent Bearer {token}!")));
        let told = bench.answer();
        assert!(told.text().contains("you sent Bearer ****") && told.text().contains('!'), "{told:?}");
        assert!(!format!("{told:?}").contains("eyJ"), "{told:?}");
    }
}

#[test]
fn azure_fields_other_than_the_listed_stay_here() {
    let mut bench = Bench::new();
    bench.submit(&write_with("", SMALL_BODY));
    let fields = "Set-Cookie: a=b\r\nWWW-Authenticate: Bearer\r\nLocation: /\r\nStrict-Transport-Security: x\r\n\
                  Content-Type: application/json\r\nX-Prometheus-Remote-Write-Samples-Written: 12\r\n\
                  X-Prometheus-Remote-Write-Histograms-Written: +1\r\n";
    bench.forward(&answer(200, fields, "{}"));
    let told = bench.answer();
    let names: Vec<_> = told.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    assert_eq!(names, ["content-length", "content-type", "x-prometheus-remote-write-samples-written"]);
    assert_eq!(told.field("content-type"), Some("application/json"));
    assert_eq!(told.field("x-prometheus-remote-write-samples-written"), Some("12"));
}

#[test]
fn counts_of_written_samples_are_never_invented() {
    let mut bench = Bench::new();
    bench.submit(&write_with("", SMALL_BODY));
    bench.forward(&answer(204, "", ""));
    assert!(bench.answer().fields.is_empty());
}
