//! What must hold for every conversation, however it went, as long as the driver keeps to its contract.

use httparse::{EMPTY_HEADER, Status};
use remora_core::forward::Outcome;
use remora_core::remote_write::Version;

use super::answers;
use super::driver::Driver;
use super::operation::{Check, Peer};
use super::request::Kind;
use crate::frame;

/// One connection to Azure, and what went over it.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The number of its request, counted from 0.
    number: usize,
    /// Handed over by the exchange and not sent yet.
    pub(super) unsent: Vec<u8>,
    /// What Azure received.
    pub(super) sent: Vec<u8>,
    /// What Azure has sent and the exchange has not received yet.
    pub(super) saying: Vec<u8>,
    /// What the exchange received.
    pub(super) said: Vec<u8>,
}

/// A request as Azure received it.
#[derive(Debug)]
struct Sent<'a> {
    version: Version,
    length: usize,
    body: &'a [u8],
}

impl Attempt {
    pub(super) const fn new(number: usize) -> Self {
        Self { number, unsent: Vec::new(), sent: Vec::new(), saying: Vec::new(), said: Vec::new() }
    }

    /// The request that Azure received, once its head is complete. The head carries our credential and nothing of the
    /// sender's.
    fn request(&self) -> Option<Sent<'_>> {
        let mut lines = [EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut lines);
        let Ok(Status::Complete(end)) = request.parse(&self.sent) else { return None };
        let values = |name: &str| {
            let named = request.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
            named.map(|line| str::from_utf8(line.value).expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(values("authorization"), ["Bearer secret"]);
        assert_eq!(values("content-encoding"), ["snappy"]);
        let is_second = values("content-type").concat().contains("proto=io.prometheus.write.v2.Request");
        let [length] = values("content-length")[..] else { panic!("one length, not {:?}", values("content-length")) };
        Some(Sent {
            version: if is_second { Version::V2 } else { Version::V1 },
            length: length.parse().expect("a length"),
            body: &self.sent[end..],
        })
    }
}

impl Driver<'_> {
    /// Azure gets only good frames, unchanged, and only from senders that may write.
    pub(super) fn judge_attempt(&self) {
        let Some(attempt) = self.attempt.as_ref().filter(|_| self.is_lawful) else { return };
        let Some(sent) = attempt.request() else { return };
        assert_ne!(self.peer, Peer::Foreign, "a foreign sender wrote");
        match self.kinds.get(attempt.number) {
            Some(Kind::Good(frame)) => {
                assert!(sent.length == frame.len() && frame.starts_with(sent.body), "not what the sender sent");
            }
            Some(Kind::Corrupt) if self.settings.check == Check::Off => {}
            Some(kind) => panic!("Azure got what is {kind:?}"),
            None if sent.body.len() == sent.length && self.settings.check == Check::Full => {
                assert!(is_good(&sent), "Azure got a corrupt frame");
            }
            None => {}
        }
    }

    /// The response claims no more than Azure did, and for a good frame nothing makes the sender drop samples.
    pub(super) fn judge_outcome(&self, outcome: &Outcome) {
        let status = outcome.status;
        if !self.is_lawful {
            return;
        }
        let said = self.said_by_azure();
        assert!(
            outcome.upstream_status.is_none() || outcome.upstream_status == said,
            "{outcome:?}, and Azure said {said:?}"
        );
        match self.kinds.get(self.outcomes.len()) {
            None | Some(Kind::Good(_)) if (200..300).contains(&status) && outcome.upstream_status.is_some() => {
                self.judge_acknowledgement(status);
            }
            None => {}
            Some(Kind::Good(_)) if self.peer == Peer::Foreign => assert!(matches!(status, 403 | 503), "{status}"),
            Some(Kind::Good(_)) if status >= 500 => {}
            Some(Kind::Good(_)) => {
                assert_eq!(said, Some(status), "a status that Azure did not say");
                assert!((400..500).contains(&status), "{status} acknowledges nothing");
                assert!(!self.is_held(status), "{status} makes senders drop good samples");
            }
            Some(Kind::Corrupt) if self.settings.check == Check::Off => {}
            Some(Kind::Corrupt) => assert!(matches!(status, 400 | 403 | 503), "{status} for a corrupt frame"),
            Some(Kind::Probe { .. }) => assert!(matches!(status, 200 | 403 | 404 | 503), "{status} for a probe"),
        }
    }

    /// Azure's final status for the open request, on its last connection.
    pub(super) fn said_by_azure(&self) -> Option<u16> {
        let attempt = self.attempt.as_ref();
        attempt.map_or(self.last_said, |attempt| answers::final_status(&attempt.said))
    }

    /// Whether this status from Azure must not be passed on to senders.
    const fn is_held(&self, status: u16) -> bool {
        match status {
            400 | 409 | 413 | 415 | 422 => false,
            408 | 421 | 425 => true,
            429 => !self.settings.pass_rate_limit,
            400..=499 => !self.settings.hold_is_over,
            _ => false,
        }
    }

    /// Azure sent this status, and it had received the whole body.
    fn judge_acknowledgement(&self, status: u16) {
        let attempt = self.attempt.as_ref().expect("nothing is acknowledged without a connection");
        assert_eq!(answers::final_status(&attempt.said), Some(status), "a status that Azure did not say");
        let sent = attempt.request().expect("nothing is acknowledged before its head is sent");
        assert_eq!(sent.body.len(), sent.length, "acknowledged before Azure had it");
        self.judge_attempt();
    }

    /// At the end: the response buffer is back, no secret leaked, and the sender read what the log says.
    pub(super) fn judge_end(&self) {
        assert!(self.buffer.is_some() || !self.is_lawful, "the response buffer is lost");
        assert!(!contains(&self.received, b"secret"), "a secret leaked");
        if !self.is_lawful {
            return;
        }
        let is_head = |number| matches!(self.kinds.get(number), Some(Kind::Probe { head: true }));
        let responses = answers::responses(&self.received, is_head);
        // Bodies are not searched: after a broken head, the next head counts as the broken one's body.
        let leaks = responses.iter().any(|(_, head)| contains(head, b"of-azure"));
        assert!(!leaks, "a field of Azure's that is not for the sender");
        let mut read: Vec<_> = responses.iter().map(|(status, _)| *status).collect();
        // It is unknown what the tail requests, and whether with HEAD.
        read.truncate(self.kinds.len());
        let told: Vec<_> = self.outcomes.iter().map(|outcome| outcome.status).collect();
        assert!(told.starts_with(&read), "the sender read {read:?}, the log says {told:?}");
    }
}

fn is_good(sent: &Sent<'_>) -> bool {
    frame::unpacked(sent.body).and_then(|message| frame::counts(sent.version, &message)).is_some()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
